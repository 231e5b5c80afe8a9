"""The character model: carried states, and texts drawn from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import backend, host, put
from refusals import refuses
from training_cases import At, ctrl_c, everything

import minilstm as ml
from minilstm.training.characters import character_model, generate

V, N, T = 6, 3, 4
TEXT = np.random.default_rng(0).integers(0, V, 80)


def build(cell: str = "lstm", **options: Any) -> ml.Sequential:
    return put(character_model(V, cell=cell, embedding_size=4, hidden_size=5, rng=0, **options))


def loader(text: np.ndarray = TEXT, **options: Any) -> ml.DataLoader:
    return ml.DataLoader(*ml.contiguous_batches(text, N, T), batch_size=N, backend=backend(), **options)


def flat(state: Any) -> list[Any]:
    return [one for part in state for one in flat(part)] if isinstance(state, (list, tuple)) else [state]


def trainer(run_dir: Path | None = None, callbacks: Any = (), model: Any = None, **options: Any) -> ml.Trainer:
    model = build(dropout=0.2) if model is None else model
    return ml.Trainer(model, ml.CrossEntropyLoss(), ml.Adam(model, lr=0.05), clip_norm=0.5, callbacks=callbacks, metric=None,
                      run_dir=run_dir, **{"carry_state": True, "verbose": False, **options})


CHAINS: dict[str, Any] = {
    **{cell: lambda cell=cell: build(cell) for cell in ("rnn", "gru", "lstm")}, "two layers": lambda: build(num_layers=2),
    "two cells": lambda: put(ml.Sequential(ml.Embedding(V, 4, rng=0), ml.GRU(4, 5, rng=1),
                                           ml.Sequential(ml.LSTM(5, 3, rng=2), ml.RNN(3, 3, rng=3)), ml.Linear(3, V, rng=4)))}


@pytest.mark.parametrize("chain", CHAINS)
def test_chunks_with_carried_states_are_the_whole_sequence(chain: str) -> None:
    model = CHAINS[chain]().eval()
    tokens = put(TEXT[:24].reshape(2, 12))
    whole, last = model(tokens, return_state=True)
    parts, state = [], None
    for start in range(0, 12, 4):
        part, state = model(tokens[:, start:start + 4], state0=state, return_state=True)
        parts.append(host(part))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), host(whole), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(*(np.ravel(host(flat(one)[-1])) for one in (state, last)), rtol=1e-5, atol=1e-6)
    assert type(model(tokens, state0=state)) is type(whole)         # without return_state: the output alone


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_trainer_carries_as_the_loop_by_hand_does(cell: str) -> None:
    t = trainer(model=build(cell))
    history = t.fit(loader(), loader(TEXT[:40]), epochs=2)
    model, criterion = build(cell), ml.CrossEntropyLoss()
    optimizer = ml.Adam(model, lr=0.05)
    for epoch in range(2):
        losses, state = [], None
        for x, y in loader():
            model.zero_grad()
            logits, state = model(x, state0=state, return_state=True)
            losses.append(float(criterion(logits, y)))
            model.backward(criterion.backward())
            ml.clip_grad_norm(model, 0.5)
            optimizer.step()
        assert history["train_loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-6)
        losses, state = [], None
        model.eval()
        for x, y in loader(TEXT[:40]):
            logits, state = model(x, state0=state, return_state=True)
            losses.append(float(criterion(logits, y)))
        model.train()
        assert history["val_loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-6)
    assert {name: value.tobytes() for name, value in model.state_dict().items()} == \
        {name: value.tobytes() for name, value in t.model.state_dict().items()}


def test_each_epoch_begins_with_zeros_and_validation_leaves_the_states_alone() -> None:
    seen: list[Any] = []

    class Watch(ml.Callback):
        def on_epoch_begin(self, run: Any, epoch: int) -> None:
            assert run.state is None

        def on_step_end(self, run: Any, epoch: int, step: int, loss: float, norm: float) -> None:
            before = host(run.state[0][1]).tobytes()
            t.evaluate(loader())
            assert host(run.state[0][1]).tobytes() == before
            seen.append(before)
    t = trainer(callbacks=[Watch()])
    t.fit(loader(), epochs=2)
    assert len(set(seen)) == len(seen) == 2 * len(loader())


@pytest.mark.parametrize("model", [lambda: build("gru"), lambda: build(num_layers=2, dropout=0.2),
                                   lambda: put(ml.Sequential(build()[:2], build()[3]))])
def test_a_run_interrupted_within_an_epoch_goes_on_bit_for_bit(model: Any, tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole", model=model())
    whole.fit(loader(), loader(), epochs=3)
    with pytest.raises(ml.Interrupted):
        trainer(tmp_path / "cut", [At(2, 3, ctrl_c)], model=model()).fit(loader(), loader(), epochs=3)
    parts = trainer(tmp_path / "cut", model=model())
    parts.fit(loader(), loader(), epochs=3, resume=True)
    assert everything(parts) == everything(whole)
    with pytest.raises(ml.CheckpointError, match="carry_state"):
        trainer(tmp_path / "cut", model=model(), carry_state=False).fit(loader(), epochs=4, resume=True)


def test_what_cannot_be_carried_is_refused() -> None:
    model = build()
    x = put(TEXT[:8].reshape(2, 4))
    _, states = model(x, return_state=True)
    model.drop_caches()
    refuses(ml.ShapeError, lambda: model(x, state0=[]), "state0", "a list of 1", unchanged=model)
    refuses(ml.ShapeError, lambda: model(x, state0=states[0]), "state0", "a tuple of 2", unchanged=model)
    refuses(ml.ShapeError, lambda: model(x[:1], state0=states), "state0", unchanged=model)
    refuses(ml.ArgumentError, lambda: put(ml.Sequential(ml.Linear(2, 2)))(x, return_state=True), "return_state")
    refuses(ml.ArgumentError, lambda: trainer().fit(loader(shuffle=True), epochs=1), "shuffle")


def test_what_is_generated_follows_the_probabilities() -> None:
    model = build()
    drawn = generate(model, [1, 2], 60, rng=0)
    assert len(drawn) == 60 and set(drawn) == set(range(V))
    assert generate(model, [1, 2], 60, rng=0) == drawn != generate(model, [1, 2], 60, rng=1)
    cold = generate(model, [1, 2], 20, temperature=1e-9)
    text = [1, 2, *cold]
    scores = host(model.eval()(put(np.array([text]))))[0]
    assert [int(k) for k in scores[1:-1].argmax(axis=-1)] == cold       # each from all before it
    model.train()
    logits, rng = host(model(put(np.array([[1, 2]]))))[0, -1] / 2, np.random.default_rng(0)
    expected = np.exp(logits) / np.exp(logits).sum()
    counts = np.bincount([generate(model, [1, 2], 1, temperature=2.0, rng=rng)[0] for _ in range(300)], minlength=V)
    np.testing.assert_allclose(counts / 300, expected, atol=0.08)


@pytest.mark.parametrize(("call", "words"), [
    (lambda model: generate(model, [], 3), "tokens"), (lambda model: generate(model, [1], 0), "n"),
    (lambda model: generate(model, [1], 3, temperature=0), "temperature"),
    (lambda model: character_model(V, cell="transformer"), "cell")])
def test_arguments_that_make_no_sense(call: Any, words: str) -> None:
    refuses(ml.ArgumentError, lambda: call(build()), words)
