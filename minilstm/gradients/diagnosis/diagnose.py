"""``diagnose``: which line of the derivation did this backward get wrong?"""

from __future__ import annotations

import html
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import is_array
from minilstm.gradients.check.linearity import CLIPPED, MULTIPLIED, RANDOM, SMALL, check_linearity
from minilstm.gradients.diagnosis import repairs
from minilstm.gradients.diagnosis.derivation import CELLS, Cell
from minilstm.gradients.diagnosis.findings import Finding, Part
from minilstm.gradients.diagnosis.mistakes import MISTAKES
from minilstm.gradients.diagnosis.reading import Reading
from minilstm.gradients.diagnosis.recognise import recognise, recognise_wrong
from minilstm.gradients.diagnosis.search import Explanation, SearchProblem, explanation_of, search
from minilstm.gradients.diagnosis.simulate import Block
from minilstm.gradients.repair.repair import find_repair
from minilstm.gradients.repair.search import Result
from minilstm.gradients.targets.make import make_target
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.target import Target

SECONDS = 2.0
SHOWN = 5               # explanations, at most


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
        from_zero: whether a state before the first step is zero, and hides what it is multiplied with.
        repair: which change of the source makes every gradient right; None where none was looked for.
        show_repair: whether the words tell the changed line.
    """

    cell: str | None
    conventions: str = ""
    smallest_t: int | None = None
    named: bool = False
    slips: tuple[Finding, ...] = ()
    others: tuple[tuple[Finding, ...], ...] = ()
    wrong: tuple[Part, ...] = ()
    side_effects: tuple[SideEffect, ...] = ()
    from_zero: bool = False
    repair: Result | None = None
    show_repair: bool = False

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
                "side_effects": [effect.key for effect in self.side_effects],
                "repair": None if self.repair is None else repairs.as_dict(self.repair, self.show_repair)}

    def __str__(self) -> str:
        return "diagnosis: " + "\n  ".join(self._sentences())

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the sentences as a list."""
        items = "".join(f"<li>{html.escape(words)}</li>" for words in self._sentences())
        return f"<p>Diagnosis</p><ul>{items}</ul>"

    def _sentences(self) -> list[str]:
        mended = [] if self.repair is None else repairs.sentences(self.repair, self.show_repair)
        if self.repair is None or not self.repair.reason:
            return [*self._of_the_derivation(bool(mended)), *mended, *self.habits]
        why = [] if self.named else mended
        return [*self._of_the_derivation(mended=False), *why, *self.habits]

    def _of_the_derivation(self, mended: bool) -> list[str]:
        if self.cell is None:
            unknown = "the forward is none of the RNN, GRU and LSTM of minilstm.cells"
            return [] if self.side_effects or mended else [f"{unknown}, so the mistake cannot be named"]
        first = f"the forward is that of {self.conventions}"
        if self.smallest_t is None:
            small = "small " * bool(self.side_effects)      # which say what becomes of large ones
            return [first, *map(str, self.slips), f"its {small}gradients are those of the derivation"]
        if not self.named:
            T = self.smallest_t
            when = {1: "already with one time step", 2: "with two time steps and not with one"}
            where = {1: "the mistake is inside the cell, or in what is returned",
                     2: "it is a carry (dh_prev, dc_prev) or a sum over time"}
            words = (f"{when.get(T, f'with {T} time steps and not with fewer')}, so "
                     f"{where.get(T, 'it is an index, or a carry over several steps')}")
            if self.from_zero and T > 1:
                words += ", or a line of the cell that the first state, zero, hides at the first step"
            arrays = ", ".join(dict.fromkeys(part.array for part in self.wrong))
            no_name = [] if mended else ["the mistake is none of those that are recognised"]
            return [first, f"the gradients in {arrays} are wrong {words}", *no_name]
        lines = [first]
        starts = ("it is exactly what you get with", *["or with"] * (SHOWN - 1))
        others = () if self.repair and self.repair.repairs else self.others     # which the repair rules out
        for start, slips in zip(starts, (self.slips, *others)):
            lines += [f"{start} {slips[0]}", *(f"and with {slip}" for slip in slips[1:])]
        more = len(others) + 1 - SHOWN
        if more > 0:
            lines.append(f"{more} further explanation{'s' * (more > 1)} cannot be told apart from these")
        if any(slip.line for slip in self.slips):
            lines.append(f"the derivation: help(minilstm.cells.{self.cell.lower()})")
        return lines


