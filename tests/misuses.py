"""What happens when the library is used otherwise than its examples do: a table of cases, each with its verdict.

    python tests/misuses.py                    # the counts
    python tests/misuses.py --all              # each case

A case is a kind of use at one place, for one cell, on one path (compiled steps, NumPy, readable functions). Verdicts:

    right           the result is that of the plain use
    typed           an error of minilstm's own, before anything changed; the next plain use is right
    silently wrong  another result, and no word
    untyped         an error of Python's, NumPy's or the compiled code's
    changed         a typed error, but gradients, weights, moments, random streams or the next use are not what they were

Only public names are used, so that an older version can be judged by the same cases. The exit status is 1 if one of them is
neither right nor typed.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import minilstm as ml

CELLS: dict[str, Any] = {"LSTM": ml.LSTM, "GRU": ml.GRU, "RNN": ml.RNN}
PATHS = ("compiled", "numpy", "readable")
GOOD = ("right", "typed")
N, T, D, H = 6, 5, 3, 4
rng = np.random.default_rng(0)
X, V = (rng.standard_normal((N, T, D)).astype(np.float32) for _ in range(2))
Y, Z = np.array([1, 0, 1, 1, 0, 0], np.float32), np.array([0, 1, 1, 0, 1, 0], np.float32)


class Case(NamedTuple):
    """A use of the library; ``judge`` returns its verdict."""

    kind: str
    name: str
    place: str
    path: str
    judge: Callable[[], str]


class Wrong(Exception):
    """A result that is not that of the plain use."""


def check(right: bool) -> None:
    """Raise Wrong unless the condition holds."""
    if not right:
        raise Wrong


def alike(a: Any, b: Any) -> bool:
    """Return whether two results are the same numbers, to rounding in float32."""
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(alike, a, b))
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-4, atol=1e-6)


def verdict(use: Callable[[], None], changed: Callable[[], bool] = lambda: False) -> str:
    """Return the verdict on ``use``, which raises Wrong for a wrong result; ``changed`` is asked after a typed error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            use()
    except Wrong:
        return "silently wrong"
    except ml.MinilstmError:
        return "changed" if changed() else "typed"
    except Exception:
        return "untyped"
    return "right"


def refusal(use: Callable[[], Any], changed: Callable[[], bool] = lambda: False) -> Callable[[], str]:
    """Return a judge of a use that must be refused: that it passes is silently wrong."""
    def judge() -> str:
        found = verdict(use, changed)
        return "silently wrong" if found == "right" else found
    return judge


@contextmanager
def on_path(path: str) -> Iterator[None]:
    """Compute with compiled steps where they can be had, or in NumPy, inside a ``with``."""
    before = os.environ.pop("MINILSTM_NUMBA", None)
    if path != "compiled":
        os.environ["MINILSTM_NUMBA"] = "0"
    try:
        yield
    finally:
        os.environ.pop("MINILSTM_NUMBA", None)
        os.environ.update({} if before is None else {"MINILSTM_NUMBA": before})


def model_of(cell: str, path: str = "compiled", dropout: float = 0.0) -> ml.Sequential:
    """Return a small classifier of sequences."""
    parts = [ml.Dropout(dropout, rng=5)] if dropout else []
    model = ml.Sequential(CELLS[cell](D, H, return_sequences=False, rng=1), *parts, ml.Linear(H, 1, rng=2), ml.Sigmoid())
    model.fast = path != "readable"
    return model


def gradients(model: ml.Module) -> list[np.ndarray]:
    return [g.copy() for g in model.named_gradients().values()]


def state(thing: Any) -> list[Any]:
    """Return what a refusal must leave alone."""
    if isinstance(thing, ml.Module):
        return [{k: v.tobytes() for k, v in thing.named_parameters().items()},
                {k: v.tobytes() for k, v in thing.named_gradients().items()}, str(thing.rng_state())]
    if isinstance(thing, ml.Optimizer):
        saved = thing.state_dict()
        return [*state(thing.model), str(saved["meta"]), {k: v.tobytes() for k, v in saved["arrays"].items()}]
    return []


# The order of calls --------------------------------------------------------------------------------------------------


def plain(model: ml.Module, x: Any = X, y: Any = Y) -> list[np.ndarray]:
    """Return the gradients of the plain loop, from zero, on a copy."""
    twin = copy.deepcopy(model)
    twin.zero_grad()
    criterion = ml.BCELoss()
    criterion(twin(x), y)
    twin.backward(criterion.backward())
    return gradients(twin)


