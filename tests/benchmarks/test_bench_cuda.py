"""benchmarks/bench_cuda.py checks before it times, runs to its end, and says in one line where there is no GPU. No times."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minilstm as ml

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "benchmarks" / "bench_cuda.py"
STANDIN = ROOT / "tests" / "cuda" / "standin"
SMALL = ["--batch-size", "4", "--length", "5", "--num-words", "30", "--embedding-size", "4", "--hidden-size", "32",
         "--reviews", "12", "--steps", "2", "--turns", "2", "--no-progress", "--no-torch"]
emulated = pytest.mark.skipif(shutil.which("g++") is None, reason="kernels are emulated with g++, which is not installed")


def run(*words: str, before: str = "", path: tuple[Path, ...] = ()) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))), "OPENBLAS_NUM_THREADS": "1"}
    program = [str(PROGRAM)] if not before else \
        ["-c", f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import bench_cuda, minilstm as ml; {before}; "
               "sys.exit(bench_cuda.main(sys.argv[1:]))"]
    done = subprocess.run([sys.executable, *program, *words], env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


@emulated
def test_on_the_standin_it_checks_times_and_counts() -> None:
    status, out, err = run(*SMALL, path=(STANDIN, STANDIN.parent))
    assert (status, err) == (0, "")
    assert re.search(r"3 steps differ from NumPy's by \S+ \(fused\), \S+ \(persistent\)", out)
    for name in ("NumPy", "CuPy fused", "CuPy persistent"):
        assert re.search(rf"^{name} +[\d.]+ ms +[\d.]+ ms .* s.* [\d.]+$", out, re.MULTILINE), out
    assert re.search(r"^fused: 4T \+ \d+ device calls, 1 waits, 1 upload a step", out, re.MULTILINE)
    assert re.search(r"^persistent: \d+ device calls, 1 waits, 1 upload a step", out, re.MULTILINE)
    assert "no comparison with cuDNN" in out


@emulated
def test_wrong_numbers_are_not_timed() -> None:
    wrong = "from minilstm import kernels as a; right = a.adam_on_device; " \
            "a.adam_on_device = lambda *arrays, rate, **k: right(*arrays, rate=rate * 1.5, **k)"
    status, out, err = run(*SMALL, before=wrong, path=(STANDIN, STANDIN.parent))
    assert status == 1 and err.count("\n") == 1 and "nothing was timed" in err and "epoch of" not in out


def test_without_a_gpu_it_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "cupy.py").write_text("raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')", encoding="utf-8")
    status, out, err = run(*SMALL, path=(tmp_path,))
    assert (status, out) == (2, "") and err.count("\n") == 1 and err.startswith("bench_cuda: error: ") and "pip install" in err


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(PROGRAM.parent), *sys.path])
    return importlib.import_module("bench_cuda")


@pytest.mark.parametrize("words", [["--steps", "0"], ["--cell", "lstmm"], ["--num-words", "2"], ["--turns", "x"]])
def test_arguments_that_make_no_sense(bench: Any, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        bench.main(words)
    assert caught.value.code == 2 and words[0] in capsys.readouterr().err


def test_the_report_says_ratios_and_what_is_missing(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    a = bench.parse_arguments(["--reviews", "6400"])
    found = {"NumPy": bench.Figures(0.1, 0.1, None), "CuPy persistent": bench.Figures(0.002, 0.001, 0.25),
             "PyTorch 9": bench.Figures(0.004, 0.001, 0.5)}
    bench.report(a, found, {})
    out = capsys.readouterr().out
    assert "10.0 s (steps)" in out and re.search(r"CuPy persistent +2.00 ms +1.00 ms +0.25 s +50.0", out)
    assert "persistent / PyTorch 9: 0.50" in out and "were not counted" in out


def test_reviews_look_like_reviews(bench: Any) -> None:
    a = bench.parse_arguments(["--num-words", "50", "--length", "40"])
    x, y = bench.make_reviews(a, 300)
    assert x.shape == (300, 40) and x.min() == 0 and x.max() == 49 and set(y.tolist()) == {0, 1}
    assert ((x[:, :-1] == 0) | (x[:, 1:] != 0)).all() and (x[:, -1] > 0).all()      # all padding is in front
    assert (x == 1).sum() > (x == 2).sum() > (x == 9).sum()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_same_in_pytorch_learns(bench: Any, cell: str) -> None:
    torch = pytest.importorskip("torch", reason="the bench extra is not installed")
    a = bench.parse_arguments(["--num-words", "20", "--length", "6", "--cell", cell, "--batch-size", "16"])
    x, _ = bench.make_reviews(a, 64)
    name, steps, epoch = bench.torch_way(a, x, (x[:, -1] % 2).astype("float32"), device="cpu")
    steps(9)
    epoch()
    assert torch.__version__ in name


def test_kernels_are_put_back(bench: Any) -> None:
    from minilstm.kernels.cuda import plan
    before = plan.fits
    with bench.kernels("fused"):
        assert not plan.fits("lstm", 32, "float32")
    assert plan.fits is before and plan.fits("lstm", 32, "float32")
    assert ml.__version__
