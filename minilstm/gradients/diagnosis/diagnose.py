"""``diagnose``: which line of the derivation did this backward get wrong?"""

from __future__ import annotations

import html
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import is_array
from minilstm.gradients.conventions import flatten
from minilstm.gradients.diagnosis.derivation import CELLS, Cell, Line
from minilstm.gradients.diagnosis.engine import Block
from minilstm.gradients.diagnosis.habits import CLIPPED, RANDOM, SMALL, find_habits
from minilstm.gradients.diagnosis.recognition import Reading, recognise, recognise_wrong
from minilstm.gradients.diagnosis.search import Explanation, Problem, explain, search
from minilstm.gradients.diagnosis.slips import Edit
from minilstm.gradients.subjects import make_subject
from minilstm.gradients.view import Subject

SECONDS = 2.0


@dataclass(frozen=True)
class Slip:
    """One mistake.

    ``line``: its number in the derivation of cells/lstm.py, gru.py or rnn.py, or None where the derivation has no such line;
    ``right``: that line; ``wrong``: what stands there instead; ``where``: the argument or gate.
    """

    line: int | None
    right: str
    wrong: str
    where: str

    def __str__(self) -> str:
        if self.line is None:
            return f"{self.where}: {self.wrong}" if self.where.startswith(("dW", "db")) else self.wrong
        what = self.wrong if self.wrong.startswith(f"{self.where} = ") else f"{self.where}: {self.wrong}"
        return f"{what}; line {self.line} of the derivation says {self.right}"


