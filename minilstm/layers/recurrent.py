"""What recurrent layers share: several layers, both directions, dropout between layers, states in and out, padding.

A cell's file has the mathematics of one layer in one direction (such as ``lstm_forward`` and ``lstm_backward``). This file
combines layers and directions. The reverse direction is the same cell on the time-reversed input, where post-padding becomes
pre-padding, so no other code needs to know about directions.

    layer 0:  x (N, T, D)        -> y (N, T, H·dirs)          dirs = 2 if bidirectional else 1
    layer k:  dropout(y of k-1)  -> y (N, T, H·dirs)

States are stacked as PyTorch stacks them: (num_layers · dirs, N, H), layer 0 forward, layer 0 reverse, layer 1 forward, ...
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import (as_floating, as_gradient, as_real, check_choice, check_dtype, check_positive_int,
                                     check_shape)
from minilstm.backend.errors import ArgumentError, ShapeError
from minilstm.backend.seeds import as_generator
from minilstm.backend.subnormals import flush_to_zero
from minilstm.cells.gates import SequencePair, gate_columns
from minilstm.cells.padding import PADDINGS, check_lengths
from minilstm.kernels import twins
from minilstm.layers.dropout import check_probability, dropout_mask
from minilstm.layers.initial_weights import RECURRENT_INITS, check_t_max, chrono_bias, glorot_uniform, orthogonal, uniform
from minilstm.layers.module import Module


class RecurrentCache(NamedTuple):
    """One forward of the stack: by [layer][direction], the functions that ran and their cache; the masks between layers."""

    cells: list[list[tuple[SequencePair, Any]]]
    masks: list[Array | None]
    like: Array             # an array of the output's dtype and backend
    N: int
    T: int
    paired: bool            # backward returns (dx, dstate0): a state went in or came out
    flat: bool              # states are (N, H) instead of (1, N, H)


class Recurrent(Module):
    """Base of RNN, GRU and LSTM.

    Args:
        input_size: D, size of the input's last axis.
        hidden_size: H, size of the hidden state.
        num_layers: number of stacked layers.
        bidirectional: run a second cell over the reversed sequence and concatenate both outputs.
        dropout: probability of dropping between layers (not after the last one) while training; needs num_layers > 1.
        return_sequences: True returns all outputs (N, T, H·dirs); False returns the last layer's final hidden state
            (N, H·dirs), both directions side by side, each after its own last real step.
        padding: "post" or "pre", the side that ``lengths`` leaves unused; a call can override it.
        init: "default" (Glorot-uniform input weights, orthogonal recurrent weights, biases 0, an LSTM's forget bias 1),
            "uniform" (everything uniform in ±1/√H, PyTorch's) or "chrono" (the default, with the biases of the gate that keeps
            the state drawn for memories of up to ``t_max`` steps; LSTM and GRU; see
            ``initial_weights.chrono_bias``).
        t_max: with init="chrono", and only there: the longest dependency to be learned, in steps, at least 3.
        dtype: floating dtype of the parameters.
        rng: seed or numpy Generator for the initial weights and the dropout masks.

    Parameters are named ``W`` and ``b``, with ``_l1``, ``_l2`` ... for further layers and ``_reverse`` for the reverse
    direction: ``W``, ``W_reverse``, ``W_l1``, ``W_l1_reverse``, ...
    """

    gates: tuple[str, ...] = ()             # W's column blocks, in order
    biases: tuple[str, ...] = ()            # b's blocks where they are not those of W
    keep_gate = ""                          # the gate whose bias decides how long the state is kept
    state_names: tuple[str, ...] = ()       # "h" alone, or "h" and "c"
    cell = ""                               # "lstm", "gru" or "rnn"
    readable: SequencePair                  # its functions in cells/
    cell_options: dict[str, Any] = {}       # further keyword arguments of these functions

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, *, bidirectional: bool = False,
                 dropout: float = 0.0, return_sequences: bool = True, padding: str = "post", init: str = "default",
                 t_max: int | None = None, dtype: Any = np.float32, rng: Any = None) -> None:
        super().__init__()
        self.input_size = check_positive_int("input_size", input_size)
        self.hidden_size = check_positive_int("hidden_size", hidden_size)
        self.num_layers = check_positive_int("num_layers", num_layers)
        self.dropout = check_probability("dropout", dropout)
        check_choice("padding", padding, PADDINGS)
        check_choice("init", init, RECURRENT_INITS)
        if init == "chrono":
            if not self.keep_gate:
                raise ArgumentError(f"init: {type(self).__name__} has no gate that keeps its state, so there is no "
                                    "\"chrono\"; LSTM and GRU have one")
            check_t_max(t_max)
        elif t_max is not None:
            raise ArgumentError(f"t_max: goes with init=\"chrono\", not with {init!r}")
        if self.dropout and self.num_layers == 1:
            raise ArgumentError("dropout: acts between layers, so it needs num_layers of at least 2; to drop outputs of a "
                                "single layer, put a Dropout layer after it")
        self.bidirectional, self.return_sequences = bool(bidirectional), bool(return_sequences)
        self.padding, self.init, self.t_max = padding, init, t_max
        rng = as_generator(rng)
        for name, value in self.init_params(rng).items():
            self.add_param(name, value.astype(check_dtype(dtype)))
        if self.dropout:
            self.rng = rng

    # Parameters ------------------------------------------------------------------------------------------------------

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def _suffixes(self) -> list[list[str]]:
        return [[("" if layer == 0 else f"_l{layer}") + ("_reverse" if direction else "")
                 for direction in range(self.directions)] for layer in range(self.num_layers)]

    def init_params(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        H, biases = self.hidden_size, self.biases or self.gates
        values = {}
        for layer, row in enumerate(self._suffixes()):
            D = self.input_size if layer == 0 else H * self.directions
            for suffix in row:
                if self.init == "uniform":
                    bound = 1.0 / math.sqrt(H)
                    W, b = uniform(rng, (H + D, len(self.gates) * H), bound), uniform(rng, (len(biases) * H,), bound)
                else:
                    columns = len(self.gates) * H
                    W = np.concatenate([orthogonal(rng, H, columns), glorot_uniform(rng, D, columns)])
                    b = np.zeros(len(biases) * H)
                    if self.t_max is not None:
                        keep = chrono_bias(rng, H, self.t_max)
                        b[gate_columns(biases, self.keep_gate, H)] = keep
                        if "i" in biases:       # i starts at 1 - f: the more is kept, the less comes in
                            b[gate_columns(biases, "i", H)] = -keep
                    elif "f" in biases:         # σ(1) = 0.73: a new LSTM remembers
                        b[gate_columns(biases, "f", H)] = 1.0
                values["W" + suffix], values["b" + suffix] = W, b
        return values

    def gate(self, name: str, layer: int = 0, reverse: bool = False) -> tuple[Array, Array]:
        """Return (w, b) of one gate as views: w (H+D, H), rows [h; x], and b (H,). Writing into them changes the layer.

        For a GRU's candidate "n", which has two biases, b is (2H,): b_nx, b_nh.

        Raises ArgumentError for an unknown gate, layer or direction.
        """
        check_choice("gate", name, self.gates)
        if not 0 <= layer < self.num_layers or (reverse and not self.bidirectional):
            raise ArgumentError(f"gate: there is no layer {layer}{' in reverse' if reverse else ''} in {self!r}")
        suffix = self._suffixes()[layer][int(reverse)]
        columns, H = gate_columns(self.gates, name, self.hidden_size), self.hidden_size
        mine = [k for k, bias in enumerate(self.biases or self.gates) if bias.startswith(name)]
        return self.params["W" + suffix][:, columns], self.params["b" + suffix][mine[0] * H:(mine[-1] + 1) * H]

    def extra_repr(self) -> str:
        words = [str(self.input_size), str(self.hidden_size)]
        for name, default in (("num_layers", 1), ("nonlinearity", "tanh"), ("bidirectional", False), ("dropout", 0.0),
                              ("return_sequences", True), ("padding", "post")):
            value = getattr(self, name, default)
            if value != default:
                words.append(f"{name}={value!r}")
        return ", ".join(words)

    # Forward and backward --------------------------------------------------------------------------------------------

    @flush_to_zero
    def forward(self, x: Array, state0: Any = None, *, lengths: Any = None, padding: str | None = None,
                return_state: bool = False) -> Any:
        """Return y, or (y, state_n) with ``return_state=True``.

        Args:
            x: (N, T, D), floating point.
            state0: initial state, (num_layers·dirs, N, H): one array h0 for an RNN or GRU, a tuple (h0, c0) for an LSTM; None
                stands for zeros. With one layer and one direction, (N, H) is accepted, too; returned states then have that
                shape.
            lengths: N integers from 1 to T, the real steps of each sequence (None: all T).
            padding: "post" or "pre"; None: the layer's own.
            return_state: return the final states too. Passing them to the next call as ``state0`` gives truncated BPTT:
                they are plain arrays, so no gradient flows from one call back into the previous one.

        Returns:
            y (N, T, H·dirs), or (N, H·dirs) with return_sequences=False; states as described for ``state0``.

        Raises ShapeError, DtypeError, ArgumentError before anything is computed.
        """
        x = as_floating("x", x)
        params = {name: as_floating(name, value) for name, value in self.params.items()}
        get_array_module(x, *params.values())
        check_shape("x", x, (None, None, self.input_size), "N, T, D")
        N, T, _ = x.shape
        padding = self.padding if padding is None else padding
        check_choice("padding", padding, PADDINGS)
        if lengths is not None:
            lengths = check_lengths(lengths, N, T, padding)
        states, flat = self._unstack("state0", state0, N)
        cells: list[list[tuple[SequencePair, Any]]] = []
        masks: list[Array | None] = []
        finals: list[tuple[Array, ...]] = []
        xp = get_array_module(x)
        for layer, row in enumerate(self._suffixes()):
            if layer > 0:
                mask = dropout_mask(self.rng, tuple(x.shape), self.dropout, x) if self.dropout and self.training else None
                masks.append(mask)
                x = x if mask is None else x * mask
            needed = self.return_sequences or layer + 1 < self.num_layers      # the outputs of every step
            outputs, caches = [], []
            for direction, suffix in enumerate(row):
                state = states[layer * self.directions + direction]
                pair = (twins(self.cell, x, *state, *params.values()) if self.fast else None) or self.readable
                options = {"lengths": lengths, "padding": _flip_padding(padding, direction), **self.cell_options}
                if pair != self.readable:
                    options |= {"outputs": needed, "keep": self.keeps}
                y, *_, cache = pair.forward(_flip(x, direction), *state, params["W" + suffix], params["b" + suffix], **options)
                outputs.append(y if y is None else _flip(y, direction))
                caches.append((pair, cache))
                finals.append(cache.last)
            cells.append(caches)
            if needed:
                x = outputs[0] if len(outputs) == 1 else xp.concatenate(outputs, axis=2)
        if not self.return_sequences:
            x = xp.concatenate([final[0] for final in finals[-self.directions:]], axis=1)
        paired = return_state or state0 is not None
        self.push(RecurrentCache(cells, masks, xp.empty(0, x.dtype), N, T, paired, flat))
        return (x, self._stack(finals, flat)) if return_state else x

    @flush_to_zero
    def backward(self, dy: Array | None, dstate: Any = None) -> Any:
        """Return dx (N, T, D), or (dx, dstate0) if the forward was given ``state0`` or ``return_state=True``.

        Args:
            dy: gradient of y, in y's shape; None stands for zeros.
            dstate: gradient of the final states, in their shape (an LSTM's tuple may hold None); None stands for zeros.

        Adds to ``grads``. Raises ShapeError, DtypeError, BackwardError before any change.
        """
        cells, masks, like, N, T, paired, flat = self.peek(dy)
        H, dirs = self.hidden_size, self.directions
        if dy is not None:
            steps: tuple[int, ...] = (T,) if self.return_sequences else ()
            axes = f"N, {'T, ' if steps else ''}H{'·2' if dirs == 2 else ''}"
            dy = as_gradient("dy", dy, (N, *steps, H * dirs), axes, like.dtype)
        as_real("x of the forward", like)
        xp = get_array_module(dy, like)
        dstates, _ = self._unstack("dstate", dstate, N)
        self.pop()
        if not self.return_sequences and dy is not None:        # y was the final hidden state
            for direction in range(dirs):
                place = (self.num_layers - 1) * dirs + direction
                dh_n, *others = dstates[place]
                share = dy[:, direction * H:(direction + 1) * H]
                dstates[place] = (share if dh_n is None else dh_n + share, *others)
        dy = dy if self.return_sequences else None
        initials: list[tuple[Array, ...]] = [()] * len(dstates)
        for layer in range(self.num_layers - 1, -1, -1):
            dx = None
            for direction, suffix in enumerate(self._suffixes()[layer]):
                place = layer * dirs + direction
                share = None if dy is None else _flip(dy[:, :, direction * H:(direction + 1) * H], direction)
                pair, cache = cells[layer][direction]
                options = {} if pair == self.readable else {"consume": True}        # the cache is not needed afterwards
                dh_last, *dc_last = dstates[place]
                d, *dstate0, dW, db = pair.backward(share, *dc_last, cache, dh_last=dh_last, **options)
                initials[place] = tuple(dstate0)
                self.grads["W" + suffix] += dW
                self.grads["b" + suffix] += db
                d = _flip(d, direction)
                dx = d if dx is None else dx + d
            dy = dx
            if layer > 0 and masks[layer - 1] is not None:
                dy = dx * masks[layer - 1]
        dx = xp.ascontiguousarray(dy)
        return (dx, self._stack(initials, flat)) if paired or dstate is not None else dx

    # States ----------------------------------------------------------------------------------------------------------

    def _unstack(self, name: str, state: Any, N: int) -> tuple[list[tuple[Array | None, ...]], bool]:
        """Split (a tuple of) stacked states into one tuple for each cell; tell whether they were (N, H)."""
        cells, names = self.num_layers * self.directions, self.state_names
        if state is None:
            return [(None,) * len(names)] * cells, False
        if len(names) == 1:
            state = (state,)
        elif not isinstance(state, (tuple, list)) or len(state) != len(names):
            got = f"a {type(state).__name__}" + (f" of {len(state)}" if isinstance(state, (tuple, list)) else "")
            raise ShapeError(f"{name}: expected a tuple ({', '.join(names)}) of {len(names)} arrays, got {got}")
        convert = as_real if name.startswith("d") else as_floating
        state = [None if part is None else convert(f"{name} {part_name}", part) for part_name, part in zip(names, state)]
        flat = cells == 1 and any(part is not None and part.ndim == 2 for part in state)
        columns = []
        for part_name, part in zip(names, state):
            if part is None:
                columns.append([None] * cells)
                continue
            full_name = f"{name} {part_name}"
            get_array_module(part, *self.params.values())
            if cells == 1 and part.ndim == 2:
                check_shape(full_name, part, (N, self.hidden_size), "N, H")
                part = part[None]
            check_shape(full_name, part, (cells, N, self.hidden_size), "layers·directions, N, H")
            columns.append(list(part))
        return list(zip(*columns)), flat

    def _stack(self, states: list[tuple[Array, ...]], flat: bool) -> Any:
        """The inverse of _unstack."""
        xp = get_array_module(states[0][0])
        parts = tuple(part[0] if flat else xp.stack(part) for part in zip(*states))
        return parts if len(self.state_names) > 1 else parts[0]


def _flip(x: Array, direction: int) -> Array:
    return x[:, ::-1] if direction else x


def _flip_padding(padding: str, direction: int) -> str:
    return {"post": "pre", "pre": "post"}[padding] if direction else padding
