"""``python -m minilstm doctor``: what is here, does it work, and what would have to be installed.

It looks at Python, NumPy and its BLAS, Numba, CuPy, the NVIDIA driver and the GPU, and tries what it finds: forward and
backward of a small model, the gradients checked numerically; with Numba and on a GPU the same, compared with NumPy's. A
machine without a GPU is healthy. One whose GPU or CuPy does not do what it should is not.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_info

from minilstm.backend import arrays as backend
from minilstm.backend.errors import BackendError, GradientError, MinilstmError
from minilstm.kernels import compiled

WORD, INDENT = 12, "  "         # columns of the first word; before what to do about a line
WORST = {"float64": 1e-10, "float32": 1e-4}         # by how much a GPU may differ from NumPy, relative to the largest number
PROC = Path("/proc/driver/nvidia/version")
DRIVER_TIMEOUT = 10.0       # seconds
REMEDIES = re.compile(r"( \(CuPy must|; reinstall it|[ ;(]+\d+ CuPy packages are installed).*")      # the doctor has its own


class Finding(NamedTuple):
    """One line of the report: about what, what, whether it is as it should be, and what to do."""

    about: str
    text: str
    healthy: bool = True
    advice: str = ""


class Driver(NamedTuple):
    """The NVIDIA driver's version, and its GPUs' names."""

    version: str
    gpus: list[str]


def examine(wanted: str | None = None) -> Iterator[Finding]:
    """Yield what is found, one thing after another. ``wanted``: a backend that has to work ("cupy")."""
    from minilstm import __version__
    yield Finding("minilstm", f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
                  f"{os.cpu_count()} cores")
    yield Finding("NumPy", numpy_words())
    yield self_test("numpy")
    yield from examine_numba()
    driver = find_driver()
    yield Finding("driver", "no NVIDIA driver was found" if driver is None else
                  f"NVIDIA {driver.version}" + (f", {', '.join(driver.gpus)}" if driver.gpus else ", but it shows no GPU"))
    yield from examine_cupy(driver, wanted == "cupy")


def numpy_words() -> str:
    """Return NumPy's version and its BLAS, with threads."""
    libraries = [f"{info['internal_api']} {info['version'] or ''}".strip() + f" ({info.get('architecture') or 'any'}), "
                 f"{info['num_threads']} threads" for info in threadpool_info() if info["user_api"] == "blas"]
    from minilstm.backend.threads import get_num_threads
    return f"{np.__version__}; BLAS: {'; '.join(libraries) or 'unknown'}; minilstm uses {get_num_threads()} threads"


def examine_numba() -> Iterator[Finding]:
    """Yield what there is to say about compiled steps on the CPU, which are an offer: a machine without them is healthy."""
    missing = compiled.why_not()
    if not missing:
        error = difference("numpy", np.dtype(np.float32), without=compiled.switched_off)
        right = error <= WORST["float32"]
        yield Finding("Numba", f"{version('numba')}: steps on the CPU are compiled, same as NumPy's to {error:.0e} in float32"
                      if right else f"WRONG NUMBERS: compiled steps differ from NumPy's by {error:.0e}", right,
                      "" if right else f"please report this with all lines above; {compiled.SWITCH}=0 does without")
    elif "not installed" in missing:
        yield Finding("Numba", "not installed: training on the CPU works without it, and is a third faster with it", True,
                      "pip install numba")
    else:
        yield Finding("Numba", f"not used: {missing[:120]}")


