"""One slip of each kind, in each form in which functions are written; what a search must leave alone."""

from __future__ import annotations

import builtins
import gc
import itertools
import linecache
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from repair_set_second.slips import SLIPS
from repair_set_second.slips import target_of as set_target

import minilstm as ml
from minilstm.gradients.diagnosis import repairs
from minilstm.gradients.diagnosis.mistakes import MISTAKES
from minilstm.gradients.repair import repair
from minilstm.gradients.repair.edits import edits
from minilstm.gradients.repair.problem import Problem
from minilstm.gradients.repair.program import Program, units_of
from minilstm.gradients.repair.search import Result
from minilstm.gradients.targets.make import make_target

HOOKS = {"__tick__", "__choice__", "__value__"}     # what a search sets among the built-in names

PAIR = """
import numpy as np

def forward(x, h, W, b):
    hs, caches = [], []
    for t in range(x.shape[1]):
        both = np.hstack([h, x[:, t]])
        s = np.tanh(both @ W + b)
        caches.append((both, s))
        h = s
        hs.append(h)
    return np.stack(hs, axis=1), (caches, W, h.shape[1])

def backward(dhs, cache):
    caches, W, H = cache
    dx, dW, db = np.zeros((len(dhs), len(caches), len(W) - H)), np.zeros_like(W), np.zeros(H)
    dnext = np.zeros_like(dhs[:, 0])
    for t in reversed(range(len(caches))):
        both, s = caches[t]
        dh = dhs[:, t] + dnext
        dz = dh * (1 - s ** 2)
        dW += both.T @ dz
        db += dz.sum(axis=0)
        dboth = dz @ W.T
        dnext = dboth[:, :H]
        dx[:, t] = dboth[:, H:]
    return dx, dnext, dW, db
"""
CLASS = """
import numpy as np

class Gate:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        self.x = x
        self.g = self.__squash(x @ self.W + self.b)
        return x * self.g

    def __squash(self, z):
        return 1 / (1 + np.exp(-z))

    def backward(self, dy):
        dz = dy * self.x * self.g * (1 - self.g)
        self.dW = self.x.T @ dz
        self.db = dz.sum(axis=0)
        return dy * self.g + dz @ self.W.T
"""
CLOSURE = """
import numpy as np

def layer(W, b):
    s = np.maximum(W, 0) @ b
    def backward(ds):
        return np.outer(ds, b) * (W > 0), np.maximum(W, 0).T @ ds
    return s, backward
"""
LOSS = """
import numpy as np

def forward(x, W, y):
    z = x @ W
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).mean(), (x, W, y, p)

def backward(cache):
    x, W, y, p = cache
    dz = p.copy()
    dz[np.arange(len(y)), y] -= 1
    dz /= len(y)
    return dz @ W.T, x.T @ dz
"""
_fresh = itertools.count()
Make = Callable[[ModuleType, Any], tuple[Any, Any]]


def load(text: str) -> ModuleType:
    """Return a module whose source linecache alone knows, as in a notebook."""
    name = f"repair_{next(_fresh)}"
    file = str(Path(__file__).with_name(f"{name}.py"))
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(text, file, "exec"), module.__dict__)
    return module


def pair(module: ModuleType, draw: Any) -> tuple[Any, Any]:
    return (module.forward, module.backward), (draw((2, 4, 3)), draw((2, 5)), draw((8, 5)), draw(5))


def gate(module: ModuleType, draw: Any) -> tuple[Any, Any]:
    return module.Gate(draw((4, 4)), draw(4)), (draw((3, 4)),)


def closure(module: ModuleType, draw: Any) -> tuple[Any, Any]:
    return module.layer, (draw((5, 3)), draw(3))


def loss(module: ModuleType, draw: Any) -> tuple[Any, Any]:
    return (module.forward, module.backward), {"x": draw((3, 4)), "W": draw((4, 5)), "y": np.array([1, 4, 0])}


