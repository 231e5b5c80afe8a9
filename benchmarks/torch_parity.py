"""Compare training with PyTorch's, step by step, from the same initial weights, batches and dropout masks.

    python benchmarks/torch_parity.py --data "IMDB Dataset.csv"
    python benchmarks/torch_parity.py --characters shakespeare.txt

Trains the reference model on real reviews in both libraries for 200 steps and prints the largest difference between the two
losses of a step, in float32 and in float64; or the character model of examples/char_lm.py, without dropout, for 1,800 steps
with carried states in float32, and prints both validation losses after 300 steps and at the end (subnormal numbers are flushed
in both). PyTorch draws the initial weights. Its LSTM has two biases where the equations
have one; both would get the same gradient and Adam would move their sum twice as far, so the second one stays fixed, at its
initial value, which is added to ours.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import minilstm as ml
from minilstm.layers.dropout import dropout_mask
from minilstm.training.characters import character_model

V, D, H, BATCH, LENGTH = 10_000, 64, 128, 64, 200
ORDER = (1, 0, 3, 2)        # where our blocks f, i, o, c̃ stand among PyTorch's i, f, g, o


class GivenDropout(ml.Module):
    """Dropout by a mask that is given from outside, so that both libraries drop the same places."""

    mask: np.ndarray

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.push(self.mask)
        return x * self.mask

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy * self.pop()


class TorchModel(torch.nn.Module):
    """The reference model as PyTorch's users write it, with its dropout mask given."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(V, D)
        self.lstm = torch.nn.LSTM(D, H, batch_first=True)
        self.linear = torch.nn.Linear(H, 1)
        self.lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        _, (h, _) = self.lstm(self.embedding(tokens))
        return torch.sigmoid(self.linear(h[-1] * mask))[:, 0]


class TorchCharacters(torch.nn.Module):
    """The character model as PyTorch's users write it."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, D)
        self.lstm = torch.nn.LSTM(D, H, batch_first=True)
        self.linear = torch.nn.Linear(H, vocabulary)
        self.lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, tokens: torch.Tensor, state: Any) -> Any:
        y, (h, c) = self.lstm(self.embedding(tokens), state)
        return self.linear(y), (h.detach(), c.detach())


def copy_weights(theirs: torch.nn.Module, ours: ml.Sequential) -> None:
    """Give our model PyTorch's weights, in our layout."""
    w = {name: p.detach().numpy() for name, p in theirs.named_parameters()}

    def blocks(matrix: np.ndarray) -> np.ndarray:
        """(4H, ...) in PyTorch's order -> in ours."""
        return matrix.reshape(4, H, -1)[list(ORDER)].reshape(matrix.shape)
    bias = w["lstm.bias_ih_l0"] + w["lstm.bias_hh_l0"]
    ours.load_state_dict({
        "0.W": w["embedding.weight"],
        "1.W": np.concatenate([blocks(w["lstm.weight_hh_l0"]).T, blocks(w["lstm.weight_ih_l0"]).T]), "1.b": blocks(bias),
        "3.W": w["linear.weight"].T, "3.b": w["linear.bias"]})


def compare(x: np.ndarray, y: np.ndarray, dtype: type, steps: int, seed: int) -> float:
    """Train both for ``steps`` steps; return the largest difference of their losses."""
    torch.manual_seed(seed)
    theirs = TorchModel().to(getattr(torch, np.dtype(dtype).name))
    dropout = GivenDropout()
    ours = ml.Sequential(ml.Embedding(V, D, dtype=dtype), ml.LSTM(D, H, return_sequences=False, dtype=dtype), dropout,
                         ml.Linear(H, 1, dtype=dtype), ml.Sigmoid())
    copy_weights(theirs, ours)
    our_loss, our_adam = ml.BCELoss(), ml.Adam(ours, lr=1e-3)
    their_loss = torch.nn.BCELoss()
    their_adam = torch.optim.Adam([p for p in theirs.parameters() if p.requires_grad], lr=1e-3)
    rng, worst, start = np.random.default_rng(seed), 0.0, time.perf_counter()
    for step, (inputs, targets) in enumerate(ml.DataLoader(x, y.astype(dtype), batch_size=BATCH, shuffle=True, seed=seed)):
        if step == steps:
            break
        dropout.mask = dropout_mask(rng, (len(inputs), H), 0.5, np.zeros(1, dtype))
        ours.zero_grad()
        loss = float(our_loss(ours(inputs), targets))
        ours.backward(our_loss.backward())
        our_adam.step()
        their_adam.zero_grad()
        expected = their_loss(theirs(torch.from_numpy(inputs), torch.from_numpy(dropout.mask)), torch.from_numpy(targets))
        expected.backward()
        their_adam.step()
        worst = max(worst, abs(loss - expected.item()))
        if (step + 1) % 50 == 0 or step + 1 == steps:
            print(f"{np.dtype(dtype).name} step {step + 1:3d}: loss {loss:.6f}, PyTorch {expected.item():.6f}, largest "
                  f"difference so far {worst:.1e}  ({time.perf_counter() - start:.0f} s)", flush=True)
    return worst


