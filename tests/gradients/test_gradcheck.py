"""The checker itself: it passes what is right, and raises, with the right words, on bugs planted on purpose.

Each planted bug is one that was seen in published hand-written recurrent networks. A checker that lets one of them through
is worth nothing, so each must turn it red by both methods.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import backend, put, xp

import minilstm as ml

N, T, D, H = 2, 5, 3, 4
METHODS = ("finite", "complex")


def gradcheck(target: Any, inputs: Any, **options: Any) -> Any:
    """``ml.gradcheck`` on the running test's backend; a report's figures are rounding errors, so they are not compared."""
    return ml.gradcheck(put(target), put(inputs), **put(options))


@pytest.fixture
def arrays(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """x, h0, c0, W, b of an LSTM."""
    shapes = ((N, T, D), (N, H), (N, H), (H + D, 4 * H), (4 * H,))
    return tuple(rng.standard_normal(shape) for shape in shapes)


def wrong_backward(bug: str) -> Any:
    """Return lstm_backward with one bug: the correct sequence of steps, and a mistake."""
    def backward(dh: np.ndarray, dc: np.ndarray, cache: Any) -> tuple[np.ndarray, ...]:
        steps, h, c, _ = cache
        W = steps[0].W
        dW, db, dx, dh_next = xp.zeros_like(W), xp.zeros(4 * H), xp.zeros((N, T, D)), xp.zeros((N, H))
        for t in reversed(range(T)):
            if bug == "first step missing" and t == 0:
                break
            hx, _, f, i, o, c_tilde, tanh_c, _ = steps[t]
            dh_t = dh[:, t] + dh_next
            if bug == "dh overwritten before dc uses it":
                dh_t = dh_t * tanh_c
                do = dh_t
            else:
                do = dh_t * tanh_c
            dc = dc + dh_t * o * (1 - tanh_c ** 2)
            dz = xp.concatenate([dc * c[t] * f * (1 - f), dc * c_tilde * i * (1 - i), do * o * (1 - o),
                                 dc * i * (1 - c_tilde ** 2)], axis=1)
            if bug == "two gates swapped":
                dz = xp.concatenate([dz[:, H:2 * H], dz[:, :H], dz[:, 2 * H:]], axis=1)
            if bug == "sigmoid' of an activated gate":
                s = 1 / (1 + xp.exp(-f))
                dz[:, :H] = dc * c[t] * s * (1 - s)
            h_prev = h[t + 1] if bug == "h not shifted in dW" else h[t]
            dW_t = xp.concatenate([h_prev, hx[:, H:]], axis=1).T @ dz
            dW = dW_t if bug == "missing accumulation over time" else dW + dW_t
            db = db + dz.sum(axis=0)
            dhx = dz @ W.T
            dh_next, dx[:, t] = dhx[:, :H], dhx[:, H:]
            if bug == "no carry through time":
                dh_next = xp.zeros((N, H))
            dc = dc * f
        if bug == "gradient zero":
            dW = xp.zeros_like(dW)
        if bug == "gradient plus W":
            dW = dW + W
        if bug == "one entry off by a millionth":
            dW[3, 2] *= 1 + 1e-6
        dh0, dc0 = (dc, dh_next) if bug == "h0 and c0 swapped" else (dh_next, dc)
        return dx, dh0, dc0, dW, db
    return backward


BUGS = {    # bug -> what the message must name
    "gradient zero": ["W[", "gate", "zero everywhere"],
    "gradient plus W": ["W[", "gate", "plus W itself"],
    "first step missing": ["x[", "wrong at time steps 0 of 0 to 4", "h0"],
    "h not shifted in dW": ["W[", "from h["],
    "two gates swapped": ["W[", "by gate: f"],
    "h0 and c0 swapped": ["h0[", "c0["],
    "dh overwritten before dc uses it": ["W[", "by gate"],
    "missing accumulation over time": ["W["],
    "no carry through time": ["x[", "wrong at time steps 0, 1, 2, 3 of 0 to 4"],
    "sigmoid' of an activated gate": ["W[", "by gate: f"],
}


def test_the_planted_backward_is_right_without_a_bug(arrays: tuple[np.ndarray, ...]) -> None:
    assert gradcheck((ml.lstm_forward, wrong_backward("none")), arrays).worst("complex") < 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bug", BUGS)
def test_every_planted_bug_is_caught_and_named(bug: str, method: str, arrays: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(ml.GradientError) as caught:
        gradcheck((ml.lstm_forward, wrong_backward(bug)), arrays, method=method)
    message = str(caught.value)
    for word in ["gradcheck lstm_forward", "worst entry", "analytic", "numeric", *BUGS[bug]]:
        assert word in message, message


def test_by_gate_errors_name_the_wrong_gate_only(arrays: tuple[np.ndarray, ...]) -> None:
    def backward(dh: Any, dc: Any, cache: Any) -> Any:
        dx, dh0, dc0, dW, db = ml.lstm_backward(dh, dc, cache)
        dW[:, 2 * H:3 * H] *= 1.5
        return dx, dh0, dc0, dW, db
    with pytest.raises(ml.GradientError, match=r"by gate: f \d\.\de-1\d, i \d\.\de-1\d, o 3\.3e-01, c \d\.\de-1\d"):
        gradcheck((ml.lstm_forward, backward), arrays)


def test_complex_step_sees_one_entry_off_by_a_millionth(arrays: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(ml.GradientError, match=r"worst entry: W\[3, 2\] \(gate f, unit 2, from h\[3\]\)"):
        gradcheck((ml.lstm_forward, wrong_backward("one entry off by a millionth")), arrays)


@pytest.mark.parametrize("bug", ["a dropped h0", "a dropped final state"])
def test_a_missing_upstream_gradient_must_be_handled(bug: str, arrays: tuple[np.ndarray, ...]) -> None:
    def backward(dh: Any, dc: Any, cache: Any) -> Any:
        gradients = list(ml.lstm_backward(dh, None if bug == "a dropped final state" else dc, cache))
        if bug == "a dropped h0":
            gradients[1] = xp.zeros((N, H))
        return tuple(gradients)
    with pytest.raises(ml.GradientError):
        gradcheck((ml.lstm_forward, backward), arrays)
    gradcheck((ml.lstm_forward, ml.lstm_backward), arrays, upstream=[None, xp.ones((N, H))])
    gradcheck((ml.lstm_forward, ml.lstm_backward), arrays, upstream=[xp.ones((N, T, H)), None])


class Scale(ml.Module):
    """y = w · x, with room for a bug."""

    def __init__(self, bug: str = "") -> None:
        super().__init__()
        self.bug = bug
        self.add_param("w", np.array([1.5, -0.5, 2.0], dtype=np.float32))

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.push(x)
        if self.bug == "writes into x":
            x *= 1.0 + 1e-3
        if self.bug == "casts to float":
            return xp.asarray(x.real, dtype=np.float64) * self.params["w"].real
        return x * self.params["w"]

    def backward(self, dy: np.ndarray) -> np.ndarray:
        x = self.pop()
        dw = (dy * x).sum(axis=0)
        if self.bug == "overwrites grads":
            self.grads["w"] = dw
        elif self.bug == "wrong shape":
            return dy[:, :2]
        elif self.bug == "nan":
            self.grads["w"] += np.nan
        else:
            self.grads["w"] += dw
        return dy * self.params["w"]


def test_a_layer_of_ones_own_is_checked_in_float64_and_left_as_it_was(rng: np.random.Generator) -> None:
    layer, x = Scale(), rng.standard_normal((4, 3)).astype(np.float32)
    report = gradcheck(layer, x)
    assert report.entries == 15 and report.worst("finite") < 1e-9 and report.worst("complex") < 1e-14
    assert layer.params["w"].dtype == np.float32 and x.dtype == np.float32
    assert not layer.grads["w"].any() and not layer._caches
    assert "15 entries agree" in str(report)


@pytest.mark.parametrize(("bug", "words"), [
    ("overwrites grads", "not accumulated"), ("writes into x", "x was overwritten"), ("wrong shape", r"shape \(4, 2\)"),
    ("nan", "NaN or infinite")])
def test_bad_habits_of_a_layer_are_named(bug: str, words: str, rng: np.random.Generator) -> None:
    with pytest.raises(ml.GradientError, match=words):
        gradcheck(Scale(bug), rng.standard_normal((4, 3)))


def test_a_pair_that_writes_into_its_cache_is_named(arrays: tuple[np.ndarray, ...]) -> None:
    def backward(dh: Any, dc: Any, cache: Any) -> Any:
        gradients = ml.lstm_backward(dh, dc, cache)
        cache.steps[0].f[...] *= 0.5
        return gradients
    with pytest.raises(ml.GradientError, match="wrote into the cache"):
        gradcheck((ml.lstm_forward, backward), arrays)


def test_a_forward_that_drops_complex_numbers_falls_back_to_finite_differences(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3))
    report = gradcheck(Scale("casts to float"), x)
    assert "finite differences alone" in str(report) and np.isnan(report.worst("complex"))
    with pytest.raises(ml.GradientError, match="use method='finite'"):
        gradcheck(Scale("casts to float"), x, method="complex")


def test_dropout_is_rewound_and_its_generator_left_alone(rng: np.random.Generator) -> None:
    layer = ml.Dropout(0.5, rng=3)
    before = layer.rng.bit_generator.state
    gradcheck(layer, rng.standard_normal((4, 3)))
    assert layer.rng.bit_generator.state == before


def test_a_kink_between_the_points_is_no_error() -> None:
    x = np.array([[1e-6, -1e-6, 3e-6, 0.5]])
    assert gradcheck(ml.ReLU(), x).worst("finite") < 1e-6


def test_duck_typed_layers_are_welcome(rng: np.random.Generator) -> None:
    class Duck:
        def __init__(self) -> None:
            self.params, self.grads = {"w": xp.ones(3)}, {"w": xp.zeros(3)}

        def __call__(self, x: np.ndarray) -> np.ndarray:
            self.x = x
            return x * self.params["w"]

        def backward(self, dy: np.ndarray) -> np.ndarray:
            self.grads["w"] += (dy * self.x).sum(axis=0)
            return dy * self.params["w"]
    assert gradcheck(Duck(), rng.standard_normal((4, 3))).entries == 15


@pytest.mark.parametrize("target", [3, "lstm", ml.lstm_forward, None])
def test_what_cannot_be_checked_is_refused(target: Any) -> None:
    with pytest.raises(ml.ArgumentError, match="expected a layer"):
        gradcheck(target, xp.ones((2, 3)))


def test_unknown_method_and_wrong_number_of_upstream_gradients(arrays: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(ml.ArgumentError, match="method"):
        gradcheck(ml.Tanh(), xp.ones((2, 3)), method="autograd")
    with pytest.raises(ml.GradientError, match="expected 2 upstream gradients, got 1"):
        gradcheck((ml.lstm_forward, ml.lstm_backward), arrays, upstream=[None])


def rnn(x: Any, h0: Any, W: Any, b: Any) -> Any:
    return ml.rnn_forward(x, h0, W, b)


@pytest.mark.parametrize(("backward", "words"), [
    (lambda dh, c: ml.rnn_backward(dh, c)[:2], r"2 gradients for 4 inputs \(x, h0, W, b\)"),
    (lambda dh, c: (*ml.rnn_backward(dh, c), 0.0), "5 gradients for 4 inputs"),
    (lambda dh, c: {"x": dh}, "1 gradients for 4 inputs"),
    (lambda dh, c: (*ml.rnn_backward(dh, c)[:3], None), "NoneType for b")])
def test_gradients_left_out_or_added_are_no_pass(backward: Any, words: str, rng: np.random.Generator) -> None:
    inputs = tuple(rng.standard_normal(s) for s in ((2, 5, 3), (2, 4), (7, 4), (4,)))
    with pytest.raises(ml.GradientError, match=words):
        gradcheck((rnn, backward), inputs)


class Forgetful(ml.RNN):
    """Returns only dx, or nothing."""

    drops_all = False

    def backward(self, dy: Any, dstate: Any = None) -> Any:
        dx, _ = super().backward(dy, dstate)
        return () if self.drops_all else dx


@pytest.mark.parametrize("drops_all", [False, True])
def test_a_layer_that_leaves_a_gradient_out_is_no_pass(drops_all: bool, rng: np.random.Generator) -> None:
    layer = Forgetful(3, 4, rng=0)
    layer.drops_all = drops_all
    with pytest.raises(ml.GradientError, match=f"{int(not drops_all)} gradients for 2 inputs"):
        gradcheck(layer, (rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 4))))


def test_final_states_without_initial_ones(rng: np.random.Generator) -> None:
    gradcheck(ml.LSTM(3, 4, rng=0), rng.standard_normal((2, 5, 3)), return_state=True)


class Odd(Scale):
    """A right cell with one unusual habit."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        if self.bug == "alias":
            self.push(x)
            return x * self.w
        y = super().forward(x)
        if self.bug == "abs":
            return y + xp.abs(x)
        if self.bug == "refuses complex":
            assert x.dtype.kind == "f" and self.params["w"].dtype.kind == "f"
        if self.bug == "random":
            return y + np.random.default_rng().random()
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        x = self._caches[-1]
        if self.bug == "writes into dy":
            dy *= 2
        dx = super().backward(dy)
        return dx + dy * xp.sign(x) if self.bug == "abs" else dx


