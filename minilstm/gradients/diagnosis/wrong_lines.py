"""Every way of getting the derivation wrong that the search tries, but for the last products
(last_products.py).

A line such as ``dc = dc + dh * o_t * (1 - tanh²(c_t))`` is a sum of products. Its wrong versions are edits of
this text: a term or factor left out, doubled or negated, a factor replaced by another of its kind, a
derivative written for the activated value or for the other nonlinearity. What no text shows, such as the
order of the loop, is a small record that simulate.py heeds. Each edit comes with its finding, which says what
it is.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from functools import cache
from typing import Any, NamedTuple

from minilstm.gradients.diagnosis.derivation import Cell, Line, Variant
from minilstm.gradients.diagnosis.findings import Finding, Part

# The derivative of a sigmoid and of a tanh are written with the activated value {s}: {s} * (1 - {s}) and (1 -
# {s}²). What is written instead, and which mistake that is.
FOR_D_SIGMA = {
    "": "no_sigmoid_derivative", "σ'({s})": "sigmoid_derivative_of_gate", "(1 - {s}²)": "rules_exchanged",
    "{s}": "no_sigmoid_derivative", "(1 - {s})": "", "σ({s})": "no_sigmoid_derivative",
    "(1 - tanh²({s}))": "rules_exchanged", "{s} * (1 + {s})": "", "{s} * (1 - {s}) * {s} * (1 - {s})": "",
    "({s} * (1 - {s}))^½": ""}
FOR_D_TANH = {
    "": "no_tanh_derivative", "(1 - {s}) * (1 - {s})": "",
    "(1 - tanh²({s}))": "tanh_derivative",
    "{s} * (1 - {s})": "rules_exchanged", "(1 - {s})": "tanh_derivative", "σ'({s})": "tanh_derivative",
    "(1 + {s}²)": "", "(1 - tanh(tanh({s}))²)": "tanh_derivative", "{s}²": "", "(1 - {s}²)^½": ""}
FOR_D_TANH_C = {
    "": "no_tanh_derivative", "(1 - tanh(c_t)) * (1 - tanh(c_t))": "", "(1 - c_t²)": "c_in_tanh_derivative",
    "(1 - h_t²)": "c_in_tanh_derivative", "(1 - tanh(tanh(c_t))²)": "tanh_derivative",
    "(1 - tanh²(c_{t-1}))": "", "(1 - tanh(c_t))": "", "tanh(c_t) * (1 - tanh(c_t))": "",
    "(1 - c_{t-1}²)": "",
    "(1 + tanh²(c_t))": "", "σ'(c_t)": "c_in_tanh_derivative", "(1 - tanh²(c_t))^½": ""}
ALSO = {"h_t": {"(1 - h_{t-1}²)": ""},
        "c̃_t": {"σ'(w_c [h_{t-1}, x_t] + b_c)": "rules_exchanged"}}

# What may stand in place of a factor, by cell: values of the step, and gradients that exist when the line is
# reached.
OTHER_F = ("f_{t+1}", "f_{t-1}", "f_{max(t-1, 0)}", "f_{min(t+1, T-1)}")
VALUES = {
    "LSTM": ("f_t", "i_t", "o_t", "c̃_t", "c_t", "c_{t-1}", "tanh(c_t)", "tanh(c_{t-1})", "h_t", "h_{t-1}",
             "tanh(tanh(c_t))", "(1 - tanh²(c_t))", "(w_c [h_{t-1}, x_t] + b_c)", *OTHER_F),
    "GRU": ("r_t", "z_t", "n_t", "q_t", "(1 - z_t)", "(1 - r_t)", "h_t", "h_{t-1}", "(h_{t-1} - n_t)",
            "(n_t - h_{t-1})", "(h_t - n_t)"),
    "RNN": ("h_t", "h_{t-1}"),
}
RELU_VALUES = ("h_t", "(h_{t-1} > 0)", "(1 - h_t²)")
ZERO = "0 * "            # before a term, for its shape
LOCAL = "dh * o_t * (1 - tanh²(c_t))"       # the share of dc that comes through h_t
GRADIENTS: dict[str, dict[int, tuple[str, ...]]] = {
    "LSTM": {12: ("dh_above", "dc", f"(dc + {LOCAL})"), 11: ("do", "do * o_t * (1 - o_t)", "dh_above"),
             6: ("di", "do", "dc̃"), 5: ("df", "do", "dc̃"), 4: ("df", "di", "dc̃"), 3: ("df", "di", "do"),
             **{k: ("dc_{t+1}", f"{LOCAL}", "dh") for k in (10, 9, 8, 7)}},
    "GRU": {10: ("dh_above",), 9: ("dh_above", "dn"), 8: ("dh_above", "dn"), 7: ("dh", "dz"), 6: ("dn", "dh"),
            5: ("dn", "dh", "dq"), 4: ("dn", "dh", "dr"), 3: ("dz", "dn", "dq")},
    "RNN": {3: ("dh_above",)},
}
# The mistake, by cell, line, what is replaced (a factor or a term), and what stands there; ANY for all
# others.
ANY = "any"
NAMED = {
    ("LSTM", 12, "tanh(c_t)", "c_t"): "c_for_tanh_c",
    ("LSTM", 11, "dc", ANY): "dc_not_added",
    ("LSTM", 11, "dh", "do"): "do_for_dh", ("LSTM", 11, "dh", "do * o_t * (1 - o_t)"): "do_for_dh",
    ("LSTM", 11, "o_t", ""): "no_o_in_dc",
    ("LSTM", 11, LOCAL, ""): "dc_prev_from_one_source",
    ("LSTM", 10, "c_{t-1}", "c_t"): "c_for_c_prev",
    ("LSTM", 9, "c̃_t", "i_t"): "partners_exchanged", ("LSTM", 8, "i_t", "c̃_t"): "partners_exchanged",
    ("LSTM", 7, "dc", ANY): "dc_prev_from_one_source", ("LSTM", 7, "f_t", ANY): "dc_prev_without_f",
    **{("LSTM", 7, "f_t", other): "dc_prev_with_another_f" for other in OTHER_F},
    **{("GRU", line, "(1 - z_t)", "z_t"): "gru_z_exchanged" for line in (8, 10)},
    **{("GRU", line, "z_t", "(1 - z_t)"): "gru_z_exchanged" for line in (8, 10)},
    ("GRU", 9, "(h_{t-1} - n_t)", "(n_t - h_{t-1})"): "gru_sign_of_dz",
    ("GRU", 9, "(n_t - h_{t-1})", "(h_{t-1} - n_t)"): "gru_sign_of_dz",
    **{("GRU", 8, factor, ""): "gru_no_direct_path" for factor in ("z_t", "(1 - z_t)")},
    **{("GRU", 8, f"dh * {factor}", "0"): "gru_no_direct_path" for factor in ("z_t", "(1 - z_t)")},
    ("GRU", 6, "r_t", ""): "gru_no_r",
}


class Place(Enum):
    """Where the derivation can be changed, beside its numbered lines."""

    LOOP = auto()
    ABOVE = auto()
    FINAL = auto()
    GATES = auto()
    LOSS = auto()
    CARRY_H = auto()
    CARRY_C = auto()


class Edit(NamedTuple):
    """A change of the derivation: where, to what (a formula or a record), and what that is."""

    place: int | Place
    change: Any
    finding: Finding

    def later(self) -> Edit:
        """Return the same at t > 0 alone, as where the first step has lines of its own."""
        return self._replace(finding=self.finding._replace(later=True))


class Loop(NamedTuple):
    """The loop over time: steps left out at its two ends, or only the last ``steps``.

    ``final_first``: the final states' gradients are there from the start, wherever the loop begins.
    """

    first: int = 0
    last: int = 0
    steps: int | None = None
    final_first: bool = False


class Above(NamedTuple):
    """The steps whose gradients from above are used."""

    first: bool = False
    last: bool = False


class Rows(Enum):
    """Rows of W that are taken for those of h or x: as if it were [x, h] and so on."""

    HX = auto()
    XH = auto()
    ONE_XH = auto()         # behind a row for the bias


class Carry(NamedTuple):
    """How dh_prev is made and used, by default as in line 1."""

    handed_on: bool = True
    read: bool = True                   # by step t-1
    added_up: bool = False
    factor: float = 1.0
    source: str = "past"                # "past", "before" or "dz", see simulate.Trace
    rows: Rows | None = None
    gates: tuple[int, ...] | None = None            # only their shares
    untransposed: tuple[int, ...] = ()              # gates whose W is not transposed
    through: tuple[int, int] | None = None          # a gate, and the one whose W it goes through
    instead: str = ""                               # "dh" or "direct" (the path along the state) alone
    plus_dh: bool = False


class CellCarry(Enum):
    """How dc_prev is used wrongly."""

    ADDED_UP = auto()
    FROZEN = auto()


def _loop(form: str, loop: Loop, *values: Any) -> Edit:
    return Edit(Place.LOOP, loop, Finding(form, values))


def _above(place: Place, change: Any, form: str, *values: Any) -> Edit:
    return Edit(place, change, Finding(form, values, parts=(Part("dh"),)))


PASSES = (
    _above(Place.ABOVE, Above(last=True), "above at one step", "last"),
    _above(Place.ABOVE, Above(first=True), "above at one step", "first"),
    _above(Place.ABOVE, Above(), "nothing from above"),
    *(_loop("last step left out", Loop(last=1, final_first=final)) for final in (False, True)),
    *(_loop("first step left out", Loop(first=1, final_first=final)) for final in (False, True)),
    *(_loop("truncated", Loop(steps=k), k) for k in (1, 2, 3, 4)),
    _above(Place.FINAL, ("h",), "final ignored", "hidden"),
    _above(Place.FINAL, ("c",), "final ignored", "cell"),
    _above(Place.FINAL, ("h", "c"), "finals ignored"),
)


def carries(cell: Cell) -> Iterator[Edit]:
    """Yield the mistakes in what is handed to step t-1: dh_prev (line 1), and dc_prev where there is one."""
    gates = tuple(range(len(cell.gates)))

    def carry(form: str, change: Carry, *values: str) -> Edit:
        line = cell.products[0]
        return Edit(Place.CARRY_H, change, Finding(form, values, "", 1, str(line), (Part("dh_prev"),)))
    yield carry("nothing handed on", Carry(handed_on=False))
    yield carry("not read", Carry(read=False))
    yield carry("twice", Carry(factor=2.0))
    yield carry("negated", Carry(factor=-1.0))
    yield carry("dz W", Carry(untransposed=gates))
    yield carry("h from the end", Carry(rows=Rows.HX))
    yield carry("h from the front", Carry(rows=Rows.XH))
    yield carry("h too early", Carry(rows=Rows.ONE_XH))
    yield carry("dh_prev added up", Carry(added_up=True))
    yield carry("dh_prev before", Carry(source="before"))
    yield carry("dh handed on", Carry(instead="dh"))
    yield carry("dh added", Carry(plus_dh=True))
    names = cell.gates
    for a, b in itertools.combinations(gates, 2):
        yield _above(Place.GATES, (a, b), "blocks exchanged", names[a], names[b])
    if len(gates) > 1:
        for k in gates:
            yield carry("gate not transposed", Carry(untransposed=(k,)), names[k])
            for other in gates:
                if other != k:
                    yield carry("gate through another", Carry(through=(k, other)), names[k], names[other])
            yield carry("without gate", Carry(gates=tuple(g for g in gates if g != k)), names[k])
            yield carry("one gate alone", Carry(gates=(k,)), names[k])
    if cell.name == "GRU":
        yield carry("da_n handed on", Carry(source="dz"))
        yield carry("direct path alone", Carry(instead="direct"))
    if cell.name == "LSTM":
        line = cell.line_of("dc_prev")
        for form, change in (("dc_prev added up", CellCarry.ADDED_UP), ("dc frozen", CellCarry.FROZEN)):
            finding = Finding(form, (), "", line.number, str(line), (Part("dc_prev"),))
            yield Edit(Place.CARRY_C, change, finding)


def split(text: str, sign: str) -> list[str]:
    """Split an expression at an operator that stands outside all parentheses."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
        if depth == 0 and text.startswith(f" {sign} ", at):
            parts.append(text[start:at])
            start = at + len(sign) + 2
    return [*parts, text[start:]]


