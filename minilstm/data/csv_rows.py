"""Read a CSV of labelled texts strictly: every row is valid, or an error names the file and the row.

Lenient readers turn damage into data: a typo in a label becomes the other class, the review "NA" becomes a
missing value, and an unclosed quote turns the following rows into one long review. Here the whole file is
first read and decompressed, then decoded and parsed by the standard library's csv module in strict mode, and
each requested field is checked. Rows are numbered as in a spreadsheet: row 1 is the header.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import threading
import zipfile
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from minilstm.backend.errors import DataError, reason_of
from minilstm.backend.paths import as_path

try:                    # a Python that was built without them, as in a browser, lacks these two
    import bz2
except ImportError:
    bz2 = None          # type: ignore[assignment]
try:
    import lzma
except ImportError:
    lzma = None         # type: ignore[assignment]

AT_ONCE = 100           # rows read at once
MAX_BYTES = 1 << 30     # after decompression; the 50,000 IMDB reviews are 66 MB
_PACKED: tuple[tuple[bytes, str, Any], ...] = (
    (b"\x1f\x8b", "gzip", gzip), (b"BZh", "bzip2", bz2), (b"\xfd7zXZ\x00", "xz", lzma))
_DAMAGED: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error, *([lzma.LZMAError] if lzma else []))
_limit = threading.Lock()


def read_rows(path: str | os.PathLike[str], columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield (row number, fields of the named columns) for each row below the header.

    The file must be UTF-8 (a byte order mark is allowed), uncompressed or compressed with gzip, bzip2, xz or
    zip (with a single file inside). The format is detected from the contents, not from the name. Blank lines
    at the end are allowed. Raises DataError, naming the file and the row, for any other problem, and
    DtypeError if ``path`` is not a path.
    """
    name = os.fspath(as_path("CSV file", path))
    data = _read(name)
    if b"\0" in data:
        row_number = _row_of(data[:data.index(0)])
        raise DataError(f"{name}: row {row_number} contains a NUL byte: not a text file, or damaged")
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""), strict=True)
    number, blank = 0, 0
    header: list[str] = []
    positions: list[int] = []
    rows = _rows(reader)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            is_open = "end of data" in str(error) or "limit" in str(error)
            hint = "a quote that is not closed?" if is_open else "a stray quote?"
            raise DataError(f"{name}: row {number + blank + 1} is broken CSV: {error} ({hint})") from None
        except UnicodeDecodeError:
            raise _not_utf8(name, data) from None
        if not row:
            blank += 1
            continue
        if blank:
            raise DataError(f"{name}: row {number + 1} is empty")
        number += 1
        if number == 1:
            header, positions = row, [_position(name, row, column) for column in columns]
            continue
        if len(row) != len(header):
            raise DataError(f"{name}: row {number} has {len(row)} fields, but the header has {len(header)} "
                            f"({','.join(header)})")
        yield number, [row[position] for position in positions]
    if number < 2:
        raise DataError(f"{name}: {'has a header but no rows below it' if number else 'is empty'}")


def _rows(reader: Any) -> Iterator[list[str]]:
    """Yield the rows, with fields of any length. The csv module's limit, the process's, does not change."""
    while True:
        rows: list[list[str]] = []
        error = None
        with _limit:
            before = csv.field_size_limit(MAX_BYTES)
            try:
                rows.extend(islice(reader, AT_ONCE))
            except (csv.Error, UnicodeDecodeError) as caught:       # of the row after those that were read
                error = caught
            finally:
                csv.field_size_limit(before)
        yield from rows
        if error is not None:
            raise error
        if len(rows) < AT_ONCE:
            return


def _position(name: str, header: list[str], column: str) -> int:
    if header.count(column) != 1:
        times = "no column" if column not in header else f"{header.count(column)} columns"
        raise DataError(f"{name}: row 1 names {times} {column!r}, expected one; "
                        f"it reads {','.join(header)[:100]!r}")
    return header.index(column)


def _read(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            start = file.read(6)
            file.seek(0)
            if start.startswith(b"PK"):
                return _read_zip(name, file)
            for magic, kind, module in _PACKED:
                if start.startswith(magic):
                    if module is None:
                        raise DataError(f"{name}: is compressed with {kind}, which this Python cannot read; "
                                        "unpack it first")
                    return _read_packed(name, kind, module.open(file))
            return _limited(name, file)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{name}: is a folder, expected a CSV file") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({reason_of(error)})") from None
    except ValueError as error:         # a NUL character in the name
        raise DataError(f"{name!r}: cannot be read ({error})") from None


def _read_packed(name: str, kind: str, file: Any) -> bytes:
    try:
        return _limited(name, file)
    except _DAMAGED as error:
        raise DataError(f"{name}: the {kind} data is damaged or cut short ({error})") from None


def _read_zip(name: str, file: Any) -> bytes:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.namelist() if not m.endswith("/") and not m.startswith("__MACOSX/")]
            if len(members) != 1:
                raise DataError(f"{name}: expected a zip archive that holds one file, "
                                f"got {len(members)} {members[:5]}")
            with archive.open(members[0]) as member:
                return _limited(name, member)
    # RuntimeError: a password is needed, or the compression is unknown or not in this Python.
    except (*_DAMAGED, zipfile.BadZipFile, RuntimeError) as error:      # type: ignore[misc]
        raise DataError(f"{name}: the zip data is damaged, cut short or not supported ({error})") from None


def _limited(name: str, file: Any) -> bytes:
    data: bytes = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DataError(f"{name}: holds more than {MAX_BYTES >> 20} MiB of text; split it")
    return data


def _not_utf8(name: str, data: bytes) -> DataError:
    bom = 3 if data.startswith(b"\xef\xbb\xbf") else 0       # decoded again: the reader reports no offset
    try:
        data[bom:].decode("utf-8")
    except UnicodeDecodeError as error:
        start = bom + error.start
        return DataError(f"{name}: row {_row_of(data[:start])} is not UTF-8 "
                         f"(byte {data[start]:#04x} at offset {start}); save the file as UTF-8")
    raise AssertionError("unreachable: the same bytes failed to decode a moment ago")


def _row_of(before: bytes) -> int:
    """Return the number of the row that a character belongs to, given the bytes before it."""
    lines = io.StringIO(before.decode("utf-8-sig", "replace") + "x", newline="")
    try:
        return sum(1 for _ in _rows(csv.reader(lines)))
    except csv.Error:       # a broken quote in an earlier row: the line number is the best estimate
        return before.count(b"\n") + 1
