"""Read the TSV sheets (cells, tracks) with names, duplicates and columns checked by line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from prismflow.errors import InputError
from prismflow.rows import read_text, split_header, split_row, why_ragged

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_ACCESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_THIS_MACHINE = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")

#: Names that would collide with files and folders of results/.
RESERVED = frozenset(
    {
        "all",
        "claims",
        "dropped",
        "figures",
        "full",
        "genes",
        "genome",
        "labels",
        "metrics",
        "none",
        "plan",
        "plots",
        "predictions",
        "report",
        "results",
        "runs",
        "sequence",
        "splits",
        "store",
        "tables",
        "tracks",
        "windows",
    }
)


def check_name(name: str, what: str, where: str) -> str:
    """Return ``name`` if it may be part of a file path.

    Raises:
        InputError: the name is reserved or has a character other than letters, digits and ``_``.
    """
    if name in RESERVED:
        raise InputError(
            f"{where}: the {what} name {name!r} is reserved for a file or folder of results/; "
            "choose another name."
        )
    if not NAME.match(name):
        raise InputError(
            f"{where}: expected a {what} name of letters, digits and '_' that starts with a "
            f"letter, found {name!r}; rename it (names become parts of file paths)."
        )
    return name


def is_safe_address(address: str) -> bool:
    """Whether nobody can change a file on its way: https, or http within this machine."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    host = parts.hostname or ""
    local = parts.scheme == "http" and _THIS_MACHINE.fullmatch(host) is not None
    return bool(host) and (parts.scheme == "https" or local)


def check_addresses(row: Row) -> None:
    """Refuse an address in column ``url`` that is not https.

    Raises:
        InputError: says how the address starts; the rest of it may hold a secret.
    """
    for address in row["url"].split():
        if not is_safe_address(address):
            raise InputError(
                f"{row.where}: expected an address that starts with https:// in column 'url', "
                f"found {address.partition(':')[0][:40] + ':...'!r}; correct it, or fetch the "
                "file and name your copy in `path`."
            )


def check_source(row: Row) -> None:
    """Refuse an address, accession or md5 of a row that can't be one.

    Raises:
        InputError: an address that is not https, an accession that is no plain name (it becomes
            part of a file path), an md5 that is not 32 hexadecimal digits.
    """
    check_addresses(row)
    if row["accession"] and not _ACCESSION.match(row["accession"]):
        raise InputError(
            f"{row.where}: expected an accession of letters, digits, '_', '-' and '.', found "
            f"{row['accession']!r}; correct it (it becomes part of a file path)."
        )
    if row["md5"] and not re.fullmatch(r"[0-9A-Fa-f]{32}", row["md5"]):
        raise InputError(
            f"{row.where}: expected 32 hexadecimal digits in column 'md5', found {row['md5']!r}; "
            "correct it or leave it empty."
        )


@dataclass(frozen=True)
class Row:
    """One line of a sheet: its values by column, and where it stands."""

    values: dict[str, str]
    path: str
    line: int

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.path}, line {self.line}"


def read_sheet(
    path: str | Path,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    key: tuple[str, ...],
) -> list[Row]:
    """Read a tab-separated sheet with a header; lines that start with ``#`` are comments.

    Args:
        path: the sheet.
        required: columns that must be there and not be empty.
        optional: columns that may be absent; absent or empty means ``""``.
        key: columns that identify a row; no two rows may agree in all of them.

    Raises:
        InputError: missing file or column, unknown column, ragged line, empty required field,
            duplicated row.
    """
    lines = [
        (number, line)
        for number, line in enumerate(read_text(path, "a sheet (TSV)").split("\n"), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise InputError(f"{path}: expected a header line, found an empty file.")
    (header_line, first), *body = lines
    header = split_header(first, f"{path}, line {header_line}")
    _check_header(path, header_line, header, required, optional)
    rows: list[Row] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, line in body:
        fields = split_row(line, len(header))
        if len(fields) != len(header):
            raise InputError(
                f"{path}, line {number}: expected {len(header)} tab-separated fields "
                f"({', '.join(header)}), found {len(fields)}; "
                f"{why_ragged(line, len(fields), len(header))}."
            )
        values = dict.fromkeys(optional, "") | {
            column: field.strip() for column, field in zip(header, fields, strict=True)
        }
        row = Row(values, str(path), number)
        for column in required:
            if not values[column]:
                raise InputError(f"{row.where}: expected a value in column {column!r}, found none.")
        identity = tuple(values[column] for column in key)
        if identity in seen:
            raise InputError(
                f"{row.where}: the row {' / '.join(identity)} stands twice, first in line "
                f"{seen[identity]}; remove one of the two."
            )
        seen[identity] = number
        rows.append(row)
    return rows


def _check_header(
    path: str | Path,
    line: int,
    header: list[str],
    required: tuple[str, ...],
    optional: tuple[str, ...],
) -> None:
    for column in required:
        if column not in header:
            raise InputError(
                f"{path}, line {line}: expected the column {column!r}, found only "
                f"{', '.join(header)}; add it (columns are separated by tabs)."
            )
    for column in header:
        if column not in required + optional:
            raise InputError(
                f"{path}, line {line}: unknown column {column!r}; expected only "
                f"{', '.join(required + optional)}; remove it or correct its name."
            )
