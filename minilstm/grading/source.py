"""A student's file: a Python file, or a notebook whose functions and classes are wanted.

A Python file is executed as ``import`` would. Of a notebook only the definitions are: imports, functions, classes and
assignments that call nothing but imported libraries. What trains, prints or plots is left out, as are magics (%) and shell
commands (!). Messages name the cell and the line in it.
"""

from __future__ import annotations

import ast
import builtins
import json
import linecache
import sys
import types
from pathlib import Path

from minilstm.backend.errors import ArgumentError
from minilstm.gradients.failures import line_of

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def load(file: Path) -> types.ModuleType:
    """Return what a file (.py, or .ipynb) defines, as a module.

    Raises ArgumentError, with the student's line, for a file that does not exist, cannot be read or cannot be imported.
    """
    if not file.is_file():
        raise ArgumentError(f"{file}: there is no such file")
    if file.suffix not in (".py", ".ipynb"):
        raise ArgumentError(f"{file}: expected a Python file (.py) or a notebook (.ipynb)")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"{file}: cannot be read: {error}") from error
    module = types.ModuleType(file.stem)
    module.__file__ = str(file)
    sys.modules.setdefault(file.stem, module)       # pickle and dataclasses look it up
    sys.path.insert(0, str(file.resolve().parent))
    if file.suffix == ".py":
        _execute(_parse(text, file, str(file)), module, file, str(file))
    else:
        _load_notebook(text, module, file)
    return module


def _load_notebook(text: str, module: types.ModuleType, file: Path) -> None:
    try:
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        sources = [cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"]) for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise ArgumentError(f"{file}: is no notebook: {type(error).__name__}: {error}") from error
    known = set(dir(builtins))
    for number, source in enumerate(sources, 1):
        name = f"{file}, cell {number}"
        lines = [_blank(line) for line in source.splitlines()]
        if source.lstrip().startswith("%%") and not source.lstrip().startswith(("%%time", "%%capture")):
            continue                                # a cell of another language
        linecache.cache[name] = (len(source), None, [line + "\n" for line in lines], name)
        tree = _parse("\n".join(lines), file, name)
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                known |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        wanted = [node for node in tree.body if isinstance(node, (*DEFINITIONS, ast.Import, ast.ImportFrom))
                  or isinstance(node, (ast.Assign, ast.AnnAssign)) and _calls(node) <= known]
        for node in wanted:
            try:
                _execute(ast.Module([node], []), module, file, name)
            except ArgumentError:
                if isinstance(node, DEFINITIONS):   # a package that is missing here, a value of a cell that is left out:
                    raise                           # whoever needs it will say so


def _blank(line: str) -> str:
    """Return a line of a notebook as Python: an empty statement, equally far in, for a magic or a command of the shell."""
    code = line.lstrip()
    if code.startswith(("%", "!")):
        return line[:len(line) - len(code)] + "pass"
    name, equals, value = code.partition("=")
    if equals and name.strip().isidentifier() and value.lstrip().startswith(("%", "!")):
        return f"{name}= None"
    return line


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


def _parse(text: str, file: Path, name: str) -> ast.Module:
    try:
        return ast.parse(text, name)
    except (SyntaxError, ValueError) as error:      # ValueError: null bytes
        where = f", line {error.lineno}: {(error.text or '').strip()}" if isinstance(error, SyntaxError) else ""
        cell = name.removeprefix(str(file))
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ArgumentError(f"{file}{cell}{where}: {type(error).__name__}: {words}") from error


def _execute(tree: ast.Module, module: types.ModuleType, file: Path, name: str) -> None:
    try:
        exec(compile(tree, name, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        words = f": {error}" if str(error) else ""
        raise ArgumentError(f"{file}: cannot be imported: {type(error).__name__}{words}{line_of(error)}") from error
