"""The family of slips: every way of getting one line of a derivation wrong that the search tries.

A line such as ``dc = dc + dh * o_t * (1 - tanh²(c_t))`` is a sum of products. Slips are edits of this text: a term or factor
left out, doubled or negated, a factor replaced by another of its kind, a derivative written for the activated value or for the
other nonlinearity. They are made from the text itself, so each has the words that a message needs. What no text shows, such as
the order of the loop, has a name (``PASSES``, ``CARRIES``), and so has a wrong last step towards one argument (last_lines.py).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from minilstm.gradients.diagnosis.derivation import CELLS, Line

# The derivative of a sigmoid and of a tanh, written with the activated value {s}, and what is written instead.
D_SIGMA, D_TANH = "{s} * (1 - {s})", "(1 - {s}²)"
FOR_D_SIGMA = ("", "σ'({s})", "(1 - {s}²)", "{s}", "(1 - {s})", "σ({s})", "(1 - tanh²({s}))", "{s} * (1 + {s})",
               "{s} * (1 - {s}) * {s} * (1 - {s})", "({s} * (1 - {s}))^½")
FOR_D_TANH = ("", "(1 - {s}) * (1 - {s})",
              "(1 - tanh²({s}))", "{s} * (1 - {s})", "(1 - {s})", "σ'({s})", "(1 + {s}²)", "(1 - tanh(tanh({s}))²)",
              "{s}²", "(1 - {s}²)^½")
FOR_D_TANH_C = ("", "(1 - tanh(c_t)) * (1 - tanh(c_t))",
                "(1 - c_t²)", "(1 - h_t²)", "(1 - tanh(tanh(c_t))²)", "(1 - tanh²(c_{t-1}))", "(1 - tanh(c_t))",
                "tanh(c_t) * (1 - tanh(c_t))", "(1 - c_{t-1}²)", "(1 + tanh²(c_t))", "σ'(c_t)",
                "(1 - tanh²(c_t))^½")

# What may stand in place of a factor, by cell: values of the step, and gradients that exist when the line is reached.
VALUES = {
    "lstm": ("f_t", "i_t", "o_t", "c̃_t", "c_t", "c_{t-1}", "tanh(c_t)", "tanh(c_{t-1})", "h_t", "h_{t-1}", "tanh(tanh(c_t))",
             "(1 - tanh²(c_t))", "(w_c [h_{t-1}, x_t] + b_c)", "f_{t+1}", "f_{t-1}", "f_{max(t-1, 0)}", "f_{min(t+1, T-1)}"),
    "gru": ("r_t", "z_t", "n_t", "q_t", "(1 - z_t)", "(1 - r_t)", "h_t", "h_{t-1}", "(h_{t-1} - n_t)", "(n_t - h_{t-1})",
            "(h_t - n_t)"),
    "rnn": ("h_t", "h_{t-1}"),
    "rnn, relu": ("h_t", "(h_{t-1} > 0)", "(1 - h_t²)"),
}
LOCAL = "dh * o_t * (1 - tanh²(c_t))"       # the share of dc that comes through h_t
GRADIENTS: dict[str, dict[int, tuple[str, ...]]] = {
    "lstm": {12: ("dh_above", "dc", f"(dc + {LOCAL})"), 11: ("do", "do * o_t * (1 - o_t)", "dh_above"),
             6: ("di", "do", "dc̃"), 5: ("df", "do", "dc̃"),
             4: ("df", "di", "dc̃"), 3: ("df", "di", "do"), **{k: ("dc_{t+1}", f"{LOCAL}", "dh") for k in (10, 9, 8, 7)}},
    "gru": {10: ("dh_above",), 9: ("dh_above", "dn"), 8: ("dh_above", "dn"), 7: ("dh", "dz"), 6: ("dn", "dh"),
            5: ("dn", "dh", "dq"),
            4: ("dn", "dh", "dr"), 3: ("dz", "dn", "dq")},
    "rnn": {3: ("dh_above",)},
}


class Edit(NamedTuple):
    """One slip.

    ``place``: a line's number, or "loop", "above", "final", "gates", "loss", "carry h" or "carry c"; ``wrong``: what stands
    there instead; ``words``: the same for a reader; ``later``: only at t > 0, as where the first step has lines of its own.
    """

    place: int | str
    wrong: str
    words: str = ""
    later: bool = False


# Slips of the loop over time. The first word is what the engine reads, the rest what a message says.
PASSES = (
    Edit("above", "last", "only the last step's dh from above"),
    Edit("above", "first", "only the first step's dh from above"),
    Edit("above", "none", "no dh from above"),
    *(Edit("loop", f"skip last{kept}", "a loop that leaves out the last step") for kept in ("", ", kept")),
    *(Edit("loop", f"skip first{kept}", "a loop that leaves out the first step (t = 0)") for kept in ("", ", kept")),
    *(Edit("loop", f"truncated {k}", f"only the last {k} steps gone back through (truncated)") for k in (1, 2, 3, 4)),
    Edit("final", "h", "the gradient of the final hidden state ignored"),
    Edit("final", "c", "the gradient of the final cell state ignored"),
    Edit("final", "both", "the gradients of the final states ignored"),
)


# Slips of the gradient of the loss, softmax with cross-entropy; "mean" ones are made where the loss is another sum or mean.
LOSSES = {
    "": "", "negated": "the wrong sign of the loss's gradient",
    "p": "p where p - y belongs: nothing is subtracted at the target",
    "sum": "the gradient of a sum where the loss is a mean: the factor 1/n is missing",
    "mean T": "a gradient divided by T, where the loss is not", "mean N": "a gradient divided by N, where the loss is not",
    "mean NT": "a gradient divided by N T, where the loss is not",
    "last": "only the last step's loss gone back through", "p + y": "p + y where p - y belongs",
    "squared": "(p - y) * p * (1 - p): the rule of the squared error, not of cross-entropy",
}


def carries(cell: str) -> Iterator[Edit]:
    """Yield the slips of what is handed to step t-1: dh_prev (line 1), and dc_prev where there is one."""
    for wrong, words in (("none", "dh_prev = 0: nothing is handed on to step t-1"),
                         ("unused", "dh_prev of step t+1 is not added to dh"), ("twice", "dh_prev = 2 dz Wᵀ"),
                         ("negated", "dh_prev = -dz Wᵀ"), ("untransposed", "dh_prev = dz W, not transposed"),
                         ("rows [h, x]", "dh_prev is cut from the last columns of d[h, x], which are x's"),
                         ("rows [x, h]", "dh_prev is cut from the first columns of d[x, h], which are x's"),
                         ("rows [1, x, h]", "dh_prev is cut one column too early from d[1, x, h]"),
                         ("added", "dh_prev is added to that of step t+1: += for ="),
                         ("before", "dh_prev is made from the gradients before the nonlinearities"),
                         ("dh", "dh itself is handed on as dh_prev, not dz Wᵀ"),
                         ("dh plus", "dh is added to dh_prev")):
        yield Edit("carry h", wrong, words)
    gates = CELLS[cell].gates
    for a, b in itertools.combinations(gates, 2):
        yield Edit("gates", f"{a} {b}", f"the blocks of gates {a} and {b} are exchanged in dz")
    if len(gates) > 1:
        for gate in gates:
            yield Edit("carry h", f"untransposed {gate}", f"in dh_prev, W of gate {gate} is not transposed")
            yield from (Edit("carry h", f"swapped {gate} {other}", f"in dh_prev, gate {gate} goes through W of gate {other}")
                        for other in gates if other != gate)
            yield Edit("carry h", f"without {gate}", f"dh_prev without the share of gate {gate}")
            yield Edit("carry h", f"only {gate}", f"dh_prev has the share of gate {gate} alone")
    if cell.startswith("gru"):
        yield Edit("carry h", "da_n", "dh_prev has da_n where dq belongs")
        yield Edit("carry h", "direct", "dh_prev = dh * z_t alone: the share through W is missing")
    if cell.startswith("lstm"):
        yield Edit("carry c", "added", "dc_prev is added to that of step t+1: += for =")
        yield Edit("carry c", "frozen", "dc stays what it was at the last step")


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


def _derivatives(factors: list[str]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield (start, stop, alternatives) where factors are a nonlinearity's derivative."""
    for k, factor in enumerate(factors):
        found = re.fullmatch(r"\(1 - (\S+)²\)", factor)
        if factor == "(1 - tanh²(c_t))":
            yield k, k + 1, FOR_D_TANH_C
        elif found:
            also = {"h_t": ("(1 - h_{t-1}²)",), "c̃_t": ("σ'(w_c [h_{t-1}, x_t] + b_c)",)}.get(found[1], ())
            yield k, k + 1, (*(one.format(s=found[1]) for one in FOR_D_TANH), *also)
        elif k and factor == f"(1 - {factors[k - 1]})":
            s, gates = factors[k - 1], ("f_t", "i_t", "o_t") if factors[k - 1] in ("f_t", "i_t", "o_t") else ("r_t", "z_t")
            mixed = [text for g in gates if g != s for text in (f"{s} * (1 - {g})", f"{g} * (1 - {s})", f"{g} * (1 - {g})")]
            yield k - 1, k + 1, (*(one.format(s=s) for one in FOR_D_SIGMA), *mixed)


