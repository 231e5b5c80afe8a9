"""bench_parts: each part can be removed, and what is removed is really that part."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.kernels import compiled


def parameters_after(train: Callable[..., None], data: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    for x, y in data:
        train(x, y)
    model = inspect.getclosurevars(train).nonlocals["model"]
    return list(model.named_parameters().values())


def test_every_part_can_be_taken_away_and_changes_no_result(program: Callable[[str], Any], imdb: Any, encoded: Path) -> None:
    """With and without each part, the same training to rounding; and all is as it was afterwards."""
    parts, data = program("bench_parts"), imdb.batches(encoded, 2)
    before = ml.get_num_threads()
    want = parameters_after(imdb.minilstm_model()[0], data)
    for part in parts.PARTS:
        with parts.on_threads(part.threads), contextlib.ExitStack() as stack:
            if not part.numba:
                stack.enter_context(compiled.switched_off())
            for context in part.without():
                stack.enter_context(context)
            got = parameters_after(imdb.minilstm_model()[0], data)
        for a, b in zip(got, want):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-4)         # Adam: a gradient near 0 may change sign
    assert ml.get_num_threads() == before
    again = parameters_after(imdb.minilstm_model()[0], data)
    assert all((a == b).all() for a, b in zip(again, want))


def test_parts_that_are_patched_are_used(program: Callable[[str], Any], imdb: Any, encoded: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """The replacement of a part is really called: the name that is patched is the one that the code uses."""
    parts, data = program("bench_parts"), imdb.batches(encoded, 1)
    called: list[str] = []
    for name in ("nothing", "quarters"):
        original = getattr(parts, name)
        monkeypatch.setattr(parts, name, lambda *a, _name=name, _original=original: called.append(_name) or _original(*a))
    for part in parts.PARTS:
        called.clear()
        with parts.on_threads(part.threads), contextlib.ExitStack() as stack:
            if not part.numba:
                stack.enter_context(compiled.switched_off())
            for context in part.without():
                stack.enter_context(context)
            imdb.minilstm_model()[0](*data[0])
        expected = {"two": {"quarters"}, "memory": {"nothing"}, "embedding": {"nothing"}, "Adam": {"nothing"},
                    "in NumPy: memory": {"nothing"}}
        want = next((names for start, names in expected.items() if part.name.startswith(start)), set())
        assert set(called) == want, part.name


def test_bench_parts_prints_a_row_for_each(program: Callable[[str], Any], encoded: Path, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    parts = program("bench_parts")
    monkeypatch.setattr(sys, "argv", ["bench_parts", "--encoded", str(encoded), "--pairs", "1", "--steps", "1"])
    assert parts.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + len(parts.PARTS) and all("without / with" in line for line in lines[2:])
