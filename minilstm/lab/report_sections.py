"""The sections of the lab report, each built from plain data: reviews, a history, predictions, results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from minilstm.cells import gru, lstm, rnn
from minilstm.data.tokenizer import Tokenizer
from minilstm.lab import conclusions, gradient_tables, imdb_results, lag_results
from minilstm.lab.cells import CELLS
from minilstm.lab.gradient_axes import default_rows, finish
from minilstm.lab.gradient_figures import FIGURES, SHOWS
from minilstm.lab.report import Equations, Figure, Findings, Heading, Items, Quote, Section, Table, Text
from minilstm.lab.words import WordTrace
from minilstm.lab.words_figure import draw_words, draw_words_down
from minilstm.layers.module import Module
from minilstm.layers.summary import layer_rows
from minilstm.losses.metrics import confusion_matrix, precision_recall_f1
from minilstm.training.curves import TRAIN, VALIDATION, draw_epochs, legend_below, new_figure
from minilstm.training.history import History

if TYPE_CHECKING:
    import pandas

PROBLEM_WORDS = {"imdb": "the reviews", "adding": "the adding problem"}
CAPTIONS = {        # of the figures of gradients: how to read them
    "gradient-flow": "The loss is at the right: what falls to the left vanishes, what rises explodes.",
    "gradient-flow-during-training": "In the order of the legend: how training changes these lines.",
    "ways-back": "Where the blue line is far below the grey one, nearly all of it came through gates.",
    "ways-of-one-step": "The highest line is the way that most of it takes from the next step to this one.",
    "jacobians": "The largest singular value limits what comes back; dashed: what weights or gates allow.",
    "gates-over-time": "Dotted before training, solid after it: which gates it opened or shut.",
    "gate-saturation": "A gate that is nearly shut or open passes hardly any gradient to its weights.",
    "forget-bias": "How the forget bias changes the gradient, and whether the loss gains by it.",
    "recurrent-weights": "How a simple RNN's initial weights change the gradient, and the loss.",
    "clipping": "What is above the dashed line is cut down to it; at the end, what that does to the loss.",
}
SATURATED = 0.05        # share of units and steps from which it is drawn
EARLY = 5               # epochs of the short training
EXCERPT = 400           # characters of a review that are shown
WORDS = 36              # words of a review that a figure shows on a laptop; on a phone it shows all
EQUATION = re.compile(r"^    (\S+) +(= .+?) {2,}(\S.*)$", re.MULTILINE)     # of a cell's docstring
LEARNING_EQUATIONS = (
    ("p = σ(w h_T + b)", "answer, from the last hidden state"),
    ("L = -mean(y ln p + (1 - y) ln(1 - p))", "binary cross-entropy"),
    ("∂L/∂c_{t-1} ∋ ∂L/∂c_t * f_t", "back along the cell state: one factor f_t per step, no w, no tanh'"),
    ("∂L/∂h_{t-1} = (∂L/∂h_t * (1 - h_t^2)) w_h^T", "back in a simple RNN: w_h and tanh' at every step"))


def aim() -> Section:
    return Section("Aim", [
        Text("To implement and analyse an LSTM for sequential data: with gradients derived by hand, "
             "on real film reviews, beside a simple RNN and a GRU.")])


def objectives() -> Section:
    return Section("Objectives", [Items((
        "Understand the architecture of the LSTM: gates, cell state, hidden state.",
        "Compare it with the simple RNN (and the GRU) on long-term dependencies.",
        "Implement it for a real data set: the sentiment of IMDB reviews.",
        "Evaluate it with training and validation loss and accuracy.",
        "Observe whether and how LSTMs mitigate vanishing and exploding gradients."))])


def equations() -> Section:
    """Return the equations of the cells, the loss and the backward pass."""
    return Section("Equations", [
        Text("[h, x] is the concatenation of the previous hidden state and the input, * is elementwise, "
             "σ the logistic function."),
        Equations(_equations_of(lstm), "LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)"),
        Equations(_equations_of(rnn), "Simple RNN (Elman 1990)"),
        Equations(_equations_of(gru), "GRU (Cho et al. 2014; reset gate after the product)"),
        Equations(LEARNING_EQUATIONS, "Loss, and backpropagation through time")])


def _equations_of(cell: ModuleType) -> list[tuple[str, str]]:
    """Return the equations of a step, and what each is, as the cell's docstring writes them."""
    step = (cell.__doc__ or "").partition("\nBackward. ")[0]
    return [(re.sub(r"_(\w\w)\b", r"_{\1}", f"{target} {right}"), meaning)
            for target, right, meaning in EQUATION.findall(step)]


