"""Run a cell's equations and its derivation, with or without mistakes, on one small problem.

The elementwise lines are those of the docstring (derivation.py). The sums over time and the products with W
are made here, for each gate apart, because students keep their weights in many forms: what is compared are
blocks such as ("W_h", 2), the recurrent weights of the third gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.diagnosis.derivation import Cell, Line, evaluate, translate
from minilstm.gradients.diagnosis.wrong_lines import Above, Carry, CellCarry, Edit, Loop, Place, Rows

# ("W_x" | "W_h" | "b" | "b_h", gate), ("x" | "E" | "h0" | "c0" | "W_y" | "b_y", None)
Block = tuple[str, int | None]
Spec = Mapping[int | Place, Edit]       # mistakes by their place


class Weights(NamedTuple):
    """x (T, N, D), h0 and c0 (N, H), W_x (G, D, H), W_h (G, H, H), b and b_h (G, H): b_h is added to the
    product with h.

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


class OutputGradients(NamedTuple):
    """Gradients from above.

    h, c (T, N, H): of each step's states; last_h, last_c (N, H): of the final states where these are outputs
    of their own; scores (T, N, V): of h W_y + b_y, where there is such a layer.
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


def backward(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], upstream: OutputGradients,
             spec: Spec = {}) -> Trace:
    """Run the derivation from the last step to the first, with the mistakes of ``spec`` in it."""
    T, N, H = upstream.h.shape
    zero = np.zeros((N, H))
    dz, past, before = (np.zeros((len(cell.gates), T, N, H)) for _ in range(3))
    all_dh, all_dc = np.zeros((2, T, N, H))
    changes: dict[Place, Any] = {place: spec[place].change for place in Place if place in spec}
    above: Above | None = changes.get(Place.ABOVE)
    loop: Loop = changes.get(Place.LOOP, Loop())
    ignored: tuple[str, ...] = changes.get(Place.FINAL, ())
    wrong_carry: Carry = changes.get(Place.CARRY_H, Carry())
    right_at_0 = Place.CARRY_H in spec and spec[Place.CARRY_H].finding.later
    carry_c: CellCarry | None = changes.get(Place.CARRY_C)
    a, b = changes.get(Place.GATES, (0, 0))
    exchanged = {a: b, b: a}
    lines = [(translate(line.target), line.right, spec.get(line.number or 0)) for line in cell.backward]
    gradients = [tuple(map(translate, names)) for names in zip(cell.behind, cell.past, cell.before)]
    last_h = zero if "h" in ignored else upstream.last_h
    last_c = zero if "c" in ignored else upstream.last_c
    dh_next, dc_next = (upstream.last_h, upstream.last_c) if loop.final_first else (zero, zero)
    first = loop.first if loop.steps is None else max(T - loop.steps, 0)
    for t in range(T - 1 - loop.last, first - 1, -1):
        used = above is None or above.first and t == 0 or above.last and t == T - 1
        dh_above, dc_above = upstream.h[t] if used else zero, upstream.c[t]
        if t == T - 1 and not loop.final_first:
            dh_above, dc_above = dh_above + last_h, dc_above + last_c
        dh, dc = dh_above + (dh_next if wrong_carry.read else zero), dc_above + dc_next
        values = {**steps[t], **_other_steps(steps, t),
                  "dh": dh, "dc": dc, "dc_next": dc, "dh_above": dh_above}
        for target, right, edit in lines:
            is_wrong = edit is not None and not (edit.finding.later and t == 0)
            values[target] = evaluate(edit.change if edit and is_wrong else right, values)
        carry = Carry() if right_at_0 and t == 0 else wrong_carry
        all_dh[t], all_dc[t] = dh, values["dc"]
        for gate, names in enumerate(gradients):
            k = exchanged.get(gate, gate)
            dz[k, t], past[k, t], before[k, t] = (values[name] for name in names)
        direct = values.get("dh_prev", zero)            # the GRU's path along the state
        direct = zero if direct is steps[t]["h_prev"] else direct
        sources = {"past": past[:, t], "before": before[:, t], "dz": dz[:, t]}
        dh_prev = _carried(cell, weights, sources[carry.source], carry, direct, dh)
        dh_next = dh_prev + dh_next if carry.added_up else dh_prev if carry.handed_on else zero
        dc_prev = values.get("dc_prev", zero)
        if carry_c is CellCarry.ADDED_UP:
            dc_next = dc_next + dc_prev
        else:
            dc_next = upstream.c[T - 1] + upstream.last_c if carry_c is CellCarry.FROZEN else dc_prev
    return Trace(dz, past, before, all_dh, all_dc, dh_next, dc_next)


def _other_steps(steps: Sequence[dict[str, Any]], t: int) -> dict[str, Any]:
    """Return the forget gates of other steps, which a line may take for its own."""
    if "f" not in steps[t]:
        return {}
    later, earlier = min(t + 1, len(steps) - 1), max(t - 1, 0)
    return {"f_next": steps[t + 1]["f"] if t + 1 < len(steps) else 1.0, "f_prev": steps[t - 1]["f"],
            "f_later": steps[later]["f"], "f_earlier": steps[earlier]["f"]}


def _carried(cell: Cell, weights: Weights, source: np.ndarray, carry: Carry, direct: Any,
             dh: np.ndarray) -> Any:
    """Return dh_prev: line 1, the columns of h."""
    if carry.instead:
        return dh if carry.instead == "dh" else direct
    total = np.zeros(dh.shape)
    for k in range(len(cell.gates)):
        if cell.reset_first and k == 2 or carry.gates is not None and k not in carry.gates:
            continue
        if carry.rows is not None:
            W = rows_of(weights, k, carry.rows)[0]
        elif carry.through is not None and carry.through[0] == k:
            W = weights.W_h[carry.through[1]]
        else:
            W = weights.W_h[k]
        total = total + source[k] @ (W if k in carry.untransposed else W.T)
    return carry.factor * total + direct + (dh if carry.plus_dh else 0.0)


def past_of(cell: Cell, steps: Sequence[dict[str, Any]], gate: int) -> np.ndarray:
    """Return what W_h of a gate is multiplied with at each step (T, N, H)."""
    resets = cell.reset_first and gate == 2
    return np.stack([values["r"] * values["h_prev"] if resets else values["h_prev"] for values in steps])


def rows_of(weights: Weights, gate: int, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of W that are wrongly taken for h's (H, H) and for x's (D, H)."""
    W_x, W_h, (D, H) = weights.W_x[gate], weights.W_h[gate], weights.W_x[gate].shape
    if rows is Rows.HX:
        stacked = np.concatenate([W_h, W_x])
        return stacked[D:], stacked[:D]
    stacked = np.concatenate([W_x, W_h])
    if rows is Rows.XH:
        return stacked[:H], stacked[H:]
    stacked = np.concatenate([weights.b[gate][None], stacked])
    return stacked[D:-1], stacked[:D]


def block_of(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], trace: Trace, block: Block,
             upstream: OutputGradients) -> np.ndarray:
    """Return one block of the gradients, by lines 2 and 1."""
    what, gate = block
    if what in ("W_y", "b_y"):
        assert upstream.scores is not None
        if what == "b_y":
            return upstream.scores.sum(axis=(0, 1))
        return np.einsum("tnh,tnv->hv", np.stack([values["h"] for values in steps]), upstream.scores)
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
