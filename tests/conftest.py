"""What all tests share: a seeded generator, the hypothesis profile, and the backend Keras is asked to use.

On a CI machine (the environment says ``CI``) hypothesis draws the same examples each time, so that a red run means the
code changed; at home it goes on looking for new ones. There is no deadline: a first call pays for imports and caches.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")     # read when keras is first imported; the oracles extra brings torch

hypothesis.settings.register_profile("home", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "home")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator seeded by the test's own name: the same numbers alone, in any order, and on every machine."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


@pytest.fixture(scope="module")
def worst(request: pytest.FixtureRequest) -> Iterator[list[float]]:
    """The figures a parity file collects; the largest is printed when the file is done (pytest -s shows it)."""
    figures: list[float] = []
    yield figures
    print(f"\n{request.node.name}: worst disagreement over {len(figures)} arrays {max(figures, default=0.0):.1e}")
