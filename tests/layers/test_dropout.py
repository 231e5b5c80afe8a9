"""Dropout: the share that it drops, its scale, its gradient."""

from __future__ import annotations

import numpy as np
import pytest
from backends import assert_equal, host, put, xp
from cell_tests import check
from refusals import refuses

import minilstm as ml


def test_dropout_drops_a_share_of_p_and_scales_up_what_is_left() -> None:
    layer, x = put(ml.Dropout(0.2, rng=0)), xp.ones((100, 1000))
    y = layer(x)
    dropped = float((y == 0).mean())
    assert abs(dropped - 0.2) < 5 * (0.2 * 0.8 / x.size) ** 0.5
    assert float(abs(y[y != 0] - 1 / 0.8).max()) < 1e-12
    assert_equal(layer.backward(x), y)          # the same mask on the way back


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_gradients(p: float, rng: np.random.Generator) -> None:
    check(ml.Dropout(p, rng=2), rng.standard_normal((2, 3, 5)) * 2)
    check(ml.Dropout(p, rng=2), rng.standard_normal(7))


def test_input_that_does_not_fit() -> None:
    layer = ml.Dropout(0.5, rng=0)
    refuses(ml.DtypeError, lambda: layer(put(np.ones((2, 3), int))), "x", "int64", unchanged=layer)
    refuses(ml.DtypeError, lambda: layer([[1.0], [2.0, 3.0]]), "x", "list", unchanged=layer)
    refuses(ml.ShapeError, lambda: layer(xp.ones((0, 3), np.float32)), "is empty", unchanged=layer)


def test_locked_dropout_drops_a_feature_at_all_steps(rng: np.random.Generator) -> None:
    layer, x = ml.LockedDropout(0.2, rng=0), xp.ones((40, 7, 50))
    y = layer(x)
    assert_equal(y, xp.broadcast_to(y[:, :1], y.shape))
    assert abs(float((y[:, 0] == 0).mean()) - 0.2) < 5 * (0.2 * 0.8 / 2000) ** 0.5
    assert set(np.unique(host(y)).tolist()) == {0.0, 1.25}
    assert_equal(layer.backward(x), y)
    check(ml.LockedDropout(0.4, rng=2), rng.standard_normal((2, 3, 5)))
    assert_equal(layer.eval()(x), x)
    refuses(ml.ShapeError, lambda: layer(x[0]), "3 axes", unchanged=layer)


def test_word_dropout_replaces_words_and_no_padding(rng: np.random.Generator) -> None:
    layer, tokens = ml.WordDropout(0.3, token=9, rng=0), put(rng.integers(0, 5, (100, 200)).astype(np.int32))
    changed = layer(tokens)
    words = tokens != 0
    assert changed.dtype == tokens.dtype and not bool((changed[~words] != 0).any())
    replaced = changed != tokens
    assert bool((changed[replaced] == 9).all())
    assert abs(float(replaced[words].mean()) - 0.3) < 5 * (0.3 * 0.7 / 16_000) ** 0.5
    assert layer.backward() is None and not layer._caches
    assert_equal(layer.eval()(tokens), tokens)
    again = ml.WordDropout(0.3, token=9, padding_idx=None, rng=0)(tokens)       # the same draws
    assert_equal(again, xp.where(host(changed) == 9, 9, xp.where(host(again) == 9, 9, tokens)))
    assert bool((again[~words] == 9).any())


def test_word_dropout_in_a_model(rng: np.random.Generator) -> None:
    check(ml.Sequential(ml.WordDropout(0.5, rng=2), ml.Embedding(7, 2, rng=0)), rng.integers(0, 7, (3, 5)))
    refuses(ml.DtypeError, lambda: ml.WordDropout(0.5)(xp.ones((2, 3))), "tokens", "float64")
    for options in ({"p": 1.0}, {"p": 0.1, "token": -1}, {"p": 0.1, "padding_idx": 0.5}):
        refuses(ml.ArgumentError, lambda: ml.WordDropout(**options), list(options)[-1])     # type: ignore[arg-type]
