"""Somebody else's code, checked and graded: read from a file or notebook, run in a process of its own, and judged.

- ``source.py``, ``apart.py``: a student's file or notebook; a process of its own, with limits;
- ``check.py``, ``arrays.py``: the gradient check, with arrays made from the names of arguments;
- ``steps.py``: the exercises: their functions and points; ``borrowed.py``: who calls minilstm's own answer;
- ``equations.py``, ``questions.py``: cells, judged by gradcheck and diagnosis, and the question to a mistake;
- ``variants.py``, ``parts.py``: other functions, judged by numbers, and the mistakes that are often made in them;
- ``verdict.py``: what is said about one function; ``submission.py``, ``grade.py``, ``report.py``: from files to tables.
"""