def data(source: str, texts: Sequence[str], labels: np.ndarray, sequences: Sequence[list[int]],
         parts: tuple[Sequence[str], Sequence[str]], tokenizer: Tokenizer,
         settings: Mapping[str, Any]) -> Section:
    """Return counts, vocabulary, lengths and the preprocessing of the reviews.

    ``sequences`` are the reviews as ``tokenizer`` numbers them, ``parts`` the texts of training and
    validation.
    """
    lengths = np.array([len(ids) for ids in sequences])
    words, cut = int(lengths.sum()), int((lengths > settings["max_length"]).sum())
    oov = tokenizer.word_index.get(tokenizer.oov_token or "", 0)
    unknown = sum(ids.count(oov) for ids in sequences) if oov else 0
    training = set(parts[0])
    rows = [
        ("reviews", f"{len(texts):,}"), ("positive", f"{int(labels.sum()):,}"),
        ("negative", f"{len(labels) - int(labels.sum()):,}"), ("training", f"{len(parts[0]):,}"),
        ("validation", f"{len(parts[1]):,}"), ("exact duplicates", f"{len(texts) - len(set(texts)):,}"),
        ("validation reviews that also occur in the training part",
         f"{sum(text in training for text in parts[1]):,}"),
        ("total number of words", f"{words:,}"), ("different words", f"{len(tokenizer.word_counts):,}"),
        ("vocabulary, with padding and <OOV>", f"{settings['num_words']:,}"),
        ("words that are <OOV>", conclusions.percent(unknown / max(1, words))),
        ("words of a review: median (mean, longest)",
         f"{int(np.median(lengths)):,} ({lengths.mean():.0f}, {int(lengths.max()):,})"),
        (f"reviews longer than {settings['max_length']} words, cut there", f"{cut:,}"),
    ]
    ways = "in front of the words" if settings["padding"] == "pre" else "behind the words, and masked"
    return Section("Data and preprocessing", [
        Text(source + "."),
        Items(("Tokenize: lower case, no punctuation; each of the most frequent words gets its own id, "
               "all others share one id, <OOV>.",
               f"Cut or pad every review to {settings['max_length']} tokens, padding {ways}.",
               "Split at random: 80 % training, 20 % validation, with seed 42.")),
        Table(("", "number"), rows,
              "The reviews. Copies on both sides of a random split, and reviews of one film on both sides, "
              "can make a validation accuracy a little optimistic."),
        Figure.of(draw_lengths(lengths, settings["max_length"]),
                  "Lengths of the reviews. The line shows where they are cut; "
                  "the last bar holds the longest 1 %.",
                  "Histogram of review lengths")])


def model(network: Module, settings: Mapping[str, Any]) -> Section:
    """Return the model's layers and the settings of its training."""
    shown = [(name.replace("_", " "), "none" if settings[name] is None else str(settings[name]))
             for name in ("cell", "init", "dropout", "batch_size", "lr", "clip_norm", "seed")]
    return Section("Model", [
        Text("Input, Embedding, recurrent layer (its last hidden state), Dropout, Linear, Sigmoid; "
             "binary cross-entropy; Adam."),
        Table(("layer", "output shape", "parameters"),
              layer_rows(network, (settings["batch_size"], settings["max_length"])),
              f"{network.num_parameters():,} parameters."),
        Table(("setting", "value"), shown, "Settings of the training.")])


