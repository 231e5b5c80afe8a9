"""Helper processes: a second core for a recurrence whose steps are NumPy's, which threads cannot give it.

A recurrence is a long row of short NumPy calls, and before each of them a thread has to get hold of Python's global
interpreter lock. Two threads lose about a quarter of their time waiting for it; two processes lose nothing (benchmarks/
RESULTS.md). So chunks of rows go to helpers: fresh Python processes that import ``minilstm.kernels`` and wait.

What they work on lies in memory that both processes map; only a short message goes through a pipe. A helper remembers nothing
between two messages. It ends when its pipe closes, that is with this process, however that ends. Where processes cannot be
started (or ``MINILSTM_PROCESSES=0`` is set), the same chunks run on threads, with the same results.
"""

from __future__ import annotations

import atexit
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from minilstm.kernels.threads import get_num_threads

SWITCH = "MINILSTM_PROCESSES"       # the environment variable; "0" means threads only
LIBRARIES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

# To glibc: what is freed is kept for the next chunk rather than given back to the system, which clears every page anew.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2 ** 25), "MALLOC_TRIM_THRESHOLD_": str(2 ** 28)}

KEPT = 32           # free blocks


class Block:
    """A piece of shared memory; it goes back to its arena when nobody refers to it any more."""

    def __init__(self, arena: Arena, offset: int, map_: mmap.mmap) -> None:
        self._arena, self.offset, self._map = arena, offset, map_
        self.view = np.frombuffer(map_, dtype=np.uint8)

    def __del__(self) -> None:
        self._arena.give(self.offset, self._map)

    def __reduce__(self) -> Any:
        return np.array, (np.array(self.view),)         # a copy is memory of the ordinary kind

    @property
    def place(self) -> tuple[int, int]:
        """(offset, bytes) for a message."""
        return self.offset, self.view.nbytes


