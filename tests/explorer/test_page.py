"""Of no single file: what stands in the page of lab/explorer, and which models are refused."""

from __future__ import annotations

import base64
import html.parser
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import page_cases
import pytest

import minilstm as ml
from minilstm.gradients.diagnosis.mistakes import MISTAKES
from minilstm.lab import explorer
from minilstm.lab.explorer.mistakes import OFFERED, mistakes

FOLDER = Path(explorer.__file__).parent


def data_of(path: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def unpack(packed: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(packed["base64"]), "<" + packed["kind"])
    return values.reshape(packed["rows"], packed["cols"])


def test_weights_stand_in_the_page_as_they_are(tmp_path: Path) -> None:
    one = page_cases.shown("lstm")
    explorer.page(one.model, one.tokenizer, tmp_path / "page.html", max_length=40, words=10)
    model, = data_of(tmp_path / "page.html")["models"]
    kept = [*range(10), *model["more"]]
    np.testing.assert_array_equal(unpack(model["E"]), one.model[0].params["W"][kept])
    np.testing.assert_array_equal(unpack(model["W"]), one.model[1].params["W"])
    assert model["more"] and model["words"][one.tokenizer.word_index["film"]] == "film"
    assert {fixture["review"] for fixture in model["fixtures"]} == {0, 1, 2}


def test_nothing_in_the_file_can_be_fetched_or_ends_a_script_early(tmp_path: Path) -> None:
    one = page_cases.shown("gru")
    explorer.write_page([one], tmp_path / "page.html", reviews=[("</script><script>alert(1)</script>", 1, "a <b>film</b>")])
    text = (tmp_path / "page.html").read_text("utf-8")
    tags: list[str] = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attributes: Any) -> None:
            tags.append(tag)
            assert not {"src", "srcset", "action"} & dict(attributes).keys()
            assert tag != "link" and str(dict(attributes).get("href", "#")).startswith("#")

    Reader().feed(text)
    assert tags.count("script") == 2 and "default-src 'none'" in text
    scripts = "".join(path.read_text("utf-8") for path in FOLDER.glob("*.js"))
    assert not re.search(r"\beval\(|new Function|innerHTML|document\.write|\bfetch\(|XMLHttpRequest|import\(", scripts)


def test_sizes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.py")) <= 10_000
    assert sum(path.stat().st_size for path in FOLDER.glob("*.js")) <= 60_000


def test_every_offered_mistake_is_one_of_the_table() -> None:
    keys = {*OFFERED["flows"], *(key for lines in OFFERED["lines"].values() for key in lines)}
    assert keys <= set(MISTAKES)
    assert [len(mistakes(cell)) for cell in ("lstm", "gru", "rnn")] == [25, 16, 11]


@pytest.mark.parametrize("change, words", [
    (lambda one: one._replace(model=ml.Sequential(*one.model[:1], ml.LSTM(5, 7, 2, return_sequences=False), *one.model[2:])),
     "one layer, one direction"),
    (lambda one: one._replace(model=ml.Sequential(*one.model[:1], ml.RNN(5, 7, nonlinearity="relu", return_sequences=False),
                                                  *one.model[2:])), "tanh, not with relu"),
    (lambda one: one._replace(tokenizer=fitted_on_more()), "embedding only 100"),
])
def test_other_models_are_refused(tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(ml.ArgumentError, match=words):
        explorer.write_page([change(page_cases.shown("lstm"))], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def fitted_on_more() -> ml.Tokenizer:
    tokenizer = ml.Tokenizer(oov_token="<OOV>")
    tokenizer.fit_on_texts([" ".join(f"w{k}" for k in range(200))])
    return tokenizer


def test_a_weight_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    one = page_cases.shown("rnn")
    one.model[1].params["W"][0, 0] = np.nan
    with pytest.raises(ml.DataError, match="not finite"):
        explorer.write_page([one], tmp_path / "page.html")
    with pytest.raises(ml.ArgumentError, match="words"):
        explorer.write_page([page_cases.shown("rnn")], tmp_path / "page.html", words=0)
    with pytest.raises(ml.ArgumentError, match="needs a model"):
        explorer.write_page([], tmp_path / "page.html")
