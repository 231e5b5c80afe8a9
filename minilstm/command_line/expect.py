"""``python -m minilstm expect``: the losses that a training loop of one's own should reach."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from textwrap import wrap

STEPS = (1, 10, 100, 1000)
TABLE = Path(__file__).with_name("expected.json")       # written by examples/expected_numbers.py


def expected() -> str:
    """Return the table as text: the median of each loss over the seeds, and the smallest and largest."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    lines = [f"Losses of single training steps: median of {table['seeds']} seeds (smallest to largest).",
             f"{table['command']}, {table['date']}, {table['processor']}, NumPy {table['numpy']}"]
    for setup in table["setups"].values():
        lines += ["", setup["title"], *wrap(setup["what"], 110, initial_indent="  ", subsequent_indent="  "),
                  f"  step 1: {setup['why']}", f"  {'':4}" + "".join(f"{f'step {k}':>26}" for k in STEPS)]
        for cell, losses in setup["losses"].items():
            found = (f"{median(x):.4f} ({min(x):.4f} to {max(x):.4f})" for x in losses)
            lines.append(f"  {cell.upper():4}" + "".join(f"{words:>26}" for words in found))
    return "\n".join(lines)
