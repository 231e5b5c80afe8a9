"""A run interrupted anywhere and resumed is the run that was not: 20 random steps and every end of an epoch, three cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_cases import LENGTHS, STEPS, At, V, X, Y, ctrl_c, everything, files

import minilstm as ml

pytestmark = pytest.mark.reliability
CELLS = {"lstm": ml.LSTM, "gru": ml.GRU, "rnn": ml.RNN}
EPOCHS = 4


def trainer(cell: str, folder: Path, seed: int, *more: ml.Callback) -> ml.Trainer:
    """Two layers with dropout between and behind them, a schedule, early stopping, clipping."""
    model = ml.Sequential(ml.Embedding(V, 4), CELLS[cell](4, 3, 2, dropout=0.3, return_sequences=False), ml.Dropout(0.4),
                          ml.Linear(3, 1), ml.Sigmoid())
    model.reset_parameters(seed)
    optimizer = ml.AdamW(model, lr=0.05)
    return ml.Trainer(model, ml.BCELoss(), optimizer, scheduler=ml.CosineAnnealingLR(optimizer, 6), clip_norm=0.5,
                      callbacks=[ml.EarlyStopping(9, restore_best=True), *more], run_dir=folder, verbose=False, progress=False)


def data() -> tuple[Any, Any]:
    return (ml.DataLoader(X, Y, LENGTHS, batch_size=8, shuffle=True, seed=3),
            ml.DataLoader(X[:20], Y[:20], LENGTHS[:20], batch_size=6))


@pytest.mark.parametrize("cell", CELLS)
def test_interrupted_and_resumed(cell: str, tmp_path: Path) -> None:
    whole = trainer(cell, tmp_path / "whole", 0)
    whole.fit(*data(), epochs=EPOCHS)
    want, kept = everything(whole), files(tmp_path / "whole")
    rng = np.random.default_rng(len(cell))
    moments = {(int(rng.integers(1, EPOCHS + 1)), int(rng.integers(1, STEPS + 1))) for _ in range(7)}
    for epoch, step in sorted(moments):
        folder = tmp_path / f"{epoch}-{step}"
        with pytest.raises(ml.Interrupted):
            trainer(cell, folder, 0, At(epoch, step, ctrl_c)).fit(*data(), epochs=EPOCHS)
        again = trainer(cell, folder, 9)
        again.fit(*data(), epochs=EPOCHS, resume=True)
        assert everything(again) == want and files(folder) == kept
    for epochs in range(1, EPOCHS):
        folder = tmp_path / f"end-{epochs}"
        trainer(cell, folder, 0).fit(*data(), epochs=epochs)
        again = trainer(cell, folder, 9)
        again.fit(*data(), epochs=EPOCHS, resume=True)
        assert everything(again) == want and files(folder) == kept
