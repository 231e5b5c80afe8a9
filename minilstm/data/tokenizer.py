"""The Tokenizer: turn texts into lists of word ids.

An embedding needs integer ids, so words are counted once and numbered by frequency: 0 is padding, 1 is the
out-of-vocabulary token if there is one, and the most frequent word comes next. Names, rules and results are
those of Keras' (legacy) ``Tokenizer``, so that a published pipeline gives the same ids here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from minilstm.backend.checks import check_positive_int
from minilstm.backend.errors import ArgumentError, DataError, DtypeError

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_CONFIG = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count",
           "word_index")


class Tokenizer:
    """Turn texts into lists of word ids, exactly as Keras' ``Tokenizer`` does.

    A text is a string or a list of words; lists are used as they are.

    Args:
        num_words: keep only ids below this number, that is, the ``num_words - 1`` most frequent words (the
            OOV token counts as one of them); None keeps every word. All ids therefore fit
            ``Embedding(num_words, ...)``.
        filters: characters that separate words, like ``split``.
        lower: convert each text to lower case first, with Python's ``str.lower``.
        split: the separator. Nothing else separates words: with the defaults, "\\r" and a no-break space stay
            inside words.
        char_level: treat every character as a word; ``filters`` and ``split`` are not used.
        oov_token: the word with id 1 that replaces unknown and rare words; None leaves such words out.

    Attributes (filled by ``fit_on_texts``):
        word_counts: word -> number of occurrences, in order of first appearance.
        word_docs: word -> number of texts that contain it.
        index_docs: the same by id.
        word_index: word -> id, by decreasing count, ties in order of first appearance; not limited by
            ``num_words``.
        index_word: id -> word.
        document_count: number of texts.

    Raises ArgumentError or DtypeError for invalid arguments.

    >>> import minilstm as ml
    >>> tokenizer = ml.Tokenizer(oov_token="<OOV>")
    >>> tokenizer.fit_on_texts(["a good film", "a bad film", "a film"])
    >>> tokenizer.word_index
    {'<OOV>': 1, 'a': 2, 'film': 3, 'good': 4, 'bad': 5}
    >>> tokenizer.texts_to_sequences(["A good, strange film!"])
    [[2, 4, 1, 3]]
    >>> tokenizer.sequences_to_texts([[2, 4, 1, 3]])
    ['a good <OOV> film']
    """

    def __init__(self, num_words: int | None = None, filters: str = FILTERS, lower: bool = True,
                 split: str = " ", char_level: bool = False, oov_token: str | None = None) -> None:
        if not isinstance(filters, str):
            raise ArgumentError(f"filters: expected a string of characters, got {filters!r}")
        if not isinstance(split, str) or not split:
            raise ArgumentError(f"split: expected a string of at least one character, got {split!r}")
        if oov_token is not None and not isinstance(oov_token, str):
            raise ArgumentError(f"oov_token: expected a string or None, got {oov_token!r}")
        self.num_words = None if num_words is None else check_positive_int("num_words", num_words)
        self.filters, self.lower, self.split = filters, bool(lower), split
        self.char_level, self.oov_token = bool(char_level), oov_token
        self._restored = False
        self.document_count = 0
        self.word_counts: dict[str, int] = {}
        self.word_docs: dict[str, int] = {}
        self.index_docs: dict[int, int] = {}
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}
        self._characters = str.maketrans({character: split for character in filters})

    def fit_on_texts(self, texts: Iterable[str | list[str]]) -> None:
        """Count the words of ``texts`` and number them; a second call adds to the counts of the first.

        Raises DtypeError, and changes nothing, if a text is neither a string nor a list of strings.
        """
        if self._restored:
            raise ArgumentError("fit_on_texts: this tokenizer was restored from its config, which holds no "
                                "counts; fit a new Tokenizer")
        counts, docs, documents = Counter(self.word_counts), Counter(self.word_docs), self.document_count
        for position, text in enumerate(_check_texts(texts)):
            words = self.words(text, position)
            counts.update(words)
            docs.update(set(words))
            documents += 1
        self.document_count = documents
        self.word_counts = dict(counts)
        self.word_docs = {word: docs[word] for word in counts}
        by_count = sorted(counts, key=counts.__getitem__, reverse=True)     # ties stay as they are
        words = [self.oov_token, *by_count] if self.oov_token is not None else by_count
        # A text may contain the OOV token: it has the last of its two numbers.
        self.word_index = {word: index for index, word in enumerate(words, 1)}
        self.index_word = {index: word for word, index in self.word_index.items()}
        self.index_docs = {self.word_index[word]: n for word, n in self.word_docs.items()}

    def words(self, text: str | list[str], position: int = 0) -> Sequence[str]:
        """Return the words of one text, in order, after lower-casing, filtering and splitting.

        Raises DtypeError, naming ``position``, if the text is neither a string nor a list of strings.
        """
        if isinstance(text, str):
            text = text.lower() if self.lower else text
            if self.char_level:
                return text
            return [word for word in text.translate(self._characters).split(self.split) if word]
        if isinstance(text, list) and all(isinstance(word, str) for word in text):
            return [word.lower() for word in text] if self.lower else text
        got = "a list with other items" if isinstance(text, list) else type(text).__name__
        raise DtypeError(f"texts[{position}]: expected a string or a list of strings, got {got}")

    def texts_to_sequences(self, texts: Iterable[str | list[str]]) -> list[list[int]]:
        """Return a list of ids for each text. Raises ArgumentError before ``fit_on_texts``."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | list[str]]) -> Iterator[list[int]]:
        """Yield the lists that ``texts_to_sequences`` returns, one by one."""
        if not self.word_index and not self.document_count:
            raise ArgumentError("texts_to_sequences: the tokenizer knows no words yet; "
                                "call fit_on_texts first")
        return self._sequences(_check_texts(texts))

    def _sequences(self, texts: Iterable[str | list[str]]) -> Iterator[list[int]]:
        ids, oov = self._vocabulary(), self._oov_index()
        for position, text in enumerate(texts):
            words = self.words(text, position)
            if oov:
                yield [ids.get(word, oov) for word in words]
            else:
                yield [ids[word] for word in words if word in ids]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Return the words of each sequence of ids, joined by spaces.

        Unknown ids become the OOV token; if there is none, they are left out.
        """
        oov, words = self._oov_index(), {index: word for word, index in self._vocabulary().items()}
        if oov:
            return [" ".join([words.get(index, words[oov]) for index in ids]) for ids in sequences]
        return [" ".join([words[index] for index in ids if index in words]) for ids in sequences]

    def _vocabulary(self) -> dict[str, int]:
        """Return the ids of the words that have one below ``num_words``, and of the OOV token."""
        limit = self.num_words or len(self.word_index) + 2
        return {word: index for word, index in self.word_index.items()
                if index < limit or word == self.oov_token}

    def _oov_index(self) -> int:
        return 0 if self.oov_token is None else self.word_index.get(self.oov_token, 0)

    def to_config(self) -> dict[str, Any]:
        """Return a JSON-able dict with exactly what encoding and decoding need.

        It contains neither the counts nor the words with ids beyond ``num_words``, which are encoded like
        unknown words. A tokenizer restored by ``from_config`` gives the same sequences and texts, but cannot
        be fitted further.
        """
        return {**{name: getattr(self, name) for name in _CONFIG}, "word_index": self._vocabulary()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Tokenizer:
        """Return the tokenizer that ``to_config`` described. Raises DataError if the dict is not valid."""
        if not isinstance(config, Mapping) or set(config) != set(_CONFIG):
            got = sorted(map(str, config)) if isinstance(config, Mapping) else type(config).__name__
            raise DataError(f"tokenizer config: expected the keys {sorted(_CONFIG)}, got {got}")
        options = {name: config[name] for name in _CONFIG[:6]}
        if not isinstance(options["lower"], bool) or not isinstance(options["char_level"], bool):
            raise DataError("tokenizer config: lower and char_level must be true or false")
        try:
            tokenizer = cls(**options)
        except ArgumentError as error:
            raise DataError(f"tokenizer config: {error}") from None
        documents, index = config["document_count"], config["word_index"]
        if type(documents) is not int or documents < 0:
            raise DataError("tokenizer config: document_count must be a whole number of at least 0, "
                            f"got {documents!r}")
        if not isinstance(index, Mapping) or not all(
                type(word) is str and type(n) is int and n >= 1 for word, n in index.items()):
            raise DataError("tokenizer config: word_index must map words to whole numbers of at least 1")
        if len(set(index.values())) != len(index):
            raise DataError("tokenizer config: word_index gives two words the same number")
        if index and tokenizer.oov_token is not None and tokenizer.oov_token not in index:
            raise DataError(f"tokenizer config: oov_token {tokenizer.oov_token!r} is missing from word_index")
        tokenizer.document_count, tokenizer._restored = documents, documents > 0
        tokenizer.word_index = dict(index)
        tokenizer.index_word = {number: word for word, number in index.items()}
        return tokenizer


def _check_texts(texts: Any) -> Any:
    """Return ``texts``; raise an error if iterating over them would not give texts in an order."""
    what, kind = "texts: expected a list of texts", type(texts).__name__
    if isinstance(texts, (str, bytes)):
        raise ArgumentError(f"{what}, got one {kind}; write [text]")
    if not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) == 0:
        hint = " of one text; write [text]" if hasattr(texts, "ndim") else ""
        raise DtypeError(f"{what}, got {kind}{hint}")
    if hasattr(texts, "columns"):           # iterating over a table gives the names of its columns
        column = str(next(iter(texts), "review"))
        raise DtypeError(f"{what}, got a {kind}; give one column, as in table[{column!r}]")
    if isinstance(texts, (Mapping, set, frozenset)):
        raise DtypeError(f"{what}, got a {kind}")
    return texts
