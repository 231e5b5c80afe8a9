"""The trials of examples/vanishing_gradients.py as tables, one for each kind of measurement, a number a row.

Each row names its trial (problem, cell, variant) and the number of training steps before the measurement.
``variant`` is "default", or what was varied: "forget bias 5", "chrono", "Gaussian, 1/√H", "uniform, ±1/√H",
"clipped at 1", ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minilstm.lab.cells import CELL_NAMES, CELLS

if TYPE_CHECKING:
    import pandas

BASE: dict[str, Any] = {
    "init": "default", "forget_bias": None, "recurrent": "orthogonal", "gain": 1.0, "clip_norm": None}
DEFAULT, CHRONO = "default", "chrono"
LAST_LOSSES = 20            # training steps whose mean is "the loss after training"
COLUMNS = {
    "flow": ["t", "back", "state", "norm"],
    "paths": ["t", "back", "way", "norm", "share"],
    "jacobians": ["t", "back", "value", "log10"],
    "gates": ["gate", "unit", "left", "right"],
    "gate_means": ["gate", "t", "mean"],
    "training": ["loss", "gradient_norm", "limit", "clipped_norm"],
}


def variants(cell: str, forget_biases: Sequence[float], gains: Sequence[float],
             clip_norm: float | None) -> list[dict[str, Any]]:
    """Return what each variant of a cell changes in BASE: nothing for the default, else one setting."""
    changes: list[dict[str, Any]] = [{}]
    if cell == "lstm":
        changes += [{"forget_bias": float(bias)} for bias in forget_biases if bias != 1]    # 1: the default
        changes.append({"init": CHRONO})
    if cell == "rnn":
        changes += [{"recurrent": "gaussian", "gain": float(gain)} for gain in gains]
        changes.append({"recurrent": "uniform"})
    if clip_norm is not None:
        changes.append({"clip_norm": float(clip_norm)})
    return changes


def variant_of(trial: Mapping[str, Any]) -> str:
    """Return the name of a trial's variant, from its arguments."""
    names = [] if trial["init"] == BASE["init"] else [trial["init"]]
    if trial["forget_bias"] is not None:
        names.append(f"forget bias {trial['forget_bias']:g}")
    if trial["recurrent"] == "gaussian":
        names.append(f"Gaussian, {trial['gain']:g}/√H")
    if trial["recurrent"] == "uniform":
        names.append(f"uniform, ±{trial['gain']:g}/√H")
    if trial["clip_norm"] is not None:
        names.append(f"clipped at {trial['clip_norm']:g}")
    return "; ".join(names) or DEFAULT


def tables(rows: Sequence[Mapping[str, Any]]) -> dict[str, pandas.DataFrame]:
    """Return name -> table of trials; ``rows``: arguments and result of ``measured_training`` for each.

    Every table begins with problem, cell, variant, step and T. Then:

        flow        t, back (= T - t), state ("h", "c"), norm: of ∂L/∂state_t
        paths       t, back, way ("cell", "f", ..., "above", "alone", "gated", "total"), norm,
                    share (of "alone"; else NaN)
        jacobians   t, back, value (see ``gradient_trials.measure``), log10
        gates       gate, unit, left, right: fractions of steps at which it is saturated
        gate_means  gate, t, mean over units and sequences
        training    loss, gradient_norm (before clipping), limit (NaN: none), clipped_norm (after it);
                    of the training step that follows ``step`` others
    """
    import pandas
    lines: dict[str, list[list[Any]]] = {name: [] for name in COLUMNS}
    for row in rows:
        T, limit = row["T"], row["clip_norm"]
        trial = [row["problem"], row["cell"], variant_of(row)]
        for step, (loss, norm) in enumerate(zip(row["loss"], row["gradient_norm"])):
            clipped = norm if limit is None or norm is None else min(norm, limit)
            lines["training"].append([*trial, step, T, loss, norm, limit, clipped])
        for reading in row["measured"]:
            key = [*trial, reading["step"], T]
            for state, values in reading["flow"].items():
                lines["flow"] += [[*key, t, T - t, state, value] for t, value in enumerate(values)]
            for way, values in reading["paths"]["norm"].items():
                shares = reading["paths"]["share"].get(way, [None] * len(values))
                for t, (value, share) in enumerate(zip(values, shares)):
                    lines["paths"].append([*key, t, T - t, way, value, share])
            for name, values in reading["jacobians"].items():
                if name != "steps":
                    for t, value in zip(reading["jacobians"]["steps"], values):
                        lines["jacobians"].append([*key, t, T - t, name, value])
            for gate, values in reading["gates"].items():
                for unit, (left, right) in enumerate(zip(values["left"], values["right"])):
                    lines["gates"].append([*key, gate, unit, left, right])
                for t, value in enumerate(values["over_time"], 1):
                    lines["gate_means"].append([*key, gate, t, value])
    first = ["problem", "cell", "variant", "step", "T"]
    numbers = ("norm", "share", "log10", "loss", "gradient_norm", "limit", "clipped_norm", "mean")
    frames = {}
    for name, columns in COLUMNS.items():
        frame = pandas.DataFrame(lines[name], columns=[*first, *columns])
        frames[name] = frame.astype({column: "float64" for column in columns if column in numbers})
    return frames


