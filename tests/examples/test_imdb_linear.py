"""examples/imdb_linear.py: its features against the paper's formula, McNemar's test, and the tables it prints."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.training.predictions import PREDICTIONS, load_predictions, save_predictions

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def example() -> Any:
    for package in ("sklearn", "pandas"):
        pytest.importorskip(package, reason="the examples extra is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        spec = importlib.util.spec_from_file_location("imdb_linear", EXAMPLES / "imdb_linear.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def linear(example: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(reviews told apart by two words side by side, and by no single word; the folder of a trained model)"""
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    rng = np.random.default_rng(0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        for number in range(200):
            noise = list(rng.choice(["the", "film", "plot", "was", "a", "seen"], 6))
            pairs = ["not bad and good", "bad and not good"]
            writer.writerow([" ".join([*noise, pairs[number % 2]]), "negative" if number % 2 else "positive"])
    out = path.parent / "linear"
    assert example.main(["--data", str(path), "--out", str(out)]) == 0
    return path, out


def test_ratio_is_the_papers(example: Any) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    x, y = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 0.0]]), np.array([1, 0, 0])
    p, q = np.array([2, 1, 2]) / 5, np.array([2, 3, 1]) / 6         # one, and how often each occurs
    np.testing.assert_allclose(example.log_ratio(sparse.csr_array(x), y), np.log(p / q), rtol=1e-14)


def test_mcnemar_counts_only_what_differs(example: Any) -> None:
    one, other = np.zeros((2, 40), bool)
    one[:30], other[10:30] = True, True
    other[38:] = True               # 10 to 2: two-sided, 2 · Σ_{k ≤ 2} C(12, k) / 2^12
    assert example.mcnemar(one, other) == pytest.approx(2 * (1 + 12 + 66) / 2 ** 12)
    assert example.mcnemar(one, other) == example.mcnemar(other, one) and example.mcnemar(one, one) == 1.0


def test_it_learns_what_two_words_mean(example: Any, linear: tuple[Path, Path]) -> None:
    found = load_predictions(linear[1])
    assert found.accuracy() == found.accuracy("validation") == 1.0 and found.protocol == "unique"
    assert len(found.logits["test"]) == 40 and len(found.logits["validation"]) == 16


def test_a_table_of_runs(example: Any, linear: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, folder = linear
    first = load_predictions(folder)
    rng, folders = np.random.default_rng(0), []
    for seed in range(2):
        logits = {part: np.where(y, 1, -1) + 1.2 * rng.standard_normal(len(y)) for part, y in first.labels.items()}
        texts = {part: [""] * len(y) for part, y in first.labels.items()}
        folders.append(tmp_path / f"run{seed}")
        folders[-1].mkdir()
        run = save_predictions(folders[-1], f"noise {seed}", "unique", logits, texts, first.labels)
    assert example.main(["--compare", *map(str, folders)]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("40 test reviews, protocol 'unique'")
    assert lines[2].startswith("| model | test accuracy | errors |")
    assert f"| noise 1 | {run.accuracy():.4f} | {int((~run.right()).sum())} |" in out and "| both: noise 1 |" in out
    assert "mean of" not in out
    assert example.main(["--compare", str(folder), *map(str, folders)]) == 2
    assert "other reviews" in capsys.readouterr().err
    assert example.main(["--compare", *map(str, [*folders, folders[0]])]) == 0
    assert "| mean of the 2 others |" in capsys.readouterr().out


def test_together_is_better_than_either(example: Any, linear: tuple[Path, Path]) -> None:
    first, rng = load_predictions(linear[1]), np.random.default_rng(1)

    def noisy(size: float) -> Any:
        labels = {part: np.resize([0.0, 1.0], 1000) for part in first.labels}
        return first._replace(labels=labels, logits={part: np.where(y, 1, -1) + size * rng.standard_normal(len(y))
                                                     for part, y in labels.items()})
    one, other, useless = noisy(1.0), noisy(1.0), noisy(50.0)
    assert example.together(one, other).accuracy() > max(one.accuracy(), other.accuracy()) + 0.02
    assert abs(example.together(one, useless).accuracy() - one.accuracy()) < 0.02
    mean = example.mean_of([one, other])
    np.testing.assert_allclose(mean.logits["test"], (one.logits["test"] + other.logits["test"]) / 2)


def test_mistakes_are_one_line(example: Any, linear: tuple[Path, Path], tmp_path: Path,
                               capsys: pytest.CaptureFixture[str]) -> None:
    path, folder = linear
    for argv, words in ((["--compare", str(folder)], "at least two"), (["--compare", str(folder), str(tmp_path)], PREDICTIONS),
                        (["--data", str(path), "--out", str(folder)], "already contains"),
                        (["--data", str(path), "--holdout", "0", "--out", str(tmp_path / "x")], "--holdout"),
                        (["--data", str(path), "--limit", "4", "--out", str(tmp_path / "x")], "too few"),
                        (["--data", str(path), "--min-df", "999", "--out", str(tmp_path / "x")], "reviews.csv")):
        assert example.main(argv) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1 and not (tmp_path / "x").exists()


def test_a_file_that_holds_no_predictions(tmp_path: Path) -> None:
    ml.save_checkpoint(tmp_path / PREDICTIONS, {}, {"kind": "other"})
    with pytest.raises(ml.CheckpointError, match="no file of predictions"):
        load_predictions(tmp_path)
