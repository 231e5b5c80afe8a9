"""The folder of a training run on disk.

    config.json     what was trained: the caller's config, model, loss, optimiser, data
    history.csv     one row per epoch, rewritten after each epoch
    curves.png      epoch vs loss, epoch vs accuracy, drawn when training ends or is interrupted
    last.ckpt       everything needed to resume, written before the first step, after each epoch, on Ctrl-C
    best.ckpt       the same, for the best epoch so far

Each file is replaced atomically, so a run that is killed at any moment leaves the last.ckpt of its latest
finished epoch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from minilstm.backend.errors import ArgumentError, CheckpointError, reason_of
from minilstm.backend.paths import as_path
from minilstm.layers.module import Module
from minilstm.training.atomic_write import PathLike, atomic_write, remove_leftovers
from minilstm.training.checkpoint import load_checkpoint, save_checkpoint
from minilstm.training.run import Run
from minilstm.training.state import capture, describe, under

CONFIG, HISTORY, CURVES, LAST, BEST = "config.json", "history.csv", "curves.png", "last.ckpt", "best.ckpt"


def holds_run(folder: PathLike) -> bool:
    """Return whether ``folder`` contains a training run."""
    return any((Path(folder) / name).exists() for name in (LAST, BEST, HISTORY, CONFIG))


def in_the_way(folder: PathLike, names: Iterable[str] = ()) -> str | None:
    """Return why ``folder`` can hold no new run, or None: there must be no run and none of ``names``."""
    path = Path(folder)
    nearest = path
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"{nearest} exists and is not a folder"
    if holds_run(path):
        return "this folder already contains a run"
    for name in (CURVES, *names):
        if os.path.lexists(path / name):
            return f"this folder contains a file {name}, which would be overwritten"
    return None


def create_run(run: Run, folder: PathLike) -> None:
    """Create the folder of a new run with its config.json. Raises ArgumentError if it contains a run."""
    if holds_run(folder):
        raise ArgumentError(f"{os.fspath(folder)}: this folder already contains a training run; "
                            "resume it, or choose another")
    reason = in_the_way(folder)
    if reason is not None:
        raise ArgumentError(f"{os.fspath(folder)}: {reason}; choose another folder")
    text = _checked(folder, lambda: _text(_facts(run)))
    _checked(folder, lambda: os.makedirs(folder, exist_ok=True))
    _checked(folder, lambda: atomic_write(Path(folder) / CONFIG, [text]))


def update_config(run: Run, folder: PathLike) -> None:
    """Write the run's config, which may be new in a resumed run, to config.json. Raises CheckpointError."""
    path = Path(folder) / CONFIG
    try:
        before = path.read_bytes()
        facts = {**json.loads(before), "config": run.config}
    except (OSError, ValueError, TypeError, RecursionError):
        before, facts = b"", _facts(run)        # missing or damaged: last.ckpt is authoritative
    text = _checked(folder, lambda: _text(facts))
    if text != before:
        _checked(folder, lambda: atomic_write(path, [text]))


def _facts(run: Run) -> dict[str, Any]:
    return {"config": run.config, **describe(run), "data": run.data,
            "optimizer_state": run.optimizer.state_dict()["meta"]}


def _text(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, indent=2).encode("ascii") + b"\n"


def save_run(run: Run, folder: PathLike, *names: str) -> None:
    """Write history.csv and checkpoints (LAST, BEST) into the run's folder. Raises CheckpointError."""
    _checked(folder, lambda: run.history.to_csv(Path(folder) / HISTORY))
    arrays, meta = capture(run)
    for name in names:
        save_checkpoint(Path(folder) / name, arrays, meta)


def clean_run(folder: PathLike) -> None:
    """Remove the unfinished files that a killed process left in a run's folder."""
    _checked(folder, lambda: remove_leftovers(folder))


def _checked(folder: PathLike, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (OSError, TypeError, ValueError) as error:
        reason = reason_of(error)
        raise CheckpointError(f"{os.fspath(folder)}: the run cannot be recorded: {reason}") from None


def load_config(folder: PathLike) -> dict[str, Any]:
    """Return the ``config`` given to the Trainer of the run in ``folder``. Raises CheckpointError."""
    path = as_path("load_config", folder) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="ascii"))["config"]
        if not isinstance(config, dict):
            raise ValueError("expected a dict under config")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read: {reason_of(error)}") from None
    return config


def load_weights(path: PathLike, model: Module) -> None:
    """Copy the weights of a training checkpoint (last.ckpt, best.ckpt) into ``model``.

    Raises CheckpointError, naming the file, if it is damaged or its weights do not fit; the model is then
    unchanged.
    """
    arrays, _ = load_checkpoint(path := as_path("load_weights", path))
    try:
        model.load_state_dict(under("model.", arrays))
    except CheckpointError as error:
        raise CheckpointError(f"{os.fspath(path)}: {error}") from None
