"""examples/imdb_comparison.py: its trials, what it keeps and continues, its tables and figures, and mistakes."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_programs import hundred_reviews, imported, refused

import minilstm as ml
from minilstm.lab import imdb_results, imdb_trials
from minilstm.lab.cells import CELLS

BUDGET = ["--train", "60", "--validation", "20", "--epochs", "2", "--num-words", "20", "--embedding-size", "3",
          "--hidden-size", "4", "--batch-size", "20", "--no-progress"]
SETTINGS = {"train": 60, "validation": 20, "epochs": 2, "num_words": 20, "embedding_size": 3, "hidden_size": 4,
            "batch_size": 20, "lengths": (4, 7), "seeds": 2}


@pytest.fixture(scope="module")
def example() -> Any:
    return imported("imdb_comparison", "matplotlib", "pandas", "joblib")


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hundred_reviews(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def folder(example: Any, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison of three cells, two lengths and two seeds."""
    folder = tmp_path_factory.mktemp("runs") / "comparison"
    example.run(SETTINGS, folder, data=str(reviews), progress=False)
    return folder


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def test_a_trial_is_the_training_run_of_its_settings(example: Any, folder: Path) -> None:
    arrays = folder / "arrays"
    [row] = [row for row in rows(folder)
             if (row["trial"]["cell"], row["trial"]["length"], row["trial"]["seed"]) == ("gru", 7, 1)]
    rng = np.random.default_rng(1)
    model = ml.Sequential(ml.Embedding(20, 3, rng=rng), ml.GRU(3, 4, return_sequences=False, padding="pre", rng=rng),
                          ml.Dropout(0.5, rng=rng), ml.Linear(4, 1, rng=rng), ml.Sigmoid())
    loaders = [ml.DataLoader(np.load(arrays / f"{part}-7-pre.npy"), np.load(arrays / f"{part}-labels.npy"), batch_size=20,
                             shuffle=part == "train", seed=1) for part in ("train", "validation")]
    history = ml.Trainer(model, ml.BCELoss(), ml.Adam(model, lr=1e-3), verbose=False, progress=False).fit(*loaders, epochs=2)
    result = row["result"]
    for name in ("train_loss", "train_acc", "val_loss", "val_acc"):
        assert result[name] == history[name]
    assert result["best_val_acc"] == max(history["val_acc"]) and result["last_val_acc"] == history["val_acc"][-1]
    assert result["parameters"] == model.num_parameters() and result["stopped"] is None


def test_the_arrays_are_the_reviews(folder: Path, reviews: Path) -> None:
    arrays = folder / "arrays"
    texts, labels = ml.read_reviews(reviews)
    parts = ml.train_test_split(texts, labels, train_size=60, test_size=20, random_state=42)
    tokenizer = ml.Tokenizer(num_words=20, oov_token="<OOV>")
    tokenizer.fit_on_texts(parts[0])
    assert not set(map(int, np.load(arrays / "validation-7-pre.npy").ravel())) - set(range(20))
    for part, part_texts, part_labels in zip(("train", "validation"), parts[:2], parts[2:]):
        sequences = tokenizer.texts_to_sequences(part_texts)
        np.testing.assert_array_equal(np.load(arrays / f"{part}-4-pre.npy"),
                                      ml.pad_sequences(sequences, maxlen=4, truncating="post"))
        np.testing.assert_array_equal(np.load(arrays / f"{part}-labels.npy"), part_labels)
        np.testing.assert_array_equal(np.load(arrays / f"{part}-lengths.npy"), [len(ids) for ids in sequences])


def test_two_processes_give_the_same_numbers(example: Any, folder: Path, reviews: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "cells": ("lstm", "rnn"), "lengths": (7,), "seeds": 1}
    frame = example.run(settings, tmp_path / "out", data=str(reviews), jobs=2, progress=False)
    whole = imdb_results.results(folder)
    for row in frame.to_dict("records"):
        [same] = whole[(whole["cell"] == row["cell"]) & (whole["length"] == 7) & (whole["seed"] == 0)].to_dict("records")
        assert {**row, "seconds": 0} == {**same, "seconds": 0} or row["clip_norm"] != row["clip_norm"]
        assert row["val_loss"] == same["val_loss"] and row["train_acc"] == same["train_acc"]


