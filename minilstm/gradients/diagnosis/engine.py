"""Run a cell's equations and its derivation, with or without slips, on one small problem.

The elementwise lines are those of the docstring (derivation.py). The sums over time and the products with W are made here, for
each gate apart, because students keep their weights in many forms: what is compared are blocks such as ("W_h", 2), the
recurrent weights of the third gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.diagnosis.derivation import Cell, Line, evaluate, translate
from minilstm.gradients.diagnosis.slips import Edit

Block = tuple[str, int | None]          # ("W_x" | "W_h" | "b" | "b_h", gate), ("x" | "E" | "h0" | "c0" | "W_y" | "b_y", None)
Spec = Mapping[int | str, Edit]         # slips by their place


class Weights(NamedTuple):
    """x (T, N, D), h0 and c0 (N, H), W_x (G, D, H), W_h (G, H, H), b and b_h (G, H): b_h is added to the product with h.

    W_y (H, V) and b_y (V,): a layer above h, if there is one. E (V, D), tokens (T, N): x = E[tokens],
    where it is made so.
    """

    x: np.ndarray
    h0: np.ndarray
    c0: np.ndarray
    W_x: np.ndarray
    W_h: np.ndarray
    b: np.ndarray
    b_h: np.ndarray
    W_y: np.ndarray | None = None
    b_y: np.ndarray | None = None
    E: np.ndarray | None = None
    tokens: np.ndarray | None = None


class Upstream(NamedTuple):
    """Gradients from above.

    h, c (T, N, H): of each step's states; last_h, last_c (N, H): of the final states where these are outputs of their own;
    scores (T, N, V): of h W_y + b_y, where there is such a layer.
    """

    h: np.ndarray
    c: np.ndarray
    last_h: np.ndarray
    last_c: np.ndarray
    scores: np.ndarray | None = None


class Trace(NamedTuple):
    """What a backward pass left: dz, past, before (G, T, N, H); dh, dc (T, N, H); dh0, dc0 (N, H)."""

    dz: np.ndarray          # the gradient of each gate's pre-activation
    past: np.ndarray        # the same, as it meets W_h
    before: np.ndarray      # the gradient of each gate
    dh: np.ndarray
    dc: np.ndarray
    dh0: np.ndarray
    dc0: np.ndarray


def forward(cell: Cell, weights: Weights, equations: Sequence[Line] | None = None) -> list[dict[str, Any]]:
    """Return the values of each step, by the names that derivation.py gives them."""
    steps = []
    state = {"h": weights.h0, "c": weights.c0}
    for x in weights.x:
        values: dict[str, Any] = {"x": x, "h_prev": state["h"], "c_prev": state["c"]}
        for k, gate in enumerate(cell.gates):
            present, past = x @ weights.W_x[k] + weights.b[k], state["h"] @ weights.W_h[k] + weights.b_h[k]
            values |= {f"present_{gate}": present, f"past_{gate}": past, f"a_{gate}": present + past,
                       f"W_{gate}h": weights.W_h[k]}
        for line in equations or cell.forward:
            values[translate(line.target)] = evaluate(line.right, values)
        state = {name: values[name] for name in cell.states}
        state.setdefault("c", weights.c0)
        steps.append(values)
    return steps


def backward(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], upstream: Upstream, spec: Spec = {}) -> Trace:
    """Run the derivation from the last step to the first, with the slips of ``spec`` in it."""
    T, N, H = upstream.h.shape
    zero = np.zeros((N, H))
    dz, past, before = (np.zeros((len(cell.gates), T, N, H)) for _ in range(3))
    all_dh, all_dc = np.zeros((2, T, N, H))
    above, loop, carry_c = (spec[place].wrong if place in spec else "" for place in ("above", "loop", "carry c"))
    final = spec["final"].wrong if "final" in spec else ""
    lines = [(translate(line.target), line.right, spec.get(line.number or 0)) for line in cell.backward]
    kept = loop.endswith("kept")        # the final states' gradients are there from the start, wherever the loop begins
    dh_next, dc_next = (upstream.last_h, upstream.last_c) if kept else (zero, zero)
    first = T - int(loop.split()[1]) if loop.startswith("truncated") else int(loop.startswith("skip first"))
    for t in range(T - 1 - loop.startswith("skip last"), max(first, 0) - 1, -1):
        dh_above, dc_above = upstream.h[t], upstream.c[t]
        if above == "none" or above == "last" and t < T - 1 or above == "first" and t > 0:
            dh_above = zero
        if t == T - 1 and not kept:
            dh_above = dh_above + (zero if final in ("h", "both") else upstream.last_h)
            dc_above = dc_above + (zero if final in ("c", "both") else upstream.last_c)
        unused = "carry h" in spec and spec["carry h"].wrong == "unused"
        dh, dc = dh_above + (zero if unused else dh_next), dc_above + dc_next
        later = steps[t + 1] if t + 1 < T else None
        values = {**steps[t], "dh": dh, "dc": dc, "dc_next": dc, "dh_above": dh_above,
                  "f_next": later["f"] if later and "f" in later else 1.0, "f_prev": steps[t - 1].get("f", 1.0),
                  "f_later": steps[min(t + 1, T - 1)].get("f", 1.0), "f_earlier": steps[max(t - 1, 0)].get("f", 1.0)}
        for target, right, edit in lines:
            values[target] = evaluate(right if edit is None or edit.later and t == 0 else edit.wrong, values)
        carry = spec["carry h"].wrong if "carry h" in spec and not (spec["carry h"].later and t == 0) else ""
        all_dh[t], all_dc[t] = dh, values["dc"]
        if "gates" in spec:
            a, b = (cell.gates.index(gate) for gate in spec["gates"].wrong.split())
            exchanged = {a: b, b: a}
        else:
            exchanged = {}
        for gate, names in enumerate(zip(cell.behind, cell.past, cell.before)):
            k = exchanged.get(gate, gate)
            dz[k, t], past[k, t], before[k, t] = (values[translate(name)] for name in names)
        direct = values.get("dh_prev", zero)            # the GRU's path along the state
        direct = zero if direct is steps[t]["h_prev"] else direct
        dh_prev = _carried(cell, weights, dz[:, t], past[:, t], before[:, t], carry, direct, dh)
        dh_next = dh_prev + dh_next if carry == "added" else zero if carry == "none" else dh_prev
        dc_prev = values.get("dc_prev", zero)
        frozen = upstream.c[T - 1] + upstream.last_c
        dc_next = dc_next + dc_prev if carry_c == "added" else frozen if carry_c == "frozen" else dc_prev
    return Trace(dz, past, before, all_dh, all_dc, dh_next, dc_next)


def _carried(cell: Cell, weights: Weights, dz: np.ndarray, past: np.ndarray, before: np.ndarray, carry: str, direct: Any,
             dh: np.ndarray) -> Any:
    """Return dh_prev: line 1, the columns of h."""
    word, _, gate = carry.partition(" ")
    gates = [k for k in range(len(cell.gates)) if not (cell.reset_first and k == 2)]
    if word in ("without", "only"):
        gates = [k for k in gates if (cell.gates[k] == gate) == (word == "only")]
    if word == "swapped":
        k, other = (cell.gates.index(name) for name in gate.split())
        through = list(range(len(cell.gates)))
        through[k] = other
    else:
        through = list(range(len(cell.gates)))
    if carry == "direct":
        return direct
    if carry == "dh":
        return dh
    source = {"before": before, "da_n": dz}.get(carry, past)
    W = weights.W_h
    if carry.startswith("rows"):
        total = sum(source[k] @ rows_of(weights, k, carry)[0].T for k in gates)
    else:
        total = sum(source[k] @ (W[through[k]] if word == "untransposed" and gate in ("", cell.gates[k]) else W[through[k]].T)
                    for k in gates)
    total = {"twice": 2.0, "negated": -1.0}.get(carry, 1.0) * np.asarray(total)
    return total + direct + (dh if carry == "dh plus" else 0.0)


def past_of(cell: Cell, steps: Sequence[dict[str, Any]], gate: int) -> np.ndarray:
    """Return what W_h of a gate is multiplied with at each step (T, N, H)."""
    resets = cell.reset_first and gate == 2
    return np.stack([values["r"] * values["h_prev"] if resets else values["h_prev"] for values in steps])


def rows_of(weights: Weights, gate: int, which: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of W that are wrongly taken for h's (H, H) and for x's (D, H)."""
    W_x, W_h, (D, H) = weights.W_x[gate], weights.W_h[gate], weights.W_x[gate].shape
    if which == "rows [h, x]":
        stacked = np.concatenate([W_h, W_x])
        return stacked[D:], stacked[:D]
    stacked = np.concatenate([W_x, W_h])
    if which == "rows [x, h]":
        return stacked[:H], stacked[H:]
    stacked = np.concatenate([weights.b[gate][None], stacked])
    return stacked[D:-1], stacked[:D]           # "rows [1, x, h]"


def block_of(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], trace: Trace, block: Block,
             upstream: Upstream) -> np.ndarray:
    """Return one block of the gradients, by lines 2 and 1."""
    what, gate = block
    if what in ("W_y", "b_y"):
        assert upstream.scores is not None
        h = np.stack([values["h"] for values in steps])
        return np.einsum("tnh,tnv->hv", h, upstream.scores) if what == "W_y" else upstream.scores.sum(axis=(0, 1))
    if what == "E":
        assert weights.tokens is not None and weights.E is not None
        dE = np.zeros(weights.E.shape)
        np.add.at(dE, weights.tokens, block_of(cell, weights, steps, trace, ("x", None), upstream))
        return dE
    if what == "x":
        return sum(trace.dz[k] @ weights.W_x[k].T for k in range(len(cell.gates)))
    if what in ("h0", "c0"):
        return trace.dh0 if what == "h0" else trace.dc0
    assert gate is not None
    rows = trace.past[gate] if what in ("W_h", "b_h") else trace.dz[gate]
    if what in ("b", "b_h"):
        return rows.sum(axis=(0, 1))
    inputs = weights.x if what == "W_x" else past_of(cell, steps, gate)
    return np.einsum("tnd,tnh->dh", inputs, rows)
