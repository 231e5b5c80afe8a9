"""Data: turn reviews in a file into batches of token ids (read, tokenize, pad, split, batch)."""

from __future__ import annotations

from minilstm.data.imdb import Reviews, load_imdb, read_reviews
from minilstm.data.loader import DataLoader
from minilstm.data.padding import pad_sequences, sequence_lengths
from minilstm.data.split import train_test_split
from minilstm.data.tokenizer import Tokenizer

__all__ = ["DataLoader", "Reviews", "Tokenizer", "load_imdb", "pad_sequences", "read_reviews",
           "sequence_lengths", "train_test_split"]
