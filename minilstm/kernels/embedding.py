"""The fast twin of ``embedding_backward``: only the rows that occur, each way of adding up where it is fastest.

Compiled, it is a loop over the places. In NumPy, places are sorted by token. Most tokens of a batch stand in few places and a
few tokens in hundreds: the frequent ones are added up one token at a time, the others together, first place with first place,
second with second, and so on. (``np.add.reduceat`` over all of them takes about twice as long: benchmarks/RESULTS.md.)
"""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled import module

FEW = 16            # places


def embedding_rows(dy: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (tokens that occur (U,), the sum of dy over the places of each (U, D)), given dy (..., D) and tokens (...)."""
    flat, rows = tokens.reshape(-1), dy.reshape(tokens.size, dy.shape[-1])
    compiled = module("embedding", dy)
    if compiled is not None and tokens.size:
        occurs = np.zeros(flat.max() + 1, bool)
        occurs[flat] = True
        found, slots = np.flatnonzero(occurs), np.cumsum(occurs) - 1
        sums = np.zeros((len(found), rows.shape[1]), dy.dtype)
        compiled.add_up(np.ascontiguousarray(rows), flat.astype(np.int64, copy=False), slots, sums)
        return found.astype(tokens.dtype), sums
    if len(flat) and flat.max() < 2 ** 16:
        flat = flat.astype(np.uint16)               # NumPy sorts 16 bits by radix, several times as fast
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = np.flatnonzero(np.concatenate([ordered[:1] >= 0, ordered[1:] != ordered[:-1]]))
    counts = np.diff(starts, append=len(flat))
    by_count = np.argsort(-counts, kind="stable")   # the most frequent first
    starts, counts = starts[by_count], counts[by_count]
    sums = np.empty((len(starts), rows.shape[1]), dtype=dy.dtype)
    many = int(np.searchsorted(-counts, -FEW))      # tokens in more than FEW places
    for k in range(many):
        np.add.reduce(rows[order[starts[k]:starts[k] + counts[k]]], axis=0, out=sums[k])
    sums[many:] = rows[order[starts[many:]]]
    for place in range(1, FEW):
        stop = int(np.searchsorted(-counts, -place))        # tokens in more places than that
        sums[many:stop] += rows[order[starts[many:stop] + place]]
    return ordered[starts].astype(tokens.dtype), sums
