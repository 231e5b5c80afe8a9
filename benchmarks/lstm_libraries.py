"""The libraries of bench_lstm.py, each with the same LSTM layer on the same problem, and the check that they agree.

minilstm keeps the layer's weights in one W (H+D, 4H), rows [h; x], columns f, i, o, c̃, and one b. PyTorch keeps weight_hh
(4H, H) and weight_ih (4H, D), rows i, f, g, o (g is c̃), and two biases that are only ever added. JAX gets minilstm's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import minilstm as ml
from minilstm.backend.threads import get_num_threads
from minilstm.kernels import compiled

os.environ.setdefault("JAX_PLATFORMS", "cpu")                   # read when JAX is imported, which find_libraries does

BOUNDS = {"y": 1e-4, "dW": 1e-3, "db": 1e-3, "dx": 1e-3}        # of max|a - b| / max|b|, float32


class Problem(NamedTuple):
    """Data, and weights in minilstm's layout, all float32: x (N, T, D), dy (N, T, H), W (H+D, 4H), b (4H,)."""

    x: np.ndarray
    dy: np.ndarray
    W: np.ndarray
    b: np.ndarray


class Runs(NamedTuple):
    """One library on one problem.

    ``forward`` evaluates: nothing is kept for a backward pass. ``both`` goes forward and back and makes the gradients of the
    weights and of x. ``results`` runs both and returns {y, dW, db, dx} in minilstm's layout.
    """

    forward: Callable[[], Any]
    both: Callable[[], Any]
    results: Callable[[], dict[str, np.ndarray]]


Libraries = Mapping[str, Callable[[Problem], Runs]]


def make_problem(N: int, T: int, D: int, H: int) -> Problem:
    """Draw a problem whose gradients do not fade away.

    Every output has an upstream gradient, and the forget biases are about 1. With a gradient of the last state alone, dh would
    shrink from step to step until it consists of subnormal float32 numbers, which slow a processor down by a factor of twenty;
    the times would then measure these numbers, not the libraries.
    """
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((N, T, size), dtype=np.float32) for size in (D, H))
    params = ml.LSTM(D, H, rng=rng).params
    return Problem(x, dy, params["W"], params["b"] + np.float32(0.1) * rng.standard_normal(4 * H, dtype=np.float32))


def minilstm_runs(problem: Problem) -> Runs:
    """The layer as it comes, on its fast path."""
    x, dy, W, b = problem
    H = len(b) // 4
    layer = ml.LSTM(len(W) - H, H, rng=0)
    layer.load_state_dict({"W": W, "b": b})

    def forward() -> np.ndarray:
        layer.eval()
        return layer(x)

    def both() -> np.ndarray:
        layer.train()
        layer.zero_grad()
        layer(x)
        return layer.backward(dy)

    def results() -> dict[str, np.ndarray]:
        dx = both()
        return {"y": forward(), "dW": layer.grads["W"], "db": layer.grads["b"], "dx": dx}
    return Runs(forward, both, results)


def torch_runs(problem: Problem) -> Runs:
    """torch.nn.LSTM, as its users call it."""
    import torch
    x, dy = torch.from_numpy(problem.x), torch.from_numpy(problem.dy)
    H = len(problem.b) // 4
    lstm = torch.nn.LSTM(x.shape[2], H, batch_first=True)
    leaf = x.clone().requires_grad_()

    def reorder(array: np.ndarray) -> np.ndarray:
        """Columns f, i, o, c̃ -> i, f, g, o, or back: it is the same exchange."""
        return array.reshape(-1, 4, H)[:, [1, 0, 3, 2]].reshape(array.shape)
    W, b = reorder(problem.W), reorder(problem.b)
    with torch.no_grad():
        for name, value in (("weight_hh_l0", W[:H].T), ("weight_ih_l0", W[H:].T), ("bias_ih_l0", b), ("bias_hh_l0", 0 * b)):
            getattr(lstm, name).copy_(torch.tensor(value))

    def forward() -> Any:
        lstm.eval()
        with torch.inference_mode():
            return lstm(x)[0]

    def both() -> None:
        lstm.train()
        lstm.zero_grad()
        leaf.grad = None
        lstm(leaf)[0].backward(dy)

    def results() -> dict[str, np.ndarray]:
        both()
        d = {name: np.asarray(parameter.grad) for name, parameter in lstm.named_parameters()}
        dW = np.concatenate([d["weight_hh_l0"], d["weight_ih_l0"]], axis=1).T
        return {"y": forward().numpy(), "dW": reorder(dW), "db": reorder(d["bias_ih_l0"]), "dx": np.asarray(leaf.grad)}
    return Runs(forward, both, results)


