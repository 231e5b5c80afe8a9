"""Figures: epoch vs loss and epoch vs accuracy, large enough to be read from the back of a lecture hall.

Matplotlib is imported only when a figure is drawn, and only its object-oriented interface is used: pyplot's
global list of figures is never touched, so a training run needs no display and leaks no memory.
"""

from __future__ import annotations

import io
import os
from typing import Any

from minilstm.backend.errors import ArgumentError, reason_of
from minilstm.backend.notebook import in_notebook
from minilstm.backend.paths import as_path
from minilstm.training.atomic_write import PathLike, atomic_write

TRAIN, VALIDATION = "#0072B2", "#D55E00"        # blue, vermilion: safe for colour-blind readers (Okabe & Ito)
BEST = "#444444"
DPI = 150


def curves(history: Any, path: PathLike | None = None) -> Any:
    """Draw loss and, if measured, accuracy over the epochs of a ``History``, and mark the best epoch.

    Returns the matplotlib Figure, which a notebook displays if it is the last expression of a cell. With
    ``path`` it is also saved, atomically, in the format given by the file's extension (png, pdf, svg, ...;
    png without one). Raises ArgumentError if there is no epoch to draw, matplotlib is missing, or the file
    cannot be written.
    """
    if not len(history):
        raise ArgumentError("curves: the history has no epoch yet, there is nothing to draw")
    kinds = [kind for kind in ("loss", "acc") if history[f"train_{kind}"] != [None] * len(history)]
    figure = new_figure(6 * len(kinds), 4.8)
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds):
        draw_epochs(axes, history, kind)
    legend_below(figure)
    if path is not None:
        save_figure(figure, path)
    return figure


def draw_epochs(axes: Any, history: Any, kind: str) -> None:
    """Draw epoch vs loss (``kind`` "loss") or accuracy ("acc") into a panel, with the best epoch."""
    title = {"loss": "Loss", "acc": "Accuracy"}[kind]
    epochs, best = history["epoch"], history.best
    for name, label, colour, marker in ((f"train_{kind}", "training", TRAIN, "o"),
                                        (f"val_{kind}", "validation", VALIDATION, "s")):
        points = [(epoch, value) for epoch, value in zip(epochs, history[name]) if value is not None]
        if points:
            axes.plot(*zip(*points), color=colour, marker=marker, markersize=6, linewidth=2.5, label=label)
    axes.axvline(best["epoch"], color=BEST, linestyle="--", linewidth=1.5, zorder=1,
                 label=f"best epoch by {history.measure}: {best['epoch']}")
    axes.set_title(f"Epoch vs {title.lower()}", fontsize=17)
    axes.set_xlabel("Epoch", fontsize=15)
    axes.set_ylabel(title, fontsize=15)
    axes.tick_params(labelsize=13)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.grid(True, alpha=0.3)


def legend_below(figure: Any) -> None:
    """Put one legend of all panels, with each label once, below them, where it hides no data."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    for columns in range(len(handles), 0, -1):      # as wide as fits
        legend = figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns,
                               fontsize=12, frameon=False)
        size = legend.get_window_extent()
        if columns == 1 or size.width < 0.97 * figure.bbox.width:
            # The panels keep their height.
            figure.set_figheight(figure.get_figheight() + size.height / figure.dpi)
            return
        legend.remove()


def save_figure(figure: Any, path: PathLike) -> None:
    """Save a figure to ``path``, atomically. Raises ArgumentError, naming the file, if that fails."""
    where = os.fspath(path := as_path("figure", path))
    extension = os.path.splitext(where)[1].lstrip(".").lower()
    buffer = io.BytesIO()
    try:
        figure.savefig(buffer, format=extension or "png", dpi=DPI)
        atomic_write(path, [buffer.getvalue()])
    except (OSError, ValueError) as error:
        reason = " ".join(reason_of(error).split())
        raise ArgumentError(f"{where}: the figure cannot be written: {reason}") from None


def show(*pictures: Any) -> None:
    """Show figures, or the PNG files at paths, below a notebook's running cell; elsewhere do nothing."""
    if in_notebook():
        from IPython.display import Image, display
        for picture in pictures:
            display(picture if hasattr(picture, "savefig") else Image(filename=os.fspath(picture)))


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure, its size in inches.

    A notebook can display it even if pyplot was never imported. Raises ArgumentError if matplotlib is
    missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ArgumentError("drawing needs matplotlib: pip install matplotlib") from None

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=DPI / 2)
            return buffer.getvalue()

    return NotebookFigure(figsize=(width, height), layout="constrained")
