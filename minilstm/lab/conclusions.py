"""Sentences about measured numbers, chosen and filled in from the numbers alone.

No function assumes an outcome: if the simple RNN wins, or an LSTM's gradient vanishes, the sentence says so,
and if the seeds differ by more than the cells do, it says that no difference can be claimed.
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
# What a gradient does whose norm at the first step, relative to the last, is below a limit; above them all,
# it explodes.
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


# Training
# ------------------------------------------------------------


def about_training(history: History, early: int = 5) -> list[str]:
    """Return sentences about a run's epochs: short against full training, the best epoch, and overfitting.

    ``early``: the epochs of the short training. Needs validation losses and accuracies in every row.
    """
    rows = history.rows
    if not rows or any(row["val_acc"] is None or row["val_loss"] is None for row in rows):
        return []
    last, best = rows[-1], history.best
    assert best is not None
    sentences = []
    if len(rows) > early:
        first = rows[early - 1]
        change = last["val_acc"] - first["val_acc"]
        verb = f"is {points(change)} {'higher' if change > 0 else 'lower'}"
        if abs(change) < NEGLIGIBLE:
            verb = "is the same"
        sentences.append(f"After {_epochs(early)} {_accuracies(first)}; "
                         f"after {last['epoch']} it {verb}, {percent(last['val_acc'])} "
                         f"(training {percent(last['train_acc'])}).")
        gain = best["val_acc"] - max(row["val_acc"] for row in rows[:early])
        merit = f"{points(gain)} more than the best of the first {early}"
        if best["epoch"] <= early:
            merit = f"none of the {len(rows) - early} epochs after number {early} gave a better one"
        sentences.append(f"The best epoch is number {best['epoch']}, "
                         f"with {percent(best['val_acc'])}: {merit}.")
    else:
        sentences.append(f"After {_epochs(last['epoch'])} {_accuracies(last)}; "
                         f"the best epoch is number {best['epoch']}, with {percent(best['val_acc'])}.")
    low = min(rows, key=lambda row: row["val_loss"])
    losses = (f"from {low['val_loss']:.3f} in epoch {low['epoch']} "
              f"to {last['val_loss']:.3f} in epoch {last['epoch']}")
    start = history.overfits_from()
    if start is not None:
        sentences.append(f"It overfits from epoch {start} on: the validation loss rises {losses}, "
                         "while the training loss goes on falling, "
                         f"from {low['train_loss']:.3f} to {last['train_loss']:.3f}.")
    elif low is last:
        sentences.append(f"It does not overfit within {_epochs(last['epoch'])}: "
                         f"the validation loss is lowest in the last one ({low['val_loss']:.3f}).")
    else:
        sentences.append(f"The validation loss goes {losses}: by the rule used here (more than 10 % above "
                         "its lowest while the training loss falls) that is no overfitting.")
    return sentences


def _accuracies(row: Mapping[str, Any]) -> str:
    return f"the validation accuracy is {percent(row['val_acc'])} (training {percent(row['train_acc'])})"


def _epochs(n: int) -> str:
    return f"{n} epoch{'' if n == 1 else 's'}"


def about_confusion(matrix: Sequence[Sequence[int]]) -> list[str]:
    """Return sentences about a confusion matrix (rows: true negative, positive; columns: predicted)."""
    (tn, fp), (fn, tp) = ([int(count) for count in row] for row in matrix)
    right, wrong = tn + tp, fp + fn
    sentences = [f"{right:,} of {right + wrong:,} validation reviews are classified correctly, "
                 f"{percent(right / (right + wrong))}."]
    if not wrong:
        return sentences
    counts = f"{fp:,} negative reviews are classified as positive, {fn:,} positive ones as negative"
    if max(fp, fn) >= SKEWED * max(1, min(fp, fn)):
        sentences.append(f"It errs towards {'positive' if fp > fn else 'negative'}: {counts}.")
    else:
        sentences.append(f"It errs about as often either way: {counts}.")
    return sentences


# Cells
# ------------------------------------------------------------


def about_cells(summary: pandas.DataFrame) -> list[str]:
    """Return sentences about a comparison: the best cell at each length, and its lead relative to the spread.

    ``summary``: rows with cell, length, mean, sd (None or NaN for one seed), n, of one treatment of padding.
    """
    sentences = []
    by_cell: dict[str, dict[int, Mapping[Any, Any]]] = {}
    for row in summary.to_dict("records"):
        by_cell.setdefault(row["cell"], {})[int(row["length"])] = row
    for length in sorted({length for rows in by_cell.values() for length in rows}):
        measured = [rows[length] for rows in by_cell.values() if length in rows]
        if len(measured) > 1:
            first, second, *_ = ranked = sorted(measured, key=lambda row: -row["mean"])
            others = listed([f"the {row['cell'].upper()} ({percent(row['mean'])})" for row in ranked[1:]])
            sentences.append(f"With {length} tokens the {first['cell'].upper()} is best, "
                             f"{percent(first['mean'])}, before {others}. "
                             f"The gap to the second is {_gap(first, second)}.")
    for cell, rows in by_cell.items():
        lengths = sorted(rows)
        if len(lengths) > 1:
            short, long = rows[lengths[0]], rows[lengths[-1]]
            verb = "gains" if long["mean"] >= short["mean"] else "loses"
            sentences.append(f"From {lengths[0]} to {lengths[-1]} tokens the {cell.upper()} {verb} "
                             f"{_gap(long, short)}.")
    return sentences


def _gap(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> str:
    """Return the difference of two means as text, and whether it is large relative to the seeds' spread."""
    gap = abs(a["mean"] - b["mean"])
    spreads = [row["sd"] for row in (a, b) if row["sd"] is not None and row["sd"] == row["sd"]]
    if not spreads:
        return f"{points(gap)} (one seed each: another seed may give a different result)"
    deviation = f"twice the seeds' standard deviation ({points(max(spreads))})"
    if gap > 2 * max(spreads):
        return f"{points(gap)}, more than {deviation}"
    return f"{points(gap)}, within {deviation}: too little to claim a difference"