@cache
def edits(cell: str, number: int) -> tuple[Edit, ...]:
    """Return the slips of one numbered line, each once."""
    line = next(line for line in CELLS[cell].backward if line.number == number)
    found: dict[str, Edit] = {}
    for wrong in _wrongs(cell, line):
        if wrong != line.right:
            found.setdefault(wrong, Edit(number, wrong))
    return tuple(found.values())


def wrong_forwards(cell: str) -> Iterator[tuple[Line, ...]]:
    """Yield the equations of a forward with one of them wrong, or with another function in all gates."""
    forward = CELLS[cell].forward
    for function in ("tanh({})", "{}", "σ(2 * ({}))", "σ({} + 1)", "σ(-({}))"):
        yield tuple(line._replace(right=function.format(line.right[2:-1])) if line.right.startswith("σ(") else line
                    for line in forward)
    for at, line in enumerate(forward):
        for wrong in dict.fromkeys(_wrong_equations(cell, line)):
            if wrong != line.right:
                yield (*forward[:at], line._replace(right=wrong), *forward[at + 1:])


def _wrong_equations(cell: str, line: Line) -> Iterator[str]:
    found = re.fullmatch(r"(σ|tanh)\((.*)\)", line.right)
    if found:
        inner = found[2]
        yield from (inner, f"tanh({inner})", f"σ({inner})", f"relu({inner})", f"σ(2 * ({inner}))", f"tanh(2 * ({inner}))",
                    f"{found[1]}({inner} + 1)", f"{found[1]}(-({inner}))", f"{found[1]}({found[1]}({inner}))")
        if " + r_t * q_t" in inner:
            yield from (f"tanh({inner.replace('r_t * q_t', other)})" for other in ("q_t", "z_t * q_t", "(1 - r_t) * q_t"))
    elif "w_" not in line.right:
        yield from _wrongs(cell, line)


