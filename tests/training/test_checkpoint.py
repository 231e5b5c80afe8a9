"""Loading returns what was saved, bit for bit, or raises CheckpointError, naming the file; a failed save keeps the old one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minilstm.backend.errors import CheckpointError, DtypeError
from minilstm.training import atomic_write as files
from minilstm.training.checkpoint import DTYPES, load_checkpoint, save_checkpoint

ROOT = Path(__file__).resolve().parents[2]
ARRAYS = {"0.W": np.arange(6, dtype=np.float32).reshape(2, 3), "0.b": np.array([1.5, np.nan, -0.0]), "n": np.array(7),
          "empty": np.zeros((0, 3), np.int32)}
META = {"epoch": 3, "lr": 0.1, "best": float("inf"), "rng": {"state": 2 ** 127 + 1}, "words": ["ü", None, True]}


def craft(header: Any, body: bytes = b"", version: int = 1, magic: bytes = b"MINILSTM", total: int | None = None,
          length: int | None = None) -> bytes:
    """A file with any header whatever, and the right digest."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = 24 + len(text) + len(body) + 32
    data = struct.pack("<8sIIQ", magic, version, len(text) if length is None else length, size if total is None else total)
    data += text + body
    return data + hashlib.sha256(data).digest()


def entry(**changes: Any) -> dict[str, Any]:
    return {"name": "a", "dtype": "<f4", "shape": [2], "offset": 0, **changes}


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def assert_same(arrays: dict[str, np.ndarray], expected: dict[str, Any]) -> None:
    assert list(arrays) == list(expected)
    for name, value in expected.items():
        value = np.asarray(value)
        assert arrays[name].shape == value.shape and arrays[name].dtype == value.dtype.newbyteorder("=")
        assert arrays[name].tobytes() == value.astype(value.dtype.newbyteorder("=")).tobytes()
        assert arrays[name].flags.writeable


def test_round_trip_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, ARRAYS, META)
    arrays, meta = load_checkpoint(path)
    assert_same(arrays, ARRAYS)
    assert meta == META and os.listdir(tmp_path) == ["a.ckpt"]


@settings(max_examples=40)
@given(value=hnp.arrays(st.sampled_from([np.dtype(code) for code in DTYPES] + [np.dtype(">f4"), np.dtype(">i8")]),
                        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)), transpose=st.booleans())
def test_every_dtype_shape_and_layout(tmp_path_factory: pytest.TempPathFactory, value: np.ndarray, transpose: bool) -> None:
    path = tmp_path_factory.mktemp("ckpt") / "a.ckpt"
    save_checkpoint(path, {"a": value.T if transpose else value}, {})
    assert_same(load_checkpoint(path)[0], {"a": value.T if transpose else value})


def test_the_documented_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, {"a": np.array([1.0, 2.0], np.float32)}, {"k": 1})
    data = path.read_bytes()
    assert data == craft({"arrays": [entry()], "meta": {"k": 1}}, struct.pack("<2f", 1, 2))
    assert_same(load_checkpoint(path)[0], {"a": np.array([1, 2], np.float32)})


def test_every_truncation_and_every_flipped_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, {"a": np.arange(3, dtype=np.float32)}, {"k": 1})
    data = path.read_bytes()
    for length in range(len(data)):
        refused(path, data[:length])
    for position in range(len(data)):
        for bit in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= bit
            refused(path, bytes(damaged))
    for extra in (b"\0", b"x" * 100, data):
        refused(path, data + extra)


def test_magic_and_version(tmp_path: Path) -> None:
    path, good = tmp_path / "a.ckpt", {"arrays": list[Any](), "meta": {}}
    assert "empty" in refused(path, b"")
    assert "not a minilstm checkpoint" in refused(path, b"PK\3\4" + b"\0" * 100)
    assert "not a minilstm checkpoint" in refused(path, craft(good, magic=b"MINILSTX"))
    assert "version 2" in refused(path, craft(good, version=2))
    refused(path, craft(good, total=10 ** 18))
    refused(path, craft(good, length=2 ** 32 - 1))


