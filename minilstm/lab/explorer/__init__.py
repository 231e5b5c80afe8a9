"""The explorer: a trained model as one HTML file that computes forwards and backwards, offline."""

from minilstm.lab.explorer.page import Shown, check_shown, page, write_page

__all__ = ["Shown", "check_shown", "page", "write_page"]
