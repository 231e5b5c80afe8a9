"""The figures of examples/vanishing_gradients.py, each drawn from the tables of gradient_tables.py.

In all figures time runs from left to right: the loss is at the right end, and the gradient flows to the left.
Each function takes the tables and a problem and returns a matplotlib Figure of at most ``columns`` panels in
a row (1 for a phone).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle, product
from typing import TYPE_CHECKING, Any

from minilstm.backend.errors import ArgumentError
from minilstm.gradients.instruments.saturation import TANH_GATES
from minilstm.lab.cells import CELL_NAMES, COLOURS
from minilstm.lab.gradient_axes import (BACK, BLACK, GREY, ORANGE, PURPLE, SKY, cells_of, curve, default_rows,
                                        finish, first_and_last, label_left, log_axis, loss_axis, loss_curve,
                                        new_panels, shades, time_axis, titled, when, window)
from minilstm.lab.gradient_tables import CHRONO, DEFAULT
from minilstm.training.curves import new_figure

if TYPE_CHECKING:
    import pandas
    Tables = Mapping[str, pandas.DataFrame]

STATE = {"h": "‖∂L/∂h$_t$‖", "c": "‖∂L/∂c$_t$‖"}
WAY_COLOURS = {"cell": COLOURS["lstm"], "state": COLOURS["gru"], "f": ORANGE, "i": SKY, "r": ORANGE, "z": SKY,
               "o": COLOURS["rnn"], "c_tilde": PURPLE, "n": PURPLE}
GATE_NAMES = {"f": "forget gate f", "i": "input gate i", "o": "output gate o", "c_tilde": "candidate c̃",
              "r": "reset gate r", "z": "update gate z", "n": "candidate n", "h": "hidden state h"}
WAY_NAMES = {"cell": "along the cell, f", "state": "along the state, z", **GATE_NAMES}
SATURATION = {"low: gate below 0.1 (c̃, n, h: below -0.9)": COLOURS["rnn"], "in between": "#DDDDDD",
              "high: above 0.9": COLOURS["lstm"]}


def draw_flow(frames: Tables, problem: str, columns: int = 2) -> Any:
    """‖∂L/∂h_t‖ of all cells, and ‖∂L/∂c_t‖ of the LSTM, before and after training."""
    flow = default_rows(frames["flow"], problem)
    steps = first_and_last(flow)
    figure, panels = new_panels(len(steps), columns, sharey=True)
    for axes, step in zip(panels, steps):
        at = flow[flow["step"] == step]
        for cell in cells_of(at):
            for state, own in at[at["cell"] == cell].groupby("state"):
                curve(axes, own["back"], own["norm"], color=COLOURS[cell],
                      linestyle="--" if state == "c" else "-",
                      label=f"{CELL_NAMES[cell]}  {STATE[str(state)]}")
        time_axis(axes, at, f"Gradient at each time step, {when(step)}")
    label_left(panels, "norm of the loss' gradient")
    return titled(figure, problem)


def draw_training(frames: Tables, problem: str, columns: int = 2) -> Any:
    """The same norms at each reading during training, a panel for each cell's state."""
    flow = default_rows(frames["flow"], problem)
    kinds = [(cell, state) for cell in cells_of(flow) for state in ("h", "c")
             if ((flow["cell"] == cell) & (flow["state"] == state)).any()]
    figure, panels = new_panels(len(kinds), columns, sharey=True)
    steps = sorted(flow["step"].unique())
    for axes, (cell, state) in zip(panels, kinds):
        of_kind = flow[(flow["cell"] == cell) & (flow["state"] == state)]
        for step, colour in zip(steps, shades(len(steps))):
            own = of_kind[of_kind["step"] == step]
            curve(axes, own["back"], own["norm"], color=colour, label=when(step))
        time_axis(axes, of_kind, f"{CELL_NAMES[cell]}: {STATE[state]}")
    label_left(panels, "norm of the loss' gradient")
    return titled(figure, problem)


