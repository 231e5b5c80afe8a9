"""``diagnose``: which line of the derivation did this backward get wrong?"""

from __future__ import annotations

import html
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import is_array
from minilstm.gradients.check.linearity import CLIPPED, RANDOM, SMALL, check_linearity
from minilstm.gradients.diagnosis.derivation import CELLS, Cell
from minilstm.gradients.diagnosis.findings import Finding, Part
from minilstm.gradients.diagnosis.reading import Reading
from minilstm.gradients.diagnosis.recognise import recognise, recognise_wrong
from minilstm.gradients.diagnosis.search import Explanation, Problem, explain, search
from minilstm.gradients.diagnosis.simulate import Block
from minilstm.gradients.targets.arguments import flatten
from minilstm.gradients.targets.make import make_target
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.target import Target

SECONDS = 2.0


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
        wrong: the gradients that are wrong at ``smallest_t``.
        side_effects: what is wrong with the backward whatever it computes.
    """

    cell: str | None
    conventions: str = ""
    smallest_t: int | None = None
    named: bool = False
    slips: tuple[Finding, ...] = ()
    others: tuple[tuple[Finding, ...], ...] = ()
    wrong: tuple[Part, ...] = ()
    side_effects: tuple[SideEffect, ...] = ()

    @property
    def habits(self) -> tuple[str, ...]:
        """The side effects as sentences."""
        return tuple(map(str, self.side_effects))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as ``--json`` prints them."""
        return {"cell": self.cell, "conventions": self.conventions,
                "smallest_t": self.smallest_t, "named": self.named,
                "slips": [slip.as_dict() for slip in self.slips],
                "others": [[slip.as_dict() for slip in slips] for slips in self.others],
                "wrong": [str(part) for part in self.wrong], "habits": list(self.habits),
                "side_effects": [effect.key for effect in self.side_effects]}

    def __str__(self) -> str:
        return "diagnosis: " + "\n  ".join([*self._sentences(), *self.habits])

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the sentences as a list."""
        items = "".join(f"<li>{html.escape(words)}</li>" for words in (*self._sentences(), *self.habits))
        return f"<p>Diagnosis</p><ul>{items}</ul>"

    def _sentences(self) -> list[str]:
        if self.cell is None:
            unknown = "the forward is none of the RNN, GRU and LSTM of minilstm.cells, so the mistake cannot be named"
            return [] if self.side_effects else [unknown]
        first = f"the forward is that of {self.conventions}"
        if self.smallest_t is None:
            small = "small " * bool(self.side_effects)      # which say what becomes of large ones, or what is added
            return [first, *map(str, self.slips), f"its {small}gradients are those of the derivation"]
        if not self.named:
            where = {1: "already with one time step, so the mistake is inside the cell, or in what is returned",
                     2: "with two time steps and not with one, so it is a carry (dh_prev, dc_prev) or a sum over time"}
            later = (f"with {self.smallest_t} time steps and not with fewer, so it is an index, or a carry over several "
                     "steps")
            gradients = ", ".join(map(str, self.wrong))
            return [first, f"the gradients of {gradients} are wrong {where.get(self.smallest_t, later)}",
                    "the mistake is none of those that are recognised"]
        lines = [f"{'and with' if k else 'it is exactly what you get with'} {slip}" for k, slip in enumerate(self.slips)]
        if self.others:
            more = f"{len(self.others)} other explanation{'s' * (len(self.others) > 1)}"
            lines.append(f"{more} cannot be told apart from it, such as {self.others[0][0]}")
        return [first, *lines]


def diagnose(target: Any, inputs: Any, *, seconds: float = SECONDS, rng: Any = 0, **options: Any) -> Diagnosis:
    """Name the mistakes in the backward of ``target``, a layer or a pair of functions as for ``gradcheck``.

    The forward tells which cell it is and how its arguments are arranged; then the fewest wrong lines of the
    derivation are sought with which it gives exactly the gradients of ``target``, with one time step, two,
    and all of them.

    Args:
        target, inputs, options: as for ``gradcheck``.
        seconds: how long to search, at most.
        rng: seed or Generator of the upstream gradients.

    Returns a Diagnosis; ``named`` is False where the forward is another cell or the mistake is none of those
    that are known.
    """
    return diagnosis_of(make_target(target, inputs, options), seconds, rng)


def diagnosis_of(target: Target, seconds: float = SECONDS, rng: Any = 0) -> Diagnosis:
    """As ``diagnose``, for a target of gradcheck."""
    deadline = time.perf_counter() + 0.85 * seconds     # what is found then must still be put in order
    arrays = {name: to_numpy(value).astype(np.float64) for name, value in target.tensors.items()}
    outputs = [np.asarray(to_numpy(y), dtype=np.float64) for y in target.run(target.tensors)][:target.covered or None]
    integers = {name: np.asarray(leaf) for name, leaf in zip(target.input_names, flatten(target.inputs.values))
                if name not in arrays and (is_array(leaf) or isinstance(leaf, list)) and np.asarray(leaf).dtype.kind in "iu"}
    generator = np.random.default_rng(rng)
    upstream = [generator.standard_normal(y.shape) for y in target.run(target.tensors)]
    effects = check_linearity(target, upstream)
    if RANDOM in effects:
        return Diagnosis(None, named=True, side_effects=effects)
    reading = recognise(arrays, integers, outputs)
    if reading is None:
        reading = recognise_wrong(arrays, integers, outputs, time.perf_counter() + seconds / 2)
    if reading is None:
        return Diagnosis(None, side_effects=effects)
    problems = _problems(target, reading, {**arrays, **integers}, generator, SMALL if CLIPPED in effects else 1.0)
    if reading.cell.variants and not reading.cell.reset_first and any(explain(problem, {}).cost for problem in problems):
        usual = CELLS[reading.cell.name]        # the backward may belong to the usual forward
        usual = usual._replace(forward=reading.cell.forward)
        others = [replace(problem, cell=usual) for problem in problems]
        if not any(explain(problem, {}).cost for problem in others):
            reading, problems = replace(reading, cell=usual), others
    cell, words = reading.cell, reading.words()
    before = _wrong_equations(cell)
    first = next(((problem, found) for problem in problems if (found := explain(problem, {})).cost), None)
    if first is None or before and _is_consistent(target, rng):
        return Diagnosis(cell.name, words, named=bool(before or effects), slips=before, side_effects=effects)
    problem, unexplained = first
    blocks = (*unexplained.last, *unexplained.open)
    wrong = tuple(dict.fromkeys(_part(cell, block) for block in blocks))
    explanations = search(problems, deadline)
    if not explanations or explanations[0].open:
        return Diagnosis(cell.name, words, problem.T, False, wrong=wrong, side_effects=effects)
    slips = dict.fromkeys((*before, *findings_of(cell, explanation)) for explanation in explanations)
    best, *more = slips
    return Diagnosis(cell.name, words, problem.T, True, best, tuple(more), wrong, effects)


def _is_consistent(target: Target, rng: Any) -> bool:
    """Return whether the gradients are those of the target's own forward, in one random direction."""
    generator, eps = np.random.default_rng(rng), 1e-5
    upstream = [generator.standard_normal(np.shape(y)) for y in target.run(target.tensors)]
    gradients = target.gradients(target.tensors, [u.copy() for u in upstream])
    way = {name: generator.standard_normal(gradient.shape) for name, gradient in gradients.items()}
    sides = [sum(float((u * to_numpy(y)).sum()) for u, y in zip(upstream, target.run(
        {name: value + sign * eps * way.get(name, 0.0) for name, value in target.tensors.items()}))) for sign in (1, -1)]
    slope = sum(float((to_numpy(gradient) * way[name]).sum()) for name, gradient in gradients.items())
    return abs((sides[0] - sides[1]) / (2 * eps) - slope) <= 1e-6 * max(1.0, abs(slope))


