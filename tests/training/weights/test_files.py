"""Files that other libraries write, and ours that they read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_weights import B, W, npz, pt, state, tensor, tensors, text, whole
from refusals import refuses
from weight_files import LAYERS, classifier, loaded

import minilstm as ml
from minilstm.training.weights import layouts


def stack(dtype: Any = np.float32) -> ml.Sequential:
    """Each kind of layer that has weights, in levels and directions."""
    return ml.Sequential(
        ml.Embedding(11, 3, rng=0, dtype=dtype),
        ml.LSTM(3, 5, 2, bidirectional=True, rng=1, dtype=dtype),
        ml.GRU(10, 4, rng=2, dtype=dtype),
        ml.Dropout(0.5),
        ml.RNN(4, 6, nonlinearity="relu", return_sequences=False, rng=3, dtype=dtype),
        ml.Linear(6, 2, bias=False, rng=4, dtype=dtype),
        ml.ReLU(),
        ml.Linear(2, 1, rng=5, dtype=dtype),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("w.npz", "torch"),
        ("w.npz", "keras"),
        ("w.safetensors", "torch"),
        ("w.safetensors", "keras"),
        ("w.weights.h5", "keras"),
    ],
)
def test_there_and_back_to_the_same_bits(name: str, layout: str, dtype: Any, tmp_path: Path) -> None:
    pytest.importorskip(
        "safetensors" if "safe" in name else "h5py" if "h5" in name else "numpy",
        reason="the weights extra is not installed",
    )
    model, other = stack(dtype), stack(dtype).reset_parameters(1)
    for layer in (1, 2, 4):
        b = model[layer].params["b"]
        b[:] = np.linspace(-1, 1, len(b))
        b[0], b[-1] = -0.0, 0.0
    ml.save_weights(model, tmp_path / name, layout)
    loaded(tmp_path / name, other)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert one.tobytes() == two.tobytes() and one.dtype == two.dtype


def test_pytorch_reads_what_we_write(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    safetensors = pytest.importorskip("safetensors.torch", reason="the weights extra is not installed")
    theirs = torch.nn.ModuleDict(
        {
            "embed": torch.nn.Embedding(11, 3),
            "rnn": torch.nn.LSTM(3, 5, batch_first=True, bidirectional=True),
            "fc": torch.nn.Linear(10, 1),
        }
    )
    model = classifier(bidirectional=True)
    ml.save_weights(model, tmp_path / "w.safetensors", names={"0": "embed", "1": "rnn", "2": "fc"})
    theirs.load_state_dict(safetensors.load_file(tmp_path / "w.safetensors"))
    x = np.arange(22).reshape(2, 11) % 11
    _, (h, _) = theirs["rnn"](theirs["embed"](torch.tensor(x)))
    y = torch.sigmoid(theirs["fc"](torch.cat([h[0], h[1]], 1)))
    np.testing.assert_allclose(model.eval()(x), y.detach().numpy(), atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_keras_reads_what_we_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keras = pytest.importorskip("keras", reason="the oracles extra is not installed")
    pytest.importorskip("h5py", reason="the weights extra is not installed")
    L = keras.layers
    theirs = keras.Sequential(
        [
            keras.Input((7,)),
            L.Embedding(11, 3, mask_zero=True),
            L.Bidirectional(L.LSTM(5, return_sequences=True)),
            L.Bidirectional(L.LSTM(5, return_sequences=True)),
            L.GRU(4, return_sequences=True),
            L.Dropout(0.5),
            L.SimpleRNN(6, activation="relu"),
            L.Dense(2, use_bias=False, activation="relu"),
            L.Dense(1),
        ]
    )
    model = stack()
    ml.save_weights(model, tmp_path / "w.weights.h5", "keras")
    theirs.load_weights(tmp_path / "w.weights.h5")
    x = 1 + np.arange(21).reshape(3, 7) % 10  # no padding
    np.testing.assert_allclose(model.eval()(x), theirs.predict(x, verbose=0), atol=1e-6)
    again = ml.from_keras(theirs)
    np.testing.assert_allclose(again.eval()(x), model(x), atol=1e-6)
    for name in ("m.keras", "m.h5"):
        theirs.save(tmp_path / name)
        capsys.readouterr()
        other = loaded(tmp_path / name, stack().reset_parameters(1))
        words = capsys.readouterr().out.split("ignored: ")[1]
        for option in ("embedding mask_zero=True", "dropout rate=0.5", "dense activation='relu'"):
            assert option in words
        assert all(map(np.array_equal, other.parameters(), model.parameters()))


def test_checkpoints_in_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A state_dict beside an optimiser's, with prefixes; what it holds is mapped, and the rest is named."""
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    theirs = torch.nn.ModuleDict(
        {"embed": torch.nn.Embedding(11, 3), "rnn": torch.nn.LSTM(3, 5), "fc": torch.nn.Linear(5, 1)}
    )
    optimizer = torch.optim.Adam(theirs.parameters())
    sum(p.sum() for p in theirs.parameters()).backward()
    optimizer.step()
    weights = theirs.state_dict()
    for key, prefix in (("model_state_dict", ""), ("state_dict", "model."), ("network", "module._orig_mod.")):
        torch.save(
            {
                key: {prefix + name: p for name, p in weights.items()},
                "optimizer_state_dict": optimizer.state_dict(),
                "epoch": 3,
                "loss": np.float64(0.5),
                "history": [1.5, np.ones(2)],
                "size": torch.Size([1]),
            },
            tmp_path / "c.pt",
        )
        model = loaded(tmp_path / "c.pt", classifier())
        assert np.array_equal(model[0].params["W"], weights["embed.weight"].numpy())
        assert np.array_equal(model[2].params["W"][:, 0], weights["fc.weight"].numpy()[0])
        assert "ignored: optimizer_state_dict, epoch, loss, history, size" in capsys.readouterr().out


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol(protocol: int, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    linear = torch.nn.Linear(3, 2)
    linear.weight = torch.nn.Parameter(linear.weight.data.T.contiguous().T)  # columns first
    torch.save(
        {name: torch.nn.Parameter(p) for name, p in linear.state_dict().items()},
        tmp_path / "w.pt",
        pickle_protocol=protocol,
    )
    model = loaded(tmp_path / "w.pt", ml.Linear(3, 2))
    assert np.array_equal(model.params["W"], linear.weight.detach().numpy().T)


def test_views_of_one_storage(tmp_path: Path) -> None:
    """As an RNN on a GPU keeps its weights: offsets, and here strides, too."""
    storage = np.arange(20, dtype="<f4")
    program = state(tensor("0", 20, (2, 3), (1, 2), 4), tensor("0", 20, (2,), (5,), 13))
    (tmp_path / "w").write_bytes(pt(program, **{"data/0": storage.tobytes(), "data/1": None}))
    model = loaded(tmp_path / "w", ml.Linear(3, 2))
    assert model.params["W"].tolist() == [[4, 5], [6, 7], [8, 9]] and model.params["b"].tolist() == [13, 18]


def test_half_precision_is_widened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("safetensors", reason="the weights extra is not installed")
    bits = (W.view("<u4") >> 16).astype("<u2").tobytes() + (B.view("<u4") >> 16).astype("<u2").tobytes()
    entries = {
        "weight": {"shape": [2, 3], "data_offsets": [0, 12]},
        "bias": {"shape": [2], "data_offsets": [12, 16]},
    }
    files = [
        (
            tensors(data=bits, **{name: {"dtype": "BF16", **entry} for name, entry in entries.items()}),
            "bfloat16",
        ),
        (
            tensors(
                data=W.astype("<f2").tobytes() + B.astype("<f2").tobytes(),
                **{name: {"dtype": "F16", **entry} for name, entry in entries.items()},
            ),
            "float16",
        ),
        (
            pt(
                state(tensor(kind="BFloat16Storage"), tensor("1", 2, (2,), (1,), kind="BFloat16Storage")),
                **{"data/0": bits[:12], "data/1": bits[12:]},
            ),
            "bfloat16",
        ),
        (npz(weight=W.astype("<f2"), bias=B.astype("<f2")), "float16"),
    ]
    for data, word in files:
        (tmp_path / "w").write_bytes(data)
        model = loaded(tmp_path / "w", ml.Linear(3, 2))
        assert np.array_equal(model.params["W"], W.T) and model.params["b"].tolist() == [1, 1]
        assert f"{word} converted to float32" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")  # Keras' own
@pytest.mark.parametrize("kind", LAYERS)
def test_three_forwards_are_compared(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"nonlinearity": kind} if kind in ("tanh", "relu") else {}
    model = LAYERS[kind](3, 5, 2, bidirectional=True, rng=0, **named)
    for layout, library in (("torch", "torch"), ("keras", "keras")):
        pytest.importorskip(library, reason="the oracles extra is not installed")
        ml.save_weights(model, tmp_path / "w.npz", layout)
        ml.load_weights(tmp_path / "w.npz", model)
        words = capsys.readouterr().out.splitlines()[-1].split()
        assert words[:3] == ["three", "forwards", "with"] and float(words[-1]) < 1e-5
    if kind == "lstm":  # a wrong order is seen
        monkeypatch.setitem(layouts.GATES["keras"], "lstm", "fico")
        refuses(
            ml.CheckpointError, lambda: ml.load_weights(tmp_path / "w.npz", model), "off by", unchanged=model
        )


def test_nothing_to_compare_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    model = ml.LSTM(3, 5)
    ml.save_weights(model, tmp_path / "w.npz")
    ml.load_weights(tmp_path / "w.npz", model)
    assert "not compared with PyTorch, which is not installed" in capsys.readouterr().out


def test_same_shapes_in_the_order_of_the_file(tmp_path: Path) -> None:
    """A .pt keeps the order of its layers; elsewhere the numbers in names do."""
    two = {"b.weight": W, "b.bias": B, "a.weight": 2 * W, "a.bias": B}
    program = (
        b"}("
        + b"".join(
            text(name) + tensor(str(place), array.size, array.shape, (3, 1)[-array.ndim:])
            for place, (name, array) in enumerate(two.items())
        )
        + b"u"
    )
    model = ml.Sequential(ml.Linear(3, 2), ml.Linear(3, 2))
    (tmp_path / "w").write_bytes(
        pt(
            program,
            **{f"data/{place}": array.astype("<f4").tobytes() for place, array in enumerate(two.values())},
        )
    )
    assert np.array_equal(loaded(tmp_path / "w", model)[1].params["W"], 2 * W.T)
    (tmp_path / "w").write_bytes(
        npz(**{"fc10.weight": 2 * W, "fc9.weight": W, "fc9.bias": B, "fc10.bias": B})
    )
    assert np.array_equal(loaded(tmp_path / "w", model)[1].params["W"], 2 * W.T)


def test_levels_of_one_layer_are_layers_of_another(tmp_path: Path) -> None:
    deep, flat = ml.LSTM(4, 4, 2, rng=0), ml.Sequential(ml.LSTM(4, 4, rng=1), ml.LSTM(4, 4, rng=2))
    ml.save_weights(flat, tmp_path / "w.npz", "keras")
    loaded(tmp_path / "w.npz", deep)
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    assert np.array_equal(deep(x), flat(x))


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    model = ml.Linear(3, 2)
    refuses(
        ml.ArgumentError,
        lambda: ml.save_weights(model, tmp_path / "w.pt"),
        "expected .safetensors",
        unchanged=model,
    )
    refuses(ml.ArgumentError, lambda: ml.save_weights(model, tmp_path / "w.weights.h5"), "layout")
    refuses(ml.ArgumentError, lambda: ml.save_weights(model, tmp_path / "w.npz", "jax"), "layout")
    refuses(
        ml.CheckpointError, lambda: ml.save_weights(model, tmp_path / "no" / "w.npz"), "cannot be written"
    )

    class Own(ml.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_param("a", np.ones(1))

    refuses(ml.CheckpointError, lambda: ml.save_weights(Own(), tmp_path / "w.npz"), "no counterpart")
    assert whole(1) and not list(tmp_path.iterdir())
