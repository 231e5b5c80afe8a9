"""Progress bars by tqdm, if it is installed and the output is a terminal or notebook, not a log file or a pipe."""

from __future__ import annotations

import sys
from typing import Any


class NoBar:
    """A stand-in with the methods of a tqdm bar that are used here; it does nothing."""

    def __enter__(self) -> NoBar:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, n: int = 1) -> None:
        pass

    def set_postfix_str(self, text: str, refresh: bool = False) -> None:
        pass


def open_bar(description: str, total: int | None, done: int = 0, show: bool = True, unit: str = "batch") -> Any:
    """Return a bar for a ``with`` statement; it starts at ``done`` of ``total`` and disappears when it is closed."""
    if not show or sys.stderr is None:
        return NoBar()
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return NoBar()
    # disable=None: no bar if standard error is not a terminal (a notebook has widgets)
    return tqdm(total=total, initial=done, desc=description, unit=unit, leave=False, dynamic_ncols=True, disable=None)


def say(text: str) -> None:
    """Print a line without breaking a progress bar on the screen."""
    tqdm = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
    if tqdm is None:
        print(text, flush=True)
    else:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()