def _wrong_equations(cell: Cell) -> tuple[Finding, ...]:
    """Return what a forward has in place of the equations of its cell."""
    return tuple(Finding("forward", (str(now), str(line)), right=str(line), parts=(Part(line.target),))
                 for now, line in zip(cell.forward, cell.equations) if now != line)


def _problems(target: Target, reading: Reading, arrays: dict[str, np.ndarray], rng: np.random.Generator,
              scale: float) -> list[Problem]:
    """Return the problems with one step, two, and all."""
    every = len(reading.weights(arrays).x)
    lists = {name for name, leaf in zip(target.input_names, flatten(target.inputs.values)) if isinstance(leaf, list)}
    problems = []
    for T in sorted({1, min(2, every), min(3, every), every}):
        cut = reading.cut(arrays, T)
        given = {name: value.tolist() if name in lists else value for name, value in cut.items()}
        upstream = [scale * rng.standard_normal(y.shape) for y in target.run(given)]
        gradients = {name: np.asarray(to_numpy(value), dtype=np.float64) for name, value in target.gradients(
            given, [u.copy() for u in upstream]).items()}
        blocks: dict[Block, np.ndarray] = {}
        for name, gradient in gradients.items():
            if gradient.shape == cut[name].shape:
                blocks.update(reading.parts(name, gradient))
        problems.append(Problem(reading.cell, reading.weights(cut), reading.upstreams(upstream, cut, T), blocks))
    return problems


def findings_of(cell: Cell, explanation: Explanation) -> tuple[Finding, ...]:
    """Return the mistakes of an explanation; the same one in several gradients is one."""
    together: dict[tuple[Finding, ...], list[Block]] = {}
    for block, findings in explanation.last.items():
        together.setdefault(findings, []).append(block)
    found = [edit.finding for edit in explanation.spec.values()]
    for findings, blocks in together.items():
        what, parts = blocks[0][0], tuple(dict.fromkeys(_part(cell, block) for block in blocks))
        lines = {"x": cell.products, "E": cell.products, "h0": cell.products, "c0": (), "W_y": (), "b_y": ()}
        line = cell.line_of("dc_prev") if what == "c0" else next(iter(lines.get(what, cell.sums)), None)
        number, right = (line.number, str(line)) if line else (None, "")
        found += [finding._replace(line=number, right=right, parts=parts) for finding in findings]
    return tuple(found)


# The array of a student that a block of the gradients is in, where it has another name.
ARRAYS = {"W_x": "dW", "W_h": "dW", "b_h": "db"}


def _part(cell: Cell, block: Block) -> Part:
    what, gate = block
    name = f"d{what}"
    return Part(name, "" if gate is None or len(cell.gates) == 1 else cell.gates[gate], ARRAYS.get(what, name))
