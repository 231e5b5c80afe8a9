"""One recurrent configuration, described in a dozen words, and the arrays and the layer that go with it.

The oracle tests, the PyTorch tests and the rules all walk the same space: cell, layers, directions, lengths and side of the
padding, given or missing states, given or missing upstream gradients. Sizes are small distinct primes, and 1, so that no
transposed matrix and no forgotten axis fits by accident; states and biases are never left at zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from backends import host, on_host, put
from hypothesis import strategies as st
from reference import BIASES, BLOCKS, STATES, suffix

import minilstm as ml
from minilstm.cells import gru, lstm, rnn

LAYERS: dict[str, Any] = {"lstm": ml.LSTM, "gru": ml.GRU, "tanh": ml.RNN, "relu": ml.RNN}
FILES: dict[str, Any] = {"lstm": lstm, "gru": gru, "tanh": rnn, "relu": rnn}
KINDS = tuple(LAYERS)
UPSTREAM = ("all", "outputs", "states", "last part")      # which upstream gradients are given


@dataclass(frozen=True)
class Case:
    kind: str = "lstm"                  # "lstm", "gru", or the nonlinearity of an RNN
    num_layers: int = 1
    bidirectional: bool = False
    padding: str = "none"               # "none": no lengths
    states: bool = True                 # initial states given
    return_sequences: bool = True
    upstream: str = "all"
    N: int = 3
    T: int = 7
    D: int = 5
    H: int = 2
    seed: int = field(default=0, compare=False)

    @property
    def directions(self) -> int:
        return 1 + self.bidirectional

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of a forward call."""
        return {} if self.padding == "none" else {"lengths": self.lengths(), "padding": self.padding}

    @property
    def named(self) -> dict[str, Any]:
        """The keyword arguments that a function or layer of this kind takes beside all others'."""
        return {"nonlinearity": self.kind} if self.kind in ("tanh", "relu") else {}

    def function(self, name: str, home: Any = None) -> Any:
        """The kind's function "forward", "step_backward" and so on, from its file (or from the twin's, ``home``)."""
        file = home or FILES[self.kind]
        return getattr(file, f"{FILES[self.kind].__name__.rpartition('.')[2]}_{name}")

    def rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

    def lengths(self) -> np.ndarray:
        """N lengths from 1 to T; one of them is 1 where there is room for more than one."""
        lengths = self.rng(0).integers(1, self.T + 1, self.N)
        lengths[-1] = 1
        return lengths

    def real(self) -> np.ndarray:
        """The (N, T) mask of real steps."""
        if self.padding == "none":
            return np.ones((self.N, self.T), bool)
        return np.array([[t < n if self.padding == "post" else t >= self.T - n for t in range(self.T)]
                         for n in self.lengths()])

    def draw(self, stream: int, shape: tuple[int, ...]) -> Any:
        """Random numbers on the running test's backend, like all arrays below."""
        return put(self.rng(stream).standard_normal(shape))

    def x(self) -> Any:
        return self.draw(1, (self.N, self.T, self.D))

    def state(self, stream: int = 2) -> tuple[Any, ...]:
        """Random (h,) or (h, c), each (num_layers · directions, N, H)."""
        rng, shape = self.rng(stream), (self.num_layers * self.directions, self.N, self.H)
        return tuple(put(rng.standard_normal(shape)) for _ in range(STATES[self.kind]))

    def zero_state(self) -> tuple[Any, ...]:
        return tuple(0 * s for s in self.state())

    def dy(self) -> Any | None:
        shape = (self.N, self.T, self.H * self.directions)
        return None if self.upstream == "states" else self.draw(3, shape if self.return_sequences else (shape[0], shape[2]))

    def dstate(self) -> tuple[Any | None, ...]:
        """Upstream gradients of the final states, None where missing ("last part": that of c, or of h in an RNN)."""
        dstate: tuple[Any | None, ...] = self.state(4)
        if self.upstream == "outputs":
            return tuple(None for _ in dstate)
        return (*dstate[:-1], None) if self.upstream == "last part" else dstate

    def params(self) -> dict[str, Any]:
        return put(self.weights())

    def weights(self) -> dict[str, np.ndarray]:
        """Random weights and biases by name, on the host; of a size that keeps relu networks tame."""
        rng, params = self.rng(5), {}
        for layer in range(self.num_layers):
            rows = self.H + (self.H * self.directions if layer else self.D)
            for reverse in (False, True)[:self.directions]:
                shape = (rows, BLOCKS[self.kind] * self.H)
                params["W" + suffix(layer, reverse)] = rng.standard_normal(shape) * 1.2 / np.sqrt(rows)
                params["b" + suffix(layer, reverse)] = rng.standard_normal(BIASES[self.kind] * self.H) * 0.5
        return params

    def layer(self, dtype: Any = np.float64) -> Any:
        """The minilstm layer on the running test's backend, its parameters set to ``weights()``."""
        layer = LAYERS[self.kind](self.D, self.H, self.num_layers, bidirectional=self.bidirectional,
                                  return_sequences=self.return_sequences, dtype=dtype, rng=0, **self.named)
        assert set(layer.params) == set(self.weights())
        for name, value in self.weights().items():
            layer.params[name][...] = value
        return put(layer)

    def pack(self, state: tuple[Any, ...]) -> Any:
        """States as the layer takes them: the array itself for an RNN or GRU, (h, c) for an LSTM."""
        return state if self.kind == "lstm" else state[0]

    def unpack(self, state: Any) -> tuple[Any, ...]:
        return tuple(state) if self.kind == "lstm" else (state,)