NORM = """
import numpy as np

def forward(x):
    mu = x.mean(axis=0)
    centred = x - mu
    var = (centred ** 2).mean(axis=0)
    std = np.sqrt(var + 0.1)
    return centred / std, (centred, std)

def backward(dy, cache):
    centred, std = cache
    n = len(dy)
    dstd = -(dy * centred).sum(axis=0) / std ** 2
    dvar = dstd * 0.5 / std
    dcentred = dy / std + centred * dvar * 2 / n
    dmu = -dcentred.sum(axis=0)
    return dcentred + dmu / n
"""
SOFT = """
import numpy as np

def forward(x, V, U):
    z = x @ V
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return p, x @ U, (x, V, U, p)

def backward(dp_out, dlast, cache):
    x, V, U, p = cache
    dp, dz = dlast, dp_out
    dz = p * (dz - (dz * p).sum(axis=1, keepdims=True))
    return dz @ V.T + dp @ U.T, x.T @ dz, x.T @ dp
"""
TURNED = """
import numpy as np

def forward(x, v, w):
    return x * v + np.flip(x, 0) * w, (x, v, w)

def backward(dy, cache):
    x, v, w = cache
    dback = dy * w
    return dy * v + dback[::-1], (dy * x).sum(axis=0), (dy * np.flip(x, 0)).sum(axis=0)
"""
STACK = """
import numpy as np

def forward(W, x):
    z = [x @ W[0], x @ W[1]]
    return np.tanh(z[0]) * np.tanh(z[1]), (W, x, np.tanh(z[0]), np.tanh(z[1]))

def backward(dy, cache):
    W, x, a, b = cache
    dz = [dy * b * (1 - a ** 2), dy * a * (1 - b ** 2)]
    return np.stack([np.outer(x, dz[0]), np.outer(x, dz[1])]), W[0] @ dz[0] + W[1] @ dz[1]
"""
STEPS = """
import numpy as np

def forward(x, W, U, b):
    h = np.zeros((len(x) + 1, len(U)))
    for t in range(len(x)):
        h[t + 1] = np.tanh(x[t] @ W + h[t] @ U + b[t])
    return h[1:].copy(), (x, h, W, U)

def backward(dout, cache):
    x, h, W, U = cache
    dx, dW, dU, db, carry = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), [], 0
    for t in reversed(range(len(x))):
        dh = dout[t] + carry
        da = dh * (1 - h[t + 1] ** 2)
        dx[t] = da @ W.T
        dW += np.outer(x[t], da)
        dU += np.outer(h[t], da)
        db.append(da)
        carry = da @ U.T
    return dx, dW, dU, np.array(db[::-1])
"""
LAYERS = """
import numpy as np

def forward(x, layers):
    seen = []
    for p in layers:
        a = np.tanh(x * p["w"])
        seen.append({"x": x, "a": a})
        x = a
    return x, (seen, layers)

def backward(dy, cache):
    seen, layers = cache
    grads = []
    for kept, p in zip(seen[::-1], layers[::-1]):
        dz = dy * (1 - kept['a'] ** 2)
        grads.append({"w": (dz * kept["x"]).sum(axis=0)})
        dy = dz * p["w"]
    return {"x": dy, "layers": grads[::-1]}
"""
FORMS: dict[str, tuple[str, Make]] = {
    "pair": (PAIR, pair), "class": (CLASS, gate), "closure": (CLOSURE, closure), "loss": (LOSS, loss)}


def target_of(form: str, old: str, new: str) -> tuple[tuple[Any, Any], int]:
    """Return what to check, and the line that is wrong in it."""
    text, make = FORMS[form]
    assert text.count(old) == 1
    module = load(text.replace(old, new))
    return make(module, np.random.default_rng(0).standard_normal), text[:text.index(old)].count("\n") + 1


def found(form: str, old: str, new: str, thorough: bool = False) -> tuple[Result, int]:
    target, line = target_of(form, old, new)
    return repair.find_repair(make_target(*target, {}), thorough), line


@pytest.mark.parametrize("form", FORMS)
def test_right_code_has_nothing_to_repair(form: str) -> None:
    target, _ = target_of(form, "import numpy as np\n", "import numpy as np\n")
    assert ml.gradcheck(*target).right and not repair.find_repair(make_target(*target, {})).repairs


