"""Facts travel as data: no code reads a sentence that other code of ours has written.

Every place that looks into a text (regular expressions, startswith, partition, ``in``) is counted, file by file, and each file
says whose text it reads.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import minilstm

ROOT = Path(minilstm.__file__).parent
ROOMS = ("gradients", "student", "exercises", "command_line", "__main__.py", "backend/process.py")
LOOKS = {"startswith", "endswith", "partition", "rpartition", "removeprefix", "removesuffix", "match", "search", "fullmatch",
         "findall", "finditer", "sub"}
NOTATION = "the notation of the derivations in the docstrings of cells/, which are executed"
NAMES = "names in a student's code"
COMMAND = "what a user types"
READ = {        # how many places, and whose text it is
    "__main__.py": (1, COMMAND),
    "backend/process.py": (3, "the interpreter's traceback, and names of files"),
    "command_line/doctor.py": (1, "the driver's version"),
    "command_line/program.py": (1, "a program's docstring, for its help"),
    "command_line/targets.py": (3, COMMAND),
    "exercises/grade.py": (5, "names of files"),
    "exercises/numbers.py": (1, "a line of a right function"),
    "exercises/own_work.py": (4, "names of files"),
    "exercises/results.py": (1, "what a spreadsheet would take for a formula"),
    "exercises/steps.py": (3, "a submission, and the name of its file"),
    "exercises/verdict.py": (1, "a line of a submission"),
    "gradients/diagnosis/derivation.py": (7, NOTATION),
    "gradients/diagnosis/readings.py": (7, NAMES),
    "gradients/diagnosis/repairs.py": (1, "names of files"),
    "gradients/diagnosis/wrong_lines.py": (10, NOTATION),
    "gradients/repair/edits.py": (3, "a student's source"),
    "gradients/repair/program.py": (9, "a student's source, and names of files"),
    "gradients/repair/search.py": (2, "a student's source"),
    "gradients/repair/wanted.py": (1, "names of code objects"),
    "gradients/targets/failures.py": (1, "names of files"),
    "gradients/targets/make.py": (1, NAMES),
    "gradients/targets/names.py": (5, NAMES),
    "gradients/targets/target.py": (2, "the repr of a student's object"),
    "student/arrays.py": (21, NAMES),
    "student/gradcheck.py": (2, f"{COMMAND}, and {NAMES}"),
    "student/load.py": (6, "a student's file"),
}


def looks(tree: ast.AST) -> Iterator[str]:
    """Every look into a text; letters of axes and gates, and keys of JSON, are no texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOOKS:
            yield ast.unparse(node)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            text = node.left.value if isinstance(node.left, ast.Constant) else ""
            if isinstance(text, str) and text not in ("", "error", "cells", "source") and not (
                    len(text) == 1 and text.isalnum()):
                yield ast.unparse(node)


FILES = sorted(file.relative_to(ROOT).as_posix() for room in ROOMS
               for file in ([ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py")))


@pytest.mark.parametrize("file", FILES)
def test_whose_text_is_read_is_known(file: str) -> None:
    found = list(looks(ast.parse((ROOT / file).read_text(encoding="utf-8"))))
    assert len(found) == READ.get(file, (0, ""))[0], found


def test_the_list_has_no_others() -> None:
    assert set(READ) <= set(FILES)
