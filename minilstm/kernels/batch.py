"""How a batch is cut: into chunks of rows that know nothing of each other, and each chunk into stretches of time.

In a batch padded in front, rows that have not begun yet have all seen the same padding and stand in the same state: one
of them can stand for all. With the rows of a chunk sorted by their beginning, the first ``width`` rows of a stretch are
computed, and the last of these stands for the ones after it:

    time      0 ............................ T
    row 0     a real word at every step
    row 1     . . . words, to the end
    row 2     . . . . . . . . words                 width 2: row 1 stands for rows 1 and 2
              |-- 2 --|------- 3 -----------|       width 3: each row for itself

Where a stretch ends, the rows it stood for take over its state; on the way back their gradients are added up, which is exact.
Nothing here depends on the number of threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

WIDTHS = 8          # widths are multiples of this many rows: a vector of float32 in AVX2
SHORTEST = 8        # steps; a shorter stretch is not worth its overhead


class Stretch(NamedTuple):
    """Steps ``start`` to ``stop`` of a chunk, computed for its first ``width`` rows."""

    start: int
    stop: int
    width: int


class Chunk(NamedTuple):
    """Rows of a batch that are computed together: their places in the batch, and their stretches of time."""

    rows: Any           # a slice or an integer array
    n: int
    stretches: list[Stretch]


def beginnings(tokens: np.ndarray) -> np.ndarray | None:
    """Return for each row of ``tokens`` (N, T) the step up to which it repeats the batch's front padding; None: nothing does.

    The padding is whatever token the row with the longest run of one token begins with.
    """
    N, T = tokens.shape
    same = tokens == tokens[:, :1]
    runs = np.where(same.all(axis=1), T, same.argmin(axis=1))
    padded = tokens[:, 0] == tokens[runs.argmax(), 0]
    starts = np.where(padded, runs, 0)
    return starts if np.count_nonzero(starts >= SHORTEST) > 1 else None


def _count(N: int, compiled: bool) -> int:
    """Return into how many chunks N rows are cut (benchmarks/RESULTS.md, "Rows of a chunk").

    BLAS is slow at fewer than 32 rows and wants 64 or more; compiled steps are as fast with 16, and slower above 32.
    """
    if compiled:
        return 1 if N <= 16 else 2 if N <= 32 else -(-N // 32)
    return 1 if N <= 32 else 2 if N <= 128 else -(-N // 64)


def cut(N: int, T: int, starts: np.ndarray | None, compiled: bool = False) -> list[Chunk]:
    """Cut N rows of T steps into chunks; ``starts`` from ``beginnings``; ``compiled``: whether steps are."""
    count = _count(N, compiled)
    if starts is None:
        edges = [N * k // count for k in range(count + 1)]
        return [Chunk(slice(a, b), b - a, [Stretch(0, T, b - a)]) for a, b in zip(edges, edges[1:])]
    order = np.argsort(starts, kind="stable")
    chunks = []
    for k in range(count):
        rows = np.ascontiguousarray(order[k::count])
        chunks.append(Chunk(rows, len(rows), _stretches(starts[rows], T)))
    return chunks


def _stretches(starts: np.ndarray, T: int) -> list[Stretch]:
    """Return the stretches of rows sorted by ``starts``."""
    n = len(starts)
    begun = np.searchsorted(starts, np.arange(T), side="right")             # how many rows have begun by step t
    widths = np.minimum(n, -(-(begun + 1) // WIDTHS) * WIDTHS)
    stretches: list[Stretch] = []
    stop = T
    while stop > 0:         # from the end, where all rows are wide
        width = int(widths[stop - 1])
        start = int(np.searchsorted(widths, width, side="left"))
        if 0 < start < SHORTEST:
            start = 0
        if stretches and stop - start < SHORTEST:
            stretches[-1] = stretches[-1]._replace(start=start)
        else:
            stretches.append(Stretch(start, stop, width))
        stop = start
    return stretches[::-1]
