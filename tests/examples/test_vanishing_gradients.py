"""examples/vanishing_gradients.py: its trials, tables and figures, what it keeps and continues, and mistakes."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_programs import imported, refused

import minilstm as ml
from minilstm.lab.cells import COLOURS
from minilstm.lab.gradient_axes import log_axis, new_panels
from minilstm.lab.gradient_tables import BASE, clipping, summary, tables, variant_of, variants, words

SETTINGS: dict[str, Any] = {"problems": ("adding",), "steps": 3, "lag": 6, "length": 6, "hidden_size": 4, "sequences": 3,
                            "forget_biases": (0.0, 1.0), "gains": (2.0,), "clip_norm": 0.01}
ARGV = ["--problems", "adding", "--cells", "gru", "--steps", "2", "--lag", "5", "--hidden-size", "3", "--sequences", "2",
        "--no-progress"]


@pytest.fixture(scope="module")
def example() -> Any:
    return imported("vanishing_gradients", "matplotlib", "pandas")


@pytest.fixture(scope="module")
def folder(example: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the adding problem."""
    folder = tmp_path_factory.mktemp("runs") / "gradients"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "save_figure", lambda figure, path: path.write_text(str(len(figure.axes))))
        example.run(SETTINGS, folder, progress=False)
    return folder


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A CSV of 60 reviews of 4 to 9 words."""
    rng = np.random.default_rng(0)
    path = tmp_path / "reviews.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        for k in range(60):
            writer.writerow([" ".join(rng.choice(["good", "bad", "film", "plot", "a", "the"], rng.integers(4, 10))),
                             "positive" if k % 2 else "negative"])
    return path


def trials(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return [{**row["trial"], **row["result"]} for row in rows]


# A run ---------------------------------------------------------------------------------------------------------------


def test_a_folder_holds_every_trial_once(folder: Path) -> None:
    found = sorted((row["cell"], variant_of(row)) for row in trials(folder))
    assert found == sorted([
        ("rnn", "default"), ("rnn", "Gaussian, 2/√H"), ("rnn", "uniform, ±1/√H"), ("rnn", "clipped at 0.01"),
        ("gru", "default"), ("gru", "clipped at 0.01"), ("lstm", "default"), ("lstm", "forget bias 0"), ("lstm", "chrono"),
        ("lstm", "clipped at 0.01")])
    assert {row["T"] for row in trials(folder)} == {6}
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "summary.csv", "flow.csv", "paths.csv", "jacobians.csv", "gates.csv", "gate-means.csv",
            "training.csv", "adding-gradient-flow.png", "adding-ways-back.png", "adding-jacobians.png",
            "adding-gate-saturation.png", "adding-forget-bias.png", "adding-recurrent-weights.png",
            "adding-clipping.png"} <= names


def test_the_tables_hold_the_numbers(example: Any, folder: Path) -> None:
    frames = example.results(folder)
    with open(folder / "flow.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(frames["flow"])
    for row in trials(folder):
        who = {"cell": row["cell"], "variant": variant_of(row)}
        own = {name: frame[(frame[list(who)] == list(who.values())).all(axis=1)] for name, frame in frames.items()}
        assert own["training"]["loss"].tolist() == row["loss"]
        limit = row["clip_norm"] or np.inf
        assert own["training"]["clipped_norm"].tolist() == [min(norm, limit) for norm in row["gradient_norm"]]
        for reading in row["measured"]:
            at = {name: frame[frame["step"] == reading["step"]] for name, frame in own.items()}
            for state, values in reading["flow"].items():
                curve = at["flow"][at["flow"]["state"] == state]
                assert curve["norm"].tolist() == values and curve["t"].tolist() == list(range(7))
                assert (curve["back"] == 6 - curve["t"]).all()
            largest = at["jacobians"][at["jacobians"]["value"] == "h_largest"]
            wanted = reading["jacobians"]
            assert dict(zip(largest["t"], largest["log10"])) == dict(zip(wanted["steps"], wanted["h_largest"]))
            assert len(at["gates"]) == 4 * len(reading["gates"]) and len(at["gate_means"]) == 6 * len(reading["gates"])


def test_the_summary(example: Any, folder: Path) -> None:
    frames = example.results(folder)
    table = summary(frames)
    assert [(row["cell"], row["step"]) for row in table.to_dict("records")] == [
        (cell, step) for cell in ("rnn", "gru", "lstm") for step in (0, 3)]
    for row in table.to_dict("records"):
        trial = next(t for t in trials(folder) if t["cell"] == row["cell"] and variant_of(t) == "default")
        reading = next(reading for reading in trial["measured"] if reading["step"] == row["step"])
        assert row["h_ratio"] == pytest.approx(reading["flow"]["h"][1] / reading["flow"]["h"][6])
        assert (row["c_ratio"] == row["c_ratio"]) == (row["cell"] == "lstm")
        assert row["jacobian"] == reading["jacobians"]["h_largest"][0]
        if row["cell"] != "rnn":
            assert row["alone"] == reading["paths"]["share"]["alone"][1]
        assert (row["loss"] == row["loss"]) == (row["step"] == 3)
    shown = words(table).to_dict("records")
    assert shown[0]["when"] == "before training" and shown[0]["loss"] == "-" and shown[1]["when"] == "after 3 steps"


def test_numbers_that_are_no_floats(example: Any, folder: Path) -> None:
    table = summary(example.results(folder)).head(1)
    table.loc[0, "jacobian"] = -420.5
    assert words(table).to_dict("records")[0]["σ_max ∂h_T/∂h_1"] == "3.2e-421"
    table.loc[0, "jacobian"] = np.nan
    assert words(table).to_dict("records")[0]["σ_max ∂h_T/∂h_1"] == "-"


def test_clipping_is_counted(example: Any, folder: Path) -> None:
    found = {row["cell"]: row for row in clipping(example.results(folder)).to_dict("records")}
    for trial in trials(folder):
        if trial["clip_norm"]:
            assert found[trial["cell"]]["clipped"] == sum(norm > 0.01 for norm in trial["gradient_norm"])
            assert found[trial["cell"]]["largest_norm"] == max(trial["gradient_norm"])
    assert set(found) == {"rnn", "gru", "lstm"}


def test_variants_have_names_of_their_own() -> None:
    for cell in ("rnn", "gru", "lstm"):
        found = [variant_of({**BASE, "cell": cell, **changes}) for changes in variants(cell, (0, 1, 5), (1, 2), 1)]
        assert len(set(found)) == len(found) and found[0] == "default"


def test_the_same_command_trains_nothing_again(example: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **trial: Any) -> dict[str, Any]:
        raise AssertionError(f"trained again: {trial}")
    monkeypatch.setattr(example, "measured_training", never)
    monkeypatch.setattr(example, "save_figure", lambda figure, path: None)
    before = (folder / "trials.jsonl").read_bytes()
    example.run({**SETTINGS, "cells": ("lstm",)}, folder, progress=False)
    assert (folder / "trials.jsonl").read_bytes() == before
    with pytest.raises(AssertionError, match="trained again"):
        example.run({**SETTINGS, "forget_biases": (3.0,)}, folder, progress=False)


def test_reviews(example: Any, tmp_path: Path, reviews: Path, capsys: pytest.CaptureFixture[str],
                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "save_figure", lambda figure, path: None)
    seen = []
    train = example.measured_training
    monkeypatch.setattr(example, "measured_training", lambda data, **trial: seen.append(data) or train(data, **trial))
    out = tmp_path / "run"
    argv = ["--problems", "imdb", "--data", str(reviews), "--out", str(out), "--cells", "rnn", "--length", "6", "--sequences",
            "2", "--steps", "2", "--hidden-size", "3", "--no-progress"]
    assert example.main(argv) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and "60 reviews from" in captured.out
    assert "48 reviews to train on; measured on 2 others of at least 6 words" in captured.out
    assert seen[0].x.shape == (48, 6) and seen[0].measured_x.shape == (2, 6) and (seen[0].measured_x > 0).all()
    assert (seen[0].x == 0).any()       # training meets padding, as in examples/imdb_lstm.py
    lines = reviews.read_text().splitlines()
    reviews.write_text("\n".join([lines[0], *lines[1:][::-1]]) + "\n")
    assert "other reviews" in refused(example, capsys, *argv)
    assert example.main(["--problems", "adding", "--lag", "100", *argv[4:]]) == 0       # more in the same folder
    assert {row["problem"] for row in trials(out)} == {"imdb", "adding"}
    assert "only" in refused(example, capsys, *argv[:4], "--out", str(tmp_path / "new"), "--length", "9", "--sequences", "9")


def test_what_is_printed_and_interrupted(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the second trial: the first is kept, and the same command makes the others alone."""
    train, calls = example.measured_training, []

    def stop(*data: Any, **trial: Any) -> dict[str, Any]:
        calls.append(trial)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return dict(train(*data, **trial))
    monkeypatch.setattr(example, "measured_training", stop)
    argv = [*ARGV, "--out", str(tmp_path / "run")]
    assert example.main(argv) == 130
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == f"\nInterrupted. The same command goes on with {tmp_path / 'run'}.\n"
    assert example.main(argv) == 0
    assert len(calls) == 3 and calls[2] == calls[1]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2:4] for line in lines[1:3]] == [["before", "training"], ["after", "2"]]
    assert lines[3].startswith("adding, GRU, clipped at 1: in ")
    assert str(tmp_path) in lines[-1]
    names = sorted(path.name for path in (tmp_path / "run").glob("*.png"))
    assert "adding-gradient-flow.png" in names and "adding-forget-bias.png" not in names
    assert all((tmp_path / "run" / name).read_bytes()[:4] == b"\x89PNG" for name in names)


