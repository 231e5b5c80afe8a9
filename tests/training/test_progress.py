"""Progress bars: in a terminal or notebook only, and not without tqdm; pictures in a notebook."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from training_cases import loaders, trainer

from minilstm.training import progress
from minilstm.training.curves import new_figure, show


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_in_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    trainer(verbose=True).fit(*loaders(), epochs=1)
    assert "Epoch 1/1" in terminal.getvalue() and "Validation" in terminal.getvalue()
    assert capsys.readouterr().out.startswith("Epoch 1: Train Loss=")
    for wanted, stream in ((False, Terminal()), (True, io.StringIO())):
        monkeypatch.setattr(sys, "stderr", stream)
        trainer(progress=wanted).fit(*loaders(), epochs=1)
        assert stream.getvalue() == ""


def test_no_tqdm_no_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tqdm"] + ["tqdm", "tqdm.std"]:
        monkeypatch.setitem(sys.modules, name, None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert isinstance(progress.open_bar("x", 3), progress.NoBar)
    trainer(verbose=True).fit(*loaders(), epochs=1)
    assert terminal.getvalue() == "" and capsys.readouterr().out.startswith("Epoch 1: ")


# In a notebook -------------------------------------------------------------------------------------------------------


class Handle:
    """What IPython's display returns for an output that can be replaced."""

    def __init__(self, shown: Any) -> None:
        self.shown = [shown]

    def update(self, shown: Any, raw: bool) -> None:
        self.shown.append(shown)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The outputs of a notebook cell that is running: what a stand-in for IPython is asked to display."""
    shown: list[Any] = []

    def display(*objects: Any, **options: Any) -> Any:
        shown.extend(Handle(one) if options else one for one in objects)
        return shown[-1]
    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    shell = SimpleNamespace(kernel=object(), execution_count=7)
    vars(ipython).update(get_ipython=lambda: shell, shell=shell, version_info=(9, 0))      # matplotlib asks for it
    vars(module).update(display=display, Image=lambda filename: f"picture {filename}")
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(progress.CellLine, "handles", {})
    return shown


def test_the_bars_of_a_notebook_cell_share_one_line(outputs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    run = trainer(verbose=True)
    run.fit(*loaders(), epochs=2)
    [line] = outputs
    texts = [shown["text/plain"] for shown in line.shown]
    assert texts[0].startswith("Epoch 1/2:   0%") and "Validation:   0%" in "".join(texts)
    assert texts[-1] == "" and "\r" not in "".join(texts)      # no finished bar stays
    assert capsys.readouterr().err == ""
    sys.modules["IPython"].shell.execution_count = 8        # the next cell has its own
    run.evaluate(loaders()[1])
    assert len(outputs) == 2


def test_pictures_are_shown_in_a_notebook_only(outputs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    figure = new_figure(1, 1)
    show(figure, Path("a.png"))
    assert outputs == [figure, "picture a.png"]
    sys.modules["IPython"].shell.kernel = None              # IPython in a terminal
    show(figure)
    assert len(outputs) == 2
