"""Batches, in an order that depends only on the seed and the epoch number.

Because the order of epoch e is a pure function of (seed, e), an interrupted run can resume any epoch at any
batch and gets exactly the batches that it would have got. The arrays are kept on the model's device; the
order is copied there once per epoch.

With a ``window``, sequences of similar length share a batch, and each batch is as wide as its longest
sequence: no step is computed that is padding for all. Sorting within windows of a shuffled order keeps
batches different from epoch to epoch.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, asarray, to_numpy
from minilstm.backend.checks import as_array, check_positive_int, check_whole
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError


class DataLoader:
    """Iterate over equal-length arrays in batches: ``for x, y in DataLoader(X, Y, shuffle=True, seed=0)``.

    Args:
        arrays: one or more arrays (or lists of numbers) with n rows each, for example x (n, T), y (n,),
            lengths (n,).
        batch_size: rows per batch; the last batch of an epoch holds the remaining rows and may be smaller.
        shuffle: visit the rows of epoch e in the order ``np.random.default_rng([seed, e]).permutation(n)``.
        drop_last: leave out the last batch if it is smaller than the others.
        seed: a whole number of at least 0.
        window: None, or how many rows, a multiple of ``batch_size``, are sorted by length before they are cut
            into batches. The arrays must then be x (n, T, ...), padded at the end, any others, and finally
            lengths (n,), from 1 to T; each batch of x ends with its longest sequence. With ``shuffle``, the
            full batches are shuffled once more.
        backend: "numpy" or "cupy": where the arrays are stored and the batches are built.

    Attributes:
        epoch: number of the epoch that the next iteration visits, from 0; starting an iteration adds 1. Set
            it to resume.

    Without shuffling, batches are views of the arrays. Raises ArgumentError, ShapeError or DtypeError for
    invalid arguments.

    >>> import numpy as np
    >>> import minilstm as ml
    >>> x, y = np.arange(10).reshape(5, 2), np.arange(5)
    >>> loader = ml.DataLoader(x, y, batch_size=2)
    >>> loader
    DataLoader(5 rows of (2,) int64, () int64; 3 batches of 2)
    >>> [labels.tolist() for _, labels in loader]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, *arrays: Any, batch_size: int = 64, shuffle: bool = False, drop_last: bool = False,
                 seed: int = 0, window: int | None = None, backend: str = "numpy") -> None:
        if not arrays:
            raise ArgumentError("DataLoader: expected at least one array")
        self.batch_size = check_positive_int("batch_size", batch_size)
        self.seed, self.epoch = check_whole("seed", seed), 0
        self.shuffle, self.drop_last, self.backend = bool(shuffle), bool(drop_last), backend
        self.arrays = tuple(_as_rows(f"arrays[{k}]", x, backend) for k, x in enumerate(arrays))
        sizes = [x.shape[0] for x in self.arrays]
        if len(set(sizes)) > 1:
            raise ShapeError(f"DataLoader: expected arrays with the same number of rows, got {sizes}")
        self.size = sizes[0]
        if self.size == 0:
            raise ShapeError("DataLoader: expected at least one row, got arrays with none")
        if len(self) == 0:
            raise ArgumentError(f"DataLoader: {self.size} rows do not fill a batch of {self.batch_size}, "
                                "and drop_last=True drops the rest: lower batch_size")
        self.window = window
        self._lengths = None if window is None else self._check_window(window)

    def _check_window(self, window: Any) -> np.ndarray:
        """Return the lengths on the host. Raises ArgumentError or ShapeError unless arrays and window fit."""
        if check_positive_int("window", window) % self.batch_size:
            raise ArgumentError(f"window: expected a multiple of batch_size={self.batch_size}, got {window}")
        lengths: np.ndarray = to_numpy(self.arrays[-1])
        has_lengths = len(self.arrays) > 1 and lengths.ndim == 1 and lengths.dtype.kind in "iu"
        if not has_lengths or self.arrays[0].ndim < 2:
            shapes = ", ".join(str(tuple(x.shape)) for x in self.arrays)
            raise ShapeError("window: expected arrays x (n, T, ...) first and whole numbers lengths (n,) "
                             f"last, got shapes {shapes}")
        T = self.arrays[0].shape[1]
        if lengths.min() < 1 or lengths.max() > T:
            raise ArgumentError(f"window: expected lengths from 1 to T={T}, "
                                f"got {lengths.min()} to {lengths.max()}")
        return lengths

    @property
    def digest(self) -> str:
        """A checksum of the arrays' values, dtypes and shapes, by which a resumed run recognises its data."""
        crc = 0
        for array in map(to_numpy, self.arrays):
            crc = zlib.crc32(f"{array.dtype.str} {array.shape}".encode(), crc)
            crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
        return f"{crc:08x}"

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return self.size // self.batch_size if self.drop_last else -(-self.size // self.batch_size)

    def __repr__(self) -> str:
        arrays = ", ".join(f"{x.shape[1:]} {x.dtype}" for x in self.arrays)
        order = f", shuffled with seed {self.seed}" if self.shuffle else ""
        batches = f"{len(self):,} batch{'es' * (len(self) > 1)} of {self.batch_size:,}"
        return f"DataLoader({self.size:,} row{'s' * (self.size > 1)} of {arrays}; {batches}{order})"

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        epoch = self.epoch
        self.epoch += 1
        return self.batches(epoch)

    def order(self, epoch: int) -> np.ndarray:
        """Return the row numbers in the order in which an epoch visits them: (n,) int64, on the host."""
        epoch = check_whole("epoch", epoch)
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(self.size) if self.shuffle else np.arange(self.size)
        if self._lengths is None or self.window is None:
            return order
        windows = [order[start:start + self.window] for start in range(0, self.size, self.window)]
        order = np.concatenate([rows[np.argsort(self._lengths[rows], kind="stable")] for rows in windows])
        if self.shuffle:                # whole batches; the rows that fill none stay last
            full = order[:self.size // self.batch_size * self.batch_size].reshape(-1, self.batch_size)
            order[:full.size] = rng.permutation(full).reshape(-1)
        return order

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, ...]]:
        """Iterate over the batches of an epoch, beginning with batch ``start``; ``self.epoch`` stays.

        ``start == len(loader)`` is the end of the epoch and yields nothing. Raises ArgumentError for larger
        numbers.
        """
        epoch, start = check_whole("epoch", epoch), check_whole("start", start)
        if start > len(self):
            raise ArgumentError(f"start: expected a batch number in [0, {len(self)}], got {start}")
        return self._batches(epoch, start)

    def _batches(self, epoch: int, start: int) -> Iterator[tuple[Array, ...]]:
        host = self.order(epoch) if self.shuffle or self.window else None
        order = None if host is None else asarray(host, self.backend)       # one upload per epoch
        for number in range(start, len(self)):
            part = slice(number * self.batch_size, min((number + 1) * self.batch_size, self.size))
            rows: Any = part if order is None else order[part]
            first, *others = self.arrays
            if self._lengths is not None and host is not None:
                first = first[:, :int(self._lengths[host[part]].max())]
            yield (first[rows], *(x[rows] for x in others))


def _as_rows(name: str, values: Any, backend: str) -> Array:
    try:
        x = as_array(name, values)
    except DtypeError as error:
        if isinstance(values, (list, tuple)):
            raise ShapeError(f"{name}: expected rows of equal shape ({error}); see pad_sequences") from None
        raise
    if x.dtype.kind not in "biufc":
        raise DtypeError(f"{name}: expected numbers, got dtype {x.dtype}")
    if x.ndim == 0:
        raise ShapeError(f"{name}: expected at least one axis (rows), got a single number")
    return asarray(x, backend)          # a device accepts only numbers, so the dtype is checked first
