"""From lists of unequal length to one rectangular array, and the lengths that were there before.

Rows are padded in front by default: a recurrent network that ends on its last real word does not have to carry its answer
through the padding. Same names, options and results as ``keras.utils.pad_sequences``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilstm.checks import check_choice, check_positive_int
from minilstm.errors import ArgumentError, ShapeError


def pad_sequences(sequences: Sequence[Any], maxlen: int | None = None, dtype: Any = "int32", padding: str = "pre",
                  truncating: str = "pre", value: Any = 0.0) -> np.ndarray:
    """Return the sequences as one array (N, maxlen, ...), shorter ones padded with ``value``, longer ones cut.

    ``padding`` and ``truncating`` say on which side ("pre" or "post"); note that the default cuts the *front*. ``maxlen=None``
    takes the longest. Items may be numbers or equal-shaped arrays. Same results as ``keras.utils.pad_sequences``. Raises
    ArgumentError for bad options and sequences without a length, ShapeError for items of unequal shape.
    """
    check_choice("padding", padding, ("pre", "post"))
    check_choice("truncating", truncating, ("pre", "post"))
    lengths = _lengths(sequences)
    if maxlen is None:
        if not lengths:
            raise ArgumentError("sequences: expected at least one sequence when maxlen is None, got none")
        maxlen = max(lengths)
    else:
        maxlen = check_positive_int("maxlen", maxlen)
    if isinstance(value, str) and np.dtype(dtype).kind not in "OUS":
        raise ArgumentError(f"value: the string {value!r} does not fit dtype {np.dtype(dtype)}; use dtype=object")
    item = next((np.asarray(s).shape[1:] for s, n in zip(sequences, lengths) if n), ())
    padded = np.full((len(lengths), maxlen, *item), value, dtype=dtype)
    for row, (sequence, length) in enumerate(zip(sequences, lengths)):
        if not length:
            continue
        kept = np.asarray(sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen], dtype=dtype)
        if kept.shape[1:] != item:
            raise ShapeError(f"sequences[{row}]: expected items of shape {item} as in the first one, got {kept.shape[1:]}")
        if padding == "pre":
            padded[row, maxlen - len(kept):] = kept
        else:
            padded[row, :len(kept)] = kept
    return padded


def sequence_lengths(sequences: Sequence[Any], maxlen: int | None = None, *, minimum: int = 1) -> np.ndarray:
    """Return the number of steps of each sequence that ``pad_sequences(sequences, maxlen)`` keeps: (N,) int64.

    For ``layer(x, lengths=...)``, which refuses length 0: a sequence without any known word counts ``minimum`` padding steps.
    """
    lengths = np.asarray(_lengths(sequences), dtype=np.int64)
    return np.clip(lengths, minimum, None if maxlen is None else check_positive_int("maxlen", maxlen))


def _lengths(sequences: Sequence[Any]) -> list[int]:
    if not hasattr(sequences, "__len__"):
        raise ArgumentError(f"sequences: expected a list of sequences, got {type(sequences).__name__}")
    try:
        return [len(sequence) for sequence in sequences]
    except TypeError:
        raise ArgumentError("sequences: expected a list of sequences, got something without a length in it") from None
