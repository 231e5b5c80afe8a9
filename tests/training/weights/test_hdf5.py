"""Of no single file: Keras' HDF5, what others write, options that make another function, and traps."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_weights import B, W
from refusals import refuses
from weight_files import loaded

import minilstm as ml

h5py: Any = pytest.importorskip("h5py", reason="the weights extra is not installed")
PLACE = "layers/dense/vars/"


def written(path: Path, build: Callable[[Any], Any]) -> Path:
    """A file with a dense layer's bias, and with what ``build`` makes of its kernel."""
    with h5py.File(path, "w") as root:
        root[PLACE + "1"] = B
        build(root)
    return path


def outside(root: Any) -> None:
    Path(root.filename + ".raw").write_bytes(W.T.tobytes())
    root.create_dataset(PLACE + "0", (3, 2), "<f4", external=[(root.filename + ".raw", 0, 24)])


def virtual(root: Any) -> None:
    with h5py.File(root.filename + ".other", "w") as other:
        other["a"] = W.T
    layout = h5py.VirtualLayout((3, 2), "<f4")
    layout[:] = h5py.VirtualSource(root.filename + ".other", "a", (3, 2))
    root.create_virtual_dataset(PLACE + "0", layout)


def external_link(root: Any) -> None:
    with h5py.File(root.filename + ".other", "w") as other:
        other["a"] = W.T
    root[PLACE + "0"] = h5py.ExternalLink(root.filename + ".other", "a")


def soft_link(root: Any) -> None:
    root["elsewhere"] = W.T
    root[PLACE + "0"] = h5py.SoftLink("/elsewhere")


def cycle(root: Any) -> None:
    root[PLACE + "0"] = W.T
    root["layers/again"] = root["layers"]


def text(root: Any) -> None:
    root[PLACE + "0"] = "words"


def nothing(root: Any) -> None:
    root[PLACE + "0"] = h5py.Empty("<f4")


TRAPS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "bytes in another file": (outside, "not all in this file"),
    "a virtual dataset": (virtual, "not all in this file"),
    "a link to another file": (external_link, "is a link"),
    "a soft link": (soft_link, "is a link"),
    "a cycle": (cycle, "1,000 groups"),
    "a dangling link": (lambda root: root.__setitem__(PLACE + "0", h5py.SoftLink("/none")), "is a link"),
    "never written": (lambda root: root.create_dataset(PLACE + "0", (3, 2), "<f4"), "not all in this file"),
    "a bomb": (
        lambda root: root.create_dataset(
            PLACE + "0", (1 << 16, 1 << 16), "<f4", chunks=(1 << 10, 1 << 10), compression="gzip"
        ),
        "not all in this file",
    ),
    "compressed": (
        lambda root: root.create_dataset(PLACE + "0", data=W.T, compression="gzip"),
        "not all in this file",
    ),
    "words": (text, ""),
    "an empty dataset": (nothing, ""),
    "whole numbers": (lambda root: root.__setitem__(PLACE + "0", W.T.astype(int)), "int64"),
    "the other way round": (lambda root: root.__setitem__(PLACE + "0", W), "(2, 3)"),
    "nothing but a bias": (lambda root: None, "has nothing"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_traps(name: str, tmp_path: Path) -> None:
    build, word = TRAPS[name]
    path, model = written(tmp_path / "w.h5", build), ml.Linear(3, 2, rng=0)
    refuses(ml.CheckpointError, lambda: ml.load_weights(path, model), "w.h5: ", word, unchanged=model)


def test_any_byte_lost(tmp_path: Path) -> None:
    good, model = written(
        tmp_path / "w.h5", lambda root: root.__setitem__(PLACE + "0", W.T)
    ).read_bytes(), ml.Linear(3, 2, rng=0)
    for size in range(0, len(good), 97):
        (tmp_path / "cut.h5").write_bytes(good[:size])
        refuses(ml.CheckpointError, lambda: ml.load_weights(tmp_path / "cut.h5", model), unchanged=model)
    assert loaded(tmp_path / "w.h5", model).params["W"].tolist() == W.T.tolist()


def whole_model(path: Path, entry: dict[str, Any], weights: dict[str, np.ndarray]) -> Path:
    """A file of Keras 2: a layer's weights under its own name, twice, and the model's description."""
    name = entry["config"]["name"]
    with h5py.File(path, "w") as root:
        root.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": {"name": "sequential", "layers": [entry]}}
        )
        top = root.create_group("model_weights")
        top.attrs["layer_names"] = [name.encode()]
        for weight, array in weights.items():
            top[f"{name}/{name}/{weight}:0"] = array
        root["optimizer_weights/Adam/iter:0"] = 3
    return path


def lstm(**options: Any) -> dict[str, Any]:
    return {
        "class_name": "LSTM",
        "config": {
            "name": "lstm_7",
            "return_sequences": True,
            "go_backwards": False,
            "stateful": False,
            "time_major": False,
            "units": 4,
            "activation": "tanh",
            "recurrent_activation": "sigmoid",
            "recurrent_initializer": {},
            "use_bias": True,
            **options,
        },
    }


