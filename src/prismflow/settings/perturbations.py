"""The sheet of perturbations: files of element-gene pairs tested by CRISPR interference."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.settings.shared_files import FOLDER
from prismflow.settings.sheets import Row, check_name, read_sheet

ABSENT_GENES = ("error", "missing")


@dataclass(frozen=True)
class Perturbations:
    """One file of tested pairs of one cell (a row of the sheet).

    Attributes:
        name: in tables and figures.
        cell: of the sheet of cells.
        path: of the file.
        cell_type: value of its column CellType that is kept; empty for all.
        absent_genes: ``error`` or ``missing``, for genes that aren't in the gene table.
    """

    name: str
    cell: str
    path: str
    cell_type: str
    absent_genes: str

    def as_dict(self) -> dict[str, Any]:
        """What a job needs, as plain values."""
        return asdict(self)


def read_perturbations(
    path: str, cells: Mapping[str, Row], made: Collection[str]
) -> tuple[Perturbations, ...]:
    """Read and check the sheet; rows of unknown cells, and of files that no row of
    the references sheet brings, are not among the result.

    Args:
        path: the sheet.
        cells: of the sheet of cells.
        made: paths that the workflow makes.

    Raises:
        InputError: an unknown policy, or a file that nobody makes.
    """
    found = []
    optional = ("cell_type", "absent_genes", "note")
    for row in read_sheet(path, ("name", "cell", "path"), optional, key=("name",)):
        check_name(row["name"], "benchmark", row.where)
        absent = row["absent_genes"] or "error"
        if absent not in ABSENT_GENES:
            raise InputError(
                f"{row.where}: expected {' or '.join(ABSENT_GENES)} in column 'absent_genes', "
                f"found {absent!r}."
            )
        # Shipped rows must not stop those who have sheets of cells or references of their own.
        fetched = row["path"].startswith(f"{FOLDER}/")
        if row["cell"] not in cells or (fetched and row["path"] not in made):
            continue
        if row["path"] not in made and not Path(row["path"]).is_file():
            raise InputError(
                f"{row.where}: expected a file of tested pairs at {row['path']}, found none; "
                "correct `path` or remove the row."
            )
        found.append(Perturbations(row["name"], row["cell"], row["path"], row["cell_type"], absent))
    return tuple(found)
