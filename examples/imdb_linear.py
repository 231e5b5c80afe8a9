"""The linear model that an LSTM has to beat: logistic regression on words and pairs of words, weighted by naive Bayes.

    python examples/imdb_linear.py --data "IMDB Dataset.csv" --out runs/linear       train it on the split of --preset strong
    python examples/imdb_linear.py --compare runs/linear runs/A runs/B               beside runs of examples/imdb_lstm.py

Wang & Manning (2012): a review is the set of its words and bigrams; each is weighted by r, how much more often it occurs in
positive reviews than in negative ones:

    p = 1 + Σ of positive x,    q = 1 + Σ of negative x,    r = log (p / |p|) / (q / |q|),    features x · r

The strength of the regularisation is chosen on the held-out tenth; the model is then trained on all training reviews.
--compare takes two or more runs with saved predictions of the same reviews. It prints the accuracy of each, McNemar's test
against the first, and how good the first is together with the others; the weights of both are fitted on the held-out tenth.
"""

from __future__ import annotations

from minilstm.command_line.program import Parser, path_name, probability, run_program, whole

# isort: split
import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

import imdb_lstm
import numpy as np

import minilstm as ml
from minilstm.lab.imdb_results import markdown
from minilstm.training.predictions import PARTS, PREDICTIONS, Predictions, load_predictions, save_predictions

PROGRAM = "imdb_linear.py"
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)     # C, the inverse of the regularisation


def train(settings: dict[str, Any], folder: Path) -> Predictions:
    """Train the linear model on the reviews that examples/imdb_lstm.py uses with the same settings; save its predictions.

    ``settings``: data, limit, protocol, holdout and min_df (how many reviews an n-gram must occur in).
    """
    from sklearn.feature_extraction.text import CountVectorizer
    data = ml.load_imdb(settings["data"])
    print(data.source, flush=True)
    texts, labels = imdb_lstm.choose(data.texts[:settings["limit"]], data.labels[:settings["limit"]], settings["protocol"])
    imdb_lstm.check_labels(labels, data.source)
    rows = imdb_lstm.split(len(texts), settings["holdout"])
    text_of = {part: [texts[k] for k in rows[part]] for part in rows}
    y = {part: labels[rows[part]] for part in rows}
    vectorizer = CountVectorizer(tokenizer=ml.Tokenizer().words, token_pattern=None, lowercase=False, ngram_range=(1, 2),
                                 binary=True, min_df=settings["min_df"])
    print(f"Counting words and bigrams of {len(text_of['training']):,} reviews ...", flush=True)
    try:
        x = {"training": vectorizer.fit_transform(text_of["training"])}
    except ValueError as error:         # no n-gram occurs often enough
        raise ml.DataError(f"{data.source}: {error}") from None
    x["validation"] = vectorizer.transform(text_of["validation"])
    found = {}
    for strength in STRENGTHS:
        found[strength] = fit(x["training"], y["training"], strength)(x["validation"])
        right = np.mean((found[strength] >= 0) == (y["validation"] == 1))
        print(f"C={strength:g}: {x['training'].shape[1]:,} features, validation accuracy {right:.4f}", flush=True)
    best = max(STRENGTHS, key=lambda c: float(np.mean((found[c] >= 0) == (y["validation"] == 1))))
    whole_x = vectorizer.fit_transform([*text_of["training"], *text_of["validation"]])
    classify = fit(whole_x, np.concatenate([y["training"], y["validation"]]), best)
    logits = {"validation": found[best], "test": classify(vectorizer.transform(text_of["test"]))}
    folder.mkdir(parents=True, exist_ok=True)
    predictions = save_predictions(folder, f"NB-weighted bigrams, C={best:g}", settings["protocol"], logits, text_of, y)
    print(f"Test accuracy: {predictions.accuracy():.4f} on {len(y['test']):,} reviews (protocol {settings['protocol']!r}: "
          f"{imdb_lstm.PROTOCOLS[settings['protocol']]})\nPredictions are in {folder}", flush=True)
    return predictions


def fit(x: Any, y: np.ndarray, strength: float) -> Any:
    """Return a function that gives the logits (n,) of rows like those of ``x`` (n, features), a sparse array of 0 and 1."""
    from sklearn.linear_model import LogisticRegression
    r = log_ratio(x, y)
    model = LogisticRegression(C=strength, solver="liblinear").fit(x.multiply(r).tocsr(), y)
    return lambda rows: model.decision_function(rows.multiply(r).tocsr())


