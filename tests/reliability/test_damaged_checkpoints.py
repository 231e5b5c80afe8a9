"""Damaged checkpoints: none crashes, none is loaded with other numbers, none leaves a run half restored, none eats memory.

Bytes are flipped, cut and added in the file of a real run; and fields behind the digest are replaced, with the digest made
right again.
"""

from __future__ import annotations

import copy
import hashlib
import json
import struct
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_cases import build, everything, loaders

import minilstm as ml
from minilstm.training.run_folder import LAST

pytestmark = pytest.mark.reliability
SHARES, RAW, CRAFTED = 4, 250, 550           # 4 · (250 + 550) = 3,200 damaged files
MIB = 2 ** 20
VALUES: list[Any] = [None, True, False, -1, 0, 1, 2, 10 ** 400, -10 ** 400, 1e308, -1.5, 0.5, "", "x", "nan", [], [1], {},
                     {"a": 1}, [None] * 4, 2 ** 63, 2 ** 128, float("nan"), float("inf"), "2"]


def trainer(folder: Path | None, seed: int = 0) -> ml.Trainer:
    model = build(seed)
    optimizer = ml.Adam(model, lr=0.05)
    return ml.Trainer(model, ml.BCELoss(), optimizer, scheduler=ml.ReduceLROnPlateau(optimizer, patience=1), clip_norm=0.5,
                      callbacks=[ml.EarlyStopping(3, restore_best=True)], run_dir=folder, verbose=False, progress=False)


def state(t: ml.Trainer) -> tuple[Any, ...]:
    return everything(t), str(t.callbacks[0].state_dict()["meta"]), t.stop, t.config


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, np.ndarray], dict[str, Any]]:
    """The bytes of a run's checkpoint, and what is in it."""
    folder = tmp_path_factory.mktemp("run")
    trainer(folder).fit(*loaders(), epochs=2)
    return (folder / LAST).read_bytes(), *ml.load_checkpoint(folder / LAST)


def places(tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield from places(tree[key], (*place, key))


@pytest.mark.parametrize("share", range(SHARES))
def test_bytes_that_changed_are_refused(share: int, good: Any, tmp_path: Path) -> None:
    data, rng, file = good[0], np.random.default_rng(share), tmp_path / "damaged.ckpt"
    t = trainer(None, seed=9)
    before = state(t)
    for number in range(RAW):
        damaged = bytearray(data)
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
        if number % 5 == 0:
            damaged = damaged[:at]
        elif number % 5 == 1:
            damaged[at:at] = rng.bytes(length)
        elif number % 5 == 2:
            damaged[at:at + length] = rng.bytes(len(damaged[at:at + length]))
        elif number % 5 == 3:
            del damaged[at:at + length]
        else:
            damaged[at] ^= 1 << int(rng.integers(8))
        if bytes(damaged) == data:
            continue
        file.write_bytes(damaged)
        tracemalloc.start()
        with pytest.raises(ml.CheckpointError, match="damaged.ckpt"):
            t.resume(file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < len(damaged) + 64 * MIB
    assert state(t) == before


@pytest.mark.parametrize("share", range(SHARES))
def test_fields_behind_a_valid_digest(share: int, good: Any, tmp_path: Path) -> None:
    """Refused with everything as it was, or a run that goes on; a hyperparameter that explodes is stopped by the guard."""
    _, arrays, meta = good
    rng, file, found = np.random.default_rng(100 + share), tmp_path / "crafted.ckpt", Counter[str]()
    fields = list(places(meta))
    for _ in range(CRAFTED):
        crafted, changed = copy.deepcopy(meta), {name: value.copy() for name, value in arrays.items()}
        if rng.random() < 0.8:
            *path, last = fields[rng.integers(len(fields))]
            holder = crafted
            for key in path:
                holder = holder[key]
            if rng.random() < 0.1:
                del holder[last]
            elif rng.random() < 0.1 and isinstance(holder[last], dict):
                holder[last]["more"] = 1
            else:
                holder[last] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        else:
            name = list(arrays)[rng.integers(len(arrays))]
            how = rng.integers(6)
            value = changed.pop(name)
            changed |= {} if how == 0 else {f"x{name}": value} if how == 1 else {
                name: [value * np.float32(np.nan), value[..., None], value.astype(np.int32), -abs(value) - 1][how - 2]}
        ml.save_checkpoint(file, changed, crafted)
        t = trainer(None, seed=9)
        before = state(t)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")             # a learning rate that is not the new optimiser's
            try:
                t.resume(file)
            except ml.CheckpointError as error:
                assert "crafted.ckpt" in str(error) and "\n" not in str(error)
                assert state(t) == before
                found["refused"] += 1
                continue
            kept = {name: value.tobytes() for name, value in t.model.state_dict().items()}
            assert kept == {name[6:]: value.tobytes() for name, value in changed.items() if name.startswith("model.")}
            try:
                t.fit(*loaders(), epochs=3)
                found["goes on"] += 1
            except (ml.CheckpointError, ml.NonFiniteError):
                found["refused by fit"] += 1
    assert found["refused"] > 0.6 * CRAFTED and found["goes on"] > 0
    print(dict(found))


def test_sizes_that_are_only_claimed_take_no_memory(good: Any, tmp_path: Path) -> None:
    data = good[0]
    length = struct.unpack("<8sIIQ", data[:24])[2]
    header = json.loads(data[24:24 + length])
    for shape in ([2 ** 40], [2 ** 20, 2 ** 20], [10 ** 12, 1, 1], [2 ** 62, 4]):
        header["arrays"][0]["shape"] = shape
        text = json.dumps(header).encode()
        body = data[24 + length:-32]
        crafted = struct.pack("<8sIIQ", b"MINILSTM", 1, len(text), 24 + len(text) + len(body) + 32) + text + body
        (tmp_path / "big.ckpt").write_bytes(crafted + hashlib.sha256(crafted).digest())
        tracemalloc.start()
        with pytest.raises(ml.CheckpointError):
            ml.load_checkpoint(tmp_path / "big.ckpt")
        assert tracemalloc.get_traced_memory()[1] < len(data) + 64 * MIB
        tracemalloc.stop()
