"""Somebody else's file: loaded, and checked with arrays made from the names of its arguments."""
