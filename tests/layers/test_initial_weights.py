"""Initial weights: what their names promise, and the same for the same seed."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minilstm as ml
from minilstm.layers.initial_weights import chrono_bias, glorot_uniform, orthogonal


@pytest.mark.parametrize(("rows", "columns"), [(4, 16), (16, 4), (5, 5)])
def test_orthogonal(rows: int, columns: int, rng: np.random.Generator) -> None:
    q = orthogonal(rng, rows, columns)
    assert q.shape == (rows, columns)
    gram = q @ q.T if rows <= columns else q.T @ q
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_matrices_point_everywhere(rng: np.random.Generator) -> None:
    """QR's own signs are those of its reflections: the first entry would never be positive (Mezzadri 2007)."""
    first = np.array([orthogonal(rng, 3, 3)[0, 0] for _ in range(200)])
    assert 70 <= (first > 0).sum() <= 130 and abs(first.mean()) < 0.2


def test_default_lstm_is_keras_scheme() -> None:
    D, H = 30, 20
    lstm = ml.LSTM(D, H, rng=0, dtype=np.float64)
    W, b = lstm.params["W"], lstm.params["b"]
    np.testing.assert_allclose(W[:H] @ W[:H].T, np.eye(H), atol=1e-12)
    bound = math.sqrt(6 / (D + 4 * H))
    assert np.abs(W[H:]).max() <= bound and np.abs(W[H:]).max() > 0.95 * bound
    assert (lstm.gate("f")[1] == 1).all() and b.sum() == H
    assert not ml.RNN(D, H, rng=0).params["b"].any()


def test_gate_is_a_view_in_the_order_f_i_o_c() -> None:
    lstm = ml.LSTM(3, 2, num_layers=2, bidirectional=True, rng=0)
    for position, gate in enumerate("fioc"):
        w, b = lstm.gate(gate)
        assert w.shape == (5, 2) and np.shares_memory(w, lstm.params["W"])
        b[...] = position
    assert lstm.params["b"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert np.shares_memory(lstm.gate("o", layer=1, reverse=True)[0], lstm.params["W_l1_reverse"])
    for arguments in (("g",), ("f", 2), ("f", -1)):
        with pytest.raises(ml.ArgumentError, match="gate"):
            lstm.gate(*arguments)
    with pytest.raises(ml.ArgumentError, match="reverse"):
        ml.LSTM(3, 2).gate("f", reverse=True)


def test_gru_candidate_has_two_biases() -> None:
    gru = ml.GRU(3, 2, rng=0)
    assert gru.params["W"].shape == (5, 6) and gru.params["b"].shape == (8,) and not gru.params["b"].any()
    for position, gate in enumerate("rzn"):
        w, b = gru.gate(gate)
        assert w.shape == (5, 2) and np.shares_memory(w, gru.params["W"]) and b.shape == ((4,) if gate == "n" else (2,))
        b[...] = position
    assert gru.params["b"].tolist() == [0, 0, 1, 1, 2, 2, 2, 2]


def test_chrono() -> None:
    """Tallec & Ollivier 2018: b_f = log(u), u uniform in [1, t_max - 1], and b_i = -b_f; a GRU's update gate is its f."""
    memories = np.exp(chrono_bias(np.random.default_rng(0), 4000, 101))
    assert 1 <= memories.min() < 1.5 and 99.5 < memories.max() <= 100 and abs(memories.mean() - 50.5) < 2
    lstm, plain = (ml.LSTM(3, 50, rng=0, dtype=np.float64, **more) for more in ({"init": "chrono", "t_max": 101}, {}))
    memories = np.exp(lstm.gate("f")[1])
    assert 1 <= memories.min() < 10 and 90 < memories.max() <= 100
    np.testing.assert_array_equal(lstm.gate("i")[1], -lstm.gate("f")[1])
    assert not lstm.gate("o")[1].any() and not lstm.gate("c")[1].any()
    np.testing.assert_array_equal(lstm.params["W"], plain.params["W"])      # only biases differ
    gru = ml.GRU(3, 4, 2, init="chrono", t_max=3, rng=0)
    for layer in (0, 1):
        assert (0 <= gru.gate("z", layer)[1]).all() and (gru.gate("z", layer)[1] <= math.log(2)).all()
        assert gru.gate("z", layer)[1].any() and not gru.gate("r", layer)[1].any() and not gru.gate("n", layer)[1].any()
    for init, t_max, words in (("chrono", None, "t_max"), ("chrono", 2, "at least 3"), ("default", 10, "chrono"),
                               ("chrono", 9.5, "t_max"), ("chronos", 10, "init")):
        with pytest.raises(ml.ArgumentError, match=words):
            ml.LSTM(3, 4, init=init, t_max=t_max)   # type: ignore[arg-type]
    with pytest.raises(ml.ArgumentError, match="RNN has no gate"):
        ml.RNN(3, 4, init="chrono", t_max=10)


def test_uniform_is_pytorchs() -> None:
    lstm, linear = ml.LSTM(9, 25, init="uniform", rng=0), ml.Linear(16, 50, init="uniform", rng=0)
    for layer, bound in ((lstm, 0.2), (linear, 0.25)):
        for value in layer.params.values():
            assert 0.9 * bound < np.abs(value).max() <= bound
    table = ml.Embedding(500, 20, init="uniform", rng=0).params["W"]
    assert abs(float(table.std()) - 1) < 0.05 and abs(float(table.mean())) < 0.05


def test_default_embedding_and_linear(rng: np.random.Generator) -> None:
    table = ml.Embedding(100, 20, padding_idx=3, rng=0).params["W"]
    assert 0.045 < np.abs(table).max() <= 0.05 and not table[3].any()
    linear = ml.Linear(10, 20, rng=0)
    assert np.abs(linear.params["W"]).max() <= math.sqrt(0.2) and not linear.params["b"].any()
    assert np.abs(glorot_uniform(rng, 10, 20)).max() <= math.sqrt(0.2)


def test_same_seed_same_weights_in_every_dtype() -> None:
    a, b = ml.LSTM(3, 4, rng=7), ml.LSTM(3, 4, rng=np.random.default_rng(7), dtype=np.float64)
    np.testing.assert_array_equal(a.params["W"], b.params["W"].astype(np.float32))
    assert (ml.LSTM(3, 4, rng=8).params["W"] != a.params["W"]).any()
    for seed in (-1, 2.5, "seed", True):
        with pytest.raises(ml.ArgumentError, match="rng"):
            ml.LSTM(3, 4, rng=seed)
