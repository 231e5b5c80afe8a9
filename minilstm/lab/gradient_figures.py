"""The figures of examples/vanishing_gradients.py, each drawn from the tables of minilstm/lab/gradient_tables.py.

In all figures time runs from left to right: the loss is at the right end, and the gradient flows to the left. Each function
takes the tables and a problem and returns a matplotlib Figure. Fonts are large enough for slides; colours are safe for
colour-blind readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from minilstm.backend.errors import ArgumentError
from minilstm.gradients.saturation import TANH_GATES
from minilstm.lab.cells import CELL_NAMES, COLOURS, MARKERS
from minilstm.lab.gradient_axes import (BLACK, GREY, ORANGE, PURPLE, SKY, cells_of, curve, default_rows, finish,
                                        first_and_last, loss_axis, loss_curve, new_figure, shades, time_axis, titled, when,
                                        window)
from minilstm.lab.gradient_tables import CHRONO, DEFAULT

if TYPE_CHECKING:
    import pandas
    Tables = Mapping[str, pandas.DataFrame]

STATE = {"h": "‖∂L/∂h$_t$‖", "c": "‖∂L/∂c$_t$‖"}
WAY_COLOURS = {"cell": COLOURS["lstm"], "state": COLOURS["gru"], "f": ORANGE, "i": SKY, "r": ORANGE, "z": SKY,
               "o": COLOURS["rnn"], "c_tilde": PURPLE, "n": PURPLE}
WAY_NAMES = {"cell": "along the cell, f", "state": "along the state, z", "f": "forget gate f", "i": "input gate i",
             "o": "output gate o", "c_tilde": "candidate c̃", "r": "reset gate r", "z": "update gate z", "n": "candidate n"}
GATE_NAMES = {**{gate: WAY_NAMES[gate] for gate in ("f", "i", "o", "c_tilde", "r", "z", "n")}, "h": "hidden state h"}


def draw_flow(frames: Tables, problem: str) -> Any:
    """‖∂L/∂h_t‖ of all cells, and ‖∂L/∂c_t‖ of the LSTM, before and after training."""
    flow = default_rows(frames["flow"], problem)
    figure, panels = new_figure(1, 2, sharey=True)
    steps = first_and_last(flow)
    for axes, step in zip(panels[0], steps):
        at = flow[flow["step"] == step]
        for cell in cells_of(at):
            for state, own in at[at["cell"] == cell].groupby("state"):
                curve(axes, own["back"], own["norm"], color=COLOURS[cell], linestyle="--" if state == "c" else "-",
                      label=f"{CELL_NAMES[cell]}  {STATE[str(state)]}")
        time_axis(axes, at, f"Gradient at each time step, {when(step)}")
    panels[0][0].set_ylabel("norm of the loss' gradient", fontsize=14)
    panels[0][-1].legend(fontsize=12, loc="best")
    return titled(figure, problem)


def draw_training(frames: Tables, problem: str) -> Any:
    """The same norms at each reading during training, a panel for each cell's state."""
    flow = default_rows(frames["flow"], problem)
    kinds = [(cell, state) for cell in cells_of(flow) for state in ("h", "c")
             if ((flow["cell"] == cell) & (flow["state"] == state)).any()]
    figure, panels = new_figure(1, len(kinds), width=4.2, sharey=True)
    steps = sorted(flow["step"].unique())
    for axes, (cell, state) in zip(panels[0], kinds):
        of_kind = flow[(flow["cell"] == cell) & (flow["state"] == state)]
        for step, colour in zip(steps, shades(len(steps))):
            own = of_kind[of_kind["step"] == step]
            curve(axes, own["back"], own["norm"], color=colour, label=f"{step:,} steps")
        time_axis(axes, of_kind, f"{CELL_NAMES[cell]}: {STATE[state]}")
    panels[0][0].set_ylabel("norm of the loss' gradient", fontsize=14)
    panels[0][-1].legend(fontsize=12, title="trained for", title_fontsize=12)
    return titled(figure, problem)


def draw_paths(frames: Tables, problem: str) -> Any:
    """The gradient of the state, and its two parts: along the state alone, and through a gate at least once."""
    looks: dict[str, dict[str, Any]] = {
        "total": {"color": BLACK, "linewidth": 6, "alpha": 0.35, "label": "the whole gradient"},
        "alone": {"color": SKY, "label": "along the {state} alone"},
        "gated": {"color": PURPLE, "linestyle": "--", "label": "through at least one gate"}}
    return _per_cell(frames, problem, looks, "the ways back")


