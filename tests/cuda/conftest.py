"""The stand-in for CuPy in the place of CuPy, for as long as a test asks for it.

``standin`` is the stand-in. ``device`` runs a test on it and, where there is one (``pytest -m gpu`` asks for nothing else), on
a real GPU with the real CuPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from backends import standing_in

from minilstm.backend import arrays as backend


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
    yield backend.require("cupy")
