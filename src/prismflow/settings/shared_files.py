"""The table of reference data: genome, genes, labels, splits, blacklist, element tables.

Read while planning, so this module opens neither the network nor any of the files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.settings import yaml_files
from prismflow.settings.called_peaks import called_path
from prismflow.settings.sheets import NAME, Row, check_addresses, read_sheet

FOLDER = "resources/reference"
RELEASED_LENGTHS = "released_chrom_lengths"
_OPTIONAL = (
    "url", "archive", "member", "path", "md5", "sha256", "size_bytes", "licence", "version", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """One row of the references sheet.

    Attributes:
        name: by which the configuration asks for it.
        path: where the workflow puts it.
        local: the user's own copy (column ``path``), or empty.
        urls: addresses of the same bytes.
        archive: name of the row whose file contains it, or empty.
        member: glob of its path inside the archive; empty for the content of a .gz.
    """

    name: str
    path: str
    local: str
    urls: tuple[str, ...]
    archive: str
    member: str
    md5: str
    sha256: str
    size_bytes: int | None
    licence: str
    version: str
    sheet: str

    def as_dict(self) -> dict[str, Any]:
        """What a job needs, as plain values."""
        return asdict(self)


def read_references(path: str | Path) -> dict[str, Reference]:
    """Read and check the references sheet.

    Raises:
        InputError: see :func:`~prismflow.settings.sheets.read_sheet`; also a row without a
            source or with two, an unknown archive, a file name with a folder, two rows for one
            file, a wrong digest, an absent local copy.
    """
    rows = read_sheet(path, ("name", "file"), _OPTIONAL, key=("name",))
    references: dict[str, Reference] = {}
    files: dict[str, str] = {}
    for row in rows:
        reference = _reference(row, str(path))
        if reference.path in files:
            raise InputError(
                f"{row.where}: the file {row['file']!r} is made already by "
                f"{files[reference.path]}; choose another name."
            )
        files[reference.path] = row.where
        references[row["name"]] = reference
    for row in rows:
        if row["archive"] and not row["path"] and row["archive"] not in references:
            raise InputError(
                f"{row.where}: expected the name of another row in column 'archive', found "
                f"{row['archive']!r}; known are {', '.join(references)}."
            )
        _check_chain(row, references)
    if released_contacts(references) and RELEASED_LENGTHS not in references:
        raise InputError(
            f"{path}: expected a row {RELEASED_LENGTHS!r} (chr_length.json of the bundle), "
            "because rows released_hic_... need it; found none; add it."
        )
    return references


def _reference(row: Row, sheet: str) -> Reference:
    if not NAME.match(row["name"]):
        raise InputError(
            f"{row.where}: expected a reference name of letters, digits and '_' that starts with "
            f"a letter, found {row['name']!r}; rename it."
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", row["file"]):
        raise InputError(
            f"{row.where}: expected a file name without folders in column 'file', found "
            f"{row['file']!r}; it will stand in {FOLDER}/."
        )
    # A local copy takes the place of whatever the row would fetch.
    if not row["path"] and bool(row["url"]) == bool(row["archive"]):
        found = "both" if row["url"] else "neither"
        raise InputError(
            f"{row.where}: expected a `url`, or an `archive` (the name of another row), or a local "
            f"`path`; found {found} of url and archive; fill in one."
        )
    check_addresses(row)
    if row["path"] and not Path(row["path"]).exists():
        raise InputError(
            f"{row.where}: expected a local copy at {row['path']}, found none; correct `path` or "
            "leave it empty."
        )
    for column, digits in (("md5", 32), ("sha256", 64)):
        if row[column] and not re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", row[column]):
            raise InputError(
                f"{row.where}: expected {digits} hexadecimal digits in column {column!r}, found "
                f"{row[column]!r}; correct it or leave it empty."
            )
    return Reference(
        name=row["name"],
        path=f"{FOLDER}/{row['file']}",
        local=row["path"],
        urls=tuple(row["url"].split()),
        archive="" if row["path"] else row["archive"],
        member=row["member"],
        md5=row["md5"].lower(),
        sha256=row["sha256"].lower(),
        size_bytes=size_of(row),
        licence=row["licence"],
        version=row["version"],
        sheet=sheet,
    )


def size_of(row: Row) -> int | None:
    """The column ``size_bytes`` of a row; None if it is empty.

    Raises:
        InputError: it is no whole number.
    """
    if not row["size_bytes"]:
        return None
    if not row["size_bytes"].isdigit():
        raise InputError(
            f"{row.where}: expected a whole number in column 'size_bytes', found "
            f"{row['size_bytes']!r}; correct it or leave it empty."
        )
    return int(row["size_bytes"])


def _check_chain(row: Row, references: Mapping[str, Reference]) -> None:
    seen = {row["name"]}
    name = references[row["name"]].archive
    while name:
        if name in seen:
            raise InputError(
                f"{row.where}: the column 'archive' leads from {row['name']!r} back to {name!r}; "
                "name the row of the archive itself."
            )
        seen.add(name)
        name = references[name].archive


def external_files(values: Mapping[str, Any], references: Mapping[str, Reference]) -> set[str]:
    """Paths that the download stage makes, for the check that every named file exists."""
    made = {reference.path for reference in references.values()}
    if values["gene_table"] is not None:
        made.add(values["gene_table"]["path"])
    if values["own_genes"] is not None:
        made.add(values["own_genes"]["path"])
    made |= {called_path(name) for name in values["called_peaks"]}
    made |= {released_contacts_path(cell) for cell in released_contacts(references)}
    return made | {released_elements_path(cell) for cell in released_elements(references)}


def released_elements_path(cell: str) -> str:
    """Where the candidate elements of a cell's released enhancer links are put, as BED."""
    return f"resources/released/{cell}_elements.bed"


