"""The table of words already seen: words that share bytes or a slot are told apart."""

from __future__ import annotations

import numpy as np

from minilstm.data import Tokenizer
from minilstm.data import tokenizer as text


def test_words_that_share_bytes_are_told_apart():
    """The table compares 15 bytes and the length: prefixes, NUL endings and words of 15 to 17 bytes must not be mixed up."""
    words = ["x" * n for n in range(1, 20)] + ["x" * n + "\0" for n in range(1, 19)] + ["x" * 15 + "y", "x" * 16 + "y"]
    tokenizer = Tokenizer()
    for _ in range(3):
        tokenizer.fit_on_texts([" ".join(words)] * 70)
    assert tokenizer.word_counts == {word: 210 for word in words}
    assert tokenizer.word_docs == {word: 210 for word in words}


def test_words_that_begin_alike():
    """More words than a table of 2**18 slots keeps apart: some share a slot, and all of them their first eight letters."""
    letters = np.random.default_rng(0).integers(97, 123, (20_000, 7), dtype=np.uint8)
    words = [*dict.fromkeys(f"internat{bytes(row).decode()}" for row in letters)]
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts([" ".join(words)] + [""] * text.CHUNK + [" ".join(words)])      # the second is looked up
    assert tokenizer.word_counts == dict.fromkeys(words, 2)
