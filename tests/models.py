"""A small model of every kind of layer, and tokens for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from backends import put

import minilstm as ml

TOKENS = np.array([[1, 2, 3], [6, 0, 0]])


def small_model(**options: Any) -> ml.Sequential:
    return put(ml.Sequential(ml.Embedding(7, 3, rng=0, **options), ml.LSTM(3, 4, return_sequences=False, rng=1, **options),
                             ml.Dropout(0.5, rng=2), ml.Linear(4, 1, rng=3, **options), ml.Sigmoid()))
