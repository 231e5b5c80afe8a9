"""What training asks of a loader: the batches of an epoch from any place on, their parts, and what the loader is like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from minilstm.backend.arrays import Array
from minilstm.backend.errors import ArgumentError, CheckpointError


def batches_of(loader: Any, epoch: int, start: int) -> Iterator[Any]:
    """Return the batches of an epoch (counted from 0), from batch ``start`` on.

    A loader with ``batches(epoch, start)``, as DataLoader has, gives them in that epoch's own order. Any other iterable is
    simply gone through again; a resume in mid-epoch is then exact only if it gives the same batches each time.
    """
    if hasattr(loader, "batches"):
        return iter(loader.batches(epoch, start))
    return islice(iter(loader), start, None)


def unpack(batch: Any) -> tuple[Array, Array, dict[str, Any]]:
    """Return (x, y, options of the model's call) of a batch (x, y) or (x, y, lengths). Raises ArgumentError."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        got = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise ArgumentError(f"a batch: expected (x, y) or (x, y, lengths), got {got}")
    return batch[0], batch[1], {"lengths": batch[2]} if len(batch) == 3 else {}


def describe_loader(loader: Any) -> dict[str, Any] | None:
    """Return what decides the batches of a loader, as far as it tells: to recognise the data of an earlier run."""
    if loader is None:
        return None
    facts = {name: getattr(loader, name, None) for name in ("size", "batch_size", "shuffle", "drop_last", "seed")}
    facts = {name: value for name, value in facts.items() if isinstance(value, (int, str))}
    return {**facts, "batches": len(loader)} if hasattr(loader, "__len__") else facts


def check_data(saved: Any, data: Mapping[str, Any]) -> None:
    """Raise CheckpointError, in words, unless a run that is to go on gets the loaders it had."""
    for role, now in data.items():
        before = saved[role]
        if (before is None) != (now is None):
            raise CheckpointError(f"the run was trained {'without' if before is None else 'with'} {role} data, now there is "
                                  f"{'none' if now is None else 'some'}")
        for name in sorted(set(before or ()) | set(now or ())):
            if before.get(name) != now.get(name):
                raise CheckpointError(f"{role} data: {name} was {before.get(name)}, now it is {now.get(name)}")
