"""Which one change of this source makes every gradient right? A search that knows no cell: program.py has the
student's functions as trees and what runs of them tell; wanted.py solves for the values that would be right,
so that most lines need no trial, and finds with pool.py the expression that gives them; edits.py has the
changes that are tried, search.py tries them, adjoints.py tells which values are right; and repair.py is the
door: a process apart, and what is told.
"""
