"""The sheets of cells and tracks, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismflow.errors import InputError
from prismflow.rows import suffix_of
from prismflow.settings import yaml_files
from prismflow.settings.kinds import KINDS, PACKED_BY_PORTAL, SUFFIXES, TRACK_FORMATS
from prismflow.settings.shared_files import size_of
from prismflow.settings.sheets import Row, check_name, check_source, read_sheet

PORTALS = ("encode", "4dn", "url")


@dataclass(frozen=True)
class Track:
    """One file of one modality in one cell (a row of the tracks sheet)."""

    cell: str
    modality: str
    kind: str
    format: str
    format_given: bool
    path: str
    portal: str
    accession: str
    url: str
    md5: str
    size_bytes: int | None
    assembly: str
    resolution_bp: int | None
    normalisation: str
    absent_chromosomes: str
    where: str
    downloaded: bool


def read_cells(path: str) -> dict[str, Row]:
    rows = read_sheet(
        path,
        ("cell",),
        ("biosample", "description", "published_cell", "labels"),
        key=("cell",),
    )
    return {check_name(row["cell"], "cell", row.where): row for row in rows}


def read_tracks(
    path: str, cells: Mapping[str, Row], values: Mapping[str, Any], files: Sequence[str]
) -> dict[tuple[str, str], Track]:
    optional = (
        "path", "portal", "accession", "url", "format", "assembly", "resolution_bp",
        "normalisation", "absent_chromosomes", "md5", "size_bytes", "licence", "version", "note",
    )  # fmt: skip
    tracks = {}
    for name in values["modalities"]:
        check_name(name, "modality", yaml_files.where(files, ("modalities", name)))
    for row in read_sheet(path, ("cell", "modality"), optional, key=("cell", "modality")):
        for column, known in (("cell", cells), ("modality", values["modalities"])):
            if row[column] not in known:
                check_name(row[column], column, row.where)
                raise InputError(
                    f"{row.where}: unknown {column} {row[column]!r}; known are "
                    f"{', '.join(known)} (from {_home(column, values)}); add it there or correct "
                    "it."
                )
        kind = values["modalities"][row["modality"]]["kind"]
        tracks[row["cell"], row["modality"]] = _track(row, kind)
    return tracks


def _home(column: str, values: Mapping[str, Any]) -> str:
    return values["sheets"]["cells"] if column == "cell" else "`modalities` in the configuration"


def _track(row: Row, kind: str) -> Track:
    path = row["path"]
    if not path and not (row["accession"] and row["portal"]) and not row["url"]:
        raise InputError(
            f"{row.where}: expected a local `path`, a `portal` with `accession`, or a `url`; found "
            "none of them; fill in one."
        )
    if row["portal"] and row["portal"] not in PORTALS:
        raise InputError(
            f"{row.where}: expected one of {', '.join(PORTALS)} in column 'portal', found "
            f"{row['portal']!r}."
        )
    check_source(row)
    suffix = suffix_of((path or row["url"]).split("?")[0])
    file_format = (row["format"] or SUFFIXES.get(suffix, suffix)).lower()
    if file_format not in TRACK_FORMATS[kind]:
        raise InputError(
            f"{row.where}: expected a file of format {' or '.join(TRACK_FORMATS[kind])} for a "
            f"modality of kind {kind!r}, found {file_format or 'no format'!r}; correct `format`."
        )
    resolution = None
    if KINDS[kind].needs_resolution:
        if not row["resolution_bp"].isdigit() or not row["normalisation"]:
            raise InputError(
                f"{row.where}: expected `resolution_bp` (a whole number) and `normalisation` "
                f"(NONE, VC, ...) for {kind}, found {row['resolution_bp']!r} and "
                f"{row['normalisation']!r}."
            )
        resolution = int(row["resolution_bp"])
    if row["absent_chromosomes"] not in ("", "error", "missing"):
        raise InputError(
            f"{row.where}: expected `error` or `missing` in column 'absent_chromosomes', found "
            f"{row['absent_chromosomes']!r}."
        )
    if not path:
        extension = TRACK_FORMATS[kind][file_format]
        if row["portal"] == "encode" and extension in PACKED_BY_PORTAL:
            extension += ".gz"
        portal = row["portal"] or "url"
        name = row["accession"] or f"{row['cell']}_{row['modality']}"
        path = f"resources/{portal}/{name}.{extension}"
    return Track(
        row["cell"], row["modality"], kind, file_format, bool(row["format"]), path,
        row["portal"], row["accession"],
        row["url"], row["md5"], size_of(row), row["assembly"], resolution, row["normalisation"],
        row["absent_chromosomes"] or "error", row.where, not row["path"],
    )  # fmt: skip
