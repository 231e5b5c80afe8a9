"""The cells that are compared: their names and layers, and their colour and marker in all figures."""

from __future__ import annotations

from typing import Any

from minilstm.layers.gru import GRU
from minilstm.layers.lstm import LSTM
from minilstm.layers.rnn import RNN

CELLS = ("rnn", "gru", "lstm")
LAYERS: dict[str, Any] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
CELL_NAMES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
COLOURS = {"rnn": "#D55E00", "gru": "#009E73", "lstm": "#0072B2"}       # colour-blind safe (Okabe & Ito)
MARKERS = {"rnn": "s", "gru": "^", "lstm": "o"}
