"""The cells that are compared: their names, and their colour and marker in all figures."""

from __future__ import annotations

from minilstm.training.reference import LAYERS

CELLS = tuple(LAYERS)
CELL_NAMES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
COLOURS = {"rnn": "#D55E00", "gru": "#009E73", "lstm": "#0072B2"}       # colour-blind safe (Okabe & Ito)
MARKERS = {"rnn": "s", "gru": "^", "lstm": "o"}
