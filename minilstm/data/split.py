"""Split data into a training and a test part, with exactly the indices that scikit-learn draws.

Published splits are given as ``train_test_split(..., random_state=42)``; a comparison with them must hold out
the same rows. scikit-learn draws from NumPy's legacy ``RandomState``, whose stream for a given seed never
changes, so this module can reproduce its splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import numpy as np

from minilstm.backend.arrays import asarray, backend_name, refuse_other_arithmetic
from minilstm.backend.checks import is_array, is_whole
from minilstm.backend.errors import ArgumentError, ShapeError


def train_test_split(*arrays: Any, test_size: float | int | None = None,
                     train_size: float | int | None = None,
                     random_state: int | np.random.RandomState | None = None,
                     shuffle: bool = True) -> list[Any]:
    """Return ``[first_train, first_test, second_train, second_test, ...]``, split at the same rows.

    Args:
        arrays: arrays (host or device), lists, tuples (returned as lists) or pandas objects, all of length n.
        test_size, train_size: a fraction in (0, 1) or a number of rows. Fractions are rounded up for the test
            part and down for the training part. The default is ``test_size=0.25``; if only one size is given,
            the other part gets the rest.
        random_state: a seed, which gives scikit-learn's indices, a RandomState, or None for fresh entropy.
        shuffle: draw rows at random; False trains on the first rows and tests on those that follow.

    Raises ArgumentError for sizes that cannot be met and ShapeError for arrays of unequal length.

    >>> import numpy as np
    >>> import minilstm as ml
    >>> x, y = np.arange(20).reshape(10, 2), np.arange(10)
    >>> train_x, test_x, train_y, test_y = ml.train_test_split(x, y, test_size=0.2, random_state=42)
    >>> train_x.shape, test_x.shape
    ((8, 2), (2, 2))
    >>> test_y
    array([8, 1])
    """
    if not arrays:
        raise ArgumentError("train_test_split: expected at least one array")
    sizes = [_size(f"arrays[{k}]", array) for k, array in enumerate(arrays)]
    if len(set(sizes)) > 1:
        raise ShapeError(f"train_test_split: expected arrays of equal length, got lengths {sizes}")
    n_train, n_test = _part_sizes(sizes[0], test_size, train_size)
    if shuffle:
        order = _random_state(random_state).permutation(sizes[0])
        train, test = order[n_test:n_test + n_train], order[:n_test]
    else:
        train, test = np.arange(n_train), np.arange(n_train, n_train + n_test)
    return [_take(array, rows) for array in arrays for rows in (train, test)]


def _size(name: str, array: Any) -> int:
    try:
        return len(array)
    except TypeError:
        raise ArgumentError(f"{name}: expected an array or a list, "
                            f"got {type(array).__name__} without a length") from None


def _random_state(seed: Any) -> np.random.RandomState:
    if isinstance(seed, np.random.RandomState):
        return seed
    if seed is None or is_whole(seed) and 0 <= seed < 2**32:
        return np.random.RandomState(seed)
    raise ArgumentError("random_state: expected None, a RandomState or a whole number in [0, 2**32), "
                        f"got {seed!r}")


def _part_sizes(n: int, test_size: Any, train_size: Any) -> tuple[int, int]:
    if test_size is None and train_size is None:
        test_size = 0.25
    n_test = _rows("test_size", test_size, n, ceil)
    n_train = _rows("train_size", train_size, n, floor)
    if n_train is None:
        assert n_test is not None
        n_train = n - n_test
    elif n_test is None:
        n_test = n - n_train
    if isinstance(test_size, float) and isinstance(train_size, float) and test_size + train_size > 1:
        raise ArgumentError(f"test_size + train_size: expected at most 1, got {test_size + train_size}")
    if n_train + n_test > n:
        raise ArgumentError(f"test_size + train_size: expected at most {n}, the number of rows, "
                            f"got {n_test} + {n_train}")
    if n_train == 0 or n_test == 0:
        raise ArgumentError(f"train_test_split: {n} rows with test_size={test_size}, train_size={train_size} "
                            f"leave {n_train} rows for training and {n_test} for testing; "
                            "neither may be empty")
    return n_train, n_test


def _rows(name: str, size: Any, n: int, rounding: Any) -> int | None:
    if size is None:
        return None
    if is_whole(size) and 0 < size < n:
        return int(size)
    if isinstance(size, (float, np.floating)) and 0 < size < 1:
        return int(rounding(size * n))
    raise ArgumentError(f"{name}: expected a fraction in (0, 1) or a number of rows in [1, {n - 1}], "
                        f"got {size!r}")


def _take(array: Any, rows: np.ndarray) -> Any:
    if hasattr(array, "iloc"):      # pandas: plain brackets would look up labels
        return array.iloc[rows]
    if is_array(array):
        refuse_other_arithmetic("array", array)
        return array[asarray(rows, backend_name(array))]
    items: Sequence[Any] = array
    return [items[row] for row in rows]