def jax_runs(problem: Problem) -> Runs:
    """The same equations under jax.lax.scan, compiled; the products with x are made for all steps at once."""
    import jax
    import jax.numpy as jnp
    x, dy, W, b = (jnp.asarray(array) for array in problem)
    N, H = len(x), len(b) // 4

    def outputs(W: Any, b: Any, x: Any) -> Any:
        def step(state: tuple[Any, Any], z_x: Any) -> tuple[tuple[Any, Any], Any]:
            h, c = state
            z = z_x + h @ W[:H]
            f, i, o = jnp.split(jax.nn.sigmoid(z[:, :3 * H]), 3, axis=1)
            c = f * c + i * jnp.tanh(z[:, 3 * H:])
            h = o * jnp.tanh(c)
            return (h, c), h
        zeros = jnp.zeros((N, H), x.dtype)
        _, h = jax.lax.scan(step, (zeros, zeros), jnp.swapaxes(x @ W[H:] + b, 0, 1))
        return jnp.swapaxes(h, 0, 1)

    def loss(W: Any, b: Any, x: Any, dy: Any) -> tuple[Any, Any]:
        y = outputs(W, b, x)
        return jnp.sum(y * dy), y       # its gradient with respect to y is dy
    evaluate, differentiate = jax.jit(outputs), jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))

    def forward() -> Any:
        return jax.block_until_ready(evaluate(W, b, x))

    def both() -> Any:
        return jax.block_until_ready(differentiate(W, b, x, dy))

    def results() -> dict[str, np.ndarray]:
        return {name: np.asarray(value) for name, value in zip(("y", "dW", "db", "dx"), (forward(), *both()[1]))}
    return Runs(forward, both, results)


def find_libraries() -> tuple[Libraries, str]:
    """Return what is installed, minilstm first, and a line of versions and threads. Raises ImportError without PyTorch."""
    import torch
    found: Libraries = {"minilstm": minilstm_runs, "PyTorch": torch_runs}
    words = (f"minilstm {ml.__version__} on {get_num_threads()} threads, NumPy {np.__version__}, {compiled.words()}; "
             f"PyTorch {torch.__version__} on {torch.get_num_threads()} threads; ")
    try:
        import jax
    except ImportError:
        return found, words + "JAX is not installed"
    return {**found, "JAX": jax_runs}, words + f"JAX {jax.__version__} on its default threads (cores: {os.cpu_count()})"


def check_agreement(runs: dict[str, Runs]) -> str:
    """Return a few words on how well minilstm agrees with the others. Raises ArithmeticError where a bound is missed."""
    ours, words = runs["minilstm"].results(), []
    for library in list(runs)[1:]:
        theirs = runs[library].results()
        errors = {name: float(np.abs(ours[name] - b).max() / np.abs(b).max()) for name, b in theirs.items()}
        for name, bound in BOUNDS.items():
            if not errors[name] <= bound:
                raise ArithmeticError(f"minilstm and {library} disagree: {name} by {errors[name]:.1e} (bound {bound:.0e})")
        words.append(f"{library} y {errors['y']:.0e} dW {errors['dW']:.0e}")
    return "agree: " + ", ".join(words)