@pytest.mark.parametrize("form, old, new, key", [
    ("pair", "dhs[:, t] + dnext", "dhs[:, t]", "term_missing"),
    ("pair", "dh * (1 - s ** 2)", "dh", "no_tanh_derivative"),
    ("pair", "(1 - s ** 2)", "(1 - s) ** 2", "square"),
    ("pair", "(1 - s ** 2)", "(s ** 2)", "another_factor"),
    ("pair", "(1 - s ** 2)", "(1 - np.tanh(s) ** 2)", "function_too_many"),
    ("pair", "dW += both", "dW = both", "overwritten"),
    ("pair", "dz.sum(axis=0)", "dz.mean(axis=0)", "mean_over_batch"),
    ("pair", "dz.sum(axis=0)", "dh.sum(axis=0)", "another_value"),
    ("pair", "dboth[:, :H]", "dboth[:, -H:]", "slice"),
    ("pair", "both, s = caches[t]", "both, s = caches[t - 1]", "index"),
    ("pair", "reversed(range(len(caches)))", "range(len(caches))", "loop"),
    ("pair", "return dx, dnext, dW, db", "return dx, dnext, -dW, db", "sign"),
    ("pair", "        db += dz.sum(axis=0)\n", "        db += dz.sum(axis=0) * 2\n", "factor_too_many"),
    ("class", "self.x.T @ dz", "self.g.T @ dz", "another_value"),
    ("class", "dz @ self.W.T", "dz @ self.W", "not_transposed"),
    ("class", "dy * self.g + dz", "dy + dz", "factor_missing"),
    ("closure", "np.outer(ds, b) * (W > 0)", "np.outer(ds, b) * W", "another_factor"),
    ("loss", "    dz[np.arange(len(y)), y] -= 1\n", "", "p_without_y"),
    ("loss", "dz /= len(y)", "dz /= len(y) + 1", "term_too_many")])
def test_a_slip_of_each_kind(form: str, old: str, new: str, key: str) -> None:
    result, line = found(form, old, new)
    assert result.repairs, result.reason
    (first,), *_ = result.repairs
    assert (first.key, first.line) == (key, line) and first.key in MISTAKES


def test_what_cannot_be_the_mistake_is_not_tried() -> None:
    result, _ = found("pair", "dh * (1 - s ** 2)", "dh")
    assert result.possible == [20, 21] and result.tried < 300       # of 391


def test_an_accident_of_sizes_is_no_repair() -> None:
    result, _ = found("loss", "dz /= len(y)", "dz /= 2")            # there are three
    assert result.tried > 100 and not any("3" in each.after for (each,) in result.repairs)


# Another line can repair these, too: a factor that belongs to the next line, a value that is right already.
@pytest.mark.parametrize("old, new", [
    ("dvar = dstd * 0.5 / std", "dvar = dstd * 0.5"), ("centred * dvar * 2 / n", "centred * dvar * 2"),
    ("dmu = -dcentred.sum(axis=0)", "dmu = dcentred.sum(axis=0)"),
    ("dmu = -dcentred.sum(axis=0)", "dmu = -dcentred.sum(axis=1, keepdims=True)"),
    ("dvar = dstd * 0.5 / std", "dvar = dstd / std")])
def test_the_line_whose_value_becomes_right_is_shown(old: str, new: str) -> None:
    assert NORM.count(old) == 1
    module = load(NORM.replace(old, new))
    target = (module.forward, module.backward), (np.random.default_rng(0).standard_normal((5, 3)),)
    result = repair.find_repair(make_target(*target, {}))
    assert result.repairs[0][0].line == NORM[:NORM.index(old)].count("\n") + 1


# Nothing in the table of edits mends these: a line that is missing at the end of a loop, a sum with its factor, a term of a
# product of two matrices, each found as what the values lack.
@pytest.mark.parametrize("text, old, new, after", [
    (PAIR, "        dnext = dboth[:, :H]\n        dx", "        dx", "dx[:, t] = dboth[:, H:]\ndnext = dboth[:, :H]"),
    (SOFT, "p * (dz - (dz * p).sum(axis=1, keepdims=True))", "p * dz", None),
    (TURNED, "dy * v + dback[::-1]", "dy * v", None),
    (SOFT, "dz @ V.T + dp @ U.T", "dz @ V.T", "return (dz @ V.T + dp @ U.T, x.T @ dz, x.T @ dp)")])
