"""``python -m minilstm doctor``: what is installed, whether it works, and what is missing.

It lists Python, NumPy and its BLAS, Numba, the NVIDIA driver and CuPy, and tests what it finds: the
gradients of a small model are checked numerically, and a training step with compiled code or on a GPU is
compared with NumPy's. It says whether subnormal numbers are flushed. A machine without a GPU is healthy; a
machine whose GPU or CuPy does not work correctly is not.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend import arrays, subnormals
from minilstm.backend.arrays import asarray, to_numpy
from minilstm.backend.errors import BackendError, GradientError, MinilstmError, one_line
from minilstm.backend.threads import blas, get_num_threads
from minilstm.gradients.gradcheck import gradcheck
from minilstm.kernels import compiled
from minilstm.kernels.cuda import trial
from minilstm.layers.activations import Sigmoid
from minilstm.layers.embedding import Embedding
from minilstm.layers.linear import Linear
from minilstm.layers.lstm import LSTM
from minilstm.layers.sequential import Sequential
from minilstm.losses.binary_cross_entropy import BCELoss
from minilstm.optim.adam import Adam

# largest allowed difference from NumPy, relative to the largest number
WORST = {"float64": 1e-10, "float32": 1e-4}
REPORT = "please report this with all lines above"


class Finding(NamedTuple):
    """One line of the report: the topic, the finding, whether it is healthy, and what to do."""

    about: str
    text: str
    healthy: bool = True
    advice: str = ""


class Driver(NamedTuple):
    """The NVIDIA driver's version, and its GPUs' names."""

    version: str
    gpus: list[str]


def examine(wanted: str | None = None) -> Iterator[Finding]:
    """Yield the findings one by one. ``wanted``: a backend that must work ("cupy")."""
    yield Finding("minilstm", f"{installed_version()}, Python {platform.python_version()}, "
                  f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    controllers = blas().lib_controllers
    libraries = [f"{found.internal_api} {found.version or '?'} ({getattr(found, 'architecture', 'any')})"
                 for found in controllers]
    yield Finding("NumPy", f"{np.__version__}; BLAS: {', '.join(libraries) or 'unknown'}; "
                           f"{get_num_threads()} threads")
    yield self_test("numpy")
    yield examine_numba()
    kept = subnormals.why_not()
    yield Finding("subnormals", f"kept, which is slow on some processors: {kept}" if kept else
                  "flushed to zero while a step is computed")
    driver = find_driver()
    yield Finding("driver", "no NVIDIA driver was found" if driver is None else
                  f"NVIDIA {driver.version}, {', '.join(driver.gpus)}")
    yield from examine_cupy(driver, wanted == "cupy")


def installed_version() -> str:
    """Return minilstm's version."""
    try:
        return version("minilstm")
    except PackageNotFoundError:
        return "not installed (run from its folder)"


def examine_numba() -> Finding:
    """Return the finding about compiled steps on the CPU, which are optional."""
    if importlib.util.find_spec("numba") is None:
        return Finding("Numba", "not installed: training on the CPU works without it, and is faster with "
                                "it", True,
                       "pip install numba")
    missing = compiled.why_not()
    if missing:
        return Finding("Numba", f"not used: {missing[:120]}")
    error = difference("numpy", np.dtype(np.float32), without=compiled.switched_off)
    if error <= WORST["float32"]:
        return Finding("Numba", f"{version('numba')}: compiled steps, same as NumPy's to {error:.0e} in "
                                "float32")
    return Finding("Numba", f"WRONG NUMBERS: compiled steps differ from NumPy's by {error:.0e}", False,
                   f"{REPORT}; {compiled.SWITCH}=0 does without")


def find_driver() -> Driver | None:
    """Return what nvidia-smi reports about the NVIDIA driver and its GPUs, or None. Does not need CuPy."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    import subprocess  # here, because not every Python has it (Pyodide)
    try:
        done = subprocess.run([tool, "--query-gpu=driver_version,name,memory.total", "--format=csv,noheader"],
                              capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [row.split(", ") for row in done.stdout.splitlines() if row.count(", ") >= 2]
    if done.returncode or not rows:
        return None
    return Driver(rows[0][0], [f"{row[1]} ({row[2]})" for row in rows])


def pip_line(driver: Driver | None) -> str:
    """Return the pip command for this driver's wheel: CUDA 13 needs driver 580 or newer."""
    number = re.match(r"\d+", driver.version) if driver else None
    wheel = "cupy-cuda13x" if number and int(number[0]) >= 580 else "cupy-cuda12x"
    return f'pip install "{wheel}[ctk]"'


def examine_cupy(driver: Driver | None, wanted: bool) -> Iterator[Finding]:
    """Yield the findings about CuPy and the GPU."""
    wheels = arrays.cupy_wheels()
    advice = (f"pip uninstall -y {' '.join(wheels)}; " if wheels else "") + pip_line(driver)
    try:
        cupy = arrays.require("cupy")
    except BackendError as error:
        if error.kind == "not installed":
            if wanted or driver is not None:
                yield Finding("CuPy", "not installed", not wanted, advice)
            else:
                yield Finding("CuPy", "not installed: only needed for --backend cupy on an NVIDIA GPU")
            return
        broken = wanted or driver is not None or len(wheels) > 1 or error.kind == "import"
        # The advice given here takes the driver into account, that of the error does not.
        words = f"{' and '.join(wheels) or 'installed'}: {error.reason}"
        yield Finding("CuPy", words, not broken, advice if broken else "")
        return
    yield Finding("CuPy", f"{cupy.__version__} ({', '.join(wheels) or 'no wheel'})", len(wheels) < 2,
                  advice if len(wheels) > 1 else "")
    yield Finding("GPU", gpu_words(cupy))
    yield examine_kernels()
    yield self_test("cupy")


