"""Progress bars: tqdm's, where it is installed and someone is looking; in a log file or a pipe there are none."""

from __future__ import annotations

import sys
from typing import Any


class NoBar:
    """The part of a tqdm bar that is used here, doing nothing."""

    def __enter__(self) -> NoBar:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, n: int = 1) -> None:
        pass

    def set_postfix_str(self, text: str, refresh: bool = False) -> None:
        pass


def open_bar(description: str, total: int | None, done: int = 0, show: bool = True, unit: str = "batch") -> Any:
    """Return a bar, to be used in a ``with``, that starts at ``done`` of ``total`` and vanishes when it is closed."""
    if not show or sys.stderr is None:
        return NoBar()
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return NoBar()
    # disable=None: no bar where standard error is no terminal (a notebook has widgets)
    return tqdm(total=total, initial=done, desc=description, unit=unit, leave=False, dynamic_ncols=True, disable=None)


def say(text: str) -> None:
    """Print a line without tearing a bar that is on the screen."""
    tqdm = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
    if tqdm is None:
        print(text, flush=True)
    else:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()
