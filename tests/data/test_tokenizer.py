"""Tokenizer against Keras itself, on texts chosen to be awkward."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilstm.backend.errors import ArgumentError, DataError, DtypeError
from minilstm.data import Tokenizer
from minilstm.data import tokenizer as text

AWKWARD = " \t\n\r\x0b\x0c\x1c\x85\xa0\u2028'!.<>/\\-aAbBzZ0\x00éÉßẞİıΣσςǅﬁ\u0301\u200b漢😀\ud800"
WORDS = ["the", "a", "A", "film", "it's", "don't", "<br />", "internationally", "uncharacteristic", "uncharacteristically",
         "straightforward", "straightforwardly", "straightforwardness", "ΟΔΟΣ", "naïve", "<OOV>", "oov", "", "  ", "\r\n"]
sentences = st.one_of(st.text(alphabet=AWKWARD, max_size=40), st.text(max_size=20),
                      st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
word_lists = st.lists(st.one_of(st.sampled_from(WORDS), st.text(alphabet=AWKWARD, max_size=20)), max_size=8)
corpora = st.lists(st.one_of(sentences, sentences, word_lists), max_size=8)
options = st.fixed_dictionaries({}, optional={
    "num_words": st.one_of(st.none(), st.integers(1, 8)),
    "filters": st.sampled_from([text.FILTERS, "", ".", "é!", "a ", text.FILTERS + " \r"]),
    "lower": st.booleans(),
    "split": st.sampled_from([" ", " ", "a", "é", "ab", "aa", "\n"]),
    "char_level": st.sampled_from([False, False, True]),
    "oov_token": st.sampled_from([None, "<OOV>", "the", "", "a"]),
})


@pytest.fixture(scope="session")
def keras_tokenizer():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras.src.legacy.preprocessing.text", reason="compares with Keras' Tokenizer").Tokenizer


def assert_same_state(ours, theirs):
    assert list(ours.word_counts.items()) == list(theirs.word_counts.items())
    assert list(ours.word_index.items()) == list(theirs.word_index.items())
    for name in ("index_word", "word_docs", "index_docs", "document_count"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert all(type(n) is int for values in (ours.word_counts, ours.word_docs, ours.word_index) for n in values.values())


@given(corpora, corpora, corpora, options)
@settings(max_examples=200, deadline=None)
def test_same_as_keras(keras_tokenizer, first, second, unseen, kwargs):
    ours, theirs = Tokenizer(**kwargs), keras_tokenizer(**kwargs)
    for corpus in (first, second):
        ours.fit_on_texts(corpus)
        theirs.fit_on_texts(corpus)
        assert_same_state(ours, theirs)
    if not ours.word_index and not ours.document_count:
        return      # nothing fitted: encoding is refused, where Keras would give empty lists
    for corpus in (first, unseen):
        got, expected = ours.texts_to_sequences(corpus), theirs.texts_to_sequences(corpus)
        assert got == expected
        assert ours.sequences_to_texts(got) == theirs.sequences_to_texts(expected)
        restored = Tokenizer.from_config(json.loads(json.dumps(ours.to_config())))
        assert restored.texts_to_sequences(corpus) == expected
        assert restored.sequences_to_texts(got) == theirs.sequences_to_texts(expected)
    ids = [[0, 1, 2, 3, 9, 10**6]]
    assert ours.sequences_to_texts(ids) == theirs.sequences_to_texts(ids)


def test_rules_by_hand():
    tokenizer = Tokenizer(num_words=4, oov_token="<OOV>")
    tokenizer.fit_on_texts(["The cat, the CAT!", "a dog; the dog"])
    assert tokenizer.word_index == {"<OOV>": 1, "the": 2, "cat": 3, "dog": 4, "a": 5}     # cat and dog tie: first seen first
    assert tokenizer.texts_to_sequences(["the cat dog bird", "", "!?"]) == [[2, 3, 1, 1], [], []]
    assert tokenizer.word_docs["the"] == 2 and tokenizer.word_docs["cat"] == 1
    assert next(tokenizer.texts_to_sequences_generator(["cat"])) == [3]
    without = Tokenizer(num_words=3)
    without.fit_on_texts(["b b b a a c"])
    assert without.texts_to_sequences(["a b c d"]) == [[2, 1]]      # num_words keeps num_words - 1 words


@pytest.mark.parametrize("bad", [[b"bytes"], ["fine", None], [["word", 3]], [("a", "tuple")], [3]])
def test_bad_texts_change_nothing(bad):
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["some text"])
    before = tokenizer.to_config(), dict(tokenizer.word_counts), tokenizer.document_count
    with pytest.raises(DtypeError, match=r"texts\[\d\]"):
        tokenizer.fit_on_texts(["new words", *bad])
    with pytest.raises(DtypeError, match=r"texts\[\d\]"):
        tokenizer.texts_to_sequences(bad)
    assert before == (tokenizer.to_config(), tokenizer.word_counts, tokenizer.document_count)


def test_bad_arguments():
    for kwargs in ({"num_words": 0}, {"num_words": 2.5}, {"num_words": True}, {"split": ""}, {"split": None},
                   {"filters": None}, {"oov_token": 3}):
        with pytest.raises(ArgumentError):
            Tokenizer(**kwargs)
    with pytest.raises(ArgumentError, match="fit_on_texts first"):
        Tokenizer().texts_to_sequences(["a"])
    with pytest.raises(ArgumentError, match="one str"):
        Tokenizer().fit_on_texts("a text that is no list")


def test_config_is_small_and_restored_for_encoding_only():
    tokenizer = Tokenizer(num_words=5, oov_token="<OOV>")
    tokenizer.fit_on_texts([" ".join(f"w{k}" for k in range(100))])
    config = tokenizer.to_config()
    assert len(config["word_index"]) == 4
    restored = Tokenizer.from_config(config)
    assert restored.to_config() == config
    with pytest.raises(ArgumentError, match="restored"):
        restored.fit_on_texts(["more"])
    unfitted = Tokenizer.from_config(Tokenizer(oov_token="?").to_config())
    unfitted.fit_on_texts(["words"])
    assert unfitted.word_index == {"?": 1, "words": 2}


@pytest.mark.parametrize("change", [
    {"word_index": {"a": 0}}, {"word_index": {"a": 1, "b": 1}}, {"word_index": {"a": "1"}}, {"word_index": {"a": True}},
    {"word_index": ["a"]}, {"word_index": {"a": 2}}, {"num_words": -1}, {"split": ""}, {"lower": "yes"}, {"extra": 1},
    {"document_count": -1}, {"document_count": None}, {"oov_token": 7}])
def test_bad_configs(change):
    tokenizer = Tokenizer(oov_token="<OOV>")
    tokenizer.fit_on_texts(["a b"])
    with pytest.raises(DataError, match="tokenizer config"):
        Tokenizer.from_config({**tokenizer.to_config(), **change})
    for other in (None, [], {}):
        with pytest.raises(DataError, match="tokenizer config"):
            Tokenizer.from_config(other)


def test_texts_that_are_no_list_are_refused() -> None:
    for texts in (None, 5):
        with pytest.raises(DtypeError, match="expected a list of texts"):
            Tokenizer().fit_on_texts(texts)


def test_tables_and_other_things_that_would_be_counted_wrongly_are_refused() -> None:
    pandas = pytest.importorskip("pandas", reason="tables are pandas'")
    frame = pandas.DataFrame({"review": ["good film", "bad film"]})
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(frame["review"])
    assert tokenizer.word_index == {"film": 1, "good": 2, "bad": 3} and tokenizer.document_count == 2
    for texts in (frame, np.array("one text"), {"review": ["good film"]}, {"good film", "bad film"}):
        for use in (tokenizer.fit_on_texts, tokenizer.texts_to_sequences):
            with pytest.raises((ArgumentError, DtypeError), match="texts: "):
                use(texts)
    assert tokenizer.document_count == 2


def test_same_as_keras_with_many_words(keras_tokenizer) -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdeé\x00"), size=n)) for n in rng.integers(1, 24, size=600)]
    corpus = [" ".join(rng.choice(words, size=n)) for n in rng.integers(0, 60, size=200)]
    corpus[67] = rng.choice(words, size=9).tolist()
    for kwargs in ({}, {"num_words": 200, "oov_token": "<OOV>"}, {"num_words": 200}):
        ours, theirs = Tokenizer(**kwargs), keras_tokenizer(**kwargs)
        ours.fit_on_texts(iter(corpus[:150]))
        theirs.fit_on_texts(corpus[:150])
        assert_same_state(ours, theirs)
        assert ours.texts_to_sequences(iter(corpus)) == theirs.texts_to_sequences(corpus)
