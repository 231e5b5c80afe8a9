"""``gradcheck``: is this hand-derived gradient right?

It takes what you wrote (a layer, a loss, or a forward/backward pair of functions), computes every gradient in two ways,
analytically through your ``backward`` and numerically through your ``forward`` alone (numerical.py), and compares every
entry. Where they disagree it raises GradientError and names the worst entry: which parameter, which gate, which time step.

It also checks for side effects that make a correct gradient wrong in use: a Module must add to ``grads``, not overwrite them;
a second ``backward`` of a function pair must give the same bytes; and no function may write into its inputs. Values come
first: what is said about side effects never hides a wrong gradient.

It cannot detect a forward that is itself wrong (a gate too many, lengths ignored) if the gradient is consistent with it;
``ml.diagnose`` compares the forward with the equations of an RNN, GRU or LSTM.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, to_numpy
from minilstm.backend.checks import check_choice
from minilstm.backend.errors import ArgumentError, GradientError
from minilstm.backend.seeds import as_generator
from minilstm.gradients.conventions import GRADIENT_NAMES
from minilstm.gradients.diagnosis.diagnose import Diagnosis, diagnosis_of
from minilstm.gradients.linearity import check_linearity
from minilstm.gradients.numerical import EPS, NotComplexError, OutOfRangeError, complex_step, finite_difference
from minilstm.gradients.report import Comparison, GradcheckReport, explain
from minilstm.gradients.side_effects import SideEffect
from minilstm.gradients.subjects import make_subject
from minilstm.gradients.view import Subject

METHODS = ("both", "finite", "complex")
FINITE_TOLERANCE = 1e-6     # per tensor; a correct BPTT stays below, see Comparison
COMPLEX_TOLERANCE = 1e-10   # per entry


def gradcheck(target: Any, inputs: Any, *, method: str = "both", upstream: Any = None, tolerance: float = FINITE_TOLERANCE,
              complex_tolerance: float = COMPLEX_TOLERANCE, rng: Any = 0, allow_unused: Sequence[str] = (),
              axes: str | None = None, diagnose: bool = True, raise_exception: bool = True,
              **options: Any) -> GradcheckReport:
    """Check every gradient of ``target`` at ``inputs``, entry by entry; raise GradientError if one is wrong.

    Args:
        target: what you wrote, as it is:

            - a pair (forward, backward) with ``forward(*inputs) -> (y, ..., cache)`` and ``backward(dy, ..., cache) ->
              gradients``: a tuple in the order of forward's arguments, a dict by name (``dW``, ``d_W``, ``W_grad``,
              ``grad_W``, ``W_diff`` or ``W``), or both;
            - such a pair with the loss inside: ``forward(*inputs) -> (loss, ..., cache)`` and ``backward(cache)``;
            - a function ``forward(*inputs) -> (y, backward)`` that returns its own ``backward(dy)``;
            - a layer (a Module), or an object of any class with ``forward(x)`` or a call, and ``backward(dy)`` (``backward()``
              for a loss), that keeps parameters and gradients in ``params`` and ``grads`` (dicts or lists) or in attributes
              (``W`` and ``dW``, ``d_W``, ...).
        inputs: what forward takes: an array, a tuple, or a dict by the names of forward's arguments. Each may be an array or a
            tuple, list or dict of arrays. Floating point arrays are converted to float64 and checked, each under the name
            of its argument or its key; integers (tokens, targets, also in lists) and None are passed on.
        method: "finite" (central differences), "complex" (complex step), or "both": finite differences, and complex
            step too where the forward keeps complex numbers.
        upstream: gradient of each output, in order (a list; None entries are handed to backward as missing). By default
            drawn from N(0, 1).
        tolerance, complex_tolerance: largest error allowed, per tensor and per entry (see Comparison).
        rng: seed or Generator for the upstream gradients.
        allow_unused: names of parameters that the forward need not read, or that need no gradient (constants); for any
            other it is an error if the forward neither reads it nor backward gives it a gradient, since a copy of the
            parameter may be what is really used.
        axes: what the axes of the first input are, for messages: "NTD" (sequences, time, features), "DNT", "ND", .... By
            default "NTD" for three axes if the output begins with the same two; else no message names a time step.
        diagnose: where a gradient of an RNN, GRU or LSTM is wrong, look for at most 2 s for the mistake (``ml.diagnose``); its
            name is part of the message, and the error's ``diagnosis`` has it.
        raise_exception: False returns the report where a gradient is wrong, too: its ``right`` is False then, and a notebook
            shows it as a table with the wrong tensors marked. What cannot be checked at all is an error all the same.
        options: keyword arguments of the forward (``lengths``, ``return_state``, ...).

    The target itself is not touched: a deep copy is checked, in training mode, with its random streams rewound before each
    evaluation, so dropout drops the same places each time.

    Returns a GradcheckReport, which lists the tensors that were compared. Raises GradientError (an AssertionError; its
    ``report`` is the GradcheckReport), also with file and line for what forward or backward raises (``report`` is None then,
    since nothing was compared), except errors of this library, which stay as they are;
    ArgumentError for an unknown method, for a target or inputs that cannot be checked, for inputs at the edge of what the
    forward accepts and for a forward that rounds to float32.

    >>> import numpy as np, minilstm as ml
    >>> report = ml.gradcheck(ml.LSTM(3, 2, rng=0), np.random.default_rng(0).standard_normal((2, 5, 3)))
    >>> report.worst("complex") < 1e-10
    True
    >>> def forward(x, W):
    ...     return np.tanh(x @ W), (x, W, np.tanh(x @ W))
    >>> def backward(dy, cache):
    ...     x, W, y = cache
    ...     dz = dy * (1 - y ** 2)
    ...     return {"dx": dz @ W.T, "dW": x.T @ dz}
    >>> print(ml.gradcheck((forward, backward), {"x": np.eye(2), "W": np.ones((2, 3))}))     # doctest: +ELLIPSIS
    gradcheck forward: 10 entries agree, worst error ...
      x  (2, 2) ...
      W  (2, 3) ...

    A function that returns its loss and its gradients together is split into a pair:

    >>> def loss_fun(x, W):
    ...     y = x @ W
    ...     return (y ** 2).sum() / 2, x.T @ y                            # the loss, dW
    >>> def forward(W):
    ...     loss, *gradients = loss_fun(np.eye(2), W)                     # what needs no gradient stands here
    ...     return loss, gradients
    >>> ml.gradcheck((forward, lambda gradients: gradients), np.ones((2, 3))).right
    True

    A mistake:

    >>> square = (lambda x: (x * x, x), lambda dy, x: dy * x)             # the factor 2 is missing
    >>> ml.gradcheck(square, np.array([1.0, 2.0]))                        # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    minilstm.GradientError: gradcheck pair of functions: the gradient of x is wrong
    """
    check_choice("method", method, METHODS)
    subject = make_subject(target, inputs, options)
    _check_names(subject, allow_unused)
    tensors = subject.tensors
    if not tensors:
        raise ArgumentError(f"gradcheck {subject.title}: there is nothing to check: no floating point array among the inputs, "
                            "and no parameter")
    used = _copies(tensors)
    outputs = [y.copy() for y in subject.evaluate(used)]
    effects = _overwritten(used, tensors)
    if any(to_numpy(a).tobytes() != to_numpy(b).tobytes() for a, b in zip(outputs, subject.run(tensors))):
        raise ArgumentError(f"gradcheck {subject.title}: the forward gives other outputs the second time; a layer that draws "
                            "random numbers must draw them from its own rng (a numpy Generator)")
    subject.name_axes(axes, outputs)
    weights = _draw_upstream(subject, outputs, upstream, as_generator(rng))
    used, handed = _copies(tensors), _copy_list(weights)
    analytic = _copies(subject.gradients(used, handed))
    effects += _overwritten(used, tensors) + _upstream_overwritten(handed, weights)
    _check_form(subject, analytic)
    comparisons = _compare_all(subject, analytic, weights, method, tolerance)
    effects += _unused(subject, analytic, allow_unused)
    effects += subject.look_again(analytic, _copies(tensors), _copy_list(weights))
    limits = {"finite": tolerance, "complex": complex_tolerance}
    wrong = [c for c in comparisons if not c.error <= limits[c.method]]
    rounding = "forward" if wrong and _rounds_to_float32(subject) else \
        "backward" if wrong and all(_is_float32(analytic[c.name]) for c in wrong) else ""
    if rounding:
        raise ArgumentError(f"gradcheck {subject.title}: the {rounding} rounds to float32 (astype(np.float32), or a float32 "
                            "array that it computes with), and the check needs float64: keep the dtype of the inputs")
    if analytic and not wrong:
        effects += check_linearity(subject, weights)
    effects = list(dict.fromkeys(effects))
    found = _diagnosis(subject) if wrong and diagnose else None
    problem = ""
    if wrong:
        problem = "\n  also: ".join([explain(subject, wrong, analytic, limits), *map(str, effects)])
        if found is not None and (found.cell or found.side_effects):
            problem += f"\n{found}"
    elif effects:
        problem = (f"gradcheck {subject.title}: every gradient that was compared agrees, but "
                   f"{'; and '.join(map(str, effects))}")
    note = f" ({'; '.join(subject.notes)})" if subject.notes else ""
    report = GradcheckReport(subject.title, comparisons, sum(int(a.size) for a in analytic.values()), note,
                             {name: tuple(a.shape) for name, a in analytic.items()},
                             tuple(dict.fromkeys(c.name for c in wrong)), problem, found, tuple(effects))
    if problem and raise_exception:
        failure = GradientError(problem)
        failure.report, failure.diagnosis, failure.side_effects = report, found, report.side_effects
        raise failure
    return report


def _diagnosis(subject: Subject) -> Diagnosis | None:
    """Return what is wrong by name, or None where that cannot be tried."""
    if not all(isinstance(value, np.ndarray) for value in subject.tensors.values()):
        return None
    try:
        return diagnosis_of(subject)
    except Exception:       # a student's code at other sizes may raise anything; the wrong gradients must be told
        return None


def _compare_all(subject: Subject, analytic: dict[str, Array], weights: list[Array | None], method: str,
                 tolerance: float) -> list[Comparison]:
    """Differentiate the forward numerically with respect to each tensor and compare; say in a note what could not be done."""
    comparisons, keeps_complex, kinks = [], method != "finite", 0
    for name in analytic:
        if method != "complex":
            a = numeric = to_numpy(analytic[name])
            for eps in EPS / 10.0 ** np.arange(4):  # where the forward bends within a step, a smaller one is needed
                low, high, noise = _differences(subject, name, weights, eps)
                better = np.clip(a, low, high)      # low = high except on a kink
                numeric = np.where((abs(a - better) > abs(a - numeric)) & (eps < EPS), numeric, better)
                found = _compare(subject, name, "finite", a, numeric)
                if not found.error <= tolerance:    # unless rounding of large outputs alone explains it
                    found = _compare(subject, name, "finite", a, np.where(abs(a - numeric) <= noise, a, numeric))
                if found.error <= tolerance:
                    break
            kinks += int((low < high).sum())
            comparisons.append(found)
        if keeps_complex:
            try:
                exact = subject.held_at_zero(name, to_numpy(complex_step(subject.run, subject.tensors, name, weights)))
            except NotComplexError as error:
                if method == "complex":
                    raise GradientError(f"gradcheck {subject.title}: complex step needs a forward that keeps complex "
                                        f"numbers ({error}); use method='finite'") from error
                keeps_complex = False
                continue
            if method == "both" and not (
                    (low < high) | (abs(exact - numeric) <= 1e-4 * abs(numeric) + 1e-6 + 2 * noise)).all():
                keeps_complex = False       # the two numerical methods differ: abs, maximum or .real somewhere in the forward
                continue
            comparisons.append(_compare(subject, name, "complex", analytic[name], exact))
    if not keeps_complex:
        comparisons = [c for c in comparisons if c.method == "finite"]
        if method == "both":
            subject.add_note("finite differences alone: the forward does not keep complex numbers")
    if kinks:
        subject.add_note(f"{kinks} entries lie on a kink, where any slope between the two one-sided ones is correct")
    return comparisons


def _differences(subject: Subject, name: str, weights: list[Array | None],
                 eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (low, high, noise) as ``finite_difference`` does, on the host."""
    try:
        low, high, noise = map(to_numpy, finite_difference(subject.run, subject.tensors, name, weights, eps))
    except OutOfRangeError as error:
        raise ArgumentError(f"gradcheck {subject.title}: {error}; choose inputs away from the edge") from None
    return subject.held_at_zero(name, low), subject.held_at_zero(name, high), noise