ENTRY = b'{"arrays": [' + json.dumps(entry()).encode() + b"]"
HEADERS: dict[str, Any] = {
    "longer than the file": {"arrays": [entry(shape=[3])], "meta": {}},
    "shorter than the file": {"arrays": [entry(shape=[1])], "meta": {}},
    "enormous": {"arrays": [entry(shape=[2 ** 62, 2 ** 62])], "meta": {}},
    "enormous but empty": {"arrays": [entry(shape=[0, 2 ** 70]), entry(name="b")], "meta": {}},
    "too many axes": {"arrays": [entry(shape=[1] * 40 + [2])], "meta": {}},
    "negative": {"arrays": [entry(shape=[-1, -2])], "meta": {}},
    "float shape": {"arrays": [entry(shape=[2.0])], "meta": {}},
    "bool shape": {"arrays": [entry(shape=[True, 2])], "meta": {}},
    "shape no list": {"arrays": [entry(shape=2)], "meta": {}},
    "twice": {"arrays": [entry(shape=[1]), entry(shape=[1], offset=4)], "meta": {}},
    "overlapping": {"arrays": [entry(), entry(name="b")], "meta": {}},
    "swapped": {"arrays": [entry(shape=[1], offset=4), entry(name="b", shape=[1])], "meta": {}},
    "at the same place": {"arrays": [entry(shape=[1]), entry(name="b", shape=[1])], "meta": {}},
    "gap": {"arrays": [entry(shape=[1], offset=4)], "meta": {}},
    "negative offset": {"arrays": [entry(offset=-8)], "meta": {}},
    "object dtype": {"arrays": [entry(dtype="|O", shape=[1])], "meta": {}},
    "big-endian": {"arrays": [entry(dtype=">f4")], "meta": {}},
    "string dtype": {"arrays": [entry(dtype="<U2")], "meta": {}},
    "dtype no string": {"arrays": [entry(dtype=["<f4"])], "meta": {}},
    "no name": {"arrays": [entry(name="")], "meta": {}},
    "name no string": {"arrays": [entry(name=1)], "meta": {}},
    "extra key": {"arrays": [entry(more=1)], "meta": {}},
    "missing key": {"arrays": [{"name": "a", "dtype": "<f4", "shape": [2]}], "meta": {}},
    "entry no dict": {"arrays": [1], "meta": {}},
    "arrays no list": {"arrays": {}, "meta": {}},
    "meta no dict": {"arrays": [entry()], "meta": []},
    "no meta": {"arrays": [entry()]},
    "extra part": {"arrays": [entry()], "meta": {}, "more": 1},
    "a list": [],
    "no JSON": b"{",
    "no UTF-8": b"\xff\xfe",
    "nothing": b"",
    "deep": b"[" * 100_000,
    "long integer": ENTRY + b', "meta": {"n": ' + b"9" * 10_000 + b"}}",
    "key twice": ENTRY + b', "meta": {}, "meta": {}}',
}


@pytest.mark.parametrize("name", HEADERS)
def test_crafted_headers_with_the_right_digest(tmp_path: Path, name: str) -> None:
    refused(tmp_path / "a.ckpt", craft(HEADERS[name], struct.pack("<2f", 1, 2)))


@pytest.mark.parametrize("arrays, meta", [
    ({"a": np.array(["x"])}, {}), ({"a": np.array([None])}, {}), ({"a": np.array([True])}, {}), ({"a": [1.0]}, {}),
    ({"": np.zeros(1)}, {}), ({1: np.zeros(1)}, {}), ({}, {"a": np.float32(1)}), ({}, {"a": {1}}), ({}, [])])
def test_what_cannot_be_stored_is_refused_before_the_file_is_touched(tmp_path: Path, arrays: Any, meta: Any) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(b"old")
    with pytest.raises(CheckpointError, match="a.ckpt"):
        save_checkpoint(path, arrays, meta)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.ckpt"]


