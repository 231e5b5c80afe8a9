"""The figure of a review read word by word: answer, states and gates above the words.

All panels share the axis of words. A state or an answer is blue where it is positive (above 0, above one
half) and red where it is negative; gates run from dark (closed) to light (open). Both scales are safe for
colour-blind readers.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np

from minilstm.backend.checks import check_positive_int
from minilstm.backend.errors import ArgumentError
from minilstm.lab.words import WordTrace
from minilstm.training.curves import new_figure

UNITS = 20          # units of the state shown: those that vary most
SIGNED, OPEN = "RdBu", "viridis"
KEEPS = {"LSTM": "f", "GRU": "z"}       # the gate that decides what is kept of the state
NAMES = {"f": "forget gate f", "i": "input gate i", "o": "output gate o", "c_tilde": "|candidate c̃|",
         "r": "reset gate r", "z": "update gate z", "n": "|candidate n|"}


def draw_words(trace: WordTrace, start: int | None = None, count: int = 60) -> Any:
    """Return a Figure of ``count`` words from number ``start`` on; None: where the probability moves most.

    Panels, from the top: the probability after each word, over a strip of its colour, with a small one of the
    whole review where that is longer; the cell state (RNN, GRU: the hidden state) of the 20 units that move
    most; the gates' means over all units; the gate that keeps the state (f or z) in those 20 units. Raises
    ArgumentError for a window outside the review or where matplotlib is missing.
    """
    n = len(trace.words)
    count = min(check_positive_int("count", count), n)
    start = liveliest(trace, count) if start is None else start
    if not 0 <= start < n:
        raise ArgumentError(f"start: expected the number of a word from 0 to {n - 1}, got {start!r}")
    window = slice(start, min(start + count, n))
    shown = window.stop - window.start

    name, state = ("hidden state h", trace.h) if trace.c is None else ("cell state c", trace.c)
    units = most_active(state, trace.probabilities)
    keeps = KEEPS.get(trace.cell)
    heights = {"review": 0.7} if shown < n else {}
    heights |= {"p": 1.8, "state": 2.6}
    if keeps:
        heights |= {"means": 0.3 * len(trace.gates) + 0.2, "keeps": 2.6}
    figure = new_figure(max(7.0, 3.2 + 0.27 * shown), 1.6 + sum(heights.values()))
    axes = figure.subplots(len(heights), 1, height_ratios=list(heights.values()))
    panels = dict(zip(heights, axes))

    if "review" in panels:
        _whole(panels["review"], trace, window)
    _probability(panels["p"], trace, window)
    limit = float(np.abs(state[window][:, units]).max()) or 1.0
    _heat(figure, panels["state"], state[window][:, units].T,
          f"{name}: the {len(units)} units that move most", SIGNED, (-limit, limit))
    panels["state"].set_yticks(range(len(units)), [str(unit) for unit in units], fontsize=9)
    panels["state"].set_ylabel("unit")
    if keeps:
        means = np.stack([np.abs(gate[window]).mean(axis=1) for gate in trace.gates.values()])
        _heat(figure, panels["means"], means, "gates, mean over all units", OPEN, (0.0, 1.0))
        panels["means"].set_yticks(range(len(means)), [NAMES[gate] for gate in trace.gates], fontsize=9)
        kept = trace.gates[keeps][window][:, units].T
        _heat(figure, panels["keeps"], kept, f"{NAMES[keeps]} of the same units", OPEN, _span(kept))
        panels["keeps"].set_yticks(range(len(units)), [str(unit) for unit in units], fontsize=9)
        panels["keeps"].set_ylabel("unit")
    for panel in list(panels.values())[1 if "review" in panels else 0:]:
        panel.set_xlim(-0.5, shown - 0.5)
        panel.set_xticks(range(shown), [""] * shown)
    bottom = list(panels.values())[-1]
    bottom.set_xticks(range(shown), _labels(trace, window), rotation=90, fontsize=10, parse_math=False)
    part = "" if shown == n else f" {window.start + 1} to {window.stop} of {n}"
    unknown = "" if trace.known[window].all() else ", [unknown ones]"
    bottom.set_xlabel(f"words{part}{unknown}")
    return figure


def draw_words_down(trace: WordTrace) -> Any:
    """Return a Figure of the whole review for a phone, a word a line: answer, state and keeping gate."""
    p, rows = trace.probabilities, range(len(trace.words))
    name, state = ("h", trace.h) if trace.c is None else ("c", trace.c)
    units = most_active(state, p)
    limit = float(np.abs(state[:, units]).max()) or 1.0
    panels = [("p(positive)", p[:, None], SIGNED, (-0.7, 1.7)),
              (name, state[:, units], SIGNED, (-limit, limit))]
    if keeps := KEEPS.get(trace.cell):
        kept = trace.gates[keeps][:, units]
        panels.append((NAMES[keeps], kept, OPEN, _span(kept)))
    figure = new_figure(4.6, 0.6 + 0.17 * len(rows))
    figure.subplots(1, len(panels), sharey=True)
    for axes, (title, values, colours, (low, high)) in zip(figure.axes, panels):
        axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto",
                    extent=(0, 1, len(rows) - 0.5, -0.5))
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
    figure.axes[0].plot(p, rows, "o-", color="black", markersize=3)
    figure.axes[0].set_yticks(rows, _labels(trace, slice(None)), fontsize=9, parse_math=False)
    return figure


def _labels(trace: WordTrace, window: slice) -> list[str]:
    """Return words for an axis, unknown ones in brackets."""
    return [_short(word if known else f"[{word}]")
            for word, known in zip(map(drawable, trace.words[window]), trace.known[window])]


def _span(gate: np.ndarray) -> tuple[float, float]:
    """Return limits for the colours of a gate, which may hardly move."""
    return float(np.floor(10 * gate.min()) / 10), float(np.ceil(10 * gate.max()) / 10)


def drawable(word: str) -> str:
    """Return a word for matplotlib's font: signs that it lacks, such as emojis, by their names."""
    from matplotlib.font_manager import FontProperties, findfont, get_font
    has = get_font(findfont(FontProperties())).get_charmap()
    return "".join(sign if ord(sign) in has else _name(sign) for sign in word)