def test_what_the_values_of_a_line_lack(text: str, old: str, new: str, after: str | None) -> None:
    assert text.count(old) == 1
    module, draw = load(text.replace(old, new)), np.random.default_rng(0).standard_normal
    shapes = ((4, 3), (3,), (3,)) if text == TURNED else ((4, 3), (3, 3), (3, 3))
    target = pair(module, draw) if text == PAIR else ((module.forward, module.backward), tuple(map(draw, shapes)))
    (first,), *_ = repair.find_repair(make_target(*target, {})).repairs
    assert first.line == text[:text.index(old)].count("\n") + 1 and after in (None, first.after)


# In the first the function of the loss computes all gradients, in the second the values are not the only ones that do.
@pytest.mark.parametrize("program, name", [("char_rnn", "dhnext never set"), ("seq2seq", "carry's line forgotten")])
def test_a_line_that_is_missing(program: str, name: str) -> None:
    slip = next(slip for slip in SLIPS if (slip.program, slip.name) == (program, name))
    (first,), *_ = repair.find_repair(make_target(*set_target(program, slip), {})).repairs
    assert first.key == "line_missing" and first.after.endswith(slip.right.strip().replace('"', "'"))


def test_where_no_edit_helps_it_is_told_which_line_would_need_other_values() -> None:
    module = load("import numpy as np\n\ndef forward(x, w):\n    u = x * w\n    return np.sin(u), (x, w, u)\n\n"
                  "def backward(dy, cache):\n    x, w, u = cache\n    du = dy * u\n    dx = du * w\n"
                  "    return dx, (du * x).sum(axis=0)\n")
    target = (module.forward, module.backward), tuple(map(np.random.default_rng(0).standard_normal, ((4, 3), (3,))))
    result = repair.find_repair(make_target(*target, {}))
    assert not result.repairs and result.possible == [9, 10] and result.guilty == [9] and result.tried < 100
    assert "; other values in line 9 or 10 would" in repairs.sentences(result)[0]


# The slips take away the only use of h[t + 1] and of kept["a"]; a list can also be mended where it is filled.
@pytest.mark.parametrize("text, old, new, key", [
    (STEPS, "dh * (1 - h[t + 1] ** 2)", "dh", "no_tanh_derivative"), (STEPS, "db[::-1]", "db", "order"),
    (LAYERS, "dy * (1 - kept['a'] ** 2)", "dy", "no_tanh_derivative"), (LAYERS, "grads[::-1]", "grads", "order")])
def test_what_nothing_reads_any_more(text: str, old: str, new: str, key: str) -> None:
    assert text.count(old) == 1
    module, draw = load(text.replace(old, new)), np.random.default_rng(0).standard_normal
    inputs: Any = tuple(map(draw, ((4, 3), (3, 2), (2, 2), (4, 2)))) if text == STEPS else (
        draw((4, 3)), [{"w": draw(3)} for _ in range(3)])
    (first,), *_ = repair.find_repair(make_target((module.forward, module.backward), inputs, {})).repairs
    assert (first.key, first.line) == (key, text[:text.index(old)].count("\n") + 1)


def test_a_repeated_index() -> None:
    module = load("import numpy as np\n\ndef forward(ids, E):\n    return E[ids], (ids, E.shape)\n\n"
                  "def backward(dx, cache):\n    ids, shape = cache\n    dE = np.zeros(shape)\n    dE[ids] += dx\n"
                  "    return dE\n")
    target = (module.forward, module.backward), (np.array([1, 4, 1]), np.random.default_rng(0).standard_normal((5, 2)))
    (first,), *_ = repair.find_repair(make_target(*target, {})).repairs
    assert (first.key, first.line, first.after) == ("repeated_index", 9, "np.add.at(dE, ids, dx)")