@pytest.mark.parametrize("habit", ["abs", "refuses complex"])
def test_a_right_cell_that_is_not_complex_analytic_passes(habit: str, rng: np.random.Generator) -> None:
    assert "finite differences alone" in str(gradcheck(Odd(habit), rng.standard_normal((4, 3))))


@pytest.mark.parametrize(("habit", "words"), [("alias", r"does not seem to read params\['w'\]"),
                                              ("writes into dy", "upstream gradient 0 was overwritten")])
def test_odd_habits_are_diagnosed(habit: str, words: str, rng: np.random.Generator) -> None:
    layer = put(Odd(habit))
    layer.w = layer.params["w"].astype(np.float64)      # type: ignore[assignment]
    with pytest.raises(ml.GradientError, match=words):
        gradcheck(layer, rng.standard_normal((4, 3)))


def test_a_forward_that_changes_its_mind_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ml.ArgumentError, match="other outputs the second time"):
        gradcheck(Odd("random"), rng.standard_normal((4, 3)))


def test_a_cell_that_keeps_one_cache_is_right_but_noted(rng: np.random.Generator) -> None:
    class OneCache(Scale):
        def push(self, cache: Any) -> None:
            super().push(cache)
            del self._caches[:-1]
    assert "one cache at a time" in str(gradcheck(OneCache(), rng.standard_normal((4, 3))))
    assert "one cache" not in str(gradcheck(Scale(), rng.standard_normal((4, 3))))


