"""The fast twins of the sequence functions, for NumPy.

``minilstm/lstm.py``, ``gru.py`` and ``rnn.py`` say what is computed, in the order of the equations; the files here compute the
same and are made for speed. The layers use them wherever their arrays are NumPy's (``layer.fast = False`` for the readable
functions), and tests/kernels/ holds the two against each other. What is measured of each, and what did not pay, is in
benchmarks/RESULTS.md:

- ``sequence.py``: time-major and feature-major: a step's states are (H, N), its gates (4H, N), so that every gate is one piece
  of memory. What does not wait for the step before (weight gradients; for large weights the inputs' share of the gates and
  their gradients) is done for a block of steps at once; ``layout.py`` copies between this form and the batch's;
- ``lstm.py``, ``gru.py`` and ``rnn.py``: one product a step each way; forward leaves the local derivatives behind, so that a
  step back is a few multiplications;
- ``compiled/``: the same steps as loops that Numba compiles, where it is installed;
- ``batch.py``: rows that begin with the same tokens, as all front padding does, are computed once, exactly;
- ``threads.py``, ``processes.py`` and ``remote.py``: rows of a batch on several cores, by threads; without Numba, where steps
  are short and threads would wait for each other, by helper processes;
- ``memory.py``: buffers that serve again, which pays where a step needs many megabytes;
- ``products.py``, ``embedding.py`` and ``pieces.py``: products, the embedding's gradient and the optimisers' steps.

The results do not depend on the number of threads: BLAS works on one, and the rows and blocks are cut by their shape alone.
"""