def _product(factors: list[str]) -> str:
    return " * ".join(factor for factor in factors if factor) or "1"


def _derivatives(factors: list[str]) -> Iterator[tuple[int, int, Mapping[str, str]]]:
    """Yield (start, stop, alternatives with their mistakes) where factors are a nonlinearity's derivative."""
    for k, factor in enumerate(factors):
        found = re.fullmatch(r"\(1 - (\S+)²\)", factor)
        if factor == "(1 - tanh²(c_t))":
            yield k, k + 1, FOR_D_TANH_C
        elif found:
            s = found[1]
            yield k, k + 1, {**{text.format(s=s): key for text, key in FOR_D_TANH.items()}, **ALSO.get(s, {})}
        elif k and factor == f"(1 - {factors[k - 1]})":
            s = factors[k - 1]
            gates = ("f_t", "i_t", "o_t") if s in ("f_t", "i_t", "o_t") else ("r_t", "z_t")
            mixed = [text for g in gates if g != s
                     for text in (f"{s} * (1 - {g})", f"{g} * (1 - {s})", f"{g} * (1 - {g})")]
            yield k - 1, k + 1, {**{text.format(s=s): key for text, key in FOR_D_SIGMA.items()},
                                 **dict.fromkeys(mixed, "")}


@cache
def edits(cell: Cell, number: int) -> tuple[Edit, ...]:
    """Return the wrong versions of one numbered line, each once."""
    line = cell.line(number)
    found: dict[str, Edit] = {}
    for wrong, mistake in _wrong_versions(cell, line):
        if wrong != line.right and wrong not in found:
            where = (Part(line.target),)
            shown = "0" if wrong.startswith(ZERO) else wrong
            finding = Finding("formula", (line.target, shown), mistake, number, str(line), where)
            found[wrong] = Edit(number, wrong, finding)
    return tuple(found.values())