def draw_ways(frames: Tables, problem: str) -> Any:
    """What arrives at the state from the next step, by each way of that one step."""
    looks = {way: {"color": colour, "label": WAY_NAMES[way], "linestyle": "-" if way in ("cell", "state") else "--"}
             for way, colour in WAY_COLOURS.items()}
    return _per_cell(frames, problem, looks, "ways of one step")


def _per_cell(frames: Tables, problem: str, looks: Mapping[str, Mapping[str, Any]], title: str) -> Any:
    paths = default_rows(frames["paths"], problem)
    cells = [cell for cell in cells_of(paths) if cell != "rnn"][::-1]
    if not cells:
        raise ArgumentError("draw: there is no trial of an LSTM or a GRU")
    figure, panels = new_figure(len(cells), 2, height=4.6, sharey="row")
    for row, cell in zip(panels, cells):
        of_cell = paths[paths["cell"] == cell]
        for axes, step in zip(row, first_and_last(of_cell)):
            at = of_cell[of_cell["step"] == step]
            for way, look in looks.items():
                own = at[(at["way"] == way) & (at["back"] > 0)]
                if len(own):
                    words = look["label"].format(state="cell" if cell == "lstm" else "state")
                    curve(axes, own["back"], own["norm"], **{**look, "label": words})
            time_axis(axes, at, f"{CELL_NAMES[cell]}: {title}, {when(step)}")
        row[0].set_ylabel(f"norm of each part of ∂L/∂{'c' if cell == 'lstm' else 'h'}$_t$", fontsize=13)
        row[0].legend(fontsize=12)
    return titled(figure, problem)


def draw_jacobians(frames: Tables, problem: str) -> Any:
    """Singular values of ∂h_T/∂h_t and ∂c_T/∂c_t beside their bounds, and beside what the cell carries by itself."""
    jacobians = default_rows(frames["jacobians"], problem)
    kinds = [(cell, state) for cell in cells_of(jacobians) for state in ("h", "c")
             if ((jacobians["cell"] == cell) & (jacobians["value"] == f"{state}_largest")).any()]
    figure, panels = new_figure(2, len(kinds), width=4.4, height=4.3)
    for column, (cell, state) in enumerate(kinds):
        own = jacobians[jacobians["cell"] == cell]
        for axes, step in zip(panels[:, column], first_and_last(own)):
            at = own[own["step"] == step].pivot(index="back", columns="value", values="log10").sort_index()
            line: dict[str, Any] = {"color": COLOURS[cell], "linewidth": 2.5}
            axes.plot(at.index, at[f"{state}_largest"], marker=MARKERS[cell], markersize=5, label="largest singular value",
                      **line)
            axes.plot(at.index, at[f"{state}_median"], linestyle=":", label="median", **line)
            if "bound" in at:
                axes.plot(at.index, at["bound"], color=BLACK, linestyle="--", linewidth=2,
                          label="bound σ$_{max}$(W$_h$)$^{T-t}$")
                axes.plot(at.index, at["step_bound"], color=GREY, linestyle="-.", linewidth=2,
                          label="bound ∏ ‖∂h$_s$/∂h$_{s-1}$‖")
            elif state == "c" or cell == "gru":
                gate = "f" if cell == "lstm" else "z"
                axes.fill_between(at.index, at["keep_least"], at["keep_greatest"], color=GREY, alpha=0.25,
                                  label=f"∏ {gate} of each unit")
                axes.plot(at.index, at["keep_mean"], color=BLACK, linestyle="--", linewidth=2, label="geometric mean of these")
            axes.invert_xaxis()
            axes.set_title(f"{CELL_NAMES[cell]}: ∂{state}$_T$/∂{state}$_t$,\n{when(step)}", fontsize=14)
            axes.set_xlabel("time steps before the last one", fontsize=13)
            finish(axes)
    for axes in panels[0]:
        axes.legend(fontsize=10)
    for axes in panels[:, 0]:
        axes.set_ylabel("log$_{10}$ of singular value", fontsize=14)
    return titled(figure, problem)


