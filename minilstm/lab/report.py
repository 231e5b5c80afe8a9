"""A report as one self-contained HTML file: no scripts, no network access, embedded figures.

A report is a list of sections, a section a list of blocks (text, list, equations, table, figure, program text). The template
in templates/report.html defines their appearance and escapes everything that comes from data. jinja2 and matplotlib are
imported when a report is written.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minilstm.backend.errors import ArgumentError
from minilstm.training.atomic_write import PathLike, atomic_write

if TYPE_CHECKING:
    import pandas

TEMPLATES = Path(__file__).parent / "templates"
DPI = 110           # of figures in a report: sharp on a laptop's screen, small in the file
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: Sequence[str]
    kind: str = "items"


@dataclass(frozen=True)
class Findings(Items):
    """Sentences that were computed from a section's numbers; the conclusions collect them."""


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: str = "heading"


@dataclass(frozen=True)
class Equations:
    """Equations in the library's plain notation, (equation, what it is) each; see ``typeset``."""

    lines: Sequence[tuple[str, str]]
    title: str = ""
    kind: str = "equations"


@dataclass(frozen=True)
class Code:
    """Lines of text in a fixed-width font."""

    text: str
    kind: str = "code"


@dataclass(frozen=True)
class Quote:
    """A quotation, with a line about it."""

    text: str
    about: str
    kind: str = "quote"


@dataclass(frozen=True)
class Table:
    """A table with its caption; rows are texts, ``bold`` holds the numbers of the rows in bold type."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    bold: Sequence[int] = ()
    kind: str = "table"

    @classmethod
    def of(cls, frame: pandas.DataFrame, caption: str, bold: Sequence[int] = ()) -> Table:
        """Return the table of a DataFrame; None and NaN become empty cells."""
        rows = [["" if value is None or value != value else str(value) for value in row] for row in frame.values.tolist()]
        return cls([str(name) for name in frame.columns], rows, caption, bold)


@dataclass(frozen=True)
class Figure:
    """A picture (PNG) with its caption and an alternative text.

    It shrinks with the page; a wide one only as far as it stays readable, and then scrolls in its own box.
    """

    png: bytes
    caption: str
    alt: str = ""
    wide: bool = False
    kind: str = "figure"

    @property
    def width(self) -> int:
        """The least width on the page of a wide picture, in CSS pixels: 0.6 of its own, where its 10 points are still 9."""
        return int.from_bytes(self.png[16:20], "big") * 3 // 5

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")

    @classmethod
    def of(cls, figure: Any, caption: str, alt: str = "", wide: bool = False) -> Figure:
        """Return the block of a matplotlib Figure."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI)
        return cls(buffer.getvalue(), caption, alt, wide)

    @classmethod
    def read(cls, path: PathLike, caption: str, alt: str = "", wide: bool = False) -> Figure:
        """Return the block of a PNG file. Raises ArgumentError naming the file, if it is not one."""
        try:
            png = Path(path).read_bytes()
        except OSError as error:
            raise ArgumentError(f"{path}: cannot be read: {error.strerror}") from None
        if not png.startswith(PNG):
            raise ArgumentError(f"{path}: is not a PNG file")
        return cls(png, caption, alt, wide)


Block = Text | Heading | Items | Equations | Code | Quote | Table | Figure


@dataclass
class Section:
    """A heading and the blocks below it."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The section's anchor in the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def typeset(text: str) -> str:
    """Return an equation of the library's notation as HTML: _x and _{...} as subscripts, ^{...} as superscripts.

    Everything else is escaped, so the result is safe in a page.
    """
    escaped = html.escape(text)
    escaped = re.sub(r"_\{([^{}]*)\}|_([^\W_])", lambda m: f"<sub>{m[1] or m[2]}</sub>", escaped)
    return re.sub(r"\^\{([^{}]*)\}|\^([^\W_])", lambda m: f"<sup>{m[1] or m[2]}</sup>", escaped)


def render(title: str, subtitle: str, sections: Iterable[Section]) -> str:
    """Return the page. Raises ArgumentError where jinja2 is missing."""
    try:
        import jinja2
    except ImportError:
        raise ArgumentError("writing a report needs jinja2: pip install -e \".[examples]\"") from None
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["typeset"] = lambda text: jinja2.filters.Markup(typeset(text))
    return environment.get_template("report.html").render(title=title, subtitle=subtitle, sections=list(sections))


def write_report(path: PathLike, title: str, subtitle: str, sections: Iterable[Section]) -> None:
    """Write the page to a file, whole or not at all."""
    atomic_write(path, [render(title, subtitle, sections).encode("utf-8")])


def outside_references(page: str) -> list[str]:
    """Return the external resources that a page would load; a report that works offline has none.

    Looks at every attribute that names a resource and at url(...) and @import in styles; links within the page and data URIs
    are inside.
    """
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            for name, value in attributes:
                if name in RESOURCES and value and not value.startswith(("#", "data:")):
                    found.append(f"{tag} {name}={value[:80]}")
                if name == "style":
                    styles.append(value or "")
            if tag == "script":
                found.append("script")

    styles = re.findall(r"<style[^>]*>(.*?)</style>", page, re.S | re.I)
    Reader().feed(page)
    for style in styles:
        found += [f"style {what[:80]}" for what in re.findall(r"@import[^;]*|url\(\s*(?!['\"]?data:)[^)]*\)", style)]
    return found


RESOURCES = ("src", "href", "srcset", "poster", "data", "action", "background", "xlink:href", "manifest", "ping", "formaction")
