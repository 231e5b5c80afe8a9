"""Name the mistake in a hand-written backward pass of an RNN, GRU or LSTM.

- ``derivation.py``: the derivations in the docstrings of cells/, executed;
- ``slips.py``, ``last_lines.py``: the family of mistakes; ``engine.py``: the derivation with mistakes in it;
- ``recognition.py``: which cell a forward computes, and how its arguments are arranged;
- ``search.py``: the fewest mistakes that give exactly a student's gradients;
- ``diagnose.py``: all of it, and the words.
"""