def compare_characters(text: str, steps: int, seed: int) -> int:
    """Train both for ``steps`` steps; return 1 unless their validation losses agree after 300 steps and at the end."""
    N, T, at = 32, 100, {300: 0.005, steps: 0.01}           # step -> largest relative difference
    alphabet = {character: k for k, character in enumerate(sorted(set(text)))}
    tokens, cut = np.array([alphabet[character] for character in text]), len(text) * 9 // 10
    training, validation = (ml.DataLoader(*ml.contiguous_batches(part, N, T), batch_size=N)
                            for part in (tokens[:cut], tokens[cut:]))
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    theirs, ours = TorchCharacters(len(alphabet)), character_model(len(alphabet), embedding_size=D, hidden_size=H)
    copy_weights(theirs, ours)
    learned = [p for p in theirs.parameters() if p.requires_grad]
    their_adam, loss_of = torch.optim.Adam(learned, lr=5e-3), torch.nn.functional.cross_entropy
    trainer = ml.Trainer(ours, ml.CrossEntropyLoss(), ml.Adam(ours, lr=5e-3), clip_norm=1.0, carry_state=True, metric=None)

    def their_validation() -> float:
        losses, state = [], None
        with torch.no_grad():
            for x, y in validation:
                logits, state = theirs(torch.from_numpy(x), state)
                losses.append(float(loss_of(logits.flatten(0, 1), torch.from_numpy(y).flatten())))
        return float(np.mean(losses))

    missed, step, start = 0, 0, time.process_time()
    while step < steps:
        trainer.state = state = None                    # a new epoch
        for x, y in training:
            trainer.train_step(x, y, {})
            logits, state = theirs(torch.from_numpy(x), state)
            their_adam.zero_grad()
            loss_of(logits.flatten(0, 1), torch.from_numpy(y).flatten()).backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            their_adam.step()
            step += 1
            if step in at:
                our, their = trainer.evaluate(validation)[0], their_validation()
                gap = abs(our - their) / their
                missed |= gap > at[step]
                print(f"step {step:4d}: validation {our:.4f} nats, PyTorch {their:.4f}: {gap:.2%} apart (bound {at[step]:.1%}"
                      f"; {time.process_time() - start:.0f} s of processor time)", flush=True)
            if step == steps:
                break
    return missed


def main() -> int:
    """Load the data and compare; exit status 1 where a bound is missed, 2 for bad input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--data", metavar="CSV", help="as in examples/imdb_lstm.py")
    parser.add_argument("--characters", metavar="TEXT", help="compare the character model, on this text")
    parser.add_argument("--steps", type=int, help="200 for the reference model, 1,800 for the character model")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.characters:
        print(f"PyTorch {torch.__version__}, NumPy {np.__version__}, {torch.get_num_threads()} threads", flush=True)
        return compare_characters(Path(arguments.characters).read_text(encoding="utf-8"), arguments.steps or 1800,
                                  arguments.seed)
    steps = arguments.steps or 200
    try:
        data = ml.load_imdb(arguments.data)
    except (ml.MinilstmError, OSError) as error:
        print(f"torch_parity.py: error: {error}", file=sys.stderr)
        return 2
    print(f"{data.source}\nPyTorch {torch.__version__}, NumPy {np.__version__}")
    tokenizer = ml.Tokenizer(num_words=V, oov_token="<OOV>")
    tokenizer.fit_on_texts(data.texts)
    tokens = ml.pad_sequences(tokenizer.texts_to_sequences(data.texts), maxlen=LENGTH, padding="pre", truncating="post")
    x, _, y, _ = ml.train_test_split(tokens, data.labels, test_size=0.2, random_state=42)
    missed = 0
    for dtype, bound in ((np.float32, 1e-4), (np.float64, 1e-9)):
        worst = compare(x, y, dtype, steps, arguments.seed)
        missed |= not worst <= bound
        print(f"{np.dtype(dtype).name}: losses of {steps} steps differ by at most {worst:.1e} (bound {bound:.0e})")
    return missed


if __name__ == "__main__":
    sys.exit(main())
