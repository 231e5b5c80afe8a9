"""Progress bars: in a terminal only, and not without tqdm."""

from __future__ import annotations

import io
import sys

import pytest
from training_cases import loaders, trainer

from minilstm.training import progress


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
    for show, stream in ((False, Terminal()), (True, io.StringIO())):
        monkeypatch.setattr(sys, "stderr", stream)
        trainer(progress=show).fit(*loaders(), epochs=1)
        assert stream.getvalue() == ""


def test_no_tqdm_no_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tqdm"] + ["tqdm", "tqdm.std"]:
        monkeypatch.setitem(sys.modules, name, None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert isinstance(progress.open_bar("x", 3), progress.NoBar)
    trainer(verbose=True).fit(*loaders(), epochs=1)
    assert terminal.getvalue() == "" and capsys.readouterr().out.startswith("Epoch 1: ")
