"""Slips in the last step towards one argument: lines 2 (dW, db) and 1 (dx), and what is returned for the initial states.

They do not change anything else, so they are looked for block by block, after the other slips are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minilstm.gradients.diagnosis.derivation import Cell
from minilstm.gradients.diagnosis.engine import Block, Trace, Upstream, Weights, past_of, rows_of

CLOSE = 1e-7            # of the norm


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two arrays are the same up to rounding."""
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return a.shape == b.shape and float(np.linalg.norm(a - b)) <= CLOSE * scale


def slip(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], trace: Trace, block: Block, right: np.ndarray,
         got: np.ndarray, upstream: Upstream) -> str | None:
    """Return in words how ``got`` comes about where ``right`` is expected, or None."""
    for words, wrong in _wrongs(cell, weights, steps, trace, block, right, upstream):
        if close(wrong, got) and np.any(wrong) == np.any(got):
            return words
    return _scaled(weights, steps, block, right, got)


def _wrongs(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], trace: Trace, block: Block,
            right: np.ndarray, upstream: Upstream) -> Iterator[tuple[str, np.ndarray]]:
    what, gate = block
    yield "it stays zero", 0 * right
    if what in ("h0", "c0", "E"):
        if what == "h0":
            yield "dh of the first step itself is returned, not dz Wᵀ", trace.dh[0]
            yield "dh0 and dc0 are returned in the wrong order", trace.dc0
        if what == "c0":
            yield "dh0 and dc0 are returned in the wrong order", trace.dh0
            yield "dc of the first step itself is returned, without the factor f_t", trace.dc[0]
        if what == "E":
            assert weights.tokens is not None and weights.E is not None
            dx = sum(trace.dz[k] @ weights.W_x[k].T for k in range(len(cell.gates)))
            for place, pairs in (("", [(weights.tokens, dx)]), (" in a step", list(zip(weights.tokens, dx)))):
                dE = np.zeros(weights.E.shape)
                for tokens, rows in pairs:
                    dE[tokens] += rows
                yield f"a word that occurs twice{place} is counted once (dE[tokens] += ... adds each row once)", dE
        return
    if what in ("W_y", "b_y"):
        yield from _wrong_head(steps, what, upstream)
        return
    if what == "x":
        yield from _wrong_dx(cell, weights, trace, right)
        return
    assert gate is not None
    T, N = trace.dh.shape[:2]
    rows = trace.past[gate] if what in ("W_h", "b_h") else trace.dz[gate]
    h = past_of(cell, steps, gate)
    after = np.stack([values["h"] for values in steps])
    inputs = {"W_x": weights.x, "W_h": h}.get(what, np.ones((T, N, 1)))

    def total(factor: np.ndarray, grads: np.ndarray, chosen: slice = slice(None)) -> np.ndarray:
        product: np.ndarray = np.einsum("tnd,tnh->dh", factor[chosen], grads[chosen])
        return product if what in ("W_x", "W_h") else product[0]

    others: dict[str, np.ndarray] = {}
    if what == "W_h":
        others = {"h_t where h_{t-1} belongs": after,
                  "h_{t-1} with the last state at t = 0 (index -1)": np.roll(after, 1, axis=0),
                  "h0 at every step": np.repeat(h[:1], T, axis=0), "zero for h0": np.concatenate([0 * h[:1], h[1:]]),
                  "the first step's h_t for h0 (a view that was written to)": np.concatenate([after[:1], h[1:]])}
        if cell.reset_first and gate == 2:
            others["h_{t-1} where r_t * h_{t-1} belongs"] = np.stack([values["h_prev"] for values in steps])
        if T > 1:
            others["h_{t-2} where h_{t-1} belongs (index -1 at t = 0)"] = np.roll(h, 1, axis=0)
            others["the last step's h_{t-1} at every step"] = np.repeat(h[-1:], T, axis=0)
    if what == "W_x" and T > 1:
        others = {"x_{t-1} where x_t belongs": np.concatenate([0 * inputs[:1], inputs[:-1]]),
                  "x_{t-1} where x_t belongs (index -1 at t = 0)": np.roll(inputs, 1, axis=0),
                  "x_{t+1} where x_t belongs": np.concatenate([inputs[1:], 0 * inputs[:1]]),
                  "the last step's x at every step": np.repeat(inputs[-1:], T, axis=0),
                  "the first step's x at every step": np.repeat(inputs[:1], T, axis=0), "x in the reverse order": inputs[::-1]}
    ranges = {"": slice(None)}
    if T > 1:
        ranges |= {"= for +=: the first step's share alone, written last": slice(0, 1),
                   "the last step's share alone": slice(T - 1, T)}
    if T > 2:
        ranges |= {"the first step (t = 0) is left out of the sum": slice(1, T),
                   "the last step is left out of the sum": slice(0, T - 1)}
    for limits, chosen in ranges.items():
        for words, factor in {"": inputs, **others}.items():
            if words or limits:
                yield " and ".join(filter(None, (limits, words))), total(factor, rows, chosen)
    if what == "W_h":
        yield "transposed", right.T
    yield "the gradient before the nonlinearity is used", total(inputs, trace.before[gate])
    source = trace.past if what in ("W_h", "b_h") else trace.dz
    for k, name in enumerate(cell.gates):
        if k != gate:
            yield f"the gradient of gate {name} is used", total(inputs, source[k])
    if what in ("W_h", "b_h") and trace.past is not trace.dz:
        yield "the gradient that belongs to x is used", total(inputs, trace.dz[gate])
    elif what in ("W_x", "b"):
        yield "the gradient that belongs to h is used", total(inputs, trace.past[gate])
    yield "dh itself is used", total(inputs, trace.dh)
    if N > 1:
        yield "the first sequence of the batch alone is used", total(inputs[:, :1], rows[:, :1])
        yield "the last sequence of the batch alone is used", total(inputs[:, -1:], rows[:, -1:])


