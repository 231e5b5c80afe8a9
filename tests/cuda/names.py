"""Find names, keywords and positional arguments that a source text uses on array modules or arrays, but that CuPy lacks.

``xp`` (or whatever a line takes from ``get_array_module`` or ``require``) is the array module, and everything below it is
looked up in the manifest. The text alone does not show which class a method belongs to; in files that work on arrays of
either kind, every method whose name is that of a method of NumPy's arrays is taken to be a method of an array.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np

MANIFEST: dict[str, Any] = json.loads(Path(__file__).with_name("manifest.json").read_text(encoding="ascii"))
OF_ARRAYS = {name for name in dir(np.ndarray) if not name.startswith("_")} - {"newbyteorder"}      # NumPy 2: of dtypes only
MAKERS = ("get_array_module", "require")


class Finder(ast.NodeVisitor):
    """Collects (line, complaint) of one file; ``methods``: look at method calls, too."""

    def __init__(self, tree: ast.AST, methods: bool) -> None:
        self.methods, self.complaints = methods, list[tuple[int, str]]()
        self.array_modules = {"xp", "cupy"}
        self.modules = set[str]()
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self.modules |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and \
                    isinstance(node.value.func, ast.Name) and node.value.func.id in MAKERS:
                self.array_modules |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        self.visit(tree)

    def path(self, node: ast.AST) -> list[str] | None:
        """Return ["add", "reduceat"] for xp.add.reduceat, ["cuda.Device", "synchronize"] for what a call makes."""
        if isinstance(node, ast.Name):
            return [] if node.id in self.array_modules else None
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                return []
            made = self.path(node.func)
            return None if not made or ".".join(made) not in MANIFEST["classes"] else [".".join(made)]
        if isinstance(node, ast.Attribute):
            below = self.path(node.value)
            return None if below is None else [*below, node.attr]
        return None

    def lookup(self, path: list[str]) -> Any:
        """Return the parameters, "value", None (not known), or False where CuPy has no such thing."""
        spaces, classes = MANIFEST["spaces"], MANIFEST["classes"]
        *before, name = path
        if before and before[0] in classes and len(path) == 2:
            return classes[before[0]].get(name, False)
        if before and before[0] in MANIFEST["ufuncs"]:
            return MANIFEST["ufunc methods"].get(name, False) if len(path) == 2 else False
        if not before and name in MANIFEST["ufuncs"]:
            return MANIFEST["ufunc"]
        if ".".join(path) in spaces:
            return "value"
        return spaces.get(".".join(before), {}).get(name, False)

    def complain(self, node: ast.AST, words: str) -> None:
        self.complaints.append((getattr(node, "lineno", 0), words))

    def check_call(self, node: ast.Call, name: str, known: Any) -> None:
        if not isinstance(known, list):
            return
        if "**" not in known:
            for keyword in node.keywords:
                if keyword.arg is not None and keyword.arg not in known:
                    self.complain(node, f"{name} has no parameter {keyword.arg}")
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        if "*" not in known and not starred and len(node.args) > len([k for k in known if k != "**"]):
            self.complain(node, f"{name} takes no {len(node.args)} positional arguments")

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            path = self.path(node.func)
            if path:
                self.check_call(node, ".".join(path), self.lookup(path))
            elif self.methods and node.func.attr in OF_ARRAYS and not self.on_the_host(node.func.value):
                self.check_call(node, f"ndarray.{node.func.attr}", MANIFEST["classes"]["ndarray"].get(node.func.attr))
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self.path(node)
        if path:
            if self.lookup(path) is False:
                self.complain(node, f"CuPy has no {'.'.join(path)}")
        elif self.methods and node.attr in OF_ARRAYS - set(MANIFEST["classes"]["ndarray"]) and \
                not self.on_the_host(node.value):
            self.complain(node, f"CuPy's arrays have no {node.attr}")
        self.generic_visit(node)

    def on_the_host(self, node: ast.AST) -> bool:
        """Tell whether this is a module, or something that a function of NumPy made."""
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
            node = node.func if isinstance(node, ast.Call) else node.value
        return isinstance(node, ast.Name) and node.id in self.modules


def complaints(text: str, methods: bool = True) -> list[tuple[int, str]]:
    """Return (line, what is wrong) for a source text."""
    return sorted(set(Finder(ast.parse(text), methods).complaints))
