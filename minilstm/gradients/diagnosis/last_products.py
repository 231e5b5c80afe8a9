"""Mistakes in the last step towards one argument: lines 2 (dW, db) and 1 (dx), and what is returned for the
initial states.

They do not change anything else, so they are looked for block by block, after the other mistakes are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minilstm.gradients.diagnosis.derivation import Cell
from minilstm.gradients.diagnosis.findings import Finding
from minilstm.gradients.diagnosis.simulate import Block, OutputGradients, Trace, Weights, past_of, rows_of
from minilstm.gradients.diagnosis.wrong_lines import Rows

CLOSE = 1e-7            # of the norm
Wrong = tuple[tuple[Finding, ...], np.ndarray]      # what is wrong with it, and the gradient that it gives


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two arrays are the same up to rounding."""
    if a.shape != b.shape:
        return False
    gap = a - b
    return bool(np.vdot(gap, gap) <= CLOSE ** 2 * max(np.vdot(a, a), np.vdot(b, b)))


def explained(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], trace: Trace, block: Block,
              right: np.ndarray, got: np.ndarray, upstream: OutputGradients) -> tuple[Finding, ...]:
    """Return how ``got`` comes about where ``right`` is expected, or () if nothing explains it."""
    for findings, wrong in _wrongs(cell, weights, steps, trace, block, right, upstream):
        if close(wrong, got) and np.any(wrong) == np.any(got):
            return findings
    return _scaled(weights, steps, block, right, got)


def _one(form: str, wrong: Any, *values: Any) -> Wrong:
    return (Finding(form, values),), wrong


def _wrongs(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], trace: Trace, block: Block,
            right: np.ndarray, upstream: OutputGradients) -> Iterator[Wrong]:
    what, gate = block
    yield _one("zero", 0 * right)
    if what == "h0":
        yield _one("dh returned", trace.dh[0])
        yield _one("states exchanged", trace.dc0)
    elif what == "c0":
        yield _one("states exchanged", trace.dh0)
        yield _one("dc returned", trace.dc[0])
    elif what == "E":
        yield from _wrong_dE(cell, weights, trace)
    elif what in ("W_y", "b_y"):
        yield from _wrong_head(steps, what, upstream)
    elif what == "x":
        yield from _wrong_dx(cell, weights, trace, right)
    else:
        assert gate is not None
        yield from _wrong_sum(cell, weights, steps, trace, what, gate, right)


def _wrong_dE(cell: Cell, weights: Weights, trace: Trace) -> Iterator[Wrong]:
    assert weights.tokens is not None and weights.E is not None
    dx = sum(trace.dz[k] @ weights.W_x[k].T for k in range(len(cell.gates)))
    all_at_once, by_step = [(weights.tokens, dx)], list(zip(weights.tokens, dx))
    for form, pairs in (("word once", all_at_once), ("word once a step", by_step)):
        dE = np.zeros(weights.E.shape)
        for tokens, rows in pairs:
            dE[tokens] += rows
        yield _one(form, dE)


def _shares(T: int, first: str) -> dict[tuple[Finding, ...], slice]:
    """Return the wrong parts of a sum over T steps; ``first``: the form for the first step's share alone."""
    if T == 1:
        return {}
    shares = {first: slice(0, 1), "last share": slice(T - 1, T)}
    if T > 2:
        shares |= {"without first": slice(1, T), "without last": slice(0, T - 1)}
    return {(Finding(form),): share for form, share in shares.items()}


