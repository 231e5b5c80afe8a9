"""``gradcheck``: is this hand-derived gradient right?

It takes what you wrote (a layer, a loss, or a forward/backward pair of functions), computes every gradient in
two ways, analytically through your ``backward`` and numerically through your ``forward`` alone
(numerical.py), and compares every entry. Where they disagree it raises GradientError and names the worst
entry: which parameter, which gate, which time step.

It also checks for side effects that make a correct gradient wrong in use: a Module must add to ``grads``, not
overwrite them; a second ``backward`` of a function pair must give the same bytes; and no function may write
into its inputs. Values come first: what is said about side effects never hides a wrong gradient.

It cannot detect a forward that is itself wrong (a gate too many, lengths ignored) if the gradient is
consistent with it; ``ml.diagnose`` compares the forward with the equations of an RNN, GRU or LSTM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from minilstm.backend.errors import GradientError
from minilstm.gradients.check.check import COMPLEX_TOLERANCE, FINITE_TOLERANCE, Settings, check
from minilstm.gradients.diagnosis.diagnose import Diagnosis, diagnosis_of
from minilstm.gradients.repair.repair import find_repair
from minilstm.gradients.report import GradcheckReport, describe_wrong
from minilstm.gradients.targets.make import make_target
from minilstm.gradients.targets.target import Target


def gradcheck(target: Any, inputs: Any, *, method: str = "both", upstream: Any = None,
              tolerance: float = FINITE_TOLERANCE, complex_tolerance: float = COMPLEX_TOLERANCE, rng: Any = 0,
              allow_unused: Sequence[str] = (), axes: str | None = None, diagnose: bool = True,
              show_repair: bool = False, raise_exception: bool = True, **options: Any) -> GradcheckReport:
    """Check every gradient of ``target`` at ``inputs``, entry by entry; raise GradientError if one is wrong.

    Args:
        target: what you wrote, as it is:

            - a pair (forward, backward) with ``forward(*inputs) -> (y, ..., cache)`` and ``backward(dy, ...,
              cache) -> gradients``: a tuple in the order of forward's arguments, a dict by name (``dW``,
              ``d_W``, ``W_grad``, ``grad_W``, ``W_diff`` or ``W``), or both;
            - such a pair with the loss inside: ``forward(*inputs) -> (loss, ..., cache)`` and
              ``backward(cache)``;
            - a function ``forward(*inputs) -> (y, backward)`` that returns its own ``backward(dy)``;
            - a layer (a Module), or an object of any class with ``forward(x)`` or a call, and
              ``backward(dy)`` (``backward()`` for a loss), that keeps parameters and gradients in ``params``
              and ``grads`` (dicts or lists) or in attributes (``W`` and ``dW``, ``d_W``, ...).
        inputs: what forward takes: an array, a tuple, or a dict by the names of forward's arguments. Each may
            be an array or a tuple, list (of time steps, say) or dict of arrays. Floating point arrays are
            converted to float64 and checked, each under the name of its argument or its key; integers
            (tokens, targets, also in lists) and None are passed on.
        method: "finite" (central differences), "complex" (complex step), or "both": finite differences, and
            complex step too where the forward keeps complex numbers.
        upstream: gradient of each output, in order (a list; None entries are handed to backward as missing).
            By default drawn from N(0, 1).
        tolerance, complex_tolerance: largest error allowed, per tensor and per entry (see Comparison).
        rng: seed or Generator for the upstream gradients.
        allow_unused: names of parameters that the forward need not read, or that need no gradient
            (constants); any other parameter that forward does not read and backward gives no gradient is an
            error: the forward may be using a copy.
        axes: what the axes of the first input are, for messages: "NTD" (sequences, time, features), "DNT",
            "ND", .... By default "NTD" for three axes if the output begins with the same two; else no message
            names a time step.
        diagnose: where a gradient is wrong, look for the one change of the source that makes every gradient
            right (of 197 mistakes kept apart it repaired 78 %), and in an RNN, GRU or LSTM for the wrong line
            of the derivation; what is found is part of the message, and the error's ``diagnosis`` has it.
            ``ml.diagnose`` tries more.
        show_repair: tell the changed line, too.
        raise_exception: False returns the report where a gradient is wrong, too: its ``right`` is False then,
            and a notebook shows it as a table with the wrong tensors marked. An error is
            still raised if the check cannot be made.
        options: keyword arguments of the forward (``lengths``, ``return_state``, ...).

    The target itself is not touched: a deep copy is checked, in training mode, with its random streams
    rewound before each evaluation, so dropout drops the same places each time.

    Returns a GradcheckReport, which lists the tensors that were compared. Raises GradientError (an
    AssertionError; its ``report`` is the GradcheckReport), also with file and line for what forward or
    backward raises (``report`` is None then, since nothing was compared), except errors of this library,
    which stay as they are; ArgumentError for an unknown method, for a target or inputs that cannot be
    checked, for inputs at the edge of what the forward accepts and for a forward that rounds to float32.

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
    >>> inputs = {"x": np.eye(2), "W": np.ones((2, 3))}
    >>> print(ml.gradcheck((forward, backward), inputs))    # doctest: +ELLIPSIS
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
    settings = Settings(method, upstream, tolerance, complex_tolerance, rng, allow_unused, axes)
    __tracebackhide__ = True        # of pytest: what is wrong is in the lines that it tells of, not in ours
    return check_target(make_target(target, inputs, options), settings, diagnose, raise_exception,
                        show_repair)


def check_target(target: Target, settings: Settings, diagnose: bool = True, raise_exception: bool = True,
                 show_repair: bool = False, thorough: bool = False) -> GradcheckReport:
    """As ``gradcheck``, for a Target. ``thorough``: look for repairs as ``ml.diagnose`` does."""
    __tracebackhide__ = True
    checked = check(target, settings)
    wrong, effects = checked.wrong, list(map(str, checked.side_effects))
    found = _diagnosis(target, show_repair, thorough) if wrong and diagnose else None
    problem = ""
    if wrong:
        first = describe_wrong(target, wrong, checked.gradients, settings.limits)
        problem = "\n  also: ".join([first, *effects])
        if found is not None:
            problem += f"\n{found}"
    elif effects:
        problem = (f"gradcheck {target.title}: every gradient that was compared agrees, but "
                   f"{'; and '.join(effects)}")
    report = GradcheckReport(
        target.title, checked.comparisons, sum(int(a.size) for a in checked.gradients.values()),
        note=f" ({'; '.join(target.notes)})" if target.notes else "",
        sizes={name: tuple(a.shape) for name, a in checked.gradients.items()},
        wrong=tuple(dict.fromkeys(c.name for c in wrong)), problem=problem, diagnosis=found,
        side_effects=checked.side_effects)
    if problem and raise_exception:
        failure = GradientError(problem)
        failure.report, failure.diagnosis, failure.side_effects = report, found, report.side_effects
        raise failure
    return report


def _diagnosis(target: Target, show_repair: bool, thorough: bool) -> Diagnosis:
    """Return what is wrong by name, and which change makes it right."""
    try:
        found = diagnosis_of(target)
    except Exception:       # at other sizes it may raise anything; the wrong gradients must be told
        found = Diagnosis(None)
    return replace(found, repair=find_repair(target, thorough), show_repair=show_repair)
