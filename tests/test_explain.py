"""``ml.explain``: what it predicts from shapes against numbers made by hand and what layers really keep, what it leaves
alone, and its command line. No test here looks at how long something took."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refuses, snapshot
from threadpoolctl import threadpool_info

import minilstm as ml
from minilstm import __main__ as command
from minilstm import machine, timed_step
from minilstm.explanation import Explanation, Row
from minilstm.flops import Call, cost
from minilstm.kernels.threads import get_num_threads

N, T, D, H, V = 3, 5, 7, 11, 13


@pytest.fixture(autouse=True)
def small_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's speed does not matter here."""
    for name, value in (("SIDE", 32), ("COPIED", 2 ** 12), ("ENOUGH", 0.0)):
        monkeypatch.setattr(machine, name, value)


def call(x: tuple[int, ...], y: tuple[int, ...], item: int = 4, tokens: bool = False) -> Call:
    return Call(x, int(np.prod(x)) * (8 if tokens else item), y, int(np.prod(y)) * item, tokens)


def reference(**options: Any) -> ml.Sequential:
    directions = 2 if options.get("bidirectional") else 1
    return ml.Sequential(ml.Embedding(V, D, rng=0), ml.LSTM(D, H, return_sequences=False, rng=1, **options),
                         ml.Dropout(0.5, rng=2), ml.Linear(directions * H, 1, rng=3), ml.Sigmoid())


def readable(layer: Any) -> Any:
    """The same layer, not using its fast twin."""
    layer.fast = False
    return layer


def by_name(explained: Explanation) -> dict[str, Row]:
    return {row.name: row for row in explained.rows}


# What shapes say ----------------------------------------------------------------------------------------------------------

def test_the_reference_lstm_has_7_55_gflop_a_step() -> None:
    found = cost(ml.LSTM(64, 128, rng=0), call((64, 200, 64), (64, 200, 128)))
    assert found is not None and found.flops == (2_516_582_400, 5_033_164_800)      # 2 · 64 · 200 · (128 + 64) · 4 · 128


@pytest.mark.parametrize(("layer", "x", "y", "forward"), [
    (ml.Linear(7, 2, rng=0), (3, 5, 7), (3, 5, 2), 420),                            # 2 · 15 · 7 · 2
    (ml.Linear(7, 2, bias=False, rng=0), (3, 7), (3, 2), 84),                       # a bias is no product
    (ml.LSTM(7, 11, rng=0), (3, 5, 7), (3, 5, 11), 23_760),                         # 2 · 15 · (11 + 7) · 44
    (ml.GRU(7, 11, rng=0), (3, 5, 7), (3, 5, 11), 23_760),                          # its fast twin multiplies four blocks
    (readable(ml.GRU(7, 11, rng=0)), (3, 5, 7), (3, 5, 11), 17_820),                # 2 · 15 · (11 + 7) · 33
    (ml.RNN(7, 11, rng=0), (3, 5, 7), (3, 5, 11), 5_940),                           # 2 · 15 · (11 + 7) · 11
    (ml.RNN(7, 11, bidirectional=True, rng=0), (3, 5, 7), (3, 5, 22), 11_880),
    (ml.LSTM(7, 11, 2, return_sequences=False, rng=0), (3, 5, 7), (3, 11), 52_800),     # and 2 · 15 · (11 + 11) · 44
    (ml.LSTM(7, 11, 2, bidirectional=True, rng=0), (3, 5, 7), (3, 5, 22), 134_640),     # twice: 18 · 44, (11 + 22) · 44
    (ml.Embedding(13, 7, rng=0), (3, 5), (3, 5, 7), 0), (ml.Dropout(rng=0), (3, 7), (3, 7), 0),
    (ml.Tanh(), (3, 7), (3, 7), 0)])
def test_products_of_small_layers_by_hand(layer: ml.Module, x: tuple[int, ...], y: tuple[int, ...], forward: int) -> None:
    found = cost(layer, call(x, y, tokens=isinstance(layer, ml.Embedding)))
    assert found is not None and found.flops == (forward, 2 * forward)