def test_another_count_of_gates_is_no_other_size() -> None:
    module = load(STACK.replace("W[1] @ dz[1]", "W[0] @ dz[1]"))
    target = (module.forward, module.backward), tuple(map(np.random.default_rng(0).standard_normal, ((2, 3, 3), (3,))))
    result = repair.find_repair(make_target(*target, {}))
    assert result.repairs[0][0].after == "return (np.stack([np.outer(x, dz[0]), np.outer(x, dz[1])]), " \
                                         "W[0] @ dz[0] + W[1] @ dz[1])"


def test_two_slips_need_two_changes_and_a_wrong_forward_is_found_by_its_backward() -> None:
    text = PAIR.replace("db += dz.sum(axis=0)", "db = dz.sum(axis=0)").replace("both.T @ dz", "-both.T @ dz")
    target = pair(load(text), np.random.default_rng(0).standard_normal)
    result = repair.find_repair(make_target(*target, {}), thorough=True)
    assert {each.line for each in result.repairs[0]} == {22, 23} and not result.in_forward
    result, line = found("closure", "np.maximum(W, 0) @ b", "np.minimum(W, 0) @ b", thorough=True)
    assert result.in_forward and result.repairs[0][0].line == line


def test_what_is_told() -> None:
    target, line = target_of("pair", "dh * (1 - s ** 2)", "dh")
    with pytest.raises(ml.GradientError) as caught:
        ml.gradcheck(*target)
    message, name = str(caught.value), Path(target[0][0].__code__.co_filename).name
    assert f"with one change in line {line} of {name} every gradient is right" in message
    assert MISTAKES["no_tanh_derivative"].question in message and "dz = dh * (1 - s ** 2)" not in message
    assert "dz = dh * (1 - s ** 2)" in str(ml.gradcheck(*target, show_repair=True, raise_exception=False))
    diagnosis = caught.value.diagnosis.as_dict()
    assert diagnosis["repair"]["repairs"][0][0]["line"] == line and "repaired" not in str(diagnosis["repair"])
    result = Result(tried=12, guilty=[3, 7])
    assert "no single change among 12" in repairs.sentences(result)[0] and "lines 3 to 7" in repairs.sentences(result)[0]


def test_the_caller_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOOKS:      # the grader's tests, which search in their own process, may have left them
        monkeypatch.delattr(builtins, name, raising=False)
    text = PAIR.replace("dh * (1 - s ** 2)", "dh").replace("import numpy as np\n", "import numpy as np\nCALLS = []\n")
    text = text.replace("    caches, W, H = cache", "    CALLS.append(0)\n    caches, W, H = cache")
    module = load(text)
    target = pair(module, np.random.default_rng(0).standard_normal)
    made = make_target(*target, {})
    codes, before = (module.forward.__code__, module.backward.__code__), [a.copy() for a in target[1]]
    assert repair.find_repair(made).repairs
    assert (module.forward.__code__, module.backward.__code__) == codes and not module.CALLS
    assert all(map(np.array_equal, before, target[1]))
    assert not HOOKS & set(vars(builtins))


def test_the_answer_does_not_depend_on_the_clock_nor_on_an_equal_function_elsewhere() -> None:
    kept, _ = target_of("pair", "dh * (1 - s ** 2)", "dh * s")
    first, again = (found("pair", "dh * (1 - s ** 2)", "dh * s")[0] for _ in range(2))
    assert first.tried == again.tried and [each[0][1:] for each in first.repairs] == [
        each[0][1:] for each in again.repairs] != [] and kept


def test_a_garbage_collection_in_between_is_not_the_students() -> None:
    module, text = ModuleType("watcher"), "def called(phase, info):\n    open(0) if phase == 2 else None\n"
    file = sysconfig.get_paths()["purelib"] + "/watcher.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), module.__dict__)
    before = gc.get_threshold()
    gc.callbacks.append(module.called)
    gc.set_threshold(1)
    try:
        assert found("closure", "* (W > 0)", "")[0].repairs
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(module.called)


