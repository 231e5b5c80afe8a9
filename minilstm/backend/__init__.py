"""What every other package builds on: NumPy or CuPy arrays, argument checks, errors, seeds and threads."""
