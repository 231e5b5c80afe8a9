"""The tasks with long time lags: each sequence is checked against its definition, the baselines against a count."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.lab import reber, tasks

# A Reber string as a regular expression, found by eliminating states 5, 3 and 4 from the graph by hand.
STATE_4 = "(?:XT*VP)*(?:S|XT*VV)"
STATE_3 = f"T*V(?:V|P{STATE_4})"
REBER = f"B(?:TS*X{STATE_4}|P{STATE_3})E"
EMBEDDED = re.compile(f"B(?:T{REBER}T|P{REBER}P)E")

DRAWS: dict[str, Callable[..., tuple[np.ndarray, ...]]] = {
    "adding": lambda rng: tasks.adding(5, 9, rng=rng),
    "adding in halves": lambda rng: tasks.adding(5, 9, rng=rng, markers="halves"),
    "adding_1997": lambda rng: tasks.adding_1997(5, 30, rng=rng),
    "temporal_order": lambda rng: tasks.temporal_order(5, 20, rng=rng),
    "temporal_order of 3": lambda rng: tasks.temporal_order(5, 20, rng=rng, symbols=3),
    "copy": lambda rng: tasks.copy(5, 4, rng=rng),
    "reber": lambda rng: reber.reber(5, rng=rng),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_equal_seeds_give_equal_bytes(draw: Callable[..., tuple[np.ndarray, ...]]) -> None:
    first, generator = draw(7), np.random.default_rng(7)
    for a, b in zip(first, draw(generator)):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    assert any(a.tobytes() != b.tobytes() for a, b in zip(first, draw(generator)) if a.shape == b.shape)    # it goes on
    assert any(a.shape != b.shape or a.tobytes() != b.tobytes() for a, b in zip(first, draw(8)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("markers", ["anywhere", "halves"])
@pytest.mark.parametrize("T", [2, 7, 50])
def test_adding(T: int, markers: str, dtype: Any) -> None:
    n = 3000
    x, y = tasks.adding(n, T, rng=1, markers=markers, dtype=dtype)
    assert x.shape == (n, T, 2) and y.shape == (n, 1) and x.dtype == y.dtype == dtype
    values, marks = x[..., 0], x[..., 1]
    assert 0 <= values.min() and values.max() <= 1 and abs(values.mean() - 0.5) < 0.02
    assert set(np.unique(marks)) <= {0, 1} and (marks.sum(axis=1) == 2).all()
    np.testing.assert_allclose((values * marks).sum(axis=1, keepdims=True), y, rtol=1e-6)
    expected = np.full(T, 2 / T)
    if markers == "halves":
        assert (marks[:, :T // 2].sum(axis=1) == 1).all()
        expected = np.repeat([1 / (T // 2), 1 / (T - T // 2)], [T // 2, T - T // 2])
    assert np.abs(marks.mean(axis=0) - expected).max() < 5 * math.sqrt(expected.max() / n)     # no place is preferred


def test_adding_baseline() -> None:
    _, y = tasks.adding(200_000, 3, rng=0)
    assert y.var() == pytest.approx(tasks.ADDING_BASELINE, rel=0.01) and y.mean() == pytest.approx(1, rel=0.01)


def test_adding_solved() -> None:
    assert tasks.adding_solved(0.0099) and not tasks.adding_solved(0.01) and not tasks.adding_solved(math.nan)
    assert tasks.adding_solved(0.05, threshold=0.06)


@pytest.mark.parametrize("T", [22, 57, 100])
def test_adding_1997(T: int) -> None:
    n = 6000
    x, y, lengths = tasks.adding_1997(n, T, rng=3)
    assert x.shape == (n, T + T // 10, 2) and y.shape == (n, 1) and lengths.shape == (n,)
    assert x.dtype == y.dtype == np.float32 and lengths.dtype == np.int64
    assert set(lengths) == set(range(T, T + T // 10 + 1))
    assert -1 <= x[..., 0].min() and x[..., 0].max() < 1
    firsts, seconds = set(), set()
    zeroed = 0
    for sequence, target, length in zip(x, y, lengths):
        assert not sequence[length:].any()
        marks = sequence[:length, 1]
        assert marks[0] == marks[-1] == -1 and set(marks[1:-1]) <= {0, 1}
        places = np.flatnonzero(marks == 1)
        assert len(places) in (1, 2)
        assert places[0] < 10 or len(places) == 1
        assert places.max() < T // 2 - 1
        if len(places) == 1:            # the first step was drawn: it counts as 0
            assert sequence[0, 0] == 0
            zeroed += 1
        firsts.add(int(places.min()))
        seconds.add(int(places.max()))
        assert target[0] == pytest.approx(0.5 + sequence[places, 0].sum() / 4, abs=1e-6)
    assert firsts >= set(range(1, 10)) and max(seconds) == T // 2 - 2
    expected = 1 / 10 + 9 / 10 / (T // 2 - 2)
    assert abs(zeroed / n - expected) < 5 * math.sqrt(expected / n)
    assert 0 <= y.min() and y.max() <= 1


@pytest.mark.parametrize("T", [22, 100])
def test_adding_1997_baseline(T: int) -> None:
    _, y, _ = tasks.adding_1997(100_000, T, rng=0)
    assert y.var() == pytest.approx(tasks.adding_1997_baseline(T), rel=0.02) and y.mean() == pytest.approx(0.5, abs=0.002)


def test_adding_1997_solved() -> None:
    good = np.full(2000, 0.009)
    assert tasks.adding_1997_solved(good) and tasks.adding_1997_solved(list(good))
    assert tasks.adding_1997_solved(np.concatenate([[0.5], good]))      # long ago
    assert not tasks.adding_1997_solved(good[1:])
    assert not tasks.adding_1997_solved(np.concatenate([good, [0.04]]))
    assert not tasks.adding_1997_solved(np.full(2000, 0.011))
    with pytest.raises(ml.ShapeError):
        tasks.adding_1997_solved(good[:, None])


@pytest.mark.parametrize("T", [10, 37, 100])
@pytest.mark.parametrize("symbols", [2, 3])
def test_temporal_order(T: int, symbols: int) -> None:
    n = 4000
    x, y, lengths = tasks.temporal_order(n, T, rng=2, symbols=symbols)
    assert x.shape == (n, T + T // 10, 8) and x.dtype == np.float32 and y.dtype == lengths.dtype == np.int64
    assert set(lengths) == set(range(T, T + T // 10 + 1)) and set(y) == set(range(2 ** symbols))
    bounds = {2: [(0.1, 0.2), (0.5, 0.6)], 3: [(0.1, 0.2), (0.33, 0.43), (0.66, 0.76)]}[symbols]
    if T == 100:
        seen: list[set[int]] = [set() for _ in bounds]
    for sequence, target, length in zip(x, y, lengths):
        assert (sequence[:length].sum(axis=1) == 1).all() and not sequence[length:].any()
        text = "".join(tasks.SYMBOLS[k] for k in sequence[:length].argmax(axis=1))
        assert text[0] == "E" and text[-1] == "B" and set(text[1:-1]) <= set("abcdXY")
        places = [k for k, symbol in enumerate(text) if symbol in "XY"]
        assert len(places) == symbols
        assert all(math.floor(low * T + 1e-9) <= k <= math.floor(high * T + 1e-9) for k, (low, high) in zip(places, bounds))
        assert target == int("".join(str("XY".index(text[k])) for k in places), 2)
        if T == 100:
            for places_seen, k in zip(seen, places):
                places_seen.add(k)
    if T == 100:                # as published
        assert seen == [set(range(round(100 * low), round(100 * high) + 1)) for low, high in bounds]
    assert np.bincount(y).min() > 0.8 * n / 2 ** symbols
    assert x[:, 1:, 2:6].sum() / n == pytest.approx(lengths.mean() - 2 - symbols)


def test_temporal_order_baseline() -> None:
    assert tasks.temporal_order_baseline() == pytest.approx(math.log(4))
    assert tasks.temporal_order_baseline(3) == pytest.approx(math.log(8))


def test_temporal_order_solved(rng: np.random.Generator) -> None:
    targets = rng.integers(0, 4, 2000)
    good = np.full((2000, 4), 0.01)
    good[np.arange(2000), targets] = 0.97
    assert tasks.temporal_order_solved(good, targets)
    assert tasks.temporal_order_solved(np.concatenate([1 - good[:1], good]), np.concatenate([targets[:1], targets]))
    assert not tasks.temporal_order_solved(good[1:], targets[1:])
    unsure = good.copy()
    unsure[5, targets[5]] = 0.69        # the right class, and 0.31 away from certainty
    assert not tasks.temporal_order_solved(unsure, targets)
    vague = np.full((2000, 4), 0.1)
    vague[np.arange(2000), targets] = 0.8
    assert not tasks.temporal_order_solved(vague, targets)      # each within 0.3, 0.125 on average
    with pytest.raises(ml.ShapeError):
        tasks.temporal_order_solved(good, targets[1:])


@pytest.mark.parametrize("T, symbols, length", [(1, 8, 10), (20, 8, 10), (5, 2, 3)])
def test_copy(T: int, symbols: int, length: int) -> None:
    tokens, targets = tasks.copy(400, T, rng=4, symbols=symbols, length=length)
    assert tokens.shape == targets.shape == (400, T + 2 * length) and tokens.dtype == targets.dtype == np.int64
    assert set(tokens[:, :length].ravel()) == set(range(symbols))
    assert (tokens[:, length:] == symbols).sum() == 400 * (T - 1 + length)
    assert (tokens[:, length + T - 1] == symbols + 1).all()         # right before the answer
    assert (targets[:, :length + T] == symbols).all()
    assert (targets[:, length + T:] == tokens[:, :length]).all()


def test_copy_baseline() -> None:
    """One who knows all but the symbols puts probability 1 on each blank and 1/8 on each symbol."""
    _, targets = tasks.copy(50, 20, rng=0)
    p = np.where(targets == 8, 1.0, 1 / 8)
    assert -np.log(p).mean() == pytest.approx(tasks.copy_baseline(20))
    assert tasks.copy_baseline(20) == pytest.approx(10 * math.log(8) / 40)
    _, targets = tasks.copy(50, 4, rng=0, symbols=3, length=5)
    assert -np.log(np.where(targets == 3, 1.0, 1 / 3)).mean() == pytest.approx(tasks.copy_baseline(4, 3, 5))


def test_copy_solved() -> None:
    _, targets = tasks.copy(100, 20, rng=0)
    said = targets.copy()
    assert tasks.copy_solved(said, targets)
    said[:10, -1] = 8           # 1 % of the symbols
    assert tasks.copy_solved(said, targets)
    said[10, -1] = 8
    assert not tasks.copy_solved(said, targets)
    said = targets.copy()
    said[:, :-10] = 0           # only what is recalled counts
    assert tasks.copy_solved(said, targets)
    with pytest.raises(ml.ShapeError):
        tasks.copy_solved(said[1:], targets)


def test_reber_strings_are_in_the_language() -> None:
    rng = np.random.default_rng(5)
    texts = [reber.embedded_reber(rng)[0] for _ in range(3000)]
    assert all(EMBEDDED.fullmatch(text) for text in texts)
    assert min(map(len, texts)) == 9 and max(map(len, texts)) > 25
    assert sum(text[1] == "T" for text in texts) / 3000 == pytest.approx(0.5, abs=0.05)
    assert sum(text == "BTBTXSETE" for text in texts) / 3000 == pytest.approx(1 / 16, abs=0.025)    # 4 choices of two
    assert not EMBEDDED.fullmatch("BTBTXSEPE") and not EMBEDDED.fullmatch("BTBPTTVPSEPE")


def test_reber_targets_are_all_legal_successors() -> None:
    """A symbol is legal exactly if some string of the language goes on with it: looked up in 20,000 of them."""
    rng = np.random.default_rng(6)
    followers: dict[str, set[str]] = {}
    for _ in range(20_000):
        text = reber.embedded_reber(rng)[0]
        for k in range(1, len(text)):
            followers.setdefault(text[:k], set()).add(text[k])
    for _ in range(300):
        text, legal = reber.embedded_reber(rng)
        assert len(legal) == len(text) - 1
        for k, symbols in enumerate(legal[:8], 1):
            assert set(symbols) >= followers.get(text[:k], set())
            if k < 6:           # prefixes this short came up many times
                assert set(symbols) == followers[text[:k]], text[:k]
        assert legal[-2] == text[1] and legal[-1] == "E"


def test_reber_arrays() -> None:
    x, y, lengths = reber.reber(256, rng=9)
    assert x.shape == y.shape == (256, lengths.max(), 7) and x.dtype == y.dtype == np.float32 and lengths.min() == 8
    rng = np.random.default_rng(9)
    for one_hot, following, length in zip(x, y, lengths):
        text, legal = reber.embedded_reber(rng)
        assert "".join(reber.SYMBOLS[k] for k in one_hot[:length].argmax(axis=1)) + "E" == text
        assert (one_hot[:length].sum(axis=1) == 1).all() and not one_hot[length:].any() and not following[length:].any()
        for row, symbols in zip(following, legal):
            assert {reber.SYMBOLS[k] for k in np.flatnonzero(row)} == set(symbols)


def test_reber_right() -> None:
    _, y, lengths = reber.reber(6, rng=1)
    scores = y * 0.2 - 0.1
    assert reber.reber_right(scores, y).all() and reber.reber_solved(reber.reber_right(scores, y))
    scores[2, lengths[2] - 2] *= -1                 # T for P at the end of the third string
    np.testing.assert_array_equal(reber.reber_right(scores, y), [True, True, False, True, True, True])
    assert not reber.reber_solved(reber.reber_right(scores, y))
    level = y * 0.0                                 # a tie is not right
    assert not reber.reber_right(level, y).any()
    past = y * 0.2
    past[np.arange(y.shape[1]) >= lengths[:, None]] = 3.0       # steps past the end do not count
    assert reber.reber_right(past, y).all()
    assert not reber.reber_solved(np.zeros(0, bool))
    with pytest.raises(ml.ArgumentError, match="NaN"):
        reber.reber_right(scores * np.nan, y)
    with pytest.raises(ml.ShapeError):
        reber.reber_right(scores[:, 1:], y)


def test_reber_without_memory_gets_half() -> None:
    """Knowing the graph but not the second symbol, always T before the end: the strings with P are wrong."""
    _, y, lengths = reber.reber(4000, rng=3)
    scores = y.copy()
    scores[np.arange(4000), lengths - 2] = np.eye(7)[reber.SYMBOLS.index("T")]
    assert 1 - reber.reber_right(scores, y).mean() == pytest.approx(reber.BASELINE, abs=0.04)


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "n of 0": (lambda: tasks.adding(0, 10), "n: expected"),
    "n of 2.5": (lambda: tasks.copy(2.5, 10), "n: expected"),  # type: ignore[arg-type]
    "adding in one step": (lambda: tasks.adding(5, 1), "T: adding needs at least 2"),
    "no such markers": (lambda: tasks.adding(5, 10, markers="ends"), "markers: expected one of 'anywhere', 'halves'"),
    "adding_1997, T of 21": (lambda: tasks.adding_1997(5, 21), "T: adding_1997 needs at least 22"),
    "temporal order, T of 9": (lambda: tasks.temporal_order(5, 9), "T: temporal_order needs at least 10"),
    "temporal order of 4": (lambda: tasks.temporal_order(5, 10, symbols=4), "symbols: expected 2 or 3"),
    "copy after 0 steps": (lambda: tasks.copy(5, 0), "T: expected"),
    "copy one symbol": (lambda: tasks.copy(5, 3, symbols=1), "symbols: expected at least 2"),
    "copy nothing": (lambda: tasks.copy(5, 3, length=0), "length: expected"),
    "no such rng": (lambda: tasks.adding(5, 10, rng="seed"), "rng: expected"),
    "no Reber strings": (lambda: reber.reber(0), "n: expected"),
}


@pytest.mark.parametrize("call, words", BAD.values(), ids=BAD)
def test_bad_arguments(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ml.ArgumentError, match=words):
        call()


@pytest.mark.parametrize("dtype", [np.int64, np.complex64, "no dtype"])
@pytest.mark.parametrize("draw", [lambda dtype: tasks.adding(3, 22, dtype=dtype), lambda dtype: reber.reber(3, dtype=dtype),
                                  lambda dtype: tasks.temporal_order(3, 22, dtype=dtype)])
def test_bad_dtypes(draw: Callable[..., Any], dtype: Any) -> None:
    with pytest.raises(ml.DtypeError):
        draw(dtype)
