"""A fixture of the tests that read files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_(data: bytes, name: str = "reviews.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path
    return write_
