"""examples/word_by_word.py as its user meets it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_programs import imported, refused

import minilstm as ml

SMALL = ["--max-length", "6", "--num-words", "30", "--embedding-size", "4", "--hidden-size", "5", "--epochs", "2",
         "--no-progress"]


@pytest.fixture(scope="module")
def example() -> Any:
    return imported("word_by_word", "matplotlib")


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    lines = ["review,sentiment"]
    for number in range(40):
        words = [*rng.choice(["the", "film", "plot", "was", "a"], 4), "good" if number % 2 else "bad"]
        lines.append(f"{' '.join(words)},{'positive' if number % 2 else 'negative'}")
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def train(example: Any, reviews: Path, folder: Path, *options: str) -> Path:
    assert example.imdb_lstm.main(["--data", str(reviews), "--out", str(folder), *SMALL, *options]) == 0
    return folder


@pytest.fixture(scope="module")
def run(example: Any, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(example, reviews, tmp_path_factory.mktemp("runs") / "run")


def test_it_prints_each_word_and_ends_on_what_predict_says(example: Any, run: Path, tmp_path: Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    text = "The plot was GOOD, zyx"
    assert example.imdb_lstm.main(["--predict", text, "--run", str(run)]) == 0
    predicted = capsys.readouterr().out.split()[:2]
    picture = tmp_path / "picture.png"
    assert example.main([text, "--run", str(run), "--out", str(picture)]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"Read by the run in {run}:"
    assert [line.split()[0] for line in lines[:7]] == ["word", "(start)", "the", "plot", "was", "good", "zyx"]
    assert "unknown word" in lines[6] and "unknown" not in lines[5]
    assert lines[7].split() == predicted and f"p={lines[6].split()[1]}" == predicted[1]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_it_reads_standard_input_and_asks_the_latest_run(example: Any, reviews: Path, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no run" in refused(example, capsys, "good")
    train(example, reviews, tmp_path / "runs" / "mine", "--cell", "gru")
    monkeypatch.setattr(sys, "stdin", io.StringIO("the film\n\nwas good and more than six words\n"))
    capsys.readouterr()
    assert example.main(["-", "--start", "2", "--count", "3"]) == 0
    out = capsys.readouterr().out
    assert "3 more words were not read" in out and "run in runs/mine" in out
    assert (tmp_path / "runs" / "mine" / "word-by-word.png").exists()


@pytest.mark.parametrize("options, cell", [(["--cell", "rnn"], "RNN"), (["--padding", "post"], "LSTM"), (["--mask"], "LSTM")])
def test_every_kind_of_run_ends_on_its_own_prediction(example: Any, reviews: Path, tmp_path: Path, options: list[str],
                                                      cell: str) -> None:
    folder = train(example, reviews, tmp_path / "run", *options)
    trace = example.trace_of("a good film", folder)
    assert trace.cell == cell and trace.probabilities[-1] == pytest.approx(trace.prediction, abs=1e-6)


def test_mistakes_are_one_line(example: Any, run: Path, reviews: Path, tmp_path: Path,
                               capsys: pytest.CaptureFixture[str]) -> None:
    assert "not the folder of a run" in refused(example, capsys, "good", "--run", str(tmp_path))
    assert "contains no word" in refused(example, capsys, "?", "--run", str(run))
    assert "start" in refused(example, capsys, "good", "--run", str(run), "--start", "2")
    assert "required: text" in refused(example, capsys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        assert "need matplotlib" in refused(example, capsys, "good", "--run", str(run))
    assert "cannot be written" in refused(example, capsys, "good", "--run", str(run), "--out", str(tmp_path / "a" / "b.png"))
    both = train(example, reviews, tmp_path / "both", "--bidirectional")
    assert "one direction" in refused(example, capsys, "good", "--run", str(both))


def test_interrupt(example: Any, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt
    monkeypatch.setattr(example, "trace_of", interrupt)
    assert example.main(["good", "--run", str(run)]) == 130
    assert capsys.readouterr().err == "\nInterrupted.\n"


def test_a_run_without_its_best_epoch_answers_with_the_last(example: Any, reviews: Path, tmp_path: Path) -> None:
    folder = train(example, reviews, tmp_path / "run")
    (folder / "best.ckpt").unlink()
    model, tokenizer, settings = example.load_run(folder)
    arrays, _ = ml.load_checkpoint(folder / "last.ckpt")
    np.testing.assert_array_equal(model[0].params["W"], arrays["model.0.W"])
    assert settings["max_length"] == 6 and tokenizer.num_words == 30
