"""A process that is killed while it saves: 100 moments, 2 sizes; nothing is lost, and what it left is cleaned up."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import minilstm as ml

pytestmark = [pytest.mark.reliability, pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")]


@pytest.mark.parametrize("size", [2_000, 400_000])
def test_kill_9_at_any_moment(size: int, tmp_path: Path) -> None:
    path, told, rng = tmp_path / "a.ckpt", tmp_path / "told", np.random.default_rng(size)
    ml.save_checkpoint(path, {"a": np.zeros(size), "b": np.zeros(size)}, {"k": 0})
    last = 0
    for delay in rng.uniform(0, 0.02 if size < 10_000 else 0.3, 100):
        child = os.fork()
        if child == 0:              # saves one after another, and tells which was finished, until it is killed
            try:
                k = last
                while True:
                    k += 1
                    ml.save_checkpoint(path, {"a": np.full(size, k, float), "b": np.full(size, k, float)}, {"k": k})
                    told.write_text(str(k))
            finally:
                os._exit(1)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        arrays, meta = ml.load_checkpoint(path)
        k = meta["k"]
        assert k >= max(last, int(told.read_text() or 0) if told.exists() else 0)
        assert all((value == k).all() and value.shape == (size,) for value in arrays.values())
        last = k
    ml.save_checkpoint(path, arrays, meta)
    told.unlink(missing_ok=True)
    assert os.listdir(tmp_path) == ["a.ckpt"] and last > 0
