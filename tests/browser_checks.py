"""What every page is checked for in a browser: axe-core's rules, and a strict content security policy."""

import base64
import hashlib
import re
from functools import cache

from axe_playwright_python.sync_playwright import Axe

OURS = "section.content"  # the rest of a page is Datasette's
POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
)
WATCH = """addEventListener('securitypolicyviolation', (event) => {
  (window.refused ??= []).push(`${event.effectiveDirective} ${event.blockedURI} line ${event.lineNumber}`);
});"""


@cache
def _axe():
    return Axe()


def violations(page):
    """What axe-core finds wrong with our part of a page, a line each."""
    found = _axe().run(page, context=OURS).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:150]} {node['target']}" for rule in found for node in rule["nodes"]
    ]


def apply_policy(page):
    """Open pages from now on under a policy that allows files of the server alone. Datasette's own scripts
    stand in its pages, so those are allowed one by one; ours may not."""

    def with_policy(route):
        if route.request.resource_type != "document":
            return route.continue_()
        response = route.fetch()
        outside = re.sub(r"<section class=\"content\">.*</section>", "", response.text(), flags=re.DOTALL)
        inline = re.findall(r"<script[^>]*>(.*?)</script>", outside, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline]
        allowed = " ".join(f"'sha256-{text}'" for text in hashes)
        policy = {"content-security-policy": f"{POLICY} script-src 'self' {allowed}"}
        return route.fulfill(response=response, headers=response.headers | policy)

    page.add_init_script(WATCH)
    page.route("**/*", with_policy)


def refused(page):
    """What the policy refused on this page, a line each."""
    return page.evaluate("window.refused ?? []")
