"""Pad sequences of unequal length to one rectangular array, and compute their real lengths.

By default the padding goes in front: the last step of a recurrent network then reads the last real word, so the network does
not have to carry its answer through the padding. Names, options and results match ``keras.utils.pad_sequences``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilstm.backend.checks import check_choice, check_positive_int, refuse_other_arithmetic
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError


def pad_sequences(sequences: Sequence[Any], maxlen: int | None = None, dtype: Any = "int32", padding: str = "pre",
                  truncating: str = "pre", value: Any = 0.0) -> np.ndarray:
    """Return the sequences as one array (N, maxlen, ...), shorter ones padded with ``value``, longer ones cut.

    Args:
        sequences: N lists or arrays; their items are numbers, or arrays of one shape.
        maxlen: length of the result; None: the length of the longest sequence.
        dtype: NumPy dtype of the result; object keeps items that are not numbers.
        padding: "pre" or "post", the side on which short sequences are padded.
        truncating: "pre" or "post", the side on which long sequences are cut. Note that the default cuts the *front*.
        value: the padding value.

    The results are those of ``keras.utils.pad_sequences``. Raises ArgumentError for invalid options, for sequences without a
    length and for numbers too large for ``dtype``; ShapeError for items of different shapes; DtypeError for a string instead
    of a sequence and for items that are not numbers.

    >>> import minilstm as ml
    >>> ml.pad_sequences([[5, 3], [7, 1, 2, 9]], maxlen=3)
    array([[0, 5, 3],
           [1, 2, 9]], dtype=int32)
    """
    check_choice("padding", padding, ("pre", "post"))
    check_choice("truncating", truncating, ("pre", "post"))
    lengths = _lengths(sequences)
    try:
        dtype = np.dtype(dtype)
    except TypeError:
        raise ArgumentError(f"dtype: expected a NumPy dtype, got {dtype!r}") from None
    if maxlen is None:
        if not lengths:
            raise ArgumentError("sequences: expected at least one sequence when maxlen is None, got none")
        maxlen = max(lengths)
    else:
        maxlen = check_positive_int("maxlen", maxlen)
    if isinstance(value, str) and dtype.kind not in "OUS":
        raise ArgumentError(f"value: the string {value!r} does not fit dtype {dtype}; use dtype=object")
    if isinstance(value, (int, float)) and not _fits(np.asarray(value), dtype):
        raise ArgumentError(f"value: {value!r} does not fit dtype {dtype}")
    first = next((row for row, length in enumerate(lengths) if length), None)
    item = () if first is None else _items(first, sequences[first], None).shape[1:]
    padded = np.full((len(lengths), maxlen, *item), value, dtype=dtype)
    for row, (sequence, length) in enumerate(zip(sequences, lengths)):
        if not length:
            continue
        kept = _items(row, sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen], dtype)
        if kept.shape[1:] != item:
            raise ShapeError(f"sequences[{row}]: expected items of shape {item} as in the first one, got {kept.shape[1:]}")
        if padding == "pre":
            padded[row, maxlen - len(kept):] = kept
        else:
            padded[row, :len(kept)] = kept
    return padded


def _items(row: int, sequence: Any, dtype: np.dtype[Any] | None) -> np.ndarray:
    """Return one sequence as an array, or raise an error that names its row."""
    if isinstance(sequence, (str, bytes)):
        raise DtypeError(f"sequences[{row}]: expected a list of numbers, got the text {sequence[:20]!r}; see Tokenizer")
    refuse_other_arithmetic(f"sequences[{row}]", sequence)
    try:
        items = np.asarray(sequence, dtype=object if dtype == object else None)
        if dtype is not None and not _fits(items, dtype):
            raise OverflowError         # as NumPy does for Python's own numbers; numbers in arrays would wrap around silently
        return items if dtype is None else items.astype(dtype, copy=False)
    except OverflowError:
        raise ArgumentError(f"sequences[{row}]: a number in it does not fit dtype {dtype}") from None
    except (TypeError, ValueError) as error:
        if "inhomogeneous" in str(error) or "setting an array element" in str(error):
            raise ShapeError(f"sequences[{row}]: expected items of one shape, got items of different shapes") from None
        raise DtypeError(f"sequences[{row}]: does not fit dtype {dtype}: {error}") from None


def _fits(values: np.ndarray, dtype: np.dtype[Any]) -> bool:
    """Return whether numbers lie in the range of an integer ``dtype`` (fractions are truncated, as in Keras)."""
    if dtype.kind not in "iu" or values.dtype.kind not in "iuf" or np.can_cast(values.dtype, dtype) or not values.size:
        return True
    return bool(values.min() >= np.iinfo(dtype).min and values.max() <= np.iinfo(dtype).max)


def sequence_lengths(sequences: Sequence[Any], maxlen: int | None = None, *, minimum: int = 1) -> np.ndarray:
    """Return the number of steps of each sequence that ``pad_sequences(sequences, maxlen)`` keeps: (N,) int64.

    The result is meant for ``layer(x, lengths=...)``, which rejects length 0: lengths below ``minimum`` are raised to
    ``minimum``, so an empty sequence counts as ``minimum`` padding steps.

    >>> import minilstm as ml
    >>> ml.sequence_lengths([[5, 3], [7, 1, 2, 9], []], maxlen=3)
    array([2, 3, 1])

    """
    lengths = np.asarray(_lengths(sequences), dtype=np.int64)
    return np.clip(lengths, minimum, None if maxlen is None else check_positive_int("maxlen", maxlen))


def _lengths(sequences: Sequence[Any]) -> list[int]:
    if not hasattr(sequences, "__len__"):
        raise ArgumentError(f"sequences: expected a list of sequences, got {type(sequences).__name__}")
    try:
        return [len(sequence) for sequence in sequences]
    except TypeError:
        raise ArgumentError("sequences: expected a list of sequences, got an item without a length") from None
