"""examples/imdb_lstm.py as its user meets it: what it prints, what it leaves, and how it takes mistakes."""

from __future__ import annotations

import datetime
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import backend, host
from example_programs import hundred_reviews

import minilstm as ml
from minilstm.backend.arrays import require
from minilstm.training.predictions import load_predictions

SCRIPT = Path(__file__).parents[2] / "examples" / "imdb_lstm.py"
SMALL = ["--max-length", "6", "--num-words", "30", "--embedding-size", "4", "--hidden-size", "5", "--batch-size", "8", "--lr",
         "0.02"]


@pytest.fixture(scope="module")
def example() -> Any:
    pytest.importorskip("matplotlib", reason="the examples extra is not installed")
    spec = importlib.util.spec_from_file_location("imdb_lstm", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main = module.main

    def main_on_backend(argv: list[str]) -> int:
        asked = "--backend" in argv or backend() == "numpy"
        return int(main(argv if asked else [*argv, "--backend", backend()]))
    module.main = main_on_backend
    return module


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hundred_reviews(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(on_backend: str, example: Any, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 6 epochs."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert example.main(["--data", str(reviews), "--out", str(folder), "--epochs", "6", *SMALL]) == 0
    return folder


def refused(example: Any, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run with bad arguments; assert exit status 2 and one line on standard error; return that line."""
    capsys.readouterr()
    try:
        status = example.main(list(argv))
    except SystemExit as error:
        status = error.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.count("\n") == 1 and captured.err.startswith("imdb_lstm.py: error: "), captured.err
    return captured.err


def test_a_run_prints_epoch_lines_and_leaves_a_folder(example: Any, reviews: Path, tmp_path: Path,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert example.main(["--data", str(reviews), "--out", str(folder), "--epochs", "2", *SMALL]) == 0
    out = capsys.readouterr().out
    number = r"\d+\.\d{4}"
    parts = ", ".join(f"{name}={number}" for name in ("Train Loss", "Train Acc", "Val Loss", "Val Acc"))
    lines = re.findall(rf"^Epoch \d+: {parts}$", out, re.M)
    assert len(lines) == 2 and "Best epoch" in out and "100 reviews" in out and str(folder) in out
    assert {p.name for p in folder.iterdir()} == {"config.json", "history.csv", "curves.png", "last.ckpt", "best.ckpt",
                                                  "tokenizer.json"}
    history = ml.History.read_csv(folder / "history.csv")
    assert len(history) == 2
    host(np.array([history[name] for name in ("train_loss", "train_acc", "val_loss", "val_acc", "grad_norm")], np.float32))
    host(ml.load_checkpoint(folder / "last.ckpt")[0])
    assert json.loads((folder / "config.json").read_text())["config"]["backend"] == backend()


def test_it_learns_and_predicts(example: Any, run: Path, capsys: pytest.CaptureFixture[str],
                                monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(row["val_acc"] for row in ml.History.read_csv(run / "history.csv")) == 1.0
    history = ml.History.read_csv(run / "history.csv")
    host(np.array([history[name] for name in ("train_loss", "val_loss", "val_acc")], np.float32))
    capsys.readouterr()
    assert example.main(["--predict", "a good film", "--run", str(run)]) == 0
    assert re.fullmatch(r"positive  p=0\.\d{4}  a good film\n", capsys.readouterr().out)
    monkeypatch.setattr(sys, "stdin", io.StringIO("the plot was bad\n\na good plot\n"))
    assert example.main(["--predict", "--run", str(run)]) == 0
    words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert words == ["negative", "positive"]


def test_predict_asks_the_latest_run_by_default(example: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no run" in refused(example, capsys, "--predict", "good")
    shutil.copytree(run, tmp_path / "runs" / "mine")
    shutil.copytree(run, tmp_path / "runs" / "interrupted")
    (tmp_path / "runs" / "interrupted" / "best.ckpt").unlink()         # in its first epoch
    os.utime(tmp_path / "runs" / "interrupted" / "last.ckpt")
    capsys.readouterr()
    assert example.main(["--predict", "good"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"Read by the run in {Path('runs', 'mine')}:"


def test_a_finished_run_says_how_to_train_it_longer(example: Any, run: Path, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(example.ml, "load_imdb", None)      # nothing is read
    capsys.readouterr()
    for epochs in ("6", "2"):
        assert example.main(["--resume", str(run), "--epochs", epochs]) == 0
        line = capsys.readouterr().out
        assert line.startswith("Nothing left to do: the run has reached epoch 6.") and line.count("\n") == 1
        assert line.endswith(f" --resume {shlex.quote(str(run))} --epochs 30\n")


def test_help_tells_every_default_the_strong_preset_and_examples(example: Any, monkeypatch: pytest.MonkeyPatch,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        example.main(["--preset", "strong", "--help"])
    out = capsys.readouterr().out
    for words in ("GRU", "dropout (default: 0)", "end (default: keep the beginning)", "once, at the end (default: 0.0)",
                  "in their place (default: 0.0)", "--num-words 30000 --max-length 400", "minutes",
                  '--predict "What a film!"'):
        assert words in out


@pytest.mark.parametrize("options", [["--padding", "post"], ["--mask"], ["--cell", "rnn", "--init", "uniform"],
                                     ["--bidirectional", "--num-layers", "2"], ["--clip-norm", "1"], ["--limit", "50"],
                                     ["--pooling", "max"], ["--protocol", "unique", "--head", "2"]])
def test_options_train_predict_and_resume(example: Any, reviews: Path, tmp_path: Path, options: list[str],
                                          capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "out")
    assert example.main(["--data", str(reviews), "--out", folder, "--epochs", "1", *SMALL, *options]) == 0
    assert example.main(["--resume", folder, "--epochs", "2"]) == 0
    assert example.main(["--predict", "good", "--run", folder]) == 0


def test_resume_equals_an_uninterrupted_run(example: Any, reviews: Path, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for epochs in ("1", "4", "6"):
        start = ["--resume", str(folder)] if folder.exists() else ["--data", str(reviews), "--out", str(folder), *SMALL]
        assert example.main([*start, "--epochs", epochs]) == 0
    assert (folder / "history.csv").read_bytes() == (run / "history.csv").read_bytes()
    whole, parts = (ml.load_checkpoint(path / "last.ckpt")[0] for path in (run, folder))
    assert {name: a.tobytes() for name, a in whole.items()} == {name: a.tobytes() for name, a in parts.items()}


def test_the_strong_preset_tests_once_and_resumes_bit_for_bit(example: Any, reviews: Path, tmp_path: Path,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    doubled = tmp_path / "doubled.csv"
    first, *lines = reviews.read_text(encoding="utf-8").splitlines()
    doubled.write_text("\n".join([first, *lines, *lines[:30]]) + "\n", encoding="utf-8")
    unique = len(set(lines))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    arguments = ["--preset", "strong", "--data", str(doubled), *SMALL, "--head", "2", "--window", "16"]
    assert example.main([*arguments, "--epochs", "3", "--out", str(whole)]) == 0
    out = capsys.readouterr().out
    test = -(-unique // 5)
    held_out = -(-(unique - test) // 10)
    assert f"{unique - test - held_out} training, {held_out} validation, {test} test reviews of 6 tokens" in out
    for epochs in ("1", "3"):
        start = ["--resume", str(parts)] if parts.exists() else [*arguments, "--out", str(parts)]
        assert example.main([*start, "--epochs", epochs]) == 0
    for name in ("history.csv", "last.ckpt", "best.ckpt", "predictions.ckpt"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    found = load_predictions(whole)
    host({part: logits.astype(np.float32) for part, logits in found.logits.items()})
    assert found.protocol == "unique" and len(found.labels["test"]) == test and len(found.labels["validation"]) == held_out
    assert f"Test accuracy of the best epoch: {found.accuracy():.4f} on {test} reviews (protocol 'unique': " in out
    history = ml.History.read_csv(whole / "history.csv")
    best = history.best
    assert best is not None and best["epoch"] < 3 and found.accuracy("validation") == pytest.approx(best["val_acc"])
    signed = found.logits["validation"] * (2 * found.labels["validation"] - 1)      # of the averaged weights that were kept
    assert np.logaddexp(0, -signed).mean() == pytest.approx(best["val_loss"], abs=1e-5)
    assert history["lr"] == pytest.approx([0.02, 0.013, 0.00845])
    assert example.main(["--predict", "good", "--run", str(whole)]) == 0


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_leaves_a_run_that_goes_on_bit_for_bit(example: Any, reviews: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(reviews), *SMALL, "--epochs", "300"]
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, str(SCRIPT), *arguments, "--out", str(cut)], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (cut / "history.csv").exists() or (cut / "history.csv").read_text().count("\n") < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(rf"Interrupted in epoch \d+, step \d+. Go on with: .*--resume {re.escape(str(cut))}\n$", errors)
    assert "Traceback" not in errors
    epochs = str(len(ml.History.read_csv(cut / "history.csv")) + 2)
    assert example.main(["--resume", str(cut), "--epochs", epochs]) == 0
    assert example.main([*arguments[:-1], epochs, "--out", str(whole)]) == 0
    assert (cut / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()


def test_mistakes_give_one_line_and_status_2(example: Any, reviews: Path, run: Path, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    new = ["--data", str(reviews), "--out", str(tmp_path / "new")]
    assert "no/such.csv" in refused(example, capsys, "--data", "no/such.csv", *new[2:])
    assert "--hidden-size" in refused(example, capsys, "--hidden-size", "0", *new)
    assert "--epochs" in refused(example, capsys, "--epochs", "two", *new)
    assert "--hiden-size" in refused(example, capsys, "--hiden-size", "3", *new)
    assert "this folder already contains a run" in refused(example, capsys, "--data", str(reviews), "--out", str(run), *SMALL)
    assert "config.json" in refused(example, capsys, "--resume", str(tmp_path / "none"))
    assert "--lr 0.02, not 0.5" in refused(example, capsys, "--resume", str(run), "--lr", "0.5")
    assert "leave out --out" in refused(example, capsys, "--resume", str(run), "--out", str(tmp_path))
    assert "--run" in refused(example, capsys, "--predict", "good", "--resume", str(run))
    assert "--lr" in refused(example, capsys, "--predict", "good", "--run", str(run), "--lr", "1")
    assert "no text" in refused(example, capsys, "--predict", " ", "--run", str(run))
    assert "--head 6: expected less than --max-length, 6" in refused(example, capsys, *new, *SMALL, "--head", "6")
    assert "--window needs --padding post" in refused(example, capsys, *new, "--window", "64")
    assert "multiple of --batch-size, 8" in refused(example, capsys, *new, *SMALL, "--padding", "post", "--window", "9")
    assert "--preset is for new runs" in refused(example, capsys, "--resume", str(run), "--preset", "strong")
    assert not (tmp_path / "new").exists()


def test_a_run_of_other_reviews_is_not_resumed(example: Any, run: Path, tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.csv"
    other.write_text("review,sentiment\n" + "quite nice,positive\nnot nice,negative\n" * 50, encoding="utf-8")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert "other texts" in refused(example, capsys, "--resume", str(run), "--data", str(other), "--epochs", "9")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize("name", ["last.ckpt", "tokenizer.json", "config.json"])
def test_damaged_files_are_named(name: str, example: Any, run: Path, tmp_path: Path,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:len(data) // 2])
    assert name in refused(example, capsys, "--resume", str(folder), "--epochs", "9")
    if name == "last.ckpt":
        (folder / "best.ckpt").write_bytes(data[:100])
        assert "best.ckpt" in refused(example, capsys, "--predict", "good", "--run", str(folder))


def test_cupy_without_a_gpu_is_one_line(example: Any, reviews: Path, tmp_path: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    try:
        require("cupy")
    except ml.BackendError:
        words = refused(example, capsys, "--data", str(reviews), "--backend", "cupy", "--out", str(tmp_path / "new"))
        assert "cupy" in words and "pip install" in words and not (tmp_path / "new").exists()
    else:
        assert example.main(["--data", str(reviews), "--backend", "cupy", "--out", str(tmp_path / "new"), *SMALL]) == 0


def test_a_longer_resumed_run_that_is_interrupted_goes_on_as_printed(example: Any, reviews: Path, tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch,
                                                                     capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a run"
    monkeypatch.chdir(reviews.parent)
    assert example.main(["--data", reviews.name, "--out", str(folder), "--epochs", "1", *SMALL]) == 0
    monkeypatch.chdir(tmp_path)
    tell = ml.History.line

    def interrupt(self: ml.History, row: Any) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return tell(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(ml.History, "line", interrupt)
        assert example.main(["--resume", str(folder), "--epochs", "3"]) == 130
    hint = capsys.readouterr().err.splitlines()[-1].partition("Go on with: ")[2]
    python, script, *arguments = shlex.split(hint)
    assert python == "python" and Path(script) == SCRIPT and arguments == ["--resume", str(folder)]
    assert json.loads((folder / "config.json").read_text())["config"]["epochs"] == 3
    assert ml.load_checkpoint(folder / "last.ckpt")[1]["config"]["epochs"] == 3
    assert example.main(arguments) == 0
    assert len(ml.History.read_csv(folder / "history.csv")) == 3


def test_nothing_of_others_is_overwritten_and_states_are_seen_before_the_data(example: Any, run: Path, tmp_path: Path,
                                                                              monkeypatch: pytest.MonkeyPatch,
                                                                              capsys: pytest.CaptureFixture[str]) -> None:
    def load(*args: Any) -> Any:
        raise AssertionError("the data were loaded")

    monkeypatch.setattr(example.ml, "load_imdb", load)
    for name in ("tokenizer.json", "curves.png"):
        folder = tmp_path / f"with {name}"
        folder.mkdir()
        (folder / name).write_text("mine")
        assert name in refused(example, capsys, "--out", str(folder))
        assert [path.name for path in folder.iterdir()] == [name] and (folder / name).read_text() == "mine"
    assert "this folder already contains a run" in refused(example, capsys, "--out", str(run))
    assert "not a folder" in refused(example, capsys, "--out", str(run / "config.json"))
    assert "not a folder" in refused(example, capsys, "--out", str(run / "config.json" / "below"))
    for option in ("--out", "--resume", "--run"):
        assert "name of a file or folder" in refused(example, capsys, option, "")
    for name in ("config.json", "tokenizer.json", "last.ckpt"):
        folder = tmp_path / f"without {name}"
        shutil.copytree(run, folder)
        (folder / name).unlink()
        assert f"it has no {name}" in refused(example, capsys, "--resume", str(folder), "--epochs", "9")


def test_runs_of_the_same_second_get_folders_of_their_own(example: Any, tmp_path: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2024, 1, 2, 3, 4, 5)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(example, "datetime", Clock)
    names = [example.new_folder("lstm").name for _ in range(3)]
    assert names == ["lstm-20240102-030405", "lstm-20240102-030405-2", "lstm-20240102-030405-3"]


@pytest.mark.parametrize("option", ["--max-length", "--hidden-size", "--embedding-size"])
def test_too_little_memory_is_one_line(option: str, example: Any, reviews: Path, tmp_path: Path,
                                       capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> Any:
        raise MemoryError("Unable to allocate 9 PiB")

    assert f"argument {option}: expected a whole number" in refused(example, capsys, option, str(10**20))
    monkeypatch.setattr(example.ml, "pad_sequences", full)
    words = refused(example, capsys, "--data", str(reviews), "--out", str(tmp_path / "new"), *SMALL)
    assert "not enough memory" in words and "9 PiB" in words and not (tmp_path / "new").exists()


def test_a_large_batch_size_costs_no_memory(example: Any, reviews: Path, tmp_path: Path) -> None:
    options = [*SMALL, "--batch-size", "10000000", "--epochs", "1"]
    assert example.main(["--data", str(reviews), "--out", str(tmp_path / "new"), *options]) == 0


@pytest.mark.parametrize(("name", "value"), [("cell", "gpt"), ("hidden_size", "many"), ("hidden_size", [5]), ("lr", -1),
                                             ("bidirectional", "yes"), ("epochs", True), ("num_words", 0)])
def test_a_config_with_nonsense_is_named(name: str, value: Any, example: Any, run: Path, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    facts = json.loads((folder / "config.json").read_text())
    facts["config"][name] = value
    (folder / "config.json").write_text(json.dumps(facts))
    for argv in (["--resume", str(folder)], ["--predict", "good", "--run", str(folder)]):
        words = refused(example, capsys, *argv)
        assert "config.json" in words and "--" + name.replace("_", "-") in words


def test_all_settings_survive_a_config(example: Any, tmp_path: Path) -> None:
    odd = {**example.DEFAULTS, "data": "-x y", "limit": 7, "mask": True, "bidirectional": True, "dropout": 0.0, "seed": 0,
           "lr": 0.1 + 0.2, "clip_norm": 1e-300, "padding": "post", "num_layers": 2}
    for settings in (odd, example.DEFAULTS):
        (tmp_path / "config.json").write_text(json.dumps({"config": settings}))
        data = settings["data"] and Path(settings["data"])
        assert example.load_settings(tmp_path) == {**settings, "data": data}


@pytest.mark.skipif(os.name != "posix", reason="pipes and locales of POSIX")
def test_terminals_and_pipes_of_all_kinds(run: Path) -> None:
    def predict(data: bytes, command: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
        line = f"{shlex.quote(sys.executable)} {shlex.quote(str(SCRIPT))} --predict --run {shlex.quote(str(run))} {command}"
        return subprocess.run(["bash", "-o", "pipefail", "-c", line], input=data, capture_output=True,
                              env={**os.environ, **environment})

    done = predict("a good café\n".encode(), PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and b"a good caf?" in done.stdout and not done.stderr
    done = predict(b"a good film\n" * 5000, "| head -1")
    assert done.returncode in (0, 141) and done.stdout.count(b"\n") == 1 and not done.stderr
    done = predict(b"good\nb\xe9d\n")
    assert done.returncode == 2 and b"not UTF-8 (byte 0xe9 at offset 6)" in done.stderr and done.stderr.count(b"\n") == 1


def test_messages_speak_of_numbers_not_of_functions(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for option, text, words in (("--epochs", "0", "expected a whole number of at least 1"),
                                ("--num-words", "1", "expected a whole number of at least 2"),
                                ("--seed", "-1", "expected a whole number of at least 0"),
                                ("--lr", "nan", "expected a number above 0"),
                                ("--dropout", "1", "expected a number from 0 up to, but not including, 1")):
        line = refused(example, capsys, f"{option}={text}")
        assert f"argument {option}: {words}" in line and f"got '{text}'" in line


def test_predict_says_when_the_best_epoch_is_missing(example: Any, run: Path, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "best.ckpt").unlink()
    assert example.main(["--predict", "good", "--run", str(folder)]) == 0
    error = capsys.readouterr().err
    assert "best.ckpt is missing" in error and error.count("\n") == 1


def test_a_text_of_unknown_words_is_told(example: Any, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, note in (("Zyx qwv!", "  (contains no known word)"), ("?!", "  (contains no word)"), ("a good zyx film", "")):
        capsys.readouterr()
        assert example.main(["--predict", text, "--run", str(run)]) == 0
        out = capsys.readouterr().out
        assert re.fullmatch(rf"{'unknown ' if note else 'positive'}  p=0\.\d{{4}}  {re.escape(text + note)}\n", out)


def test_one_review_is_too_few(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.csv"
    path.write_text("review,sentiment\nnice,positive\n", encoding="utf-8")
    words = refused(example, capsys, "--data", str(path), "--out", str(tmp_path / "new"), *SMALL)
    assert "one.csv" in words and "--data" in words and not (tmp_path / "new").exists()


def test_reviews_of_one_kind_are_refused(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sorted.csv"
    path.write_text("review,sentiment\n" + "nice,positive\n" * 20 + "bad,negative\n" * 20, encoding="utf-8")
    words = refused(example, capsys, "--data", str(path), "--limit", "20", "--out", str(tmp_path / "new"), *SMALL)
    assert "sorted.csv: all 20 that are used are positive" in words and "--data" in words and not (tmp_path / "new").exists()
