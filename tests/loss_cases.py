"""Every loss with its options, examples that fit it, and its twin in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import put

import minilstm as ml

POINTWISE = [ml.BCELoss, ml.BCEWithLogitsLoss, ml.MSELoss]

ALL = [(ml.BCELoss, {}), (ml.BCEWithLogitsLoss, {}), (ml.BCEWithLogitsLoss, {"pos_weight": 2.5}), (ml.MSELoss, {}),
       (ml.CrossEntropyLoss, {}), (ml.CrossEntropyLoss, {"ignore_index": 1}), (ml.CrossEntropyLoss, {"ignore_index": -100})]


def example(kind: type, rng: np.random.Generator, shape: tuple[int, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    """A prediction of this shape and a target that fits this loss, on the running test's backend."""
    return put(_example(kind, rng, shape, options))


def _example(kind: type, rng: np.random.Generator, shape: tuple[int, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    if kind is ml.CrossEntropyLoss:
        target = rng.integers(0, shape[-1], shape[:-1])
        if options.get("ignore_index") == -100:
            target.flat[0] = -100
        return rng.normal(size=shape) * 3, target
    if kind is ml.BCELoss:
        return rng.uniform(0.01, 0.99, shape), rng.uniform(size=shape)
    return rng.normal(size=shape) * 3, rng.uniform(size=shape)


def torch_loss(kind: type, options: dict[str, Any], reduction: str) -> Any:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    options = {name: torch.tensor(value) if name == "pos_weight" else value for name, value in options.items()}
    return getattr(torch.nn, kind.__name__)(reduction=reduction, **options)


def put_array(x: Any) -> Any:
    """Put an array; a list stays what it is."""
    return put(x) if isinstance(x, np.ndarray) else x