def _wrong_inputs(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], what: str,
                  gate: int) -> dict[tuple[Finding, ...], np.ndarray]:
    """Return what W_h or W_x is wrongly paired with at each step."""
    T, found = len(steps), {}
    if what == "W_h":
        h, after = past_of(cell, steps, gate), np.stack([values["h"] for values in steps])
        found = {Finding("h_t"): after,
                 Finding("wrapped", ("h_{t-1}",)): np.roll(after, 1, axis=0),
                 Finding("every step", ("h0",)): np.repeat(h[:1], T, axis=0),
                 Finding("zero for h0"): np.concatenate([0 * h[:1], h[1:]]),
                 Finding("h_t for h0"): np.concatenate([after[:1], h[1:]])}
        if cell.reset_first and gate == 2:
            plain = np.stack([values["h_prev"] for values in steps])
            found[Finding("instead", ("h_{t-1}", "r_t * h_{t-1}"))] = plain
        if T > 1:
            found[Finding("wrapped", ("h_{t-2}",))] = np.roll(h, 1, axis=0)
            found[Finding("every step", ("the last step's h_{t-1}",))] = np.repeat(h[-1:], T, axis=0)
    if what == "W_x" and T > 1:
        x = weights.x
        found = {Finding("instead", ("x_{t-1}", "x_t")): np.concatenate([0 * x[:1], x[:-1]]),
                 Finding("x wrapped", ("x_{t-1}",)): np.roll(x, 1, axis=0),
                 Finding("instead", ("x_{t+1}", "x_t")): np.concatenate([x[1:], 0 * x[:1]]),
                 Finding("every step", ("the last step's x",)): np.repeat(x[-1:], T, axis=0),
                 Finding("every step", ("the first step's x",)): np.repeat(x[:1], T, axis=0),
                 Finding("x reversed"): x[::-1]}
    return {(finding,): array for finding, array in found.items()}


def _wrong_sum(cell: Cell, weights: Weights, steps: Sequence[dict[str, Any]], trace: Trace, what: str,
               gate: int, right: np.ndarray) -> Iterator[Wrong]:
    T, N = trace.dh.shape[:2]
    of_h = what in ("W_h", "b_h")
    source = trace.past if of_h else trace.dz
    rows, ones = source[gate], np.ones((T, N, 1))
    inputs = weights.x if what == "W_x" else past_of(cell, steps, gate) if what == "W_h" else ones

    def total(factor: np.ndarray, grads: np.ndarray, share: slice = slice(None)) -> np.ndarray:
        product: np.ndarray = np.einsum("tnd,tnh->dh", factor[share], grads[share])
        return product if what in ("W_x", "W_h") else product[0]
    everything: dict[tuple[Finding, ...], slice] = {(): slice(None)}
    for limits, share in (everything | _shares(T, "written last")).items():
        for findings, factor in ({(): inputs} | _wrong_inputs(cell, weights, steps, what, gate)).items():
            if limits or findings:
                yield (*limits, *findings), total(factor, rows, share)
    if what == "W_h":
        yield _one("transposed", right.T)
    yield _one("before", total(inputs, trace.before[gate]))
    for k, name in enumerate(cell.gates):
        if k != gate:
            yield _one("another gate", total(inputs, source[k]), name)
    if cell.past != cell.behind:
        other = trace.dz if of_h else trace.past
        yield _one("another factor" if of_h else "factor of h", total(inputs, other[gate]))
    yield _one("dh", total(inputs, trace.dh))
    if N > 1:
        yield _one("one sequence", total(inputs[:, :1], rows[:, :1]), "first")
        yield _one("one sequence", total(inputs[:, -1:], rows[:, -1:]), "last")


def _wrong_head(steps: Sequence[dict[str, Any]], what: str, upstream: OutputGradients) -> Iterator[Wrong]:
    assert upstream.scores is not None
    scores = upstream.scores
    everything: dict[tuple[Finding, ...], slice] = {(): slice(None)}
    states = {(): "h", (Finding("instead", ("h_{t-1}", "h_t")),): "h_prev",
              (Finding("instead", ("c_t", "h_t")),): "c"}
    for limits, share in (everything | _shares(len(steps), "first share")).items():
        if what == "b_y":
            if limits:
                yield limits, scores[share].sum(axis=(0, 1))
            continue
        for findings, name in states.items():
            if name in steps[0] and (limits or findings):
                h = np.stack([values[name] for values in steps])
                yield (*limits, *findings), np.einsum("tnh,tnv->hv", h[share], scores[share])