def test_a_candidate_without_end_is_left() -> None:
    text = CLOSURE.replace("    def backward(ds):\n", "    def backward(ds):\n        k = 0\n        while k < 3:\n"
                           "            k += 1\n").replace("(W > 0), np", "W, np")
    result = repair.find_repair(make_target(*closure(load(text), np.random.default_rng(0).standard_normal), {}))
    assert result.repairs and result.tried > 5


@pytest.mark.parametrize("line, name", [("open('x', 'w')", "open"), ("np.save('x', W)", "np.save"),
                                        ("subprocess.run(['true'])", "subprocess.run"), ("rmtree('x')", "rmtree"),
                                        ("Path('x').unlink()", "Path")])
def test_code_that_does_more_than_arithmetic_is_not_tried(line: str, name: str) -> None:
    text = LOSS.replace("    dz = p.copy()\n", f"    dz = p.copy()\n    0 if len(y) else {line}\n")
    more = "import subprocess\nfrom pathlib import Path\nfrom shutil import rmtree\nimport numpy as np"
    module = load(text.replace("import numpy as np", more))
    result = repair.find_repair(make_target(*loss(module, np.random.default_rng(0).standard_normal), {}))
    assert not result.repairs and f"backward calls {name}" in result.reason


def test_where_there_is_no_fork(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(repair.os, "fork")
    assert "cannot fork" in found("closure", "* (W > 0)", "")[0].reason
    file = tmp_path / "mine.py"
    file.write_text(PAIR.replace("dh * (1 - s ** 2)", "dh"), encoding="utf-8")
    program = "import os, sys; del os.fork; import minilstm.__main__ as m; sys.exit(m.main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "gradcheck", f"{file}:forward,backward", "--show-repair"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert printed.returncode == 1 and "line 21 of mine.py" in printed.stdout
    assert "repaired: dz = dh * (1 - s ** 2)" in printed.stdout


def test_no_line_of_a_program_stands_above_its_functions_first() -> None:
    """Python 3.13 gives a trace other numbers for such lines, or None."""
    target, _ = target_of("class", "self.x.T @ dz", "self.g.T @ dz")
    problem = Problem(make_target(*target, {}))
    units = units_of(problem.run)
    Program(problem.run, units, None)
    for code in (unit.compiled() for unit in units):
        assert code.co_firstlineno <= min(line for *_, line in code.co_lines() if line is not None)


def test_c__is_not_tried_without_its_index(rng: np.random.Generator) -> None:
    """NumPy comes to no end of np.c_ @ W."""
    def forward(x: Any, W: Any) -> Any:
        return np.c_[x, x] @ W, (x, W)

    def backward(dy: Any, cache: Any) -> Any:
        x, W = cache
        dxx = dy @ W.T
        return dxx[:, :2] + dxx[:, 2:], 2 * np.c_[x, x].T @ dy
    problem = Problem(make_target((forward, backward), (rng.standard_normal((3, 2)), rng.standard_normal((4, 5))), {}))
    program = Program(problem.run, units_of(problem.run), None)
    program.study()
    tried = {edit.text for edit in edits(program, {"W"}, False, False)}
    assert "np.r_" not in tried and "np.c_" not in tried and "dxx" in tried


def test_a_file_that_has_changed_since_is_not_searched() -> None:
    target, _ = target_of("closure", "* (W > 0)", "")
    file = target[0].__code__.co_filename
    size, time, lines, name = linecache.cache[file]
    linecache.cache[file] = size, time, [line.replace("@ ds", "@ ds * 2") for line in lines], name
    assert "load the file again" in repair.find_repair(make_target(*target, {})).reason


def test_without_a_source_it_says_so() -> None:
    scope: dict[str, Any] = {}
    exec(LOSS.replace("dz /= len(y)", "dz /= 2"), scope)
    draw = np.random.default_rng(0).standard_normal
    inputs = {"x": draw((3, 4)), "W": draw((4, 5)), "y": np.array([1, 4, 0])}
    target = make_target((scope["forward"], scope["backward"]), inputs, {})
    assert "in no file and no notebook" in repair.find_repair(target).reason
