"""The derivations in the docstrings of cells/, executed line by line, against complex step: text, code and diagnosis agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.cells import gru, lstm, rnn
from minilstm.gradients.diagnosis.derivation import CELLS, VARIANTS, Cell, evaluate, translate
from minilstm.gradients.diagnosis.simulate import OutputGradients, Weights, backward, block_of, forward

N, T, D, H = 2, 3, 4, 5
DOCUMENTED = ("LSTM", "GRU", "RNN")
MODULES = {"LSTM": lstm, "GRU": gru, "RNN": rnn}


def weights(cell: Cell, rng: np.random.Generator) -> Weights:
    G = len(cell.gates)
    drawn = [rng.standard_normal(shape) for shape in ((T, N, D), (N, H), (N, H), (G, D, H), (G, H, H), (G, H))]
    b_h = np.zeros((G, H))
    if cell.name == "GRU" and not cell.reset_first:
        b_h[2] = rng.standard_normal(H)         # the candidate's second bias
    return Weights(*drawn, b_h)


def drawn(cell: Cell, rng: np.random.Generator) -> OutputGradients:
    zero = np.zeros((N, H))
    return OutputGradients(rng.standard_normal((T, N, H)), rng.standard_normal((T, N, H)) * ("c" in cell.states), zero, zero)


def loss(cell: Cell, w: Weights, upstream: OutputGradients) -> complex:
    steps = forward(cell, w)
    return complex(sum((upstream.h[t] * steps[t]["h"]).sum() for t in range(T)) + sum(
        (upstream.c[t] * steps[t]["c"]).sum() for t in range(T) if "c" in cell.states))


def numerical(cell: Cell, w: Weights, upstream: OutputGradients, name: str) -> np.ndarray:
    value = getattr(w, name)
    gradient = np.zeros(value.shape)
    for index in np.ndindex(value.shape):
        probe = value.astype(complex)
        probe[index] += 1e-30j
        gradient[index] = loss(cell, w._replace(**{name: probe}), upstream).imag / 1e-30
    return gradient


def by_the_text(cell: Cell, w: Weights, upstream: OutputGradients) -> Mapping[str, Any]:
    """Every numbered line as it stands in the docstring, the sums and products too; gradients by the docstring's names."""
    W = np.concatenate([np.concatenate(list(w.W_h), axis=1), np.concatenate(list(w.W_x), axis=1)])
    given = {"W": W, "W_h": W[:H], "W_x": W[H:]}
    total: dict[str, Any] = {"dx": np.zeros((T, N, D))}
    dh_prev, dc_prev = np.zeros((N, H)), np.zeros((N, H))
    steps = forward(cell, w)
    for t in reversed(range(T)):
        values: dict[str, Any] = {**steps[t], **given, "dh": upstream.h[t] + dh_prev, "dc": upstream.c[t] + dc_prev}
        for line in cell.backward:
            values[translate(line.target)] = evaluate(line.right, values)
        if len(cell.gates) == 4:
            values["dz"] = np.concatenate([values[f"dz_{gate}"] for gate in cell.gates], axis=1)
        for line in cell.sums:
            for target in line.target.split(", "):
                of_gate = re.sub(r"\bda_t\b", f"da_{target[-1]}", line.right)
                total[target] = total.get(target, 0.0) + evaluate(of_gate, values)
        for line in cell.products:
            product = evaluate(line.right, values)
            if line.target == "[dh_prev, dx]":
                dh_prev, total["dx"][t] = product[:, :H], product[:, H:]
            elif line.target == "dx":
                total["dx"][t] = product
            else:
                dh_prev = values["dh_prev"] + product            # written +=
        dc_prev = values.get("dc_prev", dc_prev)
    return {**total, "dh0": dh_prev, "dc0": dc_prev}


@pytest.mark.parametrize("key", DOCUMENTED)
def test_the_lines_of_the_docstring_are_the_gradient(key: str) -> None:
    cell, rng = CELLS[key], np.random.default_rng(0)
    w = weights(cell, rng)
    upstream = drawn(cell, rng)
    got = by_the_text(cell, w, upstream)
    want = {name: numerical(cell, w, upstream, name) for name in ("x", "h0", "W_x", "W_h", "b")}
    wide = np.concatenate([np.concatenate(list(want["W_h"]), axis=1), np.concatenate(list(want["W_x"]), axis=1)])
    expected = {"dx": want["x"], "dh0": want["h0"]}
    if key == "GRU":
        expected |= {"dW_r": wide[:, :H], "dW_z": wide[:, H:2 * H], "dW_nh": want["W_h"][2], "dW_nx": want["W_x"][2]}
    else:
        expected |= {"dW": wide, "db": want["b"].ravel()}
    if key == "LSTM":
        expected["dc0"] = numerical(cell, w, upstream, "c0")
    assert set(got) - {"dc0"} == set(expected) - {"dc0"}
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-11, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("cell", [*CELLS.values(), *VARIANTS])
def test_the_simulation_runs_them_too(cell: Cell) -> None:
    rng = np.random.default_rng(1)
    w = weights(cell, rng)
    upstream = drawn(cell, rng)
    steps = forward(cell, w)
    trace = backward(cell, w, steps, upstream)
    for name in ("x", "h0", *(["c0"] if "c" in cell.states else [])):
        got, want = block_of(cell, w, steps, trace, (name, None), upstream), numerical(cell, w, upstream, name)
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)
    for name in ("W_x", "W_h", "b", "b_h"):
        want = numerical(cell, w, upstream, name)
        for gate in range(len(cell.gates)):
            if name == "b_h" and cell.reset_first and gate == 2:
                continue        # its candidate has one bias
            got = block_of(cell, w, steps, trace, (name, gate), upstream)
            np.testing.assert_allclose(got, want[gate], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("key", DOCUMENTED)
def test_the_equations_are_those_of_the_code(key: str) -> None:
    cell, rng = CELLS[key], np.random.default_rng(2)
    w = weights(cell, rng)
    W = np.concatenate([np.concatenate(list(w.W_h), axis=1), np.concatenate(list(w.W_x), axis=1)])
    b = np.concatenate([*w.b, *(w.b_h[2:] if key == "GRU" else [])])
    states = (w.h0, w.c0) if key == "LSTM" else (w.h0,)
    h = getattr(ml, f"{key.lower()}_forward")(w.x.transpose(1, 0, 2), *states, W, b)[0]
    np.testing.assert_allclose(h, np.stack([values["h"] for values in forward(cell, w)], axis=1), rtol=1e-13)


@pytest.mark.parametrize("key", DOCUMENTED)
def test_every_line_has_a_number_of_its_own_and_stands_in_the_code(key: str) -> None:
    cell = CELLS[key]
    numbers = [line.number for line in cell.backward]
    assert numbers == list(range(len(numbers) + 2, 2, -1)) and cell.sums and cell.products
    with open(MODULES[key].__file__, encoding="utf-8") as file:
        remarks = re.findall(r"# ([\d, ]+)(?:,? [a-z ]+)?$", file.read(), re.MULTILINE)
    named = {int(number) for remark in remarks for number in re.findall(r"\d+", remark)}
    assert named == set(range(1, len(numbers) + 3))
