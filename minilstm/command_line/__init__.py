"""The command line: argument parsing, error handling, and ``python -m minilstm doctor``.

From its import on, Ctrl-C ends the program with one line, even while the other modules are imported. Programs
therefore import it first.
"""

import sys
from types import TracebackType


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("\nInterrupted.", file=sys.stderr)
    else:
        _usual(kind, error, trace)


_usual, sys.excepthook = sys.excepthook, _end