def wrong_forwards(cell: Cell) -> Iterator[tuple[Line, ...]]:
    """Yield the equations of a forward with one of them wrong, or with another function in all gates."""
    forward = cell.forward

    def is_gate(line: Line) -> bool:
        return line.right.startswith("σ(")
    for function in ("tanh({})", "{}", "σ(2 * ({}))", "σ({} + 1)", "σ(-({}))"):
        yield tuple(line._replace(right=function.format(line.right[2:-1])) if is_gate(line) else line
                    for line in forward)
    for at, line in sorted(enumerate(forward), key=lambda pair: "w_" in pair[1].right):
        for wrong in dict.fromkeys(_wrong_equations(cell, line)):
            if wrong != line.right:
                yield (*forward[:at], line._replace(right=wrong), *forward[at + 1:])


def _wrong_equations(cell: Cell, line: Line) -> Iterator[str]:
    found = re.fullmatch(r"(σ|tanh)\((.*)\)", line.right)
    if found:
        function, inner = found.groups()
        yield from (inner, f"tanh({inner})", f"σ({inner})", f"relu({inner})", f"σ(2 * ({inner}))",
                    f"tanh(2 * ({inner}))", f"{function}({inner} + 1)", f"{function}(-({inner}))",
                    f"{function}({function}({inner}))")
        if " + r_t * q_t" in inner:
            for other in ("q_t", "z_t * q_t", "(1 - r_t) * q_t"):
                yield f"tanh({inner.replace('r_t * q_t', other)})"
    elif "w_" not in line.right:
        yield from (wrong for wrong, _ in _wrong_versions(cell, line))


