"""Every test file runs on every backend, or says why it does not."""

from __future__ import annotations

from pathlib import Path

import backends
import numpy as np
import pytest
from backends import BOTH, HOST_ONLY, HOST_ONLY_TESTS, TOLERANCE, backend, host, put, running, xp

import minilstm as ml

HERE = Path(__file__).parent


def test_every_test_file_is_in_one_of_the_two_lists() -> None:
    found = {path.relative_to(HERE).as_posix() for path in HERE.rglob("test_*.py")}
    listed = {name for name in found for pattern in (*BOTH, *HOST_ONLY) if name == pattern or name.startswith(f"{pattern}/")}
    assert not found - listed, "run them on every backend (BOTH in tests/backends.py), or say why not (HOST_ONLY)"
    assert not set(BOTH) & set(HOST_ONLY) and all((HERE / name).exists() for name in (*BOTH, *HOST_ONLY))
    assert all(len(reason) > 10 for reason in (*HOST_ONLY.values(), *HOST_ONLY_TESTS.values()))


def test_every_test_that_stays_on_the_host_is_there() -> None:
    for name in HOST_ONLY_TESTS:
        file, _, function = name.partition("::")
        assert file in BOTH and f"\ndef {function}(" in (HERE / file).read_text(encoding="utf-8"), name


def test_other_numbers_on_a_device_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the comparison real: the same line fetches the same numbers, or the test fails."""
    monkeypatch.setattr(backends, "compared", {})       # these are no results
    numbers = np.array([1.0, np.nan, np.inf, 300.0])
    for off, tolerated in ((0.0, True), (1e-10, True), (1e-9, False)):
        with running("numpy", "a test"):
            host(put(numbers))
            host(put(numbers.astype(np.float32)))
        with running("cupy", "a test"):
            if tolerated:
                host(numbers + off)
            else:
                with pytest.raises(AssertionError, match="off by"):
                    host(numbers + off)
                continue
            with pytest.raises(AssertionError, match="another shape or dtype"):
                host(numbers)
    with running("numpy", "a test"):
        host(numbers)
    with running("cupy", "a test"), pytest.raises(AssertionError, match="NaN in other places"):
        host(numbers[::-1])
    assert (TOLERANCE["float64"], TOLERANCE["float32"]) == (1e-12, 1e-5) and backend() == "numpy"


def test_arrays_of_a_test_are_on_its_backend() -> None:
    assert type(xp.concatenate([put(np.ones(2)), np.ones(1)])) is type(put(np.zeros(1))) is np.ndarray
    assert put((None, "x", [np.ones(1)]))[:2] == (None, "x") and isinstance(put(ml.Linear(1, 1)), ml.Module)
