"""A small client of Firefox's own remote control, Marionette: it needs no driver beside the browser.

https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
"""

import base64
import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id, by the WebDriver standard
START_SECONDS = 60.0
PREFERENCES = {
    "marionette.port": 0,  # any that is free
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class Firefox:
    """A Firefox without a window, with a profile of its own in `folder`."""

    def __init__(self, program: str, folder: Path, width: int = 1280, height: int = 900) -> None:
        profile = folder / "profile"
        profile.mkdir()
        lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines))
        command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
        size = {"MOZ_HEADLESS_WIDTH": str(width), "MOZ_HEADLESS_HEIGHT": str(height)}
        self._log = (folder / "firefox.txt").open("w")
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "HOME": str(folder), **size},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # so that its processes can be ended together
        )
        self._socket = self._connect(profile / "MarionetteActivePort")
        self._read = self._socket.makefile("rb")
        self._number = 0
        self._message()  # it introduces itself
        self.do("WebDriver:NewSession")

    def _connect(self, port: Path) -> socket.socket:
        end = time.monotonic() + START_SECONDS
        while True:
            assert self._process.poll() is None and time.monotonic() < end, "Firefox does not start"
            with suppress(OSError, ValueError):
                return socket.create_connection(("127.0.0.1", int(port.read_text())), timeout=60)
            time.sleep(0.1)

    def _message(self):
        """One message: its length in bytes, a colon, JSON."""
        length = b""
        while (byte := self._read.read(1)) != b":":
            assert byte, "Firefox has gone"
            length += byte
        return json.loads(self._read.read(int(length)))

    def do(self, command: str, **parameters):
        """The result of a command. Raises AssertionError where Firefox says that it failed."""
        self._number += 1
        body = json.dumps([0, self._number, command, parameters])
        self._socket.sendall(f"{len(body)}:{body}".encode())
        _, number, error, result = self._message()
        assert number == self._number and not error, error
        return result["value"] if isinstance(result, dict) and set(result) == {"value"} else result

    def goto(self, url: str) -> None:
        self.do("WebDriver:Navigate", url=url)

    def run(self, script: str, *arguments):
        """What a JavaScript function with this body returns."""
        return self.do("WebDriver:ExecuteScript", script=script, args=list(arguments))

    def wait(self, condition: str, seconds: float = 20.0):
        """Wait until a JavaScript expression is true, also across pages; its value."""
        end = time.monotonic() + seconds
        while True:
            with suppress(AssertionError):  # it asked between two pages
                if value := self.run(f"return {condition}"):
                    return value
            if time.monotonic() > end:
                page = self.run("return document.body.innerText")
                raise AssertionError(f"{condition} did not come true: {page[:2000]}")
            time.sleep(0.1)

    def _element(self, selector: str) -> str:
        return self.do("WebDriver:FindElement", using="css selector", value=selector)[ELEMENT]

    def click(self, selector: str) -> None:
        self.do("WebDriver:ElementClick", id=self._element(selector))

    def type(self, selector: str, text: str) -> None:
        """Replace what a field holds."""
        element = self._element(selector)
        self.do("WebDriver:ElementClear", id=element)
        self.do("WebDriver:ElementSendKeys", id=element, text=text)

    def text(self, selector: str) -> str:
        return self.do("WebDriver:GetElementText", id=self._element(selector))

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.do("WebDriver:TakeScreenshot", full=True)))

    def stop(self) -> None:
        self._socket.close()
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._log.close()
