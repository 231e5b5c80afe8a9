"""A Python without lzma, bz2, threads, subprocesses and Numba, as in a browser: all modules are imported, and work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BARE = """
import sys, _thread, threading
for name in ("_bz2", "_lzma", "_multiprocessing", "_posixsubprocess", "bz2", "llvmlite", "lzma", "multiprocessing", "numba",
             "subprocess"):
    sys.modules[name] = None

def refuse(*_, **__):
    raise RuntimeError("can't start new thread")
_thread.start_new_thread = threading._start_new_thread = refuse
"""
IMPORT = BARE + """
import importlib, pkgutil, minilstm
for module in pkgutil.walk_packages(minilstm.__path__, "minilstm."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        needs_numba = module.name.startswith("minilstm.kernels.compiled.")      # imported only where there is Numba
        assert needs_numba and ("numba" in str(error) or "llvmlite" in str(error)), (module.name, error)
    print(module.name)
"""
TRAIN = BARE + """
import numpy as np, minilstm as ml
ml.set_num_threads(4)
folder = sys.argv[1]
with open(folder + "/a.csv", "w") as file:
    file.write("review,sentiment\\n" + "good film,positive\\nbad film,negative\\n" * 40)
texts, y = ml.read_reviews(folder + "/a.csv")
tokenizer = ml.Tokenizer()
tokenizer.fit_on_texts(texts)
x = ml.pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=3)
model = ml.Sequential(ml.Embedding(4, 8, rng=0), ml.LSTM(8, 64, return_sequences=False, rng=1), ml.Linear(64, 1, rng=2),
                      ml.Sigmoid())
trainer = ml.Trainer(model, ml.BCELoss(), ml.Adam(model, lr=0.05), run_dir=folder + "/run", verbose=False, progress=False)
print(trainer.fit(ml.DataLoader(x, y, batch_size=40, shuffle=True, seed=0), epochs=8)["train_acc"][-1])
print(ml.gradcheck(ml.LSTM(2, 3, rng=0), np.ones((2, 3, 2))))
for kind in ("xz", "bz2"):
    open(f"{folder}/a.csv.{kind}", "wb").write({"xz": b"\\xfd7zXZ\\x00 rest", "bz2": b"BZh91AY&SY rest"}[kind])
    try:
        ml.read_reviews(f"{folder}/a.csv.{kind}")
    except ml.DataError as error:
        print(error)
"""


def bare(code: str, *argv: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_module_is_imported() -> None:
    names = bare(IMPORT)
    files = {file.relative_to(ROOT).with_suffix("") for file in (ROOT / "minilstm").rglob("*.py")}
    modules = {".".join(file.parts).removesuffix(".__init__") for file in files}
    assert set(names) == modules - {"minilstm"}


def test_it_reads_trains_saves_and_checks(tmp_path: Path) -> None:
    accuracy, *lines = bare(TRAIN, str(tmp_path))
    assert float(accuracy) == 1.0 and (tmp_path / "run" / "last.ckpt").exists()
    for kind, line in zip(("xz", "bz2"), lines[-2:]):
        assert line.startswith(f"{tmp_path}/a.csv.{kind}: is compressed with ") and line.endswith("; unpack it first")
