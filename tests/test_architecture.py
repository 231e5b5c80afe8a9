"""The architecture: which package may import which, no circular imports, no import that this test cannot see; and how much
of the core one training step goes through."""

from __future__ import annotations

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import minilstm
import minilstm as ml
from minilstm.layers.tree import Tree

ROOT = Path(minilstm.__file__).parent
BELOW_GRADIENTS = {"backend", "cells", "kernels", "losses", "layers"}
GRADIENTS = {"gradients", "gradients/targets", "gradients/check", "gradients/repair", "gradients/diagnosis",
             "gradients/instruments"}
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
    "gradients/repair": {"gradients/check", "gradients/targets", "backend"},
    "gradients/diagnosis": {"gradients/repair", "gradients/check", "gradients/targets", "cells", "backend"},
    "gradients": {"gradients/diagnosis", "gradients/repair", "gradients/check", "gradients/targets", "backend"},
    "student": {*GRADIENTS, "backend"},
    "exercises": {"student", *GRADIENTS, "cells", "backend"},
    "training": BELOW_TRAINING,
    "lab": {*BELOW_TRAINING, "training"}, "command_line": {*BELOW_TRAINING, *GRADING, "training"},
    "__main__": {*BELOW_TRAINING, *GRADING, "training", "command_line"},
    "__init__": set(),          # the public interface: it imports names when they are first used; no file imports it
}
HEAVY = {"IPython", "cupy", "h5py", "jinja2", "joblib", "keras", "llvmlite", "matplotlib", "numba", "pandas", "safetensors",
         "threadpoolctl", "torch", "tqdm", "distributed",
         "resource", "subprocess"}      # a Python in a browser, or on Windows, lacks these two


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


# The core, that is to be read in an evening
# ------------------------------------------------------------------------------------------------------------------------------

CORE = {"cells", "layers", "losses", "optim"}
CORE_FILES = [file for file in FILES if room_of(file) in CORE]
BESIDE_CORE = [ROOT / name for name in ("backend/passes.py", "training/trainer.py", "training/run.py", "training/state.py")]
LONGEST = {"cells/lstm.py": 250, "cells/gru.py": 250, "layers/module.py": 190, "layers/sequential.py": 110}


@pytest.mark.parametrize("file", CORE_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_of_the_core_is_one_idea(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST.get(str(file.relative_to(ROOT)), 200)


@pytest.mark.parametrize("file", [*CORE_FILES, *BESIDE_CORE], ids=lambda file: str(file.relative_to(ROOT)))
def test_a_line_of_the_core_is_one_thought(file: Path) -> None:
    wide = [k for k, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if len(line) > 110]
    assert not wide


class Traffic:
    """For ``sys.setprofile``: counts calls in the package, those from one file to another, and walks over a model's tree."""

    WALKS = {Tree.modules.__code__, ml.Sequential._leaves.__code__}

    def __init__(self, model: ml.Module) -> None:
        self.model, self.files = model, set[str]()
        self.calls = self.crossings = self.walks = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        file, caller = frame.f_code.co_filename, frame.f_back
        if event != "call" or not file.startswith(str(ROOT)):
            return
        while caller is not None and not caller.f_code.co_filename.startswith(str(ROOT)):
            caller = caller.f_back
        self.files.add(file)
        self.calls += 1
        self.crossings += caller is not None and caller.f_code.co_filename != file
        self.walks += frame.f_code in self.WALKS and frame.f_locals["self"] is self.model


class Watched(ml.Trainer):
    """Keeps the traffic of its last step."""

    def train_step(self, *batch: Any) -> tuple[float, float]:
        self.traffic, before = Traffic(self.model), sys.getprofile()
        sys.setprofile(self.traffic)
        try:
            return super().train_step(*batch)
        finally:
            sys.setprofile(before)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "readable"])
def test_a_training_step_can_be_followed(fast: bool) -> None:
    """What a reader who follows one step has to go through; the third step, which has no first-time work."""
    model = ml.Sequential(ml.Embedding(20, 8, rng=0), ml.LSTM(8, 8, return_sequences=False, rng=1), ml.Dropout(0.2, rng=2),
                          ml.Linear(8, 1, rng=3), ml.Sigmoid())
    model.fast = fast
    rng = np.random.default_rng(0)
    loader = ml.DataLoader(rng.integers(1, 20, (12, 6)), rng.integers(0, 2, 12).astype(np.float32), batch_size=4)
    trainer = Watched(model, ml.BCELoss(), ml.Adam(model), progress=False, verbose=False)
    trainer.fit(loader, epochs=1)
    traffic = trainer.traffic
    assert len(traffic.files) <= 30
    assert traffic.crossings <= 290
    assert traffic.calls <= 950
    assert traffic.walks <= 3
