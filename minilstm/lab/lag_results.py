"""Results of ``examples/long_dependencies.py``: one row for each task, lag and cell, and one figure per task.

A folder of trials holds trials.jsonl (see ``sweep.py``).
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minilstm.backend.errors import ArgumentError
from minilstm.lab.cells import CELL_NAMES, CELLS, COLOURS, MARKERS
from minilstm.lab.gradient_axes import finish, log_axis, new_panels
from minilstm.lab.problems import TASKS
from minilstm.lab.sweep import read_finished
from minilstm.lab.tasks import ADDING_SOLVED
from minilstm.training.atomic_write import PathLike, atomic_write
from minilstm.training.curves import legend_below, save_figure

if TYPE_CHECKING:
    import pandas

TRIALS, RESULTS = "trials.jsonl", "results.csv"

# Training sequences that the LSTM of 1997 (no forget gate, plain gradient descent, one sequence a step)
# needed: Hochreiter & Schmidhuber 1997, tables 7, 9 and 1 (of which the best).
PUBLISHED = {("adding-1997", 100): 74_000, ("adding-1997", 500): 209_000, ("adding-1997", 1000): 853_000,
             ("temporal-order", 100): 31_390, ("temporal-order-3", 100): 571_100, ("reber", None): 8_440}
SOLVED_BELOW = {"adding": ADDING_SOLVED}        # where the criterion is a limit of the error that is drawn
TITLES = {"adding": "Adding problem", "adding-1997": "Adding problem of 1997",
          "temporal-order": "Temporal order, two symbols",
          "temporal-order-3": "Temporal order, three symbols", "copy": "Copying ten symbols",
          "reber": "Embedded Reber grammar"}
COLUMNS = ["task", "T", "cell", "hidden_size", "parameters", "seeds", "solved", "sequences", "published",
           "error", "error_low", "error_high", "baseline", "error_name", "diverged", "steps", "seconds"]


def results(folder: PathLike) -> pandas.DataFrame:
    """Return a row for each task, lag and cell that has finished trials in ``folder``.

    Columns: task, T (0 for reber, which has no lag), cell, hidden_size, parameters, seeds (trials), solved
    (of them), sequences (median over those solved, NaN without one), published (by the LSTM of 1997, NaN
    where there is no figure), error (median over all), error_low, error_high, baseline, error_name, diverged
    (of them), steps (median), seconds (mean). Raises DataError for a broken file.
    """
    import pandas
    groups: dict[tuple[int, int, int], list[dict[str, Any]]] = {}
    for trial, result in read_finished(Path(folder) / TRIALS).items():
        row = {**json.loads(trial), **result}
        key = TASKS.index(row["task"]), row["T"] or 0, CELLS.index(row["cell"])
        groups.setdefault(key, []).append(row)
    rows = []
    for (_, T, _), group in sorted(groups.items(), key=lambda item: item[0]):
        first, errors = group[0], [row["error"] for row in group]
        needed = [row["sequences"] for row in group if row["solved"]]
        rows.append({
            **first, "T": T,
            "seeds": len(group), "solved": len(needed),
            "sequences": statistics.median(needed) if needed else None,
            "published": PUBLISHED.get((first["task"], T or None)) if first["cell"] == "lstm" else None,
            "error": statistics.median(errors), "error_low": min(errors), "error_high": max(errors),
            "diverged": sum(row["diverged"] for row in group),
            "steps": statistics.median(row["steps"] for row in group),
            "seconds": statistics.mean(row["seconds"] for row in group),
        })
    frame = pandas.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"sequences": "float64", "published": "float64"})


def table(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Return ``results`` for display: names and rounded numbers."""
    import pandas

    def whole(value: float) -> str:
        return "-" if value != value else f"{value:,.0f}"
    return pandas.DataFrame([{
        "task": row["task"], "T": row["T"] or "-", "cell": CELL_NAMES[row["cell"]], "H": row["hidden_size"],
        "parameters": f"{row['parameters']:,}", "solved": f"{row['solved']} of {row['seeds']}",
        "sequences needed": whole(row["sequences"]), "in 1997": whole(row["published"]),
        "error": f"{row['error']:.3g}", "without memory": f"{row['baseline']:.3g}",
        "kind of error": row["error_name"],
    } for row in frame.to_dict("records")])