def test_the_same_command_does_nothing_again_and_others_add(example: Any, reviews: Path, tmp_path: Path,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    argv = ["--data", str(reviews), "--out", str(out), "--lengths", "5", "--seeds", "1", *BUDGET]
    assert example.main(argv) == 0
    before = (out / "trials.jsonl").read_bytes()
    assert example.main(argv) == 0 and (out / "trials.jsonl").read_bytes() == before
    assert example.main([*argv, "--cells", "lstm", "--paddings", "post"]) == 0
    assert example.main([*argv, "--cells", "lstm", "--paddings", "post", "--no-mask"]) == 0
    text = capsys.readouterr().out
    assert "post, masked" in text and "post, not masked" in text and "5 tokens" in text
    frame = imdb_results.results(out)
    assert list(zip(frame["cell"], frame["treatment"])) == [("rnn", "pre"), ("gru", "pre"), ("lstm", "pre"),
                                                            ("lstm", "post, masked"), ("lstm", "post, not masked")]
    assert {path.name for path in out.iterdir()} == {"arrays", "config.json", "trials.jsonl", "results.csv", "table.md",
                                                     "accuracy.png", "paddings-lstm.png"}
    with open(out / "results.csv", newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 5
    masked, unmasked = (frame[frame["treatment"] == f"post, {word}"]["val_loss"].iloc[0] for word in ("masked", "not masked"))
    assert masked != unmasked


def test_an_interrupted_comparison_goes_on(example: Any, folder: Path, reviews: Path, tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[dict[str, Any]] = []

    def trial(arrays: Path, **settings: Any) -> dict[str, Any]:
        calls.append(settings)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return imdb_trials.train_on_reviews(arrays, **settings)

    monkeypatch.setattr(example, "train_on_reviews", trial)
    argv = ["--data", str(reviews), "--out", str(tmp_path / "out"), "--lengths", "4,7", "--seeds", "2", *BUDGET]
    assert example.main(argv) == 130
    assert capsys.readouterr().err.startswith("\nInterrupted.") and len(rows(tmp_path / "out")) == 2
    assert (tmp_path / "out" / "table.md").exists()
    assert example.main(argv) == 0 and len(calls) == 3 + 10
    numbers = [sorted((json.dumps(row["trial"]), row["result"]["val_loss"]) for row in rows(place))
               for place in (folder, tmp_path / "out")]
    assert numbers[0] == numbers[1]


def test_table_and_summary(example: Any, folder: Path) -> None:
    frame = imdb_results.results(folder)
    scores = {(row["cell"], row["length"], row["seed"]): row["best_val_acc"] for row in frame.to_dict("records")}
    assert scores == {(row["trial"]["cell"], row["trial"]["length"], row["trial"]["seed"]): row["result"]["best_val_acc"]
                      for row in rows(folder)}
    frame = frame.assign(best_val_acc=[0.01 * k * k for k in range(len(frame))])
    summary = imdb_results.summarize(frame)
    [row] = summary[(summary["cell"] == "gru") & (summary["length"] == 7)].to_dict("records")
    assert row["n"] == 2 and row["mean"] == pytest.approx((0.36 + 0.49) / 2)
    assert row["sd"] == pytest.approx((0.49 - 0.36) / 2 ** 0.5)         # of a sample: n - 1
    table = imdb_results.table(frame)
    assert list(table.columns) == ["cell", "padding", "4 tokens", "7 tokens"] and list(table["cell"]) == ["RNN", "GRU", "LSTM"]
    assert table["7 tokens"][1] == "42.50 ± 9.19 (2)"
    one = imdb_results.table(frame[frame["seed"] == 0])
    assert "±" not in one["4 tokens"][0] and one["4 tokens"][0].endswith("(1)")
    assert imdb_results.markdown(one).splitlines()[0] == "| cell | padding | 4 tokens | 7 tokens |"


def test_a_trial_that_diverges_is_told_and_not_counted(example: Any, reviews: Path, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--data", str(reviews), "--out", str(tmp_path / "out"), "--lengths", "5", "--seeds", "1", "--cells", "lstm,rnn",
            "--lr", "1e38", *BUDGET]
    assert example.main(argv) == 0
    assert "2 of 2 trials ended early" in capsys.readouterr().out
    frame = imdb_results.results(tmp_path / "out")
    assert frame["stopped"].str.contains("epoch").all()
    assert imdb_results.summarize(frame.assign(best_val_acc=[None, 0.5]))["cell"].tolist() == ["lstm"]
    assert imdb_results.summarize(frame.assign(best_val_acc=None)).empty


def test_equal_parameters(example: Any) -> None:
    budget = {**example.BUDGET, "equal_parameters": True}
    counts = {}
    for cell in CELLS:
        layer = getattr(ml, cell.upper())(64, example.hidden_size(cell, budget), rng=0)
        counts[cell] = layer.num_parameters()
    assert counts["lstm"] == 4 * (128 * 192 + 128)
    assert all(abs(count / counts["lstm"] - 1) < 0.01 for count in counts.values())


def test_the_line_of_each_cell_runs_through_its_means(example: Any, folder: Path) -> None:
    frame = imdb_results.results(folder)
    figure = imdb_results.draw(frame)["accuracy"]
    figure.canvas.draw()
    summary = imdb_results.summarize(frame)
    containers = figure.axes[0].containers
    assert [container.get_label() for container in containers] == ["RNN", "GRU", "LSTM"]
    for container, cell in zip(containers, CELLS):
        np.testing.assert_allclose(container[0].get_ydata().astype(float), 100 * summary[summary["cell"] == cell]["mean"])
    assert not math.isnan(figure.axes[0].get_ylim()[0])


def test_mistakes_are_one_line_and_change_nothing(example: Any, folder: Path, reviews: Path, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    data = ["--data", str(reviews), "--out"]
    assert "--epochs 2, not 3" in refused(example, capsys, *data, str(folder), *BUDGET, "--epochs", "3")
    other = tmp_path / "other.csv"
    other.write_text(reviews.read_text().replace("plot", "story"))
    assert "other reviews" in refused(example, capsys, "--data", str(other), "--out", str(folder), *BUDGET)
    assert "cells" in refused(example, capsys, "--cells", "lstm,elman")
    assert "paddings" in refused(example, capsys, "--paddings", "both")
    assert "lengths" in refused(example, capsys, "--lengths", "50,")
    assert "seeds" in refused(example, capsys, "--seeds", "0")
    out = tmp_path / "out"
    assert "jobs" in refused(example, capsys, *data, str(out), *BUDGET, "--jobs", "0")
    words = refused(example, capsys, *data, str(tmp_path / "b"), *BUDGET, "--train", "9000")
    assert str(reviews) in words and "--train 9000" in words and "--data" in words and not (tmp_path / "b").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        assert "need matplotlib" in refused(example, capsys, *data, str(tmp_path / "b"), *BUDGET)
    assert "no such file" in refused(example, capsys, "--data", str(tmp_path / "none.csv"), "--out", str(tmp_path / "c"))
    assert not (tmp_path / "c").exists()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "results.csv").write_text("mine")
    assert "contains other files" in refused(example, capsys, *data, str(tmp_path / "d"), *BUDGET)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "config.json").write_text("{")
    assert "cannot be read" in refused(example, capsys, *data, str(tmp_path / "e"), *BUDGET)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with pytest.raises(ml.ArgumentError, match="no 'epoch'"):
        example.run({"epoch": 1}, tmp_path / "f")
    one_sided = tmp_path / "one.csv"
    one_sided.write_text("review,sentiment\n" + "good film,positive\n" * 100)
    words = refused(example, capsys, "--data", str(one_sided), "--out", str(tmp_path / "g"), *BUDGET)
    assert "all 60 reviews of the train part are positive" in words and "one.csv" in words and "--data" in words


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    with pytest.raises(ml.DataError, match="train-5-pre.npy: cannot be read"):
        imdb_trials.train_on_reviews(tmp_path, cell="lstm", length=5, padding="pre", mask=False, seed=0, num_words=20,
                                     embedding_size=3, hidden_size=4, dropout=0.5, init="default", epochs=1, batch_size=5,
                                     lr=0.1, clip_norm=None)
