"""Speed, tested without a clock: a training step makes few device calls, waits once for the device, and uploads once.

A device call costs a few microseconds of the host's time, whatever it computes; a wait costs all the work that the device
could have done meanwhile. Both are counted on the stand-in, for the reference model (Embedding, LSTM, Dropout, Linear,
Sigmoid, BCE, Adam) in the Trainer.
"""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.training.characters import character_model
from minilstm.training.trainer import Trainer

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="kernels are emulated with g++, which is not installed")

V, D, PERSISTENT, FUSED = 30, 6, 32, 20         # sizes: those of H decide which kernels run
CELLS = (ml.LSTM, ml.GRU, ml.RNN)
MOST = 120          # device calls of a training step with the persistent kernels


def make(cell: Any, hidden: int, T: int, n: int = 40, batch: int = 8, **options: Any) -> tuple[Trainer, ml.DataLoader]:
    rng = np.random.default_rng(0)
    model = ml.Sequential(ml.Embedding(V, D, rng=rng), cell(D, hidden, return_sequences=False, rng=rng),
                          ml.Dropout(0.5, rng=rng), ml.Linear(hidden, 1, rng=rng), ml.Sigmoid()).to("cupy")
    x, y = rng.integers(0, V, (n, T)), rng.integers(0, 2, n).astype(np.float32)
    loader = ml.DataLoader(x, y, batch_size=batch, shuffle=True, backend="cupy")
    return Trainer(model, ml.BCELoss(), ml.Adam(model), verbose=False, progress=False, **options), loader


def steps(standin: Any, cell: Any, hidden: int, T: int, **options: Any) -> list[Any]:
    """Return the counts of a few training steps, their batches included; the first one sets things up."""
    trainer, loader = make(cell, hidden, T, **options)
    trainer.model.train()
    counted = []
    batches = iter(loader)
    for number in range(4):
        with standin.counted() as counts:
            x, y = next(batches)
            trainer.train_step(x, y, {})
        if number:
            counted.append(counts)
    return counted


@pytest.mark.parametrize("cell", CELLS)
def test_a_training_step_takes_few_calls_whatever_its_length(cell: Any, standin: Any) -> None:
    short, long = (steps(standin, cell, PERSISTENT, T) for T in (3, 11))
    for counts in (*short, *long):
        assert counts.launches <= MOST, str(counts)
        assert (counts.syncs, counts.uploads) == (1, 1), str(counts)        # loss, metric and norm together; the dropout mask
        assert counts.by_name == long[0].by_name


@pytest.mark.parametrize("cell", CELLS)
def test_any_hidden_size_takes_two_calls_a_step_of_time_each_way(cell: Any, standin: Any) -> None:
    short, long = (steps(standin, cell, FUSED, T)[0] for T in (3, 11))
    assert (short.syncs, short.uploads, long.syncs, long.uploads) == (1, 1, 1, 1)
    assert long.launches - short.launches <= 4 * 8


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sequences", [True, False])
def test_a_layer_alone(cell: Any, sequences: bool, standin: Any) -> None:
    T, rng = 9, np.random.default_rng(1)
    for hidden, forward, backward in ((PERSISTENT, 12, 12), (FUSED, 3 * T + 20, 2 * T + 20)):
        layer = cell(D, hidden, return_sequences=sequences, rng=0).to("cupy")
        x = ml.asarray(rng.standard_normal((4, T, D)).astype(np.float32), "cupy")
        with standin.counted() as there:
            y = layer(x)
        dy = standin.ones_like(y)
        with standin.counted() as back:
            layer.backward(dy)
        assert there.launches <= forward and back.launches <= backward, f"{there}\n{back}"
        assert (there.syncs, there.uploads, back.syncs, back.uploads) == (0, 0, 0, 0)


def test_clipping_lengths_on_the_device_and_no_metric_wait_no_more(standin: Any) -> None:
    for options in ({"clip_norm": 0.1}, {"metric": None}):
        assert all(counts.syncs == 1 and counts.launches <= MOST + 20
                   for counts in steps(standin, ml.LSTM, PERSISTENT, 3, **options))
    trainer, loader = make(ml.LSTM, PERSISTENT, 5)
    x, y = next(iter(loader))
    lengths = standin.asarray(np.arange(8) % 5 + 1)
    trainer.model.train()
    with standin.counted() as counts:
        trainer.train_step(x, y, {"lengths": lengths})
    assert (counts.syncs, counts.uploads) == (1, 1)


def test_an_evaluation_waits_once(standin: Any) -> None:
    trainer, loader = make(ml.LSTM, PERSISTENT, 3)
    with standin.counted() as counts:
        trainer.evaluate(loader)
    assert counts.syncs == 1


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_character_model_carries_its_states_without_a_wait(cell: str, standin: Any) -> None:
    model = character_model(V, cell=cell, embedding_size=D, hidden_size=PERSISTENT, dropout=0.2, rng=0).to("cupy")
    x, y = ml.contiguous_batches(np.arange(200) % V, 4, 9)
    trainer = Trainer(model, ml.CrossEntropyLoss(), ml.Adam(model), clip_norm=1.0, metric=None, carry_state=True)
    model.train()
    for number, (inputs, targets) in enumerate(ml.DataLoader(x, y, batch_size=4, backend="cupy")):
        with standin.counted() as counts:
            trainer.train_step(inputs, targets, {})
        assert number == 0 or counts.syncs == 1, str(counts)


def test_a_hidden_wait_is_seen(standin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = ml.Dropout.forward

    def looking(self: Any, x: Any) -> Any:
        return forward(self, x) if x.max() < 100 else x
    monkeypatch.setattr(ml.Dropout, "forward", looking)
    assert all(counts.syncs == 2 for counts in steps(standin, ml.LSTM, PERSISTENT, 3))
