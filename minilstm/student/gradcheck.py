"""The gradient check of somebody else's code, as ``python -m minilstm gradcheck`` runs it in a process of its
own.

With ``--json`` that command prints one object (fields may be added; if one is changed or goes, the version
becomes 2):

    version     1
    target      what was checked, as it was given
    status      "right", "wrong" (a gradient is, or there is a side effect), or "not run" (message says why)
    message     the report as text
    tensors     a list, empty if not run: {"name", "shape", "right", "errors": {"finite": ..., "complex":
                ...}, "worst": {"entry", "where", "analytic", "numeric"}}; "complex" is missing where it was
                not possible
    diagnosis   null where none was tried, else {"cell", "conventions", "smallest_t", "named", "slips",
                "others", "wrong", "habits", "side_effects"}; a slip is {"mistake", "line", "right", "wrong",
                "where"}, and "mistake" a key of gradients/diagnosis/mistakes.py, or ""
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import get_array_module
from minilstm.backend.errors import ArgumentError, GradientError, MinilstmError, ShapeError
from minilstm.gradients.check.check import Settings
from minilstm.gradients.diagnosis.diagnose import diagnosis_of
from minilstm.gradients.gradcheck import check_target
from minilstm.gradients.targets.arguments import arrange, pass_on
from minilstm.gradients.targets.failures import errors_located
from minilstm.gradients.targets.make import make_target
from minilstm.gradients.targets.names import all_names, required_names
from minilstm.gradients.targets.target import Target
from minilstm.student.arrays import SIZES, Layout, Maker, OnDemand, layouts, size_of
from minilstm.student.load import load

required = partial(required_names, keyword_only=True)


class Request(NamedTuple):
    """What to check: ``target`` is "FILE:NAME" or "FILE:FORWARD,BACKWARD".

    ``arguments``: of a class. ``sizes``: of N, T, D, H, V. ``shape``: of the first input. ``arrays``: shapes
    by name. ``tokens``: an input, the first that forward takes so, is ids below this number.
    """

    target: str = ""
    arguments: Sequence[Any] = ()
    sizes: Mapping[str, int] = {}
    shape: tuple[int, ...] | None = None
    arrays: Mapping[str, tuple[int, ...]] = {}
    tokens: int | None = None
    seed: int = 0
    method: str = "both"
    allow_unused: Sequence[str] = ()


class Trial(NamedTuple):
    """What a student gave, with inputs that were made for it, and what forward or backward raised."""

    given: Any
    inputs: dict[str, Any]
    axes: str | None
    target: Target | None = None
    forward: MinilstmError | None = None
    backward: MinilstmError | None = None


def check_file(request: Request) -> dict[str, Any]:
    """Return the report on ``request.target`` as plain values."""
    made = make(find(request.target), request)
    assert made.target is not None
    settings = Settings(request.method, rng=request.seed, allow_unused=request.allow_unused, axes=made.axes)
    report = check_target(made.target, settings, raise_exception=False)
    message, found = str(report), report.diagnosis
    if found is not None and found.cell is None and not found.side_effects:
        message += f"\n{found}"
    if report.right:                # a forward that is wrong together with its backward passes the check
        with contextlib.suppress(Exception):        # at other sizes it may raise anything
            found = diagnosis_of(made.target, seconds=1.0)
            report = report._replace(diagnosis=found)
        if found is not None and found.slips:
            message = f"the gradients are right, but they are not those of the {found.cell}\n{found}"
    return {"status": "right" if report.right else "wrong", "message": message, "summary": report.summary(),
            "table": report.table(), **report.as_dict()}


def find(spec: str) -> Any:
    """Return what "FILE:NAME" names, or the pair of functions that "FILE:FORWARD,BACKWARD" names."""
    file, _, names = spec.rpartition(":")
    module = load(Path(file))
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if not hasattr(module, name):
            public = {key: value for key, value in vars(module).items() if not key.startswith("_")}
            defined = [key for key, value in public.items() if callable(value)][:8]
            raise ArgumentError(f"{file}: defines no {name}{', only ' * bool(defined)}{', '.join(defined)}")
    found = tuple(getattr(module, name) for name in wanted)
    return found[0] if len(found) == 1 else found


def make(named: Any, request: Request) -> Trial:
    """Return the target with inputs that it takes. Raises ArgumentError where none are found."""
    pair, has_backward = isinstance(named, (tuple, list)), hasattr(named, "backward")
    if not (pair or callable(named) or has_backward):
        raise ArgumentError("expected a function, a class, a layer or a pair of functions, got "
                            f"{type(named).__name__}")
    is_factory = not has_backward and (request.arguments or not pair and not required(named))
    builds = not pair and (isinstance(named, type) or is_factory)
    if request.arguments and not builds:
        raise ArgumentError("ARG is for a class or for a function that returns a layer; a layer or a pair "
                            "takes no ARG")
    wanted = required(named) if builds else []
    sizes, by_hand = _sizes(wanted, request), request.shape is not None
    trials: list[Trial] = []
    seen = set()
    places = range(9 if request.tokens else 1)      # which of the inputs is the ids
    for layout, place in product(layouts("NT" if request.tokens and not by_hand else None), places):
        try:
            given = _build(named, layout, sizes, request) if builds else named
            forward = _forward_of(given)
            names = required(forward)
            names += [name for name in all_names(forward) if name in request.arrays and name not in names]
            if place and place >= len(names):
                continue
            first = {} if request.shape is None else dict.fromkeys(names[:1], request.shape)
            shapes = {**first, **request.arrays}
            ids = "".join(names[place:place + 1]) if request.tokens else ""
            maker = Maker(layout, names, sizes, shapes, request.seed, ids)
            inputs = {name: maker.make(name) for name in names}
        except KeyError as error:
            raise _unknown_name(error.args[0]) from None
        made = repr([(name, _shape(value)) for name, value in inputs.items()]) + ids
        if made in seen and not wanted[len(request.arguments):] and not _on_demand(inputs):
            continue
        seen.add(made)
        trials.append(_try(given, inputs, None if {*names[:1]} & {*shapes} else layout.x))
        unknown = set(request.arrays) - maker.asked - {*wanted}
        if unknown and trials[-1].forward is None:
            raise ArgumentError(f"--array {min(unknown)}: forward takes no array of this name")
        if trials[-1].forward is None and trials[-1].backward is None:
            return trials[-1]
    return _best(trials)


def _sizes(wanted: list[str], request: Request) -> dict[str, int]:
    """Return the sizes asked for, and those that a class is given (MyLSTM 3 5: so x has 3 features)."""
    sizes = {**SIZES, **({"V": request.tokens} if request.tokens else {}), **request.sizes}
    for name, value in zip(wanted, request.arguments):
        size = size_of(name)
        if size is not None and isinstance(value, int) and value > 0 and size not in request.sizes:
            sizes[size] = value
    letters = set(map(size_of, wanted))
    if "V" in letters and "D" not in letters:       # words in place of features
        sizes["D"] = sizes["V"]
    return sizes


def _build(named: Any, layout: Layout, sizes: Mapping[str, int], request: Request) -> Any:
    """Make an object of a class: with the ARGs given, then with what its arguments' names say."""
    names, title = required(named), getattr(named, "__name__", "NAME")
    maker = Maker(layout, names, sizes, request.arrays, request.seed)
    usual = {"rng": np.random.default_rng(request.seed), "seed": request.seed,
             "lr": 0.01, "learning_rate": 0.01}
    values = list(request.arguments)
    for name in names[len(values):]:
        size = size_of(name)
        known = usual.get(name, None if size is None else sizes[size])
        try:
            values.append(maker.make(name) if known is None else known)
        except KeyError:
            raise ArgumentError(f"the name {name} does not tell what to make it with: give its arguments, "
                                f"{', '.join(names)}, behind the target: FILE:{title} 3 5") from None
    with errors_located(title, "making it", named):
        return named(*values)


