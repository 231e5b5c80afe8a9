"""Models of ours from live ones of PyTorch and Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from refusals import refuses

import minilstm as ml

torch: Any = pytest.importorskip("torch", reason="the oracles extra is not installed")
x = np.arange(1, 22).reshape(3, 7) % 11


class Net(torch.nn.Module):
    """As coursework writes it; ``end`` is what its forward does after the LSTM."""

    def __init__(self, end: Any, batch_first: bool = True, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = torch.nn.Embedding(11, 3, padding_idx=0)
        self.rnn = torch.nn.LSTM(3, 5, batch_first=batch_first, **options)
        self.drop = torch.nn.Dropout(0.5)
        self.fc = torch.nn.Linear(10 if options.get("bidirectional") else 5, 1)
        self.end = end

    def forward(self, tokens: Any) -> Any:
        return self.end(self, *self.rnn(self.embed(tokens)))


def last(net: Any, y: Any, state: Any) -> Any:
    h = state[0]
    return net.fc(net.drop(torch.cat([h[-2], h[-1]], 1) if net.rnn.bidirectional else h[-1]))


@pytest.mark.parametrize(
    ("end", "options", "names"),
    [
        (lambda *a: torch.sigmoid(last(*a)), {}, ["Embedding", "LSTM", "Dropout", "Linear", "Sigmoid"]),
        (
            lambda *a: last(*a)[:, 0],
            {"bidirectional": True, "num_layers": 2, "dropout": 0.3},
            ["Embedding", "LSTM", "Dropout", "Linear"],
        ),
        (
            lambda net, y, _: torch.tanh(net.fc(y)),
            {"batch_first": False},
            ["Embedding", "LSTM", "Dropout", "Linear", "Tanh"],
        ),
    ],
    ids=["sigmoid", "both directions", "every step"],
)
def test_from_torch(
    end: Any, options: dict[str, Any], names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    net = Net(end, **options)
    model = ml.from_torch(net)
    assert net.training and model.training and [type(layer).__name__ for layer in model] == names
    assert "three forwards of the whole chain: largest difference" in capsys.readouterr().out
    tokens = torch.tensor(x if net.rnn.batch_first else x.T)
    want = net.eval()(tokens).detach().numpy()
    want = want if net.rnn.batch_first else want.swapaxes(0, 1)
    np.testing.assert_allclose(model.eval()(x).reshape(want.shape), want, atol=1e-6)


def test_a_layer_alone_in_float64() -> None:
    gru = torch.nn.GRU(3, 5, 2, batch_first=True, dtype=torch.float64)
    model, z = ml.from_torch(gru), np.random.default_rng(0).standard_normal((2, 7, 3))
    np.testing.assert_allclose(model(z), gru(torch.tensor(z))[0].detach().numpy(), atol=1e-14)


def test_what_is_no_chain() -> None:
    refuses(
        ml.CheckpointError,
        lambda: ml.from_torch(Net(lambda net, y, _: net.fc(y[:, 0]))),
        "other than the chain",
    )
    refuses(
        ml.CheckpointError,
        lambda: ml.from_torch(Net(lambda net, y, _: 2 * last(net, y, _))),
        "other than the chain",
    )
    refuses(ml.CheckpointError, lambda: ml.from_torch(Net(lambda net, y: y)), "Net cannot be called")
    refuses(
        ml.CheckpointError,
        lambda: ml.from_torch(torch.nn.Sequential(torch.nn.Conv1d(3, 5, 1))),
        "Conv1d",
        "no counterpart",
    )
    refuses(ml.CheckpointError, lambda: ml.from_torch(torch.nn.LSTM(3, 5, proj_size=2)), "weight_hr_l0")


@pytest.mark.filterwarnings("ignore")  # Keras' own
def test_from_keras(capsys: pytest.CaptureFixture[str]) -> None:
    keras = pytest.importorskip("keras", reason="the oracles extra is not installed")
    L = keras.layers
    net = keras.Sequential(
        [
            keras.Input((7,)),
            L.Embedding(11, 3, mask_zero=True),
            L.Bidirectional(L.GRU(4, return_sequences=True)),
            L.Dropout(0.5),
            keras.Sequential([L.SimpleRNN(6, activation="relu")]),
            L.Dense(2, use_bias=False),
            L.Activation("tanh"),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    net.build((None, 7))
    model = ml.from_keras(net)
    assert [type(layer).__name__ for layer in model] == [
        "Embedding",
        "GRU",
        "Dropout",
        "RNN",
        "Linear",
        "Tanh",
        "Linear",
        "Sigmoid",
    ]
    tokens = x.copy()
    tokens[0, 4:] = tokens[1, 2:] = 0
    np.testing.assert_allclose(
        model.eval()(tokens, lengths=[4, 2, 7]), net.predict(tokens, verbose=0), atol=1e-6
    )
    assert "three forwards of the whole chain" in capsys.readouterr().out
    for layer, words in (
        (L.Conv1D(3, 1), "Conv1D"),
        (L.LSTM(4, go_backwards=True), "go_backwards=True"),
        (L.LSTM(4, activation="relu"), "activation='relu'"),
        (L.GRU(4, reset_after=False), "(2, 12)"),
        (L.SimpleRNN(4, activation="selu"), "selu"),
        (L.Dense(3, activation="softmax"), "Dense"),
        (L.Bidirectional(L.LSTM(4), merge_mode="sum"), "merge_mode='sum'"),
    ):
        other = keras.Sequential([keras.Input((7, 3)), layer])
        refuses(ml.CheckpointError, lambda: ml.from_keras(other), words)
    branched = keras.Input((7, 3))
    y = L.LSTM(3, return_sequences=True)(branched)
    refuses(
        ml.CheckpointError,
        lambda: ml.from_keras(keras.Model(branched, L.Add()([y, branched]))),
        "Add",
        "no counterpart",
    )
