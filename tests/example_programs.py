"""The programs of examples/ as modules, reviews for them to read, and what they say to arguments that make no sense."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def imported(name: str, *packages: str) -> Any:
    """A program, imported as its users' Python does; skips the test where one of ``packages``, which it needs, is missing."""
    for package in packages:
        pytest.importorskip(package, reason="the examples extra is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        return importlib.import_module(name)


def hundred_reviews(folder: Path) -> Path:
    """A CSV of a hundred reviews, told apart by a word."""
    path, rng = folder / "reviews.csv", np.random.default_rng(0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        for number in range(100):
            words = list(rng.choice(["the", "film", "plot", "was", "a", "seen"], rng.integers(2, 9)))
            words.insert(int(rng.integers(len(words))), "good" if number % 2 else "bad")
            writer.writerow([" ".join(words), "positive" if number % 2 else "negative"])
    return path


def refused(example: Any, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run with bad arguments; assert exit status 2 and one line on standard error; return that line."""
    capsys.readouterr()
    assert example.main(list(argv)) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.startswith(f"{example.__name__}.py: error: "), captured.err
    return captured.err