def order_cases(cell: str, path: str) -> Iterator[Case]:
    """Cases about which forward, and which loss, a backward belongs to."""
    def case(name: str, use: Callable[[ml.Sequential, Any], None]) -> Case:
        def judge() -> str:
            with on_path(path):
                model, criterion = model_of(cell, path), ml.BCELoss()
                before = state(model)

                def changed() -> bool:
                    if name != "a step between" and name != "weights loaded between" and state(model)[:1] != before[:1]:
                        return True
                    model.zero_grad()               # the plain loop must work again
                    criterion(model(X), Y)
                    model.backward(criterion.backward())
                    return not alike(gradients(model), plain(model))
                return verdict(lambda: use(model, criterion), changed)
        return Case("order", name, cell, path, judge)

    def after(between: Callable[[ml.Sequential, Any], Any]) -> Callable[[ml.Sequential, Any], None]:
        """Forward and loss, something else, backward: the gradient must be that of the first forward."""
        def use(model: ml.Sequential, criterion: Any) -> None:
            want = plain(model)
            model.zero_grad()
            criterion(model(X), Y)
            between(model, criterion)
            model.backward(criterion.backward())
            check(alike(gradients(model), want))
        return use

    def trainer(model: ml.Sequential, criterion: Any) -> ml.Trainer:
        return ml.Trainer(model, criterion, ml.Adam(model), verbose=False, progress=False)

    def evaluation_look(model: ml.Sequential, criterion: Any) -> None:
        model.eval()
        criterion(model(V), Z)
        model.train()

    def fifo(model: ml.Sequential, by_hand: bool, last_first: bool, V: Any = V, Z: Any = Z) -> None:
        want = [a + b for a, b in zip(plain(model), plain(model, V, Z))]
        pairs = [(ml.BCELoss(), X, Y), (ml.BCELoss(), V, Z)]
        outputs = [model(x) for _, x, _ in pairs]
        for (criterion, _, y), p in zip(pairs, outputs):
            criterion(p, y)
        dys = [criterion.backward() + 0 for criterion, _, _ in pairs] if by_hand else []        # other arrays than the losses'
        for k in ((1, 0) if last_first else (0, 1)):
            model.backward(dys[k] if by_hand else pairs[k][0].backward())
        check(alike(gradients(model), want))

    def step_between(model: ml.Sequential, criterion: Any) -> None:
        want, optimizer = plain(model), ml.SGD(model, 0.5)
        criterion(model(X), Y)
        dy = criterion.backward()
        for g in model.named_gradients().values():
            g.fill(1.0)
        optimizer.step()
        model.zero_grad()
        model.backward(dy)
        check(alike(gradients(model), want))

    def load_between(model: ml.Sequential, criterion: Any) -> None:
        want = plain(model)
        criterion(model(X), Y)
        model.load_state_dict({name: 2 * value for name, value in model.state_dict().items()})
        model.backward(criterion.backward())
        check(alike(gradients(model), want))

    def accumulate(model: ml.Sequential, criterion: Any) -> None:
        want = plain(model)
        for rows in (slice(0, 3), slice(3, 6)):
            criterion(model(X[rows]), Y[rows])
            model.backward(criterion.backward() / 2)
        check(alike(gradients(model), want))

    def shape_first(model: ml.Sequential, criterion: Any) -> None:
        want = plain(model)
        model(X)                                    # print(model(X).shape)
        model.zero_grad()
        criterion(model(X), Y)
        model.backward(criterion.backward())
        check(alike(gradients(model), want))

    def twice(model: ml.Sequential, criterion: Any) -> None:
        want = plain(model)
        model(V)
        criterion(model(X), Y)
        dy = criterion.backward()
        model.backward(dy)
        try:
            model.backward(dy)
        except ml.BackwardError:
            check(alike(gradients(model), want))
        else:
            raise Wrong

    def many(model: ml.Sequential, criterion: Any) -> None:
        for _ in range(20):
            model(X)
        after(lambda *_: None)(model, criterion)

    yield case("zero_grad just before backward", after(lambda m, c: m.zero_grad()))
    yield case("a look in training mode between loss and backward", after(lambda m, c: m(V)))
    yield case("a look of another size", after(lambda m, c: m(V[:2])))
    yield case("zero_grad and a look between", after(lambda m, c: (m.zero_grad(), m(V))))
    yield case("a look and zero_grad between", after(lambda m, c: (m(V), m.zero_grad())))
    yield case("a validation loss in training mode between", after(lambda m, c: c(m(V), Z)))
    yield case("a validation loss in evaluation mode between", after(evaluation_look))
    yield case("the criterion called on something else between", after(lambda m, c: c(np.full(N, 0.5, np.float32), Z)))
    yield case("Trainer.predict between", after(lambda m, c: trainer(m, c).predict(V)))
    yield case("Trainer.evaluate between", after(lambda m, c: trainer(m, c).evaluate([(V, Z)])))
    yield case("summary between", after(lambda m, c: m.summary((N, T, D))))
    yield case("a copy between", after(lambda m, c: copy.deepcopy(m)(V)))
    yield case("two forwards, first one first", lambda m, c: fifo(m, False, False))
    yield case("two forwards, last one first", lambda m, c: fifo(m, False, True))
    yield case("two forwards, first one first, gradients by hand", lambda m, c: fifo(m, True, False))
    yield case("two forwards of two sizes, gradients by hand", lambda m, c: fifo(m, True, False, V[:2], Z[:2]))
    yield case("a step between", step_between)
    yield case("weights loaded between", load_between)
    yield case("gradients accumulated over parts", accumulate)
    yield case("a forward nobody goes back through, before the loop", shape_first)
    yield case("backward twice", twice)
    yield case("twenty forwards nobody goes back through", many)


