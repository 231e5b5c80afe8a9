"""The state of a training: everything from which it goes on, bit for bit.

Weights, the optimiser's moments and step, the schedule, what callbacks remember, random states, history and position, as
named arrays and JSON. It is put back in two halves: first everything is compared with what is there, then everything is put
in place; if a part refuses at that late point, what was there before is put back.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from minilstm.callbacks import Callback
from minilstm.checkpoint import load_checkpoint
from minilstm.errors import CheckpointError, MinilstmError
from minilstm.files import PathLike
from minilstm.history import History
from minilstm.module import Module, check_entries

if TYPE_CHECKING:
    from minilstm.training import Trainer

_KIND = "minilstm training state 1"


def batches_of(loader: Any, epoch: int, start: int) -> Iterator[Any]:
    """Return the batches of an epoch (counted from 0), from batch ``start`` on.

    A loader with ``batches(epoch, start)``, as DataLoader has, gives them in that epoch's own order. Any other iterable is
    simply gone through again; a resume in mid-epoch is then exact only if it gives the same batches each time.
    """
    if hasattr(loader, "batches"):
        return iter(loader.batches(epoch, start))
    return islice(iter(loader), start, None)


def batch_again(loader: Any, epoch: int, number: int) -> Any:
    """Return batch ``number`` (from 0) of an epoch once more; None where the loader gives each batch only once."""
    if not hasattr(loader, "batches") and iter(loader) is loader:
        return None
    return next(batches_of(loader, epoch, number), None)


def describe_loader(loader: Any) -> dict[str, Any] | None:
    """Return what decides the batches of a loader, as far as it tells: to recognise the data of an earlier run."""
    if loader is None:
        return None
    facts = {name: getattr(loader, name, None) for name in ("size", "batch_size", "shuffle", "drop_last", "seed")}
    facts = {name: value for name, value in facts.items() if isinstance(value, (int, str))}
    return {**facts, "batches": len(loader)} if hasattr(loader, "__len__") else facts


def check_data(saved: Any, data: Mapping[str, Any]) -> None:
    """Raise CheckpointError, in words, unless a run that is to go on gets the loaders it had."""
    for role, now in data.items():
        before = saved[role]
        if (before is None) != (now is None):
            raise CheckpointError(f"the run was trained {'without' if before is None else 'with'} {role} data, now there is "
                                  f"{'none' if now is None else 'some'}")
        for name in sorted(set(before or ()) | set(now or ())):
            if before.get(name) != now.get(name):
                raise CheckpointError(f"{role} data: {name} was {before.get(name)}, now it is {now.get(name)}")


def _word(thing: Any) -> str | None:
    """Return what a part of the training is, in words that do not change from one process to the next."""
    if thing is None or isinstance(thing, (int, float, str)):
        return None if thing is None else str(thing)
    if isinstance(thing, Module) or type(thing).__repr__ is not object.__repr__ and " at 0x" not in repr(thing):
        return repr(thing)
    return getattr(thing, "__qualname__", type(thing).__qualname__)


def describe(trainer: Trainer) -> dict[str, str | None]:
    """Return what is trained how: the parts that must be the same when a run goes on."""
    return {"model": _word(trainer.model), "criterion": _word(trainer.criterion),
            "optimizer": type(trainer.optimizer).__qualname__,
            "scheduler": None if trainer.scheduler is None else type(trainer.scheduler).__qualname__,
            "metric": _word(trainer.metric), "clip_norm": _word(trainer.clip_norm)}


def _remembering(callbacks: Iterable[Callback]) -> list[tuple[Callback, dict[str, Any]]]:
    return [(callback, state) for callback, state in ((c, c.state_dict()) for c in callbacks) if state]


def capture(trainer: Trainer) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the whole state of a training as (arrays, meta) for ``save_checkpoint``."""
    optimizer = trainer.optimizer.state_dict()
    arrays = {f"model.{name}": value for name, value in trainer.model.state_dict().items()}
    arrays.update({f"optimizer.{name}": value for name, value in optimizer["arrays"].items()})
    callbacks = []
    for number, (callback, state) in enumerate(_remembering(trainer.callbacks)):
        arrays.update({f"callback{number}.{name}": value for name, value in state.get("arrays", {}).items()})
        callbacks.append([type(callback).__qualname__, state.get("meta", {})])
    meta = {"kind": _KIND, "parts": describe(trainer), "data": trainer.data, "config": trainer.config,
            "epoch": trainer.epoch, "step": trainer.step, "sums": trainer.sums, "stop": trainer.stop,
            "optimizer": optimizer["meta"], "callbacks": callbacks, "rng": trainer.model.rng_state(),
            "scheduler": None if trainer.scheduler is None else trainer.scheduler.state_dict(),
            "history": trainer.history.rows}
    return arrays, meta