def test_some_reviews_of_a_sorted_file(example: Any, tmp_path: Path) -> None:
    path = tmp_path / "sorted.csv"
    lines = [f"{word} {k},{word}" for word in ("negative", "positive") for k in range(50)]
    path.write_text("\n".join(["review,sentiment", *lines]) + "\n")
    settings = {**example.BUDGET, "length": 2, "sequences": 2}
    found, digest = example.load_reviews({**settings, "limit": 20}, str(path), lambda line: None)
    assert len(found.y) == 16 and 0 < found.y.mean() < 1
    whole, other = example.load_reviews(settings, str(path), lambda line: None)
    parts = ml.train_test_split(np.repeat([0, 1], 50), test_size=0.2, random_state=42)
    assert (whole.y == parts[0]).all() and digest != other


# Figures -------------------------------------------------------------------------------------------------------------


def lines_of(axes: Any) -> dict[str, tuple[list[float], list[float]]]:
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def test_the_flow_figure_shows_the_numbers(example: Any, folder: Path) -> None:
    figure = example.FIGURES["gradient-flow"](example.results(folder), "adding")
    for axes, step in zip(figure.axes, (0, 3)):
        lines = lines_of(axes)
        assert len(lines) == 4
        for cell, name in (("rnn", "RNN"), ("gru", "GRU"), ("lstm", "LSTM")):
            trial = next(t for t in trials(folder) if t["cell"] == cell and variant_of(t) == "default")
            flow = next(reading for reading in trial["measured"] if reading["step"] == step)["flow"]
            assert lines[f"{name}  ‖∂L/∂h$_t$‖"] == (list(range(6, -1, -1)), flow["h"])
        assert axes.get_yscale() == "log" and axes.get_xlim() == (6, 0)
    assert [line.get_color() for line in figure.axes[0].lines] == [
        COLOURS["rnn"], COLOURS["gru"], COLOURS["lstm"], COLOURS["lstm"]]


