"""From a slip of the diagnosis to the catalogue's name for it and its question, and to words that give nothing away."""

from __future__ import annotations

import re

from minilstm.gradients.diagnosis.catalogue import CATALOGUE
from minilstm.gradients.diagnosis.diagnose import Slip
from minilstm.gradients.diagnosis.habits import ADDED, CLIPPED, RANDOM

HABITS = {ADDED: "weight decay inside backward", CLIPPED: "clipping inside backward", RANDOM: "the mask is drawn again"}
ZERO = "a gradient stays zero"
QUESTIONS = {ZERO: "Which line fills it?", **{mistake.name: mistake.question for mistake in CATALOGUE}}
# "CELL line: what stands there" against a pattern; the first that fits gives the catalogue's name.
RULES = (
    (r"stays zero|^(?!GRU 8).*= 0 \* ", ZERO),
    (r"= for \+=", "= for += in dW or db"),
    (r"the (last|first) step's share alone|left out of the sum", "= for += in dW or db"),
    (r"which are (x|h)'s|one column too early", "the wrong half of d[h, x]"),
    (r"before the nonlinearit|dh itself is used", "the gradient before the nonlinearity"),
    (r"index -1", "index -1 at t = 0"),
    (r": h_t where|the first step's h_t", "h_t for h_{t-1} in dW"),
    (r"sequence of the batch alone|1/N times", "mean for the sum over the batch"),
    (r"is not added to dh|nothing is handed on", "dh of step t+1 is not added"),
    (r"without the factor f_t", "dc_prev without f_t"),
    (r"added to that of step|later steps are added", "a carry is added up, not replaced"),
    (r"dc stays what it was", "dc of step t+1 is not added"),
    (r"share of gate|W of gate", "a gate is left out of dh_prev or dx"),
    (r"leaves out the (first|last) step|(first step's \(t = 0\)|last step's) is missing", "the loop leaves out a step"),
    (r"final (hidden|cell) state ignored|final states ignored", "the final state's gradient is ignored"),
    (r"blocks of gates|gradient of gate .* is used", "blocks of dz in another order"),
    (r"clipped", "clipping inside backward"),
    (r"weight decay", "weight decay inside backward"),
    (r"GRU .*(da_n where dq|dq is used|that belongs to (x|h))", "GRU: r is missing on the way back"),
    (r"through W is missing", "a gate is left out of dh_prev or dx"),
    (r"dh itself is handed|dh is added to dh_prev|dh of the first step", "the gradient before the nonlinearity"),
    (r"LSTM 12: do = dh \* c_t$", "c for tanh(c)"),
    (r"LSTM 11: .*do", "do where dh belongs"),
    (r"LSTM 11: dc = dh", "dc of step t+1 is not added"),
    (r"LSTM 11: dc = dc$", "dc_prev from one of dc's two sources"),
    (r"LSTM 11: (?!.*o_t)", "o is missing in dc"),
    (r"LSTM 11: (.*(c_t²|tanh\(tanh)|(?!.*tanh))", "tanh'(c) with c for tanh(c)"),
    (r"LSTM 10: df = dc \* c_t$", "c_t for c_{t-1}"),
    (r"LSTM (9: di = dc \* i_t|8: dc̃ = dc \* c̃_t)$", "partners of i and c̃ exchanged"),
    (r"LSTM 7: .*dh", "dc_prev from one of dc's two sources"),
    (r"LSTM 7: (?!.*f_)", "dc_prev without f_t"),
    (r"(LSTM [456]|GRU [34]): .*σ'\(", "σ' of the activated gate"),
    (r"(LSTM [456]|GRU [34]): .*\(1 [-+] \S+²\)", "tanh's rule for a sigmoid, or the reverse"),
    (r"(LSTM [456]|GRU [34]): (?!.*\(1)", "σ' is missing"),
    (r"(LSTM 3|GRU 7|RNN 3): .*(\S+) \* \(1 - \2\)", "tanh's rule for a sigmoid, or the reverse"),
    (r"(LSTM 3|GRU 7|RNN 3):", "tanh' is missing, or of the activated value"),
    (r"GRU 10: dn = dh \* z_t$|GRU 8: dh_prev = dh \* \(1 - z_t\)", "GRU: z and 1 - z exchanged"),
    (r"GRU 9: .*\(n_t - h", "GRU: sign of dz"),
    (r"GRU 8: dh_prev = (0|dh$)", "GRU: no direct path"),
    (r"GRU 6: dq = da_n$", "GRU: r is missing on the way back"),
    (r"times what it should be", "1/N or 1/T forgotten, or twice"),
)


def named(cell: str, slip: Slip) -> str:
    """Return the catalogue's name for a slip, or in general words which line it is."""
    text = f"{cell} {slip.line}: {slip.wrong}"
    return next((name for pattern, name in RULES if re.search(pattern, text)),
                "a gradient is wrong" if slip.line is None else f"line {slip.line} of the derivation")


def asked(name: str, cell: str = "LSTM") -> str:
    """Return the question that belongs to a name."""
    words = QUESTIONS.get(name, "Which operation of the forward stands here, and what are its inputs?")
    return words.replace("c̃", {"RNN": "h", "GRU": "n"}.get(cell, "c̃")).replace("Is f,", "Is the gate,")


def shown(slip: Slip) -> str:
    """Return what stands in the student's code, without what should stand there."""
    words = re.sub(r"(\S+) where \S+ belongs", r"\1 is used", slip.wrong)
    words = words.partition(", where ")[0].partition(", not dz")[0]
    where = ", ".join(bare(slip.where))
    plain = words.startswith((f"{where} = ", f"{where} ")) or slip.line is None or not where
    return words if plain else f"{where}: {words}"


def bare(*where: str) -> list[str]:
    """Return the gradients' names as students have them, each once: dW for "dW_h of gate f, dW_x of gate f"."""
    return list(dict.fromkeys(re.sub(r"_n?[hx]\b", "", one.partition(" of gate ")[0])
                              for part in where for one in part.split(", ")))
