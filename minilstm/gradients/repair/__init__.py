"""Which one change of this source makes every gradient right? A search that knows no cell: program.py has the
student's functions as trees and what runs of them tell, edits.py the changes that are tried, search.py tries
them, and repair.py is the door: a process apart, and what is told.
"""