@dataclass(frozen=True)
class Diagnosis:
    """What ``diagnose`` found.

    Attributes:
        cell: "LSTM", "GRU", "RNN", or None where the forward computes none of them.
        conventions: how its arguments are arranged, in words.
        smallest_t: the fewest time steps at which a gradient is wrong; None if none is.
        named: whether ``slips`` explain every gradient exactly, at every number of steps.
        slips: the mistakes.
        others: further explanations by as few mistakes, which these inputs cannot tell apart.
        wrong: the arguments whose gradients are wrong at ``smallest_t``.
        habits: what is wrong with the backward whatever it computes (habits.py), as sentences.
    """

    cell: str | None
    conventions: str = ""
    smallest_t: int | None = None
    named: bool = False
    slips: tuple[Slip, ...] = ()
    others: tuple[tuple[Slip, ...], ...] = ()
    wrong: tuple[str, ...] = ()
    habits: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "diagnosis: " + "\n  ".join([*self._sentences(), *self.habits])

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the sentences as a list."""
        items = "".join(f"<li>{html.escape(words)}</li>" for words in (*self._sentences(), *self.habits))
        return f"<p>Diagnosis</p><ul>{items}</ul>"

    def _sentences(self) -> list[str]:
        if self.cell is None:
            unknown = "the forward is none of the RNN, GRU and LSTM of minilstm.cells, so the mistake cannot be named"
            return [] if self.habits else [unknown]
        first = f"the forward is that of {self.conventions}"
        if self.smallest_t is None:
            small = "small " * bool(self.habits)        # habits: what becomes of large ones, or what is added
            return [first, *map(str, self.slips), f"its {small}gradients are those of the derivation"]
        if not self.named:
            when = {1: "already with one time step, so the mistake is inside the cell, or in what is returned",
                    2: "with two time steps and not with one, so it is a carry (dh_prev, dc_prev) or a sum over time"}
            several = f"with {self.smallest_t} time steps and not with fewer, so it is an index, or a carry over several steps"
            return [first, f"the gradients of {', '.join(self.wrong)} are wrong {when.get(self.smallest_t, several)}",
                    "the mistake is none of those that are recognised"]
        lines = [f"{'and with' if k else 'it is exactly what you get with'} {slip}" for k, slip in enumerate(self.slips)]
        if self.others:
            more = f"{len(self.others)} other explanation{'s' * (len(self.others) > 1)}"
            lines.append(f"{more} cannot be told apart from it, such as {self.others[0][0]}")
        return [first, *lines]


def diagnose(target: Any, inputs: Any, *, seconds: float = SECONDS, rng: Any = 0, **options: Any) -> Diagnosis:
    """Name the mistakes in the backward of ``target``, a layer or a pair of functions as for ``gradcheck``.

    The forward tells which cell it is and how its arguments are arranged; then the fewest wrong lines of the derivation are
    sought with which it gives exactly the gradients of ``target``, with one time step, two, and all of them.

    Args:
        target, inputs, options: as for ``gradcheck``.
        seconds: how long to search, at most.
        rng: seed or Generator of the upstream gradients.

    Returns a Diagnosis; ``named`` is False where the forward is another cell or the mistake is none of those that are known.
    """
    return diagnosis_of(make_subject(target, inputs, options), seconds, rng)


def diagnosis_of(subject: Subject, seconds: float = SECONDS, rng: Any = 0) -> Diagnosis:
    """As ``diagnose``, for a subject of gradcheck."""
    deadline = time.perf_counter() + 0.85 * seconds     # what is found then must still be put in order
    arrays = {name: to_numpy(value).astype(np.float64) for name, value in subject.tensors.items()}
    outputs = [np.asarray(to_numpy(y), dtype=np.float64) for y in subject.run(subject.tensors)][:subject.covered or None]
    integers = {name: np.asarray(leaf) for name, leaf in zip(subject.input_names, flatten(subject.inputs.values))
                if name not in arrays and (is_array(leaf) or isinstance(leaf, list)) and np.asarray(leaf).dtype.kind in "iu"}
    generator = np.random.default_rng(rng)
    habits = find_habits(subject, [generator.standard_normal(y.shape) for y in subject.run(subject.tensors)])
    if RANDOM in habits:
        return Diagnosis(None, named=True, habits=habits)
    reading = recognise(arrays, integers, outputs)
    if reading is None:
        reading = recognise_wrong(arrays, integers, outputs, time.perf_counter() + seconds / 2)
    if reading is None:
        return Diagnosis(None, habits=habits)
    problems = _problems(subject, reading, {**arrays, **integers}, generator, SMALL if CLIPPED in habits else 1.0)
    base, _, variant = reading.cell.key.partition(", ")
    if variant and not reading.cell.reset_first and any(explain(problem, {}).cost for problem in problems):
        as_usual = CELLS[base]._replace(forward=reading.cell.forward)       # the backward may belong to the usual forward
        others = [replace(problem, cell=as_usual) for problem in problems]
        if not any(explain(problem, {}).cost for problem in others):
            reading, problems = replace(reading, cell=as_usual), others
    before = _wrong_equations(reading.cell)
    name, words = reading.cell.name, reading.words()
    first = next(((problem, one.last, one.open) for problem in problems if (one := explain(problem, {})).cost), None)
    if first is None or before and _is_consistent(subject, rng):
        return Diagnosis(name, words, named=bool(before or habits), slips=before, habits=habits)
    found = search(problems, deadline)
    slips = [(*before, *slips_of(reading.cell, one)) for one in found]
    named = bool(found) and not found[0].open
    wrong = tuple(dict.fromkeys(_where(reading.cell, block) for block in (*first[1], *first[2])))
    best, more = (slips[0], tuple(one for one in dict.fromkeys(slips) if one != slips[0])) if named else ((), ())
    return Diagnosis(name, words, first[0].T, named, best, more, wrong, habits)


def _is_consistent(subject: Subject, rng: Any) -> bool:
    """Return whether the gradients are those of the subject's own forward, in one random direction."""
    generator, eps = np.random.default_rng(rng), 1e-5
    upstream = [generator.standard_normal(np.shape(y)) for y in subject.run(subject.tensors)]
    gradients = subject.gradients(subject.tensors, [u.copy() for u in upstream])
    way = {name: generator.standard_normal(gradient.shape) for name, gradient in gradients.items()}
    sides = [sum(float((u * to_numpy(y)).sum()) for u, y in zip(upstream, subject.run(
        {name: value + sign * eps * way.get(name, 0.0) for name, value in subject.tensors.items()}))) for sign in (1, -1)]
    slope = sum(float((to_numpy(gradient) * way[name]).sum()) for name, gradient in gradients.items())
    return abs((sides[0] - sides[1]) / (2 * eps) - slope) <= 1e-6 * max(1.0, abs(slope))


