"""Lines and fields of the tables that users bring, as their programs wrote them.

Nothing here imports pandas: planning reads its sheets with it at every start.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from prismflow.errors import InputError

_NO_TEXT: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip or an Excel workbook; save the sheet as tab-delimited text"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save the sheet as tab-delimited text"),
    (b"\xff\xfe", "text in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16; save it as UTF-8"),
)


#: A number with an exponent, also one with a decimal comma.
SCIENTIFIC = re.compile(r"[+-]?\d+([.,]\d*)?[eE][+-]?\d+\Z")
#: What to do about a position that is written so. Some are exact (R writes 1e+05 for 100000), but
#: none can be told from a rounded one.
EXPONENT = (
    "a number with an exponent can't be told from one that has lost its last digits, so write the "
    "column anew from the original numbers, in R as integers or with format(x, scientific = "
    "FALSE), in a spreadsheet as numbers without decimals"
)


def exponent_advice(fields: Iterable[object]) -> str:
    """The advice as the end of a sentence, where one of these fields has an exponent."""
    found = any(SCIENTIFIC.match(str(field).strip()) for field in fields)
    return f"; {EXPONENT}" if found else ""


def read_text(path: str | os.PathLike[str], what: str = "a table") -> str:
    """Text of a table that a user brings; lines end in ``\\n``.

    Whether it is compressed is read from its first bytes, not from its name.

    Raises:
        InputError: no such file, damaged gzip, an Excel workbook, or bytes that are no UTF-8.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: expected {what}, found no such file.") from None
    except IsADirectoryError:
        raise InputError(f"{path}: expected {what}, found a folder.") from None
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(
                f"{path}: expected a whole gzip file, found one that is damaged or cut off "
                f"({error}); copy or download it again."
            ) from None
    for start, found in _NO_TEXT:
        if data.startswith(start):
            raise InputError(f"{path}: expected {what} as text, found {found}.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path} line {line}: expected {what} in UTF-8, found other bytes; save it as UTF-8 "
            "text."
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(
            f"{path} line {line}: expected {what}, found zero bytes; the file is damaged, copy it "
            "again."
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def split_row(line: str, n_fields: int, separator: str = "\t") -> list[str]:
    """Fields of one line, without the quotes round whole fields and without empty ones at its end.

    A quote inside free text (``5" variant``) is a character like any other: no field reaches over
    the end of its line. A separator inside a quoted field counts only where the number of fields
    shows that it is one.
    """
    fields = [_unquoted(field) for field in line.split(separator)]
    if len(fields) > n_fields and '"' in line:
        with contextlib.suppress(csv.Error):
            quoted = next(csv.reader([line], delimiter=separator, strict=True))
            fields = quoted if len(quoted) == n_fields else fields
    while len(fields) > max(n_fields, 1) and not fields[-1].strip():
        fields.pop()
    return fields


def _unquoted(field: str) -> str:
    if len(field) > 1 and field[0] == field[-1] == '"':
        inner = field[1:-1]
        if '"' not in inner.replace('""', ""):
            return inner.replace('""', '"')
    return field


def split_header(line: str, where: str, separator: str = "\t") -> list[str]:
    """Names of the columns, without spaces round them.

    Raises:
        InputError: a name that stands twice, or a column without a name before the last one.
    """
    names = [name.strip() for name in split_row(line, 0, separator)]
    for name in names:
        if names.count(name) > 1:
            found = f"the column {name!r}" if name else "a column without a name"
            raise InputError(
                f"{where}: expected every column once, found {found} {names.count(name)} times; "
                "rename or remove all but one."
            )
    return names


def why_ragged(line: str, found: int, expected: int) -> str:
    """What may be wrong with a line that has another number of fields than the header."""
    if line.count('"') % 2:
        return "a quote is opened and not closed, remove it or the line break inside the field"
    if found == expected + 1:
        return "remove a tab inside a field, or row names without a header (R: row.names=FALSE)"
    return "check for spaces in place of tabs, and for tabs inside a field"


def suffix_of(path: str | os.PathLike[str]) -> str:
    """End of a file's name in small letters; that of gzip is taken off first."""
    name = os.path.basename(path).lower().removesuffix(".gz").removesuffix(".bgz")
    return name.rpartition(".")[2]
