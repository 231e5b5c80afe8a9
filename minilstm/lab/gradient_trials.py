"""One trial of vanishing_gradients.py: train one cell for a few steps, and measure its gradients.

Two problems: "imdb", reviews as examples/imdb_lstm.py makes them, and "adding", fresh sequences of
lab/tasks.py. A trial can vary what decides whether gradients vanish or explode: the cell, the forget gate's
bias, the recurrent weights, clipping.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.checks import check_choice, check_number, check_positive_int
from minilstm.backend.errors import ArgumentError, NonFiniteError
from minilstm.data.loader import DataLoader
from minilstm.gradients.instruments.flow import model_upstream, norms
from minilstm.gradients.instruments.jacobians import jacobian_spectrum
from minilstm.gradients.instruments.paths import gradient_paths
from minilstm.gradients.instruments.saturation import gate_statistics
from minilstm.lab.cells import CELL_NAMES, CELLS
from minilstm.lab.tasks import adding
from minilstm.layers.activations import Sigmoid
from minilstm.layers.dropout import Dropout
from minilstm.layers.embedding import Embedding
from minilstm.layers.linear import Linear
from minilstm.layers.sequential import Sequential
from minilstm.losses.binary_cross_entropy import BCELoss
from minilstm.losses.squared_error import MSELoss
from minilstm.optim.adam import Adam
from minilstm.optim.gradients import clip_grad_norm
from minilstm.training.reference import LAYERS

PROBLEMS = ("imdb", "adding")
RECURRENT = ("orthogonal", "gaussian", "uniform")
JACOBIANS = 2               # sequences whose Jacobians are multiplied: each one costs T matrix products
PLACES = 16                 # steps at which their singular values are looked at


class Reviews(NamedTuple):
    """The reviews as numbers.

    x, y: (n, T) padded tokens and (n,) labels to train on.
    measured_x, measured_y: (m, T) and (m,) to measure on; T real words in each row, so that no padding is
        measured.
    """

    x: np.ndarray
    y: np.ndarray
    measured_x: np.ndarray
    measured_y: np.ndarray


@dataclass(frozen=True)
class GradientTrial:
    """One trial.

    Attributes:
        problem, cell: of PROBLEMS and CELLS.
        T, hidden_size: steps of a sequence, and H.
        steps, batch_size, lr, seed: of the training.
        measure_at: numbers of steps after which to measure, from 0 (before the first) to ``steps``.
        sequences: how many sequences "adding" is measured on.
        init: of the recurrent layer, "default", "uniform" or "chrono" (with t_max = T).
        forget_bias: every unit's, instead of the initialisation's; LSTM alone.
        recurrent, gain: "orthogonal" leaves the layer's recurrent weights W_h as ``init`` made them;
            "gaussian" draws them normal with standard deviation gain/√H, "uniform" uniform in ±gain/√H.
        clip_norm: as for Trainer; None: no clipping.
        num_words, embedding_size, dropout: of the model for "imdb".
    """

    problem: str
    cell: str
    T: int
    hidden_size: int
    steps: int
    batch_size: int
    lr: float
    seed: int
    measure_at: Sequence[int]
    sequences: int
    init: str = "default"
    forget_bias: float | None = None
    recurrent: str = "orthogonal"
    gain: float = 1.0
    clip_norm: float | None = None
    num_words: int | None = None
    embedding_size: int | None = None
    dropout: float = 0.0


def measured_training(reviews: Reviews | None, **settings: Any) -> dict[str, Any]:
    """Train a model with Adam; return its losses and the measurements of its gradients.

    Args:
        reviews: what "imdb" trains on and is measured on; "adding" draws its own, and takes None.
        settings: the attributes of a ``GradientTrial``.

    Returns:
        loss (one a step), gradient_norm (one a step, before clipping), diverged (True if a gradient was not
        finite, which ends the training), measured (list of what ``measure`` returns, each with its "step").

    Raises ArgumentError before anything is computed.
    """
    trial = GradientTrial(**settings)
    check_choice("problem", trial.problem, PROBLEMS)
    if trial.problem == "imdb" and reviews is None:
        raise ArgumentError("reviews: the problem 'imdb' needs them")
    steps = check_positive_int("steps", trial.steps)
    wrong = [at for at in trial.measure_at if not 0 <= at <= steps]
    if wrong:
        raise ArgumentError(f"measure_at: expected numbers from 0 to {steps} (the steps), got {wrong[0]}")
    model = build_model(trial)
    criterion = BCELoss() if trial.problem == "imdb" else MSELoss()
    optimizer = Adam(model, lr=trial.lr)
    if reviews is not None:
        x, y = reviews.measured_x, reviews.measured_y
    else:
        x, y = adding(trial.sequences, trial.T, rng=np.random.default_rng([trial.seed, 2]))
    limit = math.inf if trial.clip_norm is None else trial.clip_norm
    losses: list[float] = []
    before_clipping: list[float] = []
    measured = []
    diverged = False
    batches = _batches(reviews, trial.T, trial.batch_size, trial.seed)
    for step in range(steps + 1):
        if step in trial.measure_at:
            measured.append({"step": step, **measure(model, criterion, x, y)})
        if step == steps:
            break
        inputs, targets = next(batches)
        model.zero_grad()
        losses.append(_short(criterion(model(inputs), targets)))
        model.backward(criterion.backward())
        before_clipping.append(_short(clip_grad_norm(model, limit)))
        try:
            optimizer.step()
        except NonFiniteError:
            diverged = True
            break
    return {"loss": losses, "gradient_norm": before_clipping, "diverged": diverged, "measured": measured}


def build_model(trial: GradientTrial) -> Sequential:
    """Return the model of a trial with its initial weights. Raises ArgumentError."""
    check_choice("cell", trial.cell, CELLS)
    check_choice("recurrent", trial.recurrent, RECURRENT)
    check_number("gain", trial.gain)
    if trial.forget_bias is not None and trial.cell != "lstm":
        raise ArgumentError(f"forget_bias: {CELL_NAMES[trial.cell]} has no forget gate")
    rng = np.random.default_rng([trial.seed, 0])
    D = 2 if trial.problem == "adding" else check_positive_int("embedding_size", trial.embedding_size)
    t_max = trial.T if trial.init == "chrono" else None
    layer = LAYERS[trial.cell](D, trial.hidden_size, return_sequences=False, init=trial.init, t_max=t_max,
                               rng=rng)
    if trial.forget_bias is not None:
        layer.gate("f")[1][:] = trial.forget_bias
    H = layer.hidden_size
    if trial.recurrent != "orthogonal":
        W_h = layer.params["W"][:H]
        gaussian = trial.recurrent == "gaussian"
        values = rng.standard_normal(W_h.shape) if gaussian else rng.uniform(-1, 1, W_h.shape)
        W_h[:] = trial.gain / math.sqrt(H) * values
    head = Linear(H, 1, rng=rng)
    if trial.problem == "adding":
        return Sequential(layer, head)
    embedding = Embedding(check_positive_int("num_words", trial.num_words), D, rng=rng)
    return Sequential(embedding, layer, Dropout(trial.dropout, rng=rng), head, Sigmoid())


def _batches(reviews: Reviews | None, T: int, batch_size: int,
             seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches forever: epoch after epoch of the reviews, or fresh sequences."""
    rng = np.random.default_rng([seed, 1])
    while reviews is None:
        yield adding(batch_size, T, rng=rng)
    loader = DataLoader(reviews.x, reviews.y, batch_size=batch_size, shuffle=True, seed=seed)
    while True:
        for inputs, targets in loader:
            yield inputs, targets


