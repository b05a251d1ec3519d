"""The gene table: read, rename, check, transform labels.

``tss`` follows BED bounds (paper, section on genes): BED start on ``+``, BED end on ``-``; so the
first transcribed base (0-based) is ``tss`` on ``+`` and ``tss - 1`` on ``-``. Line numbers in
messages count the header as line 1.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.data.chromosomes import match_chromosomes
from prismflow.errors import InputError
from prismflow.files import read_user_table
from prismflow.rows import EXPONENT, SCIENTIFIC
from prismflow.settings.label_transform import pseudocount_of
from prismflow.settings.policies import MISSING_GENE

logger = logging.getLogger(__name__)

MISSING_POLICIES: tuple[str, ...] = MISSING_GENE
KEY_COLUMNS: tuple[str, ...] = ("gene_id", "chrom", "tss", "strand")
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?\Z")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
#: What spreadsheets make of names such as MARCH1, SEPT2 and 2310009E13.
_SPREADSHEET = re.compile(
    rf"\d{{1,2}}-({_MONTHS})|({_MONTHS})-\d{{1,2}}|\d[.,]\d+e\+\d+", re.IGNORECASE
)


def label_name(cell: str) -> str:
    """Column of ``genes.tsv`` with the transformed label of a cell."""
    return f"label_{cell}"


def promoter_activity_name(cell: str) -> str:
    """Column of ``genes.tsv`` with the promoter activity of a cell."""
    return f"promoter_activity_{cell}"


def read_genes(
    path: str | Path,
    *,
    cells: Sequence[str],
    chrom_lengths: Mapping[str, int],
    lengths_source: str | Path,
    columns: Mapping[str, str] | None = None,
    features: Sequence[str] = (),
    label_column: str = "{cell}_cage",
    label_transform: str = "log10p1",
    missing_label: str = "error",
    missing_feature: str = "error",
    promoter_activity_column: str | None = None,
    split_columns: Sequence[str] = (),
    chrom_aliases: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Read and check a gene table.

    Args:
        path: TSV with header, plain or gz, whatever its name.
        cells: cells whose labels are read.
        chrom_lengths: chromosome -> length, by the names that the project uses.
        lengths_source: where the lengths come from, for messages.
        columns: name used here -> name in the file, e.g. ``{"gene_id": "symbol"}``.
        features: numeric gene features, in the order in which models see them.
        label_column: column of a cell's label, with ``{cell}`` as placeholder.
        label_transform: ``log10p1`` (log10(x + 1)), ``log10:<pseudocount>`` or ``raw``.
        missing_label: ``error`` or ``drop`` a gene that has no label in one of the cells.
        missing_feature: the same for gene features and promoter activity.
        promoter_activity_column: column of a cell's promoter activity with ``{cell}``, or None.
        split_columns: columns that are passed on as they are (text).
        chrom_aliases: name in a file -> name used here.

    Returns:
        One row per gene in the file's order: gene_id, chrom, tss, strand, the features,
        ``promoter_activity_<cell>``, ``label_<cell>`` (transformed), the split columns, ``line``
        and ``drop_reason`` (empty for genes that can be used).

    Raises:
        InputError: absent column, duplicated gene, wrong strand, TSS outside its chromosome,
            unknown chromosome, missing or non-numeric value.
    """
    pseudocount = pseudocount_of(label_transform)
    _check_choice("policy for missing labels", missing_label, MISSING_POLICIES)
    _check_choice("policy for missing features", missing_feature, MISSING_POLICIES)
    path = Path(path)
    names = dict(columns or {})
    raw = read_user_table(path)
    if raw.empty:
        raise InputError(f"{path}: expected genes, found a header and nothing else.")
    labels = _by_cell("label.column", label_column, label_name, cells)
    activity = {}
    if promoter_activity_column is not None:
        activity = _by_cell(
            "genes.promoter_activity", promoter_activity_column, promoter_activity_name, cells
        )
    wanted = {name: names.get(name, name) for name in [*KEY_COLUMNS, *features, *split_columns]}
    wanted |= {name: names.get(column, column) for name, column in (activity | labels).items()}
    _check_columns(path, raw, wanted)

    genes = pd.DataFrame({name: raw[column] for name, column in wanted.items()})
    for name in KEY_COLUMNS:
        # A space round a name makes another name of it, which nobody sees.
        genes[name] = genes[name].str.strip().replace("", None)
    genes["line"] = np.arange(len(genes)) + 2
    genes["chrom"] = genes["chrom"].replace(dict(chrom_aliases or {}))
    _check_keys(path, genes)
    genes["tss"] = _positions(path, genes, wanted["tss"])
    _check_positions(path, genes, chrom_lengths, lengths_source)
    reasons: list[list[str]] = [[] for _ in range(len(genes))]
    for name in [*features, *activity, *labels]:
        is_label = name in labels
        genes[name] = _numbers(path, genes, name, wanted[name])
        policy = missing_label if is_label else missing_feature
        _handle_missing(path, genes, name, wanted[name], policy, is_label, reasons)
    if pseudocount is not None:
        for name, column in labels.items():
            genes[name] = _log10(path, genes, name, column, pseudocount)
    for name in split_columns:
        genes[name] = genes[name].fillna("none")
    genes["drop_reason"] = [";".join(reason) for reason in reasons]
    order = [*KEY_COLUMNS, *features, *activity, *labels, *split_columns, "line", "drop_reason"]
    logger.info("%s: %d genes read", path, len(genes))
    return genes[list(dict.fromkeys(order))]