def _check_names(subject: Subject, allow_unused: Sequence[str]) -> None:
    """Raise ArgumentError if ``allow_unused`` names something that is no parameter (of a pair: no input)."""
    names = (*subject.parameters, *subject.without_gradient) or tuple(subject.tensors)
    if isinstance(allow_unused, str) or not set(allow_unused) <= set(names):
        raise ArgumentError(f"allow_unused: expected names of parameters ({', '.join(names) or 'there are none'})"
                            f", got {allow_unused!r}")


def _unused(subject: Subject, analytic: Mapping[str, Array], allow_unused: Sequence[str]) -> list[SideEffect]:
    """Tell of parameters that were not really checked.

    They have no gradient and make no difference, not even as NaN, to the outputs; or they make one, and have no gradient.
    """
    found = []
    for name in (*subject.parameters, *subject.missing):
        if name in allow_unused or name in analytic and to_numpy(analytic[name]).any():
            continue
        if not subject.reads(name):
            spelled = subject.spelled(name)
            found.append(SideEffect("not read", (spelled, spelled.partition("[")[0], name)))
        elif name in subject.missing:
            subject.add_note(f"no gradient of {name} was returned; the outputs that were compared do not depend on it")
    for name in subject.without_gradient:
        if name not in allow_unused:
            forms = ", ".join(form.format(name) for form in GRADIENT_NAMES[:3])
            found.append(SideEffect("no gradient", (subject.spelled(name), forms, name)))
    return found