# What counts as an array ---------------------------------------------------------------------------------------------


def misaligned(a: np.ndarray) -> np.ndarray:
    buffer = np.empty(a.nbytes + 1, np.uint8)
    view = buffer[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def memory_map(a: np.ndarray) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as file:
        np.save(file, a)
    return np.load(file.name, mmap_mode="r")


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def series(a: np.ndarray) -> Any:
    import pandas
    return pandas.Series(a, index=np.arange(len(a))[::-1] + 7) if a.ndim == 1 else pandas.DataFrame(a) if a.ndim == 2 else a


def tensor(a: np.ndarray) -> Any:
    import torch
    return torch.from_numpy(a.copy())


FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "Fortran order": np.asfortranarray, "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: np.flip(np.flip(a).copy()), "broadcast": lambda a: np.broadcast_to(a, (2, *a.shape))[1],
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()), "misaligned": misaligned, "read-only": read_only,
    "memory map": memory_map, "list": lambda a: a.tolist(), "pandas": series, "PyTorch": tensor,
    "float64": lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a.astype(np.int64),
    "long double": lambda a: a.astype(np.longdouble) if a.dtype.kind == "f" else a.astype(np.int8),
    "float16": lambda a: a.astype(np.float16) if a.dtype.kind == "f" else a.astype(np.int16),
}
REFUSED: dict[str, Callable[[np.ndarray], Any]] = {
    "masked": lambda a: np.ma.array(a, mask=np.zeros(a.shape, bool)), "matrix": lambda a: np.matrix(a.reshape(len(a), -1)),
    "0-d": lambda a: np.asarray(a.flat[0]), "text": lambda a: a.astype(str),
    "objects": lambda a: a.astype(object).tolist() + [None],
    "None in a list": lambda a: [None, *a.tolist()[1:]], "ragged": lambda a: [[1.0], [1.0, 2.0]],
}


class Place(NamedTuple):
    """Where an array is given: ``make`` returns (what must stay as it is, the call), ``value`` is a plain array that fits."""

    name: str
    value: np.ndarray
    make: Callable[[str], tuple[Any, Callable[[Any], Any]]]
    paths: tuple[str, ...] = ("compiled",)

    @property
    def any_shape(self) -> bool:
        """Whether arrays of any shape are taken, one number among them."""
        return self.name in ("x of Tanh", "x of ReLU", "x of Dropout", "tokens of Embedding")


