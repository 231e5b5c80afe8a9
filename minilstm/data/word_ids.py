"""Look up the ids of many words at once: the fast version of ``[number[word] for word in text.split(separator)]``.

Tokenizing spends most of its time on creating and hashing a Python string for every word, although most words have been seen
before. Here a chunk of texts is one array of UTF-8 bytes: NumPy finds where words start and end, reads up to 15 bytes of each
word and its length as two 64-bit numbers, and compares them with a table of words already seen. Two words are equal exactly
when these pairs are equal, so the lookup is exact. Only a word that is not at its one place in the table (because it is new,
too long, or displaced by another word) becomes a Python string and is looked up in the dict.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np

SLOTS_LOG2 = 18         # 2**18 slots of 24 bytes: 6 MiB; IMDB has 124,000 different words, few of them common
LONGEST = 15            # bytes of a word that fit into 16 bytes together with its length
_MASK = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
_LOW_MASK = _MASK[np.minimum(np.arange(LONGEST + 2), 8)]
_HIGH_MASK = _MASK[np.clip(np.arange(LONGEST + 2) - 8, 0, 7)]
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)      # odd numbers that spread bits upwards


class WordIds:
    """Number words by ``number[word]``, which is called only for words that are not in the table.

    Args:
        number: mapping str -> int, called in the order of the words; its ``__missing__`` may number new words.
        filters, separator: ASCII; ``separator`` is one character.
    """

    def __init__(self, number: Mapping[str, int], filters: str, separator: str) -> None:
        self._number = number
        self._separator = separator.encode("ascii")
        # UTF-8 uses ASCII bytes for ASCII characters only, so a table of bytes filters any text.
        self._table = bytes.maketrans(filters.encode("ascii"), self._separator * len(filters))
        self._low, self._high = np.zeros((2, 1 << SLOTS_LOG2), dtype=np.uint64)     # high is never 0 for a word: its length
        self._ids = np.zeros(1 << SLOTS_LOG2, dtype=np.int64)

    def __call__(self, texts: list[str]) -> tuple[np.ndarray, list[int]]:
        """Return the ids of all words (int64), and the offset of each text's first word, followed by the number of words."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        data = b"".join([self._separator, self._separator.join(encoded), self._separator]).translate(self._table) + bytes(16)
        inside = np.frombuffer(data, np.uint8)[:-16] != self._separator[0]
        edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
        starts, ends = edges[0::2], edges[1::2]
        offsets = np.cumsum([1] + [len(text) + 1 for text in encoded])
        return self._look_up(data, starts, ends), np.searchsorted(starts, offsets).tolist()

    def _look_up(self, data: bytes, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        eight = np.ndarray((len(data) - 7,), dtype=f"{'<>'[sys.byteorder == 'big']}u8", buffer=data, strides=(1,))
        lengths = ends - starts
        size = np.minimum(lengths, LONGEST + 1)
        low = eight[starts] & _LOW_MASK[size]
        high = (eight[starts + 8] & _HIGH_MASK[size]) | (size.astype(np.uint64) << np.uint64(56))
        slots = ((low * _MIX[0] + high * _MIX[1]) >> np.uint64(64 - SLOTS_LOG2)).astype(np.intp)
        ids = self._ids[slots]
        missed = np.flatnonzero((self._low[slots] != low) | (self._high[slots] != high))
        ids[missed] = [self._number[data[start:end].decode("utf-8", "surrogatepass")]
                       for start, end in zip(starts[missed].tolist(), ends[missed].tolist())]
        # A slot keeps its first word, because common words come early. If two new words share a slot, the last one is stored.
        new = missed[(self._high[slots[missed]] == 0) & (size[missed] <= LONGEST)]
        self._low[slots[new]], self._high[slots[new]], self._ids[slots[new]] = low[new], high[new], ids[new]
        return ids