def log_ratio(x: Any, y: np.ndarray) -> np.ndarray:
    """Return naive Bayes' r (features,) for rows ``x`` with labels ``y``, 0 or 1."""
    p, q = (1.0 + np.asarray(x[y == label].sum(axis=0)).ravel() for label in (1, 0))
    return np.asarray(np.log(p / p.sum()) - np.log(q / q.sum()))


# Comparing -----------------------------------------------------------------------------------------------------------


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Return the p-value of McNemar's exact test, given which reviews (n,) bool each of two models classifies correctly.

    Only reviews on which they differ say anything: if both were equally good, either would win as a fair coin falls.
    """
    from scipy.stats import binomtest
    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def mean_of(runs: list[Predictions]) -> Predictions:
    """Return the mean of the logits of several runs."""
    return runs[0]._replace(model=f"mean of the {len(runs)} others", logits={
        part: np.asarray(np.mean([run.logits[part] for run in runs], axis=0)) for part in PARTS})


def together(first: Predictions, other: Predictions) -> Predictions:
    """Return both models as one: a weighted sum of their logits, the weights fitted on the held-out part."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    x = {part: np.stack([first.logits[part], other.logits[part]], axis=1) for part in PARTS}
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x["validation"], first.labels["validation"])
    return first._replace(model=f"both: {other.model}", logits={part: model.decision_function(x[part]) for part in PARTS})


def compare(folders: list[Path]) -> str:
    """Return a table: the first run, the others, and each of the others together with the first. Raises ArgumentError."""
    import pandas
    first, *others = runs = [load_predictions(folder) for folder in folders]
    for folder, run in zip(folders, runs):
        if run.digests != first.digests:
            raise ml.ArgumentError(f"{folder}: its predictions are of other reviews than those in {folders[0]}")
    candidates = others if len(others) == 1 else [*others, mean_of(others)]
    rows = []
    for run in [first, *candidates, *(together(first, other) for other in candidates)]:
        p = "" if run is first else f"{mcnemar(run.right(), first.right()):.2g}"
        gain = "" if run is first else f"{100 * (run.accuracy() - first.accuracy()):+.2f}"
        rows.append({"model": run.model, "test accuracy": f"{run.accuracy():.4f}", "errors": int((~run.right()).sum()),
                     "points more than the first": gain, "p (McNemar)": p})
    count, protocol = len(first.labels["test"]), first.protocol
    return f"{count:,} test reviews, protocol {protocol!r} ({imdb_lstm.PROTOCOLS.get(protocol, 'unknown')})\n\n" + markdown(
        pandas.DataFrame(rows))


# The command line ----------------------------------------------------------------------------------------------------


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__)
    parser.add_argument("--data", help="CSV with columns review,sentiment (default: as examples/imdb_lstm.py)", type=path_name,
                        metavar="CSV")
    parser.add_argument("--limit", help="use only the first N reviews", type=whole(1), metavar="N")
    parser.add_argument("--protocol", help="reviews that are used, as in imdb_lstm.py (default: %(default)s)",
                        choices=tuple(imdb_lstm.PROTOCOLS), default="unique")
    parser.add_argument("--holdout", help="share of the training reviews on which choices are made (default: %(default)s)",
                        type=probability, default=0.1, metavar="P")
    parser.add_argument("--min-df", help="leave out n-grams that occur in fewer reviews (default: %(default)s)", type=whole(1),
                        default=2, metavar="N")
    parser.add_argument("--out", help="folder for the predictions (default: runs/linear)", type=path_name,
                        default=imdb_lstm.RUNS / "linear", metavar="DIR")
    parser.add_argument("--compare", help="compare the runs in these folders instead", type=path_name, nargs="+",
                        metavar="DIR")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    def body() -> None:
        given = parse_arguments(argv)
        for package, name in (("sklearn", "scikit-learn"), ("pandas", "pandas")):
            if importlib.util.find_spec(package) is None:
                raise ml.ArgumentError(f'this program needs {name}: pip install -e ".[examples]"')
        if given.compare is not None:
            if len(given.compare) < 2:
                raise ml.ArgumentError("--compare: expected at least two folders")
            print(compare(given.compare), flush=True)
            return
        if not given.holdout:
            raise ml.ArgumentError("--holdout: expected more than 0, since choices are made on that share")
        if (given.out / PREDICTIONS).exists():
            raise ml.ArgumentError(f"{given.out}: already contains predictions; choose another --out")
        train(vars(given), given.out)

    return run_program(PROGRAM, body, lambda _: "Interrupted.")


if __name__ == "__main__":
    sys.exit(main())
