"""Handle Ctrl-C between two training steps, never within a step.

A KeyboardInterrupt inside an optimiser would leave half of the weights updated. While a guard is active, the
first Ctrl-C only sets a flag, which training checks after each step; a second Ctrl-C raises at once.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """Training was interrupted from the keyboard after a complete step, and can be resumed from there.

    Attributes: epoch (the current one, from 1), step (steps finished in it), run_dir (the folder of
        last.ckpt, or None).
    """

    def __init__(self, epoch: int, step: int, run_dir: str | None = None) -> None:
        self.epoch, self.step, self.run_dir = epoch, step, run_dir
        super().__init__(f"interrupted at epoch {epoch}, step {step}"
                         + (f"; resume from last.ckpt in {run_dir}" if run_dir else ""))


class InterruptGuard:
    """A ``with`` block in which SIGINT sets ``pending`` instead of raising.

    Only the main thread may install signal handlers; in another thread, and where SIGINT is ignored or
    handled outside Python, the guard does nothing. The previous handler is restored at the end.
    """

    def __init__(self) -> None:
        self.pending = False
        self._previous: Any = None

    def __enter__(self) -> InterruptGuard:
        self.pending = False
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if previous is not None and previous != signal.SIG_IGN:
                self._previous = previous
                signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None
        pending, self.pending = self.pending, False
        if pending and kind is None:        # Ctrl-C came after the last check: it is late, but not lost
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            raise KeyboardInterrupt("interrupted a second time: stopped in the middle of a step")
        self.pending = True
        try:                # not print: the signal may have interrupted a print
            os.write(2, b"\nInterrupted: stopping after this step (Ctrl-C again stops at once).\n")
        except OSError:
            pass
