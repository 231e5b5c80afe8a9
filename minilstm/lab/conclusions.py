"""Sentences about measured numbers, chosen and filled in from the numbers alone.

Each function takes results and returns sentences. No function assumes an expected outcome: if the simple RNN wins, or an
LSTM's gradient vanishes, the sentence reports it, and if the seeds differ by more than the cells do, the sentence reports
that no difference can be claimed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from minilstm.lab.gradient_tables import rounded
from minilstm.training.history import History

if TYPE_CHECKING:
    import pandas

CHANCE = 0.05           # an accuracy within this of one half is called chance
SKEWED = 1.25           # one kind of error is called commoner from this ratio on
NEGLIGIBLE = 0.001      # differences of accuracy below this are called none
MOST = 0.9              # from this share on "nearly all"
# What a gradient does whose norm at the first step, relative to the last, is below a limit; above them all, it explodes.
FATES = ((1e-3, "vanishes"), (0.1, "shrinks"), (10.0, "stays within a factor of ten"), (1e3, "grows"))


def percent(value: float) -> str:
    """Return a share as text, 86.5 %."""
    return f"{100 * value:.1f} %"


def points(value: float) -> str:
    """Return a difference of shares as text, 1.3 points."""
    return f"{100 * abs(value):.1f} points"


def listed(words: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))


# Training ------------------------------------------------------------------------------------------------------------


def about_training(history: History, early: int = 5) -> list[str]:
    """Return sentences about a run's epochs: short against full training, the best epoch, and overfitting.

    ``early``: the number of epochs of the short training that the long one is compared with. Needs validation losses and
    accuracies in every row.
    """
    rows = history.rows
    if not rows or any(row["val_acc"] is None or row["val_loss"] is None for row in rows):
        return []
    last, best = rows[-1], history.best
    assert best is not None
    said = []
    if len(rows) > early:
        first = rows[early - 1]
        change = last["val_acc"] - first["val_acc"]
        verb = "is the same" if abs(change) < NEGLIGIBLE else f"is {points(change)} {'higher' if change > 0 else 'lower'}"
        said.append(f"After {_epochs(early)} the validation accuracy is {percent(first['val_acc'])} (training "
                    f"{percent(first['train_acc'])}); after {last['epoch']} it {verb}, {percent(last['val_acc'])} (training "
                    f"{percent(last['train_acc'])}).")
        if best["epoch"] <= early:
            said.append(f"The best epoch is number {best['epoch']}, with {percent(best['val_acc'])}: none of the "
                        f"{len(rows) - early} epochs after number {early} gave a better one.")
        else:
            gain = best["val_acc"] - max(row["val_acc"] for row in rows[:early])
            said.append(f"The best epoch is number {best['epoch']}, with {percent(best['val_acc'])}: {points(gain)} more than "
                        f"the best of the first {early}.")
    else:
        said.append(f"After {_epochs(last['epoch'])} the validation accuracy is {percent(last['val_acc'])} (training "
                    f"{percent(last['train_acc'])}); the best epoch is number {best['epoch']}, with "
                    f"{percent(best['val_acc'])}.")
    low = min(rows, key=lambda row: row["val_loss"])
    losses = f"from {low['val_loss']:.3f} in epoch {low['epoch']} to {last['val_loss']:.3f} in epoch {last['epoch']}"
    start = history.overfits_from()
    if start is not None:
        said.append(f"It overfits from epoch {start} on: the validation loss rises {losses}, while the training loss goes on "
                    f"falling, from {low['train_loss']:.3f} to {last['train_loss']:.3f}.")
    elif low is last:
        said.append(f"It does not overfit within {_epochs(last['epoch'])}: the validation loss is lowest in the last one "
                    f"({low['val_loss']:.3f}).")
    else:
        said.append(f"The validation loss goes {losses}: by the rule used here (more than 10 % above its lowest while the "
                    "training loss falls) that is no overfitting.")
    return said


def _epochs(n: int) -> str:
    return f"{n} epoch{'' if n == 1 else 's'}"


def about_confusion(matrix: Sequence[Sequence[int]]) -> list[str]:
    """Return sentences about a confusion matrix (rows: true negative, positive; columns: predicted)."""
    (tn, fp), (fn, tp) = ([int(count) for count in row] for row in matrix)
    total, wrong = tn + fp + fn + tp, fp + fn
    said = [f"{tn + tp:,} of {total:,} validation reviews are classified correctly, {percent((tn + tp) / total)}."]
    if not wrong:
        return said
    counts = f"{fp:,} negative reviews are classified as positive, {fn:,} positive ones as negative"
    if max(fp, fn) >= SKEWED * max(1, min(fp, fn)):
        said.append(f"It errs towards {'positive' if fp > fn else 'negative'}: {counts}.")
    else:
        said.append(f"It errs about as often either way: {counts}.")
    return said


# Cells ---------------------------------------------------------------------------------------------------------------


def about_cells(summary: pandas.DataFrame) -> list[str]:
    """Return sentences about a comparison: the best cell at each length, and its lead relative to the spread of the seeds.

    ``summary``: rows with cell, length, mean, sd (None or NaN for one seed), n, of one treatment of padding.
    """
    said = []
    by_cell: dict[str, dict[int, Mapping[Any, Any]]] = {}
    for row in summary.to_dict("records"):
        by_cell.setdefault(row["cell"], {})[int(row["length"])] = row
    for length in sorted({length for rows in by_cell.values() for length in rows}):
        ranked = sorted((rows[length] for rows in by_cell.values() if length in rows), key=lambda row: -row["mean"])
        if len(ranked) > 1:
            others = listed([f"the {row['cell'].upper()} ({percent(row['mean'])})" for row in ranked[1:]])
            said.append(f"With {length} tokens the {ranked[0]['cell'].upper()} is best, {percent(ranked[0]['mean'])}, before "
                        f"{others}. The gap to the second is {_gap(ranked[0], ranked[1])}.")
    for cell, rows in by_cell.items():
        lengths = sorted(rows)
        if len(lengths) > 1:
            short, long = rows[lengths[0]], rows[lengths[-1]]
            verb = "gains" if long["mean"] >= short["mean"] else "loses"
            said.append(f"From {lengths[0]} to {lengths[-1]} tokens the {cell.upper()} {verb} {_gap(long, short)}.")
    return said


def _gap(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> str:
    """Return the difference of two means as text, and whether it is large relative to the spread of the seeds."""
    gap = abs(one["mean"] - other["mean"])
    spreads = [row["sd"] for row in (one, other) if row["sd"] is not None and row["sd"] == row["sd"]]
    if not spreads:
        return f"{points(gap)} (one seed each: another seed may give a different result)"
    if gap > 2 * max(spreads):
        return f"{points(gap)}, more than twice the seeds' standard deviation ({points(max(spreads))})"
    return (f"{points(gap)}, within twice the seeds' standard deviation ({points(max(spreads))}): too little to claim a "
            "difference")


def about_paddings(summary: pandas.DataFrame) -> list[str]:
    """Return sentences about an ablation of padding. ``summary``: rows with treatment, length, mean, sd, of one cell."""
    rows: dict[tuple[str, int], Mapping[Any, Any]] = {(row["treatment"], int(row["length"])): row
                                                      for row in summary.to_dict("records")}
    said = []
    for name, words in (("post, not masked", "Padding behind the words, without a mask,"),
                        ("post, masked", "Padding behind the words, with a mask,")):
        lengths = sorted(length for treatment, length in rows if treatment == name)
        chance = [length for length in lengths if abs(rows[name, length]["mean"] - 0.5) <= CHANCE]
        if chance:
            said.append(f"{words} ends at chance with {listed([str(n) for n in chance])} tokens: "
                        f"{listed([percent(rows[name, n]['mean']) for n in chance])}.")
        for length in [length for length in lengths if length not in chance and ("pre", length) in rows]:
            own, usual = rows[name, length], rows["pre", length]
            verb = "better" if own["mean"] >= usual["mean"] else "worse"
            said.append(f"{words} is {verb} than padding in front with {length} tokens ({percent(own['mean'])} against "
                        f"{percent(usual['mean'])}) by {_gap(own, usual)}.")
    return said


# Long dependencies and gradients -------------------------------------------------------------------------------------


def about_tasks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence about each task with long lags. Rows: task, cell, lag (None: it has none), solved, seeds."""
    said = []
    for task in dict.fromkeys(row["task"] for row in rows):
        of_task = [row for row in rows if row["task"] == task]
        if any(row["lag"] is None for row in of_task):
            counts = listed([f"the {row['cell'].upper()} in {row['solved']} of {row['seeds']} seeds" for row in of_task])
            said.append(f"{task}: solved by {counts}.")
            continue
        reach: dict[str, int | None] = {}
        for cell in dict.fromkeys(row["cell"] for row in of_task):
            own = sorted((row for row in of_task if row["cell"] == cell), key=lambda row: row["lag"])
            solved = [row["lag"] for row in takewhile(lambda row: row["solved"] == row["seeds"], own)]
            reach[cell] = solved[-1] if solved else None
        verdict = ""
        if "rnn" in reach and "lstm" in reach:
            rnn, lstm = reach["rnn"] or 0, reach["lstm"] or 0
            verdict = ("the LSTM bridges longer lags than the simple RNN. " if lstm > rnn else
                       "the simple RNN bridges longer lags than the LSTM. " if lstm < rnn else
                       "within this budget, LSTM and simple RNN bridge equally long lags. ")
        by = listed([f"by the {cell.upper()} {_up_to(lag)}" for cell, lag in reach.items()])
        said.append(f"{task}: {verdict}{'S' if verdict else 's'}olved with every seed: {by}.")
    return said


