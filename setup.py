"""What pyproject.toml cannot say: the README as a package index shows it, and the project's addresses.

Relative links and pictures lead nowhere on PyPI. GitHub Actions tells a build which repository and commit it
is made from, so there they become absolute. Any other build knows no address: its description has the text of
these links, and no pictures.
"""

import os
import re
from pathlib import Path

from setuptools import setup

PICTURE = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)]+)\)\n*")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")


def description(readme: str, repository: str | None, commit: str | None) -> str:
    """The README with absolute links, or without links where the repository (OWNER/NAME) is not known."""
    if not repository:
        return LINK.sub(r"\1", PICTURE.sub("", readme))
    pictures = rf"![\1](https://raw.githubusercontent.com/{repository}/{commit}/\2)\n\n"
    return LINK.sub(rf"[\1](https://github.com/{repository}/blob/{commit}/\2)", PICTURE.sub(pictures, readme))


def urls(repository: str | None) -> dict[str, str]:
    """What PyPI lists beside the description."""
    if not repository:
        return {}
    home = f"https://github.com/{repository}"
    return {"Homepage": home, "Changelog": f"{home}/blob/main/CHANGELOG.md", "Issues": f"{home}/issues"}


if __name__ == "__main__":  # as a build backend runs it
    origin = os.environ.get("GITHUB_REPOSITORY")
    readme = Path(__file__).with_name("README.md").read_text("utf-8")
    setup(
        long_description=description(readme, origin, os.environ.get("GITHUB_SHA")),
        long_description_content_type="text/markdown",
        project_urls=urls(origin),
    )
