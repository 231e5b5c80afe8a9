"""The check itself: every gradient compared, and the side effects of forward and backward.

Values come first: what is said about side effects never hides a wrong gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, to_numpy
from minilstm.backend.checks import check_choice
from minilstm.backend.errors import ArgumentError
from minilstm.backend.seeds import as_generator
from minilstm.gradients.check.compare import Comparison, compare_all
from minilstm.gradients.check.linearity import check_linearity
from minilstm.gradients.targets.names import GRADIENT_NAMES
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.target import Target

METHODS = ("both", "finite", "complex")
FINITE_TOLERANCE = 1e-6     # per tensor; a correct BPTT stays below, see Comparison
COMPLEX_TOLERANCE = 1e-10   # per entry


class Settings(NamedTuple):
    """How to check; the arguments of ``gradcheck`` of these names."""

    method: str = "both"
    upstream: Any = None
    tolerance: float = FINITE_TOLERANCE
    complex_tolerance: float = COMPLEX_TOLERANCE
    rng: Any = 0
    allow_unused: Sequence[str] = ()
    axes: str | None = None

    @property
    def limits(self) -> dict[str, float]:
        """The largest error allowed, by method."""
        return {"finite": self.tolerance, "complex": self.complex_tolerance}


class Checked(NamedTuple):
    """All comparisons, those that are wrong, the gradients by name, and the side effects."""

    comparisons: list[Comparison]
    wrong: list[Comparison]
    gradients: dict[str, Array]
    side_effects: tuple[SideEffect, ...]


def check(target: Target, settings: Settings) -> Checked:
    """Check every gradient of a target. Raises what ``gradcheck`` raises where it cannot be checked."""
    check_choice("method", settings.method, METHODS)
    _check_names(target, settings.allow_unused)
    tensors = target.tensors
    if not tensors:
        raise target.refusal("there is nothing to check: no floating point array among the inputs, and no "
                             "parameter")
    used = _copies(tensors)
    outputs = [y.copy() for y in target.evaluate(used)]
    effects = _overwritten(used, tensors)
    if any(to_numpy(a).tobytes() != to_numpy(b).tobytes() for a, b in zip(outputs, target.run(tensors))):
        raise target.refusal("the forward gives other outputs the second time; a layer that draws random "
                             "numbers must draw them from its own rng (a numpy Generator)")
    target.name_axes(settings.axes, outputs)
    weights = _draw_upstream(target, outputs, settings.upstream, as_generator(settings.rng))
    used, handed = _copies(tensors), _copy_list(weights)
    analytic = _copies(target.gradients(used, handed))
    effects += _overwritten(used, tensors) + _upstream_overwritten(handed, weights)
    _check_form(target, analytic)
    comparisons = compare_all(target, analytic, weights, settings.method, settings.limits)
    effects += _unused(target, analytic, settings.allow_unused)
    effects += target.check_second_backward(analytic, _copies(tensors), _copy_list(weights))
    wrong = [c for c in comparisons if not c.error <= settings.limits[c.method]]
    if wrong:
        _check_precision(target, [analytic[c.name] for c in wrong])
    elif analytic:
        effects += check_linearity(target, weights)
    return Checked(comparisons, wrong, analytic, tuple(dict.fromkeys(effects)))


def _check_precision(target: Target, wrong: list[Array]) -> None:
    """Raise ArgumentError if forward or backward rounds to float32, which makes gradients wrong."""
    rounding = "forward" if _rounds_to_float32(target) else "backward" if all(map(_is_float32, wrong)) else ""
    if rounding:
        raise target.refusal(f"the {rounding} rounds to float32 (astype(np.float32), or a float32 array that "
                             "it computes with), and the check needs float64: keep the dtype of the inputs")


def _check_names(target: Target, allow_unused: Sequence[str]) -> None:
    """Raise ArgumentError if ``allow_unused`` names something that is no parameter (of a pair: no input)."""
    names = (*target.parameters, *target.constants) or tuple(target.tensors)
    if isinstance(allow_unused, str) or not set(allow_unused) <= set(names):
        known = ", ".join(names) or "there are none"
        raise ArgumentError(f"allow_unused: expected names of parameters ({known}), got {allow_unused!r}")


def _unused(target: Target, analytic: Mapping[str, Array], allow_unused: Sequence[str]) -> list[SideEffect]:
    """Tell of parameters that were not really checked.

    They have no gradient and make no difference, not even as NaN, to the outputs; or they make one, and have
    no gradient.
    """
    found = []
    for name in (*target.parameters, *target.missing):
        if name in allow_unused or name in analytic and to_numpy(analytic[name]).any():
            continue
        if not target.depends_on(name):
            written = target.as_written(name)
            found.append(SideEffect("not read", (written, written, name)))
        elif name in target.missing:
            target.add_note(f"no gradient of {name} was returned; the outputs that were compared do not "
                            "depend on it")
    for name in target.without_gradient:
        if name not in allow_unused:
            forms = ", ".join(form.format(name) for form in GRADIENT_NAMES[:3])
            found.append(SideEffect("no gradient", (target.as_written(name), forms, name)))
    return found


def _rounds_to_float32(target: Target) -> bool:
    """Return whether outputs are numbers that float32 can hold even when no input and no parameter is one."""
    moved = {name: value * (1 + 1e-11) for name, value in target.tensors.items()}
    values = [to_numpy(y).ravel() for y in target.run(moved) if y.dtype.kind == "f"]
    return bool(values) and _is_float32(np.concatenate(values))


def _is_float32(values: Array) -> bool:
    """Return whether all numbers are such that float32 can hold, and not just whole ones."""
    values = to_numpy(values)
    with np.errstate(over="ignore"):
        return bool((values == values.astype(np.float32)).all() and (values % 1 != 0).any())


def _draw_upstream(target: Target, outputs: list[Array], upstream: Any,
                   rng: np.random.Generator) -> list[Array | None]:
    if target.is_loss:
        return [asarray(1.0, backend_name(outputs[0]))]
    count = len(outputs) if target.covered is None else target.covered
    if upstream is None:
        drawn = [asarray(rng.standard_normal(y.shape), backend_name(y)) for y in outputs]
        return [u if k < count else None for k, u in enumerate(drawn)]
    given = list(upstream) if isinstance(upstream, (tuple, list)) else [upstream]
    if len(given) != count:
        raise target.failure(f"expected {count} upstream gradients, got {len(given)}")
    given += [None] * (len(outputs) - count)
    return [None if u is None else asarray(u, backend_name(y), np.float64) for u, y in zip(given, outputs)]


def _copies(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.copy() for name, value in arrays.items()}


def _copy_list(arrays: list[Array | None]) -> list[Array | None]:
    return [None if value is None else value.copy() for value in arrays]


def _overwritten(used: Mapping[str, Array], before: Mapping[str, Array]) -> list[SideEffect]:
    return [SideEffect("overwritten", (name,)) for name, value in used.items()
            if to_numpy(value).tobytes() != to_numpy(before[name]).tobytes()]


def _upstream_overwritten(used: list[Array | None], before: list[Array | None]) -> list[SideEffect]:
    return [SideEffect("upstream overwritten", (k,)) for k, (value, old) in enumerate(zip(used, before))
            if value is not None and to_numpy(value).tobytes() != to_numpy(old).tobytes()]


def _check_form(target: Target, analytic: dict[str, Array]) -> None:
    for name, value in analytic.items():
        want = tuple(target.tensors[name].shape)
        if tuple(value.shape) != want:
            raise target.failure(f"the gradient of {name} has shape {tuple(value.shape)}, expected {want}")
        if not np.isfinite(to_numpy(value)).all():
            raise target.failure(f"the gradient of {name} holds NaN or infinite values")
