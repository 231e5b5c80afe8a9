"""Progress bars where someone is looking, silence where nobody is.

With tqdm installed a terminal shows its text bars, a notebook its widgets (text where ipywidgets is missing). A log file, a
pipe, or a machine without tqdm gets no bars at all: only the one line per epoch.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any


def in_notebook() -> bool:
    """Tell whether this runs in a Jupyter or Colab kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class NoBar:
    """The part of a tqdm bar that training uses, doing nothing."""

    def __enter__(self) -> NoBar:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, n: int = 1) -> None:
        pass

    def set_postfix_str(self, text: str, refresh: bool = False) -> None:
        pass


def open_bar(description: str, total: int | None, done: int = 0, show: bool = True) -> Any:
    """Return a bar, to be used in a ``with``, that starts at ``done`` of ``total`` batches and vanishes when it is closed."""
    notebook = in_notebook()
    if not show or not (notebook or (sys.stderr is not None and sys.stderr.isatty())):
        return NoBar()
    try:
        if notebook and importlib.util.find_spec("ipywidgets"):
            from tqdm.notebook import tqdm
        else:
            from tqdm.std import tqdm  # type: ignore[assignment]
    except ImportError:
        return NoBar()
    return tqdm(total=total, initial=done, desc=description, unit="batch", leave=False, dynamic_ncols=True)


def say(text: str) -> None:
    """Print a line without tearing a bar that is on the screen."""
    tqdm = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
    if tqdm is None:
        print(text, flush=True)
    else:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()
