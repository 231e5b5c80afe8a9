"""What everything else stands on: NumPy or CuPy arrays, checks of arguments, errors, seeds and threads."""