def _by_cell(
    setting: str, column: str, name: Callable[[str], str], cells: Sequence[str]
) -> dict[str, str]:
    """Our name of each cell's column -> the table's; every cell has one of its own."""
    if len(cells) > 1 and "{cell}" not in column:
        raise InputError(
            f"{setting}: expected a column with {{cell}} in its name, since the cells "
            f"{', '.join(cells)} need one each, found {column!r}, which would give all the same "
            "values; write for example '{cell}_" + column.split("_", 1)[-1] + "'."
        )
    return {name(cell): column.replace("{cell}", cell) for cell in cells}


def _check_choice(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"{what} {value!r} is not known; known: {', '.join(known)}.")


def _check_columns(path: Path, raw: pd.DataFrame, wanted: Mapping[str, str]) -> None:
    absent = [column for column in dict.fromkeys(wanted.values()) if column not in raw.columns]
    if absent:
        raise InputError(
            f"{path} line 1: the column{'s' if len(absent) > 1 else ''} "
            f"{', '.join(repr(c) for c in absent)} can't be found; the table has "
            f"{', '.join(map(str, raw.columns))}. Name the right one in 'columns'."
        )


def _check_keys(path: Path, genes: pd.DataFrame) -> None:
    for name in ("gene_id", "chrom", "strand"):
        empty = genes.loc[genes[name].isna(), "line"]
        if len(empty):
            raise InputError(f"{path} line {empty.iloc[0]}: {name} is empty.")
    changed = genes["gene_id"].str.fullmatch(_SPREADSHEET)
    if changed.any():
        row = genes[changed].iloc[0]
        raise InputError(
            f"{path} line {row['line']}: expected a gene's name, found {row['gene_id']!r}, which a "
            f"spreadsheet has made of one ({int(changed.sum())} such lines); give the names as "
            "they were, or name a column of Ensembl ids in `columns`."
        )
    repeated = genes["gene_id"].duplicated(keep=False)
    if repeated.any():
        gene = genes.loc[repeated, "gene_id"].iloc[0]
        lines = genes.loc[genes["gene_id"] == gene, "line"].tolist()
        raise InputError(
            f"{path}: the gene {gene!r} stands in lines {' and '.join(map(str, lines))} "
            f"({int(repeated.sum())} such lines in all); gene_id must be unique."
        )
    wrong = ~genes["strand"].isin(["+", "-"])
    if wrong.any():
        row = genes[wrong].iloc[0]
        raise InputError(
            f"{path} line {row['line']}: expected strand + or - for {row['gene_id']}, found "
            f"{row['strand']!r}."
        )


