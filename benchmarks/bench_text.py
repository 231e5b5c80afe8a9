"""Time minilstm's Tokenizer and pad_sequences beside Keras' on the same reviews, after checking that the results are equal.

    python benchmarks/bench_text.py --data "IMDB Dataset.csv"

The two take turns (A B A B ...) in one process, so that a busy machine slows both. Needs Keras (the oracles extra).
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from statistics import median
from typing import Any

from minilstm.backend.errors import DataError
from minilstm.data import Tokenizer, load_imdb, pad_sequences

os.environ.setdefault("KERAS_BACKEND", "torch")     # read when Keras is imported, which main does

STEPS = ("fit", "encode", "pad")


def measure(tokenizer_class: Any, pad: Any, texts: list[str]) -> tuple[list[float], Any]:
    """Return the seconds of each step, and the results (word_index, padded)."""
    tokenizer = tokenizer_class(num_words=10_000, oov_token="<OOV>")
    times = [time.perf_counter()]
    tokenizer.fit_on_texts(texts)
    times.append(time.perf_counter())
    sequences = tokenizer.texts_to_sequences(texts)
    times.append(time.perf_counter())
    padded = pad(sequences, maxlen=200, padding="pre", truncating="post")
    times.append(time.perf_counter())
    return [after - before for before, after in zip(times, times[1:])], (tokenizer, sequences, padded)


def check_equal(ours: Any, theirs: Any) -> None:
    """Raise AssertionError unless both tokenizers counted, numbered, encoded and padded alike."""
    for name in ("word_counts", "word_docs", "word_index", "index_word", "index_docs", "document_count"):
        assert getattr(ours[0], name) == getattr(theirs[0], name), f"{name} differs"
    assert ours[1] == theirs[1], "sequences differ"
    assert ours[2].dtype == theirs[2].dtype and (ours[2] == theirs[2]).all(), "padded arrays differ"


def main() -> int:
    parser = argparse.ArgumentParser(description="Time fitting, encoding and padding of the IMDB reviews beside Keras.")
    parser.add_argument("--data", metavar="PATH", help="a CSV with the columns review,sentiment (default: as load_imdb finds)")
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="how often each of the two runs (default: 3)")
    arguments = parser.parse_args()
    if arguments.pairs < 1:
        parser.error(f"--pairs: expected at least 1, got {arguments.pairs}")
    try:
        texts, _, source = load_imdb(arguments.data)
    except DataError as error:
        print(f"bench_text: {error}", file=sys.stderr)
        return 2
    try:
        from keras.src.legacy.preprocessing.text import Tokenizer as KerasTokenizer
        from keras.utils import pad_sequences as keras_pad
    except ImportError as error:
        print(f"bench_text: needs Keras and its backend ({error}); pip install keras torch", file=sys.stderr)
        return 2
    print(f"data: {source}", flush=True)
    ours, ours_out = measure(Tokenizer, pad_sequences, texts)           # not counted: used for the check, and as warm-up
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    theirs, theirs_out = measure(KerasTokenizer, keras_pad, texts)
    check_equal(ours_out, theirs_out)
    del ours_out, theirs_out
    print("equal: counts, documents, indices, sequences, padded arrays", flush=True)
    runs: dict[str, list[list[float]]] = {"minilstm": [], "Keras": []}
    for _ in range(arguments.pairs):
        runs["minilstm"].append(measure(Tokenizer, pad_sequences, texts)[0])
        runs["Keras"].append(measure(KerasTokenizer, keras_pad, texts)[0])
    print(f"median seconds of {arguments.pairs} interleaved pairs; Keras / minilstm in the last column, over the pairs")
    rows = [(step, [k]) for k, step in enumerate(STEPS)] + [("fit + encode", [0, 1])]
    for step, which in rows:
        a, b = ([sum(run[k] for k in which) for run in runs[name]] for name in ("minilstm", "Keras"))
        ratios = sorted(y / x for x, y in zip(a, b))
        print(f"{step:>12}  minilstm {median(a):6.2f}  Keras {median(b):6.2f}  "
              f"ratio {median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"peak memory of the process after minilstm's first run: {memory / 1024:.0f} MB (Linux), texts and imports included")
    return 0


if __name__ == "__main__":
    sys.exit(main())