def draw_paths(frames: Tables, problem: str, columns: int = 2) -> Any:
    """The gradient of the state, and its two parts: along the state alone, and through at least one gate."""
    looks: dict[str, dict[str, Any]] = {
        "total": {"color": BLACK, "linewidth": 6, "alpha": 0.35, "label": "the whole gradient"},
        "alone": {"color": SKY, "label": "along the state alone (LSTM: the cell)"},
        "gated": {"color": PURPLE, "linestyle": "--", "label": "through at least one gate"}}
    return _per_cell(frames, problem, looks, "the ways back", columns)


def draw_ways(frames: Tables, problem: str, columns: int = 2) -> Any:
    """What arrives at the state from the next step, by each way of that one step."""
    looks = {way: {"color": colour, "label": WAY_NAMES[way], "linestyle": "--" if way in GATE_NAMES else "-"}
             for way, colour in WAY_COLOURS.items()}
    return _per_cell(frames, problem, looks, "ways of one step", columns)


def _per_cell(frames: Tables, problem: str, looks: Mapping[str, Mapping[str, Any]], title: str,
              columns: int) -> Any:
    paths = default_rows(frames["paths"], problem)
    cells = [cell for cell in cells_of(paths) if cell != "rnn"][::-1]
    if not cells:
        raise ArgumentError("draw: there is no trial of an LSTM or a GRU")
    steps = first_and_last(paths)
    figure, panels = new_panels(len(cells) * len(steps), min(columns, len(steps)), sharey=True)
    for axes, (cell, step) in zip(panels, product(cells, steps)):
        at = paths[(paths["cell"] == cell) & (paths["step"] == step)]
        for way, look in looks.items():
            own = at[(at["way"] == way) & (at["back"] > 0)]
            if len(own):
                curve(axes, own["back"], own["norm"], **look)
        time_axis(axes, at, f"{CELL_NAMES[cell]}: {title}, {when(step)}")
        label_left([axes], f"norm of each part of ∂L/∂{'c' if cell == 'lstm' else 'h'}$_t$")
    return titled(figure, problem)


def draw_jacobians(frames: Tables, problem: str, columns: int = 2) -> Any:
    """Singular values of ∂h_T/∂h_t and ∂c_T/∂c_t, their bounds, and what the cell carries by itself."""
    jacobians = default_rows(frames["jacobians"], problem)
    kinds = [(cell, state) for cell in cells_of(jacobians) for state in ("h", "c")
             if ((jacobians["cell"] == cell) & (jacobians["value"] == f"{state}_largest")).any()]
    steps = first_and_last(jacobians)
    figure, panels = new_panels(len(kinds) * len(steps), min(columns, len(steps)), height=3.6, sharey=True)
    for axes, ((cell, state), step) in zip(panels, product(kinds, steps)):
        own = jacobians[(jacobians["cell"] == cell) & (jacobians["step"] == step)]
        at = own.pivot(index="back", columns="value", values="log10").sort_index()
        line: dict[str, Any] = {"color": COLOURS["lstm"], "linewidth": 2.5}
        axes.plot(at.index, at[f"{state}_largest"], marker="o", markersize=5, label="largest singular value",
                  **line)
        axes.plot(at.index, at[f"{state}_median"], linestyle=":", label="median", **line)
        if "bound" in at:
            axes.plot(at.index, at["bound"], color=BLACK, linestyle="--", linewidth=2,
                      label="RNN: bound σ$_{max}$(W$_h$)$^{T-t}$")
            axes.plot(at.index, at["step_bound"], color=COLOURS["rnn"], linestyle="-.", linewidth=2,
                      label="RNN: bound ∏ ‖∂h$_s$/∂h$_{s-1}$‖")
        elif state == "c" or cell == "gru":
            axes.fill_between(at.index, at["keep_least"], at["keep_greatest"], color=GREY, alpha=0.25,
                              label="∏ f (LSTM) or ∏ z (GRU) of each unit")
            axes.plot(at.index, at["keep_mean"], color=GREY, linestyle="--", linewidth=2,
                      label="geometric mean of these")
        axes.invert_xaxis()
        finish(axes, f"{CELL_NAMES[cell]}: ∂{state}$_T$/∂{state}$_t$, {when(step)}", BACK)
    label_left(panels, "log$_{10}$ of singular value")
    return titled(figure, problem)


