"""The zoo itself: each style is right as written and each bug changes its gradients, by central differences made here."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from typing import Any

import numpy as np
import pytest
from zoo_cases import BUGS, SIZES, STYLES, ZOO, Bug, Style, load, source
from zoo_held_cases import HELD_BUGS, HELD_STYLES
from zoo_more_cases import MORE_BUGS, MORE_STYLES

ALL_STYLES = STYLES | MORE_STYLES | HELD_STYLES
ALL_BUGS = BUGS + MORE_BUGS + HELD_BUGS

Arrays = dict[str, np.ndarray]


class Probe:
    """One target with its inputs: the arrays to vary, the number that they give, and the student's gradients by name."""

    def __init__(self, style: Style, bug: Bug | None) -> None:
        self.kind = style.kind
        self.target, inputs = style.make(load(style, bug), np.random.default_rng(7), SIZES)
        self.inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        function = {"pair": lambda: self.target[0], "layer": lambda: self.target.__call__}.get(
            style.kind.split()[-1], lambda: getattr(self.target, "forward", self.target))()
        self.tensors: Arrays = {}
        for name, value in zip(inspect.signature(function).parameters, self.inputs):
            if isinstance(value, dict):
                self.tensors.update(value)
            elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
                self.tensors[name] = value
        self.given = list(self.tensors)
        if self.kind == "class":
            weights = {k: v for k, v in vars(self.target).items() if isinstance(v, np.ndarray) and not k.endswith("_diff")}
            self.tensors.update({k: v for k, v in weights.items() if len(k) <= 2})
        elif self.kind == "lists":
            self.tensors.update({str(k): w for k, w in enumerate(self.target.params)})
        elif self.kind == "layer":
            self.tensors.update(self.target.params)

    def outputs(self) -> list[Any]:
        """Run the forward; return its outputs, the loss alone where there is one."""
        if self.kind in ("pair", "dict pair"):
            return list(self.target[0](*self.inputs)[:-1])
        if self.kind == "loss pair":
            return [self.target[0](*self.inputs)[0]]
        if self.kind in ("closure", "loss and gradients"):
            return [self.target(*self.inputs)[0]]
        return [(self.target if self.kind == "layer" else self.target.forward)(*self.inputs)]

    def upstream(self) -> list[Any]:
        rng = np.random.default_rng(11)
        return [1.0 if "loss" in self.kind else rng.standard_normal(np.shape(y)) for y in self.outputs()]

    def number(self, upstream: list[Any]) -> float:
        return float(sum(np.sum(u * y) for u, y in zip(upstream, self.outputs())))

    def numerical(self, eps: float = 1e-5) -> Arrays:
        upstream, result = self.upstream(), {}
        for name, tensor in self.tensors.items():
            result[name] = np.zeros_like(tensor)
            for index in np.ndindex(tensor.shape):
                value = tensor[index]
                ends = []
                for sign in (1, -1):
                    tensor[index] = value + sign * eps
                    ends.append(self.number(upstream))
                tensor[index] = value
                result[name][index] = (ends[0] - ends[1]) / (2 * eps)
        return result

    def gradients(self) -> Arrays:
        """Run forward and backward once and sort the gradients by the names of the tensors."""
        upstream = [u.copy() if isinstance(u, np.ndarray) else u for u in self.upstream()]
        if self.kind == "closure":
            _, back = self.target(*self.inputs)
            returned = back(*upstream)
        elif self.kind == "loss and gradients":
            _, *returned = self.target(*self.inputs)
            if isinstance(returned[0], dict):
                return dict(returned[0])
            weights = [name for name in self.given if name[0] in "Wb"]      # the states are not differentiated
            return dict(zip(weights, returned))
        elif "pair" in self.kind:
            *_, cache = self.target[0](*self.inputs)
            returned = self.target[1](*([] if self.kind == "loss pair" else upstream), cache)
        else:
            (self.target if self.kind == "layer" else self.target.forward)(*self.inputs)
            returned = self.target.backward(*upstream)
        if isinstance(returned, dict):
            return {name.removesuffix("_grad") if name.endswith("_grad") else name[1:]: g for name, g in returned.items()}
        named = dict(zip(self.given, returned if isinstance(returned, tuple) else (returned,), strict=True))
        if self.kind == "class":
            for name in set(self.tensors) - set(self.given):
                named[name] = getattr(self.target, f"{name}_diff" if hasattr(self.target, f"{name}_diff") else f"d{name}")
        elif self.kind == "lists":
            named.update({str(k): g for k, g in enumerate(self.target.grads)})
        elif self.kind == "layer":
            named.update(self.target.grads)
        return named