def summary(frames: Mapping[str, pandas.DataFrame]) -> pandas.DataFrame:
    """Return a row for each problem, cell and reading of the default variant, before training and after it.

    Columns: problem, cell, step, h_ratio and c_ratio (‖∂L/∂state_1‖ / ‖∂L/∂state_T‖; c alone NaN but for an
    LSTM), alone (the share of the gradient at t = 1 that never went through a gate; NaN for an RNN), jacobian
    (log10 of the largest singular value of ∂h_T/∂h_1), loss (mean of the last 20 training steps up to there;
    NaN before training).
    """
    import pandas
    rows = []
    flow = frames["flow"]
    flow = flow[flow["variant"] == DEFAULT]
    for (problem, cell), own in flow.groupby(["problem", "cell"], sort=False):
        for step in sorted({own["step"].min(), own["step"].max()}):
            at = own[own["step"] == step]
            ratios = {}
            for state in ("h", "c"):
                norm = at[at["state"] == state].set_index("t")["norm"]
                ratios[f"{state}_ratio"] = _ratio(norm.iloc[1], norm.iloc[-1]) if len(norm) else np.nan
            paths, jacobians, training = (_of(frames[name], problem, cell)
                                          for name in ("paths", "jacobians", "training"))
            paths, jacobians = (frame[(frame["step"] == step) & (frame["t"] == 1)]
                                for frame in (paths, jacobians))
            alone = paths[paths["way"] == "alone"]["share"]
            largest = jacobians[jacobians["value"] == "h_largest"]
            losses = training[training["step"] < step]["loss"].iloc[-LAST_LOSSES:]
            rows.append({"problem": problem, "cell": cell, "step": int(step), **ratios,
                         "alone": np.nan if cell == "rnn" else alone.iloc[0],
                         "jacobian": largest["log10"].iloc[0],
                         "loss": losses.mean() if len(losses) else np.nan})
    problems = ("imdb", "adding")
    rows.sort(key=lambda row: (problems.index(row["problem"]), CELLS.index(row["cell"]), row["step"]))
    columns = ["problem", "cell", "step", "h_ratio", "c_ratio", "alone", "jacobian", "loss"]
    return pandas.DataFrame(rows, columns=columns)


def words(table: pandas.DataFrame) -> pandas.DataFrame:
    """Return ``summary`` for display: names and rounded numbers."""
    import pandas
    return pandas.DataFrame([{
        "problem": row["problem"], "cell": CELL_NAMES[row["cell"]],
        "when": "before training" if row["step"] == 0 else f"after {row['step']} steps",
        "‖∂L/∂h_1‖/‖∂L/∂h_T‖": _or_dash(row["h_ratio"]), "‖∂L/∂c_1‖/‖∂L/∂c_T‖": _or_dash(row["c_ratio"]),
        "along the state alone": _share(row["alone"]), "σ_max ∂h_T/∂h_1": _power(row["jacobian"]),
        "loss": "-" if row["loss"] != row["loss"] else f"{row['loss']:.3f}",
    } for row in table.to_dict("records")])


def rounded(value: float) -> str:
    """Return a number with two digits, as 1.1e-21 only where it is very small or large."""
    return f"{value:.0f}" if 99.5 <= abs(value) < 1e4 else f"{value:.2g}"


def clipping(frames: Mapping[str, pandas.DataFrame]) -> pandas.DataFrame:
    """Return how often gradients were clipped, one row for each trial with a limit.

    Columns: problem, cell, variant, limit, steps, clipped (of them), median_norm and largest_norm (before
        clipping).
    """
    import pandas
    training = frames["training"]
    rows = []
    limited = training[training["limit"].notna()]
    for (problem, cell, variant), own in limited.groupby(["problem", "cell", "variant"], sort=False):
        limit, norm = own["limit"].iloc[0], own["gradient_norm"]
        clipped = int((norm > limit).sum())
        rows.append([problem, cell, variant, limit, len(own), clipped, norm.median(), norm.max()])
    columns = ["problem", "cell", "variant", "limit", "steps", "clipped", "median_norm", "largest_norm"]
    return pandas.DataFrame(rows, columns=columns)


def _of(frame: pandas.DataFrame, problem: Any, cell: Any) -> pandas.DataFrame:
    return frame[(frame["problem"] == problem) & (frame["cell"] == cell) & (frame["variant"] == DEFAULT)]


def _ratio(a: float, b: float) -> float:
    return float(a / b) if b > 0 else float("nan")


def _or_dash(value: float) -> str:
    return "-" if value != value else rounded(value)


def _share(value: float) -> str:
    return "-" if value != value else f"{100 * value:z.1f} %"


def _power(log10: float) -> str:
    """Return 10^log10 with two digits, even if it is outside the floating-point range."""
    if log10 != log10 or abs(log10) < 300:
        return _or_dash(10 ** log10)
    exponent = int(np.floor(log10))
    return f"{10 ** (log10 - exponent):.1f}e{exponent:+03d}"
