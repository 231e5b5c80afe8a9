"""``python -m minilstm grade``: each submission in a process of its own, and results for people and programs."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from minilstm.__main__ import main
from minilstm.backend.errors import ArgumentError
from minilstm.exercises.grade import Result, grade_all, submissions
from minilstm.exercises.results import as_csv, gradescope, table, text
from minilstm.exercises.steps import STEPS, Graded

EXERCISES = Path(__file__).parents[2] / "examples" / "exercises"
RIGHT = (EXERCISES / "solutions" / "step06_embedding.py").read_text(encoding="utf-8")
NOTEBOOK: dict[str, Any] = {"metadata": {}, "nbformat": 4, "nbformat_minor": 5, "cells": [
    {"cell_type": "markdown", "source": ["# mine"]},
    {"cell_type": "code", "source": ["%matplotlib inline\n", "import numpy as np\n", "print('hello')"]},
    {"cell_type": "code", "source": RIGHT[RIGHT.index("def "):RIGHT.index("if __name__")].splitlines(True)}]}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """A class in which much goes wrong."""
    folder = tmp_path_factory.mktemp("class")

    def hand_in(name: str, line: str, instead: str = "x = E[tokens]") -> None:
        (folder / name).write_text(RIGHT.replace(instead, line), encoding="utf-8")
    hand_in("right.py", "x = E[tokens]")
    hand_in("loop.py", "while True: pass")
    hand_in("exit.py", "exit()")
    hand_in("first.py", "exit(3)\n\n\ndef embedding_forward(", "def embedding_forward(")
    hand_in("vanishes.py", "import os; os._exit(0)")
    hand_in("memory.py", "x = np.ones(10 * 2 ** 27)")
    hand_in("deletes.py", "import os, glob; [os.remove(f) for f in (__file__, *glob.glob('*.py')) if os.path.exists(f)]; "
                          "x = E[tokens]")
    hand_in("writes.py", "open(__file__, 'w').write('nothing'); x = E[tokens]")
    hand_in("syntax.py", "x = E[tokens")
    (folder / "notebook.ipynb").write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    NOTEBOOK["cells"][2]["source"][2] = "    x = E[tokens - 1]\n"
    (folder / "wrong.ipynb").write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    (folder / "nothing.py").write_text("print('I have done nothing')", encoding="utf-8")
    found = submissions(folder)
    assert len(found) == 12
    results = {one.submission: one for one in grade_all(found, seconds=3.0, jobs=2)}
    assert {file.name for file in folder.iterdir()} == set(results)         # who deletes files deletes copies
    assert "x = E[tokens]" in (folder / "writes.py").read_text(encoding="utf-8")
    return results


@pytest.mark.parametrize("name, score, mistake, words", [
    ("right.py", 10, "", ""), ("deletes.py", 10, "", ""), ("notebook.ipynb", 10, "", ""),
    ("wrong.ipynb", 6, "tokens shifted by one", ""),
    ("loop.py", 6, "does not come to an end", "loop.py, line 15"), ("exit.py", 6, "ends itself", "exit.py, line 15"),
    ("first.py", 10, "", ""),
    ("vanishes.py", 6, "cannot be run", "ended without a result"), ("syntax.py", 6, "cannot be run", "syntax.py, line 15"),
    ("nothing.py", 0, "not handed in", "no file with this step")])
def test_no_submission_harms_another(graded: dict[str, Result], name: str, score: float, mistake: str, words: str) -> None:
    one = graded[name]
    first = one.steps["step06"][0]
    assert one.score == score and one.points == 10 and first.mistake == mistake and words in first.detail
    assert "/tmp" not in first.detail
    assert name != "wrong.ipynb" or first.hint.startswith("cell 2, line 3, x = E[tokens - 1]: ")


def test_memory_is_limited(graded: dict[str, Result]) -> None:
    forward, backward = graded["memory.py"].steps["step06"]
    assert forward.mistake == "stops with an error" and "MemoryError" in forward.detail and backward.score == 6


def test_text_and_tables(graded: dict[str, Result]) -> None:
    assert "embedding_backward: 6 of 6, right\n  total: 6 of 10" in text(graded["memory.py"])
    assert "nothing.py           -      0  10" in table(list(graded.values()))
    assert "first.py, line 13: exit(3)" in text(graded["first.py"]) and "6 of 6, right" in text(graded["loop.py"])
    rows = list(csv.DictReader(as_csv(list(graded.values())).splitlines()))
    assert [row["submission"] for row in rows] == sorted(graded)
    assert {row["submission"]: row["step06"] for row in rows}["memory.py"] == "6"
    assert "embedding_forward: stops with an error" in {row["submission"]: row["mistakes"] for row in rows}["memory.py"]


def test_nobody_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each entry of a class's folder has its row, with the reason where there is nothing to grade."""
    book = json.dumps({"cells": [{"cell_type": "code", "source": "# mine\n" + RIGHT}], "nbformat": 4})
    files = {"ada/hw.zip": "PK", "ben.pdf": "%PDF", "cem.tar.gz": "", "eva.ipynb": book[:12], "fay.ipynb": book,
             "gül/step06_embedding.txt": RIGHT, "hal.py": "# def embedding_forward(\nx = 1", "ida.ipynb": '"a": ' + book,
             "jon/STEP06_EMBEDDING.PY": RIGHT, "kim.ipynb": json.dumps({"nbformat": 4}), "lee/mine.py": RIGHT,
             "lee/data.zip": ""}
    for name, words in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(words, encoding="utf-8")
    (tmp_path / "dan").mkdir()
    (tmp_path / "mia.py").write_bytes("# Größe\n".encode("latin-1") + RIGHT.encode())
    (tmp_path / "ned.py").write_bytes("\n\n\n\n\n# Größe\n".encode("latin-1"))
    out = tmp_path.parent / f"{tmp_path.name}.csv"
    assert main(["grade", str(tmp_path), "--csv", str(out), "--jobs", "2"]) == 1
    assert out.read_bytes().startswith(b"\xef\xbb\xbfsubmission,step06,")
    table = csv.DictReader(out.read_text("utf-8-sig").splitlines())
    rows = {row["submission"]: (row["total"], row["mistakes"]) for row in table}
    assert rows == {
        "ada": ("0", "holds hw.zip: unpack it"),
        "ben.pdf": ("0", "a .pdf file, neither a Python file (.py) nor a notebook (.ipynb)"),
        "cem.tar.gz": ("0", "an archive: unpack it"), "dan": ("0", "an empty folder"),
        "eva.ipynb": ("0", "eva.ipynb: not a notebook: JSON ends at character 12"), "fay.ipynb": ("10", ""),
        "gül": ("0", "holds only step06_embedding.txt, no .py or .ipynb file"),
        "hal.py": ("0", "defines none of the functions"),
        "ida.ipynb": ("0", "ida.ipynb: not a notebook: JSON is broken at character 3"), "jon": ("10", ""),
        "kim.ipynb": ("0", "kim.ipynb: not a notebook: it has no cells"), "lee": ("10", ""),
        "mia.py": ("0", "mia.py: cannot be read: not UTF-8, nor does it name another encoding"),
        "ned.py": ("0", "ned.py: cannot be read: not UTF-8 (byte 9)")}
    assert "ida.ipynb        -      0  10  ida.ipynb: not a notebook: JSON is broken at character 3" in capsys.readouterr().out


