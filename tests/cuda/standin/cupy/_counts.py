"""What a program asked of the device, counted.

``launches`` are device calls: each kernel, matrix product, fill and copy on the device, whatever its size. ``gemms`` are the
matrix products among them, ``syncs`` the times the host waited for a number, ``uploads`` the copies from the host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Counts:
    """Totals, and the device calls by name."""

    launches: int = 0
    gemms: int = 0
    syncs: int = 0
    uploads: int = 0
    by_name: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        names = ", ".join(f"{name} {n}" for name, n in self.by_name.most_common())
        return (f"{self.launches} device calls, {self.gemms} of them matrix products, {self.uploads} uploads, "
                f"{self.syncs} syncs ({names})")


_open: list[Counts] = []


@contextmanager
def counted() -> Iterator[Counts]:
    """Count what happens inside the ``with``; such blocks may stand in one another."""
    counts = Counts()
    _open.append(counts)
    try:
        yield counts
    finally:
        _open.remove(counts)


def launch(name: str, times: int = 1) -> None:
    for counts in _open:
        counts.launches += times
        counts.by_name[name] += times


def gemm() -> None:
    launch("gemm")
    for counts in _open:
        counts.gemms += 1


def sync(name: str) -> None:
    for counts in _open:
        counts.syncs += 1
        counts.by_name[f"sync: {name}"] += 1


def upload(times: int = 1) -> None:
    for counts in _open:
        counts.uploads += times
