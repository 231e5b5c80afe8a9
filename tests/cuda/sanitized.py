"""Kernels in programs of their own, with real threads, built with ThreadSanitizer or AddressSanitizer.

The fibers of the emulator run one at a time; these threads run in parallel. The sanitizers detect two threads that touch the
same memory with no barrier between them, and an access outside an array, since each array has memory of exactly its size.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from builder import TIMEOUT, EmulationError, build, compiler, macros, preprocessed, with_shim
from emulator import Launch, kernels

SANITIZERS = {"thread": ["-fsanitize=thread", "-g"],
              "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover", "-g"]}


class Said(NamedTuple):
    """What became of a program: the arrays after the launch, and what was wrong (empty: nothing)."""

    arrays: list[np.ndarray]
    complaint: str


@cache
def missing_sanitizer(sanitizer: str) -> str | None:
    """Return why kernels cannot run under a sanitizer ("thread" or "address") here, or None."""
    if compiler() is None:
        return "g++ is not installed"
    probe = 'extern "C" __global__ void probe(int* x) { x[threadIdx.x] = 1; __syncthreads(); }'
    try:
        said = run_program(probe, "probe", {}, (1,), (2,), [np.zeros(2, np.int32)], sanitizer=sanitizer)
    except (EmulationError, OSError, subprocess.SubprocessError) as error:
        return f"{sanitizer} sanitizer: {' '.join(str(error).split())[:200]}"
    return f"{sanitizer} sanitizer: {said.complaint[:200]}" if said.complaint else None


def run_program(source: str, name: str, defines: Mapping[str, Any] | Iterable[str], grid: Any, block: Any,
                arguments: Iterable[Any], *, sanitizer: str, seed: int = 0) -> Said:
    """Run a kernel with real threads in a program built with a sanitizer.

    Arguments are arrays, None, and NumPy numbers of exactly the parameters' types; each array becomes a piece of memory of its
    own. Raises EmulationError where the program cannot be built.
    """
    flags = [*macros(defines), "-DEMULATE_THREADS", *SANITIZERS[sanitizer]]
    names = kernels(preprocessed(source, tuple(macros(defines))))
    main = "\n".join([*(f"EMULATE({kernel})" for kernel in names), "int main(int, char** arguments) {",
                      *(f"EMULATE_ENTRY({kernel})" for kernel in names), "return 4;", "}"])
    program = build(with_shim(source, main), flags, ".exe")
    given = list(arguments)
    sizes = [(list(size) + [1, 1])[:3] for size in (grid, block)]
    parts = [np.array([*sizes[0], *sizes[1], seed * 0x9E3779B97F4A7C15 % 2 ** 64, len(given)], np.uint64).tobytes()]
    for value in given:
        plain = np.uint64(0) if value is None else value
        data = plain.tobytes()
        parts += [np.array([isinstance(plain, np.ndarray), len(data)], np.uint64).tobytes(), data]
    with tempfile.TemporaryDirectory() as scratch:
        job, result = Path(scratch) / "job", Path(scratch) / "result"
        job.write_bytes(b"".join(parts))
        # ThreadSanitizer of older compilers cannot place its memory beside a randomised program's.
        command = [*(["setarch", "-R"] if sanitizer == "thread" and shutil.which("setarch") else []),
                   str(program), str(job), str(result), name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return Said([], "the program does not end: threads wait at a barrier for ever")
        left = result.read_bytes() if result.exists() else b""
    arrays = []
    for value in given:
        if isinstance(value, np.ndarray) and len(left) >= value.nbytes:
            arrays.append(np.frombuffer(left[:value.nbytes], value.dtype).reshape(value.shape))
            left = left[value.nbytes:]
    return Said(arrays, done.stderr.strip() or (f"status {done.returncode}" if done.returncode else ""))


def watch(launch: Launch, sanitizer: str) -> Said:
    """Run a launch that ``emulator.recorded`` kept once more, under a sanitizer."""
    return run_program(launch.source, launch.name, launch.flags, launch.grid, launch.block, launch.arguments,
                       sanitizer=sanitizer)
