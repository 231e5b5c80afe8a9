"""A review read word by word: the model's own answers, states and gates after each word, and a picture of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.lab.words import WordTrace, word_by_word
from minilstm.lab.words_figure import draw_words, liveliest, most_active

TEXTS = ["a good film, a very good film", "the plot was bad", "seen the film: the end was good but the plot bad"]
REVIEW = "The film was good, but the PLOT: zyx!"
CELLS = ("RNN", "GRU", "LSTM")
MAX = 11


@pytest.fixture
def tokenizer() -> ml.Tokenizer:
    tokenizer = ml.Tokenizer(num_words=12, oov_token="<OOV>")
    tokenizer.fit_on_texts(TEXTS)
    return tokenizer


def make(cell: str, rng: np.random.Generator, dtype: Any = np.float64, dropout: bool = True, **options: Any) -> ml.Sequential:
    """A model with weights large enough that each word shows."""
    layers = [ml.Embedding(12, 3, dtype=dtype, rng=rng, init="uniform"),
              getattr(ml, cell)(3, 5, return_sequences=False, dtype=dtype, rng=rng, **options), ml.Dropout(0.5, rng=rng),
              ml.Linear(5, 1, dtype=dtype, rng=rng, init="uniform"), ml.Sigmoid()]
    model = ml.Sequential(*(layer for layer in layers if dropout or not isinstance(layer, ml.Dropout)))
    for value in model.named_parameters().values():
        value += 0.5 * rng.standard_normal(value.shape)
    return model


def answer(model: ml.Sequential, tokens: np.ndarray) -> float:
    """The model itself, in evaluation mode, on one row of tokens."""
    modes = [layer.training for layer in model]
    p = float(model.eval()(tokens)[0, 0])
    for layer, mode in zip(model, modes):
        layer.training = mode
    return p


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("mask", [False, True])
def test_each_probability_is_the_models_own_answer_to_the_review_cut_there(cell: str, padding: str, mask: bool,
                                                                           tokenizer: ml.Tokenizer,
                                                                           rng: np.random.Generator) -> None:
    model = make(cell, rng)
    trace = word_by_word(model, tokenizer, REVIEW, max_length=MAX, padding=padding, mask=mask)
    [ids] = tokenizer.texts_to_sequences([REVIEW])
    tokens = np.array([ids]) if mask else ml.pad_sequences([ids], maxlen=MAX, padding=padding)
    first = MAX - len(ids) if padding == "pre" and not mask else 0
    for k, p in enumerate(trace.probabilities, start=1):
        assert p == pytest.approx(answer(model, tokens[:, :first + k]), abs=1e-12)
    assert trace.before == pytest.approx(answer(model, tokens[:, :first]) if first else
                                         ml.sigmoid(model[-2].params["b"])[0], abs=1e-12)
    assert np.ptp(trace.probabilities) > 0.01       # a test that a constant would pass is none
    np.testing.assert_allclose(np.cumsum(trace.changes) + trace.before, trace.probabilities, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_probability_is_the_prediction_of_the_trained_pipeline(cell: str, tokenizer: ml.Tokenizer,
                                                                        rng: np.random.Generator) -> None:
    model = make(cell, rng, np.float32, padding="pre")
    sequences = tokenizer.texts_to_sequences([REVIEW])
    x = ml.pad_sequences(sequences, maxlen=MAX, padding="pre", truncating="post")
    expected = ml.Trainer(model, ml.BCELoss(), ml.Adam(model)).predict(x)[0, 0]
    trace = word_by_word(model, tokenizer, REVIEW, max_length=MAX)
    assert trace.prediction == expected and trace.probabilities[-1] == pytest.approx(expected, abs=1e-6)
    masked = word_by_word(model, tokenizer, REVIEW, max_length=MAX, mask=True)
    expected = ml.Trainer(model, ml.BCELoss(), ml.Adam(model)).predict(x, lengths=ml.sequence_lengths(sequences))[0, 0]
    assert masked.prediction == pytest.approx(expected, abs=1e-6)
    assert masked.probabilities[-1] == pytest.approx(expected, abs=1e-6)


def test_behind_the_words_padding_moves_the_prediction(tokenizer: ml.Tokenizer, rng: np.random.Generator) -> None:
    trace = word_by_word(make("LSTM", rng), tokenizer, REVIEW, max_length=MAX, padding="post")
    assert abs(trace.prediction - trace.probabilities[-1]) > 1e-4


@pytest.mark.parametrize("mask", [False, True])
def test_states_and_gates_obey_the_equations_one_step_at_a_time(mask: bool, tokenizer: ml.Tokenizer,
                                                                rng: np.random.Generator) -> None:
    model = make("LSTM", rng)
    trace = word_by_word(model, tokenizer, REVIEW, max_length=MAX, mask=mask)
    [ids] = tokenizer.texts_to_sequences([REVIEW])
    W, b, rows = (*(model[1].params[name] for name in "Wb"), model[0].params["W"])
    h, c = np.zeros((1, 5)), np.zeros((1, 5))
    for token in [] if mask else [0] * (MAX - len(ids)):
        h, c, _ = ml.lstm_step(rows[[token]], h, c, W, b)
    assert trace.c is not None
    for k, token in enumerate(ids):
        h, c, cache = ml.lstm_step(rows[[token]], h, c, W, b)
        for name in ("f", "i", "o", "c_tilde"):
            np.testing.assert_allclose(trace.gates[name][k], getattr(cache, name)[0], atol=1e-12)
        np.testing.assert_allclose(trace.c[k], c[0], atol=1e-12)
        np.testing.assert_allclose(trace.h[k], h[0], atol=1e-12)


def test_gates_of_a_gru_and_an_rnn(tokenizer: ml.Tokenizer, rng: np.random.Generator) -> None:
    model = make("GRU", rng)
    trace = word_by_word(model, tokenizer, REVIEW, max_length=MAX, mask=True)
    [ids] = tokenizer.texts_to_sequences([REVIEW])
    h = np.zeros((1, 5))
    for k, token in enumerate(ids):
        h, cache = ml.gru_step(model[0].params["W"][[token]], h, model[1].params["W"], model[1].params["b"])
        for name in ("r", "z", "n"):
            np.testing.assert_allclose(trace.gates[name][k], getattr(cache, name)[0], atol=1e-12)
        np.testing.assert_allclose(trace.h[k], h[0], atol=1e-12)
    assert trace.c is None
    relu = word_by_word(make("RNN", rng, nonlinearity="relu"), tokenizer, REVIEW, max_length=MAX)
    assert relu.gates == {} and relu.c is None and (relu.h >= 0).all()


def test_words_are_the_tokenizers_and_unknown_ones_are_marked(tokenizer: ml.Tokenizer, rng: np.random.Generator) -> None:
    model = make("LSTM", rng)
    trace = word_by_word(model, tokenizer, REVIEW, max_length=MAX)
    assert trace.words == ["the", "film", "was", "good", "but", "the", "plot", "zyx"] and trace.cut == 0
    assert trace.known.tolist() == [True] * 4 + [tokenizer.word_index["but"] < 12] + [True] * 2 + [False]
    short = word_by_word(model, tokenizer, REVIEW, max_length=3)
    assert short.words == ["the", "film", "was"] and short.cut == 5
    without = ml.Tokenizer(num_words=12)
    without.fit_on_texts(TEXTS)
    assert word_by_word(model, without, REVIEW, max_length=MAX).words == trace.words[:-1]       # "zyx" is left out


def test_a_model_without_dropout_and_the_mode_it_was_in(tokenizer: ml.Tokenizer, rng: np.random.Generator) -> None:
    model = make("LSTM", rng)
    before = {name: value.copy() for name, value in model.named_parameters().items()}
    model[1].eval()
    word_by_word(model, tokenizer, REVIEW, max_length=MAX)
    assert [layer.training for layer in model] == [True, False, True, True, True]
    assert all((value == before[name]).all() for name, value in model.named_parameters().items())
    assert len(word_by_word(make("LSTM", rng, dropout=False), tokenizer, "good", max_length=MAX).words) == 1


@pytest.mark.parametrize("layers", [
    [ml.Embedding(12, 3), ml.LSTM(3, 5, 2, return_sequences=False), ml.Linear(5, 1), ml.Sigmoid()],
    [ml.Embedding(12, 3), ml.LSTM(3, 5, bidirectional=True, return_sequences=False), ml.Linear(10, 1), ml.Sigmoid()],
    [ml.Embedding(12, 3), ml.LSTM(3, 5), ml.Linear(5, 1), ml.Sigmoid()],
    [ml.Embedding(12, 3), ml.LSTM(3, 5, return_sequences=False), ml.Linear(5, 2), ml.Sigmoid()],
    [ml.Embedding(12, 3), ml.LSTM(3, 5, return_sequences=False), ml.Linear(5, 1)],
    [ml.Embedding(12, 3), ml.LSTM(3, 4), ml.LSTM(4, 5, return_sequences=False), ml.Linear(5, 1), ml.Sigmoid()],
])
def test_other_models_are_refused(layers: list[ml.Module], tokenizer: ml.Tokenizer) -> None:
    with pytest.raises(ml.ArgumentError, match="model: expected"):
        word_by_word(ml.Sequential(*layers), tokenizer, REVIEW, max_length=MAX)


def test_mistakes_are_refused(tokenizer: ml.Tokenizer, rng: np.random.Generator) -> None:
    model = make("LSTM", rng)
    with pytest.raises(ml.ArgumentError, match="expected a Sequential of"):
        word_by_word(model[1], tokenizer, REVIEW, max_length=MAX)
    with pytest.raises(ml.ArgumentError, match="contains no word"):
        word_by_word(model, tokenizer, "?!", max_length=MAX)
    with pytest.raises(ml.DtypeError, match="text: expected a string"):
        word_by_word(model, tokenizer, ["good"], max_length=MAX)        # type: ignore[arg-type]
    with pytest.raises(ml.ArgumentError, match="max_length"):
        word_by_word(model, tokenizer, REVIEW, max_length=0)
    with pytest.raises(ml.ArgumentError, match="padding"):
        word_by_word(model, tokenizer, REVIEW, max_length=MAX, padding="both")


# The picture ---------------------------------------------------------------------------------------------------------


def long_trace(n: int, cell: str = "LSTM") -> WordTrace:
    """A made-up trace whose probability jumps at word 70 alone."""
    rng = np.random.default_rng(0)
    p = np.where(np.arange(n) < 70, 0.2, 0.9)
    gates = {"LSTM": ("f", "i", "o", "c_tilde"), "GRU": ("r", "z", "n"), "RNN": ()}[cell]
    state = rng.standard_normal((n, 30))
    return WordTrace(cell, [f"word{k}" if k % 7 else "$w_{" for k in range(n)], rng.random(n) < 0.9, p, 0.2, 0.9,
                     {name: rng.random((n, 30)) for name in gates}, state if cell == "LSTM" else None, state, 0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n", [1, 12, 150])
def test_the_picture_shows_the_words_under_every_panel(cell: str, n: int) -> None:
    pytest.importorskip("matplotlib", reason="the examples extra is not installed")
    trace = long_trace(n, cell)
    figure = draw_words(trace)
    figure.canvas.draw()
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert len(panels) == (2 if cell == "RNN" else 4) + (n == 150)
    labels = [label.get_text() for label in panels[-1].get_xticklabels()]
    shown = min(n, 60)
    start = liveliest(trace, shown)
    assert [label.strip("[]") for label in labels] == trace.words[start:start + shown]
    assert [label.startswith("[") for label in labels] == [not known for known in trace.known[start:start + shown]]
    with pytest.raises(ml.ArgumentError, match="start"):
        draw_words(trace, start=n)


def test_a_sign_that_the_font_lacks_is_drawn_as_its_name(recwarn: pytest.WarningsRecorder) -> None:
    pytest.importorskip("matplotlib", reason="the examples extra is not installed")
    trace = replace(long_trace(4), words=["good", "\N{CLAPPER BOARD}", "\N{KATAKANA LETTER A}", "\N{BLACK HEART SUIT}"])
    figure = draw_words(trace)
    figure.draw_without_rendering()
    labels = [label.get_text().strip("[]") for label in figure.axes[3].get_xticklabels()]
    assert labels == ["good", ":clapper board:", "?", "\N{BLACK HEART SUIT}"]
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_a_long_review_shows_where_the_probability_moves() -> None:
    start = liveliest(long_trace(150), 60)
    assert start <= 70 < start + 60


def test_units_are_those_that_move_most_in_the_order_of_their_agreement() -> None:
    p = np.array([0.1, 0.5, 0.9])
    state = np.stack([np.zeros(3), -3 * p, 0.1 * p, 2 * p, np.array([1.0, -1.0, 1.0])], axis=1)
    assert most_active(state, p, 3).tolist() == [3, 4, 1]
    assert most_active(state, np.full(3, 0.5), 3).tolist() == [1, 3, 4]


def test_frame(tokenizer: ml.Tokenizer, rng: np.random.Generator) -> None:
    pytest.importorskip("pandas", reason="the examples extra is not installed")
    trace = word_by_word(make("LSTM", rng), tokenizer, REVIEW, max_length=MAX)
    frame = trace.to_frame()
    assert list(frame.columns) == ["word", "p", "change"] and list(frame["word"]) == trace.words
    assert frame["change"].iloc[0] == pytest.approx(trace.probabilities[0] - trace.before)
