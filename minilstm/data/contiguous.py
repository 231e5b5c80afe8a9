"""Cut one long sequence into batches in which every row continues the same row of the batch before."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import as_array, as_integers, check_positive_int, check_shape
from minilstm.backend.errors import ShapeError


def contiguous_batches(tokens: Any, batch_size: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets of a language model, for truncated BPTT with carried states.

    Args:
        tokens: (n,) integers: one long text.
        batch_size, length: rows of a batch, and steps of a row.

    The text is cut into ``batch_size`` equal streams, and these into chunks of ``length``; the rest at the
    end of a stream is left out. x and y (chunks · batch_size, length) have the dtype of ``tokens``: first
    chunk 0 of each stream, then chunk 1 of each, and so on; y is x one token later. A ``DataLoader`` with
    this batch size, without shuffling, therefore gives batches whose states ``Trainer(...,
    carry_state=True)`` can carry on. Raises ShapeError, DtypeError, ArgumentError.

    >>> import numpy as np, minilstm as ml
    >>> x, y = ml.contiguous_batches(np.arange(14), batch_size=2, length=3)     # streams 0..6 and 7..13
    >>> for inputs, targets in ml.DataLoader(x, y, batch_size=2):
    ...     print(inputs.tolist(), targets.tolist())
    [[0, 1, 2], [7, 8, 9]] [[1, 2, 3], [8, 9, 10]]
    [[3, 4, 5], [10, 11, 12]] [[4, 5, 6], [11, 12, 13]]
    """
    N, T = check_positive_int("batch_size", batch_size), check_positive_int("length", length)
    text: np.ndarray = to_numpy(as_integers("tokens", as_array("tokens", tokens)))
    check_shape("tokens", text, (None,), "n")
    chunks = (len(text) // N - 1) // T
    if chunks < 1:
        raise ShapeError(f"tokens: expected at least {N * (T + 1):,}, which are {N} streams of {T} + 1, "
                         f"got {len(text):,}")
    streams = text[:len(text) // N * N].reshape(N, -1)

    def cut(start: int) -> np.ndarray:
        part = streams[:, start:start + chunks * T].reshape(N, chunks, T)
        return np.ascontiguousarray(part.swapaxes(0, 1)).reshape(chunks * N, T)
    return cut(0), cut(1)