def test_step_files_that_a_download_renamed_are_one_submission(tmp_path: Path) -> None:
    for stem in ("step03_lstm_step", "step04_lstm_step_backward", "step05_lstm_through_time"):
        shutil.copy(EXERCISES / "solutions" / f"{stem}.py", tmp_path / f"{stem}-1.py")
    shutil.copy(EXERCISES / "step03_lstm_step.py", tmp_path / "Step03_LSTM_step (2).py")        # blank
    (one,) = grade_all(submissions(tmp_path), jobs=1)
    assert one.score == 30 and one.notes == ("lstm_step: step03_lstm_step-1.py counts, not Step03_LSTM_step (2).py",)


def test_of_several_tries_the_newest_counts(tmp_path: Path) -> None:
    """By the numbers of a download, also in a folder of its own; which one counted is said."""
    wrong = RIGHT.replace("E[tokens]", "E[tokens - 1]")
    for student, tries in {"ada": ("step06_embedding.py", "step06_embedding-2.py", "step06_embedding-10.py"),
                           "ben": ("step06.py", "step06-1.py", "step06 (2).py"), "cem": ("main.py", "my_step06_v1.py"),
                           "dan": ("old/step06_embedding-3.py", "step06_embedding.py")}.items():
        for name in tries:
            (tmp_path / student / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / student / name).write_text(RIGHT if name == tries[-1] else wrong, encoding="utf-8")
    rows = {one.submission: one for one in grade_all(submissions(tmp_path), STEPS[5:6], jobs=1)}
    assert {one.score for one in rows.values()} == {10} and {len(one.notes) for one in rows.values()} == {2}
    assert rows["ada"].notes[0] == ("embedding_forward: step06_embedding-10.py counts, not step06_embedding-2.py, "
                                    "step06_embedding.py")
    assert rows["dan"].notes[0] == "embedding_forward: step06_embedding.py counts, not old/step06_embedding-3.py"
    assert len(submissions(tmp_path / "ben")) == 1


