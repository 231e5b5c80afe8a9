"""Of no single file: the page's arithmetic, run by Node, against minilstm's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import page_cases
import pytest

from minilstm.lab.explorer import write_page

HERE = Path(__file__).parent


def test_javascript_computes_what_minilstm_computes(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("the explorer's arithmetic is not tested: there is no node on PATH")
    models = {"three": [page_cases.shown(cell) for cell in page_cases.LAYERS],
              "mask": [page_cases.shown("lstm", mask=True, dtype=np.float64)],
              "post": [page_cases.shown("gru", padding="post")]}
    pages = [tmp_path / f"{name}.html" for name in models]
    for path, shown in zip(pages, models.values()):
        write_page(shown, path, words=5)
    page_cases.write_cases(tmp_path / "cases.json", pages, models["mask"][0])
    done = subprocess.run([node, "--test", str(HERE / "numbers.test.mjs")], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "CASES": str(tmp_path / "cases.json")})
    print(done.stdout)
    assert done.returncode == 0, done.stdout
