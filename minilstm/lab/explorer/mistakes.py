"""What the page needs of the derivations and of the table of mistakes.

The page runs the lines of the cells' docstrings, as gradients/diagnosis does. Only the products with W, which a docstring writes
for readers, are written here for its parser. A mistake is offered as other lines, or as one of a few words (``flow``) for what
no line shows, such as a carry; explorer/cell.js knows these words.
"""

from __future__ import annotations

from typing import Any

from minilstm.gradients.diagnosis.catalogue import CATALOGUE
from minilstm.gradients.diagnosis.derivation import CELLS, translate

_ONE = [(2, "dW", "hx.T @ dz"), (2, "db", "sum(dz)"), (1, "dhx", "dz @ W.T")]
_PRODUCTS = {
    "lstm": _ONE, "rnn": _ONE, "rnn, relu": _ONE,
    "gru": [(2, "dW_h", "h_prev.T @ da_h"), (2, "dW_x", "x.T @ da_x"), (2, "db", "sum(da)"),
            (1, "from_h", "da_h @ W_h.T"), (1, "dx", "da_x @ W_x.T")],
}
_FLOWS = {
    "dh of step t+1 is not added": "no dh", "dc of step t+1 is not added": "no dc",
    "a carry is added up, not replaced": "dh added", "W is not transposed": "untransposed",
    "the wrong half of d[h, x]": "other half", "a gate is left out of dh_prev or dx": "gate left out",
    "the loop leaves out a step": "skip first", "truncation": "truncated", "= for += in dW or db": "= for +=",
    "h_t for h_{t-1} in dW": "h after", "index -1 at t = 0": "h wraps", "p for p - y": "p",
}
_UNFIT = {"gru": ("no dc", "other half"), "rnn": ("no dc", "gate left out"), "lstm": ()}
_LINES: dict[str, dict[str, dict[str, str]]] = {
    "lstm": {
        "dc_prev without f_t": {"dc_prev": "dc"},
        "dc_prev with f of another step": {"dc_prev": "dc * f_next"},
        "dc_prev from one of dc's two sources": {"dc_prev": "dc_next * f"},
        "the gradient before the nonlinearity": {"dz_f": "df", "dz_i": "di", "dz_o": "do", "dz_c": "dc_tilde"},
        "σ' is missing": {"dz_f": "df"},
        "σ' of the activated gate": {"dz_f": "df * sigma(f) * (1 - sigma(f))"},
        "tanh's rule for a sigmoid, or the reverse": {"dz_i": "di * (1 - i**2)"},
        "tanh' is missing, or of the activated value": {"dz_c": "dc_tilde"},
        "tanh'(c) with c for tanh(c)": {"dc": "dc + dh * o * (1 - c**2)"},
        "o is missing in dc": {"dc": "dc + dh * (1 - tanh(c)**2)"},
        "do where dh belongs": {"dc": "dc + do * o * (1 - tanh(c)**2)"},
        "c_t for c_{t-1}": {"df": "dc * c"},
        "c for tanh(c)": {"do": "dh * c"},
        "partners of i and c̃ exchanged": {"di": "dc * i", "dc_tilde": "dc * c_tilde"},
        "blocks of dz in another order": {"dz_i": "do * o * (1 - o)", "dz_o": "di * i * (1 - i)"},
    },
    "gru": {
        "σ' is missing": {"da_z": "dz"},
        "tanh' is missing, or of the activated value": {"da_n": "dn"},
        "tanh's rule for a sigmoid, or the reverse": {"da_r": "dr * (1 - r**2)"},
        "GRU: no direct path": {"dh_prev": "0 * dh"},
        "GRU: z and 1 - z exchanged": {"dn": "dh * z", "dh_prev": "dh * (1 - z)"},
        "GRU: sign of dz": {"dz": "dh * (n - h_prev)"},
        "GRU: r is missing on the way back": {"dq": "da_n"},
    },
    "rnn": {
        "tanh' is missing, or of the activated value": {"dz": "dh"},
        "tanh's rule for a sigmoid, or the reverse": {"dz": "dh * h * (1 - h)"},
    },
}


def derivations() -> dict[str, Any]:
    """Return each cell's equations and numbered lines: [target, line for the parser, line as the docstring writes it]."""
    return {key: {
        "name": CELLS[key].name, "gates": CELLS[key].gates, "states": CELLS[key].states,
        "forward": [[translate(line.target), translate(line.right), str(line)] for line in CELLS[key].forward],
        "backward": [*([line.number, translate(line.target), translate(line.right), str(line)]
                       for line in CELLS[key].backward),
                     *([number, target, text, f"{target} = {text}"] for number, target, text in products)],
        "behind": [translate(name) for name in CELLS[key].behind], "past": [translate(name) for name in CELLS[key].past],
    } for key, products in _PRODUCTS.items()}


def mistakes(cell: str) -> list[dict[str, Any]]:
    """Return the mistakes that the page offers for a cell ("lstm", "gru" or "rnn"), in the order of the table."""
    found = []
    for one in CATALOGUE:
        flow, lines = _FLOWS.get(one.name), _LINES[cell].get(one.name)
        if lines or flow and flow not in _UNFIT[cell]:
            found.append({**one._asdict(), "flow": "" if lines else flow, "lines": lines or {}})
    return found
