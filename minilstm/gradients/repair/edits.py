"""The table of edits: what one slip of the pen turns into what, undone.

Each generator yields (cost, key of a mistake, text); what is cheapest is tried first. Nothing here knows a
cell or a layer.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.repair.pool import PLAIN
from minilstm.gradients.repair.program import (Atom, Kind, Place, Program, Statement, bare, get, is_atom,
                                               own_names, put)

Found = Iterator[tuple[float, str, str]]
SYMBOLS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**",
           ast.FloorDiv: "//", ast.Mod: "%"}
COMPARED = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
# Functions that are taken for each other.
PARTNERS = {"np.log": "np.log1p", "np.log1p": "np.log", "max": "min", "min": "max",
            "np.maximum": "np.minimum", "np.minimum": "np.maximum"}
INPLACE = {"append": "insert(0, {})", "insert": "append({})"}


class Edit(NamedTuple):
    """One edit. ``how``: "expression" (``target`` is a Place), "statement" (replaced), "before", "end" (of a
    loop's body), or "order" (``target`` is the body's new list)."""

    cost: float
    key: str
    statement: Statement
    how: str
    target: Any
    text: str


def edits(program: Program, wrong: set[str], forward: bool, several: bool) -> list[Edit]:
    """Return the edits of every place that influences all wrong gradients, the most likely first.

    ``forward``: of the places that the outputs depend on, instead. ``several``: of those, too, that influence
    some, since another edit will be made.
    """
    known = any(program.touched(place) >= wrong for place in program.places)    # else they are no slopes

    def matters(touched: set[str]) -> bool:
        return bool(touched & wrong) if several else touched >= wrong or not known
    right = set(program.gradients) - wrong
    found: list[tuple[float, Edit]] = []

    def add(cost: float, key: str, statement: Statement, how: str, target: Any, text: str,
            touched: set[str]) -> None:
        # a slip is rarely in what outputs, too, are made with; and where right gradients come from
        cost += not forward and statement.unit in program.shared
        found.append((cost + len(touched & right) / (2 + 2 * len(right)),
                      Edit(cost, key, statement, how, target, text)))

    for place in program.places:
        touched = wrong if forward else program.touched(place)
        if not place.values or place.forward != forward or not matters(touched):
            continue
        cheapest: dict[str, tuple[float, str]] = {}
        for make in EXPRESSIONS:
            for cost, key, text in make(program, place):
                if text != place.text and (text not in cheapest or cost < cheapest[text][0]):
                    cheapest[text] = (cost, key)
        for text, (cost, key) in cheapest.items():
            add(cost, key, place.statement, "expression", place, text, touched)
    for statement in () if forward else program.statements:
        touched = program.reached(statement)
        near = set().union(*(program.reached(node.statement) for node in statement.body
                             if hasattr(node, "statement")))
        if not matters(near):
            continue
        for cost, key, text in statements(program, statement):
            if matters(touched) or text == "pass":
                add(cost, key, statement, "statement", statement, text, touched or near)
        for order in orders_of_lines(statement):
            add(1.0, "order", statement, "order", order, "", touched or near)
        for cost, key, text in insertions(program, statement):
            add(cost, key, statement, "before", statement, text, near)
    return [edit for _, edit in sorted(found, key=lambda pair: pair[0])]


# Expressions
# ------------------------------------------------------------------------------------------------------------

def symbol(node: ast.BinOp | ast.AugAssign) -> str:
    return SYMBOLS.get(type(node.op), "+")


def may_be(atom: Atom, degree: int | None) -> bool:
    """May the atom be of this degree? Of None and of zeros nothing is known."""
    return degree is None or atom.degree is None or atom.degree == degree


def like(place: Place) -> list[Atom]:
    """Return the atoms that may stand in its place, but for those of the same values."""
    def same(atom: Atom) -> bool:
        return len(atom.values) == len(place.values) and all(map(np.array_equal, atom.values, place.values))
    return [atom for atom in place.statement.atoms.get(place.kind, []) if not same(atom)]


def read(program: Program, statement: Statement) -> dict[Kind, list[Atom]]:
    """Return the atoms that the program reads somewhere, or keeps with such, by kind."""
    found = {kind: [atom for atom in atoms if program.reads(atom.text)]
             for kind, atoms in statement.atoms.items()}
    return {kind: atoms for kind, atoms in found.items() if atoms}


def values(program: Program, place: Place) -> Found:
    """Another value of the same shape; the same array at another index."""
    if is_atom(place.node) and isinstance(place.node, ast.Subscript):
        stem = ast.unparse(place.node.value) + "["
    else:
        stem = "\0"
    for atom in like(place):
        text = atom.text
        if text.startswith(stem):
            cut = any(isinstance(part, ast.Slice) and (part.lower or part.upper)
                      for part in ast.walk(place.node.slice))      # type: ignore[attr-defined]
            yield 1, "slice" if cut else "index", text
        elif not program.reads(atom.text):
            continue
        elif is_atom(place.node):
            yield (1 if may_be(atom, place.degree) else 2), "another_value", text
        elif place.shape is not None and may_be(atom, place.degree) and not isinstance(
                place.node, ast.Constant):
            yield 3 - (place.degree == 0), "another_value", text


def terms(program: Program, place: Place) -> Found:
    """A term that is missing in a sum; a factor that is."""
    if place.shape is None or isinstance(place.node, ast.Constant):
        return
    for kind, atoms in read(program, place.statement).items():
        fits = kind[0] == "float" and kind[1:] == place.shape[len(place.shape) - len(kind) + 1:]
        for atom in atoms if fits else ():
            if place.degree != 0 and atom.degree != 0 and len(kind) > 1:
                cost = 1.5 + (atom.degree is None) + (kind != place.kind) + 0.5 * place.inside(ast.Mult)
                yield cost, "term_missing", f"{place.text} + {atom.text}"
                if atom.text != place.text:
                    yield cost, "term_missing", f"{place.text} - {atom.text}"
            if not (atom.degree and place.degree) and not place.inside(ast.Mult):
                cost = 2 + (atom.degree is None) + (kind != place.kind)
                for form, key in PLAIN.items():
                    yield cost, key, f"{bare(place.node)} * {form.format(u=atom.text)}"


def operators(program: Program, place: Place) -> Found:
    """Terms and factors too many, signs, complements, squares."""
    node = place.node
    if isinstance(node, ast.BinOp):
        left, right, op = bare(node.left), bare(node.right), type(node.op)
        if op is ast.Sub and isinstance(node.left, ast.Constant):
            yield 1, "complement", right
        if op in (ast.Add, ast.Sub):
            key = "index" if place.is_index() else "term_too_many"
            yield 1, key, left
            yield 1, key, right
            yield 1, "sign", f"{ast.unparse(node.left)} {'-' if op is ast.Add else '+'} {right}"
        if op is ast.Sub:
            yield 1, "sign", f"{right} - {left}"
            if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.BinOp) and isinstance(
                    node.right.op, ast.Pow):
                yield 1, "square", f"({left} - {bare(node.right.left)}) ** {bare(node.right.right)}"
        if op in (ast.Mult, ast.Div, ast.Pow, ast.FloorDiv, ast.MatMult):
            yield 1, "factor_too_many", left
        if op is ast.Mult:
            yield 1, "factor_too_many", right
            yield 2, "another_operator", f"{left} @ {right}"
            yield 2, "another_operator", f"{left} / {right}"
        if op is ast.Div:
            yield 2, "another_operator", f"{left} * {right}"
        if op is ast.MatMult:
            yield 1, "not_transposed", f"{right} @ {left}"
            yield 2, "another_operator", f"{left} * {right}"
        if op is ast.Pow and isinstance(node.left, ast.BinOp):
            inner = node.left
            yield 1, "square", f"({bare(inner.left)} {symbol(inner)} {bare(inner.right)} ** {right})"
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        for other in COMPARED.values():
            yield 1, "another_operator", f"{bare(node.left)} {other} {bare(node.comparators[0])}"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield 1, "sign", bare(node.operand)
    elif place.shape is not None and not place.inside(ast.Mult, ast.MatMult) and not isinstance(
            node, ast.Constant):
        yield 1 + (place.above is not None), "sign", f"-{bare(node)}"
    if place.above is None and place.shape:
        yield 2, "another_value", f"0 * {bare(node)}"
    if is_atom(node) and place.shape is not None and place.degree != 1:
        yield 1, "square", f"({place.text} ** 2)"
        yield 1, "complement", f"(1 - {place.text})"
        yield 2, "another_value", f"np.tanh({place.text})"


def arrays(program: Program, place: Place) -> Found:
    """Transposes, axes, sums and means, functions, the order of arguments and of lists."""
    node, shape = place.node, place.shape
    if shape is not None and len(shape) == 2 and (
            is_atom(node) or isinstance(node, ast.Call) or place.above is None):
        turned = isinstance(node, ast.Attribute) and node.attr == "T"
        key = "order" if isinstance(node, ast.BinOp) else "not_transposed"
        yield 1, key, place.text[:-2] if turned else f"{bare(node)}.T"
    if shape is not None and len(shape) > 2 and place.inside(ast.MatMult):
        yield 1, "not_transposed", f"{bare(node)}.swapaxes(-1, -2)"
    if is_atom(node) and (shape or place.kind[0] in ("list", "tuple")):
        yield 1 + bool(shape), "order", f"{place.text}[::-1]"
        if shape and isinstance(place.hook[0], (ast.Assign, ast.Call, ast.Dict, ast.Tuple, ast.List)):
            yield 1, "copy", f"{place.text}.copy()"
        if shape and len(shape) > 1 and isinstance(place.hook[0], (ast.Assign, ast.AugAssign)):
            for k in range(len(shape)):
                yield 2, "axis", f"{place.text}.sum(axis={k})"
    if shape is not None and place.degree != 1 and not isinstance(node, ast.Constant):
        for function in program.entrywise:
            if function != place.statement.unit.tree.name:      # it would call itself
                yield 2, "function_missing", f"{function}({place.text})"
    if isinstance(node, (ast.Tuple, ast.List)):
        for order in orders(list(map(ast.unparse, node.elts))):
            text = ", ".join(order)
            yield 1, "order", f"[{text}]" if isinstance(node, ast.List) else f"({text})"
    if isinstance(node, ast.Call):
        yield from _calls(program, node, shape)


def _calls(program: Program, node: ast.Call, shape: tuple[int, ...] | None) -> Found:
    function, arguments = ast.unparse(node.func), list(map(ast.unparse, node.args))
    keywords = [f"{word.arg}={ast.unparse(word.value)}" for word in node.keywords if word.arg]
    owner, name = getattr(node.func, "value", None), getattr(node.func, "attr", function)
    if name in ("sum", "mean"):
        data = node.args[0] if ast.unparse(owner or node) == "np" and node.args else owner
        rest = [word for word in keywords if not word.startswith("axis")]
        other = function[:len(function) - len(name)] + {"sum": "mean", "mean": "sum"}[name]
        key = "mean_over_batch" if name == "mean" else "factor"
        yield 1, key, f"{other}({', '.join(arguments + keywords)})"
        for axis in ("None", "0", "1", "2", "-1", "(0, 1)"):
            first = arguments[:1] if data in node.args else []
            yield 1, "axis", f"{function}({', '.join([*first, f'axis={axis}', *rest])})"
        if data is not None:
            yield 1, "function_too_many", bare(data)
    elif arguments and shape is not None:
        yield 1, "function_too_many", bare(node.args[0])
    if owner is not None and shape is not None and ast.unparse(owner) != "np":
        yield 2, "function_too_many", bare(owner)
    for order in orders(arguments):
        yield 1, "order", f"{function}({', '.join(order + keywords)})"
    for other in [*program.functions.get(len(arguments), ()), *filter(None, [PARTNERS.get(function)])]:
        yield 2, "another_function", f"{other}({', '.join(arguments + keywords)})"
    if name == "dot" and len(arguments) == 1 and owner is not None:
        yield 1, "not_transposed", f"{bare(node.args[0])}.dot({ast.unparse(owner)})"
    if name in INPLACE and owner is not None and arguments:
        yield 2, "order", f"{bare(owner)}.{INPLACE[name].format(arguments[-1])}"


def orders(parts: list[str]) -> Iterator[list[str]]:
    """Two exchanged; all reversed; all turned by one."""
    if 2 <= len(parts) <= 12:
        for j, k in itertools.combinations(range(len(parts)), 2):
            new = list(parts)
            new[j], new[k] = new[k], new[j]
            yield new
        if len(parts) > 2:
            yield from (parts[::-1], parts[1:] + parts[:1], parts[-1:] + parts[:-1])


def numbers(program: Program, place: Place) -> Found:
    """Constants, and how a loop runs."""
    node = place.node
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        value: Any = node.value
        for other in dict.fromkeys((0, 1, 2, -1, 0.5, value + 1, value - 1, -value)):
            if other != value:
                yield 1, "number", f"({other})"
        for kind, atoms in read(program, place.statement).items() if value == 0 else ():
            for atom in atoms if kind[0] == "float" else ():
                if atom.degree != 0:
                    yield 2, "another_value", atom.text
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield 1, "number", str(not node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        constants = {inner.value for inner in ast.walk(place.statement.unit.tree)
                     if isinstance(inner, ast.Constant)}
        for key in sorted(key for key in constants if isinstance(key, str) and len(key) < 20):
            yield 2, "another_value", repr(key)
    if isinstance(place.hook[0], (ast.For, ast.comprehension)) and place.hook[1] == "iter":
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "reversed":
            yield 1, "loop", ast.unparse(node.args[0])
        else:
            yield 1, "loop", f"reversed({place.text})"
        for part in ("[::-1]", "[1:]", "[:-1]"):
            yield 1 + (part != "[::-1]"), "loop", f"list({place.text}){part}"
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "range":
        ends = list(map(ast.unparse, node.args))
        if len(ends) == 2:
            yield 1, "loop", f"range({ends[1]})"
        for k in range(len(ends)):
            for by in (" + 1", " - 1"):
                yield 1, "loop", f"range({', '.join([*ends[:k], ends[k] + by, *ends[k + 1:]])})"


def items(program: Program, place: Place) -> Found:
    """Another index or slice of what is read."""
    if isinstance(place.node, ast.Subscript):
        stem = bare(place.node.value)
        if isinstance(place.node.slice, (ast.Slice, ast.Tuple)) and (
                getattr(place.node.value, "attr", "") not in ("c_", "r_")):     # np.c_ @ W never ends
            yield 2, "slice", stem
        for cost, key, text in subscripts(place.node, place.statement):
            yield cost, key, f"{stem}[{text}]"


def subscripts(node: ast.Subscript, statement: Statement) -> Found:
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    texts, inner = list(map(ast.unparse, parts)), list(ast.walk(statement.unit.tree))
    slices = sorted({ast.unparse(other) for other in inner if isinstance(other, ast.Slice)})
    others = sorted({ast.unparse(part) for other in inner if isinstance(other, ast.Subscript)
                     for part in (other.slice.elts if isinstance(other.slice, ast.Tuple) else [other.slice])
                     if isinstance(part, (ast.Name, ast.BinOp))})
    for k, part in enumerate(parts):
        key = "slice" if isinstance(part, ast.Slice) else "index"
        for cost, new in _slices(part, slices) if key == "slice" else _indices(part, others):
            yield cost, key, ", ".join([*texts[:k], new, *texts[k + 1:]])


def _slices(part: Any, others: list[str]) -> Iterator[tuple[float, str]]:
    low, high = (ast.unparse(end) if end else "" for end in (part.lower, part.upper))
    yield 1, f"{high}:{low}"
    for end in filter(None, (low, high)):
        yield 1, f"-({end}):"
        yield 1, f":-({end})"
    yield from ((1, ":"), (1, "::-1"), (1, f":, {ast.unparse(part)}"))
    for by in ("+ 1", "- 1"):
        if low:
            yield 1, f"{low} {by}:{high}"
        if high:
            yield 1, f"{low}:{high} {by}"
    if low and high:
        yield from ((1, f":{high}"), (1, f"{low}:"))
    for other in others:
        yield 2, other


def _indices(part: ast.expr, others: list[str]) -> Iterator[tuple[float, str]]:
    text = bare(part)
    yield from ((1, f"{text} + 1"), (1, f"{text} - 1"), (1, "0"), (1, "-1"), (2, ":"))
    if isinstance(part, ast.BinOp):
        yield 1, ast.unparse(part.left)
    for other in others:
        yield 1.5, other


EXPRESSIONS: list[Callable[[Program, Place], Found]] = [
    values, operators, terms, arrays, numbers, items]


# Statements
# ------------------------------------------------------------------------------------------------------------

def statements(program: Program, statement: Statement) -> Found:
    """The whole statement otherwise."""
    node = statement.node
    if not isinstance(node, (ast.Return, ast.FunctionDef)):
        yield 1, "line_too_many", "pass"
    if isinstance(node, ast.Assign) and not isinstance(node.targets[0], (ast.Tuple, ast.List)):
        key = "overwritten" if statement.loops else "term_missing"
        yield 1, key, f"{ast.unparse(node.targets[0])} += {ast.unparse(node.value)}"
    if isinstance(node, ast.Assign):
        for k, target in enumerate(node.targets):
            before = [f"{ast.unparse(other)} = " for other in node.targets[:k]]
            after = "".join(f" = {ast.unparse(other)}" for other in [*node.targets[k + 1:], node.value])
            if isinstance(target, (ast.Tuple, ast.List)):
                for order in orders(list(map(ast.unparse, target.elts))):
                    yield 1.2, "order", f"{''.join(before)}{', '.join(order)}{after}"
            if isinstance(target, ast.Subscript):
                yield 1, "repeated_index", _added_at(target, ast.unparse(node.value))
                for cost, key, text in subscripts(target, statement):
                    yield cost, key, f"{''.join(before)}{bare(target.value)}[{text}]{after}"
    if isinstance(node, ast.AugAssign):
        name, value, op = ast.unparse(node.target), bare(node.value), symbol(node)
        yield 1, "added_up", f"{name} = {value}"
        yield 1, "upstream_written", f"{name} = {name} {op} {value}"
        yield from ((1, "sign", f"{name} {other}= {value}") for other in "+-*" if other != op)
        if isinstance(node.target, ast.Subscript):
            yield 1, "repeated_index", _added_at(node.target, value)
            for cost, key, text in subscripts(node.target, statement):
                yield cost, key, f"{bare(node.target.value)}[{text}] {op}= {value}"
    if isinstance(node, ast.For) and isinstance(node.target, ast.Tuple):
        body = ast.unparse(node).partition("\n")[2]
        for order in orders(list(map(ast.unparse, node.target.elts))):
            yield 1.2, "order", f"for {', '.join(order)} in {ast.unparse(node.iter)}:\n{body}"
    if not isinstance(node, (ast.For, ast.While, ast.If, ast.FunctionDef)):
        yield from _several_places(statement)


def _added_at(target: ast.Subscript, value: str) -> str:
    index = ast.unparse(target.slice)
    index = f"({index})" if isinstance(target.slice, ast.Tuple) else index
    return f"np.add.at({bare(target.value)}, {index}, {value})"


def _several_places(statement: Statement) -> Found:
    """Two values exchanged; a value, a function, a divisor or a transpose that is wrong in several places."""
    occurring: dict[str, list[Place]] = {}
    alike: dict[tuple[str, str], list[tuple[Place, ast.expr]]] = {}
    for place in statement.places:
        node = place.node
        if is_atom(node) and place.values:
            occurring.setdefault(place.text, []).append(place)
        if isinstance(node, ast.Call) and len(node.args) == 1 and place.shape is not None:
            alike.setdefault(("function_too_many", ast.unparse(node.func)), []).append((place, node.args[0]))
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Mult)):
            key = "factor" if isinstance(node.op, ast.Div) else "factor_too_many"
            alike.setdefault((key, ast.unparse(node.right)), []).append((place, node.left))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            for side in ("left", "right"):
                old = getattr(node, side)
                turned = isinstance(old, ast.Attribute) and old.attr == "T"
                new = old.value if turned else ast.Attribute(old, "T", ast.Load())
                sides = {"left": node.left, "right": node.right, side: new}
                both = ast.BinOp(sides["left"], node.op, sides["right"])
                alike.setdefault(("not_transposed", side), []).append((place, both))
    for (key, _), pairs in alike.items():
        if len(pairs) > 1:
            yield 2, key, rewritten(statement, pairs)
    for (_, here), (_, there) in itertools.combinations(occurring.items(), 2):
        nested = any(a.text in b.text or b.text in a.text for a in here[:1] for b in there[:1])
        if here[0].kind == there[0].kind and not nested:
            pairs = [(place, there[0].node) for place in here] + [(place, here[0].node) for place in there]
            yield 1, "order", rewritten(statement, pairs)
    for places in occurring.values():
        if len(places) > 1:
            for atom in like(places[0]):
                yield 1, "another_value", rewritten(
                    statement, [(place, ast.Name(atom.text, ast.Load())) for place in places])


def rewritten(statement: Statement, pairs: list[tuple[Place, ast.expr]]) -> str:
    """Return the statement's text with other nodes in some places."""
    old = [get(place.hook) for place, _ in pairs]
    for place, new in pairs:
        put(place.hook, new)
    try:
        return ast.unparse(statement.node)
    finally:
        for (place, _), node in zip(pairs, old):
            put(place.hook, node)


