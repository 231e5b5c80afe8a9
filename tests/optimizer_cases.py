"""A small model, optimisers with their options, and what tests of optimisers have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import host, put

import minilstm as ml


class Tiny(ml.Module):
    """Two parameters of given shapes, and nothing to compute: tests write its gradients themselves."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...] = (3, 5), dtype: Any = np.float64) -> None:
        super().__init__()
        self.add_param("W", rng.normal(size=shape).astype(dtype))
        self.add_param("b", rng.normal(size=shape[-1:]).astype(dtype))


def tiny_model(dtype: Any = np.float64, seed: int = 0) -> ml.Sequential:
    rng = np.random.default_rng(seed)
    return put(ml.Sequential(Tiny(rng, dtype=dtype), Tiny(rng, (7, 2), dtype)))


def fill_gradients(model: ml.Module, step: int) -> None:
    rng = np.random.default_rng([1, step])
    for g in model.named_gradients().values():
        g[...] = put(rng.normal(size=g.shape) * 10.0 ** rng.integers(-4, 2))


def run(model: ml.Module, optimizer: Any, steps: Any) -> None:
    for step in steps:
        fill_gradients(model, step)
        optimizer.step()


def snapshot(model: ml.Module, optimizer: Any) -> dict[str, bytes]:
    moments = {f"{name}.{k}": m for name, held in optimizer._moments.items() for k, m in enumerate(held)}
    return {name: x.tobytes() for name, x in {**model.named_parameters(), **moments}.items()}


OPTIMIZERS: list[Any] = [
    (ml.SGD, {"lr": 0.1}), (ml.SGD, {"lr": 0.1, "weight_decay": 0.3}), (ml.SGD, {"lr": 0.1, "momentum": 0.9}),
    (ml.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1}),
    (ml.SGD, {"lr": 0.1, "momentum": 0.8, "nesterov": True}),
    (ml.SGD, {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.2}),
    (ml.Adam, {}), (ml.Adam, {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.2}),
    (ml.Adam, {"betas": (0.0, 0.0)}),
    (ml.AdamW, {}), (ml.AdamW, {"lr": 0.03, "betas": (0.7, 0.95), "weight_decay": 0.2})]


MOVING = [OPTIMIZERS[3], OPTIMIZERS[5], OPTIMIZERS[7], OPTIMIZERS[10]]


def agrees_with_pytorch(kind: Any, options: dict) -> None:
    """Twenty steps beside the optimiser of the same name in PyTorch."""
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    model = tiny_model()
    theirs = [torch.tensor(ml.to_numpy(p), requires_grad=True) for p in model.named_parameters().values()]
    ours, reference = kind(model, **options), getattr(torch.optim, kind.__name__)(theirs, **options)
    for step in range(20):
        fill_gradients(model, step)
        for t, g in zip(theirs, model.named_gradients().values()):
            t.grad = torch.tensor(ml.to_numpy(g))
        if step == 10:                                  # a schedule changes the rate in between
            ours.lr = reference.param_groups[0]["lr"] = 0.05
        ours.step()
        reference.step()
        for (name, p), t in zip(model.named_parameters().items(), theirs):
            t = t.detach().numpy()
            assert np.abs(host(p) - t).max() / max(1, np.abs(t).max()) <= 1e-12, (name, step)