def _rounds_to_float32(subject: Subject) -> bool:
    """Return whether outputs are numbers that float32 can hold even when no input and no parameter is one."""
    moved = {name: value * (1 + 1e-11) for name, value in subject.tensors.items()}
    values = [to_numpy(y).ravel() for y in subject.run(moved) if y.dtype.kind == "f"]
    return bool(values) and _is_float32(np.concatenate(values))


def _is_float32(values: Array) -> bool:
    """Return whether all numbers are such that float32 can hold, and not just whole ones."""
    values = to_numpy(values)
    with np.errstate(over="ignore"):
        return bool((values == values.astype(np.float32)).all() and (values % 1 != 0).any())


def _draw_upstream(subject: Subject, outputs: list[Array], upstream: Any, rng: np.random.Generator) -> list[Array | None]:
    if subject.is_loss:
        return [asarray(1.0, backend_name(outputs[0]))]
    count = len(outputs) if subject.covered is None else subject.covered
    if upstream is None:
        drawn = [asarray(rng.standard_normal(y.shape), backend_name(y)) for y in outputs]
        return [u if k < count else None for k, u in enumerate(drawn)]
    given = list(upstream) if isinstance(upstream, (tuple, list)) else [upstream]
    if len(given) != count:
        raise GradientError(f"gradcheck {subject.title}: expected {count} upstream gradients, got {len(given)}")
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