def _up_to(lag: int | None) -> str:
    return "not even at the shortest lag tried" if lag is None else f"up to lag {lag}"


def about_gradients(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return sentences about gradients.

    ``rows``: cell, when (words), steps (between first and last), state ("h" or "c"), ratio = norm at the first step over norm
    at the last (NaN: unknown), alone = the share of the gradient at the first step that never went through a gate (NaN if
    there is none).
    """
    said = []
    for row in rows:
        ratio, alone = float(row["ratio"]), float(row["alone"])
        if ratio != ratio:
            continue
        fate = next((words for limit, words in FATES if ratio < limit), "explodes")
        words = (f"{row['cell'].upper()}, {row['when']}: over {row['steps']} steps back ∂L/∂{row['state']} {fate}: its norm "
                 f"at the first step is {rounded(ratio)} times that at the last")
        if alone == alone:
            words += (f"; {percent(alone)} of what arrives came only along the state" if alone >= MOST else
                      "; nearly all of what arrives passed through a gate" if alone < 1 - MOST else
                      f"; {percent(alone)} of what arrives came only along the state, the rest through gates")
        said.append(words + ".")
    for when in dict.fromkeys(row["when"] for row in rows):
        ratios = {row["cell"]: float(row["ratio"]) for row in rows if row["when"] == when}
        if ratios.get("rnn", 0) > 0 and ratios.get("lstm", 0) > 0:
            factor = ratios["lstm"] / ratios["rnn"]
            more = factor >= 1
            said.append(f"{when[:1].upper()}{when[1:]}: {'more' if more else 'less'} of it reaches the first step in the LSTM "
                        f"than in the simple RNN, by a factor of {rounded(factor if more else 1 / factor)}.")
    return said