@pytest.mark.parametrize("seed", [9, 15, 17])
def test_units_that_stand_on_the_kink_of_relu_are_no_error(seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((3, 4, 3))
    gradcheck(ml.RNN(3, 4, 2, nonlinearity="relu", rng=seed), x)
    at_zero = gradcheck(ml.ReLU(), np.array([[0.0, 1.0, -1.0]]))
    assert "1 entries lie on a kink" in str(at_zero)


def test_names_that_clash_empty_inputs_and_classes_are_refused(rng: np.random.Generator) -> None:
    clash = Scale()
    clash.add_param("x", xp.ones(2))
    for target, inputs, words in ((clash, rng.standard_normal((4, 3)), "names both"),
                                  (ml.LSTM, xp.ones((2, 3)), "the class LSTM"), (ml.Tanh(), xp.ones((0, 3)), "x is empty")):
        with pytest.raises(ml.ArgumentError, match=words):
            gradcheck(target, inputs)


def test_a_grus_biases_have_names_of_their_own(rng: np.random.Generator) -> None:
    """Two blocks of b belong to the gate n, so blocks are named by BIASES, in functions and in layers."""
    def backward(dh: Any, cache: Any) -> Any:
        *others, db = ml.gru_backward(dh, cache)
        return *others, db * xp.repeat([1, 1, 1, 2], 4)

    class Wrong(ml.GRU):
        def backward(self, dy: Any, dstate: Any = None) -> Any:
            before = self.grads["b"].copy()
            dx = super().backward(dy, dstate)
            self.grads["b"][12:] += (self.grads["b"] - before)[12:]
            return dx

    x, W, b = rng.standard_normal((3, 5, 2)), rng.standard_normal((6, 12)), rng.standard_normal(16)
    words = r"by gate: r \d\.\de-1\d, z \d\.\de-1\d, nx \d\.\de-1\d, nh \d\.\de[-+]0\d"
    for target, inputs in (((ml.gru_forward, backward), (x, rng.standard_normal((3, 4)), W, b)), (Wrong(2, 4, rng=0), x)):
        with pytest.raises(ml.GradientError, match=words):
            gradcheck(target, inputs)


def test_a_cell_may_call_something_else_gates(rng: np.random.Generator) -> None:
    layer = Scale()
    layer.gates = rng.standard_normal(3)                # type: ignore[attr-defined]
    gradcheck(layer, rng.standard_normal((4, 3)))


def test_the_name_stays_a_function() -> None:
    from minilstm.gradients.gradcheck import GradcheckReport
    assert callable(ml.gradcheck) and ml.GradcheckReport is GradcheckReport


def test_the_report_lists_what_was_compared(arrays: tuple[np.ndarray, ...]) -> None:
    lines = str(gradcheck((ml.lstm_forward, ml.lstm_backward), arrays)).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["x", "h0", "c0", "W", "b"]
    assert "(7, 16)" in lines[4] and "finite" in lines[4] and "complex" in lines[4]


class Unread(ml.Module):
    """x · a with a copy of a."""

    def __init__(self) -> None:
        super().__init__()
        self.a = np.full(3, 0.5)
        self.add_param("a", self.a)

    def forward(self, x: Any) -> Any:
        self.push(None)
        return x * put(self.a)

    def backward(self, dy: Any) -> Any:
        self.pop()
        return dy * put(self.a)


def test_a_parameter_that_nothing_reads_is_an_error_unless_allowed(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3))
    with pytest.raises(ml.GradientError, match=r"does not read params\['a'\].*allow_unused=\('a',\)"):
        gradcheck(Unread(), x)
    gradcheck(Unread(), x, allow_unused=("a",))
    for names in ("a", ("b",)):
        with pytest.raises(ml.ArgumentError, match="allow_unused: expected names of parameters"):
            gradcheck(Unread(), x, allow_unused=names)