def training(history: History) -> Section:
    """Return the epochs as a table and as curves."""
    rows, best = [], history.best
    for row in history:
        values = (row[name] for name in ("train_loss", "train_acc", "val_loss", "val_acc"))
        rows.append([str(row["epoch"]), *("" if value is None else f"{value:.4f}" for value in values)])
    return Section("Training", [
        Findings(conclusions.about_training(history, EARLY)),
        Table(("epoch", "train loss", "train acc", "val loss", "val acc"), rows,
              "All epochs; the best one by validation accuracy stands out.",
              [] if best is None else [best["epoch"] - history.rows[0]["epoch"]]),
        Figure.of(draw_curve(history, "loss"), "Where the losses part, reviews are learned by heart.",
                  "Epoch vs loss"),
        Figure.of(draw_curve(history, "acc"), "What counts is the accuracy on reviews not trained on.",
                  "Epoch vs accuracy")])


def comparison(frame: pandas.DataFrame, config: Mapping[str, Any]) -> Section:
    """Return the comparison of RNN, GRU and LSTM on the reviews, under one budget."""
    title = "RNN, GRU and LSTM on the reviews"
    usual = frame[frame["treatment"] == "pre"]
    if not len(usual):
        return Section(title, [Text("No cells were compared with padding in front.")])
    best, last = (imdb_results.summarize(usual, name)["mean"] for name in ("best_val_acc", "last_val_acc"))
    return Section(title, [
        Findings(conclusions.about_cells(imdb_results.summarize(usual))),
        Text(budget_of(config["budget"])),
        Table.of(imdb_results.table(usual).drop(columns="padding"),
                 "Validation accuracy in percent, best epoch: mean ± standard deviation (number of seeds). "
                 f"After the last epoch it is at most {conclusions.points((best - last).max())} lower."),
        Figure.of(imdb_results.draw(usual)["accuracy"],
                  "Where bars overlap, the seeds do not tell the cells apart.")])


def budget_of(budget: Mapping[str, Any]) -> str:
    """Return the budget of a comparison as a sentence."""
    sizes = f"hidden size {budget['hidden_size']}"
    if budget["equal_parameters"]:
        sizes = "as many parameters for each cell"
    clip = "" if budget["clip_norm"] is None else f", gradients clipped at norm {budget['clip_norm']:g}"
    return (f"One budget for all: {budget['train']:,} training and {budget['validation']:,} validation "
            f"reviews, {budget['epochs']} epochs, {sizes}, embedding {budget['embedding_size']}, "
            f"dropout {budget['dropout']:g}, Adam {budget['lr']:g}, batches of {budget['batch_size']}{clip}.")


def paddings(frame: pandas.DataFrame) -> Section:
    """Return the accuracy by padding side, masking and length, for each cell tried in several ways."""
    blocks: list[Any] = []
    for cell in dict.fromkeys(frame["cell"]):
        group = frame[frame["cell"] == cell]
        if group["treatment"].nunique() < 2:
            continue
        blocks += [
            Findings(conclusions.about_paddings(imdb_results.summarize(group))),
            Table.of(imdb_results.table(group),
                     f"{cell.upper()}: validation accuracy in percent, best epoch (number of seeds)."),
            Figure.of(imdb_results.draw(group)[f"paddings-{cell}"],
                      "Only reviews that are shorter than this are padded at all.")]
    return Section("Padding in front or behind, at several lengths",
                   blocks or [Text("Only one way to pad was tried.")])