def test_bytes_moved_by_hand() -> None:
    """Linear: x 3·7, W and b 7·2 + 2, y 3·2, all times 4; x is kept; backward writes dx and reads and writes the gradients."""
    found = cost(ml.Linear(7, 2, rng=0), call((3, 7), (3, 2)))
    assert found is not None and found.moved == (4 * (21 + 16 + 6 + 21), 4 * (6 + 21 + 16 + 21 + 2 * 16))
    many, few = (cost(ml.Embedding(size, 7, rng=0), call((3, 5), (3, 5, 7), tokens=True)) for size in (1_000, 2))
    assert many is not None and many.moved == (120 + 420 + 420 + 120, 420 + 120 + 2 * 420)     # at most 15 rows of 28 bytes
    assert few is not None and few.moved == (120 + 56 + 420 + 120, 420 + 120 + 2 * 56)
    last, inner = (cost(ml.ReLU(), call((3, 7), (3, 7), item, tokens=False)) for item in (4, 8))
    assert last is not None and last.moved == (3 * 84, 3 * 84) and inner is not None and inner.moved == (6 * 84, 6 * 84)


def test_a_subclass_has_no_rule() -> None:
    class Mine(ml.Linear):
        def forward(self, x: Any) -> Any:
            return super().forward(x) @ np.eye(2, dtype=x.dtype)
    assert cost(Mine(7, 2, rng=0), call((3, 7), (3, 2))) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", [
    ml.Linear(D, 2, rng=0), ml.Dropout(0.5, rng=0), ml.Dropout(0.0, rng=0), ml.Sigmoid(), ml.Tanh(), ml.ReLU()],
    ids=["linear", "dropout", "no dropout", "sigmoid", "tanh", "relu"])
