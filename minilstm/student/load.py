"""A student's file: a Python file, or a notebook whose functions and classes are wanted.

A Python file is executed as ``import`` would. Of a notebook only the definitions are: imports, functions,
classes and assignments that call nothing but imported libraries and the notebook's classes. What trains,
prints or plots is left out, as are magics (%) and shell commands (!). Messages name the cell and the line in
it.
"""

from __future__ import annotations

import ast
import builtins
import json
import linecache
import os
import re
import sys
import tokenize
import types
from pathlib import Path

from minilstm.backend.errors import ArgumentError
from minilstm.gradients.targets.failures import at_line

CELLS: dict[str, int] = {}      # numbers of notebooks' cells, by the names under which they are compiled
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def load(file: Path) -> types.ModuleType:
    """Return what a file (.py, or .ipynb) defines, as a module.

    Raises ArgumentError, with the student's line, for a file that does not exist, cannot be read or cannot be
    imported.
    """
    if not file.is_file():
        raise ArgumentError(f"{file}: there is no such file")
    if file.suffix not in (".py", ".ipynb"):
        raise ArgumentError(f"{file}: expected a Python file (.py) or a notebook (.ipynb)")
    try:
        if file.suffix == ".py":
            with tokenize.open(file) as source:     # heeds a line such as # -*- coding: latin-1 -*-
                text = source.read()
        else:
            text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise ArgumentError(f"{file}: cannot be read: {error}") from error
    module = types.ModuleType(file.stem)
    module.__file__ = str(file)
    sys.modules.setdefault(file.stem, module)       # pickle and dataclasses look it up
    folder = root = file.resolve().parent
    while (root / "__init__.py").is_file():         # a package is imported from the folder that it lies in
        root = root.parent
    module.__package__ = ".".join(folder.relative_to(root).parts)
    sys.path[:] = [str(folder), str(root), *sys.path, os.getcwd()]      # last: it may hide a library
    if file.suffix == ".py":
        _execute(_parse(text, str(file)), module, file, str(file))
    else:
        _load_notebook(text, module, file)
    return module


def _load_notebook(text: str, module: types.ModuleType, file: Path) -> None:
    try:
        book = json.loads(text)
        sheets = [book] if "cells" in book else book["worksheets"]
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        found = [cell["source"] if "source" in cell else cell["input"] for cell in cells]
        sources = [source if isinstance(source, str) else "".join(source) for source in found]
    except (ValueError, KeyError, TypeError) as error:
        raise ArgumentError(f"{file}: is no notebook: {type(error).__name__}: {error}") from error
    known = set(dir(builtins))
    for number, source in enumerate(sources, 1):
        name = f"{file}, cell {number}"
        CELLS[name] = number
        lines = _python(source.splitlines())
        if source.lstrip().startswith("%%") and not source.lstrip().startswith(("%%time", "%%capture")):
            continue                                # a cell of another language
        linecache.cache[name] = (len(source), None, [line + "\n" for line in lines], name)
        tree = _parse("\n".join(lines), name)
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                known |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        known |= {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        wanted = [node for node in tree.body if _defines(node, known)]
        for node in wanted:
            try:
                _execute(ast.Module([node], []), module, file, name)
            except ArgumentError:
                # a package that is missing here, a value of a cell that is left out:
                if isinstance(node, DEFINITIONS):
                    raise                           # whoever needs it will say so


def _python(lines: list[str]) -> list[str]:
    """Return a cell's lines with ``pass`` for each magic, command of the shell, or question."""
    found, continued = [], False
    for line in lines:
        code = line.strip()
        magic = re.match(r"[%!?]|[\w\s,.]+=\s*[%!]|[\w.]+\?+$", code) is not None
        found.append("" if continued else line[:len(line) - len(line.lstrip())] + "pass" if magic else line)
        continued = (magic or continued) and code.endswith("\\")
    return found


def _defines(node: ast.stmt, known: set[str]) -> bool:
    """Return whether a statement only defines something: ``known`` are the names that it may call."""
    if isinstance(node, (ast.If, ast.Try)):
        inside = [*node.body, *node.orelse, *getattr(node, "finalbody", [])]
        inside += [statement for handler in getattr(node, "handlers", []) for statement in handler.body]
        return all(isinstance(statement, ast.Pass) or _defines(statement, known) for statement in inside)
    return isinstance(node, (*DEFINITIONS, ast.Import, ast.ImportFrom)) or isinstance(
        node, (ast.Assign, ast.AnnAssign)) and _calls(node) <= known


def _calls(node: ast.AST) -> set[str]:
    """Return the names of what is called in a statement: ``np`` for ``np.zeros(3)``."""
    found = set()
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            root: ast.AST = call.func
            while isinstance(root, ast.Attribute):
                root = root.value
            found.add(root.id if isinstance(root, ast.Name) else "")
    return found


def _parse(text: str, name: str) -> ast.Module:
    try:
        return ast.parse(text, name)
    except (SyntaxError, ValueError) as error:      # ValueError: null bytes
        line = error.lineno if isinstance(error, SyntaxError) else None
        where = "" if line is None else f", line {line}: {(getattr(error, 'text', '') or '').strip()}"
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ArgumentError(f"{name}{where}: {type(error).__name__}: {words}") from error


def _execute(tree: ast.Module, module: types.ModuleType, file: Path, name: str) -> None:
    try:
        exec(compile(tree, name, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        words = f": {error}" if str(error) else ""
        raise ArgumentError(f"{file}: cannot be imported: "
                            f"{type(error).__name__}{words}{at_line(error)}") from error
