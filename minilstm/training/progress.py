"""Progress bars by tqdm, if it is installed and the output is a terminal or a notebook.

All bars of a notebook cell share one line: a saved notebook would otherwise hold a line for each update, or,
with widgets, a bar that stays at 0 %.
"""

from __future__ import annotations

import sys
from typing import Any

from minilstm.backend.notebook import in_notebook


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


class CellLine:
    """A file for tqdm: what is written replaces the one line of the notebook cell that is running."""

    handles: dict[int, Any] = {}        # of the running cell only, by its number

    def write(self, text: str) -> None:
        from IPython import get_ipython
        from IPython.display import display
        number, shown = get_ipython().execution_count, {"text/plain": text.strip()}
        if number in self.handles:
            self.handles[number].update(shown, raw=True)
        elif text.strip():
            CellLine.handles = {number: display(shown, raw=True, display_id=True)}

    def flush(self) -> None:
        pass


def open_bar(description: str, total: int | None, done: int = 0, show: bool = True,
             unit: str = "batch") -> Any:
    """Return a bar for a ``with`` statement; it starts at ``done`` of ``total`` and disappears at the end.

    In a notebook it takes the place of the last one in its cell.
    """
    if not show or sys.stderr is None:
        return NoBar()
    try:
        from tqdm import tqdm
    except ImportError:
        return NoBar()
    # disable=None: no bar if standard error is not a terminal
    place: dict[str, Any] = {"dynamic_ncols": True, "disable": None}
    if in_notebook():
        place = {"file": CellLine(), "ncols": 100, "ascii": False}
    return tqdm(total=total, initial=done, desc=description, unit=unit, leave=False, **place)


def say(text: str) -> None:
    """Print a line without breaking a progress bar on the screen."""
    tqdm = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
    if tqdm is None:
        print(text, flush=True)
    else:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()