def test_recursive_meta_is_refused(tmp_path: Path) -> None:
    meta: dict[str, Any] = {}
    meta["self"] = meta
    with pytest.raises(CheckpointError):
        save_checkpoint(tmp_path / "a.ckpt", {}, meta)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, ARRAYS, META)
    before = path.read_bytes()

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(files.os, call, full)
    with pytest.raises(CheckpointError, match="a.ckpt: cannot be written: No space left"):
        save_checkpoint(path, {}, {})
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.ckpt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_write_that_fails_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, ARRAYS, META)
    before, opened = path.read_bytes(), os.open

    def to_full(name: Any, flags: int, mode: int = 0o777) -> int:
        if str(name).endswith(".tmp"):
            os.close(opened(name, flags, mode))
            return opened("/dev/full", os.O_WRONLY)
        return opened(name, flags, mode)
    monkeypatch.setattr(files.os, "open", to_full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_checkpoint(path, {"a": np.zeros(100_000)}, {})
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.ckpt"]


def test_places_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "missing" / "a.ckpt", tmp_path / "folder", tmp_path / "file" / "a.ckpt", "a\0b"):
        with pytest.raises(CheckpointError):
            save_checkpoint(path, ARRAYS, META)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
    with pytest.raises(CheckpointError, match="nothing.ckpt: cannot be read: No such file"):
        load_checkpoint(tmp_path / "nothing.ckpt")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"] and not os.listdir(tmp_path / "folder")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CheckpointError, match="not a regular file"):
            load_checkpoint(tmp_path / "pipe")


def test_names_that_are_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, error in ((None, DtypeError), (3, DtypeError), (b"a", DtypeError), (tmp_path / ("x" * 5000), CheckpointError)):
        with pytest.raises(error):
            save_checkpoint(path, ARRAYS, META)                                                # type: ignore[arg-type]
        with pytest.raises(error):
            load_checkpoint(path)                                                              # type: ignore[arg-type]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save_checkpoint("~/a.ckpt", ARRAYS, META)
    assert_same(load_checkpoint("~/a.ckpt")[0], ARRAYS)
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    code = ("import os, sys; from minilstm.training.atomic_write import _mark; "
            "print(_mark(sys.argv[1]) + str(os.getpid()))")
    names = []
    for target in ("a.ckpt", "b.ckpt"):
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / target)], capture_output=True, text=True, check=True)
        names.append(f"{done.stdout.strip()}-0123{files.TEMP_SUFFIX}")        # of a process that has ended
    mine = f"{files._mark(str(tmp_path / 'a.ckpt'))}{os.getpid()}-0123{files.TEMP_SUFFIX}"
    for name in (*names, mine, "notes.tmp"):
        (tmp_path / name).write_bytes(b"x")
    save_checkpoint(tmp_path / "a.ckpt", ARRAYS, META)
    assert sorted(os.listdir(tmp_path)) == sorted(["a.ckpt", names[1], mine, "notes.tmp"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.ckpt", ARRAYS, META)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CheckpointError, match="Permission denied"):
            save_checkpoint(tmp_path / "a.ckpt", {}, {})
        assert_same(load_checkpoint(tmp_path / "a.ckpt")[0], ARRAYS)
    finally:
        tmp_path.chmod(0o700)


def test_read_only_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*args: Any) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    monkeypatch.setattr(files.os, "open", read_only)
    with pytest.raises(CheckpointError, match="Read-only file system"):
        save_checkpoint(tmp_path / "a.ckpt", {}, {})


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a.ckpt")
    save_checkpoint(tmp_path / "link", ARRAYS, META)
    assert (tmp_path / "link").is_symlink()
    assert_same(load_checkpoint(tmp_path / "a.ckpt")[0], ARRAYS)


KILLED = """
import sys, numpy as np
from minilstm.training.checkpoint import save_checkpoint
k = 0
while True:
    k += 1
    save_checkpoint(sys.argv[1], {"a": np.full(200_000, k), "b": np.full(200_000, k)}, {"k": k})
    print(k, flush=True)
"""


def test_kill_9_while_saving_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path, delays = tmp_path / "a.ckpt", np.random.default_rng(0).uniform(0, 0.03, 6)
    for delay in delays:
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
                              env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
            assert process.stdout is not None and process.stdout.readline() == "1\n"
            time.sleep(delay)
            process.kill()
            seen = process.stdout.read().split()
        arrays, meta = load_checkpoint(path)
        assert meta["k"] >= max(map(int, seen), default=1)
        assert (arrays["a"] == meta["k"]).all() and (arrays["b"] == meta["k"]).all()
    files.remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["a.ckpt"]
