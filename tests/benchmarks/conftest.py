"""The programs that time minilstm, imported, and small data for them."""

from __future__ import annotations

import csv
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Import a file of benchmarks/; what a test changes in it is undone with the test."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    yield importlib.import_module


@pytest.fixture
def imdb(program: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """bench_imdb, with a small model."""
    module = program("bench_imdb")
    for name, value in {"V": 23, "D": 3, "H": 5, "BATCH": 7, "LENGTH": 11}.items():
        monkeypatch.setattr(module, name, value)
    return module


@pytest.fixture
def encoded(imdb: Any, tmp_path: Path) -> Path:
    """Where 67 made-up reviews lie, encoded."""
    with open(tmp_path / "reviews.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["review", "sentiment"])
        rows.writerows([f"word{k % 5} film " * (1 + k % 9), "positive" if k % 2 else "negative"] for k in range(67))
    assert "reviews.csv" in imdb.encode(str(tmp_path / "reviews.csv"), tmp_path / "encoded")
    return tmp_path / "encoded"