def find_driver() -> Driver | None:
    """Return what the NVIDIA driver says of itself; None where there is none. CuPy is not needed for this."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        try:
            done = subprocess.run([tool, "--query-gpu=driver_version,name,memory.total", "--format=csv,noheader"],
                                  capture_output=True, text=True, timeout=DRIVER_TIMEOUT)
        except (OSError, subprocess.SubprocessError):
            done = None
        rows = [row.split(", ") for row in (done.stdout if done and not done.returncode else "").splitlines() if row]
        if rows and all(len(row) >= 3 for row in rows):
            return Driver(rows[0][0], [f"{name} ({memory})" for _, name, memory in (row[:3] for row in rows)])
    try:
        version = re.search(r"(\d+\.\d+(\.\d+)?)", PROC.read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None
    return Driver(version[1] if version else "of unknown version", [])


def pip_line(driver: Driver | None) -> str:
    """Return the pip line of the wheel for this driver: CUDA 13 needs a driver from 580 on."""
    number = re.match(r"\d+", driver.version) if driver else None
    wheel = "cupy-cuda13x" if number and int(number[0]) >= 580 else "cupy-cuda12x"
    return f'pip install "{wheel}[ctk]"'


def examine_cupy(driver: Driver | None, wanted: bool) -> Iterator[Finding]:
    """Yield what there is to say about CuPy and the GPU."""
    wheels = backend.cupy_wheels()
    try:
        cupy = backend.require("cupy")
    except BackendError as error:
        needed = wanted or driver is not None       # where there is no GPU, a CuPy that cannot find one is as it should be
        missing, broken = "not installed" in str(error), len(wheels) > 1 or "cannot be imported" in str(error)
        if missing:
            yield Finding("CuPy", "not installed" + ("" if needed else ": only needed for --backend cupy on an NVIDIA GPU"),
                          not wanted, pip_line(driver) if needed else "")
            return
        text = f"{' and '.join(wheels) or 'installed'}: {REMEDIES.sub('', str(error))}"
        yield Finding("CuPy", text, not (needed or broken), remedy(wheels, driver) if needed or broken else "")
        return
    yield Finding("CuPy", f"{cupy.__version__} ({', '.join(wheels) or 'no wheel'})", len(wheels) < 2,
                  remedy(wheels, driver) if len(wheels) > 1 else "")
    yield Finding("GPU", gpu_words(cupy))
    yield self_test("cupy")


def remedy(wheels: list[str], driver: Driver | None) -> str:
    """Return the lines that make CuPy whole again."""
    first = f"pip uninstall -y {' '.join(wheels)}; " if wheels else ""
    return first + pip_line(driver)


def gpu_words(cupy: Any) -> str:
    """Return name, compute capability and memory of the current GPU, and the CUDA versions."""
    runtime, device = cupy.cuda.runtime, cupy.cuda.Device()
    name = runtime.getDeviceProperties(device.id)["name"]
    name = name.decode(errors="replace") if isinstance(name, bytes) else name
    free, total = device.mem_info
    capability = str(device.compute_capability)
    return (f"{name}, compute capability {capability[:-1]}.{capability[-1]}, {total / 2 ** 30:.1f} GiB ({free / 2 ** 30:.1f} "
            f"free), CUDA {_cuda(runtime.runtimeGetVersion())}, driver for CUDA {_cuda(runtime.driverGetVersion())}")


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def self_test(name: str) -> Finding:
    """Try forward and backward on a backend: gradients by numerical differentiation; on a GPU also the numbers of NumPy."""
    import minilstm as ml
    try:
        rng = np.random.default_rng(0)
        model = ml.Sequential(ml.LSTM(3, 4, dtype=np.float64, rng=0), ml.LSTM(4, 2, return_sequences=False, rng=1),
                              ml.Linear(2, 1, rng=2), ml.Sigmoid()).to(name, np.float64)
        checked = ml.gradcheck(model, ml.asarray(rng.standard_normal((2, 4, 3)), name), method="finite")
        words = f"gradients right (worst error {checked.worst('finite'):.0e} by finite differences)"
        if name == "cupy":
            errors = {dtype: difference("cupy", np.dtype(dtype)) for dtype in WORST}
            words += ", same as NumPy to " + ", ".join(f"{error:.0e} in {dtype}" for dtype, error in errors.items())
            if not all(errors[dtype] <= limit for dtype, limit in WORST.items()):
                return Finding("  self-test", f"WRONG NUMBERS: {words}", False, "please report this with all lines above")
        return Finding("  self-test", words)
    except GradientError as error:
        return Finding("  self-test", f"WRONG GRADIENTS: {_line(error)}", False, "please report this with all lines above")
    except (MinilstmError, RuntimeError, ImportError, OSError) as error:
        return Finding("  self-test", f"FAILED: {type(error).__name__}: {_line(error)}", False,
                       "CuPy needs NVRTC, cuBLAS and headers: the [ctk] extra brings them" if name == "cupy" else "")


def difference(name: str, dtype: np.dtype, without: Callable[[], AbstractContextManager[None]] = nullcontext) -> float:
    """Return by how much a training step of a small model differs from NumPy's, relative to the largest number.

    ``name``: the backend it is tried on; ``without``: what NumPy's turn is taken in. The hidden size is one of those that
    have CUDA kernels of their own.
    """
    here = _training_step(name, dtype)
    with without():
        numpys = _training_step("numpy", dtype)
    return max(float(np.max(np.abs(a - b)) / max(1.0, float(np.max(np.abs(a))))) for a, b in zip(numpys, here))


def _training_step(name: str, dtype: np.dtype) -> list[np.ndarray]:
    """Return loss, gradients and changed parameters."""
    import minilstm as ml
    rng = np.random.default_rng(0)
    model = ml.Sequential(ml.Embedding(11, 5, rng=0), ml.LSTM(5, 32, return_sequences=False, rng=1),
                          ml.Linear(32, 1, rng=2), ml.Sigmoid()).to(name, dtype)
    criterion, optimizer = ml.BCELoss(), ml.Adam(model, lr=0.01)
    x, y = ml.asarray(rng.integers(0, 11, (5, 7)), name), ml.asarray(rng.integers(0, 2, 5).astype(dtype), name)
    loss = criterion(model(x), y)
    model.backward(criterion.backward())
    gradients = [ml.to_numpy(g) for g in model.named_gradients().values()]
    optimizer.step()
    return [ml.to_numpy(loss), *gradients, *model.state_dict().values()]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]


def report(wanted: str | None = None) -> tuple[str, int]:
    """Return the report, and the exit status: 0 if all that is here works (and ``wanted`` with it), else 1."""
    lines, healthy = [], True
    for finding in examine(wanted):
        lines.append(f"{finding.about:<{WORD}} {'' if finding.healthy else '✗ '}{finding.text}")
        if finding.advice:
            lines.append(f"{'':<{WORD}} {INDENT}-> {finding.advice}")
        healthy = healthy and finding.healthy
    lines.append("All that is here works." if healthy else "Something is wrong: see the lines with ✗.")
    return "\n".join(lines), 0 if healthy else 1