def write_results(frame: pandas.DataFrame, folder: PathLike) -> None:
    """Write results.csv and a figure for each task, figure-TASK.png, into ``folder``, atomically."""
    atomic_write(Path(folder) / RESULTS, [frame.to_csv(index=False, lineterminator="\n").encode("utf-8")])
    for task in frame["task"].unique():
        save_figure(draw(frame, task), Path(folder) / f"figure-{task}.png")


def draw(frame: pandas.DataFrame, task: str, columns: int = 2) -> Any:
    """Draw the share of seeds that solved a task, and the final error with the baseline, against the lag.

    Args:
        frame: from ``results``; its rows of other tasks are left aside.
        columns: 2 panels side by side, or 1 above the other.

    Returns the matplotlib Figure. Raises ArgumentError if no row is of this task, or matplotlib is missing.
    """
    rows = frame[frame["task"] == task]
    if not len(rows):
        raise ArgumentError(f"draw: there is no result of the task {task!r}")
    figure, (share, errors) = new_panels(2, columns, width=6, height=5)
    lags = sorted(rows["T"].unique())
    cells = [cell for cell in CELLS if (rows["cell"] == cell).any()]
    for place, cell in enumerate(cells):
        own = rows[rows["cell"] == cell].sort_values("T")
        # Shift the lines slightly and draw later ones thinner, so that equal values do not hide each other.
        x = [lags.index(T) + 0.06 * (place - (len(cells) - 1) / 2) for T in own["T"]]
        look: dict[str, Any] = {"color": COLOURS[cell], "marker": MARKERS[cell], "markersize": 9}
        share.plot(x, 100 * own["solved"] / own["seeds"], linewidth=5 - 1.25 * place, **look,
                   label=f"{CELL_NAMES[cell]}, {own['hidden_size'].iloc[0]} units")
        span = [own["error"] - own["error_low"], own["error_high"] - own["error"]]
        errors.errorbar(x, own["error"], yerr=span, capsize=5, linewidth=2.5, elinewidth=1.5, **look)
    baseline = rows.groupby("T")["baseline"].first().loc[lags]
    ends = [-0.4, *range(len(lags)), len(lags) - 0.6]
    errors.plot(ends, [baseline.iloc[0], *baseline, baseline.iloc[-1]], color="#444444", linestyle="--",
                linewidth=2, zorder=3, label="without memory")
    if task in SOLVED_BELOW:
        errors.axhline(SOLVED_BELOW[task], color="#444444", linestyle=":", linewidth=2,
                       label=f"solved below {SOLVED_BELOW[task]:g}")
    if rows["error_low"].min() > 0:
        log_axis(errors)
    share.set_ylim(-5, 105)
    figure.suptitle(TITLES[task], fontsize=17)
    label = "" if lags == [0] else "lag T, steps"
    finish(share, "Share of solved trials", label, f"solved, % of {_span(rows['seeds'])}")
    finish(errors, "Final error", label, f"{rows['error_name'].iloc[0]}\n(median, lowest to highest)")
    for axes in (share, errors):
        axes.set_xticks(range(len(lags)), [str(T) if T else "strings of 9 and more symbols" for T in lags])
        axes.set_xlim(ends[0], ends[-1])
    legend_below(figure)
    return figure


def _span(counts: Any) -> str:
    low, high = counts.min(), counts.max()
    return f"{low} seed{'s' if low > 1 else ''}" if low == high else f"{low} to {high} seeds"
