"""bench_reliability: what it compares is what it says, and it prints a line for each measure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minilstm as ml


@pytest.fixture
def module(program: Callable[[str], Any], imdb: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("pandas", reason="compares with pandas")
    module = program("bench_reliability")
    settings = module.ReferenceSettings(num_words=imdb.V, embedding_size=imdb.D, hidden_size=imdb.H)
    monkeypatch.setattr(module, "ReferenceSettings", lambda: settings)
    return module


def test_a_line_for_each_measure(module: Any, encoded: Path, monkeypatch: pytest.MonkeyPatch,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench_reliability", "--data", str(encoded.with_name("reviews.csv")), "--pairs", "1"])
    assert module.main() == 0
    lines = capsys.readouterr().out.splitlines()
    measures = [*(["Memory"] if module.STATM.exists() else []), "Guard", "CSV"]
    assert [line.partition(":")[0] for line in lines[1:]] == measures and "67 reviews" in lines[-1]


def test_without_the_guard_there_really_is_none(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure without it must leave it out, or the ratio says nothing: a NaN then goes unseen."""
    loader = ml.DataLoader(np.ones((4, 3), np.int32), np.float32([0, 1, 0, 1]), batch_size=2)
    calls: list[str] = []
    real = module.guarded.clip_grad_norm
    monkeypatch.setattr(module.guarded, "clip_grad_norm",
                        lambda *given, **options: calls.append("norm") or real(*given, **options))

    def once(first: Any, second: Any, pairs: int) -> Any:
        first()
        with_guard, _ = len(calls), calls.clear()
        second()
        assert with_guard == 2 and not calls
        return [1.0], [1.0]
    monkeypatch.setattr(module, "compare", once)
    assert "1.000" in module.guard(loader, 1)