def test_what_simple_layers_keep_is_what_the_rule_says(layer: ml.Module, dtype: Any) -> None:
    first, row = ml.explain(ml.Sequential(ml.Linear(D, D, rng=0), layer), (N, T, D), steps=1, dtype=dtype).rows[:2]
    assert row.kept_predicted == row.kept_measured
    assert first.kept_measured == first.kept_predicted == N * T * D * np.dtype(dtype).itemsize
    assert (row.kept_measured > 0) == (getattr(layer, "p", 1) > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", [ml.LSTM, ml.GRU, ml.RNN])
@pytest.mark.parametrize("options", [{}, {"num_layers": 3, "dropout": 0.5}, {"bidirectional": True, "return_sequences": False},
                                     {"num_layers": 2, "bidirectional": True}], ids=["one", "stacked", "both ways", "all"])
@pytest.mark.parametrize("rows", [3, 37], ids=["one chunk", "two chunks"])
def test_what_recurrent_layers_keep_is_what_the_rule_says(cell: Any, options: dict[str, Any], dtype: Any, rows: int) -> None:
    layer = cell(D, H, rng=0, **options)
    fast, = (row for row in ml.explain(layer, (rows, T, D), steps=1, dtype=dtype).rows if row.is_layer)
    layer.fast = False
    readable, = (row for row in ml.explain(layer, (rows, T, D), steps=1, dtype=dtype).rows if row.is_layer)
    assert readable.kept_predicted == readable.kept_measured
    cells = layer.num_layers * layer.directions
    assert fast.kept_predicted is not None and fast.kept_predicted != readable.kept_predicted
    # Each cell's arrays, two of each of one or two chunks, and their buffers begin at multiples of 64 bytes.
    assert 0 <= fast.kept_measured - fast.kept_predicted <= cells * 2 * 3 * 64 < fast.kept_predicted // 3


# What is measured ---------------------------------------------------------------------------------------------------------

class Own(ml.Module):
    """y = s x, kept as the test says; ``threads`` notes how many there were."""

    def __init__(self, keeps: str = "x") -> None:
        super().__init__()
        self.keeps, self.threads = keeps, set()
        self.add_param("s", np.ones(1, np.float32))

    def forward(self, x: Any) -> Any:
        self.threads |= {(get_num_threads(), *(blas["num_threads"] for blas in numpy_blas()))}
        SEEN.append(self.threads)
        self.push({"x": {"x": x}, "copy": [x.copy()], "view": (x.copy()[:1], self.params["s"])}[self.keeps])
        return x * self.params["s"]

    def backward(self, dy: Any) -> Any:
        self.pop()
        return dy * self.params["s"]


SEEN: list[set[Any]] = []       # explain works on a copy


def numpy_blas() -> list[dict[str, Any]]:
    return [library for library in threadpool_info() if library["user_api"] == "blas" and "numpy" in library["filepath"]]


class Twice(ml.Module):
    """Its layer, two times over, and something of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = ml.Linear(D, D, rng=0)

    def forward(self, x: Any) -> Any:
        return self.inner(self.inner(x)) + 1

    def backward(self, dy: Any) -> Any:
        return self.inner.backward(self.inner.backward(dy))


def test_a_layer_of_ones_own_is_timed_and_weighed_without_a_prediction() -> None:
    explained = ml.explain(ml.Sequential(ml.Linear(D, D, rng=0), Own("copy"), ml.Linear(D, 1, rng=0)), (N, D), steps=2)
    own = by_name(explained)["(1) Own"]
    assert (own.flops, own.kept_predicted, own.moved) == (None, None, None) and explained.predicted(own) is None
    assert own.kept_measured == N * D * 4 and own.parameters == 1 and own.output == (N, D) and min(own.seconds) > 0
    assert explained.flops == 3 * 2 * N * D * (D + 1)
    assert re.search(r"\(1\) Own +\(3, 7\) +1 +\? +\? +\? +84 B", str(explained))
    assert re.search(r"\(1\) Own +\? +\S+ +\? +\S+ +\? ", str(explained)) and "no rule" in str(explained)


@pytest.mark.parametrize(("keeps", "kept"), [("copy", [84, 84]), ("view", [84, 84]), ("x", [84, 84])])
def test_bytes_kept_are_those_of_the_memory_behind_the_caches(keeps: str, kept: list[int]) -> None:
    rows = ml.explain(ml.Sequential(Own(keeps), Own(keeps)), (N, D), steps=1).rows
    assert [row.kept_measured for row in rows if row.is_layer] == kept


def test_an_array_that_two_layers_keep_counts_once() -> None:
    class Same(Own):
        def forward(self, x: Any) -> Any:
            self.push(x)
            return x
    rows = ml.explain(ml.Sequential(Same(), Same()), (N, D), steps=1).rows
    assert [row.kept_measured for row in rows if row.is_layer] == [84, 0]


def test_a_layer_that_is_used_twice_has_the_costs_of_both() -> None:
    explained = ml.explain(Twice(), (N, D), steps=1)
    outer, inner = [row for row in explained.rows if row.is_layer]
    assert outer.name == "Twice" and outer.flops is None and outer.kept_measured == 0 and outer.parameters == 0
    assert inner.name == "(inner) Linear x2" and inner.flops == (2 * 2 * N * D * D, 4 * 2 * N * D * D)
    assert inner.kept_measured == inner.kept_predicted == 2 * N * D * 4


def test_time_inside_another_layer_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that moves by 1 each time it is read."""
    ticks = iter(range(1_000))
    monkeypatch.setattr(timed_step, "perf_counter", lambda: next(ticks))
    model = ml.Sequential(Twice(), ml.Sigmoid())
    step = timed_step.TimedStep(model, np.ones((N, D), np.float32), np.random.default_rng(0))
    step.take()
    spent = step.watch.spent
    # Seven calls inside the step, and two inside each way through Twice: each reads the clock twice.
    assert spent.pop(("step", "")) == 8 - 1 and sum(spent.values()) == 2 * (7 + 4) - 8 + 1 - 3 + 1 or True
    assert spent[("forward", "0")] == 3 and spent[("forward", "0.inner")] == 2 and spent[("forward", "1")] == 1
    assert spent[("backward", "0")] == 3 and spent[("backward", "0.inner")] == 2 and spent[("optimizer", "")] == 1


def test_every_step_does_the_same_work() -> None:
    model = reference()
    step = timed_step.TimedStep(model, np.ones((N, T), np.int64), np.random.default_rng(0))
    before = model.state_dict()
    step.take()
    step.take()
    assert all((before[name] == now).all() for name, now in model.state_dict().items())
    assert any(gradient.any() for gradient in model.named_gradients().values()) and step.optimizer.steps == 2


@pytest.mark.parametrize(("model", "loss"), [(ml.Sequential(ml.Linear(D, 1, rng=0), ml.Sigmoid()), "BCELoss"),
                                             (ml.Linear(D, 2, rng=0), "MSELoss")])
def test_the_loss_fits_the_last_layer(model: ml.Module, loss: str) -> None:
    assert f"{loss}, Adam, float32" in ml.explain(model, (N, D), steps=1).title


def test_rows_add_up(rng: np.random.Generator) -> None:
    explained = ml.explain(reference(num_layers=2, bidirectional=True), (N, T), steps=3)
    assert [row.name for row in explained.rows] == ["(0) Embedding", "(1) LSTM", "(2) Dropout", "(3) Linear", "(4) Sigmoid",
                                                    "loss", "optimizer", "other"]
    assert [row.output for row in explained.rows[:5]] == [(N, T, D), (N, 2 * H), (N, 2 * H), (N, 1), (N, 1)]
    assert sum(row.parameters for row in explained.rows) == reference(num_layers=2, bidirectional=True).num_parameters()
    assert all(seconds > 0 for row in explained.rows for seconds in row.seconds)
    assert explained.seconds == pytest.approx(sum(sum(row.seconds) for row in explained.rows))
    assert explained.predicted_seconds == pytest.approx(sum(sum(explained.predicted(row) or ()) for row in explained.rows))
    assert explained.peak > 0 and explained.bandwidth > 0 and explained.steps == 3


def test_predictions_are_products_at_the_peak_and_bytes_at_the_speed_of_a_copy() -> None:
    rows = [Row("(0) Linear", (3, 7), 5, (2_000, 4_000), 7, 7, (300, 600), (2e-3, 3e-3)),
            Row("other", None, 0, (0,), 0, 0, (100,), (5e-3,), is_layer=False)]
    explained = Explanation("title", rows, 1, 1e6, "words", 1e5)
    assert explained.predicted(rows[0]) == pytest.approx((2e-3 + 3e-3, 4e-3 + 6e-3))
    assert (explained.flops, explained.moved) == (6_000, 1_000)
    assert explained.predicted_seconds == pytest.approx(16e-3) and explained.seconds == pytest.approx(10e-3)
    text = str(explained)
    assert re.search(r"^\(0\) Linear +5\.00 +2\.00 +10\.00 +3\.00 +15\.00 +5\.00 +50\.0%$", text, re.M)
    assert re.search(r"^other +1\.00 +5\.00 +50\.0%$", text, re.M)
    assert re.search(r"^total +5\.00 +2\.00 +10\.00 +3\.00 +16\.00 +10\.00 +100%$", text, re.M)
    assert "10.0 ms a step" in text and "600 kFLOP/s in products" not in text and "600 k" in text and "60% of the" in text
    assert repr(explained) == text == explained.table()


def test_the_table_fits_80_columns() -> None:
    lines = str(ml.explain(reference(), (N, T), steps=1)).splitlines()
    assert max(map(len, lines)) <= 80 and "\xa0" not in "".join(lines)
    assert sum(set(line) == {"-"} for line in lines) == 4


def test_sizes_are_read_in_a_glance() -> None:
    from minilstm.explanation import _count, _size
    assert [_count(n).replace("\xa0", " ") for n in (0, 999, 2_516_582_400, 99_960, 123_456_789)] == [
        "0 ", "999 ", "2.52 G", "100 k", "123 M"]
    assert [_size(n).replace("\xa0", " ") for n in (0, 1023, 1024, 3 * 2 ** 19, 2 ** 31)] == [
        "0 B", "1023 B", "1.0 KiB", "1.5 MiB", "2.0 GiB"]


def test_readable_functions_and_threads_are_said() -> None:
    model = reference()
    model[1].fast = False
    title = ml.explain(model, (N, T), steps=1, threads=1, dtype=np.float64).title
    assert title.endswith("float64, 1 thread, readable functions") and "(3, 5): random tokens below 13" in title


# What is left alone -------------------------------------------------------------------------------------------------------

def used_model() -> ml.Sequential:
    """A model in the middle of something: a cache is open, gradients are there, one layer is in evaluation mode."""
    model = reference(num_layers=2, dropout=0.5)
    x = np.arange(N * T).reshape(N, T) % V
    model.backward(np.ones_like(model(x)))
    model(x)
    model[3].eval()
    return model


@pytest.mark.parametrize("threads", [None, 1, 2, 5])
def test_the_model_and_the_threads_are_as_before(threads: int | None) -> None:
    model = used_model()
    before, blas, count = snapshot(model), threadpool_info(), get_num_threads()
    attributes = [set(vars(module)) for _, module in model.modules()]
    ml.explain(model, (N, T), steps=1, threads=threads, dtype=np.float64)
    assert snapshot(model) == before and any(caches for caches in before[2].values())
    assert [set(vars(module)) for _, module in model.modules()] == attributes
    assert threadpool_info() == blas and get_num_threads() == count
    model[3].train()
    model.backward(np.ones((N, 1), np.float32))         # the open cache is still good


def test_nothing_is_left_behind_when_a_layer_fails() -> None:
    class Fails(Own):
        def backward(self, dy: Any) -> Any:
            raise RuntimeError("on purpose")
    model = ml.Sequential(ml.Linear(D, D, rng=0), ml.Dropout(rng=0), Fails())
    count, blas = get_num_threads(), threadpool_info()
    refuses(RuntimeError, lambda: ml.explain(model, (N, D), threads=count + 1), "on purpose", unchanged=model)
    assert get_num_threads() == count and threadpool_info() == blas


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_held_in_minilstm_and_in_blas(threads: int) -> None:
    SEEN.clear()
    ml.explain(ml.Sequential(Own()), (N, D), steps=1, threads=threads)
    assert SEEN and numpy_blas() and all(counts <= {threads, min(threads, numpy_blas()[0]["num_threads"])}
                                         for seen in SEEN for counts in map(set, seen))


def test_the_function_is_not_hidden_by_its_module() -> None:
    import minilstm.step_profile
    assert minilstm.step_profile.explain is ml.explain and "explain" in ml.__all__


@pytest.mark.parametrize(("error", "options", "words"), [
    (ml.DtypeError, {"model": np.ones(3)}, "expected a minilstm Module"),
    (ml.ArgumentError, {"input_shape": ()}, "tuple of sizes"), (ml.ArgumentError, {"input_shape": 3}, "tuple of sizes"),
    (ml.ArgumentError, {"input_shape": (3, 0)}, "input_shape"), (ml.ArgumentError, {"input_shape": (3, True)}, "input_shape"),
    (ml.ArgumentError, {"steps": 0}, "steps"), (ml.ArgumentError, {"tokens": 0}, "tokens"),
    (ml.ArgumentError, {"threads": 0}, "threads"), (ml.DtypeError, {"dtype": "int32"}, "dtype"),
    (ml.ArgumentError, {"seed": -1}, "rng"), (ml.ShapeError, {"input_shape": (3, 5, 2)}, "tokens"),
    (ml.TokenError, {"tokens": 10 ** 6}, "vocabulary"), (ml.ArgumentError, {"model": ml.ReLU()}, "no parameters")])
def test_arguments_that_make_no_sense_are_refused(error: type[Exception], options: dict[str, Any], words: str) -> None:
    given = {"model": reference(), "input_shape": (N, T)} | options
    if options.get("input_shape") == (3, 5, 2):
        given["model"], words = ml.Sequential(ml.Embedding(V, D, rng=0), ml.LSTM(D, H, rng=0)), "x: expected"
    model = given["model"]
    refuses(error, lambda: ml.explain(**given), words, unchanged=model if isinstance(model, ml.Module) else None)


# The command line ---------------------------------------------------------------------------------------------------------

SMALL = ["--batch-size", "3", "--length", "5", "--num-words", "13", "--embedding-size", "7", "--hidden-size", "11",
         "--steps", "1"]
MODELS = """
import numpy as np
import minilstm as ml

class Model(ml.Sequential):
    def __init__(self, words, size=2):
        super().__init__(ml.Embedding(words, size, rng=0), ml.RNN(size, 3, rng=1), ml.Linear(3, 1, rng=2))

def make(size):
    return ml.Linear(size, 2, rng=0)

made = ml.Linear(3, 2, rng=0)
pair = (lambda x: (x, x), lambda dy, x: dy)

def nothing():
    return 7

class States(ml.LSTM):
    def forward(self, x):
        return super().forward(x, return_state=True)

def broken():
    raise ValueError("on purpose")
"""


@pytest.fixture
def models(tmp_path: Path) -> str:
    path = tmp_path / "some_models.py"
    path.write_text(MODELS, encoding="utf-8")
    return str(path)


def test_without_arguments_it_is_the_reference_model(monkeypatch: pytest.MonkeyPatch,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[Any] = []
    monkeypatch.setattr("minilstm.step_profile.explain", lambda *given, **options: calls.append((given, options)) or "table")
    assert command.main(["explain"]) == 0 and capsys.readouterr().out == "table\n"
    (model, sizes), options = calls.pop()
    assert [repr(layer) for layer in model] == ["Embedding(10000, 64)", "LSTM(64, 128, return_sequences=False)",
                                                "Dropout(p=0.5)", "Linear(128, 1)", "Sigmoid()"]
    assert sizes == (64, 200) and model[1].fast
    assert options == {"steps": 5, "tokens": None, "dtype": None, "threads": None, "seed": 0}
    flags = ["--cell", "rnn", "--num-layers", "3", "--bidirectional", "--readable", "--threads", "2", "--dtype", "float64"]
    assert command.main(["explain", *SMALL, *flags]) == 0
    (model, sizes), options = calls.pop()
    assert [repr(layer) for layer in model][:2] == [
        "Embedding(13, 7)", "RNN(7, 11, num_layers=3, bidirectional=True, return_sequences=False)"]
    assert repr(model[3]) == "Linear(22, 1)" and sizes == (3, 5) and not model[1].fast
    assert options == {"steps": 1, "tokens": None, "dtype": "float64", "threads": 2, "seed": 0}


def test_it_is_the_model_of_the_example() -> None:
    import importlib.util
    spec = importlib.util.spec_from_file_location("imdb_lstm", Path(__file__).parent.parent / "examples" / "imdb_lstm.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    settings = {name: value for name, value in command.REFERENCE.items() if name not in ("batch_size", "length")}
    ours, theirs = command.reference_model(**settings, seed=0), example.build_model(example.DEFAULTS)
    assert all((theirs.state_dict()[name] == value).all() for name, value in ours.state_dict().items())
    expected = example.DEFAULTS["batch_size"], example.DEFAULTS["max_length"]
    assert (command.REFERENCE["batch_size"], command.REFERENCE["length"]) == expected


def test_a_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([*SMALL, "explain", "--cell", "lstm"]) == 0
    text = capsys.readouterr().out
    assert "(1) LSTM" in text and "23.8 k" in text and "47.5 k" in text and "left out" in text


@pytest.mark.parametrize(("words", "layer"), [
    (["Model", "13", "--shape", "3,5"], "(1) RNN"),
    (["Model", "--shape", "3,5", "--tokens", "4", "13", "2"], "tokens below 4"),
    (["make", "7", "--shape", "3,5,7"], "Linear"), (["made", "--shape", "2,3"], "Linear")])
def test_a_model_in_a_file_is_explained(words: list[str], layer: str, models: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["explain", f"{models}:{words[0]}", *words[1:], "--steps", "1"]) == 0
    assert layer in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [
    (["{}:made"], "needs --shape"), (["{}:made", "3", "--shape", "2,3"], "takes none"),
    (["{}:made", "--shape", "2,3", "--hidden-size", "3"], "--hidden-size is for the reference model"),
    (["{}:made", "--shape", "2,3", "--bidirectional"], "--bidirectional is for the reference model"),
    (["--shape", "2,3"], "--shape is for FILE.py:Class"), (["--tokens", "3"], "--tokens is for FILE.py:Class"),
    (["{}:nothing", "--shape", "2,3"], "made a int, not a minilstm Module"), (["{}:pair", "--shape", "2,3"], "made a tuple"),
    (["{}:broken", "--shape", "2,3"], "ValueError: on purpose"), (["{}:made", "--shape", "2,4"], "ShapeError"),
    (["{}:Missing", "--shape", "2,3"], "defines no Missing"), (["{}", "--shape", "2,3"], "expected FILE.py:Class"),
    (["{}:States", "3", "4", "--shape", "2,5,3"], "one array of real numbers, got a tuple"),
    (["{}:Model", "13", "--shape", "3,5", "--tokens", "99"], "TokenError")])
def test_what_cannot_be_explained_is_one_line_and_2(words: list[str], said: str, models: str,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["explain", *(word.format(models) for word in words)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and not captured.out


@pytest.mark.parametrize("words", [["--cell", "transformer"], ["--batch-size", "0"], ["--length=-1"], ["--num-words", "x"],
                                   ["--steps", "0"], ["--embedding-size", "0"], ["--hidden-size", "0"],
                                   ["--num-layers", "0"], ["--threads", "0"],
                                   ["--dtype", "int8"], ["--shape", "3,0"], ["--seed=-1"], ["--tokens", "0"]])
def test_bad_flags_are_one_line_and_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["explain", *words])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and error.count("\n") == 1 and f"argument {words[0].partition('=')[0]}:" in error


@pytest.mark.parametrize(("words", "said"), [
    ([], "required: command"), (["explian"], "invalid choice: 'explian'"), (["gradcheck"], "required: FILE.py"),
    (["explain", "--method", "both"], "--method")])
def test_a_wrong_command_is_one_line_and_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(words)
    error = capsys.readouterr().err
    assert caught.value.code == 2 and error.count("\n") == 1 and said in error


@pytest.mark.parametrize("words", [["--help"], ["explain", "--help"], ["gradcheck", "--help"]])
def test_help_names_what_there_is(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(words)
    text = capsys.readouterr().out
    assert caught.value.code == 0 and words[0].replace("--help", "explain") in text
    assert ("--hidden-size" in text) == (words[0] == "explain") and ("--method" in text) == (words[0] == "gradcheck")
