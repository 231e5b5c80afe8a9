"""What training needs from a loader: an epoch's batches from any position, their parts, and its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from minilstm.backend.arrays import Array
from minilstm.backend.errors import ArgumentError, CheckpointError


def batches_of(loader: Any, epoch: int, start: int) -> Iterator[Any]:
    """Return the batches of an epoch (counted from 0), beginning with batch ``start``.

    A loader with a method ``batches(epoch, start)``, such as DataLoader, yields them in the order of that
    epoch. Any other iterable is iterated from its beginning; resuming within an epoch is then exact only if
    it yields the same batches each time.
    """
    if hasattr(loader, "batches"):
        return iter(loader.batches(epoch, start))
    return islice(iter(loader), start, None)


def unpack(batch: Any) -> tuple[Array, Array, dict[str, Any]]:
    """Return (x, y, keyword arguments for the model) of a batch, (x, y) or (x, y, lengths).

    Raises ArgumentError.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        got = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise ArgumentError(f"a batch: expected (x, y) or (x, y, lengths), got {got}")
    return batch[0], batch[1], {"lengths": batch[2]} if len(batch) == 3 else {}


def describe_loader(loader: Any) -> dict[str, Any] | None:
    """Return the known settings that determine a loader's batches, to recognise the data of a run."""
    if loader is None:
        return None
    names = ("size", "batch_size", "shuffle", "drop_last", "seed", "window", "digest")
    facts = {name: getattr(loader, name, None) for name in names}
    facts = {name: value for name, value in facts.items() if isinstance(value, (int, str))}
    return {**facts, "batches": len(loader)} if hasattr(loader, "__len__") else facts


def check_data(saved: Any, data: Mapping[str, Any]) -> None:
    """Raise CheckpointError, naming the difference, unless a resumed run has the loaders that it had."""
    for role, now in data.items():
        before = saved[role]
        if (before is None) != (now is None):
            preposition, quantity = ("without", "some") if before is None else ("with", "none")
            raise CheckpointError(f"the run was trained {preposition} {role} data, now there is {quantity}")
        before, now = dict(before or ()), dict(now or ())
        # Runs of version 0.1 have no digest.
        digests = {facts.pop("digest", None) for facts in (before, now)} - {None}
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                raise CheckpointError(f"{role} data: {name} was {before.get(name)}, "
                                      f"now it is {now.get(name)}")
        if len(digests) > 1:
            raise CheckpointError(f"{role} data: the arrays hold other values than those "
                                  "that the run was trained with")