def test_the_other_figures_show_what_they_say(example: Any, folder: Path) -> None:
    frames = example.results(folder)
    figures = {name: draw(frames, "adding") for name, draw in example.FIGURES.items()}
    for figure in figures.values():
        figure.canvas.draw()
    labels = {name: [list(lines_of(axes)) for axes in figure.axes] for name, figure in figures.items()}
    assert labels["ways-back"][0] == [
        "the whole gradient", "along the state alone (LSTM: the cell)", "through at least one gate"]
    assert labels["ways-of-one-step"][2] == ["along the state, z", "reset gate r", "update gate z", "candidate n"]
    assert labels["gradient-flow-during-training"][3] == [
        "before training", "after 1 training steps", "after 3 training steps"]
    assert labels["forget-bias"][0] == ["forget bias 0", "forget bias 1 (default)", "chrono"]
    assert labels["recurrent-weights"][1] == ["orthogonal (default)", "Gaussian, 2/√H", "uniform, ±1/√H"]
    assert "limit 0.01" in labels["clipping"][2] and "RNN with clipping" in labels["clipping"][3]
    assert "RNN: bound σ$_{max}$(W$_h$)$^{T-t}$" in labels["jacobians"][0] and len(figures["jacobians"].axes) == 8
    assert len({axes.get_ylim() for axes in figures["jacobians"].axes}) == 1        # or the panels could not be compared
    alone = lines_of(figures["ways-back"].axes[0])["along the state alone (LSTM: the cell)"][1]
    trial = next(t for t in trials(folder) if t["cell"] == "lstm" and variant_of(t) == "default")
    assert alone == trial["measured"][0]["paths"]["norm"]["alone"][:6]
    means = lines_of(figures["gates-over-time"].axes[0])
    assert means["forget gate f, before training"] == (list(range(5, -1, -1)), trial["measured"][0]["gates"]["f"]["over_time"])
    assert len(means) == 6 and len(lines_of(figures["gates-over-time"].axes[1])) == 4
    frames["gates"] = frames["gates"].assign(left=0.2, right=0.5)
    bars = example.FIGURES["gate-saturation"](frames, "adding").axes[0].patches[:3]         # of the LSTM's forget gate
    assert [(round(bar.get_x()), round(bar.get_width())) for bar in bars] == [(0, 20), (20, 30), (50, 50)]


