"""The readings of a forward's arguments that their shapes and names allow, likely ones first."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

import numpy as np

from minilstm.gradients.diagnosis.derivation import CELLS, VARIANTS, Cell
from minilstm.gradients.diagnosis.reading import OF_BOTH, Arrays, Gates, Reading, Role, Source

STATE = re.compile(r"(?i)^(d?[hcas])s?_?(0|prev|init|t?_?minus_?1|tm1)?$|prev|init|state")
HEAD = re.compile(r"(?i)y|out|score|logit|^V$|vocab")
CELL_STATE = re.compile(r"(?i)^c|^s|cell|mem")
# The gate that a letter in a name stands for.
LETTERS = {"LSTM": {"f": 0, "i": 1, "u": 1, "o": 2, "c": 3, "g": 3, "a": 3},
           "GRU": {"r": 0, "z": 1, "u": 1, "n": 2, "h": 2, "c": 2, "g": 2},
           "RNN": {}}
# Usual orders: f i o c, i f o c, i f c o, f i c o; r z n, z r n.
USUAL = {(0, 1, 2, 3), (1, 0, 2, 3), (1, 0, 3, 2), (0, 1, 3, 2), (0, 1, 2), (1, 0, 2), (0,)}
Group = tuple[str, Gates]           # roles of one kind, and of as many gates


def readings(arrays: Arrays, integers: Arrays) -> Iterator[Reading]:
    """Yield readings that the shapes allow, likely ones first."""
    for source in _sources(arrays, integers):
        rest = {name: a for name, a in arrays.items() if name not in (source.name, source.E)}
        for cell in (*CELLS.values(), *VARIANTS):
            G = len(cell.gates)
            widths = {n for a in rest.values() for n in a.shape}
            for H in sorted({n for n in widths} | {n // G for n in widths if n % G == 0}):
                options = {name: list(_roles(name, a, source.N, source.D, H, G)) for name, a in rest.items()}
                if all(options.values()):
                    yield from _combined(cell, source, options, H)


def _sources(arrays: Arrays, integers: Arrays) -> Iterator[Source]:
    """Yield the candidates for x, likely ones first."""
    cubes = [name for name, a in arrays.items() if a.ndim == 3]
    for name in cubes:
        for axes in ((1, 0, 2), (0, 1, 2), (2, 1, 0), (2, 0, 1), (1, 2, 0), (0, 2, 1)):
            shape = arrays[name].shape
            yield Source(name, axes, shape[axes[1]], shape[axes[2]])
    for name, ids in integers.items():
        if ids.ndim not in (1, 2) or not ids.size or ids.min() < 0:
            continue
        for order in ((1, 0), (0, 1))[:ids.ndim]:
            N = 1 if ids.ndim == 1 else ids.shape[order[1]]
            for table, a in arrays.items():
                if a.ndim == 2 and a.shape[0] > ids.max() and re.search(r"(?i)^E|emb|table|vec", table):
                    yield Source(name, order, N, a.shape[1], True, table)
            for V in sorted({n for a in arrays.values() for n in a.shape if n > ids.max()}):
                yield Source(name, order, N, V, True)
    for name, a in itertools.islice(arrays.items(), 2):
        if a.ndim == 2 and not cubes:
            yield Source(name, (1, 0, 2), a.shape[0], a.shape[1], absent="T")   # (N, D): one step
            yield Source(name, (0, 1, 2), 1, a.shape[1], absent="N")            # (T, D): one sequence
            yield Source(name, (2, 1, 0), a.shape[1], a.shape[0], absent="T")   # (D, N): one step, columns


def _roles(name: str, a: np.ndarray, N: int, D: int, H: int, G: int) -> Iterator[Role]:
    """Yield what an argument can be."""
    shape = tuple(n for n in a.shape if n > 1) or (1,)
    states = [turned for turned, want in ((False, (N, H)), (True, (H, N)))
              if a.shape in (want, (1, *want), (*want, 1)) or N == 1 and a.shape == (H,)]
    if states and STATE.search(name):
        yield from (Role("state", turned=turned) for turned in states)
        return
    if HEAD.search(name):
        if a.ndim == 2 and min(a.shape) > 1:
            yield from (Role("W_y", turned=turned) for turned in (False, True) if a.shape[turned] == H)
        if len(shape) == 1:
            yield Role("b_y")
    widths = {Gates.ALL: G * H}
    if G > 1:
        widths[Gates.ONE] = H
    if G == 3:
        widths[Gates.ALL_BUT_LAST] = 2 * H
    yield from (Role("b", gates) for gates, width in widths.items() if shape == (width,))
    if G == 3 and shape == (4 * H,):
        yield Role("b4")
    if a.ndim == 2:
        for kind, rows in (("W", H + D), ("W1", 1 + H + D), ("W_x", D), ("W_h", H)):
            for gates, width in widths.items():
                if a.shape == (rows, width):
                    yield Role(kind, gates)
                if a.shape == (width, rows):
                    yield Role(kind, gates, turned=True)
    if a.ndim == 3 and a.shape[0] == G or a.ndim == 2 and a.shape == (G, H):
        yield from (role._replace(gates=Gates.STACKED) for role in _roles("", a[0], N, D, H, G)
                    if role.gates is Gates.ONE)
    yield from (Role("state", turned=turned) for turned in states)


def _combined(cell: Cell, source: Source, options: dict[str, list[Role]], H: int) -> Iterator[Reading]:
    """Yield the readings in which each argument is one of its options and nothing is missing."""
    G, sizes = len(cell.gates), (source.N, source.D, H)
    for chosen in itertools.islice(itertools.product(*options.values()), 64):
        roles: dict[str, Role] = {} if source.tokens else {source.name: Role("x")}
        roles |= {source.E: Role("E")} if source.E else {}
        groups: dict[Group, list[str]] = {}
        for name, role in zip(options, chosen):
            group = groups.setdefault((role.kind, role.gates), [])
            group.append(name)
            roles[name] = role._replace(place=len(group) - 1)
        states = groups.pop(("state", Gates.ALL), [])
        if cell.name == "GRU" and len(groups.get(("b", Gates.ONE), [])) == G + 1:
            roles[groups["b", Gates.ONE].pop()] = Role("b_n")
        for kind in [kind for kind, gates in groups if gates is Gates.ALL_BUT_LAST]:
            if len(groups.get((kind, Gates.ONE), [])) == 1:
                last, = groups.pop((kind, Gates.ONE))
                roles[last] = roles[last]._replace(place=G - 1)
        biases = groups.get(("b", Gates.ALL), [])
        kinds = {kind for kind, _ in groups}
        counts = {group: len(names) for group, names in groups.items() if names is not biases}
        if any(count != (G if gates is Gates.ONE else 1) for (_, gates), count in counts.items()):
            continue
        if len(states) > len(cell.states) or len(biases) > 2 or not _complete(kinds):
            continue
        roles.update({name: Role("b_h") for name in biases[1:]})
        roles.update({name: roles[name]._replace(kind=kind) for name, kind in _states(cell, states).items()})
        guess = _by_name(cell.name, groups, roles)
        for order in dict.fromkeys([guess or tuple(range(G)), *itertools.permutations(range(G))]):
            plausible = order == guess or not guess and order in USUAL
            for h_first in (True, False) if kinds & set(OF_BOTH) else (True,):
                yield Reading(cell, source, roles, order, h_first, sizes, plausible)


def _states(cell: Cell, names: list[str]) -> dict[str, str]:
    """Return which of the initial states is h0 and which is c0: by its name, else h0 comes first."""
    if len(cell.states) == 1 or not names:
        return dict.fromkeys(names, "h0")
    if len(names) == 1:
        return {names[0]: "c0" if CELL_STATE.search(names[0]) else "h0"}
    c_first = CELL_STATE.search(names[0]) and not CELL_STATE.search(names[1])
    return dict(zip(names, ("c0", "h0") if c_first else ("h0", "c0")))


def _complete(kinds: set[str]) -> bool:
    """Return whether both W_x and W_h are there, alone or in one matrix."""
    return bool(kinds & set(OF_BOTH)) != ({"W_x", "W_h"} <= kinds)


def _by_name(cell: str, groups: Mapping[Group, list[str]], roles: dict[str, Role]) -> tuple[int, ...] | None:
    """Return the order of the gates by letters in the matrices' names; biases may have another."""
    table, first = LETTERS[cell], None
    for (_, gates), names in groups.items():
        if gates is not Gates.ONE:
            continue
        found = []
        for name in names:
            stem = re.sub(r"^(d|W|w|U|V|b|B|weights?|bias|_)+", "", name)
            letters = [letter.lower() for letter in stem + name[::-1] if letter.lower() in table]
            found.append(table[letters[0]] if letters else -1)
        if sorted(found) != list(range(len(found))):
            continue
        if first is None:
            first = tuple(found)
        else:
            for name, gate in zip(names, found):
                roles[name] = roles[name]._replace(place=first.index(gate))
    return first
