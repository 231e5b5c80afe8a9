"""The folder of a run: its files, its picture, and folders that are refused."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from training_cases import PICTURE, N, build, everything, files, loaders, trainer

import minilstm as ml
from minilstm.backend.errors import ArgumentError, CheckpointError
from minilstm.training import run_folder as runs


def test_the_folder_of_a_run_and_its_picture(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    t = trainer(folder, config={"name": "ü"})
    t.fit(*loaders(), epochs=2)
    assert sorted(os.listdir(folder)) == sorted([runs.CONFIG, runs.HISTORY, *PICTURE, runs.LAST, runs.BEST])
    assert ml.History.read_csv(folder / runs.HISTORY) == t.history
    config = json.loads((folder / runs.CONFIG).read_text())
    assert config["config"] == {"name": "ü"} == runs.load_config(folder) and config["data"]["training"]["size"] == N
    assert "LSTM" in config["model"] and config["optimizer"] == "Adam"
    fresh = build(seed=9)
    runs.load_weights(folder / runs.LAST, fresh)
    assert all((value == t.model.state_dict()[name]).all() for name, value in fresh.state_dict().items())
    best = ml.load_checkpoint(folder / runs.BEST)[1]["history"][-1]
    assert best == t.history.best
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in PICTURE)


def test_a_folder_with_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    trainer(tmp_path).fit(*loaders(), epochs=1)
    kept, t = files(tmp_path), trainer(tmp_path, seed=1)
    before = everything(t)
    with pytest.raises(ArgumentError, match="already contains a training run"):
        t.fit(*loaders(), epochs=2)
    assert files(tmp_path) == kept and everything(t) == before and (tmp_path / "notes.txt").read_text() == "mine"


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for config, folder, error in (({}, tmp_path / "file", ml.ArgumentError), ({}, tmp_path / "file" / "run", ml.ArgumentError),
                                  ({"a": {1}}, tmp_path / "run", CheckpointError)):
        t = trainer(folder, config=config)
        before = everything(t)
        with pytest.raises(error):
            t.fit(*loaders(), epochs=1)
        assert everything(t) == before
    assert os.listdir(tmp_path) == ["file"]
    for text in ("", "[]", '{"config": 1}', '{"other": {}}'):
        (tmp_path / runs.CONFIG).write_text(text)
        with pytest.raises(CheckpointError, match="config.json"):
            runs.load_config(tmp_path)
    ml.save_checkpoint(tmp_path / "a.ckpt", {"model.x": np.zeros(1)}, {})
    with pytest.raises(CheckpointError, match="a.ckpt"):
        runs.load_weights(tmp_path / "a.ckpt", build())


def test_matplotlib_missing_costs_only_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    lines: list[str] = []
    trainer(tmp_path, verbose=True, print_fn=lines.append).fit(*loaders(), epochs=1)
    assert not (tmp_path / runs.CURVES).exists() and any("pip install matplotlib" in line for line in lines)


def test_a_picture_of_others_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / runs.CURVES).write_text("mine")
    with pytest.raises(ArgumentError, match=runs.CURVES):
        trainer(tmp_path).fit(*loaders(), epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == [runs.CURVES]
