"""Subnormal numbers: how to compute without them where they only cost time.

A float32 below 1.2e-38 (a float64 below 2.2e-308) is subnormal. On Intel processors an operation on one
takes about 150 cycles longer, and a vanishing gradient is made of them: a training step can take 15 times
as long. ``flush_to_zero`` is a decorator that makes the calling thread treat them as zero while a function
of this library runs, as TensorFlow and JAX always do.

C99's ``fegetenv`` and ``fesetenv`` reach the bits of the processor's control word that say so. Where these
stand depends on the platform, so it is tried at first use: they are left alone unless a product is 0 with
them, and is not 0 afterwards. ``MINILSTM_SUBNORMALS=keep`` in the environment leaves them alone, too.

It is no context manager, because Ctrl-C may end an ``__exit__`` before its first line, and the bits would
stay set. A call of a C function at the beginning of a ``finally`` is never missed: Python looks for signals
after such a call, not before it.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

SWITCH = "MINILSTM_SUBNORMALS"          # the environment variable; "keep" means never to flush
TINY = 5e-324                           # the smallest float64
# (platform, processor): the control word's place in fenv_t, in bytes, and its bits. x86-64: MXCSR, flush to
# zero and denormals are zero; ARM: FPCR, flush to zero. Only the first has been run.
LAYOUTS = {("linux", "x86_64"): (28, 0x8040), ("darwin", "x86_64"): (4, 0x8040),
           ("linux", "aarch64"): (0, 1 << 24), ("darwin", "arm64"): (8, 1 << 24)}


class _Control(NamedTuple):
    """How a thread reads its control word into ``word`` and writes it back; ``state`` is all that is read."""

    get: Callable[..., Any]
    reading: tuple[Any, ...]            # the arguments of get
    put: Callable[..., Any]
    writing: tuple[Any, ...]            # the arguments of put
    state: Any
    word: Any
    bits: int


class _Thread(threading.local):
    flushes = False
    control: _Control | None = None     # None: not made yet


_thread = _Thread()
_reason: str | None = None              # why it does not work here, "" if it does; None: not tried yet


def is_flushing() -> bool:
    """Return whether this thread is inside a function that flushes subnormals to zero."""
    return _thread.flushes


def _mode(flush: bool) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> R:
            thread = _thread
            if thread.flushes is flush or os.environ.get(SWITCH) == "keep":
                return function(*args, **options)
            control = thread.control or _prepare()
            if control is None:
                return function(*args, **options)
            get, reading, put, writing, _, word, bits = control
            get(*reading)
            before = word.value & bits
            try:
                thread.flushes = flush
                word.value = word.value & ~bits | bits * flush
                put(*writing)
                return function(*args, **options)
            finally:
                try:
                    get(*reading)       # what else has changed meanwhile stays, such as flags
                finally:                # no signal is looked for from here until put is done
                    thread.flushes = not flush
                    word.value = word.value & ~bits | before
                    put(*writing)
        return call
    return decorate


flush_to_zero = _mode(True)
keep_subnormals = _mode(False)      # for what starts threads, which inherit the mode on Linux


def why_not() -> str:
    """Return the reason why subnormals are kept, or "" if they are flushed."""
    if os.environ.get(SWITCH) == "keep":
        return f"{SWITCH}=keep"
    _prepare()
    return "this thread flushes them already" if _reason is None else _reason


def _prepare() -> _Control | None:
    """Return the buffers of this thread, made now, or None where they would not serve."""
    global _reason
    if _reason:
        return None
    try:
        control = _control()
    except (AttributeError, KeyError, OSError) as error:
        _reason = f"no way is known on {sys.platform} ({type(error).__name__}: {error})"
        return None
    if _reason is None:
        if float.__mul__(TINY, 1.0) == 0.0:         # somebody has set the mode, so nothing can be learned now
            return None
        _reason = "" if _works(control) else f"on {sys.platform} the control word is elsewhere"
    _thread.control = None if _reason else control
    return _thread.control


def _control() -> _Control:
    if sys.platform == "win32":
        control, word = ctypes.PyDLL("ucrtbase")._controlfp_s, ctypes.c_uint32()
        writing = ctypes.byref(ctypes.c_uint32()), word, 0x03000000         # _MCW_DN; below, _DN_FLUSH
        return _Control(control, (ctypes.byref(word), 0, 0), control, writing, word, word, 0x01000000)
    place, bits = LAYOUTS[sys.platform, os.uname().machine]
    library, state = ctypes.PyDLL(None), ctypes.create_string_buffer(64)    # larger than any fenv_t
    word = ctypes.c_uint32.from_buffer(state, place)
    return _Control(library.fegetenv, (state,), library.fesetenv, (state,), state, word, bits)


def _works(control: _Control) -> bool:
    """Return whether a product is 0 inside, is not 0 afterwards, and nothing else has changed."""
    _thread.control = control
    try:
        for _ in range(2):              # the first time, the product may raise flags
            control.get(*control.reading)
            before = bytes(control.state)
            inside = flush_to_zero(float.__mul__)(TINY, 1.0)
            control.get(*control.reading)
            same = bytes(control.state) == before
    finally:
        _thread.control = None
    return same and inside == 0.0 != float.__mul__(TINY, 1.0)
