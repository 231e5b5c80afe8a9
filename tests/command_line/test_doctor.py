"""``python -m minilstm doctor``, and how a missing or broken GPU is reported: one line, status 2, at once.

The installation is faked by a folder at the front of the path. It contains a ``cupy`` that is missing, broken or without a
driver, and the metadata of the wheels.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minilstm as ml
from minilstm.__main__ import main
from minilstm.backend import arrays as backend
from minilstm.command_line import doctor

ROOT = Path(__file__).parents[2]
NO_DRIVER = """
import warnings
if {wheels} > 1:
    warnings.warn("\\n----\\nmultiple CuPy packages are installed\\n----\\n")
__version__ = "14.2.0"
class cuda:
    is_available = staticmethod(lambda: False)
"""
CASES = {       # what stands for cupy, the wheels, words of the one line, whether the doctor calls it ill
    "no CuPy": ("raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')", [], "not installed", False),
    "no driver": (NO_DRIVER, ["cupy-cuda12x"], "no CUDA driver or GPU", False),
    "two wheels": (NO_DRIVER, ["cupy-cuda12x", "cupy_cuda13x"], "pip uninstall -y cupy-cuda12x cupy-cuda13x", True),
    "half a wheel": ("import cupy_backends_that_is_not_there", ["cupy-cuda12x"], "cannot be imported", True),
    "a library is missing": ("raise OSError('libcudart.so.12: cannot open it')", ["cupy-cuda12x"], "libcudart", True),
    "another cupy": ("", [], "working NVIDIA GPU", False),
}


@pytest.fixture(params=CASES)
def pretended(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, str], str, bool]:
    """The environment of a process with a pretended CuPy; the words that it should say; whether that is an illness."""
    text, wheels, words, ill = CASES[request.param]
    (tmp_path / "cupy.py").write_text(text.replace("{wheels}", str(len(wheels))), encoding="utf-8")
    for wheel in wheels:
        folder = tmp_path / f"{wheel.replace('-', '_')}-14.2.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {wheel}\nVersion: 14.2.0\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "PATH": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}, words, ill


def run(environment: dict[str, str], *words: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=60, cwd=ROOT)
    return done.returncode, done.stdout, done.stderr


def test_the_example_without_a_usable_gpu_says_so_in_one_line(pretended: Any) -> None:
    environment, words, _ = pretended
    status, out, err = run(environment, "examples/imdb_lstm.py", "--backend", "cupy")
    assert (status, out) == (2, "") and err.count("\n") == 1, err
    assert err.startswith("imdb_lstm.py: error: ") and words in err and "pip install" in err


def test_the_doctor_says_what_is_missing_and_whether_that_is_an_illness(pretended: Any) -> None:
    environment, words, ill = pretended
    status, out, err = run(environment, "-m", "minilstm", "doctor")
    assert err == "" and status == int(ill) and len(out.splitlines()) <= 15
    assert all(len(line) <= 200 for line in out.splitlines())
    assert ("Something is wrong" if ill else "Everything that is installed works.") in out
    if ill:
        assert words in out and 'pip install "cupy-cuda12x[ctk]"' in out
    if not ill:         # healthy, but not if it has to have a GPU
        status, out, err = run(environment, "-m", "minilstm", "doctor", "--backend", "cupy")
        assert status == 1 and "pip install" in out and err == ""


def test_nothing_is_wrong_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) in (0, 1)
    out = capsys.readouterr().out
    for word in ("minilstm", "Python", "NumPy", "BLAS", "threads", "self-test  gradients right", "driver", "CuPy"):
        assert word in out
    assert main(["doctor", "--backend", "numpy"]) in (0, 1)


def smi(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for nvidia-smi")
@pytest.mark.parametrize(("text", "expected"), [
    ("echo '580.65.06, Tesla T4, 15360 MiB'; echo '580.65.06, Tesla T4, 15360 MiB'",
     ("580.65.06", ["Tesla T4 (15360 MiB)"] * 2)),
    ("echo 'NVIDIA-SMI has failed'; exit 9", None), ("echo no commas here", None)])
def test_the_driver_is_asked_without_cupy(text: str, expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, text, monkeypatch)
    assert doctor.find_driver() == (None if expected is None else doctor.Driver(*expected))


@pytest.mark.parametrize(("version", "wheel"), [
    ("580.65.06", "cupy-cuda13x"), ("610.1", "cupy-cuda13x"), ("535.1", "cupy-cuda12x"), ("of unknown", "cupy-cuda12x"),
    (None, "cupy-cuda12x")])
def test_the_wheel_fits_the_driver(version: str | None, wheel: str) -> None:
    assert doctor.pip_line(None if version is None else doctor.Driver(version, [])) == f'pip install "{wheel}[ctk]"'


def test_a_gpu_that_cupy_cannot_use_is_an_illness(monkeypatch: pytest.MonkeyPatch) -> None:
    require = backend.require

    def refuse(name: str) -> Any:
        if name == "numpy":
            return require(name)
        raise ml.BackendError("the cupy backend needs a GPU: cudaErrorX", "CuPy must match ...")
    monkeypatch.setattr(backend, "require", refuse)
    monkeypatch.setattr(backend, "cupy_wheels", lambda: ["cupy-cuda12x"])
    monkeypatch.setattr(doctor, "find_driver", lambda: doctor.Driver("580.1", ["Tesla T4 (15360 MiB)"]))
    text, status = doctor.report()
    assert status == 1 and "cudaErrorX" in text and 'pip uninstall -y cupy-cuda12x; pip install "cupy-cuda13x[ctk]"' in text
    assert "must match" not in text and "Tesla T4" in text


def test_wrong_gradients_are_an_illness(monkeypatch: pytest.MonkeyPatch) -> None:
    backward = ml.Linear.backward
    monkeypatch.setattr(ml.Linear, "backward", lambda self, dy: 2 * backward(self, dy))
    text, status = doctor.report()
    assert status == 1 and "WRONG GRADIENTS" in text and "✗" in text


def test_a_second_wheel_beside_a_working_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cupy_wheels", lambda: ["cupy-cuda12x", "cupy-cuda13x"])
    require = backend.require
    monkeypatch.setattr(backend, "require", lambda name: type("cupy", (), {"__version__": "14.2.0"}) if name == "cupy" else
                        require(name))
    monkeypatch.setattr(doctor, "gpu_words", lambda cupy: "a GPU")
    for part in ("self_test", "examine_kernels"):
        monkeypatch.setattr(doctor, part, lambda *name: doctor.Finding("  self-test", "fine"))
    text, status = doctor.report()
    assert status == 1 and "pip uninstall -y cupy-cuda12x cupy-cuda13x" in text
