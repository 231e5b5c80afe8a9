"""Compare training with PyTorch's, step by step, from the same initial weights, batches and dropout masks.

    python benchmarks/torch_parity.py --data "IMDB Dataset.csv"

Trains the reference model on real reviews in both libraries for 200 steps and prints the largest difference between the two
losses of a step, in float32 and in float64. PyTorch draws the initial weights. Its LSTM has two biases where the equations
have one; both would get the same gradient and Adam would move their sum twice as far, so the second one stays fixed, at its
initial value, which is added to ours.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch

import minilstm as ml
from minilstm.layers.dropout import dropout_mask

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


def copy_weights(theirs: TorchModel, ours: ml.Sequential) -> None:
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


def main() -> int:
    """Load the reviews and compare in both dtypes; exit status 1 where a bound is missed, 2 for bad input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--data", metavar="CSV", help="as in examples/imdb_lstm.py")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
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
        worst = compare(x, y, dtype, arguments.steps, arguments.seed)
        missed |= not worst <= bound
        print(f"{np.dtype(dtype).name}: losses of {arguments.steps} steps differ by at most {worst:.1e} (bound {bound:.0e})")
    return missed


if __name__ == "__main__":
    sys.exit(main())
