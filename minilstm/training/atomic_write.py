"""Write a file atomically: either the complete new file exists afterwards, or the old one is unchanged.

Training runs for hours and can be killed at any moment. A file that is overwritten in place may then be half
old and half new. A file that is written next to the old one, flushed to disk and renamed over it in a single
step is always either the old or the new one. Every file of a run (checkpoints, history, config, figures) is
written by this function.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path

TEMP_PREFIX, TEMP_SUFFIX = ".minilstm-", ".tmp"
_NO_DIRECTORY_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM)

PathLike = str | os.PathLike[str]


def atomic_write(path: PathLike, chunks: Iterable[bytes]) -> None:
    """Write the chunks to the file ``path``, one after another: either all of them, or the old file stays.

    The bytes go to a temporary file in the same folder (a rename is atomic only within one file system), are
    flushed to disk, and replace the old file in one step; then the folder itself is flushed to disk, so that
    the new name survives a power failure. The temporary file is removed if an error occurs. A symbolic link
    is followed, not replaced. Raises OSError.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    temp = os.path.join(folder, f"{_mark(target)}{os.getpid()}-{secrets.token_hex(8)}{TEMP_SUFFIX}")
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
    if os.name != "posix":      # on other systems a folder cannot be opened, and the rename is journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:    # not supported by some network and FUSE file systems; the file is complete
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
    finally:
        os.close(descriptor)


def _mark(target: str) -> str:
    """Return how the names of temporary files for ``target`` begin on this machine."""
    file, machine = zlib.crc32(os.path.basename(target).encode()), zlib.crc32(platform.node().encode())
    return f"{TEMP_PREFIX}{file:08x}-{machine:08x}-"


def remove_orphans(path: PathLike) -> None:
    """Remove temporary files for ``path`` that processes of this machine left which no longer run."""
    target = Path(os.path.realpath(path))
    for file in target.parent.glob(f"{_mark(str(target))}*{TEMP_SUFFIX}"):
        process = file.name[len(_mark(str(target))):].partition("-")[0]
        if process.isdigit() and not _runs(int(process)):
            with contextlib.suppress(OSError):          # another process may be removing it too
                file.unlink()


def _runs(process: int) -> bool:
    if os.name != "posix":          # elsewhere os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def remove_leftovers(folder: PathLike) -> None:
    """Remove the temporary files that a killed process left in ``folder``, which must be yours."""
    for path in Path(folder).glob(f"{TEMP_PREFIX}*{TEMP_SUFFIX}"):
        path.unlink(missing_ok=True)
