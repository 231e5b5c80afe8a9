"""The parts of the lab report: a page without anything from outside, and sentences that only the numbers decide."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_pages import outside_references

import minilstm as ml
from minilstm.lab import conclusions
from minilstm.lab import report_sections as sections
from minilstm.lab.report import (Equations, Figure, Findings, Heading, Items, Quote, Section, Table, Text,
                                 render, typeset, write_report)
from minilstm.lab.stages import STAGE, run_stage

PIXEL = b"RIFF0000WEBP"
NASTY = "<script>alert('x')</script> & \"quotes\" <img src=http://example.org/a.png>"


# The page ------------------------------------------------------------------------------------------------------------


def page_of(*blocks: Any) -> str:
    pytest.importorskip("jinja2", reason="the examples extra is not installed")
    return render("A title", "Below it", [Section("First part", list(blocks)), Section("Second", [Text("end")])])


class Outline(HTMLParser):
    """Tags in order, text, and whether every tag that opens is closed."""

    VOID = ("meta", "img", "br", "link", "source")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_kind_of_block_is_on_the_page_and_the_page_is_whole() -> None:
    page = page_of(Text("some words"), Heading("a heading"), Items(["one", "two"]), Findings(["found"]),
                   Equations([("c_t = f_t * c_{t-1}", "cell f_t")], "Cell"), Quote("said", "by whom"),
                   Table(("x", "y"), [["1", "2"], ["3", "4"]], "numbers", [1]), Figure(PIXEL, "a picture"),
                   Figure(PIXEL, "one that a phone gets another of", narrow=PIXEL))
    outline = Outline(page)
    assert not outline.open
    for words in ("found", "some words", "a heading", "one", "cell f", "said", "by whom", "numbers", "a picture"):
        assert words in outline.text
    assert "c<sub>t</sub> = f<sub>t</sub> * c<sub>t-1</sub>" in page and page.count('class="bold"') == 1
    assert outline.tags.count("img") == 2 and 'href="#first-part"' in page and 'id="first-part"' in page
    assert 'name="viewport"' in page and outline.tags.count("source") == 1


def test_on_a_phone_each_value_of_a_wide_table_stands_beside_the_name_of_its_column() -> None:
    small, wide = Table(("x", "y"), [["a very long name of what is measured", "1"]], ""), Table(
        ("task", "error"), [["adding", "9" * 40]], "")
    assert not small.wide and wide.wide
    assert 'class="wide"' not in page_of(small)
    assert '<table class="wide">' in (page := page_of(wide)) and f"<span>error</span><div>{'9' * 40}</div>" in page


@pytest.mark.parametrize("block", [Text(NASTY), Items([NASTY]), Quote(NASTY, NASTY), Equations([(NASTY, NASTY)]),
                                   Table((NASTY,), [[NASTY]], NASTY), Figure(PIXEL, NASTY, NASTY), Heading(NASTY)])
def test_what_comes_from_data_is_escaped(block: Any) -> None:
    page = page_of(block)
    assert "<script" not in page and "<img src=http" not in page and "&lt;script&gt;" in page
    assert outside_references(page) == []


def test_outside_references_are_found() -> None:
    for bad in ('<img src="http://a/b.png">', '<link rel="stylesheet" href="style.css">', '<script>1</script>',
                '<style>body { background: url(x.png) }</style>', '<style>@import "x.css";</style>',
                '<div style="background: url(\'https://a/b\')"></div>', '<a href="https://a">a</a>',
                '<img srcset="a.png 2x">'):
        assert outside_references(f"<html>{bad}</html>"), bad
    fine = ('<a href="#a">a</a><img src="data:image/png;base64,AAAA">'
            '<style>a { background: url(data:image/png;base64,A) }</style>')
    assert outside_references(fine) == []


def test_equations_are_set_with_subscripts_and_nothing_else() -> None:
    assert typeset("h_{t-1} < x_t^2") == "h<sub>t-1</sub> &lt; x<sub>t</sub><sup>2</sup>"
    assert typeset("w_{nh} c̃_t") == "w<sub>nh</sub> c̃<sub>t</sub>"
    assert typeset("x_{<b>}") == "x<sub>&lt;b&gt;</sub>"


@pytest.mark.parametrize("text, html", [
    ("‖∂L/∂h_1‖/‖∂L/∂h_T‖", "‖∂L/\u2060∂h<sub>1</sub>‖/‖∂L/\u2060∂h<sub>T</sub>‖"), ("σ_max", "σ<sub>max</sub>"),
    ("10^-3", "10<sup>−3</sup>"), ("1.1e-02 times", "1.1\u00a0×\u00a010<sup>−2</sup> times"),
    ("3e+15", "3\u00a0×\u00a010<sup>15</sup>"), ("my_reviews.csv, imdb_lstm.py, 1e, v1.2e-3x", None)])
def test_symbols_and_numbers_in_prose_and_tables_are_set_and_names_are_left(text: str, html: str | None) -> None:
    page = page_of(Text(text), Items([text]), Table((text, text), [[text, text]], text), Figure(PIXEL, text))
    assert page.count(text if html is None else html) == 10 + (html is None)        # the alternative text is left as it is


def test_the_file_is_utf8(tmp_path: Path) -> None:
    pytest.importorskip("jinja2", reason="the examples extra is not installed")
    write_report(tmp_path / "a.html", "c̃ and ∂", "", [])
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "c̃ and ∂" in text and '<meta charset="utf-8">' in text


# Sentences -----------------------------------------------------------------------------------------------------------


def history(train_loss: list[float], val_loss: list[float], val_acc: list[float]) -> ml.History:
    return ml.History([{"epoch": k, "train_loss": a, "train_acc": 0.5 + 0.01 * k, "val_loss": b, "val_acc": c}
                       for k, (a, b, c) in enumerate(zip(train_loss, val_loss, val_acc), start=1)])


FALLING = [0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]


def test_training_that_overfits_and_training_that_does_not() -> None:
    bad = " ".join(conclusions.about_training(history(FALLING, [0.6, 0.5, 0.4, 0.4, 0.5, 0.6, 0.7, 0.8],
                                                      [0.7, 0.8, 0.86, 0.85, 0.85, 0.84, 0.83, 0.82])))
    assert "number 3, with 86.0 % of the validation reviews right; it is 85.0 % after epoch 5 (training 55.0 %) and" in bad
    assert "It overfits from epoch 4 on: the validation loss rises from 0.400 in epoch 3 to 0.800 in epoch 8" in bad
    good = " ".join(conclusions.about_training(history(FALLING, FALLING, [0.6, 0.65, 0.7, 0.75, 0.8, 0.82, 0.84, 0.86])))
    assert "number 8" in good and "80.0 % after epoch 5" in good
    assert "does not overfit yet" in good and "It overfits" not in good
    level = " ".join(conclusions.about_training(history(FALLING, [*FALLING[:7], 0.104], [0.8] * 8)))
    assert "not yet called overfitting" in level
    short = " ".join(conclusions.about_training(history(FALLING[:2], FALLING[:2], [0.6, 0.7])))
    assert "epoch is number 2" in short and short.count("after epoch") == 1
    assert conclusions.about_training(ml.History()) == []


def test_a_validation_loss_that_rises_with_the_training_loss_is_not_called_overfitting() -> None:
    words = " ".join(conclusions.about_training(history([0.5, 0.4, 0.9], [0.5, 0.4, 0.9], [0.7, 0.8, 0.5])))
    assert "not yet called overfitting" in words and "It overfits" not in words


def test_confusion_says_which_way_it_errs() -> None:
    assert conclusions.about_confusion([[60, 40], [10, 90]]) == [
        "150 of 200 validation reviews are classified correctly, 75.0 %.",
        "40 negative reviews are taken for positive ones, 10 positive ones for negative."]


def summary(rows: list[tuple[Any, ...]], names: tuple[str, ...] = ("cell", "length", "mean", "sd", "n")) -> Any:
    return pytest.importorskip("pandas", reason="the examples extra is not installed").DataFrame(rows, columns=list(names))


def test_the_best_cell_is_the_one_of_the_numbers() -> None:
    lstm = conclusions.about_cells(summary([("rnn", 50, 0.70, 0.01, 3), ("lstm", 50, 0.80, 0.01, 3)]))
    assert lstm == ["With 50 tokens the LSTM is best, 80.0 %, before the RNN (70.0 %); the gap to the second is 10.0 points, "
                    "more than twice the seeds' standard deviation (1.0 points)."]
    [rnn] = conclusions.about_cells(summary([("rnn", 50, 0.80, 0.1, 3), ("lstm", 50, 0.70, 0.01, 3)]))
    assert "the RNN is best" in rnn and "too little to claim a difference" in rnn
    [single] = conclusions.about_cells(summary([("rnn", 50, 0.80, None, 1), ("lstm", 50, 0.70, None, 1)]))
    assert "one seed each" in single and "twice" not in single
    trend = conclusions.about_cells(summary([("rnn", 50, 0.8, 0.0, 3), ("rnn", 200, 0.7, 0.0, 3),
                                             ("rnn", 100, 0.99, 0.0, 3)]))
    assert trend == ["From 50 to 200 tokens the RNN loses 10.0 points."]
    best, guess = conclusions.about_cells(summary([(cell, length, p, None, 1) for cell, ps in (
        ("rnn", (0.6, 0.51)), ("lstm", (0.6, 0.7))) for length, p in zip((50, 200), ps)]))
    assert best.startswith("With 200 tokens the LSTM")
    assert "the RNN loses 9.0 points and the LSTM gains 10.0 points; near 50 % the RNN can only guess" in guess


def test_padding_behind_the_words_is_compared_for_the_longest_reviews() -> None:
    names = ("treatment", "length", "mean", "sd", "n")
    said = conclusions.about_paddings(summary([("pre", 100, 0.85, None, 1), ("post, not masked", 100, 0.51, None, 1),
                                               ("pre", 50, 0.80, None, 1), ("post, not masked", 50, 0.83, None, 1),
                                               ("post, masked", 100, 0.86, None, 1)], names))
    assert "gives 51.0 % with 100 tokens, and padding in front 85.0 %: 34.0 points (one seed" in said[0]
    assert said[1].startswith("With a mask, which skips it, it gives 86.0 %") and len(said) == 2
    assert conclusions.about_paddings(summary([("pre", 100, 0.85, None, 1)], names)) == []


def tasks(rnn: dict[int, int], lstm: dict[int, int]) -> list[dict[str, Any]]:
    return [{"task": "Adding", "cell": cell, "lag": lag, "solved": solved, "seeds": 3}
            for cell, lags in (("rnn", rnn), ("lstm", lstm)) for lag, solved in lags.items()]


def test_who_bridges_longer_lags() -> None:
    said = conclusions.about_tasks(tasks({10: 3, 50: 0}, {10: 3, 50: 3}))
    assert said == ["Adding: solved with every seed by the RNN up to lag 10 and by the LSTM up to lag 50."]
    assert conclusions.about_tasks(tasks({10: 3}, {})) == ["Adding: solved with every seed by the RNN up to lag 10."]
    assert "ends before the LSTM has learned" in conclusions.about_tasks(tasks({10: 3, 50: 3}, {10: 3, 50: 2}))[-1]
    gap = conclusions.about_tasks(tasks({10: 3, 50: 0}, {10: 0, 50: 3}))[-1]       # "up to" leaves no lag out
    assert "ends before the LSTM" in gap and "by the LSTM at none of the lags tried" in gap
    without = conclusions.about_tasks([{"task": "Reber", "cell": cell, "lag": None, "solved": 1, "seeds": 2}
                                       for cell in ("rnn", "lstm")])
    assert without == ["Reber: solved by the RNN in 1 of 2 seeds and the LSTM in 1 of 2 seeds."]


def test_gradients_after_training_and_before_it_with_the_reason() -> None:
    def said(*ratios: tuple[bool, float, float]) -> list[str]:
        return conclusions.about_gradients([
            {"cell": cell, "problem": "the task", "trained": trained, "steps": 99, "ratio": ratio}
            for trained, *both in ratios for cell, ratio in zip(("lstm", "rnn"), both)])
    after, before = said((True, 0.5, 1e-20), (False, 1e-9, 0.4))
    assert after == ("After training the LSTM's gradient keeps its size better than the simple RNN's on the task: 99 steps "
                     "back on the task its norm is 0.5 times that at the last step, the RNN's 1e-20 times.")
    assert before.startswith("Before training these are 1e-09 and 0.4 on the task: an untrained forget gate")
    assert "on none of the problems" in said((True, 30.0, 1.1))[0]
    assert "orthogonal" not in said((False, 0.5, 0.1))[0]
    assert said((True, math.nan, 0.5)) == said((True, 0.5, 0.0)) == []      # unknown, or nothing to compare with


# Sections ------------------------------------------------------------------------------------------------------------


def test_conclusions_collect_what_the_sections_found_and_only_that() -> None:
    chapter = sections.conclude([sections.aim(), Section("Training", [Items(["fixed"]), Findings(["found", "more"])]),
                                 Section("Empty", [Findings([])])])
    assert [block.items for block in chapter.blocks if isinstance(block, Items)] == [["found"]]


def test_the_training_section_shows_all_epochs_once() -> None:
    pytest.importorskip("matplotlib", reason="the examples extra is not installed")
    chapter = sections.training(history(FALLING, FALLING, [0.6, 0.9, 0.7, 0.75, 0.8, 0.82, 0.95, 0.86]))
    whole, = (block for block in chapter.blocks if isinstance(block, Table))
    assert len(whole.rows) == 8 and whole.bold == [6]
    assert whole.rows[6] == ["7", "0.1000", "0.5700", "0.1000", "0.9500"]


def test_worst_mistakes_are_the_surest_wrong_answers() -> None:
    texts = [f"review {k}" for k in range(6)]
    labels, p = np.array([0, 0, 0, 1, 1, 1], np.float32), np.array([0.9, 0.99, 0.1, 0.2, 0.05, 0.8], np.float32)
    chapter = sections.mistakes(texts, labels, p, count=2)
    table = next(block for block in chapter.blocks if isinstance(block, Table))
    assert table.rows == [["truly negative", "1", "2"], ["truly positive", "2", "1"]]
    several = [block for block in sections.mistakes(texts, labels, p).blocks if isinstance(block, Quote)]
    assert len(several) == 4        # right answers are no mistakes, however few there are
    quoted = [block.text for block in chapter.blocks if isinstance(block, Quote)]
    assert quoted == ["review 1", "review 0", "review 4", "review 3"]


def test_the_data_section_counts() -> None:
    pytest.importorskip("matplotlib", reason="the examples extra is not installed")
    texts = ["a a b", "a c", "a c", "d"]
    tokenizer = ml.Tokenizer(num_words=4, oov_token="<OOV>")
    tokenizer.fit_on_texts(texts)
    chapter = sections.data("four reviews", texts, np.array([1, 0, 0, 0], np.float32), tokenizer.texts_to_sequences(texts),
                            (texts[:2], texts[2:]), tokenizer, {"max_length": 2, "num_words": 4, "padding": "pre"})
    table = next(block for block in chapter.blocks if isinstance(block, Table))
    rows = dict(map(tuple, table.rows))     # type: ignore[arg-type]
    assert rows["reviews"] == "4" and rows["positive"] == "1" and rows["exact duplicates"] == "1"
    assert rows["validation reviews that also occur in the training part"] == "1"
    assert rows["total number of words"] == "8" and rows["different words"] == "4" and rows["words that are <OOV>"] == "25.0 %"
    assert rows["reviews longer than 2 words, cut there"] == "1"


# Stages --------------------------------------------------------------------------------------------------------------


def test_a_finished_stage_is_not_run_again_and_an_interrupted_one_goes_on(tmp_path: Path) -> None:
    calls: list[Path] = []
    told: list[str] = []

    def work(folder: Path) -> None:
        calls.append(folder)
        if len(calls) == 1:
            raise KeyboardInterrupt

    folder, settings = tmp_path / "stage", {"lengths": (1, 2), "lr": 0.1, "data": None}
    with pytest.raises(KeyboardInterrupt):
        run_stage("a stage", folder, settings, work, tell=told.append)
    for _ in range(2):
        assert run_stage("a stage", folder, settings, work, tell=told.append) == folder
    assert calls == [folder, folder]
    assert [words.split(",")[0] for words in told] == ["a stage: begun", "a stage: goes on", "a stage: finished before"]
    with pytest.raises(ml.ArgumentError, match="made with lr 0.1, not 0.2"):
        run_stage("a stage", folder, {**settings, "lr": 0.2}, work)
    with pytest.raises(ml.ArgumentError, match="made with more None, not 1"):
        run_stage("a stage", folder, {**settings, "more": 1}, work)
    (folder / STAGE).write_text("{}")
    with pytest.raises(ml.DataError, match="cannot be read"):
        run_stage("a stage", folder, settings, work)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(ml.ArgumentError, match="something other than"):
        run_stage("a stage", tmp_path / "other", settings, work)
    assert len(calls) == 2
