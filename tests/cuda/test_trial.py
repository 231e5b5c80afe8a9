"""Kernels are compared with the readable functions before their first use; wrong ones are warned of and not used."""

from __future__ import annotations

import shutil
import warnings
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.cells.gates import SequencePair
from minilstm.command_line import doctor
from minilstm.kernels import cuda
from minilstm.kernels.cuda import trial

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="kernels are emulated with g++, which is not installed")
CELLS = {"lstm": ml.LSTM, "gru": ml.GRU, "rnn": ml.RNN}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has used no kernel yet."""
    monkeypatch.setattr(trial, "_reasons", {})


def results(layer: Any, x: Any) -> list[np.ndarray]:
    y = layer(x)
    return [ml.to_numpy(a) for a in (y, layer.backward(y * 0 + 1), *layer.grads.values())]


@pytest.mark.parametrize("family", trial.FAMILIES)
def test_the_kernels_pass_once(family: str, standin: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(trial.trusted(family, dtype) for dtype in (np.float32, np.float64))
    with standin.counted() as counts:
        assert trial.trusted(family, np.float32)
    assert counts.launches == counts.syncs == 0


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("wrong", ["forward", "backward", "NaN", "raises", "shape"])
def test_wrong_kernels_are_replaced_by_the_readable_functions(cell: str, wrong: str, standin: Any,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    right = cuda.PAIRS[cell]

    def forward(*arguments: Any, **options: Any) -> Any:
        if wrong == "raises":
            raise RuntimeError("CUDA_ERROR_NO_BINARY_FOR_GPU:\nno kernel image")
        h, *rest = right.forward(*arguments, **options)
        return (h * 1.01 if wrong == "forward" else h * np.nan if wrong == "NaN" else h[:1] if wrong == "shape" else h, *rest)

    def backward(*arguments: Any, **options: Any) -> Any:
        *first, db = right.backward(*arguments, **options)
        return (*first, db + 1e-2 if wrong == "backward" else db)
    monkeypatch.setitem(cuda.PAIRS, cell, SequencePair(forward, backward))
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    want = results(CELLS[cell](3, 32, rng=0), x)
    layer = CELLS[cell](3, 32, rng=0).to("cupy")
    with pytest.warns(UserWarning, match=f"CUDA kernels of {cell} are not used in float32.*minilstm doctor") as heard:
        for _ in range(2):
            layer.zero_grad()
            got = results(layer, ml.asarray(x, "cupy"))
    assert len(heard) == 1 and "\n" not in str(heard[0].message)
    for mine, theirs in zip(got, want):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        finding = doctor.examine_kernels()
    assert not finding.healthy and f"{cell} in float32" in finding.text


@pytest.mark.parametrize(("family", "name"), [("embedding", "add_on_device"), ("adam", "adam_on_device")])
def test_the_other_kernels(family: str, name: str, standin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(trial, name)

    def wrong(first: Any, *rest: Any, **options: Any) -> None:
        right(first * 2 if family == "embedding" else first, *rest, **options)
        first += 1e-2
    monkeypatch.setattr(trial, name, wrong)

    def trained(backend: str) -> list[np.ndarray]:
        model = ml.Sequential(ml.Embedding(5, 3, rng=0), ml.Linear(3, 1, rng=1)).to(backend)
        optimizer, criterion = ml.Adam(model, lr=0.1), ml.MSELoss()
        for _ in range(3):
            model.zero_grad()
            criterion(model(ml.asarray(np.array([[1, 2, 2]]), backend)), ml.asarray(np.ones((1, 3, 1), np.float32), backend))
            model.backward(criterion.backward())
            optimizer.step()
        return list(model.state_dict().values())
    with pytest.warns(UserWarning, match=f"CUDA kernels of {family} are not used"):
        there = trained("cupy")
    for mine, theirs in zip(there, trained("numpy")):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_the_doctor_says_what_was_compared(standin: Any) -> None:
    finding = doctor.examine_kernels()
    assert finding.healthy and "lstm, gru, rnn, embedding, adam: same as the readable functions" in finding.text