class Arena:
    """A file without a name that this process and its helpers map, block by block."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self.file = os.memfd_create("minilstm")
        else:
            with tempfile.TemporaryFile() as file:
                self.file = os.dup(file.fileno())
        self.size = 0
        self.free: list[tuple[int, mmap.mmap]] = []

    def take(self, nbytes: int) -> Block:
        """Return a block of at least ``nbytes``; what it holds is arbitrary."""
        fitting = [k for k, (_, map_) in enumerate(self.free) if nbytes <= len(map_) <= 2 * nbytes + 2 ** 20]
        if fitting:
            return Block(self, *self.free.pop(min(fitting, key=lambda k: len(self.free[k][1]))))
        length = -(-max(nbytes, 1) // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        offset = self.size
        os.ftruncate(self.file, offset + length)
        self.size += length
        return Block(self, offset, mmap.mmap(self.file, length, offset=offset))

    def give(self, offset: int, map_: mmap.mmap) -> None:
        """Take a block back. Of more than KEPT free ones, the one that waited longest loses its memory."""
        self.free.append((offset, map_))
        if len(self.free) > KEPT:
            _, oldest = self.free.pop(0)
            if hasattr(mmap, "MADV_REMOVE"):
                oldest.madvise(mmap.MADV_REMOVE)


class Helper:
    """One helper process, as this process sees it."""

    def __init__(self, arena: Arena) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            path = os.pathsep.join(filter(None, sys.path))
            environment = os.environ | {name: "1" for name in LIBRARIES} | KEEP_MEMORY | {"PYTHONPATH": path}
            code = f"from minilstm.kernels.processes import serve; serve({theirs.fileno()}, {arena.file})"
            try:
                self.process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdin=subprocess.DEVNULL,
                                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                                pass_fds=(theirs.fileno(), arena.file))
            except BaseException:
                ours.close()
                raise
        self.pipe = Connection(ours.detach())
        self.ready = False

    def is_ready(self) -> bool:
        """Tell whether it has started; does not wait."""
        if not self.ready and self.pipe.poll(0):
            self.ready = self.pipe.recv() == "ready"
        return self.ready

    def send(self, message: Any) -> None:
        """Give it a task; one that has ended takes none, and its pipe says so when it is asked for the answer."""
        try:
            self.pipe.send(message)
        except OSError:
            pass

    def close(self) -> None:
        """End it."""
        self.pipe.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Crew:
    """All helpers of this process."""

    def __init__(self) -> None:
        self.arena = Arena()
        self.helpers: list[Helper] = []
        self.active = 0                 # how many of them are to be used

    def is_ready(self) -> bool:
        """Tell whether all have started; does not wait."""
        try:
            return all(helper.is_ready() for helper in self.helpers)
        except (EOFError, OSError):     # one ended before it was ready
            give_up()
            return False

    def member(self, number: int) -> Helper | None:
        """Return the helper for chunk ``number``; None: this process takes it."""
        turn = number % (self.active + 1)
        return self.helpers[turn - 1] if turn else None

    def close(self) -> None:
        """End all helpers."""
        for helper in self.helpers:
            helper.close()
        self.helpers = []


_crew: Crew | None = None
_broken = False                     # helpers cannot be had here: do not try again
_lock = threading.Lock()            # held by whoever talks to the helpers


@contextmanager
def crew_for(chunks: int) -> Iterator[Crew | None]:
    """Yield the helpers that are ready, or None: nobody is needed, allowed, or free.

    The first call starts them and does not wait. While one thread uses them, another gets None.
    """
    wanted = min(get_num_threads(), chunks) - 1
    if wanted < 1 or not _allowed() or not _lock.acquire(blocking=False):
        yield None
        return
    try:
        crew = _ready(wanted)
        yield crew if crew is not None and crew.is_ready() else None
    finally:
        _lock.release()


def _allowed() -> bool:
    """Tell whether there may be helpers: not on Windows, nor in a frozen program, whose executable is no Python."""
    return os.name == "posix" and os.environ.get(SWITCH) != "0" and bool(sys.executable) and not hasattr(sys, "frozen")


def _ready(wanted: int) -> Crew | None:
    """Return the crew with at least ``wanted`` helpers, which may still be starting."""
    global _crew
    if _broken:
        return None
    try:
        if _crew is None:
            _crew = Crew()
            atexit.register(close)
        while len(_crew.helpers) < wanted:
            _crew.helpers.append(Helper(_crew.arena))
        _crew.active = wanted
        if all(helper.process.poll() is None for helper in _crew.helpers):
            return _crew
    except (OSError, ValueError):
        pass
    give_up()
    return None


def give_up() -> None:
    """Go on without helpers in this process: one has ended, or none can be started."""
    global _broken
    _broken = True
    close()


def close() -> None:
    """End all helpers. The next large layer starts new ones, unless helpers were given up."""
    global _crew
    crew, _crew = _crew, None
    if crew is not None:
        crew.close()


def _after_fork() -> None:
    """A forked child leaves its parent's helpers alone."""
    global _crew, _lock
    if _crew is not None:
        for helper in _crew.helpers:
            helper.pipe.close()
            helper.process.returncode = 0       # not this process's child: nothing to wait for
    _crew, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# The helper's side --------------------------------------------------------------------------------------------------------

def serve(pipe_number: int, file: int) -> None:
    """What a helper does: run the tasks that come through the pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # Ctrl-C is this process's parent's business
    from minilstm.kernels import remote
    from minilstm.kernels.lstm import LSTMCell  # noqa: F401  (imported now rather than with the first task)
    from minilstm.kernels.threads import one_blas_thread, set_num_threads
    set_num_threads(1)
    with one_blas_thread():
        pass
    tasks: dict[str, Callable[..., None]] = {"forward": remote.forward_here, "backward": remote.backward_here}
    pipe = Connection(pipe_number)
    blocks: dict[tuple[int, int], np.ndarray] = {}

    def block(place: tuple[int, int] | None) -> np.ndarray | None:
        if place is not None and place not in blocks:
            offset, length = place
            blocks[place] = np.frombuffer(mmap.mmap(file, length, offset=offset), dtype=np.uint8)
        return None if place is None else blocks[place]
    pipe.send("ready")
    while True:
        try:
            name, places, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            with np.errstate(all="ignore"):             # the caller's own settings are the caller's
                tasks[name](*map(block, places), *arguments)
            answer: Any = None
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        try:
            pipe.send(answer)
        except OSError:
            return
