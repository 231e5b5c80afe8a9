"""bench_imdb: its data, its models, the arithmetic of its report. No times."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clock import Clock


def test_reviews_become_batches(imdb: Any, encoded: Path) -> None:
    x, y = np.load(f"{encoded}.npy"), np.load(f"{encoded}-y.npy")
    assert x.shape == (67, 11) and x.dtype == np.int32 and y.shape == (67,) and y.dtype == np.float32 and y.sum() == 33
    data = imdb.batches(encoded, 12)
    assert [a.shape for a, _ in data] == [(7, 11)] * 12 and [b.shape for _, b in data] == [(7,)] * 12
    for number, (a, b) in enumerate(data[:8]):
        assert (a == x[7 * number:7 * number + 7]).all() and (b == y[7 * number:7 * number + 7]).all()
    short, _ = imdb.batches(encoded, 1, words=2, tokens=4)[0]
    assert short.shape == (7, 4) and not short[:, :2].any() and short[:, 2:].all()
    assert (short[0, 2:] == data[0][0][0][data[0][0][0] != 0][:2]).all()


@pytest.mark.parametrize("init", ["default", "uniform"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_both_models_start_alike_and_learn(cell: str, init: str, imdb: Any, encoded: Path) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    data = imdb.batches(encoded, 2)
    train, evaluate = imdb.torch_model(cell, init)
    theirs = inspect.getclosurevars(train).nonlocals["model"]
    ours = imdb.reference_model(imdb.ReferenceSettings(cell, 23, 3, 5, init=init))
    with torch.no_grad():
        _, state = theirs.cell(theirs.embedding(torch.from_numpy(data[0][0])))
    np.testing.assert_allclose(ours[:2](data[0][0]), (state[0] if cell == "lstm" else state)[-1].numpy(), rtol=0, atol=1e-6)
    fast, readable = (imdb.minilstm_model(cell, fast, init)[0] for fast in (True, False))
    models = [inspect.getclosurevars(run).nonlocals["model"] for run in (fast, readable)]
    assert [model[1].fast for model in models] == [True, False]
    values: list[Callable[[], list[np.ndarray]]] = [
        lambda: [parameter.detach().numpy().copy() for parameter in theirs.parameters()],
        *(lambda model=model: [value.copy() for value in model.named_parameters().values()] for model in models)]
    for run, read in zip((train, fast, readable), values):
        before = read()
        run(*data[0])
        assert all((a != b).any() for a, b in zip(before, read()))
    trained = [read() for read in values]
    evaluate(*data[1])
    imdb.minilstm_model(cell)[1](*data[1])
    assert all((a == b).all() for read, then in zip(values, trained) for a, b in zip(read(), then))


def test_imdb_turns_and_report(imdb: Any, encoded: Path, monkeypatch: pytest.MonkeyPatch,
                               capsys: pytest.CaptureFixture[str]) -> None:
    clock, data = Clock(imdb, monkeypatch), imdb.batches(encoded, 2)
    ours, theirs = clock.run(9, 9, 1, 1, 4, 4, 9, 9), clock.run(9, 9, 4, 4, 2, 2, 3, 3)
    times = imdb.compare({"minilstm": lambda x, y: ours(), "PyTorch": lambda x, y: theirs()}, data, 3, pause=0)
    assert times == {"minilstm": [1, 4, 9], "PyTorch": [4, 2, 3]}
    imdb.report("training", times, 12e9, 70)
    words = capsys.readouterr().out
    assert "minilstm / PyTorch 2.00 (0.25 to 3.00)" in words and "GFLOP/s: minilstm 3, PyTorch 4, sgemm alone 70" in words


def test_peak_memory_is_that_of_a_process_that_trains(imdb: Any, encoded: Path) -> None:
    assert 20 < imdb.peak_memory("minilstm", "gru", encoded, 1) < 2000     # MB; the child has the reference model's sizes


def test_vanished_gradients_are_timed_against_both_pytorches(imdb: Any, encoded: Path, monkeypatch: pytest.MonkeyPatch,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="the oracles extra is not installed")
    seen: list[dict[str, int]] = []

    def compare(runs: dict[str, Any], data: list[Any], pairs: int) -> dict[str, list[float]]:
        seen.append({name: len(data) for name in runs})
        return {name: [0.5] * pairs for name in runs}
    monkeypatch.setattr(imdb, "VANISHING", {"GRU, first steps": ("gru", "default", 0), "later": ("lstm", "uniform", 2)})
    monkeypatch.setattr(imdb, "compare", compare)
    monkeypatch.setattr(imdb, "sgemm_peak", lambda: 1.0)
    imdb.vanishing(encoded, 2, True)
    assert seen == [dict.fromkeys(["minilstm", "PyTorch", "PyTorch flushed"], 1)] * 2
    out = capsys.readouterr().out
    assert "GRU, first steps    minilstm 500.0 ms" in out and out.count("minilstm / PyTorch flushed 1.00") == 2


def test_flushing_ends_with_the_step(imdb: Any) -> None:
    pytest.importorskip("torch", reason="the oracles extra is not installed")
    one, inside = np.float64(1), []

    def step(tiny: Any, _: Any) -> None:
        inside.append((tiny * one).tobytes())
        raise ValueError
    with pytest.raises(ValueError):
        imdb.flushing(step)(np.float64(5e-324), None)
    assert inside == [bytes(8)] and (np.float64(5e-324) * one).tobytes() != bytes(8)


def test_the_processor_has_a_name(imdb: Any) -> None:
    assert imdb.processor()
