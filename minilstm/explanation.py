"""What ``ml.explain`` found, and its table: prediction and measurement side by side.

A predicted time is the row's matrix products at the machine's peak plus the bytes it moves at the machine's copy speed, one
after the other (``minilstm/flops.py`` has the rules). What a measured time has beyond that is what the prediction leaves out.
"""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from minilstm.module import Summary

WIDTH = 80              # columns that the text below the tables fills
NO_BREAK = "\xa0"       # between a number and its unit, while lines are made


class Row(NamedTuple):
    """One layer, or another part of the step. Pairs are (forward, backward); a part that has no two sides has one number.

    In ``flops``, ``kept_predicted`` and ``moved``, None stands for what is not known: the layer's class has no rule.
    """

    name: str
    output: tuple[int, ...] | None      # shape, of the last call; None: no array, or no layer
    parameters: int                     # how many numbers are its own
    flops: tuple[int, ...] | None
    kept_predicted: int | None          # bytes
    kept_measured: int
    moved: tuple[int, ...] | None       # bytes
    seconds: tuple[float, ...]          # median over the measured steps
    is_layer: bool = True


class Explanation(NamedTuple):
    """A training step of one model: a row for each layer, then loss, optimiser and everything else. It prints as a table."""

    title: str
    rows: list[Row]
    steps: int          # how many were measured
    peak: float         # floating point operations a second of a large matrix product
    peak_words: str     # which product that was
    bandwidth: float    # bytes a second of a large copy, those read and those written

    @property
    def flops(self) -> int:
        """Operations in a step's matrix products, without those of layers that have no rule."""
        return sum(sum(row.flops) for row in self.rows if row.flops is not None)

    @property
    def moved(self) -> int:
        """Bytes that a step moves, without those of layers that have no rule."""
        return sum(sum(row.moved) for row in self.rows if row.moved is not None)

    @property
    def seconds(self) -> float:
        """Measured time of a step: the sum of the rows."""
        return sum(sum(row.seconds) for row in self.rows)

    @property
    def predicted_seconds(self) -> float:
        """Predicted time of a step."""
        return self.flops / self.peak + self.moved / self.bandwidth

    def predicted(self, row: Row) -> tuple[float, ...] | None:
        """Return a row's predicted seconds, as many numbers as it has measured ones; None: not known."""
        if row.flops is None or row.moved is None:
            return None
        return tuple(flops / self.peak + moved / self.bandwidth for flops, moved in zip(row.flops, row.moved))

    def table(self) -> Summary:
        """Return what there is to read, as text that also shows as text in a notebook."""
        lines = [self.title, "", *self._counts(), "", *self._times(), "", *self._words()]
        return Summary("\n".join(lines).replace(NO_BREAK, " "))

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return self.table()

    # Parts of the text -----------------------------------------------------------------------------------------------

    def _counts(self) -> list[str]:
        layers = [row for row in self.rows if row.is_layer]
        body = [[row.name, "" if row.output is None else str(row.output), f"{row.parameters:,}",
                 *(["?", "?"] if row.flops is None else map(_count, row.flops)),
                 "?" if row.kept_predicted is None else _size(row.kept_predicted), _size(row.kept_measured)] for row in layers]
        known = [row.flops for row in layers if row.flops is not None]
        total = ["total", "", f"{sum(row.parameters for row in layers):,}",
                 *(_count(sum(flops[side] for flops in known)) for side in (0, 1)),
                 _size(sum(row.kept_predicted or 0 for row in layers)), _size(sum(row.kept_measured for row in layers))]
        head = ["layer", "output", "parameters", "forward", "backward", "predicted", "measured"]
        return _grid(head, body, total, {3: "products, FLOP", 5: "kept for backward"}, left=2)

    def _times(self) -> list[str]:
        decimals = 1 if self.seconds >= 1 else 2 if self.seconds >= 0.01 else 3

        def ms(seconds: float) -> str:
            return f"{1e3 * seconds:,.{decimals}f}"
        body = []
        for row in self.rows:
            predicted = self.predicted(row)
            cells = ["?"] * 2 if predicted is None else [ms(s) for s in predicted]
            sides = [cells[0], ms(row.seconds[0]), cells[1], ms(row.seconds[1])] if len(row.seconds) == 2 else [""] * 4
            whole = "?" if predicted is None else ms(sum(predicted))
            body.append([row.name, *sides, whole, ms(sum(row.seconds)), f"{sum(row.seconds) / self.seconds:.1%}"])
        pairs = [(self.predicted(row), row.seconds) for row in self.rows if len(row.seconds) == 2]
        sums = [(sum(p[side] for p, _ in pairs if p), sum(s[side] for _, s in pairs)) for side in (0, 1)]
        sums.append((self.predicted_seconds, self.seconds))
        total = ["total", *(ms(seconds) for pair in sums for seconds in pair), "100%"]
        head = ["ms", *["predicted", "measured"] * 3, "share"]
        return _grid(head, body, total, {1: "forward", 3: "backward", 5: "both"}, left=1)

    def _words(self) -> list[str]:
        products, memory = self.flops / self.peak, self.moved / self.bandwidth
        rate = self.flops / self.seconds
        lines = [
            ("measured", f"{_ms(self.seconds)} a step, the sum of medians of {self.steps} steps; {_count(rate)}FLOP/s in "
             f"products, {rate / self.peak:.0%} of the peak"),
            ("predicted", f"{_ms(products)} if every product ran at this machine's peak, {_count(self.peak)}FLOP/s just now "
             f"({self.peak_words}), and {_ms(memory)} to move {_size(self.moved)} at the speed of a copy, "
             f"{self.bandwidth / 1e9:.1f}{NO_BREAK}GB/s just now"),
            ("left out", "by the prediction: elementwise work (gates, activations, masks, the optimizer's formula), sums, "
             "sorting of tokens, random numbers, the fixed cost of each call; that products smaller than the peak's, such as "
             "one time step's, are slower; that arrays may move more than once, or stay in the cache"),
            ("other", "zero_grad, and what happens between the layers"),
        ]
        if any(row.flops is None for row in self.rows):
            lines.append(("?", "no rule for a layer of this class: the totals predicted are without it"))
        return [line for label, text in lines for line in
                textwrap.wrap(f"{label:<11}{text}", WIDTH, subsequent_indent=" " * 11, break_on_hyphens=False)]