def _wrong_versions(cell: Cell, line: Line) -> Iterator[tuple[str, str]]:
    """Yield the wrong right-hand sides of a line, with the keys of their mistakes, or ""."""
    number, values = line.number or 0, RELU_VALUES if Variant.RELU in cell.variants else VALUES[cell.name]

    def named(old: str, new: str) -> str:
        return NAMED.get((cell.name, number, old, new), NAMED.get((cell.name, number, old, ANY), ""))
    terms = split(line.right, "+")
    for at, term in enumerate(terms):
        factors = split(term, "*")

        def with_term(new: str, mistake: str = "") -> tuple[str, str]:
            return " + ".join([*terms[:at], new, *terms[at + 1:]]), mistake

        def with_factors(start: int, stop: int, *new: str, mistake: str = "") -> tuple[str, str]:
            return with_term(_product([*factors[:start], *new, *factors[stop:]]), mistake)
        taken = set()
        for start, stop, instead in _derivatives(factors):
            taken |= set(range(start, stop))
            for text, mistake in instead.items():
                yield with_factors(start, stop, text, mistake=mistake)
        for k, factor in enumerate(factors):
            if k in taken:
                continue
            is_gradient = factor.startswith("d")
            others = GRADIENTS[cell.name].get(number, ()) if is_gradient else values
            for other in ("", *others):
                if other or len(factors) > 1:
                    yield with_factors(k, k + 1, other, mistake=named(factor, other))
                if other and not is_gradient and re.fullmatch(r"\S+_t", other):
                    yield with_factors(k, k + 1, other, f"(1 - {other})")
            if not is_gradient:
                yield with_factors(k, k + 1, factor, f"(1 - {factor})")
                yield with_factors(k, k + 1, f"(1 - {factor})")
        for value in values:                            # a factor too many
            yield with_factors(len(factors), len(factors), value)
        for start, _, _ in _derivatives(factors):       # both the derivative and the factor beside it missing
            if start > 1:
                yield with_factors(1, start)
                yield with_factors(1, len(factors), mistake=named(factors[1], ""))
        yield with_term(f"-{term}" if at == 0 else f"-1 * {term}")
    if len(terms) > 1:
        for at, term in enumerate(terms):
            yield " + ".join(terms[:at] + terms[at + 1:]), named(term, "")
    yield ZERO + terms[0], named(terms[0], "0") or "zero"
    yield f"2 * ({line.right})", ""
    yield f"{line.right} + {split(terms[0], '*')[0]}", ""
