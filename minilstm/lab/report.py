"""A report as one self-contained HTML file: no scripts, no network access, embedded figures.

A report is a list of sections, a section a list of blocks. The template in templates/report.html defines
their appearance and escapes everything that comes from data.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minilstm.backend.errors import ArgumentError
from minilstm.training.atomic_write import PathLike, atomic_write

if TYPE_CHECKING:
    import pandas

TEMPLATES = Path(__file__).parent / "templates"
DPI = 110           # of figures in a report: sharp on a laptop's screen, small in the file
PIXELS = 73         # of the screen for an inch of a figure: letters of 12 points are 12 pixels high


class Block:
    """A part of a section."""

    @property
    def kind(self) -> str:
        """What the template calls it."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Text(Block):
    """A paragraph, or a link to a page beside this one."""

    text: str
    href: str = ""


@dataclass(frozen=True)
class Items(Block):
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Findings(Block):
    """Sentences computed from a section's numbers. The first of them stands in the conclusions, too."""

    items: Sequence[str]


@dataclass(frozen=True)
class Heading(Block):
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Equations(Block):
    """Equations in the library's plain notation, (equation, what it is) each; see ``typeset``."""

    lines: Sequence[tuple[str, str]]
    title: str = ""


@dataclass(frozen=True)
class Quote(Block):
    """A quotation, with a line about it."""

    text: str
    about: str


@dataclass(frozen=True)
class Table(Block):
    """A table with its caption; rows are texts, ``bold`` holds the numbers of the rows in bold type."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    bold: Sequence[int] = ()

    @property
    def wide(self) -> bool:
        """Whether its rows are too long for a phone, where each value then gets a line of its own."""
        first = max((len(word) for row in self.rows for word in row[0].split()), default=0)
        return first + sum(max(map(len, column)) for column in list(zip(*self.rows))[1:]) > 40

    @classmethod
    def of(cls, frame: pandas.DataFrame, caption: str, bold: Sequence[int] = ()) -> Table:
        """Return the table of a DataFrame; None and NaN become empty cells."""
        def text(value: Any) -> str:
            return "" if value is None or value != value else str(value)
        rows = [[text(value) for value in row] for row in frame.values.tolist()]
        return cls([str(name) for name in frame.columns], rows, caption, bold)


@dataclass(frozen=True)
class Figure(Block):
    """A picture (WebP) with its caption, an alternative text, and the same picture drawn for a phone.

    ``width``: in pixels of the screen; ``heat``: colours that a dark scheme must not invert.
    """

    picture: bytes
    caption: str
    alt: str = ""
    narrow: bytes | None = None
    width: int = 0
    heat: bool = False

    @classmethod
    def of(cls, figure: Any, caption: str, alt: str = "", narrow: Any = None, heat: bool = False) -> Figure:
        """Return the block of a matplotlib Figure, and of another one, ``narrow``, for a phone."""
        return cls(_webp(figure), caption, alt, None if narrow is None else _webp(narrow),
                   round(PIXELS * figure.get_figwidth()), heat)


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
    """Return text as HTML: h_t, w_{nx}, h_t^2 of one-letter symbols as such, 1.1e-21 as a power.

    Everything else is escaped, so the result is safe in a page.
    """
    text = re.sub(r"(?<=\d) (?=%)", "\u00a0", text.replace("/∂", "/\u2060∂"))      # where no line may break
    text = re.sub(r"(?<!\w)([^\W\d_]\u0303?)_(?:\{([^{}]*)\}|([^\W_]|max)(?!\w))",
                  lambda m: f"{m[1]}<sub>{m[2] or m[3]}</sub>", html.escape(text))
    text = re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-])0*(\d+)\b",
                  lambda m: f"{m[1]}\u00a0×\u00a010^{{{m[2].strip('+')}{m[3]}}}", text)
    return re.sub(r"\^(?:\{([^{}]*)\}|(-?\d+|[^\W_]))",
                  lambda m: f"<sup>{(m[1] or m[2]).replace('-', '−')}</sup>", text)


def _webp(figure: Any) -> bytes:
    buffer = io.BytesIO()
    # Less than half of a PNG's bytes.
    figure.savefig(buffer, format="webp", dpi=DPI, pil_kwargs={"lossless": True})
    return buffer.getvalue()


def _uri(picture: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture).decode("ascii")


def render(title: str, subtitle: str, sections: Iterable[Section]) -> str:
    """Return the page. Raises ArgumentError where jinja2 is missing."""
    try:
        import jinja2
    except ImportError:
        raise ArgumentError("writing a report needs jinja2: pip install -e \".[examples]\"") from None
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["typeset"] = lambda text: jinja2.filters.Markup(typeset(text))
    environment.filters["uri"] = _uri
    template = environment.get_template("report.html")
    return template.render(title=title, subtitle=subtitle, sections=list(sections))


def write_report(path: PathLike, title: str, subtitle: str, sections: Iterable[Section]) -> None:
    """Write the page to a file, whole or not at all."""
    atomic_write(path, [render(title, subtitle, sections).encode("utf-8")])
