"""The curves show what the history holds, in a file that is whole, without touching pyplot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minilstm.backend.errors import ArgumentError
from minilstm.training.curves import curves
from minilstm.training.history import History

pytest.importorskip("matplotlib")
ROOT = Path(__file__).resolve().parents[2]


def history(epochs: int, validation: bool = True, metric: bool = True) -> History:
    h = History()
    for k in range(1, epochs + 1):
        h.append(epoch=k, train_loss=1 / k, train_acc=1 - 0.5 / k if metric else None,
                 val_loss=0.5 + abs(k - 3) / 10 if validation else None,
                 val_acc=0.9 - abs(k - 4) / 50 if validation and metric else None)
    return h


@pytest.mark.parametrize("epochs", [1, 2, 7, 25])
def test_two_panels(epochs: int) -> None:
    h = history(epochs)
    figure = curves(h)
    figure.canvas.draw()
    assert len(figure.axes) == 2
    for axes, kind in zip(figure.axes, ("loss", "acc")):
        train, val, best = axes.lines
        assert train.get_ydata().tolist() == h[f"train_{kind}"] and train.get_xdata().tolist() == h["epoch"]
        assert val.get_ydata().tolist() == h[f"val_{kind}"]
        assert list(best.get_xdata()) == [min(epochs, 4)] * 2
        assert axes.get_xlabel() == "Epoch" and axes.get_ylabel() and axes.get_title()
        shown = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
        assert shown and all(float(tick).is_integer() for tick in shown)
    [legend] = figure.legends           # below the panels, where it hides no data
    assert [text.get_text() for text in legend.get_texts()] == [
        "training", "validation", f"best epoch by validation accuracy: {min(epochs, 4)}"]
    below = legend.get_window_extent().ymax
    assert all(axes.get_window_extent().ymin > below for axes in figure.axes)


def test_without_validation_or_metric() -> None:
    figure = curves(history(3, validation=False))
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    assert figure.legends[0].get_texts()[-1].get_text() == "best epoch by training loss: 3"
    figure = curves(history(3, metric=False))
    assert [(axes.get_title(), len(axes.lines)) for axes in figure.axes] == [("Epoch vs loss", 3)]
    assert figure.legends[0].get_texts()[-1].get_text() == "best epoch by validation loss: 3"


def test_saving(tmp_path: Path) -> None:
    h = history(3)
    h.plot(tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    h.plot(tmp_path / "c.svg")
    assert b"<svg" in (tmp_path / "c.svg").read_bytes()
    h.plot(tmp_path / "plain")
    assert (tmp_path / "plain").read_bytes().startswith(b"\x89PNG")
    for bad in (tmp_path / "missing" / "c.png", tmp_path / "c.xyz", tmp_path):
        with pytest.raises(ArgumentError) as caught:
            h.plot(bad)
        assert str(bad) in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["c.png", "c.svg", "plain"]


def test_nothing_to_draw() -> None:
    with pytest.raises(ArgumentError, match="no epoch"):
        curves(History())


def test_matplotlib_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ArgumentError, match="pip install matplotlib"):
        curves(history(2))


def test_a_figure_shows_itself_and_pyplot_is_never_imported() -> None:
    code = ("import sys; from minilstm.training.history import History; assert 'matplotlib' not in sys.modules;"
            "h = History([dict(epoch=1, train_loss=1.0)]); png = h.plot()._repr_png_();"
            "assert png.startswith(b'\\x89PNG') and 'matplotlib.pyplot' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
