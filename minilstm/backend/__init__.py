"""The foundation of all other rooms: NumPy or CuPy arrays, checks of arguments, errors, seeds and threads."""
