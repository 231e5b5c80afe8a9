"""Recognise a cell and its conventions from a forward: which argument is what, in which order, along which
axes.

Shapes tell most of it: (D, 4H) can only be the four W_x side by side. What shapes leave open (the order of
the gates, [h, x] or [x, h], which way a square matrix lies) is tried; the reading whose forward gives the
student's numbers to eight digits is right.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minilstm.gradients.diagnosis.reading import (DIVISORS, Arrays, Output, Reading, probabilities, scores_of,
                                                  unsqueezed)
from minilstm.gradients.diagnosis.readings import readings
from minilstm.gradients.diagnosis.simulate import Weights, forward
from minilstm.gradients.diagnosis.wrong_lines import wrong_forwards

MOST = 4000             # readings that are tried
MOST_WRONG = 60         # of those, with which a wrong forward is tried


def recognise(arrays: Arrays, integers: Arrays, outputs: Sequence[np.ndarray]) -> Reading | None:
    """Return the reading of the named arguments with which a cell gives these outputs, or None.

    ``integers``: token ids and targets.
    """
    for reading in itertools.islice(readings(arrays, integers), MOST):
        try:
            weights = reading.weights({**arrays, **integers})
            steps = forward(reading.cell, weights)
            found = _match(reading, weights, steps, integers, outputs)
        except (ValueError, IndexError):
            continue
        if found is not None:
            return found
    return None


def recognise_wrong(arrays: Arrays, integers: Arrays, outputs: Sequence[np.ndarray],
                    deadline: float) -> Reading | None:
    """Return the reading of a forward that has an equation wrong, or None."""
    every = readings(arrays, integers)
    likely = (reading for reading in every if reading.plausible and not reading.cell.variants)
    for reading in itertools.islice(likely, MOST_WRONG):
        weights = reading.weights({**arrays, **integers})
        for equations in wrong_forwards(reading.cell):
            if time.perf_counter() > deadline:
                return None
            try:
                found = _match(reading, weights, forward(reading.cell, weights, equations), integers, outputs)
            except (ValueError, IndexError, NameError, KeyError):
                continue
            if found is not None:
                return replace(found, cell=found.cell._replace(forward=equations))
    return None


def _match(reading: Reading, weights: Weights, steps: list[dict[str, Any]], integers: Arrays,
           outputs: Sequence[np.ndarray]) -> Reading | None:
    """Return the reading with what its outputs are, or None if one of them is nothing that the cell has."""
    if weights.W_y is not None:
        for values, scores in zip(steps, scores_of(weights, steps)):
            values["scores"] = scores
    targets, found = "", []
    for y in outputs:
        output = next(_forms(steps, y), None)
        if output is None and y.size == 1 and weights.W_y is not None:
            output, targets = _loss_form(reading, weights, steps, integers, float(y.reshape(-1)[0]))
        if output is None:
            return None
        found.append(output)
    return replace(reading, outputs=tuple(found), targets=targets)


def _loss_form(reading: Reading, weights: Weights, steps: list[dict[str, Any]], integers: Arrays,
               loss: float) -> tuple[Output | None, str]:
    p = probabilities(weights, steps)
    T, N, V = p.shape
    for name, ids in integers.items():
        if name != reading.source.name and ids.size == T * N and ids.min() >= 0 and ids.max() < V:
            y = reading.steps_of(ids)
            total = -float(np.log(np.take_along_axis(p, y[..., None], axis=2)).sum())
            for divisor, count in DIVISORS.items():
                if np.isclose(total / count(T, N), loss, rtol=1e-9):
                    return Output("loss", False, (), divisor), name
    return None, ""


def _forms(steps: Sequence[dict[str, Any]], y: np.ndarray) -> Iterator[Output]:
    for state in ("h", "c", "scores"):
        if state not in steps[0]:
            continue
        every = np.stack([values[state] for values in steps])
        for last, reference in ((False, every), (True, every[-1])):
            for axes in itertools.permutations(range(reference.ndim)):
                shape = unsqueezed(axes, reference.shape)
                if y.size == reference.size and _fit(y.shape, shape) and np.allclose(
                        np.transpose(y.reshape(shape), axes), reference, rtol=1e-8, atol=1e-10):
                    yield Output(state, last, axes)


def _fit(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    """Return whether two shapes differ by axes of size 1 alone."""
    return tuple(n for n in shape if n > 1) == tuple(n for n in full if n > 1)
