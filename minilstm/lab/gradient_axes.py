"""What the figures of the laboratory have in common: panels, axes, curves, colours, sizes for slides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minilstm.backend.errors import ArgumentError
from minilstm.lab.cells import CELLS
from minilstm.lab.gradient_tables import DEFAULT
from minilstm.training.curves import legend_below, new_figure

if TYPE_CHECKING:
    import pandas

PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"       # Okabe & Ito
GREY, BLACK = "#777777", "#222222"
PROBLEM_TITLES = {"imdb": "IMDB, reviews without padding", "adding": "adding problem"}
BACK = "time steps before the last one"
SMOOTH = 40                 # windows of a curve over training steps


def new_panels(count: int, columns: int, width: float = 6.5, height: float = 4.4,
               sharey: bool = False) -> tuple[Any, list[Any]]:
    """Return a figure and the axes of its panels, ``width`` by ``height`` inches, ``columns`` in a row."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(width * columns, height * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def label_left(panels: Sequence[Any], words: str) -> None:
    """Label the vertical axis of the first panel in each row."""
    for axes in panels:
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel(words, fontsize=14)


def titled(figure: Any, problem: str, words: str = "") -> Any:
    """Write above all panels what was measured, and their legend below them; return the figure."""
    figure.suptitle(PROBLEM_TITLES[problem] + (": " + words if words else ""), fontsize=13, color=GREY)
    legend_below(figure)
    return figure


def default_rows(frame: pandas.DataFrame, problem: str) -> pandas.DataFrame:
    """Return the default variant's rows of a problem."""
    own = frame[(frame["problem"] == problem) & (frame["variant"] == DEFAULT)]
    if not len(own):
        raise ArgumentError(f"draw: there is no trial of the problem {problem!r}")
    return own


def cells_of(frame: pandas.DataFrame) -> list[str]:
    """Return the cells that a table has rows of, the RNN first."""
    return [cell for cell in CELLS if (frame["cell"] == cell).any()]


def first_and_last(frame: pandas.DataFrame) -> list[int]:
    """Return the first and the last reading's number of training steps (one number if they are the same)."""
    return sorted({int(frame["step"].min()), int(frame["step"].max())})


def when(step: int) -> str:
    """Return a reading's moment in words."""
    return "before training" if step == 0 else f"after {step:,} training steps"


def shades(count: int) -> Sequence[Any]:
    """Return ``count`` colours from dark to light, also for colour-blind readers and in grey."""
    from matplotlib import colormaps
    return list(colormaps["viridis"](np.linspace(0.0, 0.88, count)))


def curve(axes: Any, back: Any, norm: Any, **look: Any) -> None:
    """Draw the values that a logarithmic axis can show."""
    back, norm = np.asarray(back), np.asarray(norm, float)
    axes.plot(back, np.where(norm > 0, norm, np.nan), **{"linewidth": 2.5, **look})


def time_axis(axes: Any, frame: pandas.DataFrame, title: str) -> None:
    """Finish a panel of gradients over time: the loss at its right end, the first state at its left one."""
    log_axis(axes)
    axes.set_xlim(int(frame["back"].max()), 0)
    finish(axes, title, BACK)


def loss_curve(axes: Any, training: pandas.DataFrame, **look: Any) -> None:
    """Draw the running mean of one trial's loss."""
    if len(training):
        mean = training["loss"].rolling(window(training), min_periods=1).mean()
        axes.plot(training["step"], mean, **{"linewidth": 2.5, **look})


def window(training: pandas.DataFrame) -> int:
    """Return how many training steps are taken together in a curve over them."""
    return max(1, int(training["step"].max() + 1) // SMOOTH)


def loss_axis(axes: Any, title: str) -> None:
    """Finish a panel of loss curves that are drawn already."""
    log_axis(axes)                  # otherwise the first few steps would compress all others
    finish(axes, title, "training step", "training loss (running mean)")


def log_axis(axes: Any) -> None:
    """Make the vertical axis of a panel that is drawn already logarithmic.

    Its ticks are powers of ten, or plain numbers where fewer than two of them would be seen.
    """
    from matplotlib.ticker import LogLocator, NullLocator
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_minor_locator(NullLocator())
    if high < 100 * low and low > 1e-4:
        digits = (1, 2, 3, 5) if high > 3 * low else tuple(range(1, 10))
        axes.yaxis.set_major_locator(LogLocator(subs=digits))
        axes.yaxis.set_major_formatter("{x:g}")


def finish(axes: Any, title: str = "", x: str = "", y: str = "") -> None:
    """Set a panel's title and labels, and what all panels have."""
    if title:
        axes.set_title(title, fontsize=15)
    if x:
        axes.set_xlabel(x, fontsize=14)
    if y:
        axes.set_ylabel(y, fontsize=14)
    axes.tick_params(labelsize=12)
    axes.grid(True, alpha=0.3)