@functools.cache
def expected(name: str) -> Arrays:
    return Probe(ALL_STYLES[name], None).numerical()


def wrong(gradients: Arrays, numerical: Arrays) -> list[str]:
    """Return the names of the gradients that differ by more than the error of central differences."""
    return [name for name, g in gradients.items() if np.shape(g) != numerical[name].shape
            or not np.allclose(g, numerical[name], rtol=1e-6, atol=1e-7)]


def bug_name(bug: Bug) -> str:
    return f"{bug.style}-{[b for b in ALL_BUGS if b.style == bug.style].index(bug)}"


@pytest.mark.parametrize("name", ALL_STYLES)
def test_every_style_is_right(name: str) -> None:
    gradients, numerical = Probe(ALL_STYLES[name], None).gradients(), expected(name)
    states = {"hprev", "cprev"} if ALL_STYLES[name].kind == "loss and gradients" else set()
    assert set(gradients) == set(numerical) - states
    assert not wrong(gradients, numerical)
    assert all(np.abs(g).max() > 1e-3 for g in numerical.values())


@pytest.mark.parametrize("bug", ALL_BUGS, ids=bug_name)
def test_every_bug_changes_the_gradients(bug: Bug) -> None:
    style = ALL_STYLES[bug.style]
    text = source(style)
    assert text.count(bug.old) == 1 and bug.old != bug.new
    if not bug.differs:
        Probe(style, bug).gradients()       # it runs
        return
    numerical = Probe(style, bug).numerical() if bug.kind == "forward" else expected(bug.style)
    assert wrong(Probe(style, bug).gradients(), numerical)


@pytest.mark.parametrize("bug", [b for b in BUGS if b.kind == "forward" and not b.differs], ids=bug_name)
def test_a_forward_that_is_wrong_together_with_its_backward(bug: Bug) -> None:
    probe = Probe(STYLES[bug.style], bug)
    assert not wrong(probe.gradients(), probe.numerical())
    before = Probe(STYLES[bug.style], None).outputs()
    assert any(not np.allclose(a, b) for a, b in zip(before, probe.outputs()))


def test_the_table() -> None:
    last = {"lstm": 12, "gru": 10, "rnn": 3}
    for bug in ALL_BUGS:
        assert all(1 <= line <= last[ALL_STYLES[bug.style].cell] for line in bug.lines)
        assert bug.kind in ("carries", "cell", "sums", "loss", "behaviour", "forward")
        assert bug.where and bug.about.endswith(".")
    assert {style.file for style in ALL_STYLES.values()} == {path.stem for path in ZOO.glob("*.py")}
    assert len(STYLES) >= 25 and len(BUGS) >= 70 and sum(STYLES[bug.style].plain for bug in BUGS) >= 45
    assert max(Counter((bug.style, bug.old, bug.new) for bug in ALL_BUGS).values()) == 1
    assert len(MORE_BUGS) >= 30


def test_load_gives_modules_whose_source_can_be_read() -> None:
    bug = BUGS[0]
    module = load(bug.style, bug)
    assert bug.new in inspect.getsource(module) and module is not load(bug.style, bug)
    assert "def backward" in inspect.getsource(load("class_lstm").LSTM)
    with pytest.raises(ValueError, match="expected"):
        load(next(name for name in STYLES if name != bug.style), bug)
