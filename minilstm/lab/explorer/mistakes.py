"""What the page needs of the derivations and of the table of mistakes.

The page runs the lines of the cells' docstrings. Only the products with W, which a docstring writes for
readers, stand in offered.json for the page's parser, and so does what each mistake of the table changes:
lines, or a word (``flow``) for what no line shows, such as a carry; cell.js knows these words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minilstm.gradients.diagnosis.derivation import CELLS, Cell, Line, translate
from minilstm.gradients.diagnosis.mistakes import MISTAKES

OFFERED = json.loads((Path(__file__).parent / "offered.json").read_text(encoding="utf-8"))


def derivations() -> dict[str, Any]:
    """Return what the page knows of each cell; a line is [target, for the parser, as in the docstring]."""
    return {key: {**_derivation(CELLS[key.upper()], facts["products"]), **facts}
            for key, facts in OFFERED["cells"].items()}


def _derivation(cell: Cell, products: list[Any]) -> dict[str, Any]:
    def lines(which: tuple[Line, ...]) -> list[Any]:
        return [[translate(line.target), translate(line.right), str(line)] for line in which]

    backward = [[line.number, *texts] for line, texts in zip(cell.backward, lines(cell.backward))]
    return {"name": cell.name, "gates": cell.gates, "states": cell.states, "forward": lines(cell.forward),
            "backward": [*backward, *products], "behind": list(map(translate, cell.behind)),
            "past": list(map(translate, cell.past))}


def mistakes(cell: str) -> list[dict[str, Any]]:
    """Return the mistakes that are offered for a cell ("lstm", "gru", "rnn"), in the order of the table."""
    found = []
    for key, mistake in MISTAKES.items():
        flow, lines = OFFERED["flows"].get(key), OFFERED["lines"][cell].get(key)
        if lines or flow and flow not in OFFERED["unfit"][cell]:
            found.append({"key": key, "name": mistake.name, "seen": mistake.seen,
                          "question": mistake.question, "line": ", ".join(map(str, mistake.lines)),
                          "flow": "" if lines else flow, "lines": lines or {}})
    return found
