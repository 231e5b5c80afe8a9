"""Trials of measured training: against a training loop by hand, and what ``measure`` says against the instruments."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.gradients.instruments.flow import model_gradient_flow
from minilstm.gradients.instruments.jacobians import jacobian_spectrum
from minilstm.gradients.instruments.paths import model_gradient_paths
from minilstm.gradients.instruments.saturation import gate_statistics
from minilstm.lab.gradient_trials import (GradientTrial, Reviews, build_model, measure, measured_training,
                                          places)
from minilstm.lab.tasks import adding

PLAIN = {"init": "default", "forget_bias": None, "recurrent": "orthogonal", "gain": 1.0, "clip_norm": None}
ADDING: dict[str, Any] = {**PLAIN, "problem": "adding", "cell": "lstm", "T": 8, "hidden_size": 5, "steps": 3,
                          "measure_at": [0, 3], "sequences": 4, "batch_size": 6, "lr": 0.01, "seed": 3}
IMDB: dict[str, Any] = {**ADDING, "problem": "imdb", "num_words": 12, "embedding_size": 4, "dropout": 0.5}


def reviews(rng: np.random.Generator) -> Reviews:
    return Reviews(rng.integers(0, 12, (20, 8)), rng.integers(0, 2, 20).astype(np.float32), rng.integers(2, 12, (4, 8)),
                   np.array([0, 1, 1, 0], np.float32))


def make(trial: dict[str, Any]) -> ml.Sequential:
    return build_model(GradientTrial(**trial))


@pytest.mark.parametrize("clip_norm", (None, 0.05))
@pytest.mark.parametrize("trial", (ADDING, IMDB), ids=("adding", "imdb"))
def test_it_trains_as_one_would(trial: dict[str, Any], clip_norm: float | None, rng: np.random.Generator) -> None:
    trial = {**trial, "clip_norm": clip_norm}
    data = reviews(rng) if trial["problem"] == "imdb" else None
    found = measured_training(data, **trial)
    model, draw = make(trial), np.random.default_rng([3, 1])
    criterion = ml.MSELoss() if data is None else ml.BCELoss()
    optimizer = ml.Adam(model, lr=0.01)
    batches = [adding(6, 8, rng=draw) for _ in range(3)] if data is None else list(
        ml.DataLoader(data.x, data.y, batch_size=6, shuffle=True, seed=3))
    for k in range(3):
        model.zero_grad()
        loss = criterion(model(batches[k][0]), batches[k][1])
        model.backward(criterion.backward())
        norm = ml.clip_grad_norm(model, clip_norm or math.inf)
        optimizer.step()
        assert found["loss"][k] == pytest.approx(float(loss), rel=1e-5)
        assert found["gradient_norm"][k] == pytest.approx(float(norm), rel=1e-5)
    assert not found["diverged"] and [reading["step"] for reading in found["measured"]] == [0, 3]
    x, y = adding(4, 8, rng=np.random.default_rng([3, 2])) if data is None else (data.measured_x, data.measured_y)
    assert {"step": 3, **measure(model, criterion, x, y)} == found["measured"][1]
    assert json.loads(json.dumps(found)) == found and max(found["gradient_norm"]) > 0.05


@pytest.mark.parametrize("cell", ("rnn", "gru", "lstm"))
def test_readings_are_those_of_the_instruments(cell: str, rng: np.random.Generator) -> None:
    model, criterion = make({**ADDING, "cell": cell}), ml.MSELoss()
    x, y = adding(4, 8, rng=rng)
    before = model.state_dict()
    found = measure(model, criterion, x, y)
    flow, paths = model_gradient_flow(model, criterion, x, y), model_gradient_paths(model, criterion, x, y)
    assert found["flow"]["h"] == pytest.approx(4 * flow.h_norms.mean(axis=1), rel=1e-5)
    assert ("c" in found["flow"]) == (cell == "lstm")
    if flow.c_norms is not None:
        assert found["flow"]["c"] == pytest.approx(4 * flow.c_norms.mean(axis=1), rel=1e-5)
    assert found["paths"]["norm"]["total"] == found["flow"]["c" if cell == "lstm" else "h"]
    assert set(found["paths"]["norm"]) == {*paths.parts, "alone", "gated", "total"}
    assert found["paths"]["share"]["alone"] == pytest.approx(np.median(paths.share(paths.alone), axis=1), rel=1e-4)
    spectrum = jacobian_spectrum(model[0], x[:2], found["jacobians"]["steps"])
    assert found["jacobians"]["h_largest"] == pytest.approx(spectrum.h[:, :, 0].mean(axis=1), rel=1e-4, abs=1e-10)
    assert ("bound" in found["jacobians"]) == (cell == "rnn") and ("keep_mean" in found["jacobians"]) == (cell != "rnn")
    statistics = gate_statistics(model[0], x)
    for gate, of_gate in found["gates"].items():
        assert of_gate["mean"] == pytest.approx(statistics.mean(gate), rel=1e-5)
        assert of_gate["right"] == pytest.approx(statistics.saturation(gate)[1], rel=1e-5)
        assert len(of_gate["over_time"]) == 8
    assert all((value == before[name]).all() for name, value in model.named_parameters().items())


def test_what_is_varied() -> None:
    default = make(ADDING)[0]
    biased = make({**ADDING, "forget_bias": 5.0})[0]
    assert (biased.gate("f")[1] == 5).all() and (biased.params["W"] == default.params["W"]).all()
    assert (biased.gate("i")[1] == default.gate("i")[1]).all() and (default.gate("f")[1] == 1).all()
    chrono = make({**ADDING, "init": "chrono"})[0]
    assert chrono.t_max == 8 and (chrono.gate("f")[1] == -chrono.gate("i")[1]).all()
    wide = {**ADDING, "cell": "rnn", "hidden_size": 200}
    plain, gaussian = make(wide)[0].params["W"], make({**wide, "recurrent": "gaussian", "gain": 2.0})[0].params["W"]
    uniform = make({**wide, "recurrent": "uniform"})[0].params["W"]
    assert np.allclose(plain[:200] @ plain[:200].T, np.eye(200), atol=1e-4)
    assert gaussian[:200].std() == pytest.approx(2 / math.sqrt(200), rel=0.02) and np.abs(gaussian).max() > 3 / math.sqrt(200)
    assert np.abs(uniform[:200]).max() == pytest.approx(1 / math.sqrt(200), rel=0.01)
    assert (gaussian[200:] == plain[200:]).all() and (uniform[200:] == plain[200:]).all()


def test_training_that_diverges_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def step(self: Any) -> None:
        steps.append(1)
        if len(steps) == 2:
            raise ml.NonFiniteError("gradient")
    monkeypatch.setattr(ml.Adam, "step", step)
    found = measured_training(None, **{**ADDING, "steps": 5, "measure_at": [0, 1, 5]})
    assert found["diverged"] and len(found["loss"]) == 2 and [reading["step"] for reading in found["measured"]] == [0, 1]


def test_places() -> None:
    assert places(1) == [1] and places(5) == [1, 2, 3, 4, 5]
    assert places(200)[0] == 1 and places(200)[-1] == 200 and len(places(200)) <= 16


@pytest.mark.parametrize("changes, words", [
    ({"problem": "copy"}, "problem"), ({"problem": "imdb"}, "reviews"), ({"cell": "cnn"}, "cell"), ({"steps": 0}, "steps"),
    ({"measure_at": [4]}, "measure_at: expected numbers from 0 to 3"), ({"cell": "gru", "forget_bias": 1.0}, "forget_bias"),
    ({"recurrent": "zero"}, "recurrent"), ({"recurrent": "gaussian", "gain": -1.0}, "gain"),
])
def test_mistakes_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ml.ArgumentError, match=words):
        measured_training(None, **{**ADDING, **changes})
