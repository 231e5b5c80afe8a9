"""Bugs planted in the kernels, and the methods that detect them.

Each bug changes a few characters of a source, which still compiles. The table names the method that must detect the bug; the
test also checks that the cheaper methods listed before it do not, so that each method is needed.

- numbers: results against the readable functions;
- emulator: the emulator refuses the launch (an argument's type, barriers that do not agree, writing outside an array);
- address, thread: a program built with AddressSanitizer or ThreadSanitizer complains.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from builder import compiler
from emulator import EmulationError, recorded
from sanitized import missing_sanitizer, watch
from twins import Call, expected, measured, off, planted

from minilstm.kernels.cuda.embedding import add_on_device

pytestmark = pytest.mark.skipif(compiler() is None, reason="g++ is not installed, so the kernels cannot be emulated")

SMALL: dict[str, Any] = {"H": 32, "rows": 2, "N": 3, "T": 3, "padding": "pre"}
BARRIER = "        __syncthreads();\n"


class Bug(NamedTuple):
    """In ``file``, ``old`` becomes ``new``; ``call``: what is computed, beside SMALL; None: an embedding's gradient."""

    file: str
    old: str
    new: str
    seen_by: str
    call: dict[str, Any] | None


LSTM, GRU, RNN = {"cell": "lstm"}, {"cell": "gru"}, {"cell": "tanh"}
BUGS = {
    "LSTM: no barrier between gates and cells": Bug(
        "lstm", "            share[r] = ahead[r];\n        }\n" + BARRIER, "            share[r] = ahead[r];\n        }\n",
        "numbers", LSTM),
    "LSTM: no barrier before the parts are added up": Bug(
        "lstm", "parts[r * 4 * H + j] = back[r];\n" + BARRIER, "parts[r * 4 * H + j] = back[r];\n", "numbers", LSTM),
    "LSTM: the initial state is not in shared memory": Bug(
        "lstm", "if (e < R * H) states[e] = state;", "", "numbers", {**LSTM, "states": False}),
    "LSTM: a barrier that some threads do not meet": Bug(
        "lstm", "            share[r] = ahead[r];\n        }\n" + BARRIER,
        "            share[r] = ahead[r];\n        }\n        if (j < H) __syncthreads();\n", "emulator", LSTM),
    "LSTM: the last cell state read a step too early": Bug(
        "lstm", "c_t[s] = c[(size_t)T * N", "c_t[s] = c[(size_t)(T - 1) * N", "numbers", LSTM),
    "LSTM: two gates change places in backward": Bug(
        "lstm", "            v[0] = d.f, v[H] = d.i, v[2 * H] = d.o", "            v[0] = d.f, v[H] = d.o, v[2 * H] = d.i",
        "numbers", LSTM),
    "LSTM: a padded step does not carry the state": Bug(
        "lstm", "if (here) {                                         // a padded step carries", "if (true) {  //",
        "numbers", LSTM),
    "LSTM: a padded step does not carry dh": Bug(
        "lstm", "if (e < R * H && span[s].holds(t)) dh[s] =", "if (e < R * H) dh[s] =", "numbers", LSTM),
    "LSTM: rows that are not there write into the next step": Bug(
        "lstm", "if (h && r < live) at[", "if (h) at[", "emulator", LSTM),
    "LSTM: the step after the last is asked for": Bug(
        "lstm", "ahead[r] = t + 1 < T && r < live ?", "ahead[r] = r < live ?", "address", LSTM),
    "LSTM: rows that are not there are asked for": Bug(
        "lstm", "ahead[r] = t + 1 < T && r < live ?", "ahead[r] = t + 1 < T ?", "address", LSTM),
    "LSTM: an argument of another size": Bug(
        "lstm", "int pre, int N, int T) {", "long long pre, int N, int T) {", "emulator", LSTM),
    "LSTM, fused: the state's rows do not take turns": Bug(
        "lstm", "next = (t + 1) % rows * size + e", "next = t % rows * size + e", "numbers", {**LSTM, "rows": 0}),
    "LSTM, fused: a thread too many": Bug(
        "lstm", "if (e >= size) return;", "if (e > size) return;", "emulator", {**LSTM, "rows": 0, "H": 5}),
    "GRU: the path along the state is lost": Bug("gru", "dh[s] += p[0]", "dh[s] = p[0]", "numbers", GRU),
    "GRU: the candidate's other bias": Bug("gru", "? a[r] + bias_h :", "? a[r] + bias + 0 * bias_h :", "numbers", GRU),
    "GRU: dq without the reset gate": Bug("gru", "da_n, da_n * v.r};", "da_n, da_n};", "numbers", GRU),
    "GRU: no barrier before the next step": Bug(
        "gru", "= here ? states[e] : (real)0;\n        }\n" + BARRIER, "= here ? states[e] : (real)0;\n        }\n",
        "numbers", GRU),
    "RNN: one place for the state, before and after": Bug(
        "rnn", "next = states + (~t & 1)", "next = states + (t & 1)", "numbers", RNN),
    "RNN: one place for the gradients of two steps": Bug(
        "rnn", "now = vectors + (t & 1) * R * H", "now = vectors", "numbers", RNN),
    "padding on the other side": Bug("common", "if (pre) start", "if (!pre) start", "numbers", LSTM),
    "a sum over all weights but four": Bug(
        "common", "for (int k = HELD; k < H; k += 4)", "for (int k = HELD; k < H - 4; k += 4)", "numbers", {**LSTM, "H": 96}),
    "LSTM: two threads write the initial state of one cell": Bug(
        "lstm", "if (e < R * H) states[e] = state;", "states[e % (R * H)] = state;", "thread", {**LSTM, "states": False}),
    "embedding: the shares of a long run, too close together": Bug(
        "embedding", "sum += edge[(size_t)c * 2 * D]", "sum += edge[(size_t)c * D]", "numbers", None),
}
WAYS = ("numbers", "emulator", "address", "thread")


def error(call: dict[str, Any] | None, xp: Any) -> float:
    """Return how far off the kernels are: of a layer, or of an embedding's gradient."""
    if call is not None:
        there = Call(**{**SMALL, **call})
        return off(measured(there, xp), expected(there))
    tokens, dy, dW = np.repeat([2, 0], 80), np.random.default_rng(0).standard_normal((160, 3)), xp.zeros((4, 3))
    add_on_device(xp.asarray(dy), xp.asarray(tokens), dW, None)
    return float(np.abs(dW.get()[[2, 0]] - [dy[:80].sum(axis=0), dy[80:].sum(axis=0)]).max())


def seen_by(bug: Bug, xp: Any) -> str:
    """Return the first way that sees a bug, "nothing" if none does. The programs are built only where the rest is blind."""
    try:
        with recorded() as launches, np.errstate(all="ignore"):
            if not error(bug.call, xp) <= 1e-5:
                return "numbers"
    except EmulationError:
        return "emulator"
    mine = [launch for launch in launches if bug.new in launch.source]
    for sanitizer in ("address", "thread"):
        reason = missing_sanitizer(sanitizer)
        if reason:
            pytest.skip(reason)
        if any(watch(launch, sanitizer).complaint for launch in mine):
            return sanitizer
    return "nothing"


@pytest.mark.slow           # all together
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_seen(name: str, standin: Any) -> None:
    bug = BUGS[name]
    with planted(bug.file, bug.old, bug.new):
        assert seen_by(bug, standin) == bug.seen_by


def test_every_way_is_needed() -> None:
    assert {bug.seen_by for bug in BUGS.values()} == set(WAYS)