def diagnose(target: Any, inputs: Any, *, seconds: float = SECONDS, rng: Any = 0, show_repair: bool = False,
             **options: Any) -> Diagnosis:
    """Name the mistakes in the backward of ``target``, a layer or a pair of functions as for ``gradcheck``.

    The forward tells which cell it is and how its arguments are arranged; then it looks for the
    smallest set of wrong lines of the derivation that reproduces the gradients of ``target`` exactly, for
    one, two and all time steps.

    Args:
        target, inputs, options: as for ``gradcheck``.
        seconds: how long to search, at most.
        rng: seed or Generator of the upstream gradients.
        show_repair: tell the changed line of the source.

    Then one change of the source of ``target`` is sought, whatever it computes, that makes every gradient
    right; where there is none, two changes, or one of the forward that the backward belongs to. It takes some
    seconds, in a process apart, and is limited by the count of what is tried, not by the clock.

    Returns a Diagnosis; ``named`` is False where the forward is another cell or the mistake is none of those
    that are known. To find a mistake by the change that reproduces or mends it is the idea of BUGGY (Brown &
    Burton 1978) and of Seppälä, Malmi & Korhonen (2006).
    """
    made = make_target(target, inputs, options)
    return replace(diagnosis_of(made, seconds, rng), repair=find_repair(made, thorough=True),
                   show_repair=show_repair)


def diagnosis_of(target: Target, seconds: float = SECONDS, rng: Any = 0) -> Diagnosis:
    """As ``diagnose``, for a target of gradcheck."""
    target = target.with_arrays() or target
    deadline = time.perf_counter() + 0.85 * seconds     # what is found then must still be put in order
    arrays = {name: to_numpy(value).astype(np.float64) for name, value in target.tensors.items()}
    every = [np.asarray(to_numpy(y), dtype=np.float64) for y in target.run(target.tensors)]
    outputs = every[:target.covered or None]
    others = {name: np.asarray(leaf) for name, leaf in target.leaves.items()
              if name not in arrays and (is_array(leaf) or isinstance(leaf, list))}
    integers = {name: leaf for name, leaf in others.items() if leaf.dtype.kind in "iu"}
    generator = np.random.default_rng(rng)
    upstream = [generator.standard_normal(y.shape) for y in every]
    effects = check_linearity(target, upstream)
    if RANDOM in effects:
        return Diagnosis(None, named=True, side_effects=effects)
    reading = recognise(arrays, integers, outputs)
    if reading is None:
        reading = recognise_wrong(arrays, integers, outputs, time.perf_counter() + seconds / 2)
    if reading is None:
        return Diagnosis(None, side_effects=effects)
    scale = SMALL if {CLIPPED, MULTIPLIED} & {*effects} else 1.0
    problems = _problems(target, reading, {**arrays, **integers}, generator, scale)
    wrong = _first_wrong(problems)
    if wrong is not None and reading.cell.variants and not reading.cell.reset_first:
        # The backward may belong to the usual forward.
        usual = CELLS[reading.cell.name]._replace(forward=reading.cell.forward)
        as_usual = [replace(problem, cell=usual) for problem in problems]
        if _first_wrong(as_usual) is None:
            reading, problems, wrong = replace(reading, cell=usual), as_usual, None
    cell, words = reading.cell, reading.words()
    before = _wrong_equations(cell)
    if wrong is None or before and _is_consistent(target, rng):
        return Diagnosis(cell.name, words, named=bool(before or effects), slips=before, side_effects=effects)
    T, blocks = wrong
    parts = tuple(dict.fromkeys(_part(cell, block) for block in blocks))
    explanations = search(problems, deadline)
    if not explanations or explanations[0].open:
        weights = problems[0].weights
        from_zero = not all(map(np.any, (weights.h0, weights.c0)[:len(cell.states)]))
        return Diagnosis(cell.name, words, T, False, wrong=parts, side_effects=effects, from_zero=from_zero)
    slips = dict.fromkeys((*before, *findings_of(cell, explanation)) for explanation in explanations)
    everywhere = [each for each in slips if all(slip._replace(later=False) == slip for slip in each)
                  or tuple(slip._replace(later=False) for slip in each) not in slips]
    best, *more = sorted(everywhere, key=_commonness)
    return Diagnosis(cell.name, words, T, True, best, tuple(more), parts, effects)