def about_paddings(summary: pandas.DataFrame) -> list[str]:
    """Return sentences about an ablation of padding.

    ``summary``: rows with treatment, length, mean, sd, of one cell.
    """
    rows: dict[tuple[str, int], Mapping[Any, Any]] = {}
    for row in summary.to_dict("records"):
        rows[row["treatment"], int(row["length"])] = row
    sentences = []
    for name, words in (("post, not masked", "Padding behind the words, without a mask,"),
                        ("post, masked", "Padding behind the words, with a mask,")):
        lengths = sorted(length for treatment, length in rows if treatment == name)
        chance = [length for length in lengths if abs(rows[name, length]["mean"] - 0.5) <= CHANCE]
        if chance:
            sentences.append(f"{words} ends at chance with {listed([str(n) for n in chance])} tokens: "
                             f"{listed([percent(rows[name, n]['mean']) for n in chance])}.")
        for length in lengths:
            if length in chance or ("pre", length) not in rows:
                continue
            own, usual = rows[name, length], rows["pre", length]
            adjective = "better" if own["mean"] >= usual["mean"] else "worse"
            sentences.append(f"{words} is {adjective} than padding in front with {length} tokens "
                             f"({percent(own['mean'])} against {percent(usual['mean'])}) "
                             f"by {_gap(own, usual)}.")
    return sentences


# Long dependencies and gradients
# ------------------------------------------------------------


def about_tasks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence about each task with long lags. Rows: task, cell, lag (or None), solved, seeds."""
    sentences = []
    for task in dict.fromkeys(row["task"] for row in rows):
        of_task = [row for row in rows if row["task"] == task]
        if any(row["lag"] is None for row in of_task):
            counts = [f"the {row['cell'].upper()} in {row['solved']} of {row['seeds']} seeds"
                      for row in of_task]
            sentences.append(f"{task}: solved by {listed(counts)}.")
            continue
        reach: dict[str, int | None] = {}
        for cell in dict.fromkeys(row["cell"] for row in of_task):
            own = sorted((row for row in of_task if row["cell"] == cell), key=lambda row: row["lag"])
            solved = [row["lag"] for row in takewhile(lambda row: row["solved"] == row["seeds"], own)]
            reach[cell] = solved[-1] if solved else None
        verdict = ""
        if "rnn" in reach and "lstm" in reach:
            rnn, lstm = reach["rnn"] or 0, reach["lstm"] or 0
            verdict = "within this budget, LSTM and simple RNN bridge equally long lags. "
            if lstm > rnn:
                verdict = "the LSTM bridges longer lags than the simple RNN. "
            elif lstm < rnn:
                verdict = "the simple RNN bridges longer lags than the LSTM. "
        by = listed([f"by the {cell.upper()} {_up_to(lag)}" for cell, lag in reach.items()])
        sentences.append(f"{task}: {verdict}{'S' if verdict else 's'}olved with every seed: {by}.")
    return sentences


def _up_to(lag: int | None) -> str:
    return "not even at the shortest lag tried" if lag is None else f"up to lag {lag}"


def about_gradients(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return sentences about gradients.

    ``rows``: cell, when (words), steps (between first and last), state ("h" or "c"), ratio = norm at the
    first step over norm at the last (NaN: unknown), alone = the share of the gradient at the first step that
    never went through a gate (NaN if there is none).
    """
    sentences = []
    for row in rows:
        ratio, alone = float(row["ratio"]), float(row["alone"])
        if ratio != ratio:
            continue
        fate = next((words for limit, words in FATES if ratio < limit), "explodes")
        words = (f"{row['cell'].upper()}, {row['when']}: over {row['steps']} steps back "
                 f"∂L/∂{row['state']} {fate}: "
                 f"its norm at the first step is {rounded(ratio)} times that at the last")
        if alone < 1 - MOST:
            words += "; nearly all of what arrives passed through a gate"
        elif alone == alone:
            rest = "" if alone >= MOST else ", the rest through gates"
            words += f"; {percent(alone)} of what arrives came only along the state{rest}"
        sentences.append(words + ".")
    for when in dict.fromkeys(row["when"] for row in rows):
        ratios = {row["cell"]: float(row["ratio"]) for row in rows if row["when"] == when}
        if ratios.get("rnn", 0) > 0 and ratios.get("lstm", 0) > 0:
            factor = ratios["lstm"] / ratios["rnn"]
            quantity = "more" if factor >= 1 else "less"
            sentences.append(f"{when[:1].upper()}{when[1:]}: {quantity} of it reaches the first step "
                             "in the LSTM than in the simple RNN, "
                             f"by a factor of {rounded(max(factor, 1 / factor))}.")
    return sentences