def _numbers(path: Path, genes: pd.DataFrame, name: str, column: str) -> pd.Series:
    text = genes[name]
    numbers = pd.to_numeric(text, errors="coerce").astype(float)
    is_nan_word = text.str.strip().str.lower().isin(["nan", "na"])
    wrong = (numbers.isna() & text.notna() & ~is_nan_word) | np.isinf(numbers)
    if wrong.any():
        row = genes[wrong].iloc[0]
        raise InputError(
            f"{path} line {row['line']}: expected a number in column {column!r} for "
            f"{row['gene_id']}, found {row[name]!r}."
        )
    return numbers


def _positions(path: Path, genes: pd.DataFrame, column: str) -> pd.Series:
    text = genes["tss"].str.strip()
    rounded = text.str.fullmatch(SCIENTIFIC).eq(True)
    if rounded.any():
        row = genes[rounded].iloc[0]
        raise InputError(
            f"{path} line {row['line']}: expected a whole number in column {column!r} (TSS) for "
            f"{row['gene_id']}, found {row['tss']!r} ({int(rounded.sum())} such lines); "
            f"{EXPONENT}."
        )
    numbers = _numbers(path, genes, "tss", column)
    wrong = ~text.str.fullmatch(_WHOLE).eq(True)
    if wrong.any():
        row = genes[wrong].iloc[0]
        raise InputError(
            f"{path} line {row['line']}: expected a whole number in column {column!r} for "
            f"{row['gene_id']}, found {row['tss']!r}."
        )
    return numbers.astype(np.int64)


def _check_positions(
    path: Path, genes: pd.DataFrame, lengths: Mapping[str, int], source: str | Path
) -> None:
    counts = genes["chrom"].value_counts(sort=False).to_dict()
    match_chromosomes(path, counts, source, lengths)
    length = genes["chrom"].map(dict(lengths)).to_numpy(dtype=np.int64)
    first_base = genes["tss"].to_numpy() - (genes["strand"] == "-").to_numpy()
    wrong = (first_base < 0) | (first_base >= length)
    if wrong.any():
        at = int(np.argmax(wrong))
        row = genes.iloc[at]
        raise InputError(
            f"{path} line {row['line']}: the TSS {row['tss']} of {row['gene_id']} "
            f"({row['strand']}) lies outside {row['chrom']}, which has {length[at]} bases in "
            f"{source}; are both of one assembly?"
        )


def _handle_missing(
    path: Path,
    genes: pd.DataFrame,
    name: str,
    column: str,
    policy: str,
    is_label: bool,
    reasons: list[list[str]],
) -> None:
    missing = genes[name].isna().to_numpy()
    if not missing.any():
        return
    what = "label" if is_label else "feature"
    if policy == "error":
        row = genes[missing].iloc[0]
        setting = "label.missing" if is_label else "genes.missing"
        raise InputError(
            f"{path} line {row['line']}: the {what} {column!r} of {row['gene_id']} is missing "
            f"({int(missing.sum())} such genes); give it, or set {setting}: drop."
        )
    logger.warning("%s: %s %r missing in %d genes", path, what, column, int(missing.sum()))
    for row in np.flatnonzero(missing):
        reasons[row].append(f"missing_{what}:{column}")


def _log10(
    path: Path, genes: pd.DataFrame, name: str, column: str, pseudocount: float
) -> pd.Series:
    negative = genes[name] < 0
    if negative.any():
        row = genes[negative].iloc[0]
        raise InputError(
            f"{path} line {row['line']}: the label {column!r} of {row['gene_id']} is "
            f"{row[name]:g}; log10(x + {pseudocount:g}) needs values >= 0 "
            "(or set label.transform: raw)."
        )
    return np.log10(genes[name] + pseudocount)
