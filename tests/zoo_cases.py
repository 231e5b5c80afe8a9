"""Students' recurrent networks in many ways of writing (tests/zoo), and mistakes to put into them.

Every file of the zoo is right as it stands. A Bug is one replacement in such a file, with the lines of the derivation (at the
top of minilstm/cells/lstm.py, gru.py or rnn.py) that a reader would be right to point at.
"""

from __future__ import annotations

import itertools
import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

ZOO = Path(__file__).with_name("zoo")
SIZES = {"N": 2, "T": 4, "D": 3, "H": 5, "V": 6}

Sizes = dict[str, int]
Make = Callable[[ModuleType, np.random.Generator, Sizes], tuple[Any, Any]]


class Style(NamedTuple):
    """One way of writing a recurrent network.

    Attributes:
        name: its name; here also that of the file.
        file: stem of the file in tests/zoo.
        cell: "lstm", "gru" or "rnn".
        kind: "pair" (forward(*arrays) -> (y, ..., cache), backward(dy, ..., cache) -> gradients in forward's order);
            "dict pair" (the same with dictionaries of weights and of gradients); "loss pair" (forward -> (loss, cache),
            backward(cache)); "closure" (forward -> (y, backward)); "loss and gradients" (one function that returns the loss,
            then the gradients); "class" (weights and gradients are attributes, W and dW or wf and wf_diff); "lists" (params
            and grads are lists); "layer" (params and grads are dictionaries, a call, and a backward that adds to grads).
        make: (module, rng, sizes) -> (target, inputs), what a student would hand to gradcheck.
        plain: a pair of functions that take and return arrays only, in the order gradcheck documents.
    """

    name: str
    file: str
    cell: str
    kind: str
    make: Make
    plain: bool


class Bug(NamedTuple):
    """One mistake: ``old`` becomes ``new`` in the style's file.

    Attributes:
        lines: numbers of the derivation's lines that are a right answer; empty where the derivation has no such line. A
            mistake that sits in several lines, or can be told in more than one way, has all of them.
        where: the gate, argument or path concerned.
        about: the mistake in one sentence.
        kind: "carries", "cell", "sums", "loss", "behaviour" or "forward".
        differs: the gradients are not those of the student's own forward. False for habits that leave the values right
            (or right most of the time) and for a forward that is wrong together with its backward.
    """

    style: str
    old: str
    new: str
    lines: frozenset[int]
    where: str
    about: str
    kind: str
    differs: bool = True


_fresh = itertools.count(1)


def source(style: Style | str, bug: Bug | None = None) -> str:
    """Return the style's source, with the bug in it if there is one. Raises ValueError unless ``old`` occurs once."""
    style = STYLES[style] if isinstance(style, str) else style
    text = (ZOO / f"{style.file}.py").read_text(encoding="utf-8")
    if bug is None:
        return text
    if bug.style != style.name or text.count(bug.old) != 1:
        raise ValueError(f"{style.name}: expected {bug.old!r} once, found it {text.count(bug.old)} times")
    return text.replace(bug.old, bug.new)


def load(style: Style | str, bug: Bug | None = None) -> ModuleType:
    """Execute the style's source as a module of its own; tracebacks and ``inspect`` see the changed lines."""
    style = STYLES[style] if isinstance(style, str) else style
    text = source(style, bug)
    name = f"zoo_{style.file}_{next(_fresh)}"
    filename = str(ZOO / f"{name}.py")      # no such file: linecache alone knows it
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    module = ModuleType(name)
    module.__file__ = filename
    sys.modules[name] = module
    exec(compile(text, filename, "exec"), module.__dict__)
    return module


# How each style is called -------------------------------------------------------------------------------------------------

def _draw(rng: np.random.Generator, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(0.5 * rng.standard_normal(shape) for shape in shapes)


def _tokens(rng: np.random.Generator, sizes: Sizes) -> tuple[list[int], list[int]]:
    return rng.integers(sizes["V"], size=sizes["T"]).tolist(), rng.integers(sizes["V"], size=sizes["T"]).tolist()


def _cs231n_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.lstm_forward, m.lstm_backward), _draw(rng, (N, T, D), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,))


def _textbook_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.forward, m.backward), _draw(rng, (N, T, D), (N, H), (N, H), *[(H + D, H), (H,)] * 4)


def _torch_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.lstm_fwd, m.lstm_bwd), _draw(rng, (N, T, D), (N, H), (N, H), (4 * H, D), (4 * H, H), (4 * H,), (4 * H,))


def _onematrix_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.forward, m.backward), _draw(rng, (T, N, D), (1 + D + H, 4 * H), (N, H), (N, H))


def _single_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    T, D, H = s["T"], s["D"], s["H"]
    return (m.run_lstm, m.lstm_gradients), _draw(rng, (T, D), (H,), (H,), *[(H, D + H)] * 4, *[(H,)] * 4)


def _keras_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.forward, m.backward), _draw(rng, (N, T, D), (D, 4 * H), (H, 4 * H), (4 * H,), (N, H), (N, H))


def _step_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, D, H = s["N"], s["D"], s["H"]
    return (m.cell_forward, m.cell_backward), _draw(rng, (N, D), (N, H), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,))


def _last_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.encode, m.encode_back), _draw(rng, (N, T, D), (4, D, H), (4, H, H), (4, H))


def _forget_bias_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.lstm, m.lstm_grad), _draw(rng, (N, T, D), (N, H), (N, H), (H + D, 4 * H), (4 * H,))


def _coursera_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    x, a0 = _draw(rng, (D, N, T), (H, N))
    parameters: dict[str, np.ndarray] = {}
    for gate in "fico":
        parameters["W" + gate], parameters["b" + gate] = _draw(rng, (H, H + D), (H, 1))
    return (m.lstm_forward, m.lstm_backward), (x, a0, parameters)


def _class_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    return m.LSTM(s["D"], s["H"], rng), _draw(rng, (s["N"], s["T"], s["D"]))[0]


def _lists_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return m.TimeLSTM(*_draw(rng, (D, 4 * H), (H, 4 * H), (4 * H,))), _draw(rng, (N, T, D))[0]


def _closure_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return m.lstm, _draw(rng, (N, T, D), (N, H), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,))


def _char_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    H, V = s["H"], s["V"]
    hprev, cprev = _draw(rng, (H, 1), (H, 1))
    params: dict[str, np.ndarray] = {}
    for gate in "figo":
        params["W" + gate], params["b" + gate] = _draw(rng, (H, H + V), (H, 1))
    params["Wy"], params["by"] = _draw(rng, (V, H), (V, 1))
    return m.loss_fun, (*_tokens(rng, s), hprev, cprev, params)


