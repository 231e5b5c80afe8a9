"""Pad sequences of unequal length to one rectangular array, and compute their real lengths.

By default the padding goes in front: the last step of a recurrent network then reads the last real word, so
the network does not have to carry its answer through the padding. Names, options and results match
``keras.utils.pad_sequences``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilstm.backend.arrays import refuse_other_arithmetic
from minilstm.backend.checks import check_choice, check_positive_int
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError


def pad_sequences(sequences: Sequence[Any], maxlen: int | None = None, dtype: Any = "int32",
                  padding: str = "pre", truncating: str = "pre", value: Any = 0.0) -> np.ndarray:
    """Return the sequences as one array (N, maxlen, ...), short ones padded with ``value``, long ones cut.

    Args:
        sequences: a sized collection of N lists, tuples, arrays, Series or deques; their items are numbers,
            or arrays of one shape.
        maxlen: length of the result; None: the length of the longest sequence.
        dtype: NumPy dtype of the result; object keeps items that are not numbers.
        padding: "pre" or "post", the side on which short sequences are padded.
        truncating: "pre" or "post", the side on which long sequences are cut. Note that the default cuts the
            *front*.
        value: the padding value.

    The results are those of ``keras.utils.pad_sequences``: fractions are truncated in an integer ``dtype``.
    Numbers and texts that do not fit it are an ArgumentError, as are invalid options and sequences without a
    length. Raises ShapeError for items of different shapes; DtypeError for a text or a set instead of a
    sequence and for items that are not numbers.

    >>> import minilstm as ml
    >>> ml.pad_sequences([[5, 3], [7, 1, 2, 9]], maxlen=3)
    array([[0, 5, 3],
           [1, 2, 9]], dtype=int32)
    """
    check_choice("padding", padding, ("pre", "post"))
    check_choice("truncating", truncating, ("pre", "post"))
    rows = _rows(sequences)
    try:
        dtype = np.dtype(dtype)
    except TypeError:
        raise ArgumentError(f"dtype: expected a NumPy dtype, got {dtype!r}") from None
    if dtype.kind in "US" and not dtype.itemsize:
        raise ArgumentError("dtype: str keeps no letters; use dtype=object, or a length such as 'U20'")
    if maxlen is None:
        if not rows:
            raise ArgumentError("sequences: expected at least one sequence when maxlen is None, got none")
        maxlen = max(map(len, rows))
    else:
        maxlen = check_positive_int("maxlen", maxlen)
    if isinstance(value, str) and dtype.kind not in "OUS":
        raise ArgumentError(f"value: the string {value!r} does not fit dtype {dtype}; use dtype=object")
    refuse_other_arithmetic("value", value)
    kinds = "biufcUS" if dtype.kind in "US" else f"biufc{dtype.kind}"
    if isinstance(value, (list, tuple)) or np.ndim(value) or (
            dtype.kind != "O" and np.asarray(value).dtype.kind not in kinds):
        raise ArgumentError(f"value: expected one value of dtype {dtype}, got {value!r}")
    if not _fits(np.asarray(value), dtype):
        raise ArgumentError(f"value: {value!r} does not fit dtype {dtype}")
    first = next((number for number, row in enumerate(rows) if len(row)), None)
    item = () if first is None else _items(first, rows[first], None).shape[1:]
    padded = np.full((len(rows), maxlen, *item), value, dtype=dtype)
    for number, row in enumerate(rows):
        if not len(row):
            continue
        items = _items(number, row[-maxlen:] if truncating == "pre" else row[:maxlen], dtype)
        if items.shape[1:] != item:
            raise ShapeError(f"sequences[{number}]: expected items of shape {item} as in the first one, "
                             f"got {items.shape[1:]}")
        if padding == "pre":
            padded[number, maxlen - len(items):] = items
        else:
            padded[number, :len(items)] = items
    return padded


def _rows(sequences: Any) -> list[Any]:
    """Return the sequences, each as a list, a tuple or an array. Errors name the sequence."""
    if not hasattr(sequences, "__len__") or getattr(sequences, "ndim", 1) == 0:
        raise ArgumentError(f"sequences: expected a list of sequences, got {type(sequences).__name__}")
    refuse_other_arithmetic("sequences", sequences)
    rows = []
    for number, row in enumerate(sequences):
        refuse_other_arithmetic(f"sequences[{number}]", row)
        if isinstance(row, (str, bytes)):
            raise DtypeError(f"sequences[{number}]: expected a list of numbers, got the text {row[:20]!r}; "
                             "see Tokenizer")
        if isinstance(row, (set, frozenset, Mapping)):
            raise DtypeError(f"sequences[{number}]: a {type(row).__name__} has no order; give a list")
        if not hasattr(row, "__len__") or getattr(row, "ndim", 1) == 0:
            raise ArgumentError("sequences: expected a list of sequences, got an item without a length "
                                f"({type(row).__name__})")
        if not isinstance(row, (list, tuple, np.ndarray)):      # a pandas Series; a deque, a range
            row = np.asarray(row) if hasattr(row, "__array__") else list(row)
        rows.append(row)
    return rows


def _items(number: int, row: Any, dtype: np.dtype[Any] | None) -> np.ndarray:
    """Return one sequence as an array, or raise an error that names it."""
    try:
        items = np.asarray(row, dtype=object if dtype == object else None)
        if dtype is not None and not _fits(items, dtype):
            raise OverflowError         # NumPy would cut or wrap around silently
        return items if dtype is None else items.astype(dtype, copy=False)
    except OverflowError:
        what = "a text" if dtype is not None and dtype.kind in "US" else "a number"
        raise ArgumentError(f"sequences[{number}]: {what} in it does not fit dtype {dtype}") from None
    except (TypeError, ValueError) as error:
        if "inhomogeneous" in str(error) or "setting an array element" in str(error):
            raise ShapeError(f"sequences[{number}]: expected items of one shape, "
                             "got items of different shapes") from None
        raise DtypeError(f"sequences[{number}]: does not fit dtype {dtype}: {error}") from None


def _fits(values: np.ndarray, dtype: np.dtype[Any]) -> bool:
    """Return whether a dtype can hold these values: numbers in its range (with fractions or not), texts."""
    kind = values.dtype.kind
    if not values.size or dtype.kind == "O" or kind == "O":
        return True
    if dtype.kind in "US":
        return kind not in "US" or _letters(values.dtype) <= _letters(dtype)
    if kind not in "iufc" or np.can_cast(values.dtype, dtype):
        return True
    if kind == "c" and dtype.kind != "c":
        return False
    if dtype.kind in "iu":
        with np.errstate(invalid="ignore"):
            return bool(((values >= np.iinfo(dtype).min) & (values <= np.iinfo(dtype).max)).all())
    if dtype.kind == "f" and kind == "f":
        with np.errstate(over="ignore"):
            return bool((np.isfinite(values.astype(dtype)) == np.isfinite(values)).all())
    return True


def _letters(dtype: np.dtype[Any]) -> int:
    return dtype.itemsize // (4 if dtype.kind == "U" else 1)


def sequence_lengths(sequences: Sequence[Any], maxlen: int | None = None, *, minimum: int = 1) -> np.ndarray:
    """Return how many steps of each sequence ``pad_sequences(sequences, maxlen)`` keeps: (N,) int64.

    The result is meant for ``layer(x, lengths=...)``, which rejects length 0: lengths below ``minimum`` are
    raised to ``minimum``, so an empty sequence counts as ``minimum`` padding steps.

    >>> import minilstm as ml
    >>> ml.sequence_lengths([[5, 3], [7, 1, 2, 9], []], maxlen=3)
    array([2, 3, 1])

    """
    lengths = np.asarray([len(row) for row in _rows(sequences)], dtype=np.int64)
    return np.clip(lengths, minimum, None if maxlen is None else check_positive_int("maxlen", maxlen))


def cut_middle(sequences: Sequence[Any], head: int, tail: int) -> list[Any]:
    """Return the sequences, each of at most ``head + tail`` items: longer ones lose their middle.

    Args:
        sequences: N lists, tuples or arrays.
        head, tail: how many items are kept of the beginning and of the end, each at least 1.

    A review often says at its end what its author thinks. Raises ArgumentError, DtypeError.

    >>> import minilstm as ml
    >>> ml.cut_middle([[1, 2, 3, 4, 5], [6, 7]], head=1, tail=2)
    [[1, 4, 5], [6, 7]]
    """
    head, tail = check_positive_int("head", head), check_positive_int("tail", tail)
    rows = _rows(sequences)
    for number, row in enumerate(rows):
        if len(row) > head + tail:
            parts = row[:head], row[-tail:]
            rows[number] = np.concatenate(parts) if isinstance(row, np.ndarray) else parts[0] + parts[1]
    return rows
