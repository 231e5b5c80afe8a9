"""The student's functions as syntax trees that are edited while they live, and what runs of them tell.

One run records the values of every expression, and of all names in scope at every statement. A second one
with the upstream gradients doubled tells gradients (degree 1: they double) from constants (degree 0: they
stay). Then each expression is moved a little, one run each: what changes the outputs belongs to the forward,
and what does not change every wrong gradient cannot be the only cause.
"""

from __future__ import annotations

import ast
import builtins
import copy
import gc
import linecache
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.paths import NOT_THEIRS

MARK = "<repair>"           # the file name of edited code
VISITS = 2                  # how many runs of a statement are looked at: a carry is zero in the first
MODULES = {"numpy", "minilstm", "math", "cmath", "scipy", "copy", "itertools", "functools", "operator",
           "collections"}
FORBIDDEN = {"open", "exec", "eval", "compile", "input", "exit", "quit", "breakpoint", "__import__"}
FILES = {"load", "save", "savez", "savez_compressed", "savetxt", "loadtxt", "genfromtxt", "fromfile",
         "tofile", "memmap", "dump", "save_weights", "load_weights", "save_checkpoint"}


class NoRepairError(Exception):
    """Why no repair can be looked for."""


class Unit:
    """A live function (all objects that share its code) and its tree; functions inside it belong to it."""

    def __init__(self, functions: list[FunctionType], tree: ast.FunctionDef, owner: str) -> None:
        self.functions, self.tree, self.owner = functions, tree, owner
        self.original = functions[0].__code__
        self.file = self.original.co_filename
        self.globals = functions[0].__globals__
        self.indices: dict[str, CodeType] | None = None

    def compiled(self, tree: ast.FunctionDef | None = None) -> CodeType:
        """Compile the tree as it stands, with the same free names and in a class of the same name."""
        names = "".join(f" {name} = None\n" for name in self.original.co_freevars if name != "__class__")
        outer: Any = ast.parse(f"def _():\n{names} class {self.owner or '_'}:\n  pass")
        if self.owner:
            outer.body[0].body[-1].body = [tree or self.tree]
        else:
            outer.body[0].body[-1] = tree or self.tree
        pending: list[CodeType] = [compile(outer, MARK, "exec")]
        while pending:
            code = pending.pop()
            if code.co_name == self.original.co_name:
                return code
            pending += [part for part in code.co_consts if isinstance(part, CodeType)]
        raise SyntaxError("no such function")

    def use(self, code: CodeType) -> None:
        for function in self.functions:
            function.__code__ = code


