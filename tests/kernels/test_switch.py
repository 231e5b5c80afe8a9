"""Of no single file: ``model.fast = False``: a training step in which nothing of kernels/ takes part, and
``layer.fast`` for one layer.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import minilstm as ml

KERNELS = Path(ml.__file__).parent / "kernels"
LAYERS = {"lstm": ml.LSTM, "gru": ml.GRU, "rnn": ml.RNN}


def files_of(work: Callable[[], Any]) -> set[Path]:
    """The Python files in which a function is called while ``work`` runs, in any thread that starts meanwhile too."""
    files = set()

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)
    threading.setprofile(hook)
    sys.setprofile(hook)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)      # type: ignore[arg-type]
    return {Path(name) for name in files}


def of_kernels(files: set[Path]) -> set[str]:
    return {file.relative_to(KERNELS).as_posix() for file in files if file.is_relative_to(KERNELS)}


def trainer_of(cell: str) -> ml.Trainer:
    model = ml.Sequential(
        ml.Embedding(30, 6, rng=0), ml.Sequential(LAYERS[cell](6, 8, bidirectional=True, rng=1), ml.Dropout(0.5, rng=2)),
        LAYERS[cell](16, 8, return_sequences=False, rng=3), ml.Linear(8, 1, rng=4), ml.Sigmoid())
    return ml.Trainer(model, ml.BCELoss(), ml.Adam(model), clip_norm=0.1, progress=False, verbose=False)


@pytest.mark.parametrize("cell", LAYERS)
def test_the_readable_switch_reaches_the_whole_step(cell: str, rng: np.random.Generator) -> None:
    x, y = rng.integers(0, 30, (4, 7)), np.array([0, 1, 1, 0], np.float32)
    trainer = trainer_of(cell)
    assert of_kernels(files_of(lambda: trainer.train_step(x, y, {}))) >= {"cpu/sequence.py", f"cpu/{cell}.py"}
    trainer.model.fast = False
    assert not trainer.model.fast and not any(layer.fast for layer in trainer.model)
    files = files_of(lambda: trainer.train_step(x, y, {"lengths": np.array([7, 1, 3, 5])}))
    assert of_kernels(files) == set() and {file.stem for file in files} >= {cell, "embedding", "adam", "gradients"}
    trainer.model.fast = True
    assert "cpu/sequence.py" in of_kernels(files_of(lambda: trainer.train_step(x, y, {})))


def test_one_layer_alone() -> None:
    model = trainer_of("lstm").model
    model[2].fast = False
    assert model[0].fast and not model[2].fast