def _loss_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H, V = s["N"], s["T"], s["D"], s["H"], s["V"]
    x, *weights = _draw(rng, (N, T, D), (D, 4 * H), (H, 4 * H), (4 * H,), (H, V), (V,))
    return (m.loss_and_cache, m.backward), (x, rng.integers(V, size=(N, T)), *weights)


def _layer_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    return m.MyLSTM(s["D"], s["H"], rng), _draw(rng, (s["N"], s["T"], s["D"]))[0]


def _named_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    p: dict[str, np.ndarray] = {}
    for gate in "fiok":
        p["U_" + gate], p["W_" + gate], p["b_" + gate] = _draw(rng, (D, H), (H, H), (H,))
    return (m.forward_pass, m.backward_pass), (_draw(rng, (T, N, D))[0], p)


def _nodes_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    return m.Network(s["D"], s["H"], rng), _draw(rng, (s["T"], s["D"]))[0]


def _gru_pair(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.gru_forward, m.gru_backward), _draw(rng, (N, T, D), (N, H), (D, 3 * H), (H, 3 * H), (3 * H,), (3 * H,))


def _gru_separate(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.forward, m.backward), _draw(rng, (T, N, D), (N, H), *[(D, H), (H, H), (H,)] * 3, (H,))


def _gru_before(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.gru, m.gru_grad), _draw(rng, (N, T, D), (N, H), *[(H + D, H)] * 3, *[(H,)] * 3)


def _gru_closure(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.gru, m.apply), _draw(rng, (T, N, D), (N, H), (3 * H, D), (3 * H, H), (3 * H,), (3 * H,))


