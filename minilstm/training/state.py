"""The state of a training run: everything needed to resume it, bit for bit.

The state consists of weights, the optimiser's moments and step, the schedule, the callbacks' states, random
states, history and position, stored as named arrays and JSON. It is restored in two phases: first everything
is checked against the current run, then everything is assigned; if an assignment fails, the previous state is
restored.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, to_numpy
from minilstm.backend.checks import is_number
from minilstm.backend.errors import CheckpointError, MinilstmError
from minilstm.layers.module import Module
from minilstm.layers.saving import check_entries
from minilstm.training.atomic_write import PathLike
from minilstm.training.averaging import AveragedWeights
from minilstm.training.batches import check_data
from minilstm.training.callbacks import Callback, EarlyStopping
from minilstm.training.checkpoint import load_checkpoint
from minilstm.training.history import History
from minilstm.training.run import Run

_KIND = "minilstm training state 1"


def _fingerprint(thing: Any) -> str | None:
    """Return a description of a part of the run that is the same in every process."""
    if thing is None or isinstance(thing, (int, float, str)):
        return None if thing is None else str(thing)
    own = type(thing).__repr__ is not object.__repr__
    if isinstance(thing, Module) or own and " at 0x" not in repr(thing):
        return repr(thing)
    return getattr(thing, "__qualname__", type(thing).__qualname__)


def describe(run: Run) -> dict[str, str | None]:
    """Return a description of the parts that must be the same when a run is resumed."""
    return {"model": _fingerprint(run.model), "criterion": _fingerprint(run.criterion),
            "optimizer": type(run.optimizer).__qualname__,
            "scheduler": None if run.scheduler is None else type(run.scheduler).__qualname__,
            "metric": _fingerprint(run.metric), "clip_norm": _fingerprint(run.clip_norm),
            "carry_state": _fingerprint(run.carry_state or None)}


def _remembering(callbacks: Iterable[Callback]) -> list[tuple[Callback, dict[str, Any]]]:
    return [(callback, state) for callback, state in ((c, c.state_dict()) for c in callbacks) if state]


def settings(run: Run) -> dict[str, Any]:
    """Return the hyperparameters, by name, that a resumed run keeps whatever the new optimiser's are."""
    meta = run.optimizer.state_dict()["meta"]
    found = {name: value for name, value in meta.items() if name not in ("type", "steps")}
    base = getattr(run.scheduler, "base_lr", None)
    return found if base is None else {**found, "lr": base}         # the rate itself belongs to the schedule


