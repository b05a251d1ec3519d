"""Whole files or none: atomic writes, deterministic tables, digests."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.errors import InputError
from prismflow.rows import read_text, split_header, split_row, why_ragged


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the block succeeds.

    A killed or failing writer leaves no half file under the final name. The temporary name keeps
    the suffixes of ``path`` because several writers choose their format by suffix.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(data: bytes, path: str | os.PathLike[str]) -> None:
    """Write ``data`` atomically; gzip without a time stamp when the name ends in ``.gz``."""
    if Path(path).suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6, mtime=0, filename="") as out:
            out.write(data)
        data = buffer.getvalue()
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(text.encode("utf-8"), path)


def write_json(value: Any, path: str | os.PathLike[str]) -> None:
    """Write JSON with sorted keys, so equal values give equal bytes."""
    write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", path)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: expected a JSON file, found no such file.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected JSON, found something else ({error}).") from None


def write_tsv(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table with header as TSV; floats keep 9 significant digits (float32 round trip)."""
    text = table.to_csv(
        sep="\t", index=False, float_format="%.9g", lineterminator="\n", na_rep="NA"
    )
    write_bytes(text.encode("utf-8"), path)


def read_tsv(path: str | os.PathLike[str], **options: Any) -> pd.DataFrame:
    """Read a table written by :func:`write_tsv`; only ``NA`` and the empty field mean missing.

    Raises:
        InputError: the file is missing, empty or not tab-separated text.
    """
    try:
        return pd.read_csv(
            path, sep="\t", keep_default_na=False, na_values=["NA", ""], low_memory=False, **options
        )
    except FileNotFoundError:
        raise InputError(f"{path}: expected a tab-separated table, found no such file.") from None
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: expected a tab-separated table with a header line, found {error}."
        ) from None


_UNREADABLE = (
    pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, EOFError,
    gzip.BadGzipFile, zlib.error,
)  # fmt: skip


def read_user_table(path: str | os.PathLike[str], separator: str = "\t") -> pd.DataFrame:
    """A table with header that a user brings, as text; every line below the header is a row.

    ``NA`` and the empty field mean missing; row i stands in line i + 2. Empty fields behind the
    last column are no fields.

    Raises:
        InputError: see :func:`read_text` and :func:`split_header`; a line with another number of
            fields than the header.
    """
    lines = read_text(path, "a tab-separated table").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise InputError(
            f"{path}: expected a tab-separated table with a header line, found an empty file."
        )
    header = split_header(lines[0], f"{path} line 1", separator)
    rows: list[list[str | None]] = []
    for number, line in enumerate(lines[1:], start=2):
        fields = split_row(line, len(header), separator) if line else [""] * len(header)
        if len(fields) != len(header):
            raise InputError(
                f"{path} line {number}: expected {len(header)} fields as the header has, found "
                f"{len(fields)}; {why_ragged(line, len(fields), len(header))}."
            )
        rows.append([None if field in ("", "NA") else field for field in fields])
    return pd.DataFrame(rows, columns=header, dtype=object)


def read_published_table(path: str | os.PathLike[str], separator: str) -> pd.DataFrame:
    """A published table with header, without its columns of sequence (20 kb per gene in one).

    Raises:
        InputError: see :func:`read_text` and :func:`split_header`; fewer or more rows than lines.
    """
    text = read_text(path, "a table with a header")
    split_header(text.partition("\n")[0], f"{path} line 1", separator)
    try:
        table = pd.read_csv(
            io.StringIO(text), sep=separator, low_memory=False, index_col=False,
            usecols=lambda name: "sequence" not in str(name).lower(),
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: expected a table with a header, found {error}.") from None
    n_lines = sum(1 for line in text.split("\n")[1:] if line.strip())
    if len(table) != n_lines:
        raise InputError(
            f"{path}: expected a row in each of the {n_lines} lines below the header, found "
            f"{len(table)} rows; a quote is opened in one line and closed in another, remove it."
        )
    return table


def write_array(values: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write an array file into a folder that is not yet in its place.

    As numpy.save, which however doesn't tell a full disk from other trouble.
    """
    values = np.ascontiguousarray(values)
    with open(path, "wb") as stream:
        header = np.lib.format.header_data_from_array_1_0(values)
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(values.tobytes())


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5(path: str | os.PathLike[str]) -> str:
    """Hex MD5 of a file's bytes, as the portals give it; against accidents, not against malice."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
