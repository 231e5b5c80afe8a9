"""The architecture: which package may import which, no circular imports, and no import that this test cannot see."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import minilstm

ROOT = Path(minilstm.__file__).parent
BELOW_GRADIENTS = {"backend", "cells", "kernels", "losses", "layers"}
GRADIENTS = {"gradients", "gradients/targets", "gradients/check", "gradients/diagnosis", "gradients/instruments"}
BELOW_TRAINING = {*BELOW_GRADIENTS, *GRADIENTS, "data", "optim"}
GRADING = {"student", "exercises"}
# A room, or a floor of gradients/, and what its files may import.
MAY_IMPORT: dict[str, set[str]] = {
    "backend": set(),
    "cells": {"backend"}, "data": {"backend"},
    "kernels": {"cells", "backend"}, "losses": {"cells", "backend"},
    "layers": {"kernels", "cells", "backend"},
    "optim": {"layers", "kernels", "backend"},
    "gradients/targets": {"layers", "backend"}, "gradients/instruments": {"layers", "losses", "cells", "backend"},
    "gradients/check": {"gradients/targets", "backend"},
    "gradients/diagnosis": {"gradients/check", "gradients/targets", "cells", "backend"},
    "gradients": {"gradients/diagnosis", "gradients/check", "gradients/targets", "backend"},
    "student": {*GRADIENTS, "backend"},
    "exercises": {"student", *GRADIENTS, "cells", "backend"},
    "training": BELOW_TRAINING,
    "lab": {*BELOW_TRAINING, "training"}, "command_line": {*BELOW_TRAINING, *GRADING, "training"},
    "__main__": {*BELOW_TRAINING, *GRADING, "training", "command_line"},
    "__init__": set(),          # the public interface: it imports names when they are first used; no file imports it
}
HEAVY = {"IPython", "cupy", "jinja2", "joblib", "llvmlite", "matplotlib", "numba", "pandas", "threadpoolctl", "tqdm",
         "distributed", "resource", "subprocess"}      # the last two: a Python in a browser, or on Windows, lacks them


def imports(tree: ast.AST) -> list[tuple[ast.stmt, str]]:
    """Every import in a file, those for the type checker alone and those inside functions too: (where, full name)."""
    found: list[tuple[ast.stmt, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found += [(node, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def file_of(name: str) -> Path | None:
    """The file of minilstm that an imported name comes from; None where it comes from elsewhere."""
    first, *parts = name.split(".")
    if first != "minilstm":
        return None
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        if path.with_suffix(".py").exists():
            return path.with_suffix(".py")
        if (path / "__init__.py").exists():
            return path / "__init__.py"
    return ROOT / "__init__.py"


def room_of(file: Path) -> str:
    """The room that a file stands in; of gradients/, whose floors are rooms, the floor."""
    room, *rest = file.relative_to(ROOT).with_suffix("").parts
    return f"{room}/{rest[0]}" if room == "gradients" and len(rest) > 1 else room


FILES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(ROOT.rglob("*.py"))}


def test_every_file_stands_in_a_room() -> None:
    assert {room_of(file) for file in FILES} == set(MAY_IMPORT)


def test_imports_only_go_down() -> None:
    wrong = []
    for file, tree in FILES.items():
        for node, name in imports(tree):
            target = file_of(name)
            if target is not None and room_of(target) not in {room_of(file), *MAY_IMPORT[room_of(file)]}:
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} imports {name}")
    assert not wrong


def test_no_circle() -> None:
    """Files that import each other in a circle raise CycleError here, which names them."""
    graph = {file: {target for _, name in imports(tree) if (target := file_of(name)) is not None and target != file}
             for file, tree in FILES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


def test_imports_inside_functions_only_delay_what_is_heavy() -> None:
    """The loader of compiled code is among them: it imports llvmlite."""
    allowed = {"minilstm.kernels.compiled.library.load"}
    for file, tree in FILES.items():
        inside = [node for function in ast.walk(tree) if isinstance(function, (ast.FunctionDef, ast.Lambda))
                  for node in ast.walk(function)]
        for node, name in imports(tree):
            if node in inside and name not in allowed:
                assert name.partition(".")[0] in HEAVY, f"{file.relative_to(ROOT)}:{node.lineno} imports {name} in a function"


def test_no_computed_imports() -> None:
    for file, tree in FILES.items():
        for node in ast.walk(tree):
            called = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2]
            if called in ("import_module", "__import__") and room_of(file) != "__init__":
                assert isinstance(node, ast.Call) and isinstance(node.args[0], ast.Constant), f"{file}:{node.lineno}"


def test_no_module_is_named_in_a_string() -> None:
    """A name such as "minilstm.cells.lstm" would be an import that no test here sees."""
    for file, tree in FILES.items():
        named = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
                 and re.fullmatch(r"minilstm(\.\w+)+", node.value) and file_of(node.value) != ROOT / "__init__.py"]
        assert not named, file


TESTS = Path(__file__).parent
# Rooms of tests that are about no single room of the package, and say so in their conftest or README.
OF_NO_ROOM = {"benchmarks", "cuda", "examples", "reliability"}
WHY_NOT = "Of no single file: "


def test_a_test_stands_where_its_file_stands() -> None:
    """tests/cells/test_lstm.py is about cells/lstm.py; the first line of any other begins with ``WHY_NOT``."""
    for test in sorted(TESTS.rglob("test_*.py")):
        place = test.relative_to(TESTS)
        if len(place.parts) > 1 and place.parts[0] not in OF_NO_ROOM:
            name = place.stem.removeprefix("test_")
            about = ROOT / place.parent / f"{name}.py"
            beside = about.exists() or (ROOT / place.parent / name).is_dir() or (ROOT / f"__{name}__.py").exists()
            doc = ast.get_docstring(ast.parse(test.read_text(encoding="utf-8"))) or ""
            assert beside != doc.startswith(WHY_NOT), place