def _wrong_dx(cell: Cell, weights: Weights, trace: Trace, right: np.ndarray) -> Iterator[Wrong]:
    T, gates = len(right), range(len(cell.gates))
    shares = [trace.dz[k] @ weights.W_x[k].T for k in gates]
    if cell.past != cell.behind:
        yield _one("dq", sum(trace.past[k] @ weights.W_x[k].T for k in gates))
    yield _one("all before", sum(trace.before[k] @ weights.W_x[k].T for k in gates))
    if T > 1:
        zero, next_one, one_before = 0 * right[:1], "the next one's", "the one's before"
        yield _one("dx reversed", right[::-1])
        yield _one("dx of one step", np.concatenate([0 * right[:-1], right[-1:]]), "last")
        yield _one("dx of one step", np.concatenate([right[:1], 0 * right[1:]]), "first")
        yield _one("dx without first", np.concatenate([zero, right[1:]]))
        yield _one("dx without last", np.concatenate([right[:-1], zero]))
        yield _one("dx shifted", np.concatenate([right[1:], zero]), next_one)
        yield _one("dx shifted", np.concatenate([zero, right[:-1]]), one_before)
        yield _one("dx wrapped", np.roll(right, -1, axis=0), next_one)
        yield _one("dx wrapped", np.roll(right, 1, axis=0), one_before)
        yield _one("dx added up", np.cumsum(right[::-1], axis=0)[::-1])
    if len(shares) > 1:
        for k in gates:
            yield _one("share missing", right - shares[k], cell.gates[k])
        for k in gates:
            yield _one("share alone", shares[k], cell.gates[k])
    cuts = {"x from the front": Rows.HX, "x from the end": Rows.XH, "x too early": Rows.ONE_XH}
    for form, rows in cuts.items():
        yield _one(form, sum(trace.dz[k] @ rows_of(weights, k, rows)[1].T for k in gates))
    if weights.W_h.shape[1] == weights.W_x.shape[1]:
        yield _one("W_h for W_x", sum(trace.dz[k] @ weights.W_h[k].T for k in gates))
        yield _one("W_x not transposed", sum(trace.dz[k] @ weights.W_x[k] for k in gates))


def _scaled(weights: Weights, steps: Sequence[dict[str, Any]], block: Block, right: np.ndarray,
            got: np.ndarray) -> tuple[Finding, ...]:
    """Return the finding for a multiple, for clipping or for weight decay, or ()."""
    if got.size < 2 or got.shape != right.shape:
        return ()
    factor = float((got * right).sum() / (right * right).sum()) if right.any() else 0.0
    if factor and close(got, factor * right):
        T, N = len(steps), len(weights.h0)
        known = {"2": 2.0, "-1": -1.0, "1/2": 0.5, "N": N, "T": T, "1/N": 1 / N, "1/T": 1 / T, "N T": N * T,
                 "1/(N T)": 1 / (N * T)}
        close_to = [name for name, value in known.items() if abs(value - factor) < 1e-6 * abs(value)]
        name = close_to[0] if close_to else f"{factor:.6g}"
        return (Finding("1/N") if name == "1/N" else
                Finding("factor" if factor > 0 else "negative factor", (name,)),)
    limit = float(np.abs(got).max())
    if limit < float(np.abs(right).max()) and close(got, np.clip(right, -limit, limit)):
        return (Finding("clipped", (f"{limit:.6g}",)),)
    what, gate = block
    if what in ("W_x", "W_h") and gate is not None:
        W = getattr(weights, what)[gate]
        factor = float(((got - right) * W).sum() / (W * W).sum())
        if factor and close(got - right, factor * W):
            return (Finding("weight decay", (f"{factor:.6g}",)),)
    return ()
