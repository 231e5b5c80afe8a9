"""Of no single file: hostile ones, one line each, no code run, little memory, and the model as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_weights import EVERY, EVIDENCE, npz, pt, tensors
from refusals import refuses

import minilstm as ml

ROOT = Path(__file__).parents[3]
MEMORY = """
import sys
import numpy as np
import minilstm as ml
from hostile_weights import EVERY, npz
from pathlib import Path
path, model = Path(sys.argv[1]) / "file", ml.Linear(3, 2)
status = lambda name: int(Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0])
path.write_bytes(npz(weight=np.ones((2, 3), "<f4"), bias=np.ones(2, "<f4")))
ml.load_weights(path, model)
for name, (make, _) in EVERY.items():
    path.write_bytes(data := make())
    size = len(data)
    del data
    open("/proc/self/clear_refs", "w").write("5")       # the peak starts again from here
    before = status("VmRSS")
    try:
        ml.load_weights(path, model)
    except ml.CheckpointError:
        pass
    print((status("VmHWM") - before) * 1024 - size, name)
"""


@pytest.mark.parametrize(
    "good", [pt(), npz(weight=np.ones((2, 3)), bias=np.ones(2)), tensors()], ids=["pt", "npz", "safetensors"]
)
def test_without_the_damage_they_load(good: bytes, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.id == "safetensors":
        pytest.importorskip("safetensors", reason="the weights extra is not installed")
    (tmp_path / "file").write_bytes(good)
    ml.load_weights(tmp_path / "file", ml.Linear(3, 2))


@pytest.mark.parametrize("name", EVERY)
def test_refused_in_one_line(name: str, tmp_path: Path) -> None:
    if name.startswith("safetensors"):
        pytest.importorskip("safetensors", reason="the weights extra is not installed")
    make, word = EVERY[name]
    model = (
        ml.Sequential(ml.Linear(3, 2, rng=0), ml.Linear(3, 2, rng=1))
        if "order" in name
        else ml.Linear(3, 2, rng=0)
    )
    (tmp_path / "file").write_bytes(make())
    refuses(
        ml.CheckpointError,
        lambda: ml.load_weights(tmp_path / "file", model),
        f"{tmp_path / 'file'}: ",
        word,
        unchanged=model,
    )
    assert not EVIDENCE.exists()


@pytest.mark.reliability
def test_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": "/usr/bin"},
    )
    assert done.returncode == 0, done.stderr
    figures = [(int(line.split()[0]), line) for line in done.stdout.splitlines() if line[:1] in "-0123456789"]
    assert len(figures) == len(EVERY) and max(figures)[0] <= 64 << 20, max(figures)
    most, line = max(figures)
    print(f"\nmost memory over the file's size: {most / (1 << 20):.0f} MiB, {line.split(' ', 1)[1]}")


def test_places_that_are_no_files(tmp_path: Path) -> None:
    model = ml.Linear(3, 2, rng=0)
    refuses(ml.CheckpointError, lambda: ml.load_weights(tmp_path, model), "is not a file", unchanged=model)
    refuses(
        ml.CheckpointError,
        lambda: ml.load_weights(tmp_path / "none", model),
        "does not exist, or is not a file",
        unchanged=model,
    )
    number: Any = 3
    refuses(ml.DtypeError, lambda: ml.load_weights(number, model), "expected a path", unchanged=model)
