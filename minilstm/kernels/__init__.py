"""The fast twins of the sequence functions, for NumPy.

``minilstm/lstm.py`` and ``rnn.py`` say what is computed, in the order of the equations; the files here compute the same and
are made for speed. ``LSTM`` and ``RNN`` use them wherever their arrays are NumPy's (``layer.fast = False`` for the readable
functions), and tests/test_kernels.py holds the two against each other. What makes them fast, each with its measurement in
benchmarks/RESULTS.md:

- time-major and feature-major: a step's states are (H, N), its gates (4H, N), so that every gate is one piece of memory;
- ``products.py``: large products are cut into pieces that fit the first-level cache;
- ``sequence.py``: everything that does not wait for the step before (the inputs' share of the gates, the local derivatives,
  weight and input gradients) is done for blocks of steps at once, by another thread where there is one;
- ``lstm.py`` and ``rnn.py``: forward leaves the local derivatives behind, so that a step back is a few products;
- ``batch.py``: rows that begin with the same tokens, as all front padding does, are computed once;

The results do not depend on the number of threads: BLAS works on one, and the rows and blocks are cut by their shape alone.
"""