def orders_of_lines(statement: Statement) -> Iterator[list[ast.stmt]]:
    """The statement a line further down, at the body's beginning, or at its end."""
    body, at = statement.body, statement.body.index(statement.node)
    for to in {at + 1, 0, len(body) - 1} - {at}:
        if to < len(body) and not any(isinstance(body[k], ast.Return) for k in (at, to)):
            rest = [node for node in body if node is not statement.node]
            yield [*rest[:to], statement.node, *rest[to:]]


def insertions(program: Program, statement: Statement) -> Found:
    """A line that is missing before the statement: p - 1 at the target."""
    near, own = read(program, statement), own_names(statement.unit)
    mentioned = {node.id for node in ast.walk(statement.node) if isinstance(node, ast.Name)}
    targets = [atom.text for kind, atoms in near.items() if kind[:2] == ("array", "i") for atom in atoms]
    if not targets and program.forward:
        targets = [atom.text for atom in near.get(("int",), [])]
    for kind, atoms in near.items():
        names = [atom.text for atom in atoms if atom.text in own and atom.text in mentioned]
        for x, target in itertools.product(names, targets) if kind[0] == "float" and len(kind) > 1 else ():
            yield 2, "p_without_y", f"{x}[{target}] -= 1"
            if len(kind) > 2:
                yield 2, "p_without_y", f"{x}[np.arange(len({x})), {target}] -= 1"
