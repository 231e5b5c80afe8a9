"""Whether a notebook runs this: standard error is a red box there, and ``display`` shows something."""

from __future__ import annotations

import sys


def in_notebook() -> bool:
    """Return whether a notebook's kernel runs this."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None