def units_of(run: Callable[[], Any]) -> list[Unit]:
    """Return the student's functions that a run enters. Raises NoRepairError where they cannot be edited."""
    codes: dict[int, CodeType] = {}     # by identity: those of a cell that was run again may be equal

    def look(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and not frame.f_code.co_filename.startswith((*NOT_THEIRS, "<frozen", "<__array")):
            codes[id(frame.f_code)] = frame.f_code
    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(None)
    live: dict[int, list[FunctionType]] = {}
    for found in gc.get_referrers(*codes.values()) if codes else ():
        if isinstance(found, FunctionType) and id(found.__code__) in codes:
            live.setdefault(id(found.__code__), []).append(found)
    units: list[Unit] = []
    for file in sorted({code.co_filename for code in codes.values()}):
        trees = {}
        source = "".join(linecache.getlines(file))      # "" in a plain shell
        for tree, owner in _functions(ast.parse(source), ""):
            first = min([tree.lineno, *(decorator.lineno for decorator in tree.decorator_list)])
            trees[tree.name, first] = (tree, owner)
        for functions in live.values():
            code = functions[0].__code__
            if code.co_filename == file and (code.co_name, code.co_firstlineno) in trees:
                tree, owner = trees[code.co_name, code.co_firstlineno]
                tree.decorator_list = []
                units.append(Unit(functions, tree, owner))
    inner = {id(node) for unit in units for node in ast.walk(unit.tree) if node is not unit.tree}
    units = [unit for unit in units if id(unit.tree) not in inner]
    for unit in units:
        _refuse_other_calls(unit)
    if not units:
        raise NoRepairError("their source, written with def, is in no file and no notebook")
    return sorted(units, key=lambda unit: (unit.original.co_filename, unit.tree.lineno))


def _functions(node: ast.AST, owner: str) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Yield every function definition, with the class it stands in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield child, owner
        yield from _functions(child, child.name if isinstance(child, ast.ClassDef) else "")


def _refuse_other_calls(unit: Unit) -> None:
    """Raise NoRepairError where a function calls what no edit should run a thousand times."""
    own = own_names(unit)
    for call in ast.walk(unit.tree):
        if not isinstance(call, ast.Call):
            continue
        root: Any = call.func
        while isinstance(root, ast.Attribute):
            root = root.value
        name = root.id if isinstance(root, ast.Name) else ""
        thing = None if name in own else unit.globals.get(name, getattr(builtins, name, None))
        file_method = isinstance(call.func, ast.Attribute) and call.func.attr in FILES
        if name in FORBIDDEN or file_method or thing is not None and not _is_known(thing):
            raise NoRepairError(f"{unit.tree.name} calls {ast.unparse(call.func)}, and only functions of "
                                "NumPy, arithmetic and each other are tried in other forms")


def _is_known(thing: Any) -> bool:
    """Is this of NumPy, of arithmetic, or in a file of the student's (or in no file, as in a notebook)?"""
    home = thing.__name__ if isinstance(thing, ModuleType) else (
        getattr(thing, "__module__", None) or type(thing).__module__)
    if home.split(".")[0] in {*MODULES, "builtins"}:
        return True
    file = getattr(sys.modules.get(home), "__file__", None) or ""
    return home not in sys.builtin_module_names and not file.startswith(NOT_THEIRS)


def own_names(unit: Unit) -> set[str]:
    """Return the names that a unit assigns, and its arguments."""
    nodes = list(ast.walk(unit.tree))
    return {node.id for node in nodes if isinstance(node, ast.Name) and not is_load(node)} | {
        node.arg for node in nodes if isinstance(node, ast.arg)}


def is_load(node: Any) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def is_atom(node: Any) -> bool:
    """Is this a name, an attribute or an item that is read?"""
    return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and is_load(node)


def bare(node: ast.AST) -> str:
    """Return a node's text, in brackets where it needs them."""
    simple = is_atom(node) or isinstance(node, (ast.Call, ast.Constant, ast.Tuple, ast.List))
    return ast.unparse(node) if simple else f"({ast.unparse(node)})"


def parts_of(node: ast.AST) -> list[ast.AST]:
    """Return the factors of a product."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*parts_of(node.left), *parts_of(node.right)]
    return [node]


def located(node: Any, line: int) -> Any:
    for inner in ast.walk(node):
        if isinstance(inner, (ast.expr, ast.stmt, ast.keyword)):
            inner.lineno = inner.end_lineno = line
            inner.col_offset = inner.end_col_offset = 0
    return node


def without_step(text: str) -> str:
    """Return the text without what tells neighbours apart: h[t] for h[t - 1], dz[:, H] for dz[:, :H]."""
    return re.sub(r" [+-] 1(?=[],])|(?<=[\[ ]):(?=\w+]$)|(?<=\w):(?=]$)", "", text)


def holder(text: str) -> str:
    """Return what a value is kept in by name: "cache" for ``cache.c`` and ``cache['c']``, else ""."""
    return text.rpartition("['" if text.endswith("']") else ".")[0]


def is_floating(value: Any) -> bool:
    if isinstance(value, (np.ndarray, np.floating)):
        return value.dtype.kind == "f"
    return isinstance(value, float)


def is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


Kind = tuple[Any, ...]


def kind_of(value: Any) -> Kind:
    """Return what a value may be exchanged with: ("float", its shape), ("int",), or its type."""
    if is_floating(value):
        return ("float", *np.shape(value))
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.kind, *value.shape)
    return ("int",) if is_whole(value) else (type(value).__name__,)


class Atom(NamedTuple):
    """A value in scope at a statement: its text, its values at the visits, its degree."""

    text: str
    values: list[Any]
    degree: int | None


class Statement:
    """A statement: ``body`` is the list it stands in, ``line`` that of the student's file."""

    def __init__(self, number: int, node: ast.stmt, unit: Unit, body: list[ast.stmt], loops: int) -> None:
        self.number, self.node, self.unit, self.body, self.loops = number, node, unit, body, loops
        self.line = getattr(node, "origin", node.lineno)
        self.atoms: dict[Kind, list[Atom]] = {}
        self.places: list[Place] = []       # in it, but not in its body


class Place:
    """An expression: where it hangs, its values, what a small move of it changes."""

    def __init__(self, number: int, node: ast.expr, hook: tuple[ast.AST, str, int | None],
                 statement: Statement, above: Place | None) -> None:
        self.number, self.node, self.hook, self.statement, self.above = number, node, hook, statement, above
        self.line = getattr(node, "origin", node.lineno)
        self.text = ast.unparse(node)
        self.values: list[Any] = []
        self.degree: int | None = None
        self.kind: Kind = ()
        self.touches: set[str] | None = None        # names of gradients; None where it cannot be moved
        self.forward = False

    @property
    def shape(self) -> tuple[int, ...] | None:
        return self.kind[1:] if self.kind[:1] == ("float",) else None

    @property
    def whole(self) -> Place:
        """The whole of numbers that it is part of: what is assigned, or one value of several."""
        return self if self.above is None or self.above.shape is None else self.above.whole

    def is_index(self) -> bool:
        """Is it in the brackets of an array?"""
        within = isinstance(self.hook[0], ast.Subscript) and self.hook[1] == "slice"
        return within or self.above is not None and self.above.is_index()

    def inside(self, *operators: type) -> bool:
        """Is it an operand of one of these?"""
        return isinstance(self.hook[0], ast.BinOp) and isinstance(self.hook[0].op, operators)


def get(hook: tuple[Any, str, int | None]) -> Any:
    value = getattr(hook[0], hook[1])
    return value if hook[2] is None else value[hook[2]]


def put(hook: tuple[Any, str, int | None], new: Any) -> None:
    if hook[2] is None:
        setattr(hook[0], hook[1], new)
    else:
        getattr(hook[0], hook[1])[hook[2]] = new


class _Recorded(ast.NodeTransformer):
    """Put ``__value__(number, ...)`` around every place, or around one."""

    def __init__(self, only: Place | None) -> None:
        self.only = only

    def visit(self, node: ast.AST) -> Any:
        node = self.generic_visit(node)
        place = getattr(node, "place", None)
        if place is None or self.only not in (None, place):
            return node
        number: Any = ast.Constant(place.number)
        call: Any = ast.parse("__value__()", mode="eval").body
        call.args = [number, node]
        for new in (call, number, call.func):
            ast.copy_location(new, node)
        return call


Run = Callable[..., tuple[list[np.ndarray], dict[str, np.ndarray]]]


class Program:
    """All units, their statements and places.

    ``run(scale)`` -> outputs, gradients by name; ``forward()``: its first half, where the gradients come from
    a loss inside, and nothing can be doubled. Then what the forward computes is a constant.
    """

    def __init__(self, run: Run, units: list[Unit], forward: Callable[[], Any] | None) -> None:
        self.run, self.units, self.forward = run, units, forward
        self.statements: list[Statement] = []
        self.places: list[Place] = []
        for unit in units:
            unit.tree.lineno = 1                # Python 3.13 traces no line above a function's first
            self._number(unit, unit.tree.body, 0)
        self.used = {place.text for place in self.places if is_atom(place.node)}.union(*map(own_names, units))
        self.holders = {holder(text) for text in self.used} - {""}
        self.series = set(map(without_step, self.used))
        self.functions: dict[int, list[str]] = {}       # by how many arguments they are called with
        for place in self.places:
            if isinstance(place.node, ast.Call) and (name := ast.unparse(place.node.func)) in {
                    unit.tree.name for unit in units}:
                self.functions.setdefault(len(place.node.args), []).append(name)
        self._recorded = {unit: self.with_records(unit) for unit in units}

    def reads(self, text: str) -> bool:
        """Does the program read this somewhere, or what is kept with it?"""
        return text in self.used or without_step(text) in self.series or holder(text) in self.holders

    def with_records(self, unit: Unit, only: Place | None = None) -> CodeType:
        """Compile a copy of a unit's tree, but not of its places, in which every value is recorded."""
        memo: dict[int, Any] = {id(known): known for known in (*self.places, *self.statements)}
        return unit.compiled(_Recorded(only).visit(copy.deepcopy(unit.tree, memo)))

    def values_with(self, place: Place, text: str) -> list[Any]:
        """Return what the whole expression that a place is in would be with another text there."""
        whole, old = place.whole, get(place.hook)
        found: list[Any] = []
        new: Any = ast.parse(f"({text})", mode="eval").body
        new.place = place
        put(place.hook, new)
        unit = place.statement.unit

        def record(number: int, value: Any) -> Any:
            if number == whole.number and len(found) < VISITS:
                found.append(np.array(value))
            return value
        try:
            self.run_recorded(record, codes={**self._recorded, unit: self.with_records(unit)})
        finally:
            put(place.hook, old)
        return found

    def _number(self, unit: Unit, body: list[ast.stmt], loops: int) -> None:
        """Give each statement its number for a line, so that a trace tells it even where two share a line."""
        for node in body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue            # a docstring
            statement = Statement(len(self.statements) + 1, node, unit, body, loops)
            self.statements.append(statement)
            node.statement = statement          # type: ignore[attr-defined]
            blocks = []
            for field, value in ast.iter_fields(node):
                if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                    blocks.append(value)
                elif not isinstance(node, ast.FunctionDef):
                    self._find(statement, node, field, None)
            self._set_lines(node, statement.number)
            for block in blocks:
                self._number(unit, block, loops + isinstance(node, (ast.For, ast.While)))

    def _set_lines(self, node: ast.AST, number: int) -> None:
        if hasattr(node, "lineno"):
            node.origin = getattr(node, "origin", node.lineno)      # type: ignore[attr-defined]
            node.lineno = node.end_lineno = number      # type: ignore[attr-defined]
            node.col_offset = node.end_col_offset = 0   # type: ignore[attr-defined]
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.stmt):
                self._set_lines(child, number)

    def _find(self, statement: Statement, parent: Any, field: str, above: Place | None) -> None:
        """Find the places in a field."""
        value = getattr(parent, field)
        for k, node in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(node, ast.AST):
                continue
            here = above
            fixed = isinstance(node, (ast.Starred, ast.Slice, ast.Lambda, ast.JoinedStr)) or (
                isinstance(node, ast.Tuple) and any(isinstance(part, ast.Slice) for part in node.elts))
            called = isinstance(parent, ast.Call) and field == "func"
            if isinstance(node, ast.expr) and is_load(node) and not fixed and not called:
                hook = (parent, field, k if isinstance(value, list) else None)
                here = Place(len(self.places), node, hook, statement, above)
                node.place = here               # type: ignore[attr-defined]
                self.places.append(here)
                statement.places.append(here)
            for name, _ in ast.iter_fields(node):
                if name not in ("ctx", "op", "ops", "annotation"):
                    self._find(statement, node, name, here)

    # runs
    # --------------------------------------------------------------------------------------------------------

    def study(self) -> None:
        """Make the three kinds of runs."""
        self.outputs: list[np.ndarray] = []
        self.gradients: dict[str, np.ndarray] = {}
        scopes: list[dict[int, list[dict[str, Any]]]] = []
        doubled: dict[int, list[Any]] = {}
        constants = self._constants() if self.forward else None
        for scale in (1.0,) if self.forward else (1.0, 2.0):
            seen: dict[int, list[dict[str, Any]]] = {}
            scopes.append(seen)

            def trace(frame: Any, event: str, argument: Any) -> Any:
                if frame.f_code.co_filename != MARK:
                    return None
                found = seen.setdefault(frame.f_lineno, [])
                if event == "line" and len(found) < VISITS and frame.f_lineno <= len(self.statements):
                    found.append(self.scope(self.statements[frame.f_lineno - 1], frame))
                return trace

            def record(number: int, value: Any) -> Any:
                values = self.places[number].values if scale == 1.0 else doubled.setdefault(number, [])
                if len(values) < VISITS:
                    values.append(np.array(value) if isinstance(value, np.ndarray) else value)
                return value
            before = sys.gettrace()
            sys.settrace(trace)
            try:
                found = self.run_recorded(record, scale)
            finally:
                sys.settrace(before)
            if scale == 1.0:
                self.outputs, self.gradients = found
        for place in self.places:
            if place.values:
                place.kind = kind_of(place.values[-1])
                place.degree = _degree(place.values, doubled.get(place.number), constants)
        for statement in self.statements:
            visits = [seen.get(statement.number, []) for seen in scopes]
            statement.atoms = self._atoms(visits[0], visits[1:], constants)
        scalars = {place.text: float(place.values[-1]) for place in self.places if isinstance(
            place.node, (ast.Call, ast.BinOp)) and place.kind in (("int",), ("float",))}
        self.scalars = dict(sorted(scalars.items(), key=lambda pair: len(pair[0]))[:8])
        self.entrywise = sorted({ast.unparse(place.node.func) for place in self.places
                                 if isinstance(place.node, ast.Call) and _keeps_shape(place, place.node)})
        self._move_each()
        self.shared = {place.statement.unit for place in self.places if place.forward}      # with the forward

    def _constants(self) -> set[bytes]:
        """Return all that the forward alone computes."""
        found = set()

        def record(number: int, value: Any) -> Any:
            if is_floating(value):
                found.add(np.asarray(value).tobytes())
            return value
        self.run_recorded(record, run=self.forward)
        return found

    def run_recorded(self, record: Callable[[int, Any], Any], scale: float = 1.0,
                     run: Callable[[], Any] | None = None,
                     codes: dict[Unit, CodeType] | None = None) -> Any:
        builtins.__value__ = record             # type: ignore[attr-defined]
        for unit, code in (codes or self._recorded).items():
            unit.use(code)
        try:
            return run() if run else self.run(scale)
        finally:
            for unit in self.units:
                unit.use(unit.original)

    def _move_each(self) -> None:
        for place in self.places:
            if not place.values or not is_floating(place.values[-1]):
                continue

            def move(number: int, value: Any, k: int = place.number) -> Any:
                return value * 1.0123 + 0.0071 if number == k and is_floating(value) else value
            try:
                outputs, gradients = self.run_recorded(move)
            except Exception:       # it is refused there
                place.touches = set(self.gradients)
                continue
            place.forward = not all(map(close, outputs, self.outputs))
            place.touches = {name for name, gradient in self.gradients.items()
                             if name not in gradients or not close(gradients[name], gradient)}

    def _atoms(self, visits: list[dict[str, Any]], doubled: list[list[dict[str, Any]]],
               constants: set[bytes] | None) -> dict[Kind, list[Atom]]:
        """Return the atoms by kind: of those with equal values the one that the program reads, or the
        shortest."""
        found: dict[Kind, list[Atom]] = {}
        known = set()
        for text in sorted(visits[-1] if visits else (), key=lambda text: (text not in self.used, len(text))):
            values = [scope[text] for scope in visits if text in scope]
            kind = kind_of(values[-1])
            key = (kind, *(np.asarray(value).tobytes() for value in values))
            if key not in known or text.isidentifier():
                known.add(key)
                twice = [scope[text] for scopes in doubled for scope in scopes if text in scope]
                found.setdefault(kind, []).append(Atom(text, values, _degree(values, twice, constants)))
        return found

    def touched(self, place: Place) -> set[str]:
        """Return the gradients that an expression influences, if need be by what it is part of."""
        if is_atom(place.node) and place.kind[:1] in (("list",), ("tuple",), ("dict",)):
            return set(self.gradients)          # nobody moved what is in it
        above: Place | None = place
        while above is not None:
            if above.touches is not None:
                return above.touches
            above = above.above
        return self.reached(place.statement)

    def reached(self, statement: Statement) -> set[str]:
        """Return the gradients that a statement influences, with its body; where nothing in it can be moved,
        those of the whole body it stands in."""
        own = _touched_in(statement.node)
        return own or set().union(*map(_touched_in, statement.body))

    def scope(self, statement: Statement, frame: Any) -> dict[str, Any]:
        """Return every number and array that the statement could read, by its text."""
        found: dict[str, Any] = {}
        shared = {name: value for name, value in frame.f_globals.items()
                  if is_floating(value) or is_whole(value) and not name.startswith("_")}
        for name, value in {**shared, **frame.f_locals}.items():
            self._expand(name, value, found, 0)
        for index, code in self._indices(statement.unit).items():
            try:
                at = eval(code, frame.f_globals, {**frame.f_locals, "__at__": np.s_})
            except Exception:
                continue
            for text, value in list(found.items()):
                if isinstance(value, (list, tuple, dict, np.ndarray)) and text.count("[") < 2:
                    try:
                        self._expand(f"{text}[{index}]", value[at], found, 2)
                    except (LookupError, TypeError):
                        continue
        return {text: np.array(value) if isinstance(value, np.ndarray) else value
                for text, value in found.items()
                if is_floating(value) or is_whole(value) or isinstance(value, np.ndarray)}

    def _expand(self, text: str, value: Any, found: dict[str, Any], depth: int) -> None:
        """Add a value and what is kept in it."""
        if text in found or len(found) > 1000 or isinstance(value, (ModuleType, type, FunctionType)):
            return
        found[text] = value
        if depth > 2:
            return
        if isinstance(value, dict):
            for key in list(value)[:60]:
                if isinstance(key, str):
                    self._expand(f"{text}[{key!r}]", value[key], found, depth + 1)
        elif isinstance(value, tuple) and len(value) <= 16:
            for k, part in enumerate(value):
                if is_floating(part):
                    self._expand(f"{text}[{k}]", part, found, depth + 1)
        elif hasattr(value, "__dict__"):
            for key, part in list(vars(value).items())[:60]:
                self._expand(f"{text}.{key}", part, found, depth + 1)

    def _indices(self, unit: Unit) -> dict[str, CodeType]:
        """Return the indices that stand in a unit, and t - 1 and t + 1 for an index t."""
        if unit.indices is None:
            texts = []
            for node in ast.walk(unit.tree):
                if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant):
                    text = ast.unparse(node.slice).strip("()")
                    last = text.rpartition(", ")[2]
                    texts += [text, f"{text} - 1", f"{text} + 1"] if last.isidentifier() else [text]
                    if text.endswith(":"):      # the other part
                        texts.append(text[:len(text) - len(last)] + f":{last[:-1]}")
                    elif last.startswith(":"):
                        texts.append(text[:len(text) - len(last)] + f"{last[1:]}:")
            unit.indices = {}
            for text in texts:
                try:
                    unit.indices[text] = compile(f"__at__[{text}]", "", "eval")
                except SyntaxError:
                    continue
        return unit.indices