def test_a_parameter_whose_gradient_is_zero_is_not_unread(rng: np.random.Generator) -> None:
    """Behind a dead ReLU, and times 0."""
    model = ml.Sequential(ml.Linear(3, 2, rng=0), ml.ReLU())
    model[0].params["b"][:] = -99
    gradcheck(model, rng.standard_normal((4, 3)))
    gradcheck(ml.Linear(3, 2, rng=0), np.zeros((4, 3)))


def test_a_padding_row_is_held_at_zero() -> None:
    tokens = np.array([[0, 1, 2], [0, 0, 4]])
    gradcheck(ml.Embedding(5, 3, padding_idx=0, rng=0), tokens)

    class Learns(ml.Embedding):
        def backward(self, dy: Any) -> None:
            super().backward(dy)
            self.grads["W"][0] += 1
    with pytest.raises(ml.GradientError, match=r"worst entry: W\[0, "):
        gradcheck(Learns(5, 3, padding_idx=0, rng=0), tokens)


@pytest.mark.parametrize("back", [False, True])
def test_rounding_to_float32_is_called_that(back: bool, rng: np.random.Generator) -> None:
    class Rounds(ml.Module):
        def forward(self, x: Any) -> Any:
            self.push(None)
            y = (2 * x).astype(np.float32)
            return y.astype(np.float64) if back else y

        def backward(self, dy: Any) -> Any:
            self.pop()
            return 2 * dy
    with pytest.raises(ml.ArgumentError, match="rounds to float32"):
        gradcheck(Rounds(), rng.standard_normal((2, 3)))


def test_inputs_at_the_edge_are_said_to_be_there() -> None:
    if backend() == "numpy":            # a device does not look
        with pytest.raises(ml.ArgumentError, match=r"cannot be evaluated beside prediction\[0\] = 0"):
            gradcheck(ml.BCELoss(), (np.array([0.0, 1.0]), np.array([0, 1])))