def draw_gates(frames: Tables, problem: str, columns: int = 2) -> Any:
    """The share of (unit, time step) at which each gate is saturated, before and after training."""
    gates = default_rows(frames["gates"], problem)
    steps = first_and_last(gates)
    bars = [(cell, gate, step) for cell in cells_of(gates)[::-1]
            for gate in gates[gates["cell"] == cell]["gate"].unique() for step in steps]
    figure = new_figure(3.25 + 3.25 * columns, 1.4 + 0.32 * len(bars))
    axes = figure.subplots()
    for place, (cell, gate, step) in enumerate(bars):
        own = gates[(gates["cell"] == cell) & (gates["gate"] == gate) & (gates["step"] == step)]
        low, high = 100 * own["left"].mean(), 100 * own["right"].mean()
        edges = (0, low, 100 - high, 100)
        for start, end, colour in zip(edges, edges[1:], SATURATION.values()):
            axes.barh(place, end - start, left=start, color=colour, height=0.8)
        axes.text(50, place, f"{low:.0f} % low, {high:.0f} % high", ha="center", va="center", fontsize=12)
    labels = [f"{CELL_NAMES[cell]}: {GATE_NAMES[gate]}, {when(step)}" for cell, gate, step in bars]
    axes.set_yticks(range(len(bars)), labels)
    axes.set_xlim(0, 100)
    for label, colour in SATURATION.items():
        axes.barh(0, 0, color=colour, label=label)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    finish(axes, x="% of all units and time steps")
    return titled(figure, problem, "saturation of the gates")


def draw_gate_means(frames: Tables, problem: str, columns: int = 2) -> Any:
    """The mean of each sigmoid gate over units and sequences at each time step, before and after training."""
    means = default_rows(frames["gate_means"], problem)
    means = means[~means["gate"].isin(TANH_GATES)]
    cells = cells_of(means)[::-1]
    if not cells:
        raise ArgumentError("draw: there is no trial of an LSTM or a GRU")
    figure, panels = new_panels(len(cells), columns, sharey=True)
    for axes, cell in zip(panels, cells):
        own = means[means["cell"] == cell]
        for k, step in enumerate(first_and_last(own)):
            for gate, values in own[own["step"] == step].groupby("gate", sort=False):
                axes.plot(values["T"] - values["t"], values["mean"], color=WAY_COLOURS[str(gate)],
                          linewidth=2.5, linestyle="-" if k else ":",
                          label=f"{WAY_NAMES[str(gate)]}, {when(step)}")
        axes.set_xlim(int(own["T"].max()) - 1, 0)
        axes.set_ylim(0, 1)
        finish(axes, f"{CELL_NAMES[cell]}: how open its gates are", BACK)
    label_left(panels, "mean of the gate")
    return titled(figure, problem)


def draw_forget_bias(frames: Tables, problem: str, columns: int = 2) -> Any:
    """The LSTM's ‖∂L/∂c_t‖ before training by forget bias, and what it learns with it."""
    names = {DEFAULT: "forget bias 1 (default)", CHRONO: "chrono"}
    variants = list(dict.fromkeys(frames["flow"]["variant"]))
    biases = [name for name in variants
              if name == DEFAULT or name.startswith("forget bias ") and ";" not in name]
    biases.sort(key=lambda name: 1.0 if name == DEFAULT else float(name.split()[-1]))
    looks = {name: {"color": colour} for name, colour in zip(biases, shades(len(biases)))}
    looks |= {CHRONO: {"color": COLOURS["rnn"], "linestyle": "--"}}
    for name, look in looks.items():
        look["label"] = names.get(name, name)
    return _by_variant(frames, problem, "lstm", "c", looks, columns)


