"""examples/char_lm.py as its user meets it: what it prints, what it leaves, and how it takes mistakes."""

from __future__ import annotations

import math
import os
import re
import shlex
from pathlib import Path
from typing import Any

import example_programs
import numpy as np
import pytest
from backends import backend, host
from example_programs import EXAMPLES, imported
from training_cases import At, ctrl_c

import minilstm as ml
from minilstm.data import imdb

SMALL = ["--embedding-size", "4", "--hidden-size", "6", "--batch-size", "4", "--length", "10", "--no-progress"]


@pytest.fixture(scope="module")
def example() -> Any:
    module = imported("char_lm", "matplotlib")
    module.Sample.characters = 30       # a device is slow here
    return module


def main(example: Any, *argv: Any) -> int:
    asked = backend() != "numpy" and "--backend" not in argv
    return int(example.main([*map(str, argv), *["--backend", backend()] * asked]))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lines again and again, in any order."""
    path = tmp_path_factory.mktemp("data") / "text.txt"
    lines = np.random.default_rng(0).choice(["to be, or not\n", "that is the question\n"], 100)
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(on_backend: str, example: Any, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(example, "--data", text, "--out", folder, "--epochs", 2, *SMALL) == 0
    return folder


def refused(example: Any, capsys: pytest.CaptureFixture[str], *argv: Any) -> str:
    return example_programs.refused(example, capsys, *map(str, argv))


def test_each_epoch_prints_nats_bits_and_a_sample(example: Any, text: Path, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert main(example, "--data", text, "--out", folder, "--epochs", 2, *SMALL) == 0
    out = capsys.readouterr().out
    length = len(text.read_text())
    assert f"{length:,} characters, {len(set(text.read_text()))} different ones: {text}" in out
    found = re.findall(r"^    validation: (\S+) nats, (\S+) bits a character; a sample:\n\n((?:    .*\n)+)\n", out, re.M)
    history = ml.History.read_csv(folder / "history.csv")
    host(np.array([history["train_loss"], history["val_loss"]], np.float32))
    assert len(found) == len(history) == 2
    for (nats, bits, sample), loss in zip(found, history["val_loss"]):
        assert float(nats) == pytest.approx(loss, abs=1e-4) and float(bits) == pytest.approx(loss / math.log(2), abs=1e-4)
        assert set(sample) <= set(text.read_text())
    assert {path.name for path in folder.iterdir()} == {"characters.json", "config.json", "history.csv", "curves.png",
                                                        "last.ckpt", "best.ckpt"}
    assert history["lr"] == pytest.approx([0.005, 0.005 * 0.25 / 0.7])


def test_it_learns_whole_words(example: Any, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    options = ["--cell", "gru", "--epochs", 10, "--lr", 0.03, *SMALL, "--hidden-size", 16]
    assert main(example, "--data", text, "--out", folder, *options) == 0
    capsys.readouterr()
    assert main(example, "--sample", "that ", "--run", folder, "--temperature", 0.1, "--characters", 300) == 0
    written = capsys.readouterr().out
    assert written.startswith("that ") and len(written) == 306
    words = re.findall(r"\w+", written)[:-1]
    assert sum(word in "to be or not that is the question".split() for word in words) >= 0.9 * len(words) > 30


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_within_an_epoch_leaves_a_run_that_goes_on_bit_for_bit(
        example: Any, text: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a run"
    with monkeypatch.context() as patch:
        patch.setattr(example.Sample, "on_step_end", At(2, 5, ctrl_c).on_step_end)
        assert main(example, "--data", text, "--out", folder, "--epochs", 2, *SMALL) == 130
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("Interrupted in epoch 2, step 5. Go on with: python ")
    _, script, *argv = shlex.split(line.partition("Go on with: ")[2])
    assert Path(script) == EXAMPLES / "char_lm.py" and main(example, *argv, "--no-progress") == 0
    assert not capsys.readouterr().err
    for name in ("history.csv", "last.ckpt", "best.ckpt"):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


def test_a_finished_run_says_how_to_train_it_longer(example: Any, finished: Path, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(example, "read_text", None)     # nothing is read
    capsys.readouterr()
    assert main(example, "--resume", finished) == 0
    line, *others = capsys.readouterr().out.splitlines()
    *_, script, option, folder, epochs, number = shlex.split(line)
    assert "Nothing left to do" in line and Path(script) == EXAMPLES / "char_lm.py" and not others
    assert [option, folder, epochs, number] == ["--resume", str(finished), "--epochs", "10"]


def test_help_has_examples(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        example.main(["--help"])
    assert '--sample "Once upon"' in capsys.readouterr().out


def test_a_sample_asks_the_latest_run_of_this_program(example: Any, finished: Path, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no run" in refused(example, capsys, "--sample")
    (tmp_path / "runs" / "of-reviews").mkdir(parents=True)
    for name in ("last.ckpt", "best.ckpt", "config.json"):
        (tmp_path / "runs" / "of-reviews" / name).write_bytes((finished / name).read_bytes())
    assert "no run" in refused(example, capsys, "--sample")
    (tmp_path / "runs" / "mine").symlink_to(finished)
    samples = []
    for seed in (1, 1, 2):
        assert main(example, "--sample", "--characters", 80, "--seed", seed) == 0
        samples.append(capsys.readouterr().out)
    assert samples[0] == samples[1] != samples[2] and all(len(one) == 81 for one in samples)


def test_mistakes_give_one_line_and_status_2(example: Any, text: Path, finished: Path, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    new = ["--data", text, "--out", tmp_path / "new"]
    assert "no/such.txt" in refused(example, capsys, "--data", "no/such.txt", *new[2:])
    assert "--length" in refused(example, capsys, *new, "--length", "0")
    assert "too few" in refused(example, capsys, *new, "--length", "1000")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    assert "latin: is not UTF-8 (byte 0xe9 at offset 3)" in refused(example, capsys, "--data", tmp_path / "latin", *new[2:])
    assert "already contains a run" in refused(example, capsys, "--data", text, "--out", finished, *SMALL)
    assert "config.json" in refused(example, capsys, "--resume", tmp_path)
    assert "--lr 0.005, not 0.5" in refused(example, capsys, "--resume", finished, "--lr", "0.5")
    assert "leave out --out" in refused(example, capsys, "--resume", finished, "--out", tmp_path)
    assert "no '€'" in refused(example, capsys, "--sample", "a €", "--run", finished)
    assert "nothing" in refused(example, capsys, "--sample", "", "--run", finished)
    assert "leave out --lr" in refused(example, capsys, "--sample", "a", "--run", finished, "--lr", 1)
    assert "go with --sample" in refused(example, capsys, *new, "--characters", 5)
    other = tmp_path / "other.txt"
    other.write_text(text.read_text() + "x", encoding="utf-8")
    assert "other texts" in refused(example, capsys, "--resume", finished, "--data", other, "--epochs", 9)
    (tmp_path / "run").mkdir()
    for name in ("last.ckpt", "config.json", "characters.json"):
        (tmp_path / "run" / name).write_bytes((finished / name).read_bytes()[:-20])
    assert "config.json" in refused(example, capsys, "--sample", "a", "--run", tmp_path / "run")
    assert not (tmp_path / "new").exists()


def test_without_a_file_it_reads_the_reviews(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = imdb.Reviews(["Good.<br /><br />Really.", "Bad!"], np.ones(2, np.float32), "two reviews")
    monkeypatch.setattr(example, "packaged_reviews", lambda: found)
    assert example.read_text(None, 100) == ("Good.\n\nReally.\n\nBad!", "20 characters, 12 different ones: two reviews")
    assert example.read_text(None, 3)[0] == "Goo" and example.read_text(None, 3)[1].startswith("the first 3 (--limit) of 20 ")
