"""What recurrent layers share: the loop over layers and directions.

A cell's file has the mathematics of one layer in one direction, such as ``lstm_forward``. The reverse
direction is the same cell on the time-reversed input, where post-padding becomes pre-padding.

    layer 0:  x (N, T, D)        -> y (N, T, H·dirs)          dirs = 2 if bidirectional else 1
    layer k:  dropout(y of k-1)  -> y (N, T, H·dirs)

Cells are numbered as their states are stacked: layer 0 forward, layer 0 reverse, layer 1 forward, ...
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import check_choice, check_dtype, check_number, check_positive_int
from minilstm.backend.errors import ArgumentError
from minilstm.backend.seeds import as_generator
from minilstm.backend.subnormals import flush_to_zero
from minilstm.cells.gates import SequencePair, gate_columns
from minilstm.cells.padding import check_padding
from minilstm.kernels import twins
from minilstm.layers.dropout import dropout_mask
from minilstm.layers.initial_weights import check_recurrent_init, recurrent_weights
from minilstm.layers.module import Module
from minilstm.layers.recurrent_arguments import backward_arguments, forward_arguments, stack_states

REVERSED = {"post": "pre", "pre": "post"}       # the padding of a time-reversed sequence


class RecurrentCache(NamedTuple):
    """One forward of all layers."""

    pair: SequencePair          # the functions that ran
    cells: list[Any]            # the cache of each cell
    masks: list[Array | None]   # of the dropout between layers
    like: Array                 # an array of the output's dtype and backend
    N: int
    T: int
    paired: bool                # backward returns (dx, dstate0): a state went in or came out
    flat: bool                  # states are (N, H) instead of (1, N, H)


class Recurrent(Module):
    """Base of RNN, GRU and LSTM, whose docstrings say what the arguments and the parameters are."""

    gates: tuple[str, ...] = ()             # W's column blocks, in order
    biases: tuple[str, ...] = ()            # b's blocks
    _keep_gate = ""                         # the gate whose bias decides how long the state is kept
    state_names: tuple[str, ...] = ()       # "h" alone, or "h" and "c"
    cell = ""                               # "lstm", "gru" or "rnn"
    _readable: SequencePair                 # its functions in cells/, without their checks
    _cell_options: dict[str, Any] = {}      # further keyword arguments of these functions

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, *, bidirectional: bool = False,
                 dropout: float = 0.0, return_sequences: bool = True, padding: str = "post",
                 init: str = "default", t_max: int | None = None, dtype: Any = np.float32,
                 rng: Any = None) -> None:
        super().__init__()
        self.input_size = check_positive_int("input_size", input_size)
        self.hidden_size = check_positive_int("hidden_size", hidden_size)
        self.num_layers = check_positive_int("num_layers", num_layers)
        self.dropout = check_number("dropout", dropout, below=1.0)
        check_padding(padding)
        check_recurrent_init(type(self).__name__, init, t_max, self._keep_gate)
        if self.dropout and self.num_layers == 1:
            raise ArgumentError("dropout: acts between layers, so it needs num_layers of at least 2; to drop "
                                "outputs of a single layer, put a Dropout layer after it")
        self.bidirectional, self.return_sequences = bool(bidirectional), bool(return_sequences)
        self.padding, self.init, self.t_max, rng = padding, init, t_max, as_generator(rng)
        for name, value in self.init_params(rng).items():
            self.add_param(name, value.astype(check_dtype(dtype)))
        if self.dropout:
            self.rng = rng

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def suffixes(self) -> list[str]:
        """Return what follows "W" and "b" in the names of each cell's parameters."""
        layers = ["" if layer == 0 else f"_l{layer}" for layer in range(self.num_layers)]
        return [layer + direction for layer in layers for direction in ("", "_reverse")[:self.directions]]

    def init_params(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        values = {}
        for cell, suffix in enumerate(self.suffixes()):
            D = self.input_size if cell < self.directions else self.hidden_size * self.directions
            values["W" + suffix], values["b" + suffix] = recurrent_weights(
                rng, D, self.hidden_size, self.gates, self.biases, init=self.init,
                t_max=self.t_max, keep_gate=self._keep_gate)
        return values

    def gate(self, name: str, layer: int = 0, reverse: bool = False) -> tuple[Array, Array]:
        """Return one gate's w (H+D, H), rows [h; x], and b (H,), as views into the parameters.

        A GRU's candidate "n" has two biases: b (2H,) is b_nx, b_nh. Raises ArgumentError for an unknown gate,
        layer or direction.
        """
        check_choice("gate", name, self.gates)
        if not 0 <= layer < self.num_layers or (reverse and not self.bidirectional):
            way = " in reverse" if reverse else ""
            raise ArgumentError(f"gate: there is no layer {layer}{way} in {self!r}")
        suffix, H = self.suffixes()[layer * self.directions + reverse], self.hidden_size
        own = [k for k, bias in enumerate(self.biases) if bias.startswith(name)]
        w = self.params["W" + suffix][:, gate_columns(self.gates, name, H)]
        return w, self.params["b" + suffix][own[0] * H:(own[-1] + 1) * H]

    def extra_repr(self) -> str:
        shown = {"num_layers": 1, "nonlinearity": "tanh", "bidirectional": False, "dropout": 0.0,
                 "return_sequences": True, "padding": "post"}           # unless they are the default
        words = [f"{name}={getattr(self, name)!r}" for name, default in shown.items()
                 if getattr(self, name, default) != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *words])

    @flush_to_zero
    def forward(self, x: Array, state0: Any = None, *, lengths: Any = None, padding: str | None = None,
                return_state: bool = False) -> Any:
        """Return y, or (y, state_n) with ``return_state=True``.

        Args:
            x: (N, T, D), floating point.
            state0: initial state, (num_layers·dirs, N, H): an array h0, or for an LSTM a tuple (h0, c0);
                None: zeros. One layer in one direction takes (N, H), too, and then returns such states.
            lengths: N integers from 1 to T, the real steps of each sequence (None: all T).
            padding: "post" or "pre"; None: the layer's own.
            return_state: return the final states too. Passing them to the next call as ``state0`` gives
                truncated BPTT: they are plain arrays, and no gradient flows back from one call to another.

        y is (N, T, H·dirs), or (N, H·dirs) with return_sequences=False; states are as ``state0``. Raises
        ShapeError, DtypeError, ArgumentError before anything is computed.
        """
        x, weights, states, flat, lengths, padding = forward_arguments(self, x, state0, lengths, padding)
        xp, (N, T, _) = get_array_module(x), x.shape
        pair = (twins(self.cell, x) if self.fast else None) or self._readable
        caches: list[Any] = []
        masks: list[Array | None] = []
        for layer in range(self.num_layers):
            if layer > 0:
                drops = self.dropout and self.training
                masks.append(dropout_mask(self.rng, tuple(x.shape), self.dropout, x) if drops else None)
                x = x if masks[-1] is None else x * masks[-1]
            every = self.return_sequences or layer + 1 < self.num_layers    # every step's output is needed
            options = {} if pair is self._readable else {"outputs": every, "keep": self.caches_needed}
            outputs = []
            for direction in range(self.directions):
                cell = len(caches)
                y, *_, cache = pair.forward(
                    _flip(x, direction), *states[cell], *weights[cell], lengths=lengths,
                    padding=REVERSED[padding] if direction else padding, **self._cell_options, **options)
                outputs.append(_flip(y, direction) if every else cache.last[0])
                caches.append(cache)
            x = outputs[0] if len(outputs) == 1 else xp.concatenate(outputs, axis=-1)
        like, paired = xp.empty(0, x.dtype), return_state or state0 is not None
        self.push(RecurrentCache(pair, caches, masks, like, N, T, paired, flat))
        return (x, stack_states([cache.last for cache in caches], flat)) if return_state else x

    @flush_to_zero
    def backward(self, dy: Array | None, dstate: Any = None) -> Any:
        """Return dx (N, T, D), or (dx, dstate0) if the forward was given ``state0`` or ``return_state=True``.

        Args:
            dy: gradient of y, in y's shape; None stands for zeros.
            dstate: gradient of the final states, in their shape; None, also in an LSTM's tuple: zeros.

        Adds to ``grads``. Raises ShapeError, DtypeError, BackwardError before any change.
        """
        cache = self.peek()
        dy, dstates = backward_arguments(self, cache, dy, dstate)
        self.pop()
        H, pair = self.hidden_size, cache.pair
        options = {} if pair is self._readable else {"consume": True}    # the cache is not needed afterwards
        suffixes, dstates0 = self.suffixes(), list(dstates)
        for layer in reversed(range(self.num_layers)):
            dx: Any = 0
            for direction in range(self.directions):
                cell = layer * self.directions + direction
                dh = None if dy is None else _flip(dy[:, :, direction * H:(direction + 1) * H], direction)
                dh_last, *dc_last = dstates[cell]
                d, *dstate0, dW, db = pair.backward(dh, *dc_last, cache.cells[cell], dh_last=dh_last,
                                                    **options)
                dstates0[cell] = tuple(dstate0)
                self.grads["W" + suffixes[cell]] += dW
                self.grads["b" + suffixes[cell]] += db
                dx = _flip(d, direction) if direction == 0 else dx + _flip(d, direction)
            dy = dx if layer == 0 or cache.masks[layer - 1] is None else dx * cache.masks[layer - 1]
        dx = get_array_module(dy).ascontiguousarray(dy)
        return (dx, stack_states(dstates0, cache.flat)) if cache.paired or dstate is not None else dx


def _flip(x: Array, direction: int) -> Array:
    return x[:, ::-1] if direction else x