def _check_form(subject: Subject, analytic: dict[str, Array]) -> None:
    for name, value in analytic.items():
        want = tuple(subject.tensors[name].shape)
        if tuple(value.shape) != want:
            raise GradientError(f"gradcheck {subject.title}: the gradient of {name} has shape {tuple(value.shape)}, expected "
                                f"{want}")
        if not np.isfinite(to_numpy(value)).all():
            raise GradientError(f"gradcheck {subject.title}: the gradient of {name} holds NaN or infinite values")


def _compare(subject: Subject, name: str, method: str, analytic: Array, numeric: Array) -> Comparison:
    a, n = to_numpy(analytic).astype(np.float64), to_numpy(numeric)
    gap, size = np.abs(a - n), np.maximum(np.abs(a), np.abs(n))
    if method == "complex":
        large = max(1.0, float(size.max()), *(float(abs(to_numpy(v)).max()) for v in subject.tensors.values()))
        errors = gap / np.maximum(size, 1e-3 * large)       # rounding grows with what the gradient is a product of
        error = float(errors.max())
    else:
        errors = gap
        error = _norm_error(a, n)
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(errors)), errors.shape))
    by_gate = {}
    for gate, columns in subject.gate_blocks(name).items():
        by_gate[gate] = _norm_error(a[..., columns], n[..., columns])
    time = subject.time_axis(name)
    by_step = [] if time is None else [_norm_error(a.take(t, time), n.take(t, time)) for t in range(a.shape[time])]
    return Comparison(name, method, error, index, float(a[index]), float(n[index]), subject.describe(name, index), by_gate,
                      by_step)


def _norm_error(a: np.ndarray, n: np.ndarray) -> float:
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(n)), 1e-3 * math.sqrt(a.size))
    return float(np.linalg.norm(a - n)) / scale
