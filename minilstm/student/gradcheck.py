"""The gradient check of somebody else's code, as ``python -m minilstm gradcheck`` runs it in a process of its
own.

With ``--json`` that command prints one object (fields may be added; if one is changed or goes, the version
becomes 2):

    version     1
    target      what was checked, as it was given
    status      "right", "wrong" (a gradient is, or there is a side effect), or "not run" (message says why)
    message     the report as text
    tensors     a list, empty if not run: {"name", "shape", "right", "errors": {"finite": ..., "complex": ...},
                "worst": {"entry", "where", "analytic", "numeric"}}; "complex" is missing where complex step was not possible
    diagnosis   null where none was tried, else the fields of minilstm.Diagnosis: {"cell", "conventions", "smallest_t",
                "named", "slips": [{"mistake", "line", "right", "wrong", "where"}, ...], "others", "wrong", "habits",
                "side_effects"}; "mistake" is a key of gradients/diagnosis/mistakes.py, "" for what has no name there
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import get_array_module
from minilstm.backend.errors import ArgumentError, GradientError, MinilstmError, ShapeError
from minilstm.gradients.diagnosis.diagnose import diagnose
from minilstm.gradients.gradcheck import gradcheck
from minilstm.gradients.targets.failures import errors_located
from minilstm.gradients.targets.make import make_target
from minilstm.gradients.targets.names import required_names
from minilstm.gradients.targets.target import Target
from minilstm.student.arrays import SIZES, Layout, Maker, OnDemand, layouts, size_of
from minilstm.student.load import load

required = partial(required_names, keyword_only=True)


class Trial(NamedTuple):
    """A target with inputs that were made for it, and what was raised: None for nothing."""

    target: Any
    inputs: Any
    axes: str | None
    forward: MinilstmError | None = None
    backward: MinilstmError | None = None


def check_file(request: dict[str, Any]) -> dict[str, Any]:
    """Check ``request["target"]``, "FILE:NAME" or "FILE:FORWARD,BACKWARD"; return the report as plain values.

    Other entries: "arguments" of a class, "sizes" (N, T, D, H, V), "shape" of the first input, "arrays"
    (shapes by name), "tokens" (ids below this number), "seed", "method", "allow_unused" (names).
    """
    made = make(find(request["target"]), request)
    report = gradcheck(made.target, made.inputs, method=request["method"], rng=request["seed"], axes=made.axes,
                       allow_unused=request["allow_unused"], raise_exception=False)
    message = str(report)
    if report.diagnosis is not None and report.diagnosis.cell is None and not report.diagnosis.side_effects:
        message += f"\n{report.diagnosis}"
    if report.right:                # a forward that is wrong together with its backward passes the check
        with contextlib.suppress(Exception):        # at other sizes it may raise anything
            report = report._replace(diagnosis=diagnose(made.target, made.inputs, seconds=1.0))
        if report.diagnosis is not None and report.diagnosis.slips:
            message = f"the gradients are right, but they are not those of the {report.diagnosis.cell}\n{report.diagnosis}"
    return {"status": "right" if report.right else "wrong", "message": message, "summary": report.summary(),
            "table": report.table(), **report.as_dict()}


def find(spec: str) -> Any:
    """Return what "FILE:NAME" names, or the pair of functions that "FILE:FORWARD,BACKWARD" names."""
    file, _, names = spec.rpartition(":")
    module = load(Path(file))
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if not hasattr(module, name):
            defined = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise ArgumentError(f"{file}: defines no {name}{', only ' if defined else ''}{', '.join(defined[:8])}")
    found = tuple(getattr(module, name) for name in wanted)
    return found[0] if len(found) == 1 else found


def make(named: Any, request: dict[str, Any]) -> Trial:
    """Return the target with inputs that it takes. Raises ArgumentError where none are found."""
    arguments, sizes = request["arguments"], {**SIZES, **request["sizes"]}
    pair = isinstance(named, (tuple, list))
    if not (pair or callable(named) or hasattr(named, "backward")):
        raise ArgumentError(f"expected a function, a class, a layer or a pair of functions, got {type(named).__name__}")
    builds = not pair and (isinstance(named, type) or not hasattr(named, "backward") and (arguments or not required(named)))
    if arguments and not builds:
        raise ArgumentError("ARG is for a class or for a function that returns a layer; a layer or a pair takes no ARG")
    wanted = required(named) if builds else []
    for name, value in zip(wanted, arguments):      # MyLSTM 3 5: so x has 3 features
        size = size_of(name)
        if size is not None and isinstance(value, int) and value > 0 and size not in request["sizes"]:
            sizes[size] = value
    by_name = {size_of(name) for name in wanted}
    if "V" in by_name and "D" not in by_name:       # words in place of features
        sizes["D"] = sizes["V"]
    trials, seen = [], set()
    for layout in layouts("NT" if request["tokens"] and request["shape"] is None else None):
        try:
            target = _build(named, arguments, layout, sizes, request) if builds else named
            names = required(_forward_of(target))
            maker = Maker(layout, names, sizes, request["arrays"], request["seed"])
            inputs = {name: maker.make(name) for name in names}
        except KeyError as error:
            if error.args[0] == "self":
                raise ArgumentError("forward takes self, so it is a method: name its class, FILE:CLASS") from None
            raise ArgumentError(f"the name {error.args[0]} does not tell what shape the array has: give it (--array "
                                f"{error.args[0]}=3,20), or check from Python with ml.gradcheck") from None
        if request["shape"] is not None and names:
            inputs[names[0]] = _first_input(request)
        shapes = repr([(name, _shape(value)) for name, value in inputs.items()])
        if shapes not in seen or wanted[len(arguments):] or any(isinstance(value, OnDemand) for value in inputs.values()):
            seen.add(shapes)
            trials.append(_try(target, inputs, None if request["shape"] is not None else layout.x))
            unknown = set(request["arrays"]) - maker.asked
            if unknown and trials[-1].forward is None:
                raise ArgumentError(f"--array {min(unknown)}: forward takes no array of this name")
            if trials[-1].forward is None and trials[-1].backward is None:
                return trials[-1]
    return _best(trials)


def _build(named: Any, arguments: list[Any], layout: Layout, sizes: Mapping[str, int], request: dict[str, Any]) -> Any:
    """Make an object of a class: with the ARGs given, then with what its arguments' names say."""
    names = required(named)
    maker = Maker(layout, names, sizes, request["arrays"], request["seed"])
    values = list(arguments)
    usual = {"rng": np.random.default_rng(request["seed"]), "seed": request["seed"], "lr": 0.01, "learning_rate": 0.01}
    for name in names[len(arguments):]:
        size = size_of(name)
        try:
            values.append(usual[name] if name in usual else sizes[size] if size is not None else maker.make(name))
        except KeyError:
            raise ArgumentError(f"the name {name} does not tell what to make it with: give its arguments, "
                                f"{', '.join(names)}, behind the target: FILE:{getattr(named, '__name__', 'NAME')} 3 5"
                                ) from None
    with errors_located(getattr(named, "__name__", "target"), "making it", named):
        return named(*values)


