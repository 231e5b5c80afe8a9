"""The notebooks of examples/notebooks/, run from the first cell to the last."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import minilstm as ml

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_five() -> None:
    assert [path.name[0] for path in NOTEBOOKS] == list("12345")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_small_and_what_it_takes_from_the_library_is_there(path: Path) -> None:
    assert path.stat().st_size <= 300_000
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for line in re.findall(r"^(?:import|from) minilstm.*", code, re.M):
        exec(line, {})
    assert set(re.findall(r"\bml\.(\w+)", code)) <= set(dir(ml))


@pytest.mark.notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_without_a_warning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to standard error, warnings among it, is an error here."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("matplotlib.font_manager")          # which builds its list of fonts, and says so, once
    monkeypatch.delenv("MINILSTM_NOTEBOOK", raising=False)
    monkeypatch.setenv("PYTHONWARNINGS", "default")         # not "error": the kernel's own code has warnings
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(FOLDER)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    said = [output.text for cell in notebook.cells for output in cell.get("outputs", ()) if output.get("name") == "stderr"]
    assert not said
