"""The stand-in for CuPy in the place of CuPy, for as long as a test asks for it.

``standin`` is the stand-in. ``device`` runs a test on it and, where there is one (``pytest -m gpu`` asks for nothing else), on
a real GPU with the real CuPy.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from minilstm import backend
from minilstm.errors import BackendError

HERE = Path(__file__).parent
_standin: dict[str, ModuleType] = {}        # imported once


def _cupys() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "cupy"}


@contextmanager
def standing_in() -> Iterator[Any]:
    """Put the stand-in where ``import cupy`` finds it; put back what was there afterwards."""
    before, probed = _cupys(), backend._cupy
    for name in before:
        del sys.modules[name]
    sys.path[:0] = [str(HERE / "standin"), str(HERE)]
    sys.modules.update(_standin)
    backend._cupy = None
    try:
        module = importlib.import_module("cupy")
        _standin.update(_cupys())
        assert hasattr(module, "STANDIN")
        yield module
    finally:
        for name in _cupys():
            del sys.modules[name]
        sys.modules.update(before)
        sys.path.remove(str(HERE / "standin"))
        sys.path.remove(str(HERE))
        backend._cupy = probed


@pytest.fixture
def standin() -> Iterator[Any]:
    """The stand-in."""
    with standing_in() as module:
        yield module


@pytest.fixture(params=["standin", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The array module of a device: the stand-in, or CuPy on a real GPU."""
    if request.param == "standin":
        with standing_in() as module:
            yield module
        return
    try:
        module = backend.require("cupy")
    except BackendError as error:
        pytest.skip(str(error))
    yield module
