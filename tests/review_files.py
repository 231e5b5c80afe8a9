"""Files of reviews that the tests of reading write."""

from __future__ import annotations

import io
import zipfile

GOOD = 'review,sentiment\n"A ""good"" film,\nreally",positive\nbad,negative\n'.encode()


TEXTS = ['A "good" film,\nreally', "bad"]


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