def draw_gates(frames: Tables, problem: str) -> Any:
    """How often each unit's gates are saturated: left (shut, or -1) against right (open, or 1), before and after training."""
    gates = default_rows(frames["gates"], problem)
    kinds = [(cell, gate) for cell in cells_of(gates)[::-1] for gate in gates[gates["cell"] == cell]["gate"].unique()]
    columns = min(4, len(kinds))
    figure, panels = new_figure(-(-len(kinds) // columns), columns, width=3.6, height=3.7)
    for axes in panels.flat[len(kinds):]:
        axes.set_visible(False)
    for axes, (cell, gate) in zip(panels.flat, kinds):
        own = gates[(gates["cell"] == cell) & (gates["gate"] == gate)]
        low, high = ("low", "high") if gate in TANH_GATES else ("shut", "open")
        for k, step in enumerate(first_and_last(own)):
            at = own[own["step"] == step]
            look = {"color": COLOURS[cell], "alpha": 0.6} if k else {"facecolors": "none", "edgecolors": GREY}
            axes.scatter(at["left"], at["right"], s=40, **look)
            # No dot can lie above the diagonal.
            shares = f"{at['left'].mean():.0%} {low}, {at['right'].mean():.0%} {high}"
            axes.text(0.98, 0.93 - 0.09 * k, f"{'after' if k else 'before'}: {shares}", ha="right", fontsize=11,
                      color=COLOURS[cell] if k else GREY)
        axes.plot([0, 1], [1, 0], color=BLACK, linewidth=1)
        axes.set_xlim(-0.04, 1.04)
        axes.set_ylim(-0.04, 1.04)
        axes.set_title(f"{CELL_NAMES[cell]}: {GATE_NAMES[gate]}", fontsize=14)
        axes.set_xlabel("low (below -0.9)" if gate in TANH_GATES else "shut (below 0.1)", fontsize=12)
        axes.set_ylabel("high (above 0.9)" if gate in TANH_GATES else "open (above 0.9)", fontsize=12)
        finish(axes)
    first, *later = first_and_last(gates)
    moments = ", ".join([f"circles: {when(first)}", *(f"dots: {when(step)}" for step in later)])
    return titled(figure, problem, f"how often each unit's gate is saturated ({moments})")


def draw_gate_means(frames: Tables, problem: str) -> Any:
    """The mean of each sigmoid gate over units and sequences at each time step, before and after training."""
    means = default_rows(frames["gate_means"], problem)
    means = means[~means["gate"].isin(TANH_GATES)]
    cells = cells_of(means)[::-1]
    if not cells:
        raise ArgumentError("draw: there is no trial of an LSTM or a GRU")
    figure, panels = new_figure(1, len(cells), sharey=True)
    for axes, cell in zip(panels[0], cells):
        own = means[means["cell"] == cell]
        for k, step in enumerate(first_and_last(own)):
            for gate, values in own[own["step"] == step].groupby("gate", sort=False):
                axes.plot(values["T"] - values["t"], values["mean"], color=WAY_COLOURS[str(gate)], linewidth=2.5,
                          linestyle="-" if k else ":", label=f"{WAY_NAMES[str(gate)]}, {when(step)}")
        axes.set_xlim(int(own["T"].max()) - 1, 0)
        axes.set_ylim(0, 1)
        axes.set_title(f"{CELL_NAMES[cell]}: how open its gates are", fontsize=15)
        axes.set_xlabel("time steps before the last one", fontsize=14)
        axes.legend(fontsize=11)
        finish(axes)
    panels[0][0].set_ylabel("gate, mean over units and sequences", fontsize=14)
    return titled(figure, problem)


def draw_forget_bias(frames: Tables, problem: str) -> Any:
    """The LSTM's ‖∂L/∂c_t‖ before training by forget bias, and what it learns with it."""
    names = {DEFAULT: "forget bias 1 (default)", CHRONO: "chrono"}
    found = list(dict.fromkeys(frames["flow"]["variant"]))
    biases = [name for name in found if name == DEFAULT or name.startswith("forget bias ") and ";" not in name]
    biases.sort(key=lambda name: 1.0 if name == DEFAULT else float(name.split()[-1]))
    looks = {name: {"color": colour} for name, colour in zip(biases, shades(len(biases)))}
    looks |= {CHRONO: {"color": COLOURS["rnn"], "linestyle": "--"}}
    return _by_variant(frames, problem, "lstm", "c", {n: {"label": names.get(n, n), **look} for n, look in looks.items()},
                       "LSTM")


def draw_recurrent(frames: Tables, problem: str) -> Any:
    """The RNN's ‖∂L/∂h_t‖ before training by its recurrent weights, and what it learns with them."""
    found = [name for name in dict.fromkeys(frames["flow"]["variant"]) if name.startswith(("Gaussian", "uniform"))]
    colours = [ORANGE, PURPLE, SKY, GREY, BLACK]
    looks = {DEFAULT: {"label": "orthogonal (default)", "color": COLOURS["rnn"]}}
    looks |= {name: {"label": name, "color": colours[k % len(colours)], "linestyle": "--"} for k, name in enumerate(found)}
    return _by_variant(frames, problem, "rnn", "h", looks, "RNN")


def _by_variant(frames: Tables, problem: str, cell: str, state: str, looks: Mapping[str, dict[str, Any]], name: str) -> Any:
    figure, panels = new_figure(1, 2)
    (flows, losses), = panels
    flow, training = (frames[table][(frames[table]["problem"] == problem) & (frames[table]["cell"] == cell)]
                      for table in ("flow", "training"))
    first = flow[(flow["step"] == flow["step"].min()) & (flow["state"] == state)]
    for variant, look in looks.items():
        own = first[first["variant"] == variant]
        if len(own):
            curve(flows, own["back"], own["norm"], **look)
        loss_curve(losses, training[training["variant"] == variant], **look)
    time_axis(flows, first, f"{name}: gradient at each time step, {when(first['step'].min())}")
    flows.set_ylabel(STATE[state], fontsize=14)
    loss_axis(losses, f"{name}: training loss")
    losses.legend(fontsize=12)
    return titled(figure, problem)


def draw_clipping(frames: Tables, problem: str) -> Any:
    """The gradient's norm over the training steps with the limit, and the loss with and without clipping."""
    training = frames["training"][frames["training"]["problem"] == problem]
    cells = cells_of(training)
    clipped = training[training["limit"].notna()]
    figure, panels = new_figure(1, len(cells) + 1, width=4.4)
    for axes, cell in zip(panels[0], cells):
        plain = training[(training["cell"] == cell) & (training["variant"] == DEFAULT)]
        own = clipped[clipped["cell"] == cell]
        _largest(axes, plain, color=GREY, label="trained without clipping")
        if len(own):
            limit = own["limit"].iloc[0]
            _largest(axes, own, color=COLOURS[cell], label="trained with clipping")
            axes.axhline(limit, color=BLACK, linestyle="--", linewidth=2, label=f"limit {limit:g}")
            share = (own["gradient_norm"] > limit).mean()
            axes.set_title(f"{CELL_NAMES[cell]}: clips in {100 * share:.0f} % of the steps", fontsize=14)
        finish(axes)
        if (plain["gradient_norm"] > 0).any():
            axes.set_yscale("log")
        axes.set_xlabel("training step", fontsize=13)
        axes.legend(fontsize=10)
        loss_curve(panels[0][-1], plain, color=COLOURS[cell], label=f"{CELL_NAMES[cell]}, without", linestyle="--")
        loss_curve(panels[0][-1], own, color=COLOURS[cell], label=f"{CELL_NAMES[cell]}, with clipping")
    panels[0][0].set_ylabel(f"norm before clipping, largest of {window(training)} steps", fontsize=13)
    loss_axis(panels[0][-1], "Loss with and without clipping")
    panels[0][-1].legend(fontsize=10)
    return titled(figure, problem)


def _largest(axes: Any, training: pandas.DataFrame, **look: Any) -> None:
    """Draw the largest norm of each few steps: clipping acts on peaks, and a line through every step would be unreadable."""
    peaks = training["gradient_norm"].groupby(training["step"] // window(training)).max()
    axes.step(peaks.index * window(training), peaks, where="post", linewidth=2, **look)


FIGURES: dict[str, Callable[[Tables, str], Any]] = {
    "gradient-flow": draw_flow, "gradient-flow-during-training": draw_training, "ways-back": draw_paths,
    "ways-of-one-step": draw_ways, "jacobians": draw_jacobians, "gate-saturation": draw_gates,
    "gates-over-time": draw_gate_means,
    "forget-bias": draw_forget_bias, "recurrent-weights": draw_recurrent, "clipping": draw_clipping,
}
SHOWS = {"ways-back": ("gru", "lstm"), "ways-of-one-step": ("gru", "lstm"), "gates-over-time": ("gru", "lstm"),
         "forget-bias": ("lstm",), "recurrent-weights": ("rnn",)}        # of the figures that are not of all cells