def test_in_a_copy_of_the_repository_the_solutions_do_not_count(tmp_path: Path) -> None:
    """Nor do the libraries of a virtual environment."""
    copy = tmp_path / "ada" / "exercises"
    shutil.copytree(EXERCISES, copy)
    library = tmp_path / "ben" / "venv" / "site-packages" / "numpy"
    library.mkdir(parents=True)
    (library / "pad.py").write_text("def pad(x):\n    pass\n", encoding="utf-8")
    (copy / "step06_embedding.py").write_text(RIGHT.replace("E[tokens]", "E[tokens - 1]"), encoding="utf-8")
    (copy / "solutions" / "my_own.py").write_text(RIGHT, encoding="utf-8")      # is none of them
    ada, ben = grade_all(submissions(tmp_path), [STEPS[5], STEPS[7]], jobs=1)
    assert (ada.score, ben.score) == (6, 0) and ben.notes == ("an empty folder",)
    assert ada.notes == ("embedding_forward: exercises/step06_embedding.py counts, not exercises/solutions/my_own.py",
                         "embedding_backward: exercises/step06_embedding.py counts, not exercises/solutions/my_own.py")


def test_one_bad_part_costs_nothing_else(tmp_path: Path) -> None:
    """A line that fails, an endless one, a crash in one function."""
    for name, more in (("fails.py", "1 / 0"), ("endless.py", "while True: pass"), ("needless.py", "import no_such_package"),
                       ("syntax.py", "print 'x'"), ("quits.py", "raise SystemExit"), ("dies.py", "import os; os._exit(3)")):
        (tmp_path / name).write_text(f"{RIGHT}\n{more}\n", encoding="utf-8")
    for one in grade_all(submissions(tmp_path), jobs=2, seconds=3.0):
        assert one.score == 10 and len(one.notes) == 1 and f"{one.submission}, line 31" in one.notes[0] or (
            one.submission == "dies.py" and "exit status 3" in one.notes[0]), one


def test_a_spreadsheet_gets_no_formula() -> None:
    harmless = as_csv([Result("=HYPERLINK(1)", {"step03": [Graded("lstm_step", 0.0, 10, ("-x",), "", "")]})])
    assert "\n'=HYPERLINK(1),0,0,10," in harmless


def test_gradescopes_form(graded: dict[str, Result]) -> None:
    found = gradescope(graded["memory.py"])
    assert set(found) == {"output", "tests"} and [test["score"] for test in found["tests"]] == [0, 6]
    assert [test["max_score"] for test in found["tests"]] == [4, 6]
    for test in found["tests"]:
        assert set(test) == {"name", "score", "max_score", "output", "visibility"} and isinstance(test["output"], str)
    assert found["tests"][0]["name"] == "step06 embedding: embedding_forward" and found["tests"][1]["output"] == "right"


