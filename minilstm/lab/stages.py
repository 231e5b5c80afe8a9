"""Stages of long work: each has a folder, runs only until it is finished, and resumes after an interruption.

A stage's folder holds stage.json: its settings, and whether it is finished. How to continue in the folder is
the work's own business (a training run, a sweep).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from minilstm.backend.errors import ArgumentError, DataError, reason_of
from minilstm.training.atomic_write import PathLike, atomic_write

STAGE = "stage.json"


def run_stage(name: str, folder: PathLike, settings: Mapping[str, Any], work: Callable[[Path], Any], *,
              tell: Callable[[str], Any] = print) -> Path:
    """Call ``work(folder)`` unless the stage in ``folder`` is finished; return the folder.

    Args:
        name: the stage's name, for messages.
        folder: created if it does not exist. After an interruption, ``work`` finds its earlier results there.
        settings: JSON values that decide the stage's results.
        tell: called with a line that says whether the stage starts, continues, or is already finished.

    Raises ArgumentError where ``folder`` holds the stage with other settings or something else, DataError
    where its stage.json is damaged, and whatever ``work`` raises; then the stage stays unfinished.
    """
    folder = Path(folder)
    wanted = json.loads(json.dumps(dict(settings)))     # JSON turns tuples into lists
    saved = _read(folder / STAGE)
    if saved is None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ArgumentError(f"{folder}: contains something other than the stage {name!r}; "
                                "choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / STAGE, wanted, False)
        tell(f"{name}: begun, in {folder}")
    else:
        before = saved["settings"]
        for key in sorted(set(wanted) | set(before)):
            if before.get(key) != wanted.get(key):
                raise ArgumentError(f"{folder}: the stage {name!r} was made with {key} {before.get(key)!r}, "
                                    f"not {wanted.get(key)!r}; choose another folder")
        if saved["finished"]:
            tell(f"{name}: finished before, in {folder}")
            return folder
        tell(f"{name}: goes on, in {folder}")
    work(folder)
    _write(folder / STAGE, wanted, True)
    return folder


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        saved = json.loads(path.read_text(encoding="ascii"))
        if not isinstance(saved["settings"], dict) or not isinstance(saved["finished"], bool):
            raise ValueError("expected settings and finished")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from None
    return dict(saved)


def _write(path: Path, settings: Mapping[str, Any], finished: bool) -> None:
    text = json.dumps({"settings": settings, "finished": finished}, indent=2) + "\n"
    atomic_write(path, [text.encode("ascii")])
