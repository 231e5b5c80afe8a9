"""The CUDA sources compile for the GPUs they are meant for, and the persistent kernels keep their numbers in registers.

That needs a compiler of NVIDIA's but no GPU. ``pytest -s`` shows what each kernel takes.
"""

from __future__ import annotations

import configparser
import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compilers import ARCHITECTURES, CompilerError, Report, nvcc, nvrtc, with_nvcc, with_nvrtc

from minilstm.kernels.cuda import launch, plan

SOURCES = Path(launch.__file__).parent
FILES = sorted(path.stem for path in SOURCES.glob("*.cu") if path.stem != "common")
SPILL = 32              # bytes that may spill: this costs less than keeping fewer weights in registers
REGISTERS = 65_536      # of a multiprocessor, of all three architectures
MACROS: dict[str, dict[str, Any]] = {"embedding": {"TOKEN": "int"}}

Compile = Callable[[str, tuple[str, ...], str], dict[str, Report]]


@pytest.fixture(params=["nvrtc", "nvcc"])
def compile_with(request: pytest.FixtureRequest) -> Compile:
    if request.param == "nvrtc":
        if nvrtc() is None:
            pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12)")
        return with_nvrtc
    if nvcc() is None:
        pytest.skip("nvcc is not installed")
    return with_nvcc


def persistent(cell: str, H: int, rows: int, dtype: Any, architecture: str, compile_with: Compile) -> dict[str, Report]:
    """Compile a cell's persistent kernels; assert that they spill next to nothing and that a block fits."""
    options = launch.options(np.dtype(dtype), plan.defines(cell, H, rows, dtype))
    reports = compile_with(launch.source(cell), options, architecture)
    assert set(reports) == {f"{cell}_forward", f"{cell}_backward"}
    for name, (registers, spilled) in reports.items():
        print(f"{name} {np.dtype(dtype)} H={H} rows={rows} sm_{architecture}: {registers} registers, {spilled} bytes spilled")
        assert spilled <= SPILL, f"{name} of H={H} with {rows} rows spills {spilled} bytes on sm_{architecture}"
        assert registers * plan.GATES[cell] * H <= REGISTERS
    return reports


@pytest.mark.parametrize("cell", plan.GATES)
def test_the_largest_persistent_kernels_do_not_spill(cell: str, compile_with: Compile) -> None:
    few = compile_with is with_nvcc         # which takes seconds
    for architecture in ARCHITECTURES[:1] if few else ARCHITECTURES:
        for rows in plan.ROWS[:1] if few else (plan.ROWS[0], plan.ROWS[-1]):
            persistent(cell, plan.LARGEST, rows, np.float32, architecture, compile_with)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", plan.GATES)
def test_no_persistent_kernel_spills(cell: str, dtype: Any) -> None:
    if nvrtc() is None:
        pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12)")
    for architecture in ARCHITECTURES:
        for H in range(32, plan.LARGEST + 1, 32):
            for rows in plan.ROWS:
                if plan.rows_for(rows, 1, dtype) == rows:
                    persistent(cell, H, rows, dtype, architecture, with_nvrtc)


@pytest.mark.parametrize("file", FILES)
def test_every_source_compiles(file: str, compile_with: Compile) -> None:
    few = compile_with is with_nvcc
    for architecture in ARCHITECTURES[:1] if few else ARCHITECTURES:
        for dtype in (np.float32,) if few else (np.float32, np.float64):
            options = launch.options(np.dtype(dtype), MACROS.get(file, {}))
            assert all(spilled <= SPILL for _, spilled in compile_with(launch.source(file), options, architecture).values())


def test_what_does_not_compile_is_an_error(compile_with: Compile) -> None:
    with pytest.raises(CompilerError, match="nonsense"):
        compile_with(launch.source("layout") + "\nextern \"C\" __global__ void f() { nonsense(); }", ("-DREAL=float",), "75")


def test_larger_sizes_would_spill() -> None:
    if nvrtc() is None:
        pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12)")
    options = launch.options(np.dtype(np.float32), plan.defines("lstm", plan.LARGEST + 32, 1, np.float32))
    reports = with_nvrtc(launch.source("lstm"), options, "75")
    assert max(spilled for _, spilled in reports.values()) > SPILL


def test_sources_are_package_data() -> None:
    setup = Path(__file__).parents[2] / "setup.cfg"
    if not setup.exists():
        pytest.skip("there is no setup.cfg beside the tests")
    config = configparser.ConfigParser()
    config.read(setup, encoding="utf-8")
    patterns = config["options.package_data"]["minilstm"].split()
    for path in SOURCES.glob("*.cu"):
        name = path.relative_to(SOURCES.parents[1]).as_posix()
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), f"{name} would not be installed"