# Measuring
# ------------------------------------------------------------


def measure(model: Sequential, criterion: Any, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return all measurements of a model on N sequences of T steps without padding, as lists and numbers.

    The gradients are those of each sequence's own loss (the criterion is taken for a mean over N), and norms
    are means over the sequences. In what is of length T+1, entry t is that of state t.

        flow         h, and for an LSTM c: ‖∂L/∂h_t‖, ‖∂L/∂c_t‖
        paths        norm: way -> the norm of what arrives by it, "alone", "gated" and "total" among them;
                     share: "alone" -> its share, the median over the sequences (None: no gradient)
        jacobians    steps (K,); for h, and for an LSTM c, log10 of the largest and the median singular value,
                     log10 of the least, mean and greatest product of f or z over the units, and of an RNN's
                     two bounds: (K,) each, means over the first few sequences (None: unknown or -infinity)
        gates        gate -> left and right (fractions of steps at which each unit is saturated), mean,
                     over_time (T,)

    Raises ArgumentError unless the model is a Sequential with one recurrent layer that ``gradient_flow``
    takes.
    """
    layer, below, upstream = model_upstream(model, criterion, x, y)
    N, T = below.shape[:2]
    paths = gradient_paths(layer, below, **{name: N * d for name, d in upstream.items()})
    flow = paths.flow
    ways = {**paths.parts, "alone": paths.alone, "gated": paths.gated, "total": paths.total}
    share = paths.share(paths.alone)
    known = ~np.isnan(share).any(axis=1)
    middle = [_short(np.median(row)) if ok else None for row, ok in zip(share, known)]
    statistics = gate_statistics(layer, below)
    gates = {}
    for gate in statistics.values:
        left, right = statistics.saturation(gate)
        gates[gate] = {"left": _shorts(left), "right": _shorts(right), "mean": _short(statistics.mean(gate)),
                       "over_time": _shorts(statistics.over_time(gate))}
    flow_norms = {"h": _shorts(flow.h_norms.mean(axis=1))}
    if flow.c_norms is not None:
        flow_norms["c"] = _shorts(flow.c_norms.mean(axis=1))
    way_norms = {way: _shorts(norms(part).mean(axis=1)) for way, part in ways.items()}
    return {
        "flow": flow_norms,
        "paths": {"norm": way_norms, "share": {"alone": middle}},
        "jacobians": _jacobians(layer, below[:JACOBIANS], places(T)),
        "gates": gates,
    }


def places(T: int) -> list[int]:
    """Return up to PLACES numbers from 1 to T, dense near T and sparse before, including 1 and T."""
    back = np.unique(np.round(np.geomspace(1, T, PLACES)).astype(int)) - 1
    return sorted({int(T - k) for k in back})


def _jacobians(layer: Any, x: np.ndarray, steps: list[int]) -> dict[str, Any]:
    spectrum = jacobian_spectrum(layer, x, steps)
    h, c, keep = spectrum.h, spectrum.c, spectrum.keep
    rows = {"h_largest": h[:, :, 0], "h_median": h[:, :, h.shape[2] // 2]}
    if c is not None:
        rows |= {"c_largest": c[:, :, 0], "c_median": c[:, :, c.shape[2] // 2]}
    if keep is not None:
        rows |= {"keep_least": keep.min(axis=2), "keep_mean": keep.mean(axis=2),
                 "keep_greatest": keep.max(axis=2)}
    if spectrum.bound is not None and spectrum.step_bound is not None:
        rows |= {"bound": spectrum.bound[:, None], "step_bound": spectrum.step_bound}
    return {"steps": steps} | {name: _shorts(values.mean(axis=1)) for name, values in rows.items()}


def _short(value: Any) -> Any:
    """Return a number with six digits for JSON, or None if it is not finite."""
    return float(f"{float(value):.6g}") if np.isfinite(value) else None


def _shorts(values: np.ndarray) -> list[Any]:
    return [_short(value) for value in values]
