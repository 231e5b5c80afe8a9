"""All kernels with real threads, watched by ThreadSanitizer (races) and AddressSanitizer (steps outside an array).

Each launch of a small training step is kept and run once more in a program of its own, and must come to the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulator import Emulated, Launch, recorded
from sanitized import missing_sanitizer, watch
from twins import Call, measured

from minilstm.kernels.cuda.adam import adam_on_device
from minilstm.kernels.cuda.embedding import add_on_device

pytestmark = pytest.mark.slow


def launches(what: str, xp: Any) -> list[Launch]:
    """Run something on the emulator and return its launches."""
    with recorded() as kept:
        if what == "the rest":
            rng = np.random.default_rng(0)
            tokens, y = xp.asarray(rng.integers(0, 9, 70)), xp.asarray(rng.random(70).astype(np.float32))
            dy = xp.asarray(rng.standard_normal((70, 5)).astype(np.float32))
            add_on_device(dy, tokens, xp.zeros((9, 5), np.float32), None)
            adam_on_device(y.copy(), y, xp.zeros(70, np.float32), xp.zeros(70, np.float32), betas=(0.9, 0.99), rate=0.1,
                           eps=1e-8, decay=0.1)
        else:
            cell, rows = what.split()
            measured(Call(cell, H=32 if int(rows) else 5, rows=int(rows), N=3, T=3, padding="pre"), xp)
    return kept


@pytest.mark.parametrize("sanitizer", ["thread", "address"])
@pytest.mark.parametrize("what", ["lstm 2", "lstm 0", "gru 2", "gru 0", "tanh 2", "relu 0", "the rest"])
def test_a_sanitizer_has_nothing_to_complain_of(what: str, sanitizer: str, standin: Any) -> None:
    reason = missing_sanitizer(sanitizer)
    if reason:
        pytest.skip(reason)
    kept = launches(what, standin)
    assert kept
    for launch in kept:
        said = watch(launch, sanitizer)
        assert said.complaint == "", f"{launch.name}: {said.complaint[:3000]}"
        arrays = [x.copy() if isinstance(x, np.ndarray) else x for x in launch.arguments]
        Emulated(launch.source, launch.name, launch.flags).launch(launch.grid, launch.block, arrays)
        there = [x for x in arrays if isinstance(x, np.ndarray)]
        assert [x.tobytes() for x in said.arrays] == [x.tobytes() for x in there]
