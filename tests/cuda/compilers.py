"""NVIDIA's compilers, which need no GPU: what they say about the registers that a kernel takes.

NVRTC is what CuPy compiles with; it comes with CuPy's [ctk] extra or alone (pip install nvidia-cuda-nvrtc-cu12). nvcc comes
with the CUDA toolkit.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ARCHITECTURES = ("75", "80", "90")          # compute capability 7.5 (T4), 8.0 (A100), 9.0 (H100)
STANDARD = "--std=c++17"                    # CuPy's
ENTRY = re.compile(r"Compiling entry function '(\w+)'(.*?)(?=Compiling entry function|\Z)", re.DOTALL)
SPILL = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


class Report(NamedTuple):
    """What one kernel takes: registers of a thread, and bytes that did not fit into them, the larger of stores and loads."""

    registers: int
    spilled: int


class CompilerError(Exception):
    """A source does not compile."""


def read_report(log: str) -> dict[str, Report]:
    """Return the report on each kernel, by name, from what ptxas says with -v."""
    found = {}
    for name, text in ENTRY.findall(log):
        spill, registers = SPILL.search(text), REGISTERS.search(text)
        assert spill is not None and registers is not None, log
        found[name] = Report(int(registers[1]), max(int(spill[1]), int(spill[2])))
    return found


@cache
def nvrtc() -> Any:
    """Return NVRTC's library, from a wheel of NVIDIA's; None where there is none."""
    for package, folder in (("nvidia.cuda_nvrtc", "lib"), ("nvidia.cu13", "lib")):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for place in (spec.submodule_search_locations or []) if spec else []:
            for library in sorted(Path(place, folder).glob("libnvrtc.so.*")):
                if "builtins" not in library.name and "alt" not in library.name:
                    return ctypes.CDLL(str(library))
    return None


def with_nvrtc(source: str, options: tuple[str, ...], architecture: str) -> dict[str, Report]:
    """Compile a source for sm_``architecture`` and return the reports. Raises CompilerError with the compiler's words."""
    library, program = nvrtc(), ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    given = [flag.encode() for flag in (f"--gpu-architecture=sm_{architecture}", STANDARD, "--ptxas-options=-v", *options)]
    try:
        failed = library.nvrtcCompileProgram(program, len(given), (ctypes.c_char_p * len(given))(*given))
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    text = log.value.decode()
    if failed:
        raise CompilerError(text)
    return read_report(text)


def nvcc() -> str | None:
    """Return the path of nvcc, or None."""
    return shutil.which("nvcc")


def with_nvcc(source: str, options: tuple[str, ...], architecture: str) -> dict[str, Report]:
    """The same with nvcc."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cu"
        path.write_text(source, encoding="utf-8")
        command = [str(nvcc()), f"-arch=sm_{architecture}", STANDARD, "-Xptxas", "-v", "-cubin", *options, str(path), "-o",
                   str(path.with_suffix(".cubin"))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise CompilerError(done.stderr)
    return read_report(done.stderr)