def places() -> Iterator[Place]:
    """All entrances that take arrays."""
    exact = {"x": np.round(X * 8) / 8, "h": np.round(rng.standard_normal((1, N, H)).astype(np.float32) * 8) / 8}
    column = exact["x"][:, 0].copy()

    def forward(make: Callable[[], ml.Module]) -> Callable[[str], tuple[Any, Callable[[Any], Any]]]:
        def made(path: str) -> tuple[Any, Callable[[Any], Any]]:
            layer = make()
            layer.fast = path != "readable"

            def call(x: Any) -> Any:
                y = layer(x)
                dx = layer.backward(np.ones(y.shape, y.dtype))
                return [y, *([] if dx is None else [dx]), *gradients(layer)]
            return layer, call
        return made

    def backward(make: Callable[[], ml.Module], x: np.ndarray) -> Callable[[str], tuple[Any, Callable[[Any], Any]]]:
        def made(path: str) -> tuple[Any, Callable[[Any], Any]]:
            layer = make()
            layer.fast = path != "readable"
            layer(x)

            def call(dy: Any) -> Any:
                dx = layer.backward(dy)
                return [*([] if dx is None else [dx]), *gradients(layer)]
            return layer, call
        return made

    def loss(criterion: Any, prediction: np.ndarray | None, target: np.ndarray | None) -> Any:
        def call(given: Any) -> Any:
            value = criterion(given if prediction is None else prediction, given if target is None else target)
            return [float(value), criterion.backward()]
        return lambda path: (None, call)

    layers: dict[str, Callable[[], ml.Module]] = {
        "Linear": lambda: ml.Linear(D, H, rng=0), "Tanh": ml.Tanh, "ReLU": ml.ReLU, "Dropout": lambda: ml.Dropout(0.5, rng=0)}
    for name, make in CELLS.items():
        every = lambda make=make: make(D, H, rng=0)     # noqa: E731
        last = lambda make=make: make(D, H, return_sequences=False, rng=0)      # noqa: E731
        yield Place(f"x of {name}", exact["x"], forward(every), PATHS)
        yield Place(f"dy of {name}", np.round(rng.standard_normal((N, T, H)).astype(np.float32) * 8) / 8,
                    backward(every, X), PATHS)
        yield Place(f"dy of {name}, last output", np.round(rng.standard_normal((N, H)).astype(np.float32) * 8) / 8,
                    backward(last, X), PATHS)

        def lengths(path: str, every: Any = every) -> tuple[Any, Callable[[Any], Any]]:
            layer = every()
            layer.fast = path != "readable"
            return layer, lambda given: layer(X, lengths=given)
        yield Place(f"lengths of {name}", np.array([1, 2, 3, 4, 5, 5], np.int32), lengths, PATHS)

        def initial(path: str, every: Any = every, name: str = name) -> tuple[Any, Callable[[Any], Any]]:
            layer = every()
            layer.fast = path != "readable"
            return layer, lambda given: layer(X, (given, exact["h"]) if name == "LSTM" else given)
        yield Place(f"state0 of {name}", exact["h"], initial, PATHS)
    for name, make in layers.items():
        yield Place(f"x of {name}", column, forward(make))
        yield Place(f"dy of {name}", np.ones((N, H if name == "Linear" else D), np.float32), backward(make, column))
    table = lambda: ml.Embedding(9, H, rng=0)       # noqa: E731
    tokens = np.array([[1, 7, 7], [0, 3, 8]], np.int32)
    yield Place("tokens of Embedding", tokens, forward(table))
    yield Place("dy of Embedding", np.ones((2, 3, H), np.float32), backward(table, tokens), PATHS)
    p, z = np.array([0.25, 0.5, 0.75, 0.125], np.float32), np.array([[0.5, 1.0], [2.0, 0.25]], np.float32)
    y, classes = np.array([1, 0, 1, 0], np.float32), np.array([1, 0], np.int32)
    for criterion in (ml.BCELoss(), ml.BCEWithLogitsLoss(), ml.MSELoss()):
        yield Place(f"prediction of {type(criterion).__name__}", p, loss(criterion, None, y))
        yield Place(f"target of {type(criterion).__name__}", y, loss(criterion, p, None))
    yield Place("prediction of CrossEntropyLoss", z, loss(ml.CrossEntropyLoss(), None, classes))
    yield Place("target of CrossEntropyLoss", classes, loss(ml.CrossEntropyLoss(), z, None))
    yield Place("prediction of accuracy", p, lambda path: (None, lambda given: float(ml.accuracy(given, y))))
    yield Place("target of accuracy", y, lambda path: (None, lambda given: float(ml.accuracy(p, given))))
    yield Place("target of confusion_matrix", y, lambda path: (None, lambda given: ml.confusion_matrix(p, given)))
    yield Place("DataLoader", y, lambda path: (None, lambda given: list(ml.DataLoader(given, batch_size=2))))

    def predict(path: str) -> tuple[Any, Callable[[Any], Any]]:
        model = model_of("LSTM")
        trainer = ml.Trainer(model, ml.BCELoss(), ml.Adam(model), verbose=False, progress=False)
        return model, trainer.predict
    yield Place("predict", exact["x"], predict)

    def load(path: str) -> tuple[Any, Callable[[Any], Any]]:
        layer = ml.Linear(D, H, rng=0)

        def call(given: Any) -> Any:
            layer.load_state_dict({"W": given, "b": np.zeros(H)})
            return layer.params["W"].copy()
        return layer, call
    yield Place("load_state_dict", np.full((D, H), 0.5, np.float32), load)
    W, b = np.full((H + D, 4 * H), 0.125, np.float32), np.zeros(4 * H, np.float32)
    yield Place("W of lstm_forward", W, lambda path: (None, lambda given: list(ml.lstm_forward(X, None, None, given, b)[:2])))
    yield Place("x of lstm_forward", exact["x"], lambda path: (None, lambda x: list(ml.lstm_forward(x, None, None, W, b)[:2])))


def array_cases() -> Iterator[Case]:
    """Every form at every place."""
    for place in places():
        for path in place.paths:
            for name, form in {**FORMS, **REFUSED}.items():
                yield Case("arrays", name, place.name, path, _array_judge(place, path, name, form))


def _array_judge(place: Place, path: str, name: str, form: Callable[[np.ndarray], Any]) -> Callable[[], str]:
    def judge() -> str:
        with on_path(path):
            want = place.make(path)[1](place.value)
            thing, call = place.make(path)
            try:
                with warnings.catch_warnings():     # np.matrix is not recommended
                    warnings.simplefilter("ignore")
                    given = form(place.value)
            except ImportError:
                return "right"                      # pandas or PyTorch are not installed
            before = state(thing)
            kept = given.copy() if isinstance(given, np.ndarray) else None

            def use() -> None:
                got = call(given)
                check(alike(got, want))
                check(kept is None or bool((given == kept).all()))
            found = verdict(use, lambda: state(thing) != before or not alike(call(place.value), want))
            if name in ("masked", "matrix") and found == "right":
                return "silently wrong"
            return "right" if name == "0-d" and place.any_shape and found == "silently wrong" else found
    return judge


# Modules, losses, optimisers, gradcheck --------------------------------------------------------------------------------


