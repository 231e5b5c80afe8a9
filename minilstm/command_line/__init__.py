"""The command line: argument parsing, error handling, and ``python -m minilstm doctor``."""
