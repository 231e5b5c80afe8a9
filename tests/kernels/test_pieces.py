"""How work is cut: batches into chunks and stretches (and what rows with the same padding share), products, memory, steps.

Whatever the cut, the result is that of the simple form. Batches here have more rows than one vector (``batch.WIDTHS``) and
runs of padding longer than ``batch.SHORTEST`` wherever sharing is meant to happen.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from cases import KINDS, Case, close
from hypothesis import given
from hypothesis import strategies as st

import minilstm as ml
from minilstm.embedding import embedding_backward, embedding_forward
from minilstm.kernels import compiled, gru, products, rnn, sequence
from minilstm.kernels.batch import SHORTEST, beginnings, cut
from minilstm.kernels.embedding import FEW, embedding_rows
from minilstm.kernels.lstm import lstm_backward, lstm_forward
from minilstm.kernels.memory import ALIGNMENT, KEPT, Carver, Memory
from minilstm.kernels.pieces import PIECE, each_piece
from minilstm.kernels.threads import get_num_threads, one_blas_thread, set_num_threads

V = 11


def padded_tokens(rng: np.random.Generator, runs: Any, T: int, pad: int = 0) -> np.ndarray:
    """Tokens (N, T) with no two equal neighbours, but for ``runs`` steps of ``pad`` in front of each row."""
    runs = np.asarray(runs)
    words = (rng.integers(0, V, (len(runs), 1)) + np.cumsum(rng.integers(1, V // 2, (len(runs), T)), axis=1)) % V
    tokens = np.where(np.arange(T) < runs[:, None], pad, words)
    ends = runs[(runs > 0) & (runs < T)]
    after = tokens[(runs > 0) & (runs < T), ends]
    tokens[(runs > 0) & (runs < T), ends] = np.where(after == pad, (pad + 1) % V, after)
    return tokens


def batches(T: int = 37) -> dict[str, np.ndarray]:
    """Batches of tokens by name."""
    rng = np.random.default_rng(3)

    def some(N: int) -> np.ndarray:
        return np.concatenate([[T, 0], rng.integers(0, T + 1, N - 2)])
    two = padded_tokens(rng, some(70), T)
    two[::3] = padded_tokens(rng, some(70), T, pad=5)[::3]
    return {"17 rows": padded_tokens(rng, some(17), T), "33 rows": padded_tokens(rng, some(33), T),
            "70 rows": padded_tokens(rng, some(70), T), "130 rows": padded_tokens(rng, some(130), T),
            "padding is 7": padded_tokens(rng, some(70), T, pad=7), "two kinds of runs": two,
            "equal lengths": padded_tokens(rng, [20] * 70, T), "late": padded_tokens(rng, [T - 3] * 69 + [0], T),
            "nothing but padding": padded_tokens(rng, [T] * 33, T), "half nothing": padded_tokens(rng, [T, 4] * 35, T)}


SHARED = batches()
ALONE = {"one row": SHARED["33 rows"][:1], "one row of padding": SHARED["nothing but padding"][:1],
         "no padding": padded_tokens(np.random.default_rng(4), [0] * 70, 37),
         "short runs": padded_tokens(np.random.default_rng(5), [3] * 70, 37), "one step": SHARED["33 rows"][:, :1],
         "few rows": SHARED["33 rows"][:3]}


def is_shared(tokens: np.ndarray) -> bool:
    """Tell whether some stretch of some chunk is computed for fewer rows than the chunk has."""
    N, T = tokens.shape
    return any(stretch.width < chunk.n for chunk in cut(N, T, beginnings(tokens), compiled.takes(np.dtype(np.float64)))
               for stretch in chunk.stretches)


# Rows that share their padding --------------------------------------------------------------------------------------------

def by_token(tokens: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """The sum (T, V, D) of dx over the rows that have the same token at the same step."""
    T = tokens.shape[1]
    sums = np.zeros((T, V, dx.shape[2]))
    np.add.at(sums, (np.arange(T)[None], tokens), dx)
    return sums


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("tokens", [pytest.param(t, id=name) for name, t in {**SHARED, **ALONE}.items()])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("large", [False, True], ids=["small weights", "large weights"])
def test_shared_padding_changes_nothing(large: bool, kind: str, tokens: np.ndarray, rng: np.random.Generator,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    if large:
        monkeypatch.setattr(sequence, "LARGE", 0)
    (N, T), D, H = tokens.shape, 5, 3
    case = Case(kind, N=N, T=T, D=D, H=H)
    x, (W, b) = rng.standard_normal((V, D))[tokens], case.params().values()
    if kind == "relu":                      # no dead units: each row has a gradient
        x, W = np.abs(x), np.abs(W) / 4
    dh, dlast, results = rng.standard_normal((N, T, H)), [rng.standard_normal((N, H)) for _ in case.state()], []
    for given_tokens in (None, tokens):
        if kind == "lstm":
            h, _, cache = lstm_forward(x, None, None, W, b, tokens=given_tokens)
            dx, _, _, *grads = lstm_backward(dh, dlast[1], cache, dh_last=dlast[0])
        else:
            twin = {"gru": gru}.get(kind, rnn)
            h, cache = case.function("forward", twin)(x, None, W, b, tokens=given_tokens, **case.named)
            dx, _, *grads = case.function("backward", twin)(dh, cache, dh_last=dlast[0])
        results.append([h, *cache.last, *grads, by_token(tokens, dx), dx])
    (*plain, dx_plain), (*shared, dx_shared) = results
    for got, want in zip(shared, plain, strict=True):
        close(got, want, 1e-12)
    if is_shared(tokens):                   # the sum stands in one row, and the others have 0
        assert np.count_nonzero(dx_shared.any(axis=2)) < np.count_nonzero(dx_plain.any(axis=2))
    else:
        close(dx_shared, dx_plain, 1e-12)


def test_batches_share_as_they_say() -> None:
    assert all(is_shared(tokens) for tokens in SHARED.values()) and not any(is_shared(tokens) for tokens in ALONE.values())


def tokens_to_gradients(model: ml.Module, tokens: np.ndarray, fast: bool, **options: Any) -> list[np.ndarray]:
    """Output and all gradients of a model above tokens."""
    for _, module in model.modules():
        if isinstance(module, (ml.LSTM, ml.GRU, ml.RNN)):
            module.fast = fast
    y = model(tokens, **options)
    model.backward(np.random.default_rng(6).standard_normal(y.shape))
    return [y, *model.named_gradients().values()]


def compare_models(model: ml.Module, tokens: np.ndarray, **options: Any) -> None:
    other = copy.deepcopy(model)
    for got, want in zip(tokens_to_gradients(model, tokens, True, **options),
                         tokens_to_gradients(other, tokens, False, **options), strict=True):
        close(got, want, 1e-12)


def table(**options: Any) -> ml.Embedding:
    return ml.Embedding(V, 3, init="uniform", dtype=np.float64, rng=0, **options)


def cells(D: int, H: int, *layers: int, **options: Any) -> list[Any]:
    """An LSTM, two RNNs and a GRU."""
    options = {"dtype": np.float64, "rng": 1, "init": "uniform", **options}
    return [ml.LSTM(D, H, *layers, **options), ml.RNN(D, H, *layers, **options),
            ml.RNN(D, H, *layers, nonlinearity="relu", **options), ml.GRU(D, H, *layers, **options)]


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("sequences", [True, False])
def test_models_above_tokens(name: str, sequences: bool) -> None:
    for layer in cells(3, 2, return_sequences=sequences):
        compare_models(ml.Sequential(table(padding_idx=0), layer), SHARED[name])


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_stacks_above_tokens(layers: int, bidirectional: bool) -> None:
    for layer in cells(3, 2, layers, bidirectional=bidirectional):
        compare_models(ml.Sequential(table(), layer), SHARED["70 rows"])
    for first, second in zip(cells(3, 2, bidirectional=bidirectional), cells(2 + 2 * bidirectional, 3, layers)):
        compare_models(ml.Sequential(table(), first, ml.Dropout(0.5, rng=2), second), SHARED["70 rows"])


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("between", [lambda: ml.Dropout(0.5, rng=2),
                                     lambda: ml.LSTM(3, 3, bidirectional=True, dtype=np.float64, rng=2),
                                     lambda: ml.Linear(3, 3, dtype=np.float64, rng=2)], ids=["dropout", "both", "linear"])
def test_a_chain_in_a_chain(between: Any) -> None:
    """Equal tokens are not equal inputs to every layer of an inner Sequential."""
    below = between()
    layer = ml.LSTM(6 if isinstance(below, ml.LSTM) else 3, 2, dtype=np.float64, rng=1)
    compare_models(ml.Sequential(table(), ml.Sequential(below, layer)), SHARED["70 rows"])


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("padding", ["post", "pre"])
def test_tokens_beside_lengths(padding: str, rng: np.random.Generator) -> None:
    tokens = SHARED["70 rows"]
    lengths = np.maximum(1, 37 - (tokens == 0).cumprod(axis=1).sum(axis=1)) if padding == "pre" else rng.integers(1, 38, 70)
    for layer in cells(3, 2):
        compare_models(ml.Sequential(table(), layer), tokens, lengths=lengths, padding=padding)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("given_states", [(True, True), (True, False), (False, True), None], ids=str)
@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
def test_tokens_beside_states(kind: str, given_states: Any, rng: np.random.Generator) -> None:
    """Rows whose initial states or lengths differ share nothing, whatever their tokens."""
    tokens = SHARED["70 rows"]
    N, T = tokens.shape
    x, (W, b) = rng.standard_normal((V, 3))[tokens], Case(kind, D=3, H=2).params().values()
    state = [rng.standard_normal((N, 2)) if there else None for there in given_states or (False, False)]
    options = {"lengths": rng.integers(1, T + 1, N)} if given_states is None or kind != "lstm" and not given_states[0] else {}
    results = []
    for given_tokens in (None, tokens):
        if kind == "lstm":
            h, _, cache = lstm_forward(x, *state, W, b, tokens=given_tokens, **options)
            gradients = lstm_backward(np.cos(h), np.sin(h[:, -1]), cache)
        else:
            run, back = (gru.gru_forward, gru.gru_backward) if kind == "gru" else (rnn.rnn_forward, rnn.rnn_backward)
            h, cache = run(x, state[0], W, b, tokens=given_tokens, **options)
            gradients = back(np.cos(h), cache)
        results.append([h, *cache.last, *gradients])
    for got, want in zip(*results, strict=True):
        assert np.array_equal(got, want)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("name", ["33 rows", "70 rows", "nothing but padding"])
def test_every_row_gets_its_own_gradient_of_zero_states(name: str, rng: np.random.Generator) -> None:
    tokens = SHARED[name]
    x, N = rng.standard_normal((V, 3))[tokens], len(tokens)
    for layer in cells(3, 2):
        dstate, results = [rng.standard_normal((1, N, 2)) for _ in layer.state_names], []
        pack: Any = tuple if isinstance(layer, ml.LSTM) else lambda parts: parts[0]
        for layer.fast in (True, False):
            layer.zero_grad()
            y, last = layer(x, return_state=True, tokens=tokens)
            dx, dfirst = layer.backward(np.cos(y), pack(dstate))
            results.append([y, np.stack(last), by_token(tokens, dx), np.stack(dfirst), layer.grads["W"].copy()])
        for got, want in zip(*results, strict=True):
            close(got, want, 1e-12)


@pytest.mark.usefixtures("steps")
def test_gradcheck_with_shared_padding() -> None:
    tokens = padded_tokens(np.random.default_rng(7), [9, 8] + [13] * 16, 13)
    assert is_shared(tokens)
    for layer in (cell for cell in cells(2, 1) if getattr(cell, "nonlinearity", "tanh") == "tanh"):
        model = ml.Sequential(ml.Embedding(V, 2, init="uniform", rng=0), layer)
        report = ml.gradcheck(model, tokens, tolerance=1e-6, complex_tolerance=1e-10)
        assert not np.isnan(report.worst("complex"))


# Cuts of a batch ----------------------------------------------------------------------------------------------------------

@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2 ** 16), st.integers(1, 4))
def test_beginnings(N: int, T: int, seed: int, kinds: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = padded_tokens(rng, rng.integers(0, T + 1, N) * rng.integers(0, 2, N), T)
    tokens[rng.integers(0, kinds, N) > 0] += V
    runs = [next((t for t in range(T) if row[t] != row[0]), T) for row in tokens]
    pad = tokens[int(np.argmax(runs)), 0]
    expected = [run if row[0] == pad else 0 for run, row in zip(runs, tokens)]
    starts = beginnings(tokens)
    if sum(start >= SHORTEST for start in expected) > 1:
        assert starts is not None and starts.tolist() == expected
    else:
        assert starts is None


@given(st.integers(1, 300), st.integers(1, 80), st.integers(0, 2 ** 16), st.sampled_from(["none", "any", "few", "late"]))
def test_cut(N: int, T: int, seed: int, form: str) -> None:
    rng = np.random.default_rng(seed)
    starts = rng.integers(T - T // 9 if form == "late" else 0, T + 1, N)
    if form == "few":
        starts = rng.integers(0, T + 1, 2)[rng.integers(0, 2, N)]
    chunks = cut(N, T, None if form == "none" else starts)
    assert sorted(np.concatenate([np.arange(N)[chunk.rows] for chunk in chunks])) == list(range(N))
    for rows, count, stretches in chunks:
        assert len(np.arange(N)[rows]) == count > 0
        assert [s.start for s in stretches] + [T] == [0] + [s.stop for s in stretches]
        assert all(s.start < s.stop and 1 <= s.width <= count for s in stretches)
        if form == "none":
            assert [s.width for s in stretches] == [count]
            continue
        assert stretches[-1].width == count or min(starts[rows]) == T or starts[rows][stretches[-1].width - 1] == T
        for start, stop, width in stretches:            # the last one computed and those it stands for have not begun
            assert width == count or (starts[rows][width - 1:] >= stop).all()


# Products -----------------------------------------------------------------------------------------------------------------

SHAPES = [(1, 1, 1), (7, 5, 3), (67, 256, 33), (256, 129, 35), (192, 512, 64), (192, 512, 35), (128, 256, 1), (64, 64, 900),
          (64, 64, 1100), (512, 321, 64)]           # M, K, N
DTYPES = [np.float32, np.float64, np.complex64, np.complex128, np.longdouble]


def draw(rng: np.random.Generator, shape: tuple[int, int], dtype: Any) -> np.ndarray:
    real = rng.standard_normal(shape)
    return (real + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)


def near(got: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Assert that ``got`` is a @ b to what rounding allows, element by element."""
    with one_blas_thread():
        want, bound = a @ b, np.abs(a) @ np.abs(b)
    eps = np.finfo(want.dtype).eps
    assert got.shape == want.shape and got.dtype == want.dtype
    assert (np.abs(got - want) <= 4 * eps * a.shape[1] * bound).all()


