"""bench_strong: its batches, that both models are the same, and what it prints. No times."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def bench(program: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """bench_strong, with a small model."""
    module = program("bench_strong")
    small = {**module.SETTINGS, "num_words": 30, "embedding_size": 3, "hidden_size": 5, "max_length": 9, "head": 2}
    for name, value in {"SETTINGS": small, "V": 30, "D": 3, "H": 5}.items():
        monkeypatch.setattr(module, name, value)
    return module


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    with open(tmp_path / "reviews.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        writer.writerows([" ".join(rng.choice(list("abcdefgh"), rng.integers(1, 15))), ("negative", "positive")[k % 2]]
                         for k in range(200))
    return tmp_path / "reviews.csv"


@pytest.mark.parametrize("packed", [True, False])
def test_both_models_start_alike_and_learn(bench: Any, reviews: Path, packed: bool) -> None:
    pytest.importorskip("torch", reason="the oracles extra is not installed")
    (batch, *_), ours, theirs = bench.batches(str(reviews), 2), bench.Ours(True), bench.Theirs(packed)
    x = batch[0]
    assert x.shape == (64, batch[2].max())
    before = ours.evaluate(x, batch)[:, 0]
    full = batch[2] == x.shape[1] if not packed else slice(None)        # padding changes the other rows
    np.testing.assert_allclose(before[full], theirs.evaluate(x, batch).numpy()[full], rtol=1e-5)
    for one in (ours, theirs):
        one.train(x, batch)
    assert abs(ours.evaluate(x, batch)[:, 0] - before).max() > 1e-5 < abs(theirs.evaluate(x, batch).numpy() - before).max()


@pytest.mark.parametrize("options, names", [([], ("minilstm", "PyTorch")), (["--packed"], ("minilstm", "PyTorch packed")),
                                            (["--average"], ("minilstm averaged", "minilstm"))])
def test_what_it_prints(bench: Any, reviews: Path, options: list[str], names: tuple[str, str],
                        capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the oracles extra is not installed")
    monkeypatch.setattr(bench, "PAUSE", 0.0)
    monkeypatch.setattr(sys, "argv", ["bench_strong", "--data", str(reviews), "--pairs", "2", "--steps", "1", *options])
    assert bench.main() == 0
    out = capsys.readouterr().out
    for what in ("training", "evaluation"):
        assert re.search(rf"^{what} +{names[0]} \d+\.\d ms  {names[1]} \d+\.\d ms  ratio \d+\.\d\d \(\d+\.\d\d to ", out, re.M)
