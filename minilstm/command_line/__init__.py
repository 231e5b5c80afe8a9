"""The command line: reading arguments, ending well, and ``python -m minilstm doctor``."""