def draw_recurrent(frames: Tables, problem: str, columns: int = 2) -> Any:
    """The RNN's ‖∂L/∂h_t‖ before training by its recurrent weights, and what it learns with them."""
    looks = {DEFAULT: {"label": "orthogonal (default)", "color": COLOURS["rnn"]}}
    colours = cycle([ORANGE, PURPLE, SKY, GREY, BLACK])
    for name in dict.fromkeys(frames["flow"]["variant"]):
        if name.startswith(("Gaussian", "uniform")):
            looks[name] = {"label": name, "color": next(colours), "linestyle": "--"}
    return _by_variant(frames, problem, "rnn", "h", looks, columns)


def _by_variant(frames: Tables, problem: str, cell: str, state: str, looks: Mapping[str, dict[str, Any]],
                columns: int) -> Any:
    figure, (flows, losses) = new_panels(2, columns)
    flow, training = (frame[(frame["problem"] == problem) & (frame["cell"] == cell)]
                      for frame in (frames["flow"], frames["training"]))
    first = flow[(flow["step"] == flow["step"].min()) & (flow["state"] == state)]
    for variant, look in looks.items():
        own = first[first["variant"] == variant]
        if len(own):
            curve(flows, own["back"], own["norm"], **look)
        loss_curve(losses, training[training["variant"] == variant], **look)
    time_axis(flows, first, f"{CELL_NAMES[cell]}: gradient at each time step, {when(first['step'].min())}")
    flows.set_ylabel(STATE[state], fontsize=14)
    loss_axis(losses, f"{CELL_NAMES[cell]}: training loss")
    return titled(figure, problem)


def draw_clipping(frames: Tables, problem: str, columns: int = 2) -> Any:
    """The gradient's norm over the training steps with the limit, and the loss with and without clipping."""
    training = frames["training"][frames["training"]["problem"] == problem]
    cells = cells_of(training)
    clipped = training[training["limit"].notna()]
    figure, (*panels, losses) = new_panels(len(cells) + 1, columns)
    for axes, cell in zip(panels, cells):
        plain = training[(training["cell"] == cell) & (training["variant"] == DEFAULT)]
        own = clipped[clipped["cell"] == cell]
        _largest(axes, plain, color=GREY, label="norm without clipping")
        if len(own):
            limit = own["limit"].iloc[0]
            _largest(axes, own, color=PURPLE, label="norm before clipping")
            axes.axhline(limit, color=BLACK, linestyle="--", linewidth=2, label=f"limit {limit:g}")
            share = (own["gradient_norm"] > limit).mean()
            axes.set_title(f"{CELL_NAMES[cell]}: clips in {100 * share:.0f} % of the steps", fontsize=15)
        if (plain["gradient_norm"] > 0).any():
            log_axis(axes)
        finish(axes, x="training step")
        loss_curve(losses, plain, color=COLOURS[cell], label=f"{CELL_NAMES[cell]} without clipping",
                   linestyle="--")
        loss_curve(losses, own, color=COLOURS[cell], label=f"{CELL_NAMES[cell]} with clipping")
    label_left(panels, f"largest norm of {window(training)} steps")
    loss_axis(losses, "Loss with and without clipping")
    return titled(figure, problem)


def _largest(axes: Any, training: pandas.DataFrame, **look: Any) -> None:
    """Draw the largest norm of each few steps: clipping acts on peaks, and a line of all is unreadable."""
    peaks = training["gradient_norm"].groupby(training["step"] // window(training)).max()
    axes.step(peaks.index * window(training), peaks, where="post", linewidth=2, **look)


FIGURES: dict[str, Callable[..., Any]] = {
    "gradient-flow": draw_flow, "gradient-flow-during-training": draw_training, "ways-back": draw_paths,
    "ways-of-one-step": draw_ways, "jacobians": draw_jacobians, "gate-saturation": draw_gates,
    "gates-over-time": draw_gate_means,
    "forget-bias": draw_forget_bias, "recurrent-weights": draw_recurrent, "clipping": draw_clipping,
}
# The cells of those figures that are not of all cells.
SHOWS = {
    "ways-back": ("gru", "lstm"), "ways-of-one-step": ("gru", "lstm"), "gates-over-time": ("gru", "lstm"),
    "forget-bias": ("lstm",), "recurrent-weights": ("rnn",),
}
