"""Does a page work offline? The external resources that it would load."""

from __future__ import annotations

import re
from html.parser import HTMLParser

RESOURCES = ("src", "href", "srcset", "poster", "data", "action", "background", "xlink:href", "manifest",
             "ping", "formaction")


def outside_references(page: str) -> list[str]:
    """Return the external resources that a page would load; a report that works offline has none.

    Looks at every attribute that names a resource and at url(...) and @import in styles; links within the
    page, or to a page beside it, and data URIs are inside.
    """
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            for name, value in attributes:
                beside = tag == "a" and re.fullmatch(r"[\w-]+\.html", value or "")     # a link to a page in the same folder
                if name in RESOURCES and value and not value.startswith(("#", "data:")) and not beside:
                    found.append(f"{tag} {name}={value[:80]}")
                if name == "style":
                    styles.append(value or "")
            if tag == "script":
                found.append("script")

    styles = re.findall(r"<style[^>]*>(.*?)</style>", page, re.S | re.I)
    Reader().feed(page)
    for style in styles:
        outside = re.findall(r"@import[^;]*|url\(\s*(?!['\"]?data:)[^)]*\)", style)
        found += [f"style {reference[:80]}" for reference in outside]
    return found