class Blocks(ml.Module):
    """Layers in whatever ``wrap`` makes of two of them."""

    def __init__(self, wrap: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.first, self.second = None, None
        pair = ml.Linear(D, H, rng=0), ml.Linear(H, 1, rng=1)
        self.kept, self.order = wrap(*pair), (lambda: pair)

    def forward(self, x: Any) -> Any:
        for layer in self.order():
            x = layer(x)
        return x

    def backward(self, dy: Any) -> Any:
        for layer in reversed(self.order()):
            dy = layer.backward(dy)
        return dy


class Plain:
    """An object that is no module."""

    def __init__(self, a: Any, b: Any) -> None:
        self.a, self.b = a, b


def module_cases() -> Iterator[Case]:
    """Cases about where parameters are found and what they may be."""
    wraps: dict[str, Callable[[Any, Any], Any]] = {
        "a list": lambda a, b: [a, b], "a tuple": lambda a, b: (a, b), "lists of lists": lambda a, b: [[a], [b]],
        "a dict": lambda a, b: {"a": a, "b": b}, "dicts of lists": lambda a, b: {"x": [a], "y": [b]},
        "a tuple in a dict in a list": lambda a, b: [{"x": (a, b)}], "a set": lambda a, b: {a, b},
        "an object": Plain, "an array of objects": lambda a, b: np.array([a, b], dtype=object)}

    def found(wrap: Callable[[Any, Any], Any]) -> Callable[[], None]:
        return lambda: check(len(Blocks(wrap).named_parameters()) == 4)
    for name, wrap in wraps.items():
        yield Case("modules", f"layers in {name}", "Module", "", partial(verdict, found(wrap)))

    def forgotten() -> None:
        class Net(ml.Module):
            def __init__(self) -> None:
                self.lstm = ml.LSTM(D, H, rng=0)
        net = Net()
        ml.Adam(net).step()
        check(len(net.named_parameters()) == 2)

    def optimizer_on(spoil: Callable[[ml.Linear], Any]) -> Callable[[], str]:
        def judge() -> str:
            layer = ml.Linear(D, H, rng=0)
            twin = ml.Linear(D, H, rng=0)
            model = ml.Sequential(layer, ml.Tanh(), ml.Linear(H, H, rng=1))
            spoil(layer)
            before = {name: value.tobytes() for name, value in model.named_parameters().items() if name.startswith("2")}
            del twin

            def use() -> None:
                ml.Adam(model).step()
                raise Wrong
            return verdict(use, lambda: before != {name: value.tobytes() for name, value in model.named_parameters().items()
                                                   if name.startswith("2")})
        return judge

    def set_param(name: str, make: Callable[[np.ndarray], Any]) -> Callable[[ml.Linear], Any]:
        return lambda layer: layer.params.__setitem__(name, make(layer.params["W"]))

    def set_grad(make: Callable[[np.ndarray], Any]) -> Callable[[ml.Linear], Any]:
        return lambda layer: layer.grads.__setitem__("W", make(layer.grads["W"]))
    yield Case("modules", "super().__init__() forgotten", "Module", "", lambda: verdict(forgotten))
    spoilt: dict[str, Callable[[ml.Linear], Any]] = {
        "a parameter in shared memory": set_param("w", lambda W: W),
        "a parameter that is a view": set_param("w", lambda W: W[:1]),
        "a parameter without gradient": set_param("w", np.copy),
        "a float16 parameter": set_param("W", lambda W: W.astype("f2")),
        "an integer parameter": set_param("W", lambda W: W.astype(int)),
        "a list as parameter": set_param("W", lambda W: W.tolist()),
        "a read-only parameter": set_param("W", read_only), "a complex gradient": set_grad(lambda g: g + 1j),
        "a gradient of another shape": set_grad(lambda g: g[:1]), "an integer gradient": set_grad(lambda g: g.astype(int)),
        "a gradient of NaN": set_grad(lambda g: g + np.nan), "a gradient of infinity": set_grad(lambda g: g + np.inf)}
    for name, spoil in spoilt.items():
        yield Case("modules", name, "Adam.step", "", optimizer_on(spoil))

    def clipped(spoil: Callable[[ml.Linear], Any]) -> Callable[[], str]:
        def judge() -> str:
            model = ml.Sequential(ml.Linear(D, H, rng=0), ml.Linear(H, H, rng=1))
            for g in model.named_gradients().values():
                g.fill(3.0)
            before = {name: g.tobytes() for name, g in model.named_gradients().items() if name != "1.W"}
            spoil(model[1])
            return refusal(lambda: ml.clip_grad_norm(model, 0.1), lambda: before != {
                name: g.tobytes() for name, g in model.named_gradients().items() if name != "1.W"})()
        return judge

    def forward_with(value: Callable[[np.ndarray], Any], cell: str) -> Callable[[], str]:
        def use() -> None:
            layer, twin = (CELLS[cell](D, H, rng=0) for _ in range(2))
            layer.params["W"] = value(layer.params["W"])
            check(np.allclose(layer(X), twin(X), atol=1e-2))
        return lambda: verdict(use)
    bad: dict[str, Callable[[np.ndarray], Any]] = {
        "an integer gradient": lambda g: g.astype(int), "no gradient": lambda g: None, "a read-only gradient": read_only,
        "a gradient of another shape": lambda g: g[:1], "a complex gradient": lambda g: g + 1j}
    for name, change in bad.items():
        yield Case("modules", name, "clip_grad_norm", "", clipped(set_grad(change)))
    odd: dict[str, Callable[[np.ndarray], Any]] = {
        "a list": lambda W: W.tolist(), "None": lambda W: None, "float16": lambda W: W.astype(np.float16),
        "text": lambda W: W.astype(str), "a masked array": np.ma.array}
    for name, change in odd.items():
        for cell in CELLS:
            yield Case("modules", f"forward with {name} as parameter", cell, "", forward_with(change, cell))

    def mistyped() -> None:
        layer = ml.Linear(D, H, rng=0)
        layer.grads["w"] += 1

    def frozen() -> None:
        model = model_of("LSTM")
        model[0].frozen = True
        optimizer = ml.Adam(model, lr=0.1)
        before = model.state_dict()
        for g in model.named_gradients().values():
            g.fill(1.0)
        optimizer.step()
        after = model.state_dict()
        check(all(np.array_equal(before[k], after[k]) == k.startswith("0") for k in before))

    def shared() -> None:
        layer = ml.Linear(D, D, rng=0)
        model = ml.Sequential(layer, ml.Tanh(), layer)
        check(len(model.named_parameters()) == 2)
        ml.gradcheck(model, X[:, 0])
    yield Case("modules", "a mistyped gradient name", "Module", "", refusal(mistyped))
    yield Case("modules", "a frozen layer", "Adam.step", "", lambda: verdict(frozen))
    yield Case("modules", "one layer at two places", "Sequential", "", lambda: verdict(shared))
    for name in ("batch_first", "stateful", "reset_after", "recurrent_dropout", "return_state", "units"):
        for cell, make in CELLS.items():
            yield Case("modules", f"{name}=...", cell, "", refusal(partial(make, D, H, **{name: True})))

    def parameters() -> None:
        check(len(ml.Linear(2, 2, rng=0).parameters()) == 2)
    yield Case("modules", "model.parameters()", "Module", "", lambda: verdict(parameters))
    arrays: Any = [np.ones(2)]
    yield Case("modules", "Adam(model.parameters())", "Adam", "", refusal(lambda: ml.Adam(arrays)))
    yield Case("modules", "zero_grad(set_to_none=True)", "Adam", "",
               lambda: verdict(lambda: ml.Adam(ml.Linear(2, 2)).zero_grad(set_to_none=True)))

    def all_or_nothing(make: Callable[[ml.Module], ml.Optimizer]) -> Callable[[], str]:
        def judge() -> str:
            model = model_of("LSTM")
            optimizer = make(model)
            for _ in range(2):
                for g in model.named_gradients().values():
                    g.fill(0.5)
                optimizer.step()
            good = model[1].grads["b"]
            before = state(optimizer)
            model[1].grads["b"] = np.zeros(7, np.float32)

            def changed() -> bool:
                model[1].grads["b"] = good
                return state(optimizer) != before
            return refusal(optimizer.step, changed)()
        return judge
    for kind in (ml.SGD, ml.Adam, ml.AdamW):
        yield Case("all or nothing", "the second layer's gradient does not fit", kind.__name__, "",
                   all_or_nothing(partial(kind, lr=0.1)))
    yield Case("all or nothing", "the second layer's gradient does not fit", "SGD with momentum", "",
               all_or_nothing(lambda model: ml.SGD(model, lr=0.1, momentum=0.9)))

    class Bad(ml.Module):
        """The identity, whose gradient has another shape."""

        def forward(self, x: Any) -> Any:
            self.push(None)
            return x + 0

        def backward(self, dy: Any) -> Any:
            self.pop()
            return dy[:1]

    def chain(cell: str, path: str) -> Callable[[], str]:
        def judge() -> str:
            with on_path(path):
                model = ml.Sequential(CELLS[cell](D, H, return_sequences=False, rng=1), Bad(), ml.Linear(H, 1, rng=2))
                model.fast = path != "readable"
                y = model(X)
                before = state(model)
                return refusal(lambda: model.backward(np.ones_like(y)), lambda: state(model) != before)()
        return judge

    def frozen_dropout(cell: str, path: str) -> Callable[[], str]:
        def use() -> None:
            model, twin = model_of(cell, path, dropout=0.5), model_of(cell, path)
            model[1].eval()
            y = model(X)
            check(alike(y, twin(X)))
            check(alike(model.backward(np.ones_like(y)), twin.backward(np.ones_like(y))))
        return lambda: verdict(use)

    def refused_input(cell: str, path: str) -> Callable[[], str]:
        def judge() -> str:
            with on_path(path):
                model = ml.Sequential(ml.Dropout(0.5, rng=3), CELLS[cell](D + 1, H, rng=1))
                before = state(model)
                return refusal(lambda: model(X), lambda: state(model) != before)()
        return judge
    for cell in CELLS:
        for path in PATHS:
            yield Case("all or nothing", "a layer in the middle refuses its gradient", cell, path, chain(cell, path))
            yield Case("all or nothing", "a Dropout in evaluation mode", cell, path, frozen_dropout(cell, path))
            yield Case("all or nothing", "the second layer refuses its input", cell, path, refused_input(cell, path))


def loss_cases() -> Iterator[Case]:
    """Cases about losses, metrics and what an optimiser takes."""
    nan2, inf = np.full(2, np.nan), np.array([np.inf, -np.inf])

    def value(got: Callable[[], Any], want: Any) -> Callable[[], str]:
        return lambda: verdict(lambda: check(alike(np.nan_to_num(got(), posinf=1e9), np.nan_to_num(want, posinf=1e9))))
    zeros = np.zeros(2, int)
    yield Case("losses", "NaN is never accurate", "accuracy", "", value(lambda: ml.accuracy(nan2, zeros), 0.0))
    yield Case("losses", "NaN is never accurate, classes", "accuracy", "",
               value(lambda: ml.accuracy(np.full((2, 3), np.nan), zeros), 0.0))
    yield Case("losses", "NaN is of no class", "confusion_matrix", "", refusal(lambda: ml.confusion_matrix(nan2, zeros)))
    yield Case("losses", "infinite logits that are right", "BCEWithLogitsLoss", "",
               value(lambda: ml.BCEWithLogitsLoss()(inf, np.array([1, 0])), 0.0))
    yield Case("losses", "infinite logits that are wrong", "BCEWithLogitsLoss", "",
               value(lambda: ml.BCEWithLogitsLoss()(inf, np.array([0, 1])), np.inf))
    for number in (np.float32(3), np.float64(3), np.int64(3), np.array(3.0)):
        yield Case("losses", f"pos_weight is a {type(number).__name__}", "BCEWithLogitsLoss", "", value(
            partial(ml.BCEWithLogitsLoss(pos_weight=number), np.zeros(2), np.ones(2)), 3 * np.log(2)))
    for criterion in (ml.BCELoss(), ml.MSELoss(), ml.BCEWithLogitsLoss()):
        def sequence(criterion: Any = criterion) -> None:
            try:
                criterion(np.full((4, 7, 3), 0.5), np.ones(4))
            except ml.ShapeError as error:
                if "return_sequences" not in str(error):
                    raise TypeError("no advice") from None
                raise
        yield Case("losses", "a sequence where one output is meant", type(criterion).__name__, "", refusal(sequence))

    def ignored(size: int) -> list[float]:
        model = ml.Sequential(ml.Linear(D, 3, rng=0))
        y = np.random.default_rng(1).integers(0, 3, (N, T))
        y[1:4] = -1
        trainer = ml.Trainer(model, ml.CrossEntropyLoss(ignore_index=-1), ml.SGD(model, 0.0), verbose=False, progress=False)
        history = trainer.fit(ml.DataLoader(X, y, batch_size=size), epochs=1)
        return [history["train_loss"][0], history["train_acc"][0], *trainer.evaluate(ml.DataLoader(X, y, batch_size=size))]
    for size in (1, 2, 4, 5):
        yield Case("losses", f"ignored targets, batches of {size}", "Trainer", "", value(partial(ignored, size), ignored(N)))

    def huge() -> None:
        layer = ml.Linear(1, 1, rng=0)
        optimizer = ml.Adam(layer, lr=0.1)
        layer.grads["W"][:] = 1e20
        try:
            optimizer.step()
        except ml.MinilstmError:
            layer.grads["W"][:] = 1.0
            optimizer.step()
            return
        for _ in range(50):
            layer.grads["W"][:] = 1.0
            before = layer.params["W"].copy()
            optimizer.step()
        check(bool((before != layer.params["W"]).all()))
        optimizer.load_state_dict(optimizer.state_dict())
    yield Case("losses", "one gradient of 1e20", "Adam", "", lambda: verdict(huge))


def run_cases() -> Iterator[Case]:
    """Cases about runs that are resumed with something else, and about threads."""
    def fit(folder: str, lr: float, y: Any, resume: bool, epochs: int) -> ml.Trainer:
        model = ml.Sequential(ml.Linear(D, 1, rng=0), ml.Sigmoid())
        trainer = ml.Trainer(model, ml.BCELoss(), ml.Adam(model, lr=lr), run_dir=folder, verbose=False, progress=False)
        trainer.fit(ml.DataLoader(X[:, 0], y, batch_size=2), epochs=epochs, resume=resume)
        return trainer

    def other(lr: float, y: Any) -> Callable[[], str]:
        def judge() -> str:
            with tempfile.TemporaryDirectory() as folder:
                fit(folder, 1e-3, Y, False, 1)
                with warnings.catch_warnings(record=True) as heard:
                    warnings.simplefilter("always")
                    try:
                        fit(folder, lr, y, True, 2)
                    except ml.MinilstmError:
                        return "typed"
                return "right" if heard else "silently wrong"
        return judge
    yield Case("runs", "resumed with another learning rate", "Trainer", "", other(1e-5, Y))
    yield Case("runs", "resumed with other labels", "Trainer", "", other(1e-3, 1 - Y))

    def beside_fit(what: str) -> Callable[[], str]:
        def judge() -> str:
            model, answer = model_of("LSTM"), []

            class Ask(ml.Callback):
                def on_step_end(self, run: Any, epoch: int, step: int, loss: float, grad_norm: float) -> None:
                    def ask() -> None:
                        answer.append(verdict(lambda: trainer.predict(X) if what == "predict" else trainer.evaluate([(X, Y)])))
                    thread = threading.Thread(target=ask)
                    thread.start()
                    thread.join()
            trainer = ml.Trainer(model, ml.BCELoss(), ml.Adam(model), callbacks=[Ask()], verbose=False, progress=False)
            trainer.fit([(X, Y)], epochs=1)
            return "silently wrong" if answer == ["right"] else answer[0]
        return judge
    for what in ("predict", "evaluate"):
        yield Case("runs", f"{what} beside a fit in another thread", "Trainer", "", beside_fit(what))

    def threads(cell: str, path: str) -> Callable[[], str]:
        def use() -> None:
            model = model_of(cell, path, dropout=0.5)
            trainer = ml.Trainer(model, ml.BCELoss(), ml.Adam(model), verbose=False, progress=False)
            want: Any = trainer.predict(X)
            got: list[Any] = []
            workers = [threading.Thread(target=lambda: got.extend(trainer.predict(X) for _ in range(20))) for _ in range(4)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            check(len(got) == 80 and all(alike(one, want) for one in got) and model.training)
        return lambda: verdict(use)
    for cell in CELLS:
        for path in PATHS:
            yield Case("runs", "four threads that predict", cell, path, threads(cell, path))


def gradcheck_cases() -> Iterator[Case]:
    """Cases in which gradcheck must not pass, or must pass."""
    class Own(ml.Module):
        """Uses a copy of its weight that it keeps itself."""

        def __init__(self, garbage: bool = False) -> None:
            super().__init__()
            self.a, self.garbage = np.full(3, 0.5), garbage
            self.add_param("a", self.a)

        def forward(self, x: Any) -> Any:
            self.push(x)
            return x * self.a

        def backward(self, dy: Any) -> Any:
            x = self.pop()
            if self.garbage:
                self.grads["a"] += (dy * x).sum(axis=0)
            return dy * self.a

    class Float32(ml.Module):
        """Rounds to float32 inside."""

        def forward(self, x: Any) -> Any:
            self.push(None)
            return (2 * x).astype(np.float32).astype(np.float64)

        def backward(self, dy: Any) -> Any:
            self.pop()
            return 2 * dy

    def float32() -> None:
        try:
            ml.gradcheck(Float32(), rng.standard_normal((2, 3)))
        except ml.GradientError as error:
            if "float32" not in str(error):
                raise TypeError("called a wrong gradient") from None
            raise
    yield Case("gradcheck", "a weight that the forward does not read", "gradcheck", "",
               refusal(lambda: ml.gradcheck(Own(), np.ones((2, 3)))))
    yield Case("gradcheck", "a gradient of a weight that is not read", "gradcheck", "",
               refusal(lambda: ml.gradcheck(Own(True), np.ones((2, 3)))))
    yield Case("gradcheck", "a float32 cast in the forward", "gradcheck", "", refusal(float32))

    def passes(make: Callable[[], Any], inputs: Any) -> Callable[[], str]:
        def use() -> None:
            try:
                ml.gradcheck(make(), inputs)
            except ml.GradientError:
                raise Wrong from None
        return lambda: verdict(use)
    yield Case("gradcheck", "an Embedding with padding_idx", "gradcheck", "",
               passes(lambda: ml.Embedding(5, 3, padding_idx=0, rng=0), np.array([[0, 1, 2]])))
    big = 1e6 * rng.standard_normal((2, 4, 3))
    for cell, make in CELLS.items():
        yield Case("gradcheck", "inputs of size 1e6", cell, "", passes(partial(make, 3, 2, rng=0), big))
    yield Case("gradcheck", "inputs of size 1e6", "Linear", "", passes(lambda: ml.Linear(3, 2, rng=0), big))
    yield Case("gradcheck", "inputs of size 1e6", "MSELoss", "", passes(ml.MSELoss, (big[0, 0], np.zeros(3))))


def cases() -> list[Case]:
    """Return all cases."""
    found = [case for cell in CELLS for path in PATHS for case in order_cases(cell, path)]
    for more in (array_cases, module_cases, loss_cases, run_cases, gradcheck_cases):
        found += more()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="print each case, not those alone that are neither right nor typed")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    for case in cases():
        found = case.judge()
        counts.setdefault(case.kind, Counter())[found] += 1
        if options.all or found not in GOOD:
            print(f"{found:14}  {case.kind:14}  {case.name:58}  {case.place:30}  {case.path}")
    verdicts = (*GOOD, "silently wrong", "untyped", "changed")
    print(f"{'':14}  " + "  ".join(f"{word:>14}" for word in ("cases", *verdicts)))
    for kind, found_here in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        print(f"{kind:14}  " + "  ".join(f"{n:14,}" for n in (sum(found_here.values()), *(found_here[v] for v in verdicts))))
    return int(any(counter[word] for counter in counts.values() for word in verdicts[2:]))


if __name__ == "__main__":
    sys.exit(main())