@pytest.mark.parametrize("small_kernels", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_product_of_weights_and_states(shape: tuple[int, int, int], dtype: Any, small_kernels: bool,
                                       monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setattr(products, "_has_small_kernels", lambda: small_kernels)
    M, K, N = shape if dtype is not np.longdouble else (shape[0] // 7 + 1, shape[1] // 7 + 1, shape[2])     # no BLAS for it
    W = draw(rng, (M, K), dtype)
    by_weights = products.Product(W, N)
    for _ in range(2):
        state, out = draw(rng, (K, N), dtype), np.full((M, N), np.nan, dtype)
        before = state.copy()
        with one_blas_thread():
            by_weights(state, out)
        near(out, W, state)
        assert np.array_equal(state, before)


def test_some_shapes_are_cut_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_has_small_kernels", lambda: True)
    cuts = {shape: products.pieces(*shape, 4) for shape in SHAPES}
    assert cuts[192, 512, 64] == (64, 4) and cuts[256, 129, 35] == (64, 1) and cuts[67, 256, 33] == (67, 1)
    assert len(set(cuts.values())) > 4
    monkeypatch.setattr(products, "_has_small_kernels", lambda: False)
    assert all(products.pieces(*shape, 4) == (shape[0], 1) for shape in SHAPES)


@given(st.integers(1, 600), st.integers(1, 700), st.integers(1, 1200), st.sampled_from([2, 4, 8, 16]))
def test_cuts_fit(M: int, K: int, N: int, itemsize: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "_has_small_kernels", lambda: True)
        rows, splits = products.pieces(M, K, N, itemsize)
    assert M % rows == K % splits == 0
    assert (rows, splits) == (M, 1) or rows * (K // splits) * N <= products.SMALL


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (300, 2, 3), (3, 2, 300), (701, 131, 103), (103, 131, 701)])
@pytest.mark.parametrize("dtypes", [(np.float32, np.float32), (np.float64, np.float64), (np.float32, np.float64),
                                    (np.complex128, np.float64)])
def test_product_of_any_two(shape: tuple[int, int, int], dtypes: Any, rng: np.random.Generator) -> None:
    M, K, N = shape
    a, b = draw(rng, (K, M), dtypes[0]).T, draw(rng, (K, N), dtypes[1])
    before, results = get_num_threads(), set()
    try:
        for n in (1, 2, 5):
            set_num_threads(n)
            got = products.product(a, b)
            near(got, a, b)
            results.add(got.tobytes())
    finally:
        set_num_threads(before)
    assert len(results) == 1


# Memory -------------------------------------------------------------------------------------------------------------------

def test_memory_serves_again() -> None:
    memory = Memory()
    small, large = memory.take(1_000), memory.take(50_000_000)
    memory.give([small, large])
    assert memory.take(20_000_000) is large                     # the smallest that is large enough
    third = memory.take(1_001)
    assert third is not small and third.nbytes >= 1_001
    assert memory.take(900) is small and memory.take(900) is not small
    memory.give([large])
    assert memory.take(1_000_000) is not large                  # that would be a waste


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3_000_000)), max_size=40))
def test_nobody_shares_memory(calls: list[tuple[bool, int]]) -> None:
    memory, held = Memory(), list[np.ndarray]()
    for takes, number in calls:
        if takes or not held:
            held.append(memory.take(number))
            assert held[-1].nbytes >= number and held[-1].dtype == np.uint8
            assert held[-1].ctypes.data % ALIGNMENT == 0 or number == 0
        else:
            memory.give([held.pop(number % len(held))])
        edges = sorted((buffer.ctypes.data, buffer.ctypes.data + buffer.nbytes) for buffer in held if buffer.nbytes)
        assert all(stop <= start for (_, stop), (start, _) in zip(edges, edges[1:]))
        assert len(memory._free) <= KEPT