def core_forward(case: Case, x: Any, state: Any, W: Any, b: Any) -> tuple[Any, Any, Any]:
    """The functional core as (outputs, c_last or None, cache), whatever the cell. ``state``: (h0,), (h0, c0) or None."""
    if case.kind == "lstm":
        h0, c0 = state or (None, None)
        return ml.lstm_forward(x, h0, c0, W, b, **case.options)
    h, cache = case.function("forward")(x, state and state[0], W, b, **case.named, **case.options)
    return h, None, cache


def core_backward(case: Case, dh: Any, dc_last: Any, cache: Any, dh_last: Any = None) -> tuple[Any, ...]:
    """(dx, dh0, dc0, dW, db), or without dc0 for a cell that has no c."""
    of_c = (dc_last,) if case.kind == "lstm" else ()
    gradients: tuple[Any, ...] = case.function("backward")(dh, *of_c, cache, dh_last=dh_last)
    return gradients


def cases(**fixed: Any) -> st.SearchStrategy[Case]:
    """Draw configurations; keyword arguments pin or replace fields (a value, or a strategy)."""
    fields: dict[str, Any] = {
        "kind": st.sampled_from(KINDS), "num_layers": st.integers(1, 3), "bidirectional": st.booleans(),
        "padding": st.sampled_from(["none", "post", "pre"]), "states": st.booleans(), "return_sequences": st.booleans(),
        "upstream": st.sampled_from(UPSTREAM), "N": st.sampled_from([1, 2, 3]), "T": st.sampled_from([1, 2, 7]),
        "D": st.sampled_from([1, 3, 5]), "H": st.sampled_from([1, 2, 3]), "seed": st.integers(0, 2**16)}
    fields.update({name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in fixed.items()})
    return st.builds(Case, **fields)


def upstream_sum(pairs: list[tuple[Any, Any]]) -> Any:
    """Σ output · upstream gradient over the pairs whose gradient is given: the scalar whose gradient backward returns."""
    return sum((np.sum(value * gradient) for value, gradient in pairs if gradient is not None), 0)


def close(got: Any, expected: Any, tolerance: float) -> float:
    """Assert max|got − expected| / max(1, max|expected|) ≤ tolerance, and equal shapes; return that figure.

    The arrays may live anywhere.
    """
    got, expected = host(got), on_host(expected)
    assert got.shape == expected.shape, f"shape {got.shape}, expected {expected.shape}"
    worst = float(np.max(np.abs(got - expected), initial=0.0) / max(1.0, np.max(np.abs(expected), initial=0.0)))
    assert worst <= tolerance, f"off by {worst:.2e}, tolerance {tolerance:.0e}"
    return worst
