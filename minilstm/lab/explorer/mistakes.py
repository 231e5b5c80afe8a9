"""What the page needs of the derivations and of the table of mistakes.

The page runs the lines of the cells' docstrings. Only the products with W, which a docstring writes for readers, stand in
offered.json for the page's parser, and so does what each mistake of the table changes: lines, or a word (``flow``) for what no
line shows, such as a carry; cell.js knows these words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minilstm.gradients.diagnosis.catalogue import CATALOGUE
from minilstm.gradients.diagnosis.derivation import CELLS, translate

OFFERED = json.loads((Path(__file__).parent / "offered.json").read_text(encoding="utf-8"))


def derivations() -> dict[str, Any]:
    """Return what the page knows of each cell: equations as [target, line for the parser, line of the docstring], and so on."""
    return {key: {
        "name": CELLS[key].name, "gates": CELLS[key].gates, "states": CELLS[key].states,
        "forward": [[translate(line.target), translate(line.right), str(line)] for line in CELLS[key].forward],
        "backward": [*([line.number, translate(line.target), translate(line.right), str(line)] for line in CELLS[key].backward),
                     *facts["products"]],
        "behind": [translate(name) for name in CELLS[key].behind], "past": [translate(name) for name in CELLS[key].past], **facts,
    } for key, facts in OFFERED["cells"].items()}


def mistakes(cell: str) -> list[dict[str, Any]]:
    """Return the mistakes that the page offers for a cell ("lstm", "gru" or "rnn"), in the order of the table."""
    found = []
    for one in CATALOGUE:
        flow, lines = OFFERED["flows"].get(one.name), OFFERED["lines"][cell].get(one.name)
        if lines or flow and flow not in OFFERED["unfit"][cell]:
            found.append({**one._asdict(), "flow": "" if lines else flow, "lines": lines or {}})
    return found
