"""Name the mistake in a hand-written backward pass of an RNN, GRU or LSTM.

- ``mistakes.py``: the mistakes, in one table; ``findings.py``: what was found, and its words;
- ``derivation.py``: the derivations in the docstrings of cells/, executed;
- ``wrong_lines.py``, ``last_products.py``: the family of mistakes; ``simulate.py``: the derivation with
  mistakes in it;
- ``recognise.py``, ``readings.py``, ``reading.py``: which cell a forward computes, and how its arguments are
  arranged;
- ``repairs.py``: the change of a student's own source that makes every gradient right, in words;
- ``search.py``: the fewest mistakes that give exactly a student's gradients; ``diagnose.py``: all of it.
"""