def _keeps_shape(place: Place, call: ast.Call) -> bool:
    """Is this a function of one array, of the same shape?"""
    return place.shape is not None and len(call.args) == 1 and not call.keywords and (
        getattr(call.args[0], "place", place).shape == place.shape)


def _touched_in(node: ast.AST) -> set[str]:
    places = [inner.place for inner in ast.walk(node) if hasattr(inner, "place")]
    return set().union(*(place.touches for place in places if place.touches and not place.forward))


def close(a: Any, b: Any) -> bool:
    """Return whether two arrays are the same but for rounding."""
    if np.shape(a) != np.shape(b):
        return False
    return bool((abs(np.asarray(a) - b) <= 1e-9 * (1e-3 + abs(np.asarray(b)))).all())


def _degree(values: list[Any], twice: list[Any] | None, constants: set[bytes] | None) -> int | None:
    """1: doubles with the upstream gradients; 0: stays; None: neither, unknown, or zero."""
    if not is_floating(values[-1]) or not np.any(values[-1]):
        return None
    value = np.asarray(values[-1])
    if constants is not None:
        return 0 if value.tobytes() in constants else 1
    double = np.asarray(twice[-1]) if twice else None
    if double is None or value.shape != double.shape:
        return None
    if np.array_equal(value, double):
        return 0
    return 1 if np.allclose(2 * value, double, rtol=1e-9, atol=1e-300) else None
