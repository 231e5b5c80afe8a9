"""examples/imdb_ablation.py: its table, what it continues, and which reviews it uses."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_programs import imported

from minilstm.lab import imdb_trials
from minilstm.training.reference import ReferenceSettings, reference_model

SMALL = ["--train", "64", "--validation", "10", "--epochs", "1", "--hidden-size", "2", "--no-progress", "--seeds", "2"]


@pytest.fixture(scope="module")
def example() -> Any:
    return imported("imdb_ablation", "pandas", "joblib")


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    rng = np.random.default_rng(0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        for number in range(100):
            words = [*rng.choice(["the", "film", "plot", "was"], rng.integers(5, 9)), str(number), ("bad", "good")[number % 2]]
            writer.writerow([" ".join(words), ("negative", "positive")[number % 2]])
    return path


def test_a_table_of_variants_that_is_continued(example: Any, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    some = ("all ingredients", "last state, not pooled", "first 200 tokens", "forget gate held shut")
    monkeypatch.setattr(example, "VARIANTS", {name: example.VARIANTS[name] for name in some})
    argv = ["--data", str(reviews), "--out", str(tmp_path), *SMALL]
    assert example.main(argv) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0][2:] for line in lines[2:]] == list(some)
    assert all(line.count("(2)") == (1 if place == 0 else 2) for place, line in enumerate(lines[2:]))
    trials = (tmp_path / "trials.jsonl").read_bytes()

    def no_trial(*_: Any, **__: Any) -> Any:
        raise AssertionError("a finished trial was run again")
    monkeypatch.setattr(example, "train_on_reviews", no_trial)
    assert example.main(argv) == 0
    assert (tmp_path / "trials.jsonl").read_bytes() == trials and (tmp_path / "table.md").read_text() in out
    capsys.readouterr()
    assert example.main([*argv, "--train", "60"]) == 2
    assert "--train" in capsys.readouterr().err
    assert example.main([*argv, "--validation", "9"]) == 2
    assert "other reviews" in capsys.readouterr().err
    assert example.main([*argv, "--train", "99"]) == 2
    assert "too few" in capsys.readouterr().err


def test_every_variant_is_a_trial(example: Any) -> None:
    """Its settings are those of a trial, and its model can be built."""
    models = set()
    for changes in example.VARIANTS.values():
        assert set(changes) <= set(example.BASE) | {"hold"}
        settings = imdb_trials.ReviewsTrial(**{**example.BASE, **changes})
        models.add(repr(reference_model(ReferenceSettings.of(vars(settings)))))
    assert len(models) > 8


def test_mean_and_spread(example: Any) -> None:
    results = {(name, seed): {"best_val_acc": 0.8 + 0.01 * seed + 0.1 * (name == "one direction"), "seconds": 2.0}
               for name in ("all ingredients", "one direction") for seed in range(3)}
    results["one direction", 3] = results["all ingredients", 3] = {"best_val_acc": None, "seconds": 4.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "VARIANTS", {"all ingredients": {}, "one direction": {}})
        frame = example.table(results)
    assert frame["validation accuracy"].tolist() == ["81.00 ± 1.00 (3)", "91.00 ± 1.00 (3)"]
    assert frame["difference"].tolist() == ["", "+10.00 ± 0.00 (3)"] and frame["seconds"].tolist() == ["2", "2"]