def _count(value: float) -> str:
    """1234567 as "1.23 M"."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{NO_BREAK}{unit}"
    return f"{value:.0f}{NO_BREAK}"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:,.1f}{NO_BREAK}ms"


def _size(nbytes: int) -> str:
    """Bytes, as "1.2 MiB"."""
    for unit, size in (("GiB", 2 ** 30), ("MiB", 2 ** 20), ("KiB", 2 ** 10)):
        if nbytes >= size:
            return f"{nbytes / size:,.1f}{NO_BREAK}{unit}"
    return f"{nbytes}{NO_BREAK}B"


def _grid(head: list[str], body: list[list[str]], total: list[str], pairs: dict[int, str], left: int) -> list[str]:
    """Return a table's lines. ``pairs``: first of two columns -> what stands above both; ``left``: how many are set left."""
    widths = [max(len(row[column]) for row in (head, *body, total)) for column in range(len(head))]
    gaps = [0 if column == 0 else 1 if column - 1 in pairs else 2 for column in range(len(head))]
    for column, words in pairs.items():
        widths[column] = max(widths[column], len(words) - widths[column + 1] - 1)

    def line(row: list[str]) -> str:
        return "".join(" " * gap + (f"{cell:<{width}}" if column < left else f"{cell:>{width}}")
                       for column, (cell, width, gap) in enumerate(zip(row, widths, gaps))).rstrip()
    above = ""
    for column, words in pairs.items():
        start = sum(widths[:column]) + sum(gaps[:column + 1])
        above = f"{above:<{start}}" + words.center(widths[column] + 1 + widths[column + 1])
    lines = [above.rstrip(), line(head), *map(line, body), line(total)]
    rule = "-" * max(map(len, lines))
    return [lines[0], lines[1], rule, *lines[2:-1], rule, lines[-1]]