def test_figures_fit_a_page_and_a_phone_and_no_legend_hides_data(example: Any, folder: Path) -> None:
    frames = example.results(folder)
    for name, draw in example.FIGURES.items():
        for columns in (1, 2):
            figure = draw(frames, "adding", columns)
            figure.draw_without_rendering()
            [legend] = figure.legends
            assert all(axes.get_legend() is None for axes in figure.axes), name
            assert all(axes.get_window_extent().ymin > legend.get_window_extent().ymax for axes in figure.axes), name
            assert legend.get_window_extent().width < figure.bbox.width and figure.get_figwidth() <= 6.5 * columns + 2, name


@pytest.mark.parametrize("values, ticks", [
    ([2.1, 3.9], ["2", "3"]), ([0.25, 0.9], ["0.3", "0.5"]), ([0.02, 0.9], ["0.03", "0.1", "0.5"]),
    ([1e-8, 1.0], ["$\\mathdefault{10^{-4}}$"])])
def test_ticks_of_a_logarithmic_axis_are_powers_of_ten_or_plain_numbers(values: list[float], ticks: list[str]) -> None:
    pytest.importorskip("matplotlib", reason="the examples extra is not installed")
    figure, [axes] = new_panels(1, 1)
    axes.plot(values)
    log_axis(axes)
    figure.draw_without_rendering()
    shown = [label.get_text() for label in axes.get_yticklabels(which="both")]
    assert set(ticks) <= set(shown) and not any("times" in text for text in shown)


def test_a_gradient_of_zero_can_be_drawn(example: Any, folder: Path) -> None:
    rows = trials(folder)
    for row in rows:
        for reading in row["measured"]:
            reading["flow"] = {state: [0.0, None, *values[2:]] for state, values in reading["flow"].items()}
    figure = example.FIGURES["gradient-flow"](tables(rows), "adding")
    figure.canvas.draw()
    assert np.isnan(figure.axes[0].lines[0].get_ydata()[:2]).all()
    with pytest.raises(ml.ArgumentError, match="no trial of the problem 'imdb'"):
        example.FIGURES["gradient-flow"](tables(rows), "imdb")


# Mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv, says", [
    (["--problems", "adding,sorting"], "expected one of imdb, adding"),
    (["--cells", "cnn"], "expected one of rnn, gru, lstm"),
    (["--measure", "0,3"], "trained for 2 steps, so there is no step 3"),
    (["--steps", "0"], "expected a whole number of at least 1"),
    (["--forget-biases", "1,nan"], "expected a number"),
    (["--gains", "0"], "expected a number above 0"),
    (["--clip-norm", "-1"], "expected a number above 0"),
    (["--lag", "2"], "expected a whole number of at least 3"),
    (["--jobs", "0"], "jobs"),
    (["--job", "2"], "unrecognized"),
])
def test_mistakes(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], says: str) -> None:
    assert says in refused(example, capsys, *ARGV, "--out", str(tmp_path / "run"), *argv)
    assert not (tmp_path / "run").exists()


def test_folders_that_are_something_else(example: Any, folder: Path, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert "contains other files" in refused(example, capsys, "--out", str(tmp_path / "file"), *ARGV)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "flow.csv").write_text("mine")
    assert "contains other files" in refused(example, capsys, "--out", str(tmp_path / "mine"), *ARGV)
    (tmp_path / "damaged").mkdir()
    for text in ("{", "[]", '{"budget": {}}'):
        (tmp_path / "damaged" / "config.json").write_text(text)
        assert "config.json: does not describe" in refused(example, capsys, "--out", str(tmp_path / "damaged"), *ARGV)
    line = refused(example, capsys, "--out", str(folder), *ARGV)
    assert "--steps 3, not 2" in line and "--lag 6, not 5" in line


def test_a_missing_package_is_named_first(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert '.[examples]' in refused(example, capsys, *ARGV, "--out", str(tmp_path / "run"))
    with pytest.raises(ml.ArgumentError, match="there is no 'epochs'"):
        example.run({"epochs": 3}, tmp_path / "run")
    assert not (tmp_path / "run").exists()