def _gru_class(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return m.GRU(D, H, rng), _draw(rng, (N, T, D), (N, H))


def _rnn_pair(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.rnn_forward, m.rnn_backward), _draw(rng, (N, T, D), (N, H), (D, H), (H, H), (H,))


def _rnn_single(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    T, D, H = s["T"], s["D"], s["H"]
    return (m.forward, m.backward), _draw(rng, (T, D), (H, 1 + D + H), (H,))


def _rnn_char(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    H, V = s["H"], s["V"]
    return m.loss_fun, (*_tokens(rng, s), *_draw(rng, (H, 1), (H, V), (H, H), (V, H), (H, 1), (V, 1)))


def _rnn_loss_pair(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H, V = s["N"], s["T"], s["D"], s["H"], s["V"]
    tokens = rng.integers(V, size=(N, T))
    tokens[-1, 0] = tokens[0, 0]        # the same word twice in one step of the batch
    weights = _draw(rng, (V, D), (D, H), (H, H), (H,), (H, V), (V,))
    return (m.forward, m.backward), (tokens, rng.integers(V, size=(N, T)), *weights)


def _rnn_coursera(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    x, a0, Wax, Waa, ba = _draw(rng, (D, N, T), (H, N), (H, D), (H, H), (H, 1))
    return (m.rnn_forward, m.rnn_backward), (x, a0, {"Wax": Wax, "Waa": Waa, "ba": ba})


def _rnn_lists(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return m.TimeRNN(*_draw(rng, (D, H), (H, H), (H,))), _draw(rng, (N, T, D))[0]


STYLES: dict[str, Style] = {style.name: style for style in [
    Style("cs231n_lstm", "cs231n_lstm", "lstm", "pair", _cs231n_lstm, True),
    Style("textbook_lstm", "textbook_lstm", "lstm", "pair", _textbook_lstm, True),
    Style("torch_lstm", "torch_lstm", "lstm", "pair", _torch_lstm, True),
    Style("onematrix_lstm", "onematrix_lstm", "lstm", "pair", _onematrix_lstm, True),
    Style("single_lstm", "single_lstm", "lstm", "pair", _single_lstm, True),
    Style("keras_lstm", "keras_lstm", "lstm", "pair", _keras_lstm, True),
    Style("step_lstm", "step_lstm", "lstm", "pair", _step_lstm, True),
    Style("last_lstm", "last_lstm", "lstm", "pair", _last_lstm, True),
    Style("forget_bias_lstm", "forget_bias_lstm", "lstm", "pair", _forget_bias_lstm, True),
    Style("coursera_lstm", "coursera_lstm", "lstm", "dict pair", _coursera_lstm, False),
    Style("named_lstm", "named_lstm", "lstm", "dict pair", _named_lstm, False),
    Style("loss_lstm", "loss_lstm", "lstm", "loss pair", _loss_lstm, False),
    Style("char_lstm", "char_lstm", "lstm", "loss and gradients", _char_lstm, False),
    Style("closure_lstm", "closure_lstm", "lstm", "closure", _closure_lstm, False),
    Style("class_lstm", "class_lstm", "lstm", "class", _class_lstm, False),
    Style("nodes_lstm", "nodes_lstm", "lstm", "class", _nodes_lstm, False),
    Style("lists_lstm", "lists_lstm", "lstm", "lists", _lists_lstm, False),
    Style("layer_lstm", "layer_lstm", "lstm", "layer", _layer_lstm, False),
    Style("gru_pair", "gru_pair", "gru", "pair", _gru_pair, True),
    Style("gru_separate", "gru_separate", "gru", "pair", _gru_separate, True),
    Style("gru_before", "gru_before", "gru", "pair", _gru_before, True),
    Style("gru_closure", "gru_closure", "gru", "pair", _gru_closure, True),
    Style("gru_class", "gru_class", "gru", "class", _gru_class, False),
    Style("rnn_pair", "rnn_pair", "rnn", "pair", _rnn_pair, True),
    Style("rnn_single", "rnn_single", "rnn", "pair", _rnn_single, True),
    Style("rnn_coursera", "rnn_coursera", "rnn", "dict pair", _rnn_coursera, False),
    Style("rnn_loss_pair", "rnn_loss_pair", "rnn", "loss pair", _rnn_loss_pair, False),
    Style("rnn_char", "rnn_char", "rnn", "loss and gradients", _rnn_char, False),
    Style("rnn_lists", "rnn_lists", "rnn", "lists", _rnn_lists, False),
]}

BUGS: list[Bug] = []


def _bugs(style: str, kind: str, *rows: tuple[Any, ...]) -> None:
    """Add the bugs of one style and kind; a row is (old, new, lines, where, about) and perhaps ``differs``."""
    BUGS.extend(Bug(style, old, new, frozenset(lines), where, about, kind, *differs)
                for old, new, lines, where, about, *differs in rows)


_bugs(
    "textbook_lstm", "cell",
    ("dzf = df * f * (1 - f)", "dzf = df * sigmoid(f) * (1 - sigmoid(f))", {6}, "f",
     "The sigmoid's derivative is taken at the gate's value, which is already activated."),
    ("dzo = do * o * (1 - o)", "dzo = do * (1 - o ** 2)", {4}, "o", "The output gate goes back by tanh's rule."),
    ("dzc = dc_bar * (1 - c_bar ** 2)", "dzc = dc_bar * (1 - np.tanh(c_bar) ** 2)", {3}, "c",
     "tanh is applied once more to the candidate, which is already activated."),
    ("(1 - np.tanh(c) ** 2)", "(1 - c ** 2)", {11}, "dc", "tanh' of the cell is written with c in place of tanh(c)."),
    ("dc_next + dh * o *", "dc_next + do * o *", {11}, "dc", "The cell gets do where it should get dh."),
    ("df = dc * c_old", "df = dc * c", {10}, "f", "The forget gate is paired with the new cell state."),
    ("di = dc * c_bar\n        dc_bar = dc * i", "di = dc * i\n        dc_bar = dc * c_bar", {8, 9}, "i and c",
     "The partners of input gate and candidate are swapped."),
)
_bugs(
    "textbook_lstm", "carries",
    ("dc_next = dc * f", "dc_next = dc", {7}, "carry of c", "The cell's gradient goes to the step before without f."),
    ("dh = dhs[:, t, :] + dh_next", "dh = dhs[:, t, :]", {1}, "carry of h",
     "The gradient from the step after is not added to dh."),
    ("dc = dc_next + dh * o", "dc = dh * o", {7, 11}, "carry of c", "The gradient from the step after is not added to dc."),
    ("dh_next = dhx[:, :H]", "dh_next = dhx[:, -H:]", {1}, "carry of h", "h's share is cut from the end of [h, x]."),
    (" + dzo @ Wo.T", "", {1}, "o in dh_prev and dx", "The output gate is left out of the gradient of [h, x]."),
)
_bugs(
    "textbook_lstm", "sums",
    ("dx[:, t, :] = dhx[:, H:]", "dx[:, T - 1 - t, :] = dhx[:, H:]", {1}, "dx", "dx is written from the end."),
    ("dWo += hx.T @ dzo", "dWo = hx.T @ dzo", {2}, "dWo", "The gradient of Wo is overwritten at each step."),
    ("dbi += dzi.sum(axis=0)", "dbi += dzf.sum(axis=0)", {2}, "dbi", "The input gate's bias gets the forget gate's delta."),
    ("dbf += dzf.sum(axis=0)", "dbf += dzf.mean(axis=0)", {2}, "dbf", "The bias takes the mean over the batch."),
    ("for t in range(T - 1, -1, -1):", "for t in range(T - 1, 0, -1):", {1, 2, 7}, "the loop",
     "The loop backward stops before the first step."),
    ("for t in range(T - 1, -1, -1):", "for t in range(T - 1, -1):", {}, "the loop",
     "The range has no step, so the loop never runs and every gradient is zero."),
)
_bugs(
    "textbook_lstm", "forward",
    ("h = o * np.tanh(c)\n        hs.append", "h = o * c\n        hs.append", {11, 12}, "h",
     "The forward leaves out the tanh that the backward goes through."),
)
_bugs(
    "textbook_lstm", "behaviour",
    ("    steps, Wf, Wi, Wc, Wo, D = cache\n", "    steps, Wf, Wi, Wc, Wo, D = cache\n    dhs *= 1.0 / len(dhs)\n", {}, "dhs",
     "The upstream gradient is divided by the batch size, in the caller's array."),
)

_bugs(
    "cs231n_lstm", "cell",
    ("df * f * (1 - f),", "df,", {6}, "f", "The sigmoid's derivative is missing."),
    ("dg * (1 - g ** 2),", "dg * g * (1 - g),", {3}, "g", "The candidate goes back by the sigmoid's rule."),
    ("do = dnext_h * t", "do = dnext_h * next_c", {12}, "o", "The output gate is paired with c in place of tanh(c)."),
    ("(1 - t ** 2)", "(1 - np.tanh(t) ** 2)", {11}, "dc", "tanh is applied twice to the cell state."),
    ("dnext_c + dnext_h * o *", "dnext_c + dnext_h *", {11}, "dc", "The factor o is missing on the way from h to c."),
    ("df * f * (1 - f),\n        do * o * (1 - o),", "do * o * (1 - o),\n        df * f * (1 - f),", {4, 6}, "f and o",
     "The blocks of f and o stand in another order than in the forward."),
)
_bugs(
    "cs231n_lstm", "carries",
    ("dh[:, t] + dprev_h, dprev_c", "dh[:, t], dprev_c", {1}, "carry of h", "dprev_h is computed and never used."),
    ("dh[:, t] + dprev_h, dprev_c", "dh[:, t] + dprev_h, 0", {7, 11}, "carry of c", "dprev_c is not handed on."),
    ("dprev_c = dc * f", "dprev_c = dnext_c * f", {7}, "carry of c", "dc_prev leaves out what came to c through h."),
    ("dprev_h = da.dot(Wh.T)", "dprev_h = -da.dot(Wh.T)", {1}, "carry of h", "dh_prev has the wrong sign."),
)
_bugs(
    "cs231n_lstm", "sums",
    ("dWh = prev_h.T.dot(da)", "dWh = (o * t).T.dot(da)", {2}, "dWh", "Wh's gradient is taken with the new hidden state."),
    ("db += db_t", "db = db_t", {2}, "db", "The gradient of b is overwritten at each step."),
    ("dx[:, t] = dx_t", "dx[:, t - 1] = dx_t", {1}, "dx", "dx is written one step too early."),
    ("dh0 = dprev_h", "dh0 = np.zeros_like(dprev_h)", {1}, "dh0", "The initial state is given no gradient."),
    ("        dWx += dWx_t\n        dWh += dWh_t\n        db += db_t\n",
     "        dWh += dWh_t\n        db += db_t\n    dWx += dWx_t\n", {2}, "dWx",
     "The line stands after the loop, so only one step counts."),
)
_bugs(
    "cs231n_lstm", "behaviour",
    ("dh0 = dprev_h\n", "dh0 = dprev_h\n    for grad in (dWx, dWh, db):\n        np.clip(grad, -0.1, 0.1, out=grad)\n", {},
     "dWx, dWh, db", "The gradients are clipped inside backward."),
    ("dh0 = dprev_h\n", "dh0 = dprev_h\n    dWx += 1e-2 * cache[0][3]\n", {}, "dWx", "Weight decay is added inside backward."),
    ("dprev_c, cache[t])", "dprev_c, cache.pop())", {}, "cache", "backward uses its cache up.", False),
)

_bugs(
    "torch_lstm", "carries",
    ("gc = gc * f\n", "gc = gc * tape[max(t - 1, 0)][\"f\"]\n", {7}, "carry of c", "dc_prev takes f of the step before."),
    ("gh = d_gates @ w_hh", "gh = gh + d_gates @ w_hh", {1}, "carry of h", "dh_prev is added to dh; it should replace it."),
    ("gh, gc = dhn, dcn", "gh, gc = np.zeros_like(dhn), dcn", {}, "dhn", "The gradient of the last hidden state is ignored."),
    ("gh, gc = dhn, dcn", "gh, gc = dhn, np.zeros_like(dcn)", {}, "dcn", "The gradient of the last cell state is ignored."),
    ("gc = gc + gh * o * (1 - tc * tc)", "gc = gc * f + gh * o * (1 - tc * tc)", {7, 11}, "dc",
     "dc is multiplied by f on arrival, and once more when it leaves."),
)
_bugs(
    "torch_lstm", "cell",
    ("gc * g * i * (1 - i)", "gc * g * i * (1 + i)", {5}, "i", "The sigmoid's derivative has a wrong sign: i (1 + i)."),
    ("gh * tc * o * (1 - o)", "gh * np.tanh(tc) * o * (1 - o)", {12}, "o", "tanh is applied twice to the cell state."),
    ("gh * o * (1 - tc * tc)", "gh * o * (1 - np.tanh(s[\"c\"]) ** 2)", {11}, "dc", "tanh' is taken at the old cell state."),
    ("gh * tc * o * (1 - o)", "gc * tc * o * (1 - o)", {12}, "o", "The output gate gets dc where it should get dh."),
)
_bugs(
    "torch_lstm", "sums",
    ("gw_hh += d_gates.T @ s[\"h\"]", "gw_hh += d_gates.T @ s[\"h\"] if t > 0 else 0", {2}, "dw_hh",
     "The first step's share is left out, as if h0 were zero."),
    ("gb += d_gates.sum(0)", "gb += d_gates[0]", {2}, "db", "Only the first sequence of the batch counts for the biases."),
    ("gx.insert(0, d_gates @ w_ih)", "gx.append(d_gates @ w_ih)", {1}, "dx", "dx comes out in reversed order."),
    ("gb, gb.copy()", "gb, np.zeros_like(gb)", {2}, "db_hh", "The second bias is given no gradient."),
    ("tape.append(dict(x=xt, h=h,", "tape.append(dict(x=xt, h=hn,", {2}, "dw_hh", "The new hidden state is kept as the old."),
    ("gw_ih += d_gates.T @ s[\"x\"]", "gw_ih += d_gates.T @ tape[t - 1][\"x\"]", {2}, "dw_ih", "x is shifted by one step."),
)
_bugs(
    "torch_lstm", "forward",
    ("return 0.5 * (1 + np.tanh(0.5 * v))", "return 0.5 * (1 + np.tanh(v))", {4, 5, 6}, "i, f, o",
     "The gates' function is σ(2v), while backward differentiates σ(v)."),
)
_bugs(
    "torch_lstm", "behaviour",
    ("gh = gh + dout[:, t]", "gh += dout[:, t]", {}, "dhn", "backward writes into the caller's array.", False),
)

_bugs(
    "onematrix_lstm", "cell",
    ("y * (1.0 - y) * dIFOG", "(1.0 - y) * dIFOG", {4, 5, 6}, "i, f, o", "Half of the sigmoid's derivative is missing."),
    ("dIFOG[t, :, H:2 * H] = C[t - 1] * dC[t]", "dIFOG[t, :, H:2 * H] = C[t] * dC[t]", {10}, "f",
     "After the first step the forget gate is paired with the new cell state."),
    ("dIFOG[t, :, 3 * H:] = I * dC[t]", "dIFOG[t, :, 3 * H:] = G * dC[t]", {8}, "g",
     "The candidate is paired with itself in place of the input gate."),
)
_bugs(
    "onematrix_lstm", "carries",
    ("dHout[t - 1] += dHin[:, D + 1:]", "dHout[t - 1] = dHin[:, D + 1:]", {1}, "carry of h",
     "The gradient from above is overwritten by the one from the step after."),
    ("dHout[t - 1] += dHin[:, D + 1:]", "dHout[t - 1] += dHin[:, D:-1]", {1}, "carry of h", "h's columns are off by one."),
    ("dC[t - 1] += F * dC[t]", "dC[t - 1] += O * dC[t]", {7}, "carry of c", "dc_prev is multiplied by o in place of f."),
    ("dc0 = F * dC[t]", "dc0 = dC[t]", {7}, "dc0", "The last factor f is missing in the initial cell state's gradient."),
    ("    dC[T - 1] += dcn\n", "", {}, "dcn", "The gradient of the last cell state is ignored."),
)
_bugs(
    "onematrix_lstm", "sums",
    ("dW += Hin[t].T.dot(dA[t])", "dW += Hin[t - 1].T.dot(dA[t])", {2}, "dW", "[1, x, h] is that of the step before."),
    ("dX[t] = dHin[:, 1:D + 1]", "dX[t] = dHin[:, :D]", {1}, "dx", "x's columns are off by one: the bias is taken for x."),
    ("dW += Hin[t].T.dot(dA[t])", "dW[1:] += Hin[t, :, 1:].T.dot(dA[t])", {2}, "dW, bias row", "The bias row stays zero."),
)
_bugs(
    "onematrix_lstm", "behaviour",
    ("dHout = dHout_in.copy()", "dHout = dHout_in", {}, "dHout_in", "The caller's upstream gradient is written to.", False),
)

_bugs(
    "single_lstm", "carries",
    ("delta_c = delta_c * f[t]\n", "delta_c = delta_c * i[t]\n", {7}, "carry of c", "dc_prev is multiplied by i."),
    ("delta_h = dv[D:]", "delta_h = dv[:len(delta_h)]", {1}, "carry of h", "h's share is cut from the start of [x, h]."),
    ("for t in reversed(range(T)):", "for t in reversed(range(max(0, T - 2), T)):", {1, 2, 7}, "the loop",
     "Only the last two steps are gone back through."),
    ("delta_h = delta_h + d_hidden[t]", "delta_h = 2 * delta_h + d_hidden[t]", {1}, "carry of h", "The carry counts twice."),
)
_bugs(
    "single_lstm", "cell",
    ("i[t] * (1 - g[t] ** 2)", "i[t] * (1 - g[t])", {3}, "c", "tanh' is written 1 - g."),
    ("e_f = delta_c * c[t - 1]", "e_f = delta_h * c[t - 1]", {10}, "f", "The forget gate gets dh where it should get dc."),
    ("delta_h * tanh_c * o[t] * (1 - o[t])", "delta_h * tanh_c * (1 - o[t])", {4}, "o", "The sigmoid's derivative is 1 - o."),
)
_bugs(
    "single_lstm", "sums",
    ("dxs[t] = dv[:D]", "dxs[t] = dv[-D:]", {1}, "dx", "x's share is cut from the end of [x, h]."),
    ("db_c += e_c", "db_c = e_c", {2}, "db_c", "The candidate's bias keeps one step only."),
    ("np.outer(e_i, v[t])", "np.outer(e_i, v[T - 1])", {2}, "dW_i", "The last step's input is used at every step."),
    ("np.outer(e_o, v[t])", "np.outer(e_f, v[t])", {2}, "dW_o", "Wo is given the forget gate's delta."),
)

_bugs(
    "keras_lstm", "sums",
    ("dbias = da.sum(axis=(0, 1))", "dbias = da.mean(axis=1).sum(axis=0)", {2}, "dbias", "The mean over the batch is taken."),
    ("\"tnh,tng->hg\", hs[:-1], da", "\"tnh,tng->hg\", hs[1:], da", {2}, "drecurrent", "h_t stands in place of h_{t-1}."),
    ("\"tng,dg->ntd\", da, kernel", "\"tng,dg->ntd\", da[::-1], kernel", {1}, "dx", "dx is reversed in time."),
    ("dbias = da.sum(axis=(0, 1))", "dbias = da[-1].sum(axis=0)", {2}, "dbias", "Only the last step counts for the bias."),
)
_bugs(
    "keras_lstm", "cell",
    ("dc * g * i * (1 - i)", "dc * g * logistic(i) * (1 - logistic(i))", {5}, "i",
     "The sigmoid's derivative is taken at the activated gate."),
    ("dc * cs[t] * f * (1 - f)", "dc * np.tanh(cs[t]) * f * (1 - f)", {10}, "f", "tanh(c_prev) stands in place of c_prev."),
    ("dc * i * (1 - g ** 2)", "dc * i", {3}, "c", "tanh' is missing in the candidate."),
    ("dc * cs[t] * f * (1 - f)", "-dc * cs[t] * f * (1 - f)", {6, 10}, "f", "The forget gate's gradient has the wrong sign."),
)
_bugs(
    "keras_lstm", "carries",
    ("dh = da[t] @ recurrent_kernel.T", "dh = da[t, :, :3 * H] @ recurrent_kernel[:, :3 * H].T", {1}, "o in dh_prev",
     "The output gate is left out of dh_prev."),
    ("dc += dh * o * (1 - th ** 2)", "dc = dh * o * (1 - th ** 2)", {7, 11}, "carry of c",
     "What came from the step after is overwritten."),
    ("dh += dy[:, t]", "dh = dy[:, t]", {1}, "carry of h", "What came from the step after is overwritten."),
)
_bugs(
    "keras_lstm", "behaviour",
    ("    xw = x @ kernel + bias\n", "    x = x * (np.random.rand(*x.shape) > 0.2)\n    xw = x @ kernel + bias\n", {}, "x",
     "Each forward drops other inputs, drawn without a seed.", False),
)

_bugs(
    "step_lstm", "cell",
    ("return y * (1 - y)", "return sigmoid(y) * (1 - sigmoid(y))", {4, 5, 6}, "f, i, o",
     "dsigmoid is given the activated gate and activates it again."),
    ("return 1 - y * y", "return 1 - np.tanh(y) ** 2", {3, 11}, "candidate and c",
     "dtanh is given the activated value and activates it again."),
    ("dc + dh * o_gate * dtanh(tanh_c)", "dc + dh * o_gate", {11}, "dc", "tanh' of the cell is missing."),
    ("dc_total = dc + dh * o_gate * dtanh(tanh_c)", "dc_total = dc", {11}, "dc", "What comes to c through h is forgotten."),
    ("dz_cand = dc_total * i_gate", "dz_cand = dc * i_gate", {8}, "candidate", "The candidate gets dc without h's share."),
    ("dz_i = dc_total * cand *", "dz_i = dc_total * i_gate *", {9}, "i", "The input gate is paired with itself."),
)
_bugs(
    "step_lstm", "carries",
    ("dc_prev = dc_total * f_gate", "dc_prev = dc * f_gate", {7}, "dc_prev", "dc_prev leaves out h's share of dc."),
    ("dc_prev = dc_total * f_gate", "dc_prev = dc_total * f_gate * c_prev", {7}, "dc_prev", "A factor c_prev is too many."),
)
_bugs(
    "step_lstm", "forward",
    ("return 1 / (1 + np.exp(-x))\n\n\ndef dsigmoid(y):\n    \"\"\"Derivative of the sigmoid, given its value y.\"\"\"\n"
     "    return y * (1 - y)",
     "return 1 / (1 + np.exp(-2 * x))\n\n\ndef dsigmoid(y):\n    \"\"\"Derivative of the sigmoid, given its value y.\"\"\"\n"
     "    return 2 * y * (1 - y)", {}, "f, i, o", "The gates are σ(2z), forward and backward alike.", False),
)

_bugs(
    "last_lstm", "carries",
    ("        dh = 0\n", "", {1}, "carry of h", "dh is not cleared before the shares of the gates are added."),
    ("dc = dc * f\n", "dc = dc * f * (1 - f)\n", {7}, "carry of c", "dc_prev goes through the sigmoid's derivative."),
    ("dh = dh + delta @ W[k].T", "dh = dh + delta @ W[k]", {1}, "carry of h", "W is square and was not transposed."),
    ("dh = dh + delta @ W[k].T", "dh = delta @ W[k].T", {1}, "carry of h", "Only the last gate's share of dh_prev is kept."),
)
_bugs(
    "last_lstm", "cell",
    ("do = dh * np.tanh(c)", "do = dh / np.cosh(c) ** 2", {12}, "o", "The output gate is paired with tanh' of the cell."),
    ("o / np.cosh(c) ** 2", "o / np.cosh(c)", {11}, "dc", "1 / cosh is not squared."),
)
_bugs(
    "last_lstm", "sums",
    ("dx[:, t] += delta @ U[k].T", "dx[:, t] = delta @ U[k].T", {1}, "dx", "Only the last gate's share of dx is kept."),
    ("db[k] += delta.sum(0)", "db[k] += delta.mean(0)", {2}, "db", "The mean over the batch is taken."),
    ("dW[k] += h_prev.T @ delta", "dW[k] += delta.T @ h_prev", {2}, "dW", "The gradient of W is transposed."),
)

_bugs(
    "forget_bias_lstm", "carries",
    ("dhx[:, :H], dhx[:, H:]", "dhx[:, -H:], dhx[:, :-H]", {1}, "dh_prev and dx", "[h, x] is taken apart as [x, h]."),
    ("dc = d_last_c\n", "dc = 0.0\n", {}, "d_last_c", "The gradient of the last cell state is ignored."),
    ("dh = dh + d_out", "dh = dh - d_out", {}, "upstream", "The gradient from above is subtracted."),
)
_bugs(
    "forget_bias_lstm", "cell",
    ("dc * step.g * step.i * (1 - step.i)", "dc * step.c_prev * step.i * (1 - step.i)", {9}, "i",
     "The input gate is paired with the old cell state."),
    ("dc * step.c_prev * step.f * (1 - step.f)", "dc * step.f * (1 - step.f)", {10}, "f", "The factor c_prev is missing."),
)
_bugs(
    "forget_bias_lstm", "sums",
    ("np.stack(dx[::-1], axis=1)", "np.stack(dx, axis=1)", {1}, "dx", "dx is collected backward and not turned round."),
    ("dW += step.hx.T @ dz", "dW += step.hx.T @ dz / len(dz)", {2}, "dW", "The mean over the batch is taken."),
)

_bugs(
    "coursera_lstm", "cell",
    ("dc * it * (1 - cct ** 2)", "dc * it * (1 - np.tanh(cct) ** 2)", {3}, "c", "tanh is applied again to the candidate."),
    ("dft = dc * c_prev", "dft = dc_next * c_prev", {10}, "f", "The forget gate gets dc without h's share."),
)
_bugs(
    "coursera_lstm", "carries",
    ("da[:, :, t] + da_prevt, dc_prevt", "da[:, :, t], dc_prevt", {1}, "carry of a", "da_prevt is never used."),
    ("        dc_prevt = gradients[\"dc_prev\"]\n", "", {7}, "carry of c", "dc_prevt stays zero."),
    ("+ np.dot(parameters[\"Wc\"].T, dcct) + np.dot", "+ np.dot", {1}, "c in da_prev and dx", "The candidate is left out."),
)
_bugs(
    "coursera_lstm", "sums",
    ("back[n_a:, :]", "back[:xt.shape[0], :]", {1}, "dx", "x's share is cut from the start of [a, x]."),
    ("totals[name] += gradients[name]", "totals[name] = gradients[name]", {2}, "all weights", "Only one step is kept."),
    ("\"dbi\": np.sum(dit,", "\"dbi\": np.sum(dft,", {2}, "dbi", "The input gate's bias gets the forget gate's delta."),
)

_bugs("class_lstm", "sums",
      ("self.dU += self.h[t].T.dot(dz)", "self.dU += self.h[t + 1].T.dot(dz)", {2}, "dU", "h_t stands in place of h_{t-1}."),
      ("self.db += dz.sum(axis=0)", "self.db = dz.sum(axis=0)", {2}, "db", "Only one step is kept."))
_bugs("class_lstm", "cell",
      ("dct * self.c[t] *", "dct * self.c[t + 1] *", {10}, "f", "The forget gate is paired with the new cell state."),
      ("dht * tanh_ct * self.o[t] * (1 - self.o[t])", "dht * tanh_ct", {4}, "o", "The sigmoid's derivative is missing."))
_bugs("class_lstm", "carries",
      ("dc_next = dct * self.f[t]", "dc_next += dct * self.f[t]", {7}, "carry of c", "dc_prev is added up over the steps."))

_bugs("nodes_lstm", "cell",
      ("ds * self.s_prev * self.f", "ds * self.s * self.f", {10}, "f", "The forget gate is paired with the new cell state."))
_bugs("nodes_lstm", "sums",
      ("net.bi_diff += di_input", "net.bi_diff = di_input", {2}, "bi_diff", "Only one step is kept."))
_bugs("nodes_lstm", "carries",
      ("dxc[net.x_dim:], ds * self.f", "dxc[net.x_dim:], top_s * self.f", {7}, "carry of s", "h's share of ds is left out."))

_bugs("lists_lstm", "cell",
      ("df *= f * (1 - f)", "df *= sigmoid(f) * (1 - sigmoid(f))", {6}, "f", "The activated gate is activated again."),
      ("np.hstack((df, dg, di, do))", "np.hstack((df, di, dg, do))", {3, 5}, "g and i", "The blocks of g and i are swapped."))
_bugs("lists_lstm", "sums",
      ("sums[k] += grad", "sums[k] = grad", {2}, "all weights", "Only one step is kept."))
_bugs("lists_lstm", "carries",
      ("dc_prev = ds * f", "dc_prev = dc_next * f", {7}, "carry of c", "h's share of dc is left out."))

_bugs("closure_lstm", "carries",
      ("dh = dh + dhs[:, t]", "dh = dhs[:, t]", {1}, "carry of h", "What came from the step after is overwritten."))
_bugs("closure_lstm", "sums",
      ("dWh += hs[t].T @ dz", "dWh += hs[t + 1].T @ dz", {2}, "dWh", "h_t stands in place of h_{t-1}."))
_bugs("closure_lstm", "cell",
      ("dh * tc * o * (1 - o)", "dh * cs[t + 1] * o * (1 - o)", {12}, "o", "c stands in place of tanh(c)."))

_bugs("char_lstm", "cell",
      ("dcnext + dh * os_[t]", "dcnext + do * os_[t]", {11}, "dc", "The cell gets do where it should get dh."))
_bugs("char_lstm", "carries",
      ("dcnext = fs[t] * dc\n", "dcnext = fs[t] * dcnext\n", {7}, "carry of c", "The carry is never fed."),
      ("dhnext = dz[:H]", "dhnext = dz[-H:]", {1}, "carry of h", "h's share is cut from the end of [h, x]."))
_bugs("char_lstm", "loss",
      ("dy[targets[t]] -= 1", "dy[targets[t]] -= 1\n        dy = -dy", {}, "dy", "The loss's gradient has the wrong sign."))

_bugs("loss_lstm", "loss",
      ("dscores /= N * T", "dscores /= N", {}, "dscores", "The mean over the steps is forgotten."),
      ("        dscores[np.arange(N), y[:, t]] -= 1\n", "", {}, "dscores", "The target is not subtracted: p, not p - y."))
_bugs("loss_lstm", "carries",
      ("dscores.dot(Wy.T) + dh_next", "dscores.dot(Wy.T)", {1}, "carry of h", "What came from the step after is not added."),
      ("dc = dc_next + dh * o", "dc = dh * o", {7, 11}, "carry of c", "What came from the step after is not added."))
_bugs("loss_lstm", "behaviour",
      ("dscores = probs.copy()", "dscores = probs", {}, "cache", "backward writes into the kept probabilities.", False))
_bugs("loss_lstm", "cell",
      ("dc * g * i * (1 - i),", "dc * g,", {5}, "i", "The sigmoid's derivative is missing."))

_bugs("layer_lstm", "sums",
      ("self.grads[\"W\"] += hx.T @ dz", "self.grads[\"W\"] = hx.T @ dz", {2}, "W", "Only one step is kept."),
      ("            self.grads[\"b\"] += dz.sum(axis=0)\n", "", {2}, "b", "The bias is given no gradient."))
_bugs("layer_lstm", "carries",
      ("dc = dc * f\n", "dc = 0\n", {7, 11}, "carry of c", "dc is not passed on."))

_bugs("named_lstm", "carries",
      ("from_right_h += d @", "from_right_h = d @", {1}, "carry of h", "Only the last gate's share of dh_prev is kept."))
_bugs("named_lstm", "cell",
      ("m[\"c\"] * m[\"f\"] * (1 - m[\"f\"])", "m[\"c\"] * m[\"f\"] * (1 - m[\"i\"])", {6}, "f",
       "The sigmoid's derivative mixes two gates: f (1 - i)."))
_bugs("named_lstm", "sums",
      ("_grad\"] += d.sum(axis=0)", "_grad\"] += delta[\"f\"].sum(axis=0)", {2}, "biases", "All biases get the delta of f."))

_bugs(
    "gru_pair", "cell",
    ("dn = dh * (1 - z)", "dn = dh * z", {10}, "n", "The candidate gets z in place of 1 - z."),
    ("dz = dh * (h_prev - n)", "dz = dh * (n - h_prev)", {9}, "z", "The update gate's gradient has the wrong sign."),
    ("dq = da_n * r", "dq = da_n", {6}, "q", "The reset gate is forgotten on the way back to h."),
    ("dr = da_n * q", "dr = da_n * h_prev", {5}, "r", "The reset gate is paired with h in place of its product with W."),
    ("da_r = dr * r * (1 - r)", "da_r = dr * (1 - r)", {3}, "r", "Half of the sigmoid's derivative is missing."),
    ("dn * (1 - n ** 2)", "dn * (1 - np.tanh(n) ** 2)", {7}, "n", "tanh is applied again to the candidate."),
    ("da_z = dz * z * (1 - z)", "da_z = dz * sigmoid(z) * (1 - sigmoid(z))", {4}, "z", "The gate is activated again."),
)
_bugs(
    "gru_pair", "carries",
    ("dh = dh * z + dah @ Wh.T", "dh = dah @ Wh.T", {1, 8}, "carry of h", "The direct path along h is forgotten."),
    ("dh = dh * z + dah @ Wh.T", "dh = dh * z + dax @ Wh.T", {1}, "carry of h", "h gets the candidate's delta without r."),
    ("dh = dh + dout[:, t]", "dh = dout[:, t]", {1, 8}, "carry of h", "What came from the step after is overwritten."),
    ("dh = dh * z + dah @ Wh.T", "dh = dh * z", {1}, "carry of h", "Only the direct path along h is kept."),
)
_bugs(
    "gru_pair", "sums",
    ("dWh += h_prev.T @ dah", "dWh += h_prev.T @ dax", {2}, "dWh", "Wh gets the candidate's delta without r."),
    ("dbh += dah.sum(axis=0)", "dbh += dax.sum(axis=0)", {2}, "dbh", "bh gets the candidate's delta without r."),
    ("dWx += x_t.T @ dax", "dWx = x_t.T @ dax", {2}, "dWx", "Only one step is kept."),
)

_bugs("gru_separate", "carries",
      ("dnext = dh * (1 - z) +", "dnext = dh * z +", {8}, "carry of h", "The direct path has z in place of 1 - z."),
      ("e_q @ Uh.T", "e_h @ Uh.T", {1}, "carry of h", "h gets the candidate's delta without r."))
_bugs("gru_separate", "cell",
      ("e_r = e_h * q *", "e_r = e_q * q *", {5}, "r", "The reset gate gets the delta that went through it."),
      ("dz = dh * (cand - hp)", "dz = dh * cand", {9}, "z", "The old state's share of dz is forgotten."))
_bugs("gru_separate", "sums",
      ("dUh += hp.T @ e_q", "dUh += hp.T @ e_h", {2}, "dUh", "Uh gets the candidate's delta without r."),
      ("dbr = dbr + e_r.sum(0)", "dbr = e_r.sum(0)", {2}, "dbr", "Only one step is kept."))

_bugs("gru_before", "carries",
      (" + drh * r", " + drh", {}, "carry of h", "The factor r is forgotten on the way back to h."))
_bugs("gru_before", "cell",
      ("dh * (h - n) * z", "dh * (n - h) * z", {9}, "z", "The update gate's gradient has the wrong sign."))
_bugs("gru_before", "sums",
      ("dWn += rhx.T @ da_n", "dWn += hx.T @ da_n", {}, "dWn", "The candidate's weights are paired with h in place of r * h."))

_bugs("gru_closure", "cell",
      ("dn * q * r * (1 - r)", "dn * r * (1 - r)", {5}, "r", "The factor q is missing."))
_bugs("gru_closure", "sums",
      ("sum_ += g", "sum_[...] = g", {2}, "all weights", "Only one step is kept."))
_bugs("gru_closure", "forward",
      ("return z * h + (1 - z) * n, back", "return h + (1 - z) * n, back", {8, 9}, "h",
       "The forward leaves out the z in front of h."),
      ("+ r * q)\n\n        def back(dh):\n            dn = dh * (1 - z) * (1 - n * n)\n"
       "            dz = dh * (h - n) * z * (1 - z)\n            dr = dn * q * r * (1 - r)\n"
       "            da = np.hstack([dz, dr, dn])\n            dk = np.hstack([dz, dr, dn * r])",
       "+ (1 - r) * q)\n\n        def back(dh):\n            dn = dh * (1 - z) * (1 - n * n)\n"
       "            dz = dh * (h - n) * z * (1 - z)\n            dr = -dn * q * r * (1 - r)\n"
       "            da = np.hstack([dz, dr, dn])\n            dk = np.hstack([dz, dr, dn * (1 - r)])",
       {}, "r", "The reset gate stands the other way round, forward and backward alike.", False))

_bugs("gru_class", "carries",
      ("dh = dh * z + ah @", "dh = dh + ah @", {8}, "carry of h", "The direct path has no factor z."))
_bugs("gru_class", "cell",
      ("ah = np.hstack([az, ar, an * r])", "ah = np.hstack([az, ar, an])", {6}, "q", "The reset gate is forgotten."))

_bugs(
    "rnn_pair", "cell",
    ("(1 - next_h ** 2)", "(1 - np.tanh(next_h) ** 2)", {3}, "tanh", "tanh is applied again to the hidden state."),
    ("(1 - next_h ** 2)", "next_h * (1 - next_h)", {3}, "tanh", "The sigmoid's rule stands in place of tanh's."),
)
_bugs(
    "rnn_pair", "carries",
    ("dh[:, t, :] + dprev", "dh[:, t, :]", {1}, "carry of h", "What came from the step after is not added."),
    ("dprev_h = da.dot(Wh.T)", "dprev_h = dnext_h.dot(Wh.T)", {1}, "carry of h", "The gradient goes back before the tanh."),
    ("dprev_h = da.dot(Wh.T)", "dprev_h = da.dot(Wh)", {1}, "carry of h", "Wh is not transposed, and being square it fits."),
    ("range(T - 1, -1, -1)", "range(T - 1, 0, -1)", {1, 2}, "the loop", "The loop backward stops before the first step."),
)
_bugs(
    "rnn_pair", "sums",
    ("dWh = prev_h.T.dot(da)", "dWh = next_h.T.dot(da)", {2}, "dWh", "h_t stands in place of h_{t-1}."),
    ("db += db_t", "db = db_t", {2}, "db", "Only one step is kept."),
)

_bugs("rnn_single", "carries",
      ("carry = du[D + 1:]", "carry = du[1:-D]", {1}, "carry of h", "h's share is cut from the place of x."),
      ("carry = d_last\n", "carry = np.zeros_like(d_last)\n", {}, "d_last", "The gradient of the last state is ignored."))
_bugs("rnn_single", "cell",
      (" * (1 - outs[t] ** 2)", "", {3}, "tanh", "tanh' is missing."))

_bugs("rnn_char", "carries",
      ("dhnext = Whh.T @ draw", "dhnext = Whh @ draw", {1}, "carry of h", "Whh is not transposed."),
      ("Why.T @ dy + dhnext", "Why.T @ dy", {1}, "carry of h", "What came from the step after is not added."))
_bugs("rnn_char", "cell",
      ("(1 - hs[t] * hs[t]) * dh", "(1 - hs[t]) * dh", {3}, "tanh", "The square is forgotten in tanh'."))
_bugs("rnn_char", "sums",
      ("dWhh += draw @ hs[t - 1].T", "dWhh += draw @ hs[t].T", {2}, "dWhh", "h_t stands in place of h_{t-1}."),
      ("dWhy += dy @ hs[t].T", "dWhy = dy @ hs[t].T", {}, "dWhy", "The output layer's weights keep one step only."))
_bugs("rnn_char", "loss",
      ("        dy[targets[t]] -= 1\n", "", {}, "dy", "The target is not subtracted: p in place of p - y."))
_bugs("rnn_char", "behaviour",
      ("    return loss, dWxh", "    for g in (dWxh, dWhh, dWhy, dbh, dby):\n        np.clip(g, -5, 5, out=g)\n"
       "    return loss, dWxh", {}, "all weights", "The gradients are clipped where they exceed 5.", False))

_bugs("rnn_loss_pair", "loss",
      ("dlogits / (N * T)", "dlogits / N", {}, "dlogits", "The mean over the steps is forgotten."),
      ("] -= 1.0", "] += 1.0", {}, "dlogits", "The target is added: p + y in place of p - y."),
      ("dlogits / (N * T)", "dlogits / (N * T) * (t == T - 1)", {}, "dlogits", "Only the last step's loss counts."))
_bugs("rnn_loss_pair", "behaviour",
      ("dlogits = probs[t].copy()", "dlogits = probs[t]", {}, "cache", "backward writes into the kept probabilities.", False))
_bugs("rnn_loss_pair", "carries",
      ("dh_next = dz @ Whh.T", "dh_next = dh @ Whh.T", {1}, "carry of h", "The gradient goes back before the tanh."))
_bugs("rnn_loss_pair", "sums",
      ("np.add.at(dE, tokens[:, t], dz @ Wxh.T)", "dE[tokens[:, t]] += dz @ Wxh.T", {}, "dE",
       "A word that occurs twice in a step is counted once."))

_bugs("rnn_coursera", "sums",
      ("before = a[:, :, t - 1] if t > 0 else a0", "before = a[:, :, t - 1]", {2}, "dWaa", "At t = 0 the index wraps round."),
      ("np.sum(dtanh, axis=1", "np.mean(dtanh, axis=1", {2}, "dba", "The mean over the batch is taken."))
_bugs("rnn_coursera", "carries",
      ("np.dot(Waa.T, dtanh)", "np.dot(Waa, dtanh)", {1}, "carry of a", "Waa is not transposed, and being square it fits."))

_bugs("rnn_lists", "sums",
      ("self.grads[1] += self.hs[:, t].T @ dt", "self.grads[1] += self.hs[:, t + 1].T @ dt", {2}, "grads[1]",
       "h_t stands in place of h_{t-1}."))
_bugs("rnn_lists", "carries",
      ("dh = dt @ Wh.T", "dh = 0", {1}, "carry of h", "dh is not passed on."))
