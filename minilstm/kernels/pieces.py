"""Elementwise work on large arrays, piece by piece, so that threads can share it and temporaries stay small. What is done to
an element does not depend on the cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minilstm.kernels.threads import run

PIECE = 131_072         # elements; with smaller pieces threads wait for Python's lock more than they work
GROUPS = 4              # tasks, at most
WORTH_SHARING = 200_000     # elements in all, below which one thread is as fast


def each_piece(work: Sequence[tuple[np.ndarray, ...]], function: Callable[..., None], scratch: int) -> None:
    """Call ``function(*pieces, *scratch arrays)`` for every piece of every entry of ``work``.

    The arrays of an entry have one shape, and are cut alike along their first axis; ``scratch`` arrays of that piece's shape
    and the first array's dtype come after them.
    """
    pieces = sorted((piece for arrays in work for piece in _cut(arrays)), key=lambda piece: -piece[0].size)
    groups = min(GROUPS, len(pieces)) if sum(arrays[0].size for arrays in work) >= WORTH_SHARING else 1

    def task(group: int) -> Callable[[], None]:
        def do() -> None:
            buffers: list[np.ndarray] = []
            for first, *rest in pieces[group::groups]:
                if not buffers or buffers[0].dtype != first.dtype or buffers[0].size < first.size:
                    buffers = [np.empty(first.size, first.dtype) for _ in range(scratch)]
                function(first, *rest, *(buffer[:first.size].reshape(first.shape) for buffer in buffers))
        return do
    run([task(group) for group in range(groups)])


def _cut(arrays: tuple[np.ndarray, ...]) -> list[tuple[np.ndarray, ...]]:
    first = arrays[0]
    if first.size <= PIECE or first.ndim == 0:
        return [arrays]
    rows = -(-len(first) // -(-first.size // PIECE))
    return [tuple(array[start:start + rows] for array in arrays) for start in range(0, len(first), rows)]
