"""The source distribution holds what a teacher needs: it is built, unpacked, and tests run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "runs", "*.csv", "*.ckpt")


@pytest.mark.slow
def test_the_source_distribution_is_complete(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="builds with setuptools")
    shutil.copytree(ROOT, tmp_path / "clone", ignore=LEFT_OUT)
    shutil.copytree(ROOT / ".github", tmp_path / "clone" / ".github")
    build = "from setuptools.build_meta import build_sdist; build_sdist('..')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path / "clone", check=True, capture_output=True, timeout=120)
    archive, = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    folder, = (tmp_path / "unpacked").iterdir()
    for name in ("README.md", "CHANGELOG.md", "CITATION.cff", ".github/CONTRIBUTING.md", "minilstm/py.typed",
                 "minilstm/kernels/cuda/lstm.cu", "minilstm/lab/templates/report.html", "examples/imdb_lstm.py",
                 "tests/mutants.py", "tests/cuda/manifest.json", "tests/cuda/emulator.h"):
        assert (folder / name).is_file(), name
    kept = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py")}
    assert kept <= {path.relative_to(folder) for path in (folder / "tests").rglob("*.py")}
    tests = ["tests/test_readme.py", "tests/test_architecture.py"]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], cwd=folder,
                          env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
