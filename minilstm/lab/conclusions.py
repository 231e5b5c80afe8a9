"""Sentences about measured numbers, at most two for each objective of the report.

No function assumes an outcome: if the simple RNN wins, or an LSTM's gradient vanishes, the sentence says so,
with the reason, and if the seeds differ by more than the cells do, that no difference can be claimed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from minilstm.lab.gradient_tables import rounded
from minilstm.training.history import History

if TYPE_CHECKING:
    import pandas

CHANCE = 0.05           # an accuracy within this of one half is called chance


def percent(value: float) -> str:
    """Return a share as text, 86.5 %."""
    return f"{100 * value:.1f} %"


def points(value: float) -> str:
    """Return a difference of shares as text, 1.3 points."""
    return f"{100 * abs(value):.1f} points"


def listed(words: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))


def about_training(history: History, early: int = 5) -> list[str]:
    """Return two sentences about a run's epochs: the best one, beside the end of a short training, and
    overfitting.

    ``early``: the epochs of the short training. Needs validation losses and accuracies in every row.
    """
    rows = history.rows
    if not rows or any(row["val_acc"] is None or row["val_loss"] is None for row in rows):
        return []
    last, best = rows[-1], history.best
    assert best is not None
    ends = [rows[early - 1], last] if len(rows) > early else [last]
    after = listed([f"{percent(row['val_acc'])} after epoch {row['epoch']} (training "
                    f"{percent(row['train_acc'])})" for row in ends])
    sentences = [f"The best epoch is number {best['epoch']}, with {percent(best['val_acc'])} of the "
                 f"validation reviews right; it is {after}."]
    low = min(rows, key=lambda row: row["val_loss"])
    losses = (f"from {low['val_loss']:.3f} in epoch {low['epoch']} "
              f"to {last['val_loss']:.3f} in epoch {last['epoch']}")
    start = history.overfits_from()
    if start is not None:
        sentences.append(f"It overfits from epoch {start} on: the validation loss rises {losses}, "
                         "while the training loss goes on falling, "
                         f"from {low['train_loss']:.3f} to {last['train_loss']:.3f}.")
    elif low is last:
        sentences.append("It does not overfit yet: the validation loss is lowest in the last epoch "
                         f"({low['val_loss']:.3f}).")
    else:
        sentences.append(f"The validation loss goes {losses}, which is not yet called overfitting here: more "
                         "than 10 % above its lowest while the training loss falls.")
    return sentences


def about_confusion(matrix: Sequence[Sequence[int]]) -> list[str]:
    """Return two sentences about a confusion matrix (rows: true negative, positive; columns: predicted)."""
    (tn, fp), (fn, tp) = ([int(count) for count in row] for row in matrix)
    right, wrong = tn + tp, fp + fn
    return [f"{right:,} of {right + wrong:,} validation reviews are classified correctly, "
            f"{percent(right / (right + wrong))}.",
            f"{fp:,} negative reviews are taken for positive ones, {fn:,} positive ones for negative."]


def about_cells(summary: pandas.DataFrame) -> list[str]:
    """Return two sentences about a comparison: the best cell for the longest reviews, and what length gives.

    ``summary``: rows with cell, length, mean, sd (None or NaN for one seed), n, of one treatment of padding.
    """
    by_length: dict[int, list[Mapping[Any, Any]]] = {}
    for row in summary.to_dict("records"):
        by_length.setdefault(int(row["length"]), []).append(row)
    long, short = max(by_length), min(by_length)
    first, *others = sorted(by_length[long], key=lambda row: -row["mean"])
    sentences = []
    if others:
        ranked = listed([f"the {_name(row)} ({percent(row['mean'])})" for row in others])
        sentences.append(f"With {long} tokens the {_name(first)} is best, {percent(first['mean'])}, "
                         f"before {ranked}; the gap to the second is {_gap(first, others[0])}.")
    before = {row["cell"]: row["mean"] for row in by_length[short]}
    changes = [f"the {_name(row)} {'gains' if row['mean'] >= before[row['cell']] else 'loses'} "
               f"{points(row['mean'] - before[row['cell']])}"
               for row in by_length[long] if row["cell"] in before]
    guessing = [_name(row) for row in by_length[long] if abs(row["mean"] - 0.5) <= CHANCE]
    reason = ""
    if guessing:
        reason = (f"; near 50 % the {listed(guessing)} can only guess, since this budget is too small for it "
                  "to learn, which says little about memory")
    if long > short and changes:
        sentences.append(f"From {short} to {long} tokens {listed(changes)}{reason}.")
    return sentences


def _name(row: Mapping[Any, Any]) -> str:
    return str(row["cell"]).upper()


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
    """Return a sentence about each way to pad behind the words, for the longest reviews.

    ``summary``: rows with treatment, length, mean, sd, of one cell.
    """
    long = summary["length"].max()
    rows = {row["treatment"]: row for row in summary.to_dict("records") if row["length"] == long}
    usual = rows.get("pre")
    ways = {"post, not masked": "Padding behind the words, which the state has to pass before the answer,",
            "post, masked": "With a mask, which skips it, it"}
    return [f"{words} gives {percent(rows[name]['mean'])} with {long} tokens, and padding in front "
            f"{percent(usual['mean'])}: {_gap(rows[name], usual)}."
            for name, words in ways.items() if usual and name in rows]


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
        late = ""
        if (reach.get("rnn") or 0) > (reach.get("lstm") or 0) and "lstm" in reach:
            late = "; this budget ends before the LSTM has learned what the simple RNN learns in it"
        by = listed([f"by the {cell.upper()} {f'up to lag {lag}' if lag else 'at none of the lags tried'}"
                     for cell, lag in reach.items()])
        sentences.append(f"{task}: solved with every seed {by}{late}.")
    return sentences


def about_gradients(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return two sentences about gradients: what reaches the first step after training, and before it.

    ``rows``: problem (words), cell, trained (bool), steps (between first and last), ratio = norm at the first
    step over norm at the last, of ∂L/∂c in the LSTM, of ∂L/∂h elsewhere (NaN: unknown).
    """
    found: dict[tuple[bool, str, int], dict[str, float]] = {}
    for row in rows:
        if row["ratio"] > 0:
            key = row["trained"], row["problem"], row["steps"]
            found.setdefault(key, {})[row["cell"]] = float(row["ratio"])
    before, after = ([(problem, steps, ratios["lstm"], ratios["rnn"])
                      for (trained, problem, steps), ratios in found.items()
                      if trained == which and {"lstm", "rnn"} <= set(ratios)] for which in (False, True))
    sentences = []
    if after:
        better = [problem for problem, _, lstm, rnn in after if abs(math.log(lstm)) < abs(math.log(rnn))]
        words = [f"{steps} steps back on {problem} its norm is {rounded(lstm)} times that at the last step, "
                 f"the RNN's {rounded(rnn)} times" for problem, steps, lstm, rnn in after]
        sentences.append("After training the LSTM's gradient keeps its size better than the simple RNN's on "
                         f"{listed(better) or 'none of the problems'}: {'; '.join(words)}.")
    if before:
        words = [f"{rounded(lstm)} and {rounded(rnn)} on {problem}" for problem, _, lstm, rnn in before]
        reason = "each step back is a factor f in the LSTM, and w_h and the slope of tanh in the RNN"
        if any(lstm < rnn for _, _, lstm, rnn in before):
            reason = ("an untrained forget gate is near σ(1) = 0.73 and leaves little after many steps; the "
                      "RNN starts with an orthogonal w_h, which keeps norms")
        sentences.append(f"Before training these are {listed(words)}: {reason}.")
    return sentences