def _commonness(slips: tuple[Finding, ...]) -> list[tuple[Any, ...]]:
    """Order explanations that cannot be told apart: as MISTAKES are, formulas first; unnamed ones last."""
    keys = list(MISTAKES)
    return [(keys.index(slip.mistake) if slip.mistake else len(keys), slip.later, slip.form != "formula")
            for slip in slips]


def _first_wrong(problems: list[SearchProblem]) -> tuple[int, tuple[Block, ...]] | None:
    """Return the fewest steps at which gradients are wrong, and those gradients; None if none are."""
    for problem in problems:
        found = explanation_of(problem, {})
        if found.cost:
            return problem.T, (*found.last, *found.open)
    return None


def _is_consistent(target: Target, rng: Any) -> bool:
    """Return whether the gradients are those of the target's own forward, in one random direction."""
    generator, eps = np.random.default_rng(rng), 1e-5
    upstream = [generator.standard_normal(np.shape(y)) for y in target.run(target.tensors)]
    gradients = target.gradients(target.tensors, [u.copy() for u in upstream])
    way = {name: generator.standard_normal(gradient.shape) for name, gradient in gradients.items()}

    def loss(step: float) -> float:
        moved = {name: value + step * way.get(name, 0.0) for name, value in target.tensors.items()}
        return sum(float((u * to_numpy(y)).sum()) for u, y in zip(upstream, target.run(moved)))
    slope = sum(float((to_numpy(gradient) * way[name]).sum()) for name, gradient in gradients.items())
    return abs((loss(eps) - loss(-eps)) / (2 * eps) - slope) <= 1e-6 * max(1.0, abs(slope))


def _wrong_equations(cell: Cell) -> tuple[Finding, ...]:
    """Return what a forward has in place of the equations of its cell."""
    return tuple(Finding("forward", (str(now), str(line)), right=str(line), parts=(Part(line.target),))
                 for now, line in zip(cell.forward, cell.equations) if now != line)


def _problems(target: Target, reading: Reading, arrays: dict[str, np.ndarray], rng: np.random.Generator,
              scale: float) -> list[SearchProblem]:
    """Return the problems with one step, two, and all."""
    every = len(reading.weights(arrays).x)
    lists = {name for name, leaf in target.leaves.items() if isinstance(leaf, list)}
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
        upstreams = reading.upstreams(upstream, cut, T)
        problems.append(SearchProblem(reading.cell, reading.weights(cut), upstreams, blocks))
    return problems


def findings_of(cell: Cell, explanation: Explanation) -> tuple[Finding, ...]:
    """Return the mistakes of an explanation; the same one in several gradients is one."""
    together: dict[tuple[Finding, ...], list[Block]] = {}
    for block, findings in explanation.last.items():
        together.setdefault(findings, []).append(block)
    found = [edit.finding for edit in explanation.spec.values()]
    overwritten = {block[0]: findings for findings, blocks in together.items() for block in blocks
                   if findings[0].mistake == "sum_over_time"}
    for block in together.pop((Finding("zero"),), []):      # the share of the first step may be zero
        together.setdefault(overwritten.get(block[0], (Finding("zero"),)), []).append(block)
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
    of_gate = "" if gate is None or len(cell.gates) == 1 else cell.gates[gate]
    return Part(name, of_gate, ARRAYS.get(what, name))
