"""Results of the trials of an IMDB comparison: numbers, readable tables, and figures.

A comparison is a folder with config.json (its budget and its reviews) and trials.jsonl (see ``sweep.py``).
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from minilstm.backend.errors import DataError, reason_of
from minilstm.lab.cells import CELL_NAMES, CELLS, COLOURS, MARKERS
from minilstm.lab.gradient_axes import finish
from minilstm.lab.sweep import read_finished
from minilstm.training.atomic_write import PathLike, atomic_write
from minilstm.training.curves import legend_below, new_figure, save_figure

if TYPE_CHECKING:
    import pandas

CONFIG, TRIALS, RESULTS, TABLE = "config.json", "trials.jsonl", "results.csv", "table.md"
TREATMENTS = {"pre": ("#0072B2", "-", "o"), "pre, masked": ("#56B4E9", "-.", "D"),
              "post, masked": ("#009E73", "--", "^"), "post, not masked": ("#D55E00", ":", "s")}
WAYS = tuple(TREATMENTS)
TITLES = {"Validation accuracy in percent, best epoch, mean ± sd (seeds):": "best_val_acc",
          "The same after the last epoch:": "last_val_acc"}


def load_config(folder: PathLike) -> dict[str, Any]:
    """Return a comparison's config.json: budget, reviews, digest, source. Raises DataError."""
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="ascii"))
        kinds = {"budget": dict, "digest": str, "source": str}
        if not all(isinstance(config.get(name), kind) for name, kind in kinds.items()):
            raise ValueError("expected the keys budget, digest and source")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from None
    return dict(config)


def results(folder: PathLike) -> pandas.DataFrame:
    """Return a row for each finished trial of ``folder``: ``treatment`` of padding, settings, results."""
    import pandas
    rows = []
    for trial, result in read_finished(Path(folder) / TRIALS).items():
        settings = json.loads(trial)
        rows.append({"treatment": treatment(settings["padding"], settings["mask"]), **settings, **result})
    rows.sort(key=lambda row: (CELLS.index(row["cell"]), WAYS.index(row["treatment"]),
                               row["length"], row["seed"]))
    return pandas.DataFrame(rows)


def treatment(padding: str, mask: bool) -> str:
    """Return the words for a way to treat padding; the reference's, pre without mask, needs none."""
    return padding if padding == "pre" and not mask else f"{padding}, {'masked' if mask else 'not masked'}"


def summarize(frame: pandas.DataFrame, field: str = "best_val_acc") -> pandas.DataFrame:
    """Return mean, sd (of the sample, None for one seed) and n of ``field`` by cell, treatment and length.

    Trials that ended before their first epoch have no number and do not count.
    """
    import pandas
    rows = []
    for key, group in frame.groupby(["cell", "treatment", "length"], sort=False):
        cell, padding, length = cast(tuple[str, str, int], key)
        values = [float(value) for value in group[field] if value is not None and value == value]
        if values:
            sd = statistics.stdev(values) if len(values) > 1 else None
            rows.append([cell, padding, int(length), statistics.mean(values), sd, len(values)])
    return pandas.DataFrame(rows, columns=["cell", "treatment", "length", "mean", "sd", "n"])


def table(frame: pandas.DataFrame, field: str = "best_val_acc") -> pandas.DataFrame:
    """Return a table for display: cells and treatments by lengths, "mean ± sd (n)" in percent."""
    import pandas
    summary = summarize(frame, field)
    lengths = sorted(summary["length"].unique())
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in summary.to_dict("records"):
        spread = "" if row["n"] < 2 else f" ± {100 * row['sd']:.2f}"
        cells = rows.setdefault((CELL_NAMES[row["cell"]], row["treatment"]), {})
        cells[f"{row['length']} tokens"] = f"{100 * row['mean']:.2f}{spread} ({row['n']})"
    columns = ["cell", "padding", *(f"{length} tokens" for length in lengths)]
    filled = [{"cell": cell, "padding": padding, **cells} for (cell, padding), cells in rows.items()]
    return pandas.DataFrame(filled, columns=columns).fillna("")


def markdown(frame: pandas.DataFrame) -> str:
    """Return a table as Markdown."""
    rows = [list(map(str, frame.columns)), ["---"] * len(frame.columns), *frame.astype(str).values.tolist()]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def write_results(frame: pandas.DataFrame, folder: PathLike) -> None:
    """Write results.csv, table.md and the figures of all trials into the folder."""
    flat = frame.copy()
    for name in ("train_loss", "train_acc", "val_loss", "val_acc"):
        flat[name] = [" ".join(f"{value:.4f}" for value in values) for values in frame[name]]
    atomic_write(Path(folder) / RESULTS, [flat.to_csv(index=False, lineterminator="\n").encode("utf-8")])
    words = [f"{title}\n\n{markdown(table(frame, field))}" for title, field in TITLES.items()]
    atomic_write(Path(folder) / TABLE, ["\n".join(words).encode("utf-8")])
    for name, figure in draw(frame).items():
        save_figure(figure, Path(folder) / f"{name}.png")


def draw(frame: pandas.DataFrame) -> dict[str, Any]:
    """Return matplotlib Figures by name: "accuracy", and "paddings-CELL" where a cell has several."""
    figures = {}
    summary = summarize(frame)
    usual = summary[summary["treatment"] == "pre"]
    if len(usual):
        figures["accuracy"] = draw_lines(usual, "cell", "Validation accuracy against length of the review")
    cells = [cell for cell in CELLS if summary[summary["cell"] == cell]["treatment"].nunique() > 1]
    for cell in cells:
        figures[f"paddings-{cell}"] = draw_lines(summary[summary["cell"] == cell], "treatment",
                                                 f"{CELL_NAMES[cell]}: padding side and masking")
    return figures


def draw_lines(summary: pandas.DataFrame, by: str, title: str) -> Any:
    """Draw mean ± sd against length, one line for each value of the column ``by``; return the Figure."""
    figure = new_figure(6.5, 4.6)
    axes = figure.subplots()
    lengths = sorted(summary["length"].unique())
    names = list(dict.fromkeys(summary[by]))
    for place, name in enumerate(names):
        group = summary[summary[by] == name].sort_values("length")
        colour, style, marker = (COLOURS[name], "-", MARKERS[name]) if by == "cell" else TREATMENTS[name]
        # Shift the lines slightly so that their error bars do not hide each other.
        x = [lengths.index(length) + 0.04 * (place - (len(names) - 1) / 2) for length in group["length"]]
        axes.errorbar(x, 100 * group["mean"], yerr=100 * group["sd"].astype(float), color=colour,
                      linestyle=style if len(lengths) > 2 else "",         # two points are no trend
                      linewidth=2.5, marker=marker, markersize=8, capsize=5,
                      label=CELL_NAMES[name] if by == "cell" else name)
    axes.axhline(50, color="#888888", linewidth=1, linestyle=":", zorder=1, label="guessing")
    axes.set_xticks(range(len(lengths)), [str(length) for length in lengths])
    axes.set_ylim(min(48, axes.get_ylim()[0]), None)
    finish(axes, title, "tokens of a review that are used", "validation accuracy, % (mean ± sd)")
    legend_below(figure)
    return figure