def capture(run: Run) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the complete state of a run as (arrays, meta) for ``save_checkpoint``."""
    optimizer = run.optimizer.state_dict()
    arrays = {f"model.{name}": value for name, value in run.model.state_dict().items()}
    arrays.update({f"optimizer.{name}": value for name, value in optimizer["arrays"].items()})
    arrays.update({f"state.{name}": to_numpy(value) for name, value in _flat(run.state)})
    callbacks = []
    for number, (callback, state) in enumerate(_remembering(run.callbacks)):
        arrays.update({f"callback{number}.{name}": value for name, value in state.get("arrays", {}).items()})
        callbacks.append([type(callback).__qualname__, state.get("meta", {})])
    meta = {"kind": _KIND, "parts": describe(run), "data": run.data, "config": run.config,
            "epoch": run.epoch, "step": run.step, "sums": run.sums, "stop": run.stop,
            "optimizer": optimizer["meta"], "callbacks": callbacks, "rng": run.model.rng_state(),
            "scheduler": None if run.scheduler is None else run.scheduler.state_dict(),
            "history": run.history.rows}
    return arrays, meta


def restore(run: Run, path: PathLike, data: Mapping[str, Any] | None = None) -> None:
    """Restore a run from the checkpoint ``path``; ``data`` describes the loaders that it will continue with.

    Raises CheckpointError, naming the file and what does not fit; the run is then unchanged.
    """
    arrays, meta = load_checkpoint(path)
    where = os.fspath(path)
    if meta.get("kind") != _KIND:
        raise CheckpointError(f"{where}: is no training checkpoint (its kind is {meta.get('kind')!r})")
    before, pending = None, [(module, module._caches, module._outdated) for _, module in run.model.modules()]
    try:
        _check_fits(run, arrays, meta, data)
        before = capture(run)
        _put(run, arrays, meta)
    except BaseException as error:      # behind a valid digest, a field can still be anything
        if before is not None:
            _put(run, *before)
        for module, caches, outdated in pending:
            module._caches, module._outdated = caches, outdated
        if not isinstance(error, Exception):        # Ctrl-C
            raise
        words = str(error)
        if not isinstance(error, MinilstmError):
            words = f"its state is damaged ({type(error).__name__}: {error})"
        raise CheckpointError(f"{where}: cannot be resumed: {' '.join(words.split())[:500]}") from None
    run.model.zero_grad()
    run.model.drop_caches()


def _check_fits(run: Run, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any],
                data: Mapping[str, Any] | None) -> None:
    parts = describe(run)
    if "gradients" in meta["parts"]:
        raise CheckpointError("it was trained on adversarial noise, which versions before 0.3 could add")
    for part, now in parts.items():
        saved = meta["parts"].get(part)         # versions before 0.3 could not carry states
        if saved != now:
            raise CheckpointError(f"the {part} differs: {_first_difference(str(saved), str(now))}")
    expected = {name: (tuple(p.shape), np.dtype(p.dtype)) for name, p in run.model.named_parameters().items()}
    check_entries(under("model.", arrays), expected, "parameter")
    for name, (_, dtype) in expected.items():
        got = arrays[f"model.{name}"].dtype
        if got != dtype:            # a float64 run cannot be continued, bit for bit, in float32
            raise CheckpointError(f"parameter {name}: expected dtype {dtype}, got {got}")
    _check_position(meta)
    names = [type(callback).__qualname__ for callback, _ in _remembering(run.callbacks)]
    saved = [name for name, _ in meta["callbacks"]]
    if saved != names:
        raise CheckpointError(f"the callbacks with a saved state were {saved}, now they are {names}")
    for number, (callback, _) in enumerate(_remembering(run.callbacks)):
        weights = under(f"callback{number}.", arrays)
        if isinstance(callback, (EarlyStopping, AveragedWeights)) and weights:
            check_entries(weights, expected, f"{type(callback).__name__}'s parameter")
    if data is not None and meta["data"] is not None:
        check_data(meta["data"], data)


def _check_position(meta: Mapping[str, Any]) -> None:
    """Raise CheckpointError unless position, sums, history, data and config can be those of a run."""
    def need(right: bool, what: str) -> None:
        if not right:
            raise CheckpointError(f"its {what} cannot be those of a run")
    epoch, step, sums, data = meta["epoch"], meta["step"], meta["sums"], meta["data"]
    need(type(epoch) is int and type(step) is int and epoch >= 0 and 0 <= step < 2 ** 63, "epoch and step")
    need(isinstance(meta["history"], list) and len(meta["history"]) == epoch, "epoch and history")
    History(meta["history"])
    need(isinstance(sums, list) and len(sums) == 4
         and all(is_number(total) and -1e300 < total < 1e300 for total in sums)
         and type(sums[3]) is int and 0 <= sums[3] < 2 ** 63 and (step > 0 or not any(sums)), "sums")
    need(meta["stop"] is None or isinstance(meta["stop"], str), "reason to stop")
    need(isinstance(meta["config"], dict), "config")
    need(data is None or isinstance(data, dict) and set(data) == {"training", "validation"}, "data")
    for facts in (data or {}).values():
        need(facts is None or isinstance(facts, dict)
             and all(isinstance(fact, (int, str)) for fact in facts.values()), "data")
        batches = (facts or {}).get("batches", step)
        need(facts is not data["training"] or type(batches) is int and step <= batches, "step")
    for part in ("optimizer", "rng"):
        need(isinstance(meta[part], dict), part)
    need(isinstance(meta["callbacks"], list)
         and all(isinstance(entry, list) and [type(part) for part in entry] == [str, dict]
                 for entry in meta["callbacks"]), "callbacks")


def _first_difference(saved: str, now: str) -> str:
    for a, b in zip((saved + "\n").split("\n"), (now + "\n").split("\n")):
        if a != b:
            return f"it was {a.strip() or 'shorter'}, now it is {b.strip() or 'shorter'}"
    return "one of them is longer"


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names start with ``prefix``, by their names without it."""
    return {name[len(prefix):]: value for name, value in arrays.items() if name.startswith(prefix)}


def _flat(state: Any, name: str = "") -> Iterator[tuple[str, Array]]:
    """Yield the arrays of a state, an array or lists of such, with their positions as names: "0.1."."""
    if isinstance(state, (list, tuple)):
        for position, part in enumerate(state):
            yield from _flat(part, f"{name}{position}.")
    elif state is not None:
        yield name, state


def _nested(arrays: Mapping[str, np.ndarray], backend: str) -> Any:
    """The inverse of ``_flat``: lists of arrays of a backend."""
    if not arrays or "" in arrays:
        return asarray(arrays[""], backend) if arrays else None
    positions = sorted({int(name.partition(".")[0]) for name in arrays})
    return [_nested(under(f"{position}.", arrays), backend) for position in positions]


def _put(run: Run, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    history = History(meta["history"])
    run.model.load_state_dict(under("model.", arrays))
    run.model.load_rng_state(meta["rng"])
    if run.scheduler is not None:       # before the optimiser, whose own rate may have been set by hand
        run.scheduler.load_state_dict(meta["scheduler"])
    run.optimizer.load_state_dict({"arrays": under("optimizer.", arrays), "meta": meta["optimizer"]})
    for number, (callback, _) in enumerate(_remembering(run.callbacks)):
        _, saved = meta["callbacks"][number]
        callback.load_state_dict({"arrays": under(f"callback{number}.", arrays), "meta": saved})
    run.state = _nested(under("state.", arrays), backend_name(next(iter(run.model.parameters()), None)))
    run.history, run.data, run.stop = history, meta["data"], meta["stop"]
    run.epoch, run.step, run.sums = meta["epoch"], meta["step"], list(meta["sums"])
    run.config = run.config or dict(meta["config"])
