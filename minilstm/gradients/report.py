"""What gradcheck found: as text, as a table, in a notebook, and in plain values for programs."""

from __future__ import annotations

import html
import math
from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, to_numpy
from minilstm.gradients.check.compare import Comparison
from minilstm.gradients.diagnosis.diagnose import Diagnosis
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.target import Target

COLUMNS = ("tensor", "shape", "finite", "complex", "")


class GradcheckReport(NamedTuple):
    """What ``gradcheck`` found: a Comparison for each tensor and method, and how many entries."""

    title: str
    comparisons: list[Comparison]
    entries: int
    note: str
    sizes: dict[str, tuple[int, ...]] = {}      # the shape of each tensor that was compared
    wrong: tuple[str, ...] = ()                 # the tensors whose gradients are wrong
    problem: str = ""                           # what is wrong, in words; "" if nothing is
    diagnosis: Diagnosis | None = None
    side_effects: tuple[SideEffect, ...] = ()   # what is wrong whatever the gradients are

    @property
    def right(self) -> bool:
        """Whether every gradient is right, without side effects."""
        return not self.problem

    def worst(self, method: str) -> float:
        """Return the largest error by this method ("finite" or "complex"); nan if it was not used."""
        return max((c.error for c in self.comparisons if c.method == method), default=math.nan)

    def summary(self) -> str:
        """Return the verdict in one line."""
        used = [method for method in ("finite", "complex") if not math.isnan(self.worst(method))]
        errors = ", ".join(f"{method} {self.worst(method):.1e}" for method in used)
        verdict = f"{self.entries} entries agree, worst error {errors}"
        if self.wrong:
            verdict = f"{len(self.wrong)} of {len(self.sizes)} gradients are wrong"
        return f"gradcheck {self.title}: {verdict}{self.note}"

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return the cells of a table with the columns tensor, shape, finite, complex, verdict."""
        found = {(c.name, c.method): f"{c.error:.1e}" for c in self.comparisons}
        return [(name, str(shape), found.get((name, "finite"), ""), found.get((name, "complex"), ""),
                 "WRONG" if name in self.wrong else "right") for name, shape in self.sizes.items()]

    def table(self) -> str:
        """Return verdict and table as text, 80 columns wide unless a tensor's name is very long."""
        rows = [COLUMNS, *self.rows()]
        widths = [max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows]
        return "\n".join(f"  {line.rstrip()}" for line in lines)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values: "tensors" and "diagnosis" of ``python -m minilstm gradcheck --json``."""
        tensors = []
        for name, shape in self.sizes.items():
            by_method = {c.method: c for c in self.comparisons if c.name == name}
            worst = max(by_method.values(), key=lambda c: c.error)
            tensors.append({"name": name, "shape": list(shape), "right": name not in self.wrong,
                            "errors": {method: float(c.error) for method, c in by_method.items()},
                            "worst": {"entry": list(worst.entry), "where": worst.where,
                                      "analytic": worst.analytic, "numeric": worst.numeric}})
        return {"tensors": tensors, "diagnosis": None if self.diagnosis is None else self.diagnosis.as_dict()}

    def __str__(self) -> str:
        if self.problem:
            return self.problem
        width = max(map(len, self.sizes), default=0)
        lines = [self.summary()]
        for name, shape in self.sizes.items():
            errors = [f"{c.method} {c.error:.1e}" for c in self.comparisons if c.name == name]
            lines.append(f"  {name:<{width}}  {str(shape):<14}  {', '.join(errors)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<GradcheckReport right={self.right}: {self.summary()}>"

    def _repr_html_(self) -> str:
        """Return a table with the wrong tensors marked, and below it what is wrong."""
        def line(cells: tuple[str, ...], tag: str, style: str = "") -> str:
            return f"<tr{style}>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
        marked = ' style="background: #fdd; color: #900"'
        body = "".join(line(row, "td", marked if row[0] in self.wrong else "") for row in self.rows())
        above = html.escape(self.note if self.wrong else self.summary())     # what is wrong stands below
        below = f"<pre>{html.escape(self.problem)}</pre>" if self.problem else ""
        return f"<p>{above}</p><table>{line(COLUMNS, 'th')}{body}</table>{below}"


def describe_wrong(target: Target, wrong: list[Comparison], analytic: dict[str, Array],
                   limits: dict[str, float]) -> str:
    """Say which gradients are wrong, and where: the worst entry, the gates, the time steps."""
    names = list(dict.fromkeys(c.name for c in wrong))
    lines = [f"gradcheck {target.title}: the gradient of {', '.join(names)} is wrong "
             f"({len(names)} of {len(analytic)} tensors)"]
    worst = max(wrong, key=lambda c: (c.error, c.method == "complex"))
    numbers = f"analytic {worst.analytic:.10g}, numeric {worst.numeric:.10g}"
    lines.append(f"  worst entry: {worst.where}: {numbers}")
    for name in names:
        c = max((c for c in wrong if c.name == name), key=lambda c: c.error)
        by_gate = ", ".join(f"{gate} {error:.1e}" for gate, error in c.by_gate.items())
        gates = f"; by gate: {by_gate}" if len(c.by_gate) > 1 else ""
        hint = _hint(target, c, analytic[name])
        wrong_steps = [t for t, e in enumerate(c.by_step) if e > limits["finite"]]
        if wrong_steps and len(wrong_steps) < len(c.by_step):
            steps = ", ".join(map(str, wrong_steps))
            hint += f"; wrong at time steps {steps} of 0 to {len(c.by_step) - 1}, right elsewhere"
        lines.append(f"  {name}: error {c.error:.1e} ({c.method}), worst at {c.where}{gates}{hint}")
    return "\n".join(lines)


def _hint(target: Target, c: Comparison, analytic: Array) -> str:
    """Name the mistakes that show in the numbers."""
    if c.analytic == 0.0 != c.numeric and not to_numpy(analytic).any():
        return "; it is zero everywhere"
    if c.numeric == 0.0 and c.name in target.parameters:
        name = target.as_written(c.name)
        return (f"; the forward does not seem to read {name} at this entry "
                "(a copy kept elsewhere is not followed)")
    value = float(to_numpy(target.tensors[c.name])[c.entry])
    if value != 0.0 and math.isclose(c.analytic, c.numeric + value, rel_tol=1e-5):
        return f"; it looks like the gradient plus {c.name} itself"
    if c.numeric != 0.0:
        ratio = c.analytic / c.numeric
        if abs(ratio) >= 2 and math.isclose(ratio, round(ratio), rel_tol=1e-5):
            return f"; the worst entry is {round(ratio)} times too large"
        if ratio < 0 and math.isclose(ratio, -1.0, rel_tol=1e-5):
            return "; the worst entry has the wrong sign"
    return ""