def _wrong_equations(cell: Cell) -> tuple[Slip, ...]:
    """Return what a forward has in place of the equations of its cell."""
    pairs = [(now, line) for now, line in zip(cell.forward, CELLS[cell.key].forward) if now != line]
    return tuple(Slip(None, str(line), f"the forward has {now}, where the equation is {line}", line.target)
                 for now, line in pairs)


def _problems(subject: Subject, reading: Reading, arrays: dict[str, np.ndarray], rng: np.random.Generator,
              scale: float) -> list[Problem]:
    """Return the problems with one step, two, and all."""
    every = len(reading.weights(arrays).x)
    lists = {name for name, leaf in zip(subject.input_names, flatten(subject.inputs.values)) if isinstance(leaf, list)}
    problems = []
    for T in sorted({1, min(2, every), min(3, every), every}):
        cut = reading.cut(arrays, T)
        given = {name: value.tolist() if name in lists else value for name, value in cut.items()}
        upstream = [scale * rng.standard_normal(y.shape) for y in subject.run(given)]
        gradients = {name: np.asarray(to_numpy(value), dtype=np.float64) for name, value in subject.gradients(
            given, [u.copy() for u in upstream]).items()}
        blocks: dict[Block, np.ndarray] = {}
        for name, gradient in gradients.items():
            if gradient.shape == cut[name].shape:
                blocks.update(reading.parts(name, gradient))
        problems.append(Problem(reading.cell, reading.weights(cut), reading.upstreams(upstream, cut, T), blocks))
    return problems


def slips_of(cell: Cell, found: Explanation) -> tuple[Slip, ...]:
    """Return an explanation in words."""
    slips = [_slip(cell, edit) for edit in found.spec.values()]
    together: dict[str, list[Block]] = {}
    for block, words in found.last.items():
        together.setdefault(words, []).append(block)
    for words, blocks in together.items():
        line = (cell.products if blocks[0][0] in ("x", "E", "h0") else cell.sums)[0]
        if blocks[0][0] == "c0":
            line = next(one for one in cell.backward if one.target == "dc_prev")
        if blocks[0][0] in ("W_y", "b_y"):
            line = Line(None, "", "")
        slips.append(Slip(line.number, str(line), words, ", ".join(dict.fromkeys(_where(cell, block) for block in blocks))))
    return tuple(slips)


def _slip(cell: Cell, edit: Edit) -> Slip:
    if isinstance(edit.place, int):
        line = next(line for line in cell.backward if line.number == edit.place)
        later = " at t > 0" * edit.later
        return Slip(line.number, str(line), f"{line.target} = {edit.wrong}{later}", line.target)
    if edit.place == "carry h":
        return Slip(1, str(cell.products[0]), edit.words + ", at t > 0" * edit.later, "dh_prev")
    if edit.place == "carry c":
        line = next(line for line in cell.backward if line.target == "dc_prev")
        return Slip(line.number, str(line), edit.words, "dc_prev")
    return Slip(None, "", edit.words, {"loop": "the loop over time"}.get(str(edit.place), "dh"))


def _where(cell: Cell, block: Block) -> str:
    what, gate = block
    name = f"d{what}"
    return name if gate is None or len(cell.gates) == 1 else f"{name} of gate {cell.gates[gate]}"
