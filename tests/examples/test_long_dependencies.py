"""examples/long_dependencies.py: its trials, what it keeps and continues, its table and figures, and mistakes."""

from __future__ import annotations

import csv
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
from example_programs import imported, refused

import minilstm as ml
from minilstm.lab import lag_results
from minilstm.lab.cells import CELLS, COLOURS

BUDGET = ["--parameters", "60", "--steps", "2", "--batch-size", "4", "--no-progress"]
SETTINGS = {"parameters": 60, "steps": 2, "batch_size": 4}
PLACE = {"T": 100, "cell": "lstm", "seed": 0, "task": "adding-1997"}


@pytest.fixture(scope="module")
def example() -> Any:
    return imported("long_dependencies", "matplotlib", "pandas")


@pytest.fixture(scope="module")
def folder(example: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three cells, two lags and two seeds, and of the Reber grammar."""
    folder = tmp_path_factory.mktemp("runs") / "lags"
    example.run({**SETTINGS, "task": ("adding",), "lags": (5, 8), "seeds": 2}, folder, progress=False)
    example.run({**SETTINGS, "task": ("reber",), "cells": ("lstm",), "seeds": 1}, folder, progress=False)
    return folder


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def write_trials(folder: Path, results: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Leave made-up trials, so that the numbers behind a table are known."""
    common = {"error_name": "test MSE", "baseline": 0.2, "diverged": False, "parameters": 60, "hidden_size": 4, "steps": 7,
              "seconds": 1.5, "curve": []}
    folder.mkdir(exist_ok=True)
    (folder / "trials.jsonl").write_text("".join(
        json.dumps({"trial": trial, "result": {**common, "sequences": None, "solved": False, "error": 0.1, **result}}) + "\n"
        for trial, result in results))


# A run ---------------------------------------------------------------------------------------------------------------


def test_a_folder_holds_every_trial_once(folder: Path) -> None:
    found = [(row["trial"]["task"], row["trial"]["T"], row["trial"]["cell"], row["trial"]["seed"]) for row in rows(folder)]
    assert sorted(found, key=str) == sorted(
        [("reber", None, "lstm", 0), *[("adding", T, cell, seed) for T in (5, 8) for cell in CELLS for seed in (0, 1)]],
        key=str)
    assert {row["trial"]["max_steps"] for row in rows(folder)} == {2}
    assert json.loads((folder / "config.json").read_text())["budget"] == {
        "parameters": 60, "steps": 2, "batch_size": 4, "lr": 0.005, "clip_norm": 1.0, "init": "default", "evaluate_every": 100}
    for name in ("figure-adding.png", "figure-reber.png"):
        assert (folder / name).read_bytes()[:4] == b"\x89PNG"
    with open(folder / "results.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["task"], row["T"], row["cell"], row["seeds"]) for row in table] == [
        *[("adding", T, cell, "2") for T in ("5", "8") for cell in CELLS], ("reber", "0", "lstm", "1")]


def test_results_are_those_of_the_trials(folder: Path) -> None:
    frame = lag_results.results(folder)
    for row in frame.to_dict("records"):
        errors = [r["result"]["error"] for r in rows(folder)
                  if (r["trial"]["task"], r["trial"]["T"] or 0, r["trial"]["cell"]) == (row["task"], row["T"], row["cell"])]
        assert row["error"] == statistics.median(errors)
        assert (row["error_low"], row["error_high"]) == (min(errors), max(errors))
        assert row["solved"] == 0 and row["sequences"] != row["sequences"]


def test_the_same_command_trains_nothing_again(example: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(**trial: Any) -> dict[str, Any]:
        raise AssertionError(f"trained again: {trial}")
    before = (folder / "trials.jsonl").read_bytes()
    monkeypatch.setattr(example, "train_on_task", never)
    frame = example.run({**SETTINGS, "lags": (8, 5), "seeds": 1}, folder, progress=False)
    assert len(frame) == 7 and (folder / "trials.jsonl").read_bytes() == before     # all that the folder holds
    with pytest.raises(AssertionError, match="trained again"):
        example.run({**SETTINGS, "lags": (6,)}, folder, progress=False)


def test_other_settings_do_not_go_on(example: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "trials.jsonl").read_bytes()
    line = refused(example, capsys, "--out", str(folder), *BUDGET, "--lr", "0.1", "--init", "chrono")
    assert "--lr 0.005, not 0.1, --init default, not chrono" in line and "batch" not in line
    assert (folder / "trials.jsonl").read_bytes() == before


def test_what_is_printed(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--out", str(tmp_path / "new" / "run"), "--cells", "rnn,gru", "--lags", "4", "--seeds", "1", *BUDGET]
    assert example.main(argv) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[1].split()[:7] == ["adding", "4", "RNN", "6", "54", "0", "of"] and len(lines) == 6
    assert "In 1997" not in captured.out and captured.err == "" and str(tmp_path) in lines[-1]


def test_interrupted(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                     monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the third trial: two are kept and shown, and the same command makes the others alone."""
    train, calls = example.train_on_task, []

    def stop(**trial: Any) -> dict[str, Any]:
        calls.append(trial)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return dict(train(**trial))
    monkeypatch.setattr(example, "train_on_task", stop)
    argv = ["--out", str(tmp_path / "run"), "--lags", "4,5", "--seeds", "1", *BUDGET]
    assert example.main(argv) == 130
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == f"\nInterrupted. The same command goes on with {tmp_path / 'run'}.\n"
    assert len(rows(tmp_path / "run")) == 2 and (tmp_path / "run" / "results.csv").exists()
    assert example.main(argv) == 0
    assert len(calls) == 3 + 4 and len(rows(tmp_path / "run")) == 6
    assert calls[3] == calls[2]


def test_two_processes_make_the_same_trials(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    settings = {**SETTINGS, "cells": ("rnn", "lstm"), "lags": (5,), "seeds": 2}
    one, two = (example.run(settings, tmp_path / str(jobs), jobs=jobs, progress=False) for jobs in (1, 2))
    assert one.drop(columns="seconds").equals(two.drop(columns="seconds"))


def test_options_reach_the_sweep(example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(example, "run_sweep", lambda function, trials, path, **options: seen.update(options, trials=trials))
    assert example.main(["--out", str(tmp_path), *BUDGET, "--seeds", "1", "--lags", "9", "--cells", "gru", "--jobs", "3",
                         "--dask", "tcp://here:1", "--init", "uniform", "--lr", "0.5", "--clip-norm", "2",
                         "--evaluate-every", "7"]) == 0
    assert (seen["jobs"], seen["dask"], seen["progress"]) == (3, "tcp://here:1", False)
    assert seen["trials"] == [{"task": "adding", "cell": "gru", "T": 9, "seed": 0, "parameters": 60, "max_steps": 2,
                               "batch_size": 4, "lr": 0.5, "clip_norm": 2.0, "init": "uniform", "evaluate_every": 7}]


@pytest.mark.slow
def test_quick(example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What --quick shows is what the full run is for: the LSTM solves what the RNN of the same size does not."""
    monkeypatch.chdir(tmp_path)
    assert example.main(["--quick", "--cells", "rnn,lstm", "--lags", "30", "--seeds", "1", "--no-progress"]) == 0
    frame = lag_results.results(tmp_path / "runs" / "long-dependencies-quick")
    assert list(frame["solved"]) == [0, 1]


# Table and figure ----------------------------------------------------------------------------------------------------


def test_solved_and_published(tmp_path: Path) -> None:
    write_trials(tmp_path, [
        ({**PLACE, "seed": 0}, {"solved": True, "sequences": 1000, "error": 0.01}),
        ({**PLACE, "seed": 1}, {"solved": True, "sequences": 3000, "error": 0.03}),
        ({**PLACE, "seed": 2}, {"diverged": True, "error": 0.9}),
        ({**PLACE, "cell": "rnn"}, {}),
        ({**PLACE, "T": 500}, {}),
        ({**PLACE, "T": 60}, {}),
        ({**PLACE, "T": None, "task": "reber"}, {}),
    ])
    frame = lag_results.results(tmp_path)
    by = {(row["task"], row["T"], row["cell"]): row for row in frame.to_dict("records")}
    lstm = by["adding-1997", 100, "lstm"]
    assert (lstm["seeds"], lstm["solved"], lstm["sequences"], lstm["diverged"]) == (3, 2, 2000, 1)
    assert (lstm["error"], lstm["error_low"], lstm["error_high"]) == (0.03, 0.01, 0.9)
    assert lstm["published"] == 74_000 and by["adding-1997", 500, "lstm"]["published"] == 209_000
    assert by["reber", 0, "lstm"]["published"] == 8_440
    for place in (("adding-1997", 60, "lstm"), ("adding-1997", 100, "rnn")):
        assert by[place]["published"] != by[place]["published"]
    words = lag_results.table(frame).to_dict("records")
    shown = next(row for row in words if row["T"] == 100 and row["cell"] == "LSTM")
    assert shown["solved"] == "2 of 3" and shown["sequences needed"] == "2,000" and shown["in 1997"] == "74,000"
    assert shown["error"] == "0.03" and shown["without memory"] == "0.2"
    assert words[-1]["T"] == "-" and words[-1]["sequences needed"] == "-"


def test_a_figure_shows_the_numbers(tmp_path: Path) -> None:
    write_trials(tmp_path, [({"task": "adding", "cell": cell, "T": T, "seed": seed},
                             {"solved": cell == "lstm" and seed == 0, "sequences": 10, "error": T / 1000 + seed / 100})
                            for cell in ("rnn", "lstm") for T in (50, 100) for seed in (0, 1)])
    figure = lag_results.draw(lag_results.results(tmp_path), "adding")
    share, errors = figure.axes
    assert {line.get_color(): list(line.get_ydata()) for line in share.lines} == {
        COLOURS["rnn"]: [0, 0], COLOURS["lstm"]: [50, 50]}
    found = {container.lines[0].get_color(): list(container.lines[0].get_ydata()) for container in errors.containers}
    assert found == dict.fromkeys((COLOURS["rnn"], COLOURS["lstm"]), [pytest.approx(0.055), pytest.approx(0.105)])
    baseline = next(line for line in errors.lines if line.get_label() == "without memory")
    assert set(baseline.get_ydata()) == {0.2}
    criterion = next(line for line in errors.lines if line.get_label() == "solved below 0.01")
    assert set(criterion.get_ydata()) == {0.01}
    assert [label.get_text() for label in share.get_xticklabels()] == ["50", "100"]
    assert errors.get_yscale() == "log" and "MSE" in errors.get_ylabel()
    with pytest.raises(ml.ArgumentError, match="no result of the task 'copy'"):
        lag_results.draw(lag_results.results(tmp_path), "copy")


def test_an_error_of_zero_can_be_drawn(tmp_path: Path) -> None:
    write_trials(tmp_path, [({"task": "reber", "cell": "gru", "T": None, "seed": 0},
                             {"solved": True, "sequences": 5, "error": 0.0})])
    figure = lag_results.draw(lag_results.results(tmp_path), "reber")
    assert figure.axes[1].get_yscale() == "linear"
    figure.canvas.draw()


def test_no_results_yet(tmp_path: Path) -> None:
    assert len(lag_results.results(tmp_path)) == 0


# Mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv, words", [
    (["--task", "adding,sorting"], "expected one of adding, adding-1997"),
    (["--cells", "cnn"], "expected one of rnn, gru, lstm"),
    (["--lags", "10,x"], "expected a whole number of at least 1"),
    (["--lags", "21", "--task", "adding-1997"], "adding_1997 needs at least 22 steps, got 21"),
    (["--seeds", "0"], "expected a whole number"),
    (["--lr", "nan"], "expected a number above 0"),
    (["--init", "zeros"], "--init"),
    (["--jobs", "0"], "jobs"),
    (["--job", "2"], "unrecognized"),
    (["more"], "unrecognized"),
])
def test_mistakes(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    assert words in refused(example, capsys, "--out", str(tmp_path / "run"), *BUDGET, *argv)
    assert not (tmp_path / "run").exists()


def test_folders_that_are_something_else(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert "contains other files" in refused(example, capsys, "--out", str(tmp_path / "file"), *BUDGET)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "results.csv").write_text("mine")
    assert "contains other files" in refused(example, capsys, "--out", str(tmp_path / "table"), *BUDGET)
    assert (tmp_path / "table" / "results.csv").read_text() == "mine"
    (tmp_path / "damaged").mkdir()
    for text in ("{", "[]", '{"budget": {}}', '{"budget": 3}'):
        (tmp_path / "damaged" / "config.json").write_text(text)
        assert "config.json: does not describe" in refused(example, capsys, "--out", str(tmp_path / "damaged"), *BUDGET)


def test_settings_that_are_none(example: Any, tmp_path: Path) -> None:
    with pytest.raises(ml.ArgumentError, match="there is no 'epochs'"):
        example.run({"epochs": 3}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_missing_package_is_named_first(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert '.[examples]' in refused(example, capsys, "--out", str(tmp_path / "run"), *BUDGET)
    assert not (tmp_path / "run").exists()
