"""The explorer: a trained model as one HTML file that computes forwards and backwards, offline."""

from minilstm.lab.explorer.page import Shown, page, write_page

__all__ = ["Shown", "page", "write_page"]
