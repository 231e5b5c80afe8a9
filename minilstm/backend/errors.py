"""The errors minilstm raises, one class for each kind of mistake.

Every class also derives from the built-in exception a Python programmer would expect (a wrong shape is a
``ValueError``, a token id out of range an ``IndexError``), so code that knows nothing of minilstm catches
them too. Messages say what is wrong, what was expected and what was given. Errors are raised before any state
changes.
"""

from __future__ import annotations

from typing import Any


def reason_of(error: BaseException) -> str:
    """Return why reading or writing failed, without the file's name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def one_line(error: BaseException) -> str:
    """Return somebody else's message on one line, cut where it is long."""
    return " ".join(str(error).split())[:200] or type(error).__name__


class MinilstmError(Exception):
    """Base class of every error minilstm raises on purpose."""


class ArgumentError(MinilstmError, ValueError):
    """An argument has a value that makes no sense (a negative learning rate, an unknown option)."""


class ParameterError(ArgumentError, KeyError):
    """A layer has no parameter or gradient of this name."""

    __str__ = Exception.__str__         # a KeyError would show its message in quotes


class ShapeError(MinilstmError, ValueError):
    """An array has the wrong shape."""


class DtypeError(MinilstmError, TypeError):
    """An array has the wrong dtype, or is no array at all."""


class TokenError(MinilstmError, IndexError):
    """A token id lies outside the vocabulary."""


class BackendError(MinilstmError, RuntimeError):
    """A backend cannot be used, or host and device arrays were mixed.

    ``reason`` is the message without the advice that follows it in parentheses. ``kind``: "not installed",
    "import" (it is installed and cannot be imported), "device" (there is none), or "".
    """

    def __init__(self, reason: str, advice: str = "", kind: str = "") -> None:
        super().__init__(f"{reason} ({advice})" if advice else reason)
        self.reason, self.kind = reason, kind


class BackwardError(MinilstmError, RuntimeError):
    """``backward`` was called with no pending forward pass, or with several and no way to tell which."""


class NonFiniteError(MinilstmError, FloatingPointError):
    """A loss, gradient or weight became NaN or infinite; nothing was updated."""


class GradientError(MinilstmError, AssertionError):
    """A gradient check failed: a hand-derived gradient disagrees with the numerical one.

    ``report``: the ``GradcheckReport``, or None if the check did not come as far as comparing gradients.
    ``diagnosis``: what ``minilstm.diagnose`` found (a ``Diagnosis``), or None if nothing was tried.
    ``side_effects``: what is wrong whatever the gradients are (``key`` and ``values``; ``str`` gives the
    sentence).
    """

    report: Any = None
    diagnosis: Any = None
    side_effects: tuple[Any, ...] = ()

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the message, which names the student's lines; a traceback shows ours."""
        return [f"{type(self).__name__}: {self}"]


class DataError(MinilstmError, ValueError):
    """A data file or data set cannot be used as it is; names the file and the row."""


class CheckpointError(MinilstmError, RuntimeError):
    """A checkpoint or state dict cannot be written, read or fitted to the model; nothing was changed."""


for _error in [MinilstmError, ParameterError, *MinilstmError.__subclasses__()]:
    _error.__module__ = "minilstm"      # tracebacks name them as users do: minilstm.ShapeError