@given(st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=3), max_size=6),
       st.sampled_from([np.float32, np.float64, np.complex128]))
def test_carver(shapes: list[list[int]], dtype: Any) -> None:
    counter = Carver(dtype)
    assert [counter.array(*shape).size for shape in shapes] == [0] * len(shapes)
    carver = Carver(dtype, Memory().take(counter.used))
    arrays = [carver.array(*shape) for shape in shapes]
    assert carver.used == counter.used
    for number, array in enumerate(arrays):
        array[...] = number
    for number, (array, shape) in enumerate(zip(arrays, shapes)):
        assert array.shape == tuple(shape) and array.dtype == dtype and array.flags.c_contiguous
        assert (array == number).all() and (array.size == 0 or array.ctypes.data % ALIGNMENT == 0)


@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))],
                         ids=["deepcopy", "pickle"])
def test_copies_of_a_layer_have_memory_of_their_own(make_copy: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((33, 41, 3))
    for layer in cells(3, 5):
        layer.backward(layer(x))
        layer.zero_grad()
        assert sum(buffer.nbytes for buffer in layer.memory._free) > 50_000
        assert len(pickle.dumps(layer)) < 10_000
        twin = make_copy(layer)
        assert not twin.memory._free
        first, second = layer(x), twin(2 * x)                   # both at once
        gradients = twin.backward(second), layer.backward(first)
        for module, factor, dx in ((layer, 1, gradients[1]), (twin, 2, gradients[0])):
            module.fast = False
            got = module.grads["W"].copy()
            module.zero_grad()
            close(dx, module.backward(module(factor * x)), 1e-12)
            close(got, module.grads["W"], 1e-12)


# Elementwise work, and the embedding's gradient ---------------------------------------------------------------------------

@pytest.mark.parametrize("shapes", [[()], [(1,)], [(3, 5), (7,), ()], [(300_007,)], [(1_009, 307), (307,)], [(1, 300_007)],
                                    [(PIECE,), (PIECE + 1,), (2 * PIECE,)], [(5, 0), (3,)], [(7, 11, 4_099)]])
@pytest.mark.parametrize("scratch", [0, 1, 3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_each_piece(shapes: list[tuple[int, ...]], scratch: int, order: Any, rng: np.random.Generator) -> None:
    work = [(np.asarray(rng.standard_normal(shape), order=order), np.asarray(rng.standard_normal(shape).astype(np.float32)))
            for shape in shapes]
    expected = [a * 2 + b for a, b in work]

    def function(a: np.ndarray, b: np.ndarray, *spare: np.ndarray) -> None:
        assert len(spare) == scratch and all(s.shape == a.shape and s.dtype == a.dtype for s in spare)
        for s in spare:
            s[...] = np.nan                                     # nobody else's
        a *= 2
        a += b
    each_piece(work, function, scratch)
    for (a, _), want in zip(work, expected, strict=True):
        assert np.array_equal(a, want)


@pytest.mark.parametrize("shape, size", [((), 11), ((1,), 1), ((7,), 3), ((13, 5), 11), ((2, 3, 5), 2), ((FEW,), 1),
                                         ((FEW + 1,), 1), ((999,), 5), ((70, 41), 7), ((70, 41), 3_001), ((4_000,), 100_000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_embedding_rows(shape: tuple[int, ...], size: int, dtype: Any, rng: np.random.Generator) -> None:
    D = 3
    tokens = rng.integers(0, size, shape)
    dy = np.repeat(rng.standard_normal((*shape, D)).astype(dtype), 2, axis=-1)[..., ::2]
    rows, sums = embedding_rows(dy, tokens)
    assert sorted(rows.tolist()) == np.unique(tokens).tolist() and sums.dtype == dtype and rows.dtype == tokens.dtype
    want = np.zeros((size, D))
    np.add.at(want, tokens.reshape(-1), dy.reshape(-1, D))
    close(sums, want[rows], 1e-12 if dtype is np.float64 else 1e-5)
    _, cache = embedding_forward(tokens, np.zeros((size, D), dtype))
    close(sums, embedding_backward(dy, cache)[rows], 1e-12 if dtype is np.float64 else 1e-5)
    layer = ml.Embedding(size, D, padding_idx=int(rows[0]), dtype=dtype, rng=0)
    for _ in range(2):
        layer(tokens)
        layer.backward(dy)
    want[rows[0]] = 0
    close(layer.grads["W"], 2 * want, 1e-12 if dtype is np.float64 else 1e-5)


@pytest.mark.parametrize("count", [1, 2, FEW - 1, FEW, FEW + 1, 3 * FEW])
def test_embedding_rows_of_tokens_that_are_few_and_many(count: int, rng: np.random.Generator) -> None:
    """Beside a token in ``count`` places: one in a single place, and one in a hundred."""
    tokens = rng.permutation(np.repeat([5, 2, 70_000], [count, 1, 100]))
    dy = rng.standard_normal((len(tokens), 4))
    rows, sums = embedding_rows(dy, tokens)
    assert sorted(rows.tolist()) == [2, 5, 70_000]
    for token, total in zip(rows, sums):
        close(total, dy[tokens == token].sum(axis=0), 1e-12)
