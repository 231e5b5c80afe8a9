"""examples/lab_report.py: all of the report on a handful of reviews, its stages, and mistakes."""

from __future__ import annotations

import csv
import importlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_programs import refused
from html_pages import outside_references

import minilstm as ml
from minilstm.lab import report

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = {"num_words": 30, "max_length": 8, "embedding_size": 3, "hidden_size": 4, "batch_size": 16, "lr": 0.02}
PLAN: dict[str, dict[str, Any]] = {
    "training": {**SIZES, "epochs": 6, "limit": 120},
    "comparison": {"train": 60, "validation": 20, "lengths": (4, 8), "seeds": 2, "epochs": 1, "num_words": 30,
                   "embedding_size": 3, "hidden_size": 4},
    "tasks": {"lags": (4, 6), "seeds": 1, "steps": 4, "evaluate_every": 2, "parameters": 60, "batch_size": 8},
    "gradients": {"steps": 2, "measure": (0, 2), "length": 6, "lag": 8, "hidden_size": 4, "sequences": 3,
                  "problems": ("adding",), "forget_biases": (1.0,), "gains": (1.0,)},
}
STAGES = ("training", "comparison", "tasks", "gradients")
NASTY = "<script>alert(1)</script><img src='http://example.org/x.png'>"


pytestmark = pytest.mark.slow       # they share a small report, with all its stages