def _wrong_head(steps: Sequence[dict[str, Any]], what: str, upstream: Upstream) -> Iterator[tuple[str, np.ndarray]]:
    assert upstream.scores is not None
    scores, T = upstream.scores, len(steps)
    ranges = {"": slice(None), "the first step's share alone": slice(0, 1), "the last step's share alone": slice(T - 1, T),
              "the last step is left out of the sum": slice(0, T - 1),
              "the first step (t = 0) is left out of the sum": slice(1, T)}
    for limits, chosen in ranges.items():
        if limits and T == 1:
            continue
        if what == "b_y":
            yield limits, scores[chosen].sum(axis=(0, 1))
            continue
        for words, name in (("", "h"), ("h_{t-1} where h_t belongs", "h_prev"), ("c_t where h_t belongs", "c")):
            if name in steps[0] and (words or limits):
                h = np.stack([values[name] for values in steps])
                yield " and ".join(filter(None, (limits, words))), np.einsum("tnh,tnv->hv", h[chosen], scores[chosen])


def _wrong_dx(cell: Cell, weights: Weights, trace: Trace, right: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    T, gates = len(right), range(len(cell.gates))
    shares = [trace.dz[k] @ weights.W_x[k].T for k in gates]
    if cell.past != cell.behind:
        yield "dq is used where da_n belongs", sum(trace.past[k] @ weights.W_x[k].T for k in gates)
    yield "the gradients before the nonlinearities are used", sum(trace.before[k] @ weights.W_x[k].T for k in gates)
    if T > 1:
        yield "its steps are in the reverse order", right[::-1]
        yield "only the last step's is there", np.concatenate([0 * right[:-1], right[-1:]])
        yield "only the first step's is there", np.concatenate([right[:1], 0 * right[1:]])
        yield "the first step's (t = 0) is missing", np.concatenate([0 * right[:1], right[1:]])
        yield "the last step's is missing", np.concatenate([right[:-1], 0 * right[-1:]])
        yield "each step has the next one's", np.concatenate([right[1:], 0 * right[:1]])
        yield "each step has the one's before", np.concatenate([0 * right[:1], right[:-1]])
        yield "each step has the next one's (index -1 at the end)", np.roll(right, -1, axis=0)
        yield "each step has the one's before (index -1 at t = 0)", np.roll(right, 1, axis=0)
        yield "later steps are added to each", np.cumsum(right[::-1], axis=0)[::-1]
    if len(shares) > 1:
        for k in gates:
            yield f"the share of gate {cell.gates[k]} is missing", right - shares[k]
        for k in gates:
            yield f"it has the share of gate {cell.gates[k]} alone", shares[k]
    H, D = weights.W_h.shape[1], weights.W_x.shape[1]
    for which, words in (("rows [h, x]", "it is cut from the first columns of d[h, x], which are h's"),
                         ("rows [x, h]", "it is cut from the last columns of d[x, h], which are h's"),
                         ("rows [1, x, h]", "it is cut one column too early from d[1, x, h]")):
        yield words, sum(trace.dz[k] @ rows_of(weights, k, which)[1].T for k in gates)
    if H == D:
        yield "W_h is used where W_x belongs", sum(trace.dz[k] @ weights.W_h[k].T for k in gates)
        yield "W_x is not transposed", sum(trace.dz[k] @ weights.W_x[k] for k in gates)


def _scaled(weights: Weights, steps: Sequence[dict[str, Any]], block: Block, right: np.ndarray, got: np.ndarray) -> str | None:
    """Return the words for a multiple, for clipping and for weight decay, or None."""
    if got.size < 2 or got.shape != right.shape:
        return None
    factor = float((got * right).sum() / (right * right).sum()) if right.any() else 0.0
    if factor and close(got, factor * right):
        T, N = len(steps), len(weights.h0)
        known = {"2": 2.0, "-1": -1.0, "1/2": 0.5, "N": N, "T": T, "1/N": 1 / N, "1/T": 1 / T, "N T": N * T,
                 "1/(N T)": 1 / (N * T)}
        name = next((name for name, value in known.items() if abs(value - factor) < 1e-6 * abs(value)), f"{factor:.6g}")
        return f"it is {name} times what it should be"
    limit = float(np.abs(got).max())
    if limit < float(np.abs(right).max()) and close(got, np.clip(right, -limit, limit)):
        return f"it is clipped at {limit:.6g}"
    what, gate = block
    if what in ("W_x", "W_h") and gate is not None:
        W = getattr(weights, what)[gate]
        factor = float(((got - right) * W).sum() / (W * W).sum())
        if factor and close(got - right, factor * W):
            return f"{factor:.6g} times the weights are added (weight decay)"
    return None
