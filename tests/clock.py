"""A clock for tests of programs that take the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class Clock:
    """A clock that only moves when told to."""

    def __init__(self, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for name in ("perf_counter", "process_time"):
            monkeypatch.setattr(module.time, name, lambda: self.now)

    def run(self, *seconds: float) -> Callable[[], None]:
        """Return a function whose calls take the given seconds, one after another; the last number is then repeated."""
        left = list(seconds)

        def call() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]
        return call