def both(layer: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {
        "class_name": "Bidirectional",
        "config": {"name": "bidirectional_3", "layer": layer, "merge_mode": "concat", **options},
    }


def cell(rng: np.random.Generator, prefix: str, blocks: int = 4) -> dict[str, np.ndarray]:
    return {
        f"{prefix}kernel": rng.standard_normal((3, 4 * blocks)),
        f"{prefix}recurrent_kernel": rng.standard_normal((4, 4 * blocks)),
        f"{prefix}bias": rng.standard_normal(4 * blocks),
    }


def test_both_directions_of_keras_2(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keras 3 cannot read these."""
    weights = {**cell(rng, "forward_lstm_7/lstm_cell_22/"), **cell(rng, "backward_lstm_7/lstm_cell_23/")}
    model = loaded(
        whole_model(tmp_path / "m.h5", both(lstm()), weights),
        ml.LSTM(3, 4, bidirectional=True, dtype=np.float64),
    )
    for end, prefix in (("", "forward_lstm_7/lstm_cell_22/"), ("_reverse", "backward_lstm_7/lstm_cell_23/")):
        i, f, c, o = np.split(
            np.concatenate([weights[prefix + "recurrent_kernel"], weights[prefix + "kernel"]]), 4, axis=1
        )
        assert np.array_equal(model.params["W" + end], np.concatenate([f, i, o, c], axis=1))
    assert "ignored: optimizer_weights" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (lstm(go_backwards=True), "go_backwards=True"),
        (lstm(stateful=True), "stateful=True"),
        (lstm(time_major=True), "time_major=True"),
        (lstm(recurrent_activation="hard_sigmoid"), "hard_sigmoid"),
        (lstm(activation="relu"), "activation='relu'"),
        (lstm(activation={"class_name": "own"}), "activation="),
        (lstm(return_sequences=False), "return_sequences=False"),
        ({**lstm(), "class_name": "CuDNNLSTM"}, "CuDNNLSTM"),
        ({**lstm(), "class_name": "PeepholeLSTM"}, "PeepholeLSTM"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_that_make_another_function(
    entry: dict[str, Any], words: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    model = ml.LSTM(3, 4, rng=0)
    path = whole_model(tmp_path / "m.h5", entry, cell(rng, "lstm_cell/"))
    refuses(ml.CheckpointError, lambda: ml.load_weights(path, model), "lstm_7", words, unchanged=model)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (both(lstm(), merge_mode="sum"), "merge_mode='sum'"),
        (both(lstm(), merge_mode=None), "merge_mode=None"),
        (both(lstm(recurrent_activation="hard_sigmoid")), "hard_sigmoid"),
        (both(lstm(), backward_layer=lstm()), "go_backwards=False"),
        (both(lstm(), backward_layer=lstm(go_backwards=True, activation="relu")), "activation='relu'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_of_both_directions(
    entry: dict[str, Any], words: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    model = ml.LSTM(3, 4, bidirectional=True, rng=0)
    path = whole_model(
        tmp_path / "m.h5",
        entry,
        {**cell(rng, "forward_lstm/lstm_cell/"), **cell(rng, "backward_lstm/lstm_cell/")},
    )
    refuses(
        ml.CheckpointError, lambda: ml.load_weights(path, model), "bidirectional_3", words, unchanged=model
    )


def test_the_gru_that_resets_before(tmp_path: Path, rng: np.random.Generator) -> None:
    """Its bias has one row; an RNN's activation must be the model's."""
    entry, gru = lstm(reset_after=False), ml.GRU(3, 4, rng=0)
    path = whole_model(tmp_path / "m.h5", {**entry, "class_name": "GRU"}, cell(rng, "gru_cell/", 3))
    refuses(ml.CheckpointError, lambda: ml.load_weights(path, gru), "bias", "(12,)", "(2, 12)", unchanged=gru)
    entry, rnn = lstm(activation="tanh"), ml.RNN(3, 4, nonlinearity="relu", rng=0)
    path = whole_model(
        tmp_path / "m.h5", {**entry, "class_name": "SimpleRNN"}, cell(rng, "simple_rnn_cell/", 1)
    )
    refuses(ml.CheckpointError, lambda: ml.load_weights(path, rnn), "activation='tanh'", unchanged=rnn)


def test_options_that_weights_do_not_carry(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    path = whole_model(tmp_path / "m.h5", lstm(dropout=0.25), cell(rng, "lstm_cell/"))
    loaded(path, ml.LSTM(3, 4))
    assert "ignored: optimizer_weights, lstm_7 dropout=0.25" in capsys.readouterr().out


@pytest.mark.parametrize(
    "config",
    [b"{", b"[]", b'{"config": 3}', b'{"config": {"layers": [{}]}}', b'{"a": 1, "a": 2}', b" " * (3 << 20)],
)
def test_a_config_that_is_none(config: bytes, tmp_path: Path) -> None:
    weights, model = written(tmp_path / "w.h5", lambda root: root.__setitem__(PLACE + "0", W.T)), ml.Linear(
        3, 2, rng=0
    )
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", config)
        archive.write(weights, "model.weights.h5")
    refuses(ml.CheckpointError, lambda: ml.load_weights(tmp_path / "m.keras", model), unchanged=model)
