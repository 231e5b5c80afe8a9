"""Of no single file: what the recurrent layers and the functional core refuse, in which words; a refusal leaves
everything as it was.

Each refusal is checked for three things: the error class itself (not a parent of it), the words in the message (the name of
the thing, what was expected, what was got), and the state of the layer before and after, byte for byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import put, xp
from cases import Case
from refusals import refuses, snapshot

import minilstm as ml

N, T, D, H = 3, 7, 5, 2
KINDS = ("lstm", "tanh")
X = np.ones((N, T, D))
STATE = np.ones((1, N, H))


def layer_of(kind: str, **fields: Any) -> Any:
    return Case(kind, N=N, T=T, D=D, H=H, **fields).layer()


# Inputs of recurrent layers ----------------------------------------------------------------------------------------------

BAD_X = [
    pytest.param(X[0], ml.ShapeError, ["x", "3 axes", "(7, 5)"], id="two axes"),
    pytest.param(X[None], ml.ShapeError, ["x", "3 axes", "(1, 3, 7, 5)"], id="four axes"),
    pytest.param(X[:, :, :4], ml.ShapeError, ["x", "D=5", "(3, 7, 4)"], id="wrong D"),
    pytest.param(X[:0], ml.ShapeError, ["x", "N", "(0, 7, 5)"], id="empty batch"),
    pytest.param(X[:, :0], ml.ShapeError, ["x", "T", "(3, 0, 5)"], id="no steps"),
    pytest.param(X.astype(np.int64), ml.DtypeError, ["x", "floating", "int64"], id="integers"),
    pytest.param(X.astype(bool), ml.DtypeError, ["x", "floating", "bool"], id="bool"),
    pytest.param(X.astype(object), ml.DtypeError, ["x", "floating", "object"], id="object"),
    pytest.param(X.astype(str), ml.DtypeError, ["x", "floating", "<U"], id="text"),
    pytest.param([[[1.0], [2.0, 3.0]]], ml.DtypeError, ["x", "array", "list"], id="ragged list"),
    pytest.param(None, ml.DtypeError, ["x", "array", "NoneType"], id="None"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x, error, words", BAD_X)
def test_layer_input(kind: str, x: Any, error: type[Exception], words: list[str]) -> None:
    layer = layer_of(kind)
    layer(put(X))        # a cache that must stay where it is
    refuses(error, lambda: layer(put(x)), *words, unchanged=layer)
    assert layer.backward(xp.ones((N, T, H))).shape == X.shape


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x, error, words", [p for p in BAD_X if p.id != "wrong D"])
def test_core_input(kind: str, x: Any, error: type[Exception], words: list[str]) -> None:
    W, b = Case(kind, D=D, H=H).params().values()
    forward: Any = ml.rnn_forward if kind == "tanh" else lambda x, h0, W, b: ml.lstm_forward(x, h0, None, W, b)
    refuses(error, lambda: forward(put(x), None, W, b), *words)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state, error, words", [
    (STATE[:, :2], ml.ShapeError, ["(1, 2, 2)"]), (np.ones((2, N, H)), ml.ShapeError, ["(2, 3, 2)"]),
    (np.ones((1, N, 4)), ml.ShapeError, ["(1, 3, 4)"]), (np.ones((N, H, 1)), ml.ShapeError, ["(3, 2, 1)"]),
    (np.ones((H, N)), ml.ShapeError, ["(2, 3)"]), (np.ones(H), ml.ShapeError, ["(2,)"]),
    (STATE.astype(int), ml.DtypeError, ["floating", "int"]), ([[[1.0], [2.0, 3.0]]], ml.DtypeError, ["array", "list"])])
def test_layer_states(kind: str, state: Any, error: type[Exception], words: list[str]) -> None:
    layer = layer_of(kind)
    for bad in put([(state, STATE), (STATE, state)] if kind == "lstm" else [state]):
        refuses(error, lambda: layer(put(X), bad), *words, unchanged=layer)


@pytest.mark.parametrize("state", [STATE, (STATE,), (STATE, STATE, STATE), {"h": STATE, "c": STATE}, 1.0])
def test_lstm_state_is_a_pair(state: Any) -> None:
    layer = layer_of("lstm")
    with pytest.raises(ml.MinilstmError, match="state0"):
        layer(put(X), put(state))
    assert not layer._caches


def test_rnn_state_is_no_pair() -> None:
    layer = layer_of("tanh")
    with pytest.raises(ml.MinilstmError, match="state0"):
        layer(put(X), put((STATE, STATE)))
    assert not layer._caches


@pytest.mark.parametrize("fields", [{"num_layers": 2}, {"bidirectional": True}])
def test_two_dimensional_states_need_one_layer_and_direction(fields: Any) -> None:
    layer = layer_of("lstm", **fields)
    refuses(ml.ShapeError, lambda: layer(put(X), put((STATE[0], STATE[0]))), "2, N=3, H=2", "(3, 2)", unchanged=layer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options, error, words", [
    ({"lengths": np.array([1, 2])}, ml.ShapeError, ["lengths", "3", "(2,)"]),
    ({"lengths": np.ones((N, 1), int)}, ml.ShapeError, ["lengths", "(3, 1)"]),
    ({"lengths": np.array(3)}, ml.ShapeError, ["lengths", "()"]),
    ({"lengths": np.array([1.0, 2.0, 3.0])}, ml.DtypeError, ["lengths", "integers", "float64"]),
    ({"lengths": np.array([True, True, True])}, ml.DtypeError, ["lengths", "integers", "bool"]),
    ({"lengths": [[1], [1, 2], [3]]}, ml.DtypeError, ["lengths"]), ({"lengths": "abc"}, ml.DtypeError, ["lengths"]),
    ({"lengths": np.array([1, 0, 3])}, ml.ArgumentError, ["lengths", "0", "sequence 1", "7"]),
    ({"lengths": np.array([1, 2, 8])}, ml.ArgumentError, ["lengths", "8", "sequence 2", "7"]),
    ({"lengths": np.array([-1, 2, 3])}, ml.ArgumentError, ["lengths", "-1", "sequence 0", "7"]),
    ({"lengths": np.array([1, 2, 3]), "padding": "left"}, ml.ArgumentError, ["padding", "'pre'", "'post'", "'left'"]),
    ({"padding": "left"}, ml.ArgumentError, ["padding", "'left'"]),
    ({"lengths": np.array([1, 2, 3]), "padding": 1}, ml.ArgumentError, ["padding", "1"])])
def test_lengths_and_padding(kind: str, options: Any, error: type[Exception], words: list[str]) -> None:
    layer, (W, b) = layer_of(kind), Case(kind, D=D, H=H).params().values()
    refuses(error, lambda: layer(put(X), **options), *words, unchanged=layer)
    core: Any = ml.rnn_forward if kind == "tanh" else lambda x, h0, W, b, **o: ml.lstm_forward(x, h0, None, W, b, **o)
    refuses(error, lambda: core(put(X), None, W, b, **options), *words)


def test_core_parameters_and_states() -> None:
    W, b = Case(D=D, H=H).params().values()
    good, s, state = (None, None, W, b), xp.ones((N, H)), put(STATE)
    ml.lstm_forward(put(X), *good)
    for arguments, words in [((None, None, W[1:], b), ["D=4", "(3, 7, 5)"]), ((None, None, W[:, :7], b), ["W", "(7, 7)"]),
                             ((None, None, W, b[:4]), ["b", "(4,)"]), ((None, None, W, b[None]), ["b", "(1, 8)"]),
                             ((s[:2], s, W, b), ["h0", "(2, 2)"]), ((s, s[:, :1], W, b), ["c0", "(3, 1)"]),
                             ((state, s, W, b), ["h0", "(1, 3, 2)"])]:
        refuses(ml.ShapeError, lambda: ml.lstm_forward(put(X), *arguments), *words)
    step = xp.ones((N, D))
    refuses(ml.ShapeError, lambda: ml.lstm_step(step, s[:1], s, W, b), "h_prev", "(1, 2)")
    refuses(ml.ShapeError, lambda: ml.lstm_step(step, s, s[:, :1], W, b), "c_prev", "(3, 1)")
    refuses(ml.ShapeError, lambda: ml.lstm_step(put(X), s, s, W, b), "x_t", "(3, 7, 5)")
    refuses(ml.DtypeError, lambda: ml.lstm_step(step.astype(int), s, s, W, b), "x_t", "int64")
    refuses(ml.ShapeError, lambda: ml.rnn_forward(put(X), None, W[:, :2], b[:3]), "b", "(3,)")
    refuses(ml.ShapeError, lambda: ml.rnn_step(step, s[:1], W[:, :2], b[:2]), "h_prev", "(1, 2)")
    refuses(ml.ArgumentError, lambda: ml.rnn_forward(put(X), None, W[:, :2], b[:2], nonlinearity="sin"), "nonlinearity",
            "'sin'")


# Backward ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("return_sequences", [True, False])
def test_layer_backward(kind: str, return_sequences: bool) -> None:
    layer, right = layer_of(kind, return_sequences=return_sequences), layer_of(kind, return_sequences=return_sequences)
    state = put((STATE, STATE) if kind == "lstm" else STATE)
    y, _ = layer(put(X), state, return_state=True)
    right(put(X), state, return_state=True)
    dy, dstate = xp.ones_like(y), state
    shape = (N, T, H) if return_sequences else (N, H)
    for bad in (dy[:2], dy[..., :1], dy[..., None], dy[0], xp.ones((N, H) if return_sequences else (N, T, H))):
        refuses(ml.ShapeError, lambda: layer.backward(bad, dstate), "dy", str(bad.shape), unchanged=layer)
    refuses(ml.DtypeError, lambda: layer.backward(dy.astype(int), dstate), "dy", "int64", unchanged=layer)
    refuses(ml.DtypeError, lambda: layer.backward("dy", dstate), "dy", "<U2", unchanged=layer)
    for part in (xp.ones((2, N, H)), xp.ones((1, N, H + 1)), xp.ones((1, 1, H))):
        for bad in [(part, put(STATE)), (put(STATE), part)] if kind == "lstm" else [part]:
            refuses(ml.ShapeError, lambda: layer.backward(dy, bad), "dstate", str(part.shape), unchanged=layer)
    for bad in put((STATE, (STATE,), (STATE,) * 3) if kind == "lstm" else ((STATE, STATE),)):
        before = snapshot(layer)
        with pytest.raises(ml.MinilstmError, match="dstate"):
            layer.backward(dy, bad)
        assert snapshot(layer) == before
    dx, dstate0 = layer.backward(dy, dstate)        # after all that, the right backward still works
    expected, _ = right.backward(dy, dstate)
    assert dy.shape == shape and dx.tobytes() == expected.tobytes()
    assert snapshot(layer)[1] == snapshot(right)[1]


def test_core_backward() -> None:
    W, b = Case(D=D, H=H).params().values()
    h, c_last, cache = ml.lstm_forward(put(X), None, None, W, b)
    refuses(ml.ShapeError, lambda: ml.lstm_backward(h[:, 1:], None, cache), "dh", "(3, 6, 2)")
    refuses(ml.ShapeError, lambda: ml.lstm_backward(h, c_last[:1], cache), "dc_last", "(1, 2)")
    refuses(ml.DtypeError, lambda: ml.lstm_backward(h.astype(int), None, cache), "dh", "int64")
    h, cache = ml.rnn_forward(put(X), None, W[:, :2], b[:2])
    refuses(ml.ShapeError, lambda: ml.rnn_backward(h[:1], cache), "dh", "(1, 7, 2)")