def long_lags(studies: Sequence[tuple[Mapping[str, Any], pandas.DataFrame]]) -> Section:
    """Return which cells learn to remember, over how many steps; ``studies``: (budget, results) each."""
    blocks: list[Any] = [Text(
        "Tasks whose answer depends on much earlier steps, learned from fresh sequences until the published "
        "criterion is met or the budget is used up; with another budget other cells may fail. The cells have "
        "nearly the same number of parameters.")]
    for number, (budget, frame) in enumerate(studies, 1):
        rows = [{"task": lag_results.TITLES[row["task"]], "cell": row["cell"], "lag": row["T"] or None,
                 "solved": row["solved"], "seeds": row["seeds"]} for row in frame.to_dict("records")]
        if len(studies) > 1:
            blocks.append(Heading(f"Budget {number}"))
        blocks += [
            Findings(conclusions.about_tasks(rows)),
            Text(f"At most {budget['steps']:,} steps of {budget['batch_size']} sequences, "
                 f"Adam {budget['lr']:g}, gradients clipped at norm {budget['clip_norm']:g}, "
                 f"{budget['init']} initial weights."),
            Table.of(lag_results.table(frame),
                     "Solved: of the seeds tried. "
                     "Sequences needed: the median over the seeds that solved it. "
                     "Error: the median over all, on unseen sequences. "
                     "In 1997: the sequences that Hochreiter & Schmidhuber's LSTM needed.")]
        for task in dict.fromkeys(frame["task"]):
            blocks.append(Figure.of(
                lag_results.draw(frame, task),
                "A cell that no longer remembers leaves the top; its error is that without memory.",
                narrow=lag_results.draw(frame, task, columns=1)))
    return Section("Long-term dependencies", blocks)


def gradients(frames: Mapping[str, pandas.DataFrame]) -> Section:
    """Return how gradients change on their way back; ``frames``: from ``gradient_tables.tables``."""
    rows = gradient_tables.summary(frames)
    steps = frames["flow"].groupby("problem")["T"].first()
    findings = [{"cell": row["cell"], "problem": PROBLEM_WORDS[row["problem"]], "trained": row["step"] > 0,
                 "steps": steps[row["problem"]] - 1,
                 "ratio": row["c_ratio"] if row["cell"] == "lstm" else row["h_ratio"]}
                for row in rows.to_dict("records")]
    blocks: list[Any] = [
        Findings(conclusions.about_gradients(findings)),
        Text("∂L/∂h_t, and in the LSTM ∂L/∂c_t, is what reaches the state after step t. It comes back along "
             "the state (by the factors f of an LSTM, z of a GRU) or through the gates; both add up to the "
             "whole. These models are trained for a few steps, on long reviews without padding: their losses "
             "do not belong to the accuracies elsewhere in this report."),
        Table.of(gradient_tables.words(rows),
                 "What is left at the first step; the share of it that never went through a gate, below zero "
                 "where that part points against the whole; the largest singular value of the Jacobian from "
                 "the first step to the last; and the training loss.")]
    for problem in dict.fromkeys(rows["problem"]):
        cells = set(rows[rows["problem"] == problem]["cell"])
        blocks.append(Heading(PROBLEM_WORDS[problem].capitalize()))
        gates = default_rows(frames["gates"], problem).groupby(["cell", "gate", "step"])
        most = gates[["left", "right"]].mean().max().max()
        for name, caption in CAPTIONS.items():
            if name == "gate-saturation" and most < SATURATED:
                few = conclusions.percent(SATURATED)
                blocks.append(Text(f"No gate saturates: less than {few} of its values are near 0 or 1."))
            elif cells & set(SHOWS.get(name, CELLS)):
                draw = FIGURES[name]
                narrow = draw(frames, problem, columns=1)
                blocks.append(Figure.of(draw(frames, problem), caption, narrow=narrow))
    return Section("Gradients through time", blocks)