def examine_kernels() -> Finding:
    """Return the finding about the CUDA kernels: each family compared with the readable functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reasons = {f"{family} in {dtype}": trial.why_not(family, dtype)
                   for family in trial.FAMILIES for dtype in WORST}
    wrong = "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)
    if wrong:
        return Finding("kernels", f"not used: {wrong[:400]}", False,
                       f"{REPORT}; without them, everything is computed by the readable functions")
    families, dtypes = ", ".join(trial.FAMILIES), " and ".join(WORST)
    return Finding("kernels", f"{families}: same as the readable functions in {dtypes}")


def gpu_words(cupy: Any) -> str:
    """Return name, compute capability and memory of the current GPU, and the CUDA version of the runtime."""
    runtime, device = cupy.cuda.runtime, cupy.cuda.Device()
    name, capability = runtime.getDeviceProperties(device.id)["name"], str(device.compute_capability)
    name = name.decode(errors="replace") if isinstance(name, bytes) else name
    cuda = runtime.runtimeGetVersion()
    return (f"{name}, compute capability {capability[:-1]}.{capability[-1]}, "
            f"{device.mem_info[1] / 2 ** 30:.1f} GiB, CUDA {cuda // 1000}.{cuda % 1000 // 10}")


def self_test(name: str) -> Finding:
    """Test forward and backward on a backend by numerical derivatives; on a GPU, against NumPy too."""
    try:
        rng = np.random.default_rng(0)
        model = Sequential(LSTM(3, 4, rng=0), LSTM(4, 2, return_sequences=False, rng=1), Linear(2, 1, rng=2),
                           Sigmoid()).to(name, np.float64)
        checked = gradcheck(model, asarray(rng.standard_normal((2, 4, 3)), name), method="finite")
        words = f"gradients right (worst error {checked.worst('finite'):.0e} by finite differences)"
        if name == "cupy":
            errors = {dtype: difference("cupy", np.dtype(dtype)) for dtype in WORST}
            measured = ", ".join(f"{error:.0e} in {dtype}" for dtype, error in errors.items())
            words += f", same as NumPy to {measured}"
            if not all(errors[dtype] <= limit for dtype, limit in WORST.items()):
                return Finding("  self-test", f"WRONG NUMBERS: {words}", False, REPORT)
        return Finding("  self-test", words)
    except GradientError as error:
        return Finding("  self-test", f"WRONG GRADIENTS: {one_line(error)}", False, REPORT)
    except (MinilstmError, RuntimeError, ImportError, OSError) as error:
        advice = "CuPy needs NVRTC, cuBLAS and headers: the [ctk] extra brings them"
        return Finding("  self-test", f"FAILED: {type(error).__name__}: {one_line(error)}", False,
                       advice if name == "cupy" else "")


def difference(name: str, dtype: np.dtype,
               without: Callable[[], AbstractContextManager[None]] = nullcontext) -> float:
    """Return how far a training step of a small model is from NumPy's, relative to the largest number.

    ``name``: the backend to test; ``without``: a context in which the NumPy step runs. The hidden size is one
    of those with dedicated CUDA kernels.
    """
    here = _training_step(name, dtype)
    with without():
        numpys = _training_step("numpy", dtype)
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(a).max())) for a, b in zip(numpys, here))


def _training_step(name: str, dtype: np.dtype) -> list[np.ndarray]:
    """Return loss, gradients and changed parameters."""
    rng = np.random.default_rng(0)
    model = Sequential(Embedding(11, 5, rng=0), LSTM(5, 32, return_sequences=False, rng=1),
                       Linear(32, 1, rng=2), Sigmoid()).to(name, dtype)
    criterion, optimizer = BCELoss(), Adam(model, lr=0.01)
    x, y = asarray(rng.integers(0, 11, (5, 7)), name), asarray(rng.integers(0, 2, 5).astype(dtype), name)
    loss = criterion(model(x), y)
    model.backward(criterion.backward())
    gradients = [to_numpy(g) for g in model.named_gradients().values()]
    optimizer.step()
    return [to_numpy(loss), *gradients, *model.state_dict().values()]


def report(wanted: str | None = None) -> tuple[str, int]:
    """Return the report, and the exit status: 0 if everything installed works, and ``wanted`` too."""
    lines, healthy = [], True
    for finding in examine(wanted):
        lines.append(f"{finding.about:<12} {'' if finding.healthy else '✗ '}{finding.text}")
        if finding.advice:
            lines.append(f"{'':<12}   -> {finding.advice}")
        healthy = healthy and finding.healthy
    if healthy:
        return "\n".join([*lines, "Everything that is installed works."]), 0
    return "\n".join([*lines, "Something is wrong: see the lines with ✗."]), 1