def released_elements(references: Mapping[str, Reference]) -> dict[str, str]:
    """Paths of the released enhancer links by cell: rows ``enhancer_links_<cell>``."""
    prefix = "enhancer_links_"
    return {
        name.removeprefix(prefix): reference.path
        for name, reference in references.items()
        if name.startswith(prefix)
    }


def released_contacts_path(cell: str) -> str:
    """Where the released bundle's contacts of a cell are put together."""
    return f"resources/released/{cell}_hic.cool"


def released_contacts(references: Mapping[str, Reference]) -> dict[str, list[str]]:
    """Paths of the bundle's contacts by cell: rows ``released_hic_<cell>_<chromosome>``."""
    paths: dict[str, list[str]] = {}
    for name, reference in references.items():
        if name.startswith("released_hic_"):
            cell = name.removeprefix("released_hic_").rpartition("_")[0]
            paths.setdefault(cell, []).append(reference.path)
    return paths


def gene_table_rows(settings: Mapping[str, Any], cells: Sequence[str]) -> dict[str, str]:
    """Rows of the references sheet that the gene table of ``cells`` is made from, by use."""
    rows = {use: settings[use] for use in ("tss", "features", "expression")}
    if settings["splits"]:
        rows["splits"] = settings["splits"]
    for cell in cells:
        for use in ("cage_bigwig", "promoter_table"):
            if settings["cells"][cell][use]:
                rows[f"{use}_{cell}"] = settings["cells"][cell][use]
    return rows


def _readers(values: Mapping[str, Any]) -> list[str]:
    """Datasets to run that read the gene table."""
    path = values["gene_table"]["path"]
    known = [name for name in values["run"]["datasets"] if name in values["datasets"]]
    return [name for name in known if values["datasets"][name]["genes"]["path"] == path]


def gene_table_cells(values: Mapping[str, Any]) -> list[str]:
    """Cells of the datasets to run that read the gene table, in its order of cells."""
    used = {cell for name in _readers(values) for cell in values["datasets"][name]["cells"]}
    return [cell for cell in values["gene_table"]["cells"] if cell in used]


def check_gene_table(
    values: Mapping[str, Any], references: Mapping[str, Reference], files: Sequence[str]
) -> None:
    """Check that the gene table's rows and cells exist.

    Raises:
        InputError: an unknown row, two sources of a label, or a cell that the table leaves out.
    """
    table = values["gene_table"]
    if table is None or not _readers(values):
        return
    # Rows of cells that no dataset reads may be absent: a sheet of one's own stays short.
    for use, name in gene_table_rows(table, gene_table_cells(values)).items():
        if name not in references:
            raise InputError(
                f"{yaml_files.where(files, ('gene_table', use))}: expected the name of a row of "
                f"{values['sheets']['references']} for {use}, found {name!r}; known are "
                f"{', '.join(references)}."
            )
    for cell in gene_table_cells(values):
        entry = table["cells"][cell]
        if entry["cage"] and entry["cage_bigwig"]:
            raise InputError(
                f"{yaml_files.where(files, ('gene_table', 'cells', cell))}: expected `cage` or "
                "`cage_bigwig`, found both; remove one."
            )
    for name in _readers(values):
        for cell in values["datasets"][name]["cells"]:
            if cell not in table["cells"]:
                raise InputError(
                    f"{yaml_files.where(files, ('datasets', name, 'cells'))}: the gene table "
                    f"{table['path']} has no columns for cell {cell!r}, only for "
                    f"{', '.join(table['cells'])}; add it under `gene_table.cells`."
                )