def _forward_of(target: Any) -> Any:
    if isinstance(target, (tuple, list)):
        return target[0]
    return getattr(target, "forward", target)


def _first_input(request: dict[str, Any]) -> np.ndarray:
    rng, shape, tokens = np.random.default_rng(request["seed"]), request["shape"], request["tokens"]
    return rng.standard_normal(shape) if tokens is None else rng.integers(0, tokens, shape)


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} {_shape(array)}" for key, array in value.items()) + "}"
    return str(np.shape(value))


def _try(target: Any, inputs: dict[str, Any], axes: str | None) -> Trial:
    """Run forward and backward once."""
    forward = _forward_of(target)
    known = axes if axes is not None and set(axes) <= set("NTD") and "D" in axes else None
    try:
        if any(isinstance(value, OnDemand) for value in inputs.values()):       # its keys show when they are asked for
            with errors_located(getattr(forward, "__name__", "forward"), "forward", forward):
                forward(**inputs)
            inputs = {name: dict(value) if isinstance(value, OnDemand) else value for name, value in inputs.items()}
        subject = make_target(target, inputs, {})
        outputs = subject.run(subject.tensors)
    except MinilstmError as error:
        return Trial(target, inputs, known, forward=error)
    if known is not None and "N" in known and _mixes(subject, outputs, known.index("N")):
        return Trial(target, inputs, known, backward=ShapeError("what was taken for two sequences is one"))
    try:
        gradients = subject.gradients(subject.tensors, [get_array_module(y).ones_like(y) for y in outputs])
        fits = all(np.shape(gradients[name]) == np.shape(subject.tensors[name]) for name in gradients)
        return Trial(target, inputs, known, backward=None if fits else ShapeError("a gradient has another shape"))
    except MinilstmError as error:
        return Trial(target, inputs, known, backward=error)


def _mixes(subject: Target, outputs: list[Any], axis: int) -> bool:
    """Return whether one sequence's input changes another's output: then this axis is time."""
    x = subject.tensors[subject.input_names[0]].copy()
    x.swapaxes(0, axis)[0] += 1.0
    moved = subject.run({**subject.tensors, subject.input_names[0]: x})
    return any(y.ndim > axis and y.shape[axis] == x.shape[axis] and (
        y.swapaxes(0, axis)[1:] != z.swapaxes(0, axis)[1:]).any() for y, z in zip(outputs, moved))


def _best(trials: list[Trial]) -> Trial:
    """Return the first trial whose forward ran; its backward gradcheck judges. Raises if none ran."""
    for trial in trials:
        if trial.forward is None:
            return trial
    for trial in trials:        # a wrong arrangement raises ValueError or IndexError; others are the forward's own
        listed = any(isinstance(value, list) for value in trial.inputs.values())
        if not listed and trial.forward and not isinstance(trial.forward.__cause__, (ValueError, IndexError)):
            raise GradientError(str(trial.forward))
    made = ", ".join(f"{name} {_shape(value)}" for name, value in trials[0].inputs.items())
    raise ArgumentError(f"{trials[0].forward} (called with arrays made from the arguments' names: {made}; set sizes with "
                        "--shape N=2,T=4,D=3,H=5, the shape of one array with --array NAME=3,20)")
