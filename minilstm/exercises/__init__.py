"""The exercises, graded: each step of each submission in a process of its own.

- ``steps.py``: the steps, their functions and points; ``own_work.py``: who calls minilstm's own answer;
- ``cells.py``: cells, judged by gradcheck and diagnosis;
- ``numbers.py``, ``answers.py``: other functions, judged by numbers, and the mistakes that are often made in
  them;
- ``repair.py``: which line is proved wrong, by the right lines (``answers.py``, ``cell_answers.py``);
  ``kinds.py``: by a change of the student's own;
- ``verdict.py``: what is said about one function; ``grade.py``, ``results.py``: from files to tables.
"""