def mistakes(texts: Sequence[str], labels: np.ndarray, probabilities: np.ndarray, count: int = 3) -> Section:
    """Return confusion matrix and scores on the validation part, and its worst mistakes."""
    matrix = confusion_matrix(probabilities, labels)
    precision, recall, f1 = (float(score) for score in precision_recall_f1(probabilities, labels))
    rows = [[f"truly {name}", *(f"{n:,}" for n in counts)]
            for name, counts in zip(("negative", "positive"), matrix)]
    blocks: list[Any] = [
        Findings(conclusions.about_confusion(matrix.tolist())),
        Table(("", "predicted negative", "predicted positive"), rows,
              "Confusion matrix of the best epoch on the validation part. "
              f"Precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f} (positive).")]
    errors = np.abs(probabilities - labels)
    for label, name in enumerate(("negative", "positive")):
        worst = [k for k in np.argsort(-errors, kind="stable") if labels[k] == label and errors[k] > 0.5]
        for k in worst[:count]:
            blocks.append(Quote(excerpt(texts[k]), f"Labelled {name}, p(positive) = {probabilities[k]:.4f}"))
    return Section("Confusion matrix and worst mistakes", blocks)


def excerpt(text: str) -> str:
    """Return the beginning of a review, its line breaks (also the data's own <br />) as spaces."""
    plain = " ".join(text.replace("<br />", " ").split())
    return plain if len(plain) <= EXCERPT else plain[:EXCERPT].rsplit(" ", 1)[0] + " …"


def words(traces: Sequence[tuple[str, WordTrace]], page: str | None = None) -> Section:
    """Return reviews read word by word, each with a line that says which review it is.

    ``page``: the file of the explorer's page of this model, beside the report.
    """
    blocks: list[Any] = [Text("After each word: the model's answer if the review ended there, the state and "
                              "the gates.")]
    if page is not None:
        blocks.append(Text("Try it: this model as a page of its own, forwards and backwards", page))
    for about, trace in traces:
        order = np.argsort(trace.changes)
        up = [k for k in order[::-1][:5] if trace.changes[k] > 0]
        down = [k for k in order[:5] if trace.changes[k] < 0]
        rows = [[trace.words[k], str(k + 1), f"{trace.probabilities[k]:.3f}", f"{trace.changes[k]:+.3f}"]
                for k in up + down]
        blocks += [
            Quote(excerpt(" ".join(trace.words)),
                  f"{about}; in the end p(positive) = {trace.prediction:.3f}"),
            Figure.of(draw_words(trace, count=WORDS),
                      "Blue is positive, or above one half, and red is negative. Gates go from dark to light "
                      "as they open.",
                      "Heat maps of a review, word by word", draw_words_down(trace), heat=True),
            Table(("word", "place", "p after it", "change"), rows, "The words that change the answer most.")]
    return Section("A review, word by word", blocks)


def conclude(sections: Sequence[Section]) -> Section:
    """Return the first finding of each section."""
    return Section("Conclusions", [Items([block.items[0] for section in sections for block in section.blocks
                                          if isinstance(block, Findings) and block.items])])


# Figures
# ------------------------------------------------------------


def draw_lengths(lengths: np.ndarray, max_length: int) -> Any:
    """Return the histogram of review lengths (n,) as a Figure; the longest hundredth counts as one bin."""
    figure = new_figure(6.5, 4.2)
    axes = figure.subplots()
    top = max(float(np.quantile(lengths, 0.99)), max_length + 1.0)
    axes.hist(np.minimum(lengths, top), bins=50, color=TRAIN)
    axes.axvline(max_length, color=VALIDATION, linewidth=2.5, linestyle="--", label=f"{max_length} tokens")
    finish(axes, x="words of a review", y="reviews")
    legend_below(figure)
    return figure


def draw_curve(history: History, kind: str) -> Any:
    """Return epoch vs loss (``kind`` "loss") or epoch vs accuracy ("acc") as a matplotlib Figure."""
    figure = new_figure(6.5, 4.2)
    draw_epochs(figure.subplots(), history, kind)
    legend_below(figure)
    return figure
