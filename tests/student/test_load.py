"""Reading a student's file or notebook."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import minilstm as ml
from minilstm.student.load import load

CELLS = [
    "%matplotlib inline\n!pip install minilstm\nimport numpy as np\nfrom no_such_package import drive",
    "%%bash\necho 'no Python'",
    "H = 5\nfiles = !ls\nz = np.zeros(H)\nmodel = train(100)\nraise ValueError('training cells do not run')",
    "def double(x):\n    %time\n    return 2 * x\n\nprint(double(H))",
    "%%time\nclass Cell:\n    def forward(self, x):\n        return undefined(x)"]


ODD = ["""np.tanh?
?len
!pip install \\
    minilstm
a, b = %time 1, 2
try:
    import cupy as np
except ImportError:
    import numpy as np
class Config:
    size = 5
config = Config()
if True:
    def f(x):
        return np.ones(x)"""]


def notebook(path: Path, cells: list[str]) -> Path:
    kinds = [{"cell_type": "markdown", "source": ["# Title"]}, *[{"cell_type": "code", "source": cell.splitlines(True)}
                                                                 for cell in cells]]
    path.write_text(json.dumps({"cells": kinds, "nbformat": 4}), encoding="utf-8")
    return path


def test_a_notebook_gives_its_definitions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load(notebook(tmp_path / "work.ipynb", CELLS))
    assert module.double(3) == 6 and module.H == 5 and module.z.shape == (5,)
    assert not hasattr(module, "files") and not hasattr(module, "model") and capsys.readouterr().out == ""
    with pytest.raises(NameError, match="undefined"):
        module.Cell().forward(1)


def test_what_else_stands_in_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)          # not installed, whatever other tests have put there
    module = load(notebook(tmp_path / "odd.ipynb", ODD))
    assert module.config.size == 5 and module.f(2).tolist() == [1, 1]
    cells = [{"cell_type": "code", "input": ["y = 2"]}]
    (tmp_path / "old.ipynb").write_text(json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}), encoding="utf-8")
    assert load(tmp_path / "old.ipynb").y == 2
    assert load(notebook(tmp_path / "named.py", ["%%writefile rnn.py\ny = 3", "%%html\n<p>", "%%writefile a.csv\n1 2"])).y == 3


def test_a_file_says_in_which_encoding_it_is(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_bytes("# -*- coding: latin-1 -*-\nname = 'Größe'".encode("latin-1"))
    assert load(tmp_path / "old.py").name == "Größe"


@pytest.mark.parametrize(("name", "text", "words"), [
    ("a.py", "import no_such_package", r"a\.py: cannot be imported: ModuleNotFoundError.*line 1: import no_such_package"),
    ("a.py", "x = (1", r"a\.py, line 1: x = \(1: SyntaxError"), ("a.py", "1 / 0", r"ZeroDivisionError.*line 1: 1 / 0"),
    ("a.py", "raise SystemExit(0)", "SystemExit: 0"), ("a.txt", "", r"expected a Python file \(\.py\) or a notebook"),
    ("a.ipynb", "{}", "not a notebook: it has no cells"),
    ("a.ipynb", '{"cells": [', "not a notebook: JSON ends at character 11"),
    ("a.ipynb", '{"cells": ["abc', "JSON ends at character 15"),
    ("a.ipynb", "import numpy", "JSON is broken at character 0"), ("a.py", "x = 1\0", "null bytes")])
def test_what_cannot_be_read_is_one_sentence(name: str, text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ml.ArgumentError, match=words):
        load(path)


def test_a_cell_and_its_line_are_named(tmp_path: Path) -> None:
    with pytest.raises(ml.ArgumentError, match=r"work\.ipynb, cell 2, line 2: +return \(x: SyntaxError"):
        load(notebook(tmp_path / "work.ipynb", ["x = 1", "def f(x):\n    return (x"]))


SALVAGED = '''"""A text
over lines."""
from __future__ import annotations
import no_such_package

def double(x: Unknown):
    return 2 * x

print 'scratch'
def half(x):
    return (x +

if True:
    one = 1
else:
    one = 2
1 / 0
three = 3
'''


@pytest.mark.parametrize("name", ["a.py", "a.ipynb"])
def test_what_fails_is_named_and_costs_nothing_else(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    problems: list[str] = []
    path.write_text(SALVAGED, encoding="utf-8")
    if name == "a.ipynb":
        notebook(path, [SALVAGED])
    module = load(path, problems)
    assert module.double(2) == 4 and module.one == 1 and module.three == 3 and not hasattr(module, "half")
    named = ["line 9: print 'scratch'", "line 11: return (x +", "no_such_package", *["ZeroDivisionError"] * (name == "a.py")]
    assert len(problems) == len(named) and all(words in problem for words, problem in zip(named, problems))


def test_definitions_alone(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def one():\n    return 1\nwhile True: pass", encoding="utf-8")
    assert load(tmp_path / "a.py", [], definitions=True).one() == 1


@pytest.mark.parametrize("line", ["from kit.act import twice", "from .act import twice"])
@pytest.mark.parametrize("init", [True, False])
def test_a_module_imports_from_the_projects_root(line: str, init: bool, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    if line.startswith("from .") and not init:
        return      # no package without __init__.py
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "kit").mkdir()
    for name, text in {"act": "twice = 2", "cell": line, **({"__init__": ""} if init else {})}.items():
        Path("kit", f"{name}.py").write_text(text, encoding="utf-8")
    try:
        assert load(Path("kit/cell.py")).twice == 2
    finally:
        for name in ("kit", "kit.act", "act", "cell"):
            sys.modules.pop(name, None)