def test_what_one_submission_is(tmp_path: Path) -> None:
    for name in ("ada/step06_embedding.py", "ada/.hidden.py", "ben/mine.py", "carl.py", "notes.txt", "__pycache__/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(RIGHT)
    names = {one.name: [file.name for file in one.files] for one in submissions(tmp_path)}
    assert names == {"ada": ["step06_embedding.py"], "ben": ["mine.py"], "carl.py": ["carl.py"], "notes.txt": []}
    assert [one.name for one in submissions(tmp_path / "ada")] == ["ada"]           # an exercise's own file lies in it
    assert [one.name for one in submissions(tmp_path / "ben")] == ["mine.py"]
    assert len(submissions(tmp_path, single=True)) == 1 and len(submissions(tmp_path, single=True)[0].files) == 3
    (tmp_path / "empty").mkdir()
    for path, words in (("empty", "holds no"), ("missing", "there is no such file"), ("notes.txt", "expected a Python file")):
        with pytest.raises(ArgumentError, match=words):
            submissions(tmp_path / path)
    with pytest.raises(ArgumentError, match="defines no function of an exercise"):
        (tmp_path / "empty" / "a.py").write_text("x = 1")
        grade_all(submissions(tmp_path / "empty"))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(EXERCISES / "solutions" / "step03_lstm_step.py", tmp_path)
    five = (EXERCISES / "solutions" / "step05_lstm_through_time.py").read_text(encoding="utf-8")
    cut = five[:five.index("def sigmoid")] + "from step03_lstm_step import lstm_step\n\n\n" + five[
        five.index("def lstm_step_backward"):]
    (tmp_path / "step05_lstm_through_time.py").write_text(cut, encoding="utf-8")
    out = {name: str(tmp_path / name) for name in ("results.json", "table.csv")}
    assert main(["grade", str(tmp_path / "step05_lstm_through_time.py")]) == 0
    assert "total: 10 of 10" in capsys.readouterr().out
    words = ["grade", str(tmp_path), "--steps", "3,4", "--json", "--results", out["results.json"], "--csv", out["table.csv"]]
    assert main(words) == 1         # step 4 is missing
    shown = json.loads(capsys.readouterr().out)["submissions"][0]
    assert [step["score"] for step in shown["steps"]] == [10, 0] and shown["max_score"] == 20
    assert shown["steps"][1]["functions"][0]["mistake"] == "not handed in"
    assert len(json.loads(Path(out["results.json"]).read_text())["tests"]) == 2
    assert Path(out["table.csv"]).read_text("utf-8-sig").splitlines()[1].endswith(",10,0,10,20,step04: not handed in")
    (tmp_path / "empty").mkdir()
    assert main(["grade", str(tmp_path / "empty"), "--results", out["results.json"]]) == 2
    assert "an empty folder" in json.loads(Path(out["results.json"]).read_text())["output"]
    assert Path(out["table.csv"]).read_text().splitlines()[1].startswith(f"{tmp_path.name},10,0,10,20")


def test_mistakes_of_who_calls_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.py").write_text(RIGHT)
    for words, said in ((["--steps", str(len(STEPS) + 1)], "at least 1 and at most 10"), (["--memory", "1"], "at least 64"),
                        (["--csv", str(tmp_path / "no" / "a.csv"), "--steps", "1"], "cannot be written")):
        assert main(["grade", str(tmp_path / "one.py"), *words]) == 2
        assert said in capsys.readouterr().err


def test_neighbours_do_no_harm(tmp_path: Path) -> None:
    """A file named like a module, a link that leads nowhere, a folder named like a file; and files beside may be read."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "step06_embedding.py").write_text(RIGHT.replace("x = E[tokens]", "x = E[tokens + OFFSET]").replace(
        "import numpy as np", "import numpy as np\nfrom parts.numbers import OFFSET\nassert open('data.txt').read() == '1'"),
        encoding="utf-8")
    (mine / "parts").mkdir()
    (mine / "parts" / "numbers.py").write_text("OFFSET = 0", encoding="utf-8")
    (mine / "random.py").write_text("x = 3", encoding="utf-8")
    (mine / "data.txt").write_text("1", encoding="utf-8")
    (mine / ".#step06_embedding.py").symlink_to("nowhere")
    (mine / "folder.py").mkdir()
    (mine / "step06_old.py").write_text(RIGHT.replace("E[tokens]", "0"), encoding="utf-8")
    assert [one.score for one in grade_all(submissions(mine), jobs=1)] == [10]
    assert [one.score for one in grade_all(submissions(mine / "step06_embedding.py"), jobs=1)] == [6]       # alone: no parts