@pytest.fixture(scope="module")
def example() -> Any:
    for package in ("matplotlib", "pandas", "jinja2"):
        pytest.importorskip(package, reason="the examples extra is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        module = importlib.import_module("lab_report")
        patch.setattr(module, "QUICK", PLAN)
        patch.setattr(report, "_webp", lambda figure: b"RIFF")          # other tests render the figures
        yield module


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews told apart by a word, three of them mislabelled and with markup in them."""
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    rng = np.random.default_rng(0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        for number in range(120):
            words = list(rng.choice(["the", "film", "plot", "was", "a", "seen"], rng.integers(6, 12)))
            words.insert(int(rng.integers(len(words))), "good" if number % 2 else "bad")
            wrong = number % 10 == 3
            label = (number % 2 == 1) != wrong
            writer.writerow([" ".join(words) + (NASTY if wrong else ""), "positive" if label else "negative"])
    return path


@pytest.fixture(scope="module")
def out(example: Any, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished quick report."""
    folder = tmp_path_factory.mktemp("runs") / "lab"
    assert example.main(["--quick", "--data", str(reviews), "--out", str(folder), "--no-progress"]) == 0
    return folder


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_the_page_has_every_chapter_in_the_order_of_the_coursework(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    assert [heading.split(". ")[1] for heading in headings(page)] == [
        "Aim", "Objectives", "Equations", "Data and preprocessing", "Model", "Training", "RNN, GRU and LSTM on the reviews",
        "Long-term dependencies", "Gradients through time", "Padding in front or behind, at several lengths",
        "Confusion matrix and worst mistakes", "A review, word by word", "Conclusions"]
    assert page.count("<img ") == 17 and "Epoch vs loss" in page and "Epoch vs accuracy" in page


def test_the_page_needs_nothing_from_outside_and_escapes_the_reviews(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    assert outside_references(page) == [] and "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page       # a mislabelled review is among the worst mistakes


def test_its_numbers_are_those_of_the_stages(example: Any, out: Path, reviews: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    history = ml.History.read_csv(out / "training" / "run" / "history.csv")
    assert len(history) == 6
    for row in history:
        assert all(f"<div>{row[name]:.4f}</div>" in page for name in ("train_loss", "train_acc", "val_loss", "val_acc"))
    assert history.best is not None
    right = round(history.best["val_acc"] * 24)
    assert f"{right} of 24 validation reviews are classified correctly" in page
    for line in (out / "comparison" / "trials" / "trials.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["trial"]["padding"] == "post" and not row["trial"]["mask"]:
            assert f"{100 * row['result']['best_val_acc']:.2f} (1)" in page


def test_a_finished_report_trains_nothing_again(example: Any, out: Path, reviews: Path, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "lab"
    shutil.copytree(out, copy)
    (copy / "report.html").unlink()
    for module, name in ((example.imdb_lstm, "train"), (example.imdb_comparison, "run"), (example.long_dependencies, "run"),
                         (example.vanishing_gradients, "run")):
        monkeypatch.setattr(module, name, None)
    assert example.main(["--quick", "--data", str(reviews), "--out", str(copy)]) == 0
    assert (copy / "report.html").read_bytes() == (out / "report.html").read_bytes()
    assert capsys.readouterr().out.count("finished before") == len(STAGES)


def test_a_report_that_is_interrupted_in_every_stage_goes_on(example: Any, out: Path, reviews: Path, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--quick", "--data", str(reviews), "--out", str(tmp_path / "lab"), "--no-progress"]
    places = [(example.imdb_lstm, "train"), (example.imdb_comparison, "run"), (example.long_dependencies, "run"),
              (example.vanishing_gradients, "run")]

    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    for stage, (module, name) in zip(STAGES, places):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, interrupt)
            assert example.main(argv) == 130
        captured = capsys.readouterr()
        assert f"{stage}: begun" in captured.out and "The same command goes on" in captured.err
        assert not (tmp_path / "lab" / "report.html").exists()
    assert example.main(argv) == 0
    assert "gradients: goes on" in capsys.readouterr().out
    old, new = ((folder / "report.html").read_text(encoding="utf-8") for folder in (out, tmp_path / "lab"))
    assert headings(old) == headings(new) and abs(len(new) - len(old)) < 0.02 * len(old)


def test_a_report_on_folders_that_are_there(example: Any, out: Path, reviews: Path, tmp_path: Path,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    gradients, tasks = tmp_path / "gradients", str(out / "tasks" / "trials")
    shutil.copytree(out / "gradients" / "trials", gradients)
    there = ["--reference", str(out / "training" / "run"), "--comparison", str(out / "comparison" / "trials"), "--tasks",
             tasks, tasks, "--gradients", str(gradients)]
    assert example.main([*there, "--out", str(tmp_path / "lab"), "--review", "a good film"]) == 0
    page = (tmp_path / "lab" / "report.html").read_text(encoding="utf-8")
    assert "Budget 2" in page and "The review that was given" in page
    assert "quick run" not in page
    assert sorted(path.name for path in (tmp_path / "lab").iterdir()) == ["explorer.html", "report.html"]
    assert '<a href="explorer.html">' in page
    other = tmp_path / "other.csv"
    other.write_text(reviews.read_text().replace("plot", "story"))
    words = refused(example, capsys, *there, "--out", str(tmp_path / "b"), "--data", str(other))
    assert "trained on other texts" in words
    (gradients / "trials.jsonl").unlink()
    words = refused(example, capsys, *there, "--out", str(tmp_path / "c"))
    assert "holds no finished trial of examples/vanishing_gradients.py" in words


def test_mistakes_are_one_line(example: Any, out: Path, reviews: Path, tmp_path: Path,
                               capsys: pytest.CaptureFixture[str]) -> None:
    new = ["--out", str(tmp_path / "lab"), "--data", str(reviews)]
    assert "no such folder" in refused(example, capsys, *new, "--tasks", str(tmp_path / "none"))
    assert "not the folder of a run" in refused(example, capsys, *new, "--reference", str(tmp_path))
    assert "--jobs" in refused(example, capsys, *new, "--jobs", "0")
    assert "no such file" in refused(example, capsys, *new, "--data", str(tmp_path / "none.csv"))
    run = str(out / "training" / "run")
    given = ["--comparison", run, "--gradients", run]
    assert "no finished trial" in refused(example, capsys, *new, "--reference", run, *given)
    new[1] = str(tmp_path / "early")        # what follows is refused before anything is made
    words = refused(example, capsys, *new)
    assert str(reviews) in words and "needs 25,000" in words and "--data" in words and "--quick" in words
    words = refused(example, capsys, *new, "--comparison", run)
    assert str(reviews) in words and "--sequences" in words
    for package in ("jinja2", "matplotlib"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            assert f"need {package}" in refused(example, capsys, *new)
    assert not (tmp_path / "early").exists()
    words = refused(example, capsys, "--out", str(out), "--data", str(reviews), *given)
    assert "the stage 'training' was made with batch_size 16, not 64" in words
    assert not (tmp_path / "lab" / "report.html").exists()


def test_a_model_that_cannot_be_read_word_by_word_is_refused_at_once(example: Any, reviews: Path, tmp_path: Path,
                                                                     capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SIZES.items()]
    argv = ["--data", str(reviews), "--out", str(run), "--epochs", "1", "--bidirectional", *options]
    assert example.imdb_lstm.main(argv) == 0
    given = [option for name in ("reference", "comparison", "gradients") for option in (f"--{name}", str(run))]
    assert "one direction" in refused(example, capsys, *given, "--out", str(tmp_path / "lab"))
    assert [path.name for path in (tmp_path / "lab").iterdir()] == []
