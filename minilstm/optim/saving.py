"""Saving optimisers: moments, step count and hyperparameters as a dict of plain values, checked before
anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minilstm.backend.arrays import asarray, backend_name, to_numpy
from minilstm.backend.errors import CheckpointError, MinilstmError
from minilstm.layers.saving import check_entries
from minilstm.layers.tree import located


def save(optimizer: Any) -> dict[str, Any]:
    """Return what ``Optimizer.state_dict`` does."""
    modules = optimizer.model.modules()
    moments = dict(optimizer._moments)
    if optimizer.steps:
        moments |= {update.name: update.moments for update in optimizer._gather(modules)}
    arrays = {f"{name}.{slot}": to_numpy(m).copy() for name in located(modules) if name in moments
              for slot, m in zip(optimizer._slots(), moments[name])}
    meta = {"type": type(optimizer).__name__, "steps": optimizer.steps}
    for name in optimizer._hyper:
        value = getattr(optimizer, name)
        meta[name] = list(value) if isinstance(value, tuple) else value
    return {"arrays": arrays, "meta": meta}


def load(optimizer: Any, state: Mapping[str, Any]) -> None:
    """Do what ``Optimizer.load_state_dict`` does."""
    if not isinstance(state, Mapping) or set(state) != {"arrays", "meta"} or \
            not all(isinstance(part, Mapping) for part in state.values()):
        raise CheckpointError("optimiser state: expected a dict with two dicts, 'arrays' and 'meta'")
    meta, arrays, kind = state["meta"], state["arrays"], type(optimizer).__name__
    if set(meta) != {"type", "steps", *optimizer._hyper} or meta["type"] != kind:
        names, got = ", ".join(optimizer._hyper), ", ".join(str(name) for name in meta if name != "type")
        raise CheckpointError(f"optimiser state: expected type {kind!r} with steps, {names}; "
                              f"got type {meta.get('type')!r} with {got}")
    steps = meta["steps"]
    if type(steps) is not int or not 0 <= steps < 2 ** 63:
        raise CheckpointError(f"optimiser state: steps must be a whole number of at least 0, got {steps!r}")
    try:
        hyper = optimizer._validated({name: meta[name] for name in optimizer._hyper})
    except MinilstmError as error:
        raise CheckpointError(f"optimiser state: {error}") from None
    trial: Any = object.__new__(type(optimizer))          # knows which moments these hyperparameters need
    trial._set(hyper)
    located = optimizer.model.locate()
    entries = {name: [f"{name}.{slot}" for slot in trial._slots()] for name in located}
    owners = {name: layer.params[key] for name, (layer, key) in located.items()
              if steps and not (layer.frozen and arrays.keys().isdisjoint(entries[name]))}
    expected = {entry: (tuple(p.shape), np.dtype(p.dtype)) for name, p in owners.items()
                for entry in entries[name]}
    fitting = check_entries(arrays, expected, "optimiser array")
    for entry, value in fitting.items():
        if entry.endswith(".exp_avg_sq") and (value < 0).any():
            raise CheckpointError(f"optimiser array {entry}: holds negative values, but is a mean of squares")
    optimizer._moments = {name: tuple(asarray(fitting[entry], backend_name(p)) for entry in entries[name])
                          for name, p in owners.items()}
    optimizer._set(hyper)
    optimizer.steps = steps