def restore(trainer: Trainer, path: PathLike, data: Mapping[str, Any] | None = None) -> None:
    """Put a training back where the checkpoint ``path`` saw it; ``data`` describes the loaders it will go on with.

    Raises CheckpointError, naming the file and what does not fit; nothing has changed then.
    """
    arrays, meta = load_checkpoint(path)
    where = os.fspath(path)
    if meta.get("kind") != _KIND:
        raise CheckpointError(f"{where}: is no training checkpoint (its kind is {meta.get('kind')!r})")
    before = None
    try:
        _check_fits(trainer, arrays, meta, data)
        before = capture(trainer)
        _put(trainer, arrays, meta)
    except (MinilstmError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if before is not None:
            _put(trainer, *before)
        words = f"its state lacks {error}" if type(error) is KeyError else str(error)
        raise CheckpointError(f"{where}: cannot be resumed: {words}") from None


def _check_fits(trainer: Trainer, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any],
                data: Mapping[str, Any] | None) -> None:
    for part, now in describe(trainer).items():
        saved = meta["parts"][part]
        if saved != now:
            raise CheckpointError(f"the {part} differs: {_first_difference(str(saved), str(now))}")
    expected = {name: (tuple(p.shape), np.dtype(p.dtype)) for name, p in trainer.model.named_parameters().items()}
    check_entries(under("model.", arrays), expected, "parameter")
    for name, (_, dtype) in expected.items():
        if arrays[f"model.{name}"].dtype != dtype:      # a float64 run does not go on, bit for bit, in float32
            raise CheckpointError(f"parameter {name}: expected dtype {dtype}, got {arrays[f'model.{name}'].dtype}")
    names = [type(callback).__qualname__ for callback, _ in _remembering(trainer.callbacks)]
    if [name for name, _ in meta["callbacks"]] != names:
        raise CheckpointError(f"the callbacks that remember something were {[name for name, _ in meta['callbacks']]}, "
                              f"now they are {names}")
    if data is not None and meta["data"] is not None:
        check_data(meta["data"], data)
    if len(meta["history"]) != meta["epoch"] or type(meta["step"]) is not int or meta["step"] < 0 or len(meta["sums"]) != 4:
        raise CheckpointError("its position and its history do not agree")


def _first_difference(saved: str, now: str) -> str:
    pairs = zip((saved + "\n").split("\n"), (now + "\n").split("\n"))
    return next((f"it was {a.strip() or 'shorter'}, now it is {b.strip() or 'shorter'}" for a, b in pairs if a != b),
                "one of them is longer")


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names start with ``prefix``, without it."""
    return {name[len(prefix):]: value for name, value in arrays.items() if name.startswith(prefix)}


def _put(trainer: Trainer, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    history = History(meta["history"])
    trainer.model.load_state_dict(under("model.", arrays))
    trainer.model.load_rng_state(meta["rng"])
    trainer.model.zero_grad()
    if trainer.scheduler is not None:       # before the optimiser, whose own rate, if it was set by hand, is the right one
        trainer.scheduler.load_state_dict(meta["scheduler"])
    trainer.optimizer.load_state_dict({"arrays": under("optimizer.", arrays), "meta": meta["optimizer"]})
    for number, (callback, _) in enumerate(_remembering(trainer.callbacks)):
        callback.load_state_dict({"arrays": under(f"callback{number}.", arrays), "meta": meta["callbacks"][number][1]})
    trainer.history, trainer.data, trainer.stop = history, meta["data"], meta["stop"]
    trainer.epoch, trainer.step, trainer.sums = meta["epoch"], meta["step"], list(meta["sums"])
    trainer.config = trainer.config or dict(meta["config"])