def _unknown_name(name: str) -> ArgumentError:
    if name == "self":
        return ArgumentError("forward takes self, so it is a method: name its class, FILE:CLASS")
    return ArgumentError(f"the name {name} does not tell what shape the array has: give it (--array "
                         f"{name}=3,20), or check from Python with ml.gradcheck")


def _forward_of(given: Any) -> Any:
    return given[0] if isinstance(given, (tuple, list)) else getattr(given, "forward", given)


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} {_shape(array)}" for key, array in value.items()) + "}"
    return str(np.shape(value))


def _on_demand(inputs: Mapping[str, Any]) -> bool:
    return any(isinstance(value, OnDemand) for value in inputs.values())


def _try(given: Any, inputs: dict[str, Any], axes: str | None) -> Trial:
    """Run forward and backward once."""
    known = axes if axes is not None and set(axes) <= set("NTD") and "D" in axes else None
    try:
        if isinstance(given, (tuple, list)) or _on_demand(inputs):
            inputs = _taken(_forward_of(given), inputs)
        target = make_target(given, inputs, {})
        outputs = target.run(target.tensors)
    except MinilstmError as error:
        return Trial(given, inputs, known, forward=error)
    trial = Trial(given, inputs, known, target)
    if known is not None and "N" in known and _mixes(target, outputs, known.index("N")):
        return trial._replace(backward=ShapeError("what was taken for two sequences is one"))
    try:
        gradients = target.gradients(target.tensors, [get_array_module(y).ones_like(y) for y in outputs])
    except MinilstmError as error:
        return trial._replace(backward=error)
    if any(np.shape(gradient) != np.shape(target.tensors[name]) for name, gradient in gradients.items()):
        return trial._replace(backward=ShapeError("a gradient has another shape"))
    return trial