def _wrongs(cell: str, line: Line) -> Iterator[str]:
    terms = split(line.right, "+")
    for at, term in enumerate(terms):
        factors = split(term, "*")
        taken = set()
        for start, stop, instead in _derivatives(factors):
            taken |= set(range(start, stop))
            for one in instead:
                yield _with(terms, at, _product([*factors[:start], one, *factors[stop:]]))
        for k, factor in enumerate(factors):
            if k in taken:
                continue
            gradient = factor.startswith("d")
            name = CELLS[cell].name.lower()
            others = GRADIENTS[name].get(line.number or 0, ()) if gradient else VALUES.get(cell, VALUES[name])
            for other in ("", *others):
                if other or len(factors) > 1:
                    yield _with(terms, at, _product([*factors[:k], other, *factors[k + 1:]]))
                if other and not gradient and re.fullmatch(r"\S+_t", other):
                    yield _with(terms, at, _product([*factors[:k], other, f"(1 - {other})", *factors[k + 1:]]))
            if not gradient:
                yield _with(terms, at, _product([*factors[:k], factor, f"(1 - {factor})", *factors[k + 1:]]))
                yield _with(terms, at, _product([*factors[:k], f"(1 - {factor})", *factors[k + 1:]]))
        for one in VALUES.get(cell, VALUES[CELLS[cell].name.lower()]):      # a factor too many
            yield _with(terms, at, _product([*factors, one]))
        for start, _, _ in _derivatives(factors):       # both the derivative and the factor beside it missing
            if start > 1:
                yield _with(terms, at, _product(factors[:1] + factors[start:]))
                yield _with(terms, at, _product(factors[:1]))
        yield _with(terms, at, f"-{term}" if at == 0 else f"-1 * {term}")
    if len(terms) > 1:
        for at in range(len(terms)):
            yield " + ".join(terms[:at] + terms[at + 1:])
    yield "0 * " + terms[0]
    yield f"2 * ({line.right})"
    yield f"{line.right} + {terms[0].split(' * ')[0]}"


def _with(terms: list[str], at: int, new: str) -> str:
    return " + ".join([*terms[:at], new, *terms[at + 1:]])