def _name(sign: str) -> str:
    is_symbol = unicodedata.category(sign).startswith("S")
    return f":{unicodedata.name(sign, 'sign').lower()}:" if is_symbol else "?"


def most_active(state: np.ndarray, p: np.ndarray, count: int = UNITS) -> np.ndarray:
    """Return the numbers of the ``count`` units of state (n, H) that vary most; those that rise with p first.

    (With p constant, or one word, in the order of their numbers.)
    """
    chosen = np.sort(np.argsort(-state.std(axis=0), kind="stable")[:count])
    together = ((state[:, chosen] - state[:, chosen].mean(axis=0)) * (p - p.mean())[:, None]).sum(axis=0)
    scale = state[:, chosen].std(axis=0)
    return chosen[np.argsort(-together / np.where(scale > 0, scale, 1.0), kind="stable")]


def liveliest(trace: WordTrace, count: int) -> int:
    """Return the start of the ``count`` words in which the probability moves most, in all."""
    sums = np.convolve(np.abs(trace.changes), np.ones(count), mode="valid")
    return int(sums.argmax())


def _probability(axes: Any, trace: WordTrace, window: slice) -> None:
    p = trace.probabilities[window]
    axes.imshow(p[None], cmap=SIGNED, vmin=-0.2, vmax=1.2, aspect="auto",
                extent=(-0.5, len(p) - 0.5, 0, 1), alpha=0.5, zorder=0)
    axes.axhline(0.5, color="#555555", linewidth=1, linestyle=":")
    before = trace.before if window.start == 0 else trace.probabilities[window.start - 1]
    axes.step(np.arange(-1, len(p)), np.concatenate([[before], p]), where="mid", color="black", linewidth=2)
    axes.plot(np.arange(len(p)), p, "o", color="black", markersize=4)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("p(positive)")
    axes.set_title(f"{trace.cell}: the answer if the review ended here (in the end: {trace.prediction:.3f})")


def _whole(axes: Any, trace: WordTrace, window: slice) -> None:
    axes.plot(np.arange(1, len(trace.words) + 1), trace.probabilities, color="black", linewidth=1.2)
    axes.axvspan(window.start + 0.5, window.stop + 0.5, color="#F0E442", alpha=0.6, zorder=0)
    axes.set_xlim(0.5, len(trace.words) + 0.5)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 1])
    axes.set_title(f"all {len(trace.words)} words; below: those marked")


def _heat(figure: Any, axes: Any, values: np.ndarray, title: str, colours: str,
          limits: tuple[float, float]) -> None:
    image = axes.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto",
                        interpolation="nearest")
    axes.set_title(title)
    figure.colorbar(image, ax=axes, pad=0.01, fraction=0.04)


def _short(word: str) -> str:
    return word if len(word) <= 18 else word[:17] + "…"