def _taken(forward: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Call a forward with these inputs; return them, with the dicts that it filled."""
    title = getattr(forward, "__name__", "forward")
    arrays = {name: value.copy() for name, value in inputs.items() if isinstance(value, np.ndarray)}
    copies = {**inputs, **arrays}
    arranged = arrange(forward, copies, {})
    arguments, by_name = pass_on(arranged, arranged.values)
    with errors_located(title, "forward", forward):
        forward(*arguments, **by_name)
    return {name: dict(value) if isinstance(value, OnDemand) else value for name, value in inputs.items()}


def _mixes(target: Target, outputs: list[Any], axis: int) -> bool:
    """Return whether one sequence's input changes another's output: then this axis is time."""
    first = target.input_names[0]
    x = target.tensors[first].copy()
    x.swapaxes(0, axis)[0] += 1.0
    moved = target.run({**target.tensors, first: x})
    pairs = [(y.swapaxes(0, axis)[1:], z.swapaxes(0, axis)[1:]) for y, z in zip(outputs, moved)
             if y.ndim > axis and y.shape[axis] == x.shape[axis]]
    return any((y != z).any() for y, z in pairs)


def _best(trials: list[Trial]) -> Trial:
    """Return the first trial whose forward ran; its backward gradcheck judges. Raises if none ran."""
    for trial in trials:
        if trial.forward is None:
            return trial
    # a wrong arrangement raises ValueError or IndexError; others are the forward's own
    for trial in trials:
        listed = any(isinstance(value, list) for value in trial.inputs.values())
        if not listed and trial.forward and not isinstance(trial.forward.__cause__, (ValueError, IndexError)):
            raise GradientError(str(trial.forward))
    made = ", ".join(f"{name} {_shape(value)}" for name, value in trials[0].inputs.items())
    raise ArgumentError(f"{trials[0].forward} (called with arrays made from the arguments' names: {made}; "
                        "set sizes with --shape N=2,T=4,D=3,H=5, the shape of one array with --array "
                        "NAME=3,20)")
