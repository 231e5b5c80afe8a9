"""Odd submissions: a class folder as a learning platform delivers it, with the row a teacher would write.

``build(folder)`` makes one class for each group; each entry of it is one row.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from check import FILES, solved

EMBEDDING, RNN = solved(6), solved(1)
FORWARD, _, BACKWARD = EMBEDDING.partition("def embedding_backward")
BACKWARD = "def embedding_backward" + BACKWARD
IMPORT = "import numpy as np\n"
DEFS = EMBEDDING[EMBEDDING.index("def "):]
WRONG = EMBEDDING.replace("E[tokens]", "E[tokens - 1]")
LSTM = {path.stem: solved(step) for step, path in FILES.items() if step in (3, 4, 5)}
NONE = r"defines no|no function|none of|not handed in: there is no function"
LINE = r"line \d+"
STEPS = {"embedding": "6", "lstm": "3,4,5", "rnn": "1"}
MAGIC = "%matplotlib inline\n!pip install numpy\nx = !ls\n%timeit sum([1])"


class Odd(NamedTuple):
    """``entry``: its name in the class; ``make(path)`` writes it; ``scores``: what a teacher might give.

    ``said``: a pattern for what must be said about it, anywhere in its row ("" for nothing).
    """

    entry: str
    make: Callable[[Path], Any]
    scores: tuple[float, ...]
    said: str = ""
    group: str = "embedding"


def file(text: str | bytes, encoding: str = "utf-8", end: str = "\n") -> Callable[[Path], Any]:
    data = text if isinstance(text, bytes) else text.replace("\n", end).encode(encoding)
    return lambda path: path.write_bytes(data)


def folder(files: dict[str, Any]) -> Callable[[Path], Any]:
    def make(path: Path) -> None:
        path.mkdir()
        for name, content in files.items():
            target = path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                (content if callable(content) else file(content))(target)
    return make


def book(*cells: Any, **extra: Any) -> str:
    """Return a notebook: code cells from strings or lists of lines, other cells as they are."""
    made = [one if isinstance(one, dict) else
            {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": one}
            for one in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made, **extra})


def zipped(name: str = "step06_embedding.py") -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, EMBEDDING)
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        info = tarfile.TarInfo("step06_embedding.py")
        info.size = len(EMBEDDING.encode())
        archive.addfile(info, io.BytesIO(EMBEDDING.encode()))
    return data.getvalue()


def body(function: str, line: str) -> str:
    """Return the right file with one line put first into a function."""
    head = next(one for one in EMBEDDING.splitlines() if one.startswith(f"def {function}"))
    return EMBEDDING.replace(head, f"{head}\n    {line}")


def linked(path: Path) -> None:
    kept = path.parent.parent / f"kept_{path.stem}.py"
    kept.write_text(EMBEDDING, encoding="utf-8")
    path.symlink_to(kept)


PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
MARKDOWN = {"cell_type": "markdown", "metadata": {}, "source": "```python\n" + EMBEDDING + "```"}
PRINTED = {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "%cat step06_embedding.py",
           "outputs": [{"output_type": "stream", "name": "stdout", "text": EMBEDDING.splitlines(True)}]}
OLD_BOOK = json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [
    {"cells": [{"cell_type": "code", "language": "python", "outputs": [], "input": EMBEDDING}]}]})
UTIL = "def rows(E, tokens):\n    return E[tokens]\n"
USES = EMBEDDING.replace("E[tokens]", "rows(E, tokens)")
FUTURE = "from __future__ import annotations\n"
NAMED = "step06_embedding.py"
PACKAGE = {"hw/__init__.py": "", "hw/util.py": UTIL}
CONFLICT = "<<<<<<< HEAD\n# mine\n=======\n# hers\n>>>>>>> hers\n"
NOTEBOOK_LINE = "get_ipython().run_line_magic('matplotlib', 'inline')\n"
PYPLOT = "\n\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\n"
STRICT = "\n\nimport warnings\nwarnings.simplefilter('error')\nnp.seterr(all='raise')\n"
MAIN = "\n\nif __name__ == '__main__':\n    from minilstm.__main__ import main\n    main(['x'])\n"
BLANK = EMBEDDING.replace("x = E[tokens]", "x = ...").replace("np.add.at(dE, tokens, dx)", "...")
CLASS = textwrap.indent(DEFS.replace("(tokens", "(self, tokens"), "    ")
THREE, FOUR, FIVE = LSTM
PASTE = LSTM[FIVE].replace("    H = h_", "    raise NotImplementedError('paste it')\n    H = h_", 1)


def with_import(line: str) -> str:
    return USES.replace("import numpy as np", f"import numpy as np\n{line}", 1)


ODD = tuple(Odd(*row) for row in (
    # Nothing that could be graded: a row all the same
    ("a01_empty_folder", folder({}), (0,), r"empty|no file|no \.py|nothing|holds no"),
    ("a02_zip_inside", folder({"hw.zip": zipped()}), (0,), r"hw\.zip.*unpack|unpack.*hw\.zip"),
    ("a03_handed_in.zip", file(zipped()), (0,), r"unpack|archive|zip file|\.zip"),
    ("a04_pdf_inside", folder({"homework.pdf": PDF}), (0,), r"homework\.pdf"),
    ("a05_scan.pdf", file(PDF), (0,), r"pdf"),
    ("a06_tar", folder({"all.tar.gz": tarred()}), (0,), r"all\.tar\.gz"),
    ("a07_word", folder({"step06_embedding.docx": zipped("word/document.xml")}), (0,), r"\.docx"),
    ("a08_text", folder({"step06_embedding.py.txt": EMBEDDING}), (0, 10), r"\.py\.txt"),
    ("a09_notes.txt", file("absent this week"), (0,), r"\.txt|not a python|expected"),
    ("a10_compiled", folder({"__pycache__/step06_embedding.cpython-312.pyc": b"\xcb\r\r\n" + bytes(12)}),
     (0,),
     r"pyc|no file|no \.py|holds no|empty"),
    ("a11_no_bytes.py", file(""), (0,), NONE + "|empty"),
    ("a12_random_bytes.py", file(bytes(range(256)) * 4), (0,), r"utf-8|cannot be read|null|binary"),
    ("a13_matlab", folder({"step06_embedding.m": "function x = embedding_forward(tokens, E)\n"}), (0,),
     r"\.m\b"),
    ("a14_only_comments.py", file("# TODO: def embedding_forward(tokens, E)\n"), (0,), NONE),
    ("a15_broken_link.py", lambda path: path.symlink_to(path.parent / "gone.py"), (0,),
     r"link|cannot|no such|missing"),
    ("a16_folder_in_folder", folder({"week6/part1/readme.md": "see moodle"}), (0,),
     r"readme|no file|no \.py|holds"),
    # Names and places
    ("b01_other_name", folder({"hausaufgabe.py": EMBEDDING}), (10,)),
    ("b02_capitals", folder({"STEP06_EMBEDDING.PY": EMBEDDING}), (0, 10), r"\.PY"),
    ("b03_step6.py", file(EMBEDDING), (10,)),
    ("b04_suffix", folder({"step06_embedding-1.py": EMBEDDING}), (10,)),
    ("b05_browser_copy", folder({"step06_embedding (1).py": EMBEDDING}), (10,)),
    ("b06_nested", folder({"submission/week3/step06_embedding.py": EMBEDDING}), (10,)),
    ("b07_mac", folder({NAMED: EMBEDDING, "__MACOSX/._step06_embedding.py": bytes(64),
                        ".DS_Store": bytes(9)}), (10,)),
    ("b08_checkpoints", folder({"my.ipynb": book(EMBEDDING),
                                ".ipynb_checkpoints/my-checkpoint.ipynb": book(WRONG)}),
     (10,)),
    ("b09_link.py", linked, (10,)),
    ("b10_link_to_itself", folder({NAMED: EMBEDDING, "up": lambda path: path.symlink_to(path.parent)}),
     (10,)),
    ("b11_folder.py", folder({NAMED: EMBEDDING}), (10,)),
    ("b12_Zoë Müller-Łukasz.py", file(EMBEDDING), (10,)),
    ("b13_Doe, Jane", folder({NAMED: EMBEDDING}), (10,)),
    ("=cmd(1).py", file(WRONG), (6,)),
    ("-1+1.py", file(EMBEDDING), (10,)),
    ("@SUM(A1:A9)", folder({NAMED: EMBEDDING}), (10,)),
    ('b17_O\'Neil "Bob".py', file(EMBEDDING), (10,)),
    ("b18_🦉", folder({"🦉.ipynb": book(EMBEDDING)}), (10,)),
    ("b19_two_versions", folder({NAMED: EMBEDDING, "old.py": WRONG}), (10,), r"old\.py|step06_embedding\.py"),
    ("b20_two_copies", folder({"a.py": EMBEDDING, "b.py": EMBEDDING}), (10,), r"\b[ab]\.py"),
    ("b21_halves", folder({"first.py": FORWARD, "second.py": IMPORT + BACKWARD}), (10,)),
    ("b22_package", folder({**PACKAGE, f"hw/{NAMED}": with_import("from hw.util import rows")}), (10,)),
    ("b23_relative", folder({**PACKAGE, f"hw/{NAMED}": with_import("from .util import rows")}), (10,)),
    ("b24_beside", folder({"util.py": UTIL, NAMED: with_import("from util import rows")}), (10,)),
    ("b25_main", folder({"main.py": "from src.emb import *\n", "src/emb.py": EMBEDDING,
                         "src/__init__.py": ""}), (10,)),
    # Encodings
    ("c01_bom.py", file(EMBEDDING, "utf-8-sig"), (10,)),
    ("c02_latin_cookie.py", file("# -*- coding: latin-1 -*-\n# größer\n" + EMBEDDING, "latin-1"), (10,)),
    ("c03_latin.py", file("# größer\n" + EMBEDDING, "cp1252"), (0, 10), r"utf-8|encod"),
    ("c04_utf16.py", file(EMBEDDING, "utf-16"), (0, 10), r"utf|null|encod"),
    ("c05_crlf.py", file(EMBEDDING, end="\r\n"), (10,)),
    ("c06_cr.py", file(EMBEDDING, end="\r"), (10,)),
    ("c07_bom.ipynb", file(book(EMBEDDING), "utf-8-sig"), (10,)),
    # Notebooks
    ("d01_one_string.ipynb", file(book("# answer\n" + EMBEDDING)), (10,)),
    ("d02_one_in_a_list.ipynb", file(book([EMBEDDING])), (10,)),
    ("d03_cut_off.ipynb", file(book(EMBEDDING)[:-40]), (0,), r"json|notebook"),
    ("d04_empty.ipynb", file(""), (0,), r"json|empty|not a notebook"),
    ("d05_login_page.ipynb", file("<!DOCTYPE html><title>Log in</title>"), (0,), r"json|html|not a notebook"),
    ("d06_a_list.ipynb", file("[1, 2]"), (0,), r"notebook|cells"),
    ("d07_format_3.ipynb", file(OLD_BOOK), (0, 10), r"worksheet|nbformat|format|cells|notebook"),
    ("d08_python_2_below.ipynb", file(book(IMPORT, DEFS, "print 'scratch'")), (10,), r"cell"),
    ("d09_half_below.ipynb", file(book(IMPORT, DEFS, "def half(x):\n    return (x +")), (10,), r"cell"),
    ("d10_fails_below.ipynb", file(book(IMPORT, DEFS, "1 / 0")), (10,)),
    ("d11_magic.ipynb", file(book(MAGIC, IMPORT, "%%bash\nls -l 'x", DEFS, "embedding_forward?")), (10,)),
    ("d12_in_markdown.ipynb", file(book(MARKDOWN, "x = 1")), (0,), NONE),
    ("d13_in_output.ipynb", file(book(PRINTED, "x = 1")), (0,), NONE),
    ("d14_backward_broken.ipynb", file(book(FORWARD, BACKWARD.replace("return dE", "return dE)"))), (4,),
     r"cell|syntax|parse"),
    ("d15_future_in_two_cells.ipynb", file(book(FORWARD, FUTURE + IMPORT + BACKWARD)), (10,)),
    ("d16_strange.ipynb", file(book("", {"cell_type": "code"}, {"cell_type": "raw"}, EMBEDDING)), (10,)),
    ("d17_no_import.ipynb", file(book(DEFS)), (0, 4, 10), r"\bnp\b"),
    ("d18_quit.ipynb", file(book(EMBEDDING, "quit()", "while True:\n    pass")), (10,)),
    ("d19_two_in_one", folder({"a.ipynb": book(FORWARD), "b.ipynb": book(IMPORT + BACKWARD)}), (10,)),
    ("d20_defined_twice.ipynb", file(book(WRONG, EMBEDDING)), (10,)),
    # One bad part
    ("e01_python_2_below.py", file(EMBEDDING + "\n\nprint 'done'\n"), (10,), LINE),
    ("e02_name_error_below.py", file(EMBEDDING + "\n\ntest_everything()\n"), (10,),
     "test_everything|" + LINE),
    ("e03_assert_below.py", file(EMBEDDING + "\n\nassert embedding_forward is None\n"), (10,),
     "assert|" + LINE),
    ("e04_quotes_below.py", file(EMBEDDING + "\n\nprint(“ready”)\n"), (10,), LINE),
    ("e05_parenthesis.py", file(EMBEDDING.replace("return dE", "return (dE")), (4,), LINE),
    ("e06_tabs.py", file(EMBEDDING.replace("    return dE", "\treturn dE")), (4,), f"tab|indent|{LINE}"),
    ("e07_np_missing.py", file(EMBEDDING.replace("import numpy as np", "")), (0, 4), r"\bnp\b"),
    ("e08_import_not_needed.py", file("import seaborn_of_nobody as sns\n" + EMBEDDING.split("annotations\n",
                                                                                            1)[1]), (10,),
     "seaborn_of_nobody"),
    ("e09_import_needed.py", file(body("embedding_forward", "import helper_of_nobody")), (6,),
     "helper_of_nobody"),
    ("e10_plot.py", file(EMBEDDING + PYPLOT), (10,)),
    ("e11_input_above.py", file(EMBEDDING.replace("import numpy as np",
                                                  "import numpy as np\nwho = input('who? ')")),
     (0, 10), "input|eof"),
    ("e12_input_inside.py", file(body("embedding_forward", "input('go on? ')")), (6,), "input|eof"),
    ("e13_loop_below.py", file(EMBEDDING + "\n\nwhile True:\n    pass\n"), (0, 10),
     "end|loop|time|finish"),
    ("e14_loop_inside.py", file(body("embedding_backward", "while True: pass")), (0, 4),
     "end|loop|time|finish"),
    ("e15_crash.py", file(body("embedding_forward", "1 / 0")), (6,), "zerodivision"),
    ("e16_exit_below.py", file(EMBEDDING + "\n\nimport sys\nsys.exit(0)\n"), (10,), "exit|ends"),
    ("e17_exit_inside.py", file(body("embedding_backward", "raise SystemExit")), (4,), "exit|ends"),
    ("e18_os_exit.py", file(body("embedding_backward", "import os; os._exit(0)")), (0, 4), "end|exit|result"),
    ("e19_crash_of_python.py", file(body("embedding_backward", "import ctypes; ctypes.string_at(0)")), (0, 4),
     "end|crash|signal|result"),
    ("e20_recursion.py", file(body("embedding_forward", "return embedding_forward(tokens, E)")), (6,),
     "recursion"),
    ("e21_memory.py", file(body("embedding_forward", "np.ones((10 ** 6, 10 ** 6))")), (6,), "memory"),
    ("e22_generator.py", file(body("embedding_forward", "yield")), (6,), "generator|yield|returns"),
    ("e23_three_arguments.py", file(EMBEDDING.replace("(tokens, E):", "(tokens, E, V):", 1)), (6,),
     "argument"),
    ("e24_no_cache.py", file(EMBEDDING.replace("return x, (tokens, E.shape)", "return x")), (6,),
     "cache|returns|values|unpack|backward needs"),
    ("e25_talks.py", file(EMBEDDING + "\n\nfor k in range(300000):\n    print('{\"functions\": []}')\n"),
     (10,)),
    ("e26_seterr.py", file(EMBEDDING + STRICT), (10,)),
    ("e27_exported.py", file(EMBEDDING.replace(IMPORT, NOTEBOOK_LINE + IMPORT)), (10,)),
    ("e28_main_kept.py", file(EMBEDDING + MAIN), (10,)),
    ("e29_not_written.py", file(BLANK), (0,), "not written|blank"),
    ("e30_in_a_class.py", file(IMPORT + "class Embedding:\n" + CLASS), (0,), NONE),
    ("e31_other_names.py", file(EMBEDDING.replace("embedding_", "emb_")), (0,), NONE),
    ("e32_capitals.py", file(EMBEDDING.replace("embedding_", "Embedding_")), (0,), NONE),
    ("e33_a_number.py", file(EMBEDDING + "\n\nembedding_backward = 3\n"), (4,), "not a function|int"),
    # Three steps
    ("f01_suffixes", folder({f"{name}-1.py": text for name, text in LSTM.items()}), (30,), "", "lstm"),
    ("f02_numbers", folder({f"{name} ({k}).py": text for k, (name, text) in enumerate(LSTM.items())}), (30,),
     "", "lstm"),
    ("f03_all.ipynb", file(book(*LSTM.values())), (30,), "", "lstm"),
    ("f04_step_3_missing", folder({f"{name}.py": LSTM[name] for name in (FOUR, FIVE)}), (20,),
     "not handed in|no file|lstm_step", "lstm"),
    ("f05_mixed", folder({f"part/{THREE}.ipynb": book(LSTM[THREE]), f"{FOUR}.py": LSTM[FOUR],
                          f"{FIVE}.py": LSTM[FIVE]}), (30,), "", "lstm"),
    ("f06_one_file.py", file(LSTM["step05_lstm_through_time"]), (30,), "", "lstm"),
    ("f07_not_pasted", folder({f"{THREE}.py": LSTM[THREE], f"{FOUR}.py": LSTM[FOUR], f"{FIVE}.py": PASTE}),
     (20, 26), "paste|not written", "lstm"),
    ("f08_two_tries", folder({f"{FOUR}-1.py": LSTM[FOUR].replace("dc * c_prev", "dc"),
                              **{f"{name}-2.py": text for name, text in LSTM.items()}}), (20, 25, 30),
     r"backward-[12]\.py", "lstm"),
    # A forward and its backward
    ("g01_wrong_forward.py", file(RNN.replace("np.tanh(hx @ W + b)", "np.tanh(hx @ W)")), (6,),
     r"equation|\bb\b|bias", "rnn"),
    ("g02_forward_float32.py", file(RNN.replace("np.tanh(hx @ W + b)", "np.tanh(hx @ W + b).astype('f4')")),
     (6, 10), "float32|dtype", "rnn"),
    ("g03_backward_not_begun.py", file(RNN.replace("    hx, h, W = cache\n",
                                                   "    raise NotImplementedError\n")), (4,),
     "not written", "rnn"),
    ("g04_forward_crashes.py", file(RNN.replace("hx @ W + b", "hx @ W.T + b")), (6,), LINE, "rnn"),
    ("g05_conflict.py", file(RNN.replace("def rnn_step_b", CONFLICT + "def rnn_step_b")),
     (0, 4, 10), LINE + "|<<<", "rnn"),
    ("g06_stop.py", file(RNN.replace("h = np.tanh(hx @ W + b)", "h = next(iter(()))")), (6,), "stopiteration",
     "rnn"),
))


def build(place: Path) -> dict[str, Path]:
    """Write the classes into a folder; return the folder of each group."""
    classes = {}
    for group in STEPS:
        classes[group] = place / group / "class"
        classes[group].mkdir(parents=True)
        for one in ODD:
            if one.group == group:
                one.make(classes[group] / one.entry)
    return classes


if __name__ == "__main__":
    import sys
    for built in build(Path(sys.argv[1])).values():
        print(built, len(os.listdir(built)))
