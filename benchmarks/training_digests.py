"""Twenty training steps of every cell by every way of computing them, and a digest of all weights, to detect any change.

    python benchmarks/training_digests.py --record before.npz       before a change
    python benchmarks/training_digests.py --compare before.npz      after it

The ways are the readable functions and the fast ones in NumPy, each in float32 and float64, and the compiled ones in float32.
Digests depend on the processor and on NumPy's BLAS, so they are compared on one machine; where one differs, the largest
difference of a weight is printed, and the exit status is 1 if it exceeds 1e-12 (float64) or 1e-5 (float32).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import minilstm as ml
from minilstm.kernels import compiled

V, D, H, N, T, STEPS = 503, 32, 64, 70, 40, 20
CELLS = {"rnn": ml.RNN, "gru": ml.GRU, "lstm": ml.LSTM}
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def train(cell: str, dtype: str, fast: bool) -> np.ndarray:
    """Train with dropout, clipping and padding in front; return all weights afterwards as one array."""
    rng = np.random.default_rng(7)
    model = ml.Sequential(ml.Embedding(V, D, rng=rng), CELLS[cell](D, H, 2, bidirectional=True, rng=rng),
                          CELLS[cell](2 * H, H, return_sequences=False, rng=rng), ml.Dropout(0.5, rng=rng),
                          ml.Linear(H, 1, rng=rng), ml.Sigmoid()).to(dtype=np.dtype(dtype))
    for _, module in model.modules():
        setattr(module, "fast", fast)
    criterion, optimizer = ml.BCELoss(), ml.Adam(model, lr=1e-3)
    for _ in range(STEPS):
        tokens = rng.integers(1, V, (N, T))
        tokens[np.arange(T) < rng.integers(0, T, N)[:, None]] = 0
        model.zero_grad()
        criterion(model(tokens), rng.integers(0, 2, N).astype(dtype))
        model.backward(criterion.backward())
        ml.clip_grad_norm(model, 1.0)
        optimizer.step()
    return np.concatenate([p.reshape(-1) for p in model.state_dict().values()])


def ways() -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, weights) of each way."""
    for cell in CELLS:
        for dtype in TOLERANCE:
            with compiled.switched_off():
                yield f"{cell}, readable, {dtype}", train(cell, dtype, fast=False)
                yield f"{cell}, NumPy, {dtype}", train(cell, dtype, fast=True)
        if not compiled.why_not():
            yield f"{cell}, compiled, float32", train(cell, "float32", fast=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Record or compare the weights after twenty training steps.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--record", metavar="FILE.npz", help="write the weights")
    action.add_argument("--compare", metavar="FILE.npz", help="compare with weights that were recorded")
    arguments = parser.parse_args()
    before = np.load(arguments.compare) if arguments.compare else {}
    found: dict[str, Any] = {}
    moved = False
    for name, weights in ways():
        found[name] = weights
        words = hashlib.sha256(weights.tobytes()).hexdigest()[:16]
        if arguments.compare and name in before:
            difference = float(np.max(np.abs(weights - before[name])))
            same = weights.tobytes() == before[name].tobytes()
            moved |= difference > TOLERANCE[str(weights.dtype)]
            words += "  the same bytes" if same else f"  differs by at most {difference:.1e}"
        print(f"{name:<28}{words}", flush=True)
    if arguments.record:
        np.savez(arguments.record, **found)
    return 1 if moved else 0


if __name__ == "__main__":
    sys.exit(main())
