"""Writing a file so that it is there whole or not at all.

Training runs for hours and is killed at any moment. A file that is written in place is then half old and half new; one that
is written beside the old one, forced to the disk and moved over it in a single step is always one of the two. Everything
a run leaves (checkpoints, history, config, figures) goes through this one function.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

TEMP_PREFIX, TEMP_SUFFIX = ".minilstm-", ".tmp"
_NO_DIRECTORY_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM)

PathLike = str | os.PathLike[str]


def atomic_write(path: PathLike, chunks: Iterable[bytes]) -> None:
    """Write the chunks, one after another, as the file ``path``: all of them, or the old file stays as it was.

    The bytes go to a temporary file in the same folder (a rename is atomic only within one file system), are forced to the
    disk, and replace the old file in one step; then the folder itself is forced to the disk, so that the new name survives a
    power cut. The temporary file is removed when anything fails. A symbolic link is followed, not replaced.
    Raises OSError.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    temp = os.path.join(folder, f"{TEMP_PREFIX}{secrets.token_hex(8)}{TEMP_SUFFIX}")
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, target)
    except BaseException:
        try:
            os.unlink(temp)
        except FileNotFoundError:
            pass
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    if os.name != "posix":      # elsewhere a folder cannot be opened, and the rename is journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:    # some network and FUSE file systems do not offer it; the file itself is complete
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(folder: PathLike) -> None:
    """Remove the temporary files that a killed process left in ``folder`` (only ever call this on a folder you own)."""
    for path in Path(folder).glob(f"{TEMP_PREFIX}*{TEMP_SUFFIX}"):
        path.unlink(missing_ok=True)
