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
SUFFIXES = (".py", ".ipynb")
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
LONGEST = 200           # lines without indentation that one statement may have where something does not parse


def load(file: Path, problems: list[str] | None = None, *, definitions: bool = False) -> types.ModuleType:
    """Return what a file (.py, or .ipynb) defines, as a module.

    With ``problems``, a statement that does not parse or cannot be run is left out and described there.
    ``definitions``: a Python file is treated as a notebook is.

    Raises ArgumentError, with the student's line, for a file that does not exist, cannot be read or cannot be
    imported.
    """
    cells = sources(file)
    module = types.ModuleType(file.stem)
    module.__file__ = str(file)
    sys.modules.setdefault(file.stem, module)       # pickle and dataclasses look it up
    folder = root = file.resolve().parent
    while (root / "__init__.py").is_file():         # a package is imported from the folder that it lies in
        root = root.parent
    module.__package__ = ".".join(folder.relative_to(root).parts)
    sys.path[:] = [str(folder), str(root), *sys.path, os.getcwd()]      # last: it may hide a library
    known = set(dir(builtins))
    is_notebook = str(file) not in cells
    for number, (name, source) in enumerate(cells.items(), 1):
        if is_notebook:
            CELLS[name] = number
            if re.match(r"\s*%%(?!time|capture|writefile\s+\S+\.py\b)", source):
                continue                                # a cell of another language
            source = "\n".join(_python(source.splitlines()))
            linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        statements = _statements(source, name, problems)
        if not is_notebook and problems is None:
            _execute(statements, module, file, name)
            continue
        for node in (part for statement in statements for part in ast.walk(statement)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                known |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        known |= {node.name for node in statements if isinstance(node, ast.ClassDef)}
        for node in statements:
            if (is_notebook or definitions) and not _defines(node, known):
                continue
            try:
                _execute([node], module, file, name)
            except ArgumentError as error:
                # a package that is missing here, a value of a cell that is left out:
                left_out = is_notebook and isinstance(node, (ast.Assign, ast.AnnAssign))
                if problems is not None and not left_out:
                    problems.append(str(error))
                elif problems is None and isinstance(node, DEFINITIONS):
                    raise                           # whoever needs it will say so
    return module


def sources(file: Path) -> dict[str, str]:
    """Return the code of a Python file, or of each cell of a notebook, by the name to compile it under.

    Raises ArgumentError for a file that does not exist or cannot be read.
    """
    if not file.is_file():
        raise ArgumentError(f"{file}: there is no such file")
    if file.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"{file}: expected a Python file (.py) or a notebook (.ipynb)")
    try:
        if file.suffix.lower() == ".py":
            with tokenize.open(file) as source:     # heeds a line such as # -*- coding: latin-1 -*-
                text = source.read()
                if not re.match(r'\s*{\s*"', text):      # else a notebook under another name
                    return {str(file): text}
        else:
            text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ArgumentError(f"{file}: cannot be read: not UTF-8 (byte {error.start})") from error
    except SyntaxError as error:
        words = "not UTF-8, nor does it name another encoding"
        if b"\0" in file.read_bytes():          # since Python 3.14 seen here
            words = "it holds null bytes"
        raise ArgumentError(f"{file}: cannot be read: {words}") from error
    except OSError as error:
        raise ArgumentError(f"{file}: cannot be read: {error}") from error
    try:
        book = json.loads(text)
        sheets = [book] if "cells" in book else book["worksheets"]
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        found = [cell.get("source") or cell.get("input", "") for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        words = _broken(text, error) if isinstance(error, json.JSONDecodeError) else "it has no cells"
        raise ArgumentError(f"{file}: not a notebook: {words}") from error
    return {f"{file}, cell {number}": "".join(source) for number, source in enumerate(found, 1)}


def _broken(text: str, error: json.JSONDecodeError) -> str:
    """Return where JSON ends too early, or is wrong."""
    try:
        json.loads(text + '"')          # which closes a string that has no end
    except json.JSONDecodeError as other:
        if other.pos >= len(text):
            return f"JSON ends at character {len(text)}"
    return f"JSON is broken at character {error.pos}"


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


def _statements(text: str, name: str, problems: list[str] | None) -> list[ast.stmt]:
    """Return a text's statements; with ``problems``, those that parse, and there why the others do not."""
    try:
        return _parse(text, name)
    except ArgumentError:
        if problems is None:
            raise
    lines = text.splitlines()
    starts = [k for k, line in enumerate(lines) if re.match(r"(?!else|elif|except|finally)[^\s#)\]}]", line)]
    starts.append(len(lines))
    found: list[ast.stmt] = []
    first = 0
    while first < len(starts) - 1:
        why = []
        for last in range(first + 1, min(first + LONGEST, len(starts))):
            try:        # with the lines' numbers
                found += _parse("\n" * starts[first] + "\n".join(lines[starts[first]:starts[last]]), name)
                break
            except ArgumentError as error:
                why.append(str(error))
        else:
            problems.append(why[0])
            last = first + 1
        first = last
    return found


def _parse(text: str, name: str) -> list[ast.stmt]:
    try:
        return ast.parse(text, name).body
    except (SyntaxError, ValueError) as error:      # ValueError: null bytes
        line = error.lineno if isinstance(error, SyntaxError) else None
        where = "" if line is None else f", line {line}: {(getattr(error, 'text', '') or '').strip()}"
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ArgumentError(f"{name}{where}: {type(error).__name__}: {words}") from error


def _execute(body: list[ast.stmt], module: types.ModuleType, file: Path, name: str) -> None:
    try:
        exec(compile(ast.Module(body, []), name, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        words = f": {error}" if str(error) else ""
        raise ArgumentError(f"{file}: cannot be imported: "
                            f"{type(error).__name__}{words}{at_line(error)}") from error
