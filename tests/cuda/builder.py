"""Compile C++ for the CPU with g++, and keep what was compiled in a temporary folder, by what it was made from."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SHIM = Path(__file__).with_name("emulator.h")
FLAGS = ["-std=c++17", "-O1", "-fno-strict-aliasing", "-ffp-contract=off", "-Wall", "-Wno-unknown-pragmas", "-Werror"]
TIMEOUT = 120                   # seconds that a compiler or a program may take


class EmulationError(Exception):
    """A kernel or its launch is wrong: it does not compile, an argument does not fit, or its barriers do not agree."""


def compiler() -> str | None:
    """Return the path of g++, or None where there is none."""
    return shutil.which("g++")


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"minilstm-emulator-{getattr(os, 'getuid', lambda: 0)()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def macros(defines: Mapping[str, Any] | Iterable[str]) -> list[str]:
    """Return macros as the compiler takes them: {"H": 32} and ["-DH=32"] are the same; other options are CUDA's."""
    if isinstance(defines, Mapping):
        return [f"-D{name}={value}" for name, value in sorted(defines.items())]
    return [flag for flag in defines if flag.startswith("-D")]


def build(text: str, flags: list[str], ending: str) -> Path:
    """Compile C++ text and return the file, which an earlier call may have made. Raises EmulationError with g++'s words."""
    gxx = compiler()
    if gxx is None:
        raise EmulationError("g++ is not installed")
    key = hashlib.sha256("\0".join([gxx, text, SHIM.read_text(encoding="utf-8"), *FLAGS, *flags, ending]).encode()).hexdigest()
    made = _folder() / f"{key[:32]}{ending}"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=_folder()) as scratch:
            source, fresh = Path(scratch) / "kernel.cpp", Path(scratch) / "kernel"
            source.write_text(text, encoding="utf-8")
            command = [gxx, *FLAGS, *flags, f"-I{SHIM.parent}", str(source), "-o", str(fresh), "-pthread"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
            if done.returncode:
                raise EmulationError(f"g++ does not compile it:\n{done.stderr[:4000]}")
            os.replace(fresh, made)         # whole or not at all, whoever else is making it
    return made


def with_shim(source: str, extra: str) -> str:
    """Return a CUDA source as C++ text: emulator.h before it, ``extra`` behind it."""
    return f'#include "emulator.h"\n#line 1 "kernel.cu"\n{source}\n{extra}\n'


def preprocessed(text: str, flags: tuple[str, ...]) -> str:
    """Return a source as it is after ``#ifdef``, so that its kernels are those that are compiled."""
    gxx = compiler()
    if gxx is None:
        raise EmulationError("g++ is not installed")
    done = subprocess.run([gxx, "-E", "-P", "-x", "c++", *flags, "-"], input=text, capture_output=True, text=True,
                          timeout=TIMEOUT)
    if done.returncode:
        raise EmulationError(f"g++ does not read it:\n{done.stderr[:4000]}")
    return done.stdout
