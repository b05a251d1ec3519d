"""Expression of genes from RSEM, Salmon, kallisto, featureCounts or a plain table.

The format is told by the columns, never by the file's name. Every reader ends in transcripts per
million (TPM) or counts per million (CPM) per gene; transcripts are summed over their gene,
replicates are averaged. CPM are a sample's counts over their sum, a million times, over all rows
of its file; TPM are the program's own, or such of counts per base of the gene.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.data.annotation import without_version
from prismflow.data.counts import Count
from prismflow.errors import InputError
from prismflow.rows import read_text, split_header, split_row, why_ragged
from prismflow.statistics.bootstrap import spearman

logger = logging.getLogger(__name__)

MILLION = 1e6

UNITS = ("tpm", "cpm")

#: Columns that tell a format -> (identifiers, column of TPM, column of counts, what a row is).
FORMATS: dict[str, tuple[tuple[str, ...], str, dict[str, str], str]] = {
    "RSEM genes": (("gene_id", "effective_length", "TPM"), "gene_id",
                   {"tpm": "TPM", "cpm": "expected_count"}, "gene"),
    "RSEM isoforms": (("transcript_id", "IsoPct", "TPM"), "transcript_id",
                      {"tpm": "TPM", "cpm": "expected_count"}, "transcript"),
    "Salmon": (("Name", "EffectiveLength", "TPM"), "Name",
               {"tpm": "TPM", "cpm": "NumReads"}, "transcript"),
    "kallisto": (("target_id", "eff_length", "tpm"), "target_id",
                 {"tpm": "tpm", "cpm": "est_counts"}, "transcript"),
    "featureCounts": (("Geneid", "Chr", "Length"), "Geneid", {}, "gene"),
}  # fmt: skip


def read_quantification(
    path: str | Path,
    genes_of: Mapping[str, str],
    unit: str = "tpm",
    kept: MutableMapping[str, Count] | None = None,
) -> tuple[pd.Series, Counter[str]]:
    """TPM or CPM per gene of one sample.

    Args:
        path: a table of one of :data:`FORMATS`, or a TSV with the columns ``gene_id`` and ``tpm``
            (``count`` for CPM); plain or gzip.
        genes_of: transcript -> gene (both without versions), for tables of transcripts.
        unit: one of :data:`UNITS`.
        kept: is given, by path, the file's rows and those that were skipped.

    Returns:
        TPM or CPM by gene id without version, float64, and counts of rows by what became of them;
        kept and skipped rows add up to the rows of the file.

    Raises:
        InputError: none of these formats, a value that is no number or negative, an identifier
            twice, no identifier of the annotation, or zeros only.
    """
    path = Path(path)
    table = _table(path)
    name, identifiers, values, row = _format_of(path, table, unit)
    amounts = _amounts(path, table, values, unit)
    # kallisto repeats the whole FASTA header of GENCODE, parted by bars.
    ids = table[identifiers].str.split("|").str[0].str.strip().map(without_version)
    counts: Counter[str] = Counter({f"{name}: rows": len(table)})
    copies = ids.str.endswith("_PAR_Y")
    counts["rows of PAR copies on Y"] = int(copies.sum())
    ids, amounts = ids[~copies], amounts[~copies]
    if ids.duplicated().any():
        twice = ids[ids.duplicated()].iloc[0]
        raise InputError(
            f"{path}, line {ids.index[ids.duplicated()][0]}: expected every {row} once, "
            f"found {twice} again (versions do not count); remove one of the rows."
        )
    if row == "transcript":
        genes = ids.map(genes_of)
        counts["transcripts that the annotation lacks"] = int(genes.isna().sum())
        if genes.isna().all():
            raise InputError(
                f"{path}: expected transcripts of the annotation, such as "
                f"{next(iter(genes_of), 'none')}, found {ids.iloc[0]}; give the annotation that "
                "the sample was quantified with."
            )
        ids, amounts = genes.dropna(), amounts[genes.notna()]
    rows = Count(f"rows of {path}", len(table))
    for reason in counts.keys() - {f"{name}: rows"}:
        rows.skip(reason, counts[reason])
    rows.plain(len(amounts))
    if kept is not None:
        kept[str(path)] = rows
    result = amounts.groupby(ids.to_numpy(), sort=False).sum()
    if not (result > 0).any():
        raise InputError(
            f"{path}: expected expressed genes, found zeros only in {len(table):,} rows; the "
            "quantification failed, repeat it."
        )
    return result, +counts


def _table(path: Path) -> pd.DataFrame:
    """Rows as text, each named by its line; comments stand above the header only."""
    lines = read_text(path, "a quantification").rstrip("\n").split("\n")
    first = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if not "".join(lines[first:]).strip():
        raise InputError(
            f"{path}: expected a table with a header, tab-separated, plain or gzip, found none; "
            "give the quantifier's own file."
        )
    header = split_header(lines[first], f"{path} line {first + 1}")
    rows = {}
    for number, line in enumerate(lines[first + 1 :], start=first + 2):
        fields = split_row(line, len(header))
        if len(fields) != len(header):
            raise InputError(
                f"{path} line {number}: expected {len(header)} fields as the header has, found "
                f"{len(fields)}; {why_ragged(line, len(fields), len(header))}."
            )
        rows[number] = fields
    if not rows:
        raise InputError(f"{path}: expected rows below the header, found none.")
    return pd.DataFrame.from_dict(rows, orient="index", columns=header)


def _format_of(path: Path, table: pd.DataFrame, unit: str) -> tuple[str, str, str, str]:
    """Name of the format, columns of identifiers and of values, and what a row is."""
    for name, (columns, identifiers, values, row) in FORMATS.items():
        if set(columns) <= set(table.columns):
            column = values.get(unit, "")
            if column and column not in table.columns:
                raise InputError(
                    f"{path}: expected the column {column} of {name}, of which {unit.upper()} are "
                    f"made, found {', '.join(map(str, table.columns[:8]))}; give the program's "
                    "own file."
                )
            return name, identifiers, column, row
    plain = {column.lower(): column for column in table.columns}
    wanted = {"tpm": "tpm", "cpm": "count"}[unit]
    if {"gene_id", wanted} <= set(plain):
        return "plain table", plain["gene_id"], plain[wanted], "gene"
    known = "; ".join(f"{name}: {', '.join(columns)}" for name, (columns, *_) in FORMATS.items())
    raise InputError(
        f"{path}: expected the columns of a quantifier ({known}) or gene_id and {wanted}, found "
        f"{', '.join(map(str, table.columns[:8]))}; rename the columns of a plain table."
    )


def _numbers(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = np.flatnonzero(~np.isfinite(values.to_numpy()) | (values.to_numpy() < 0))
    if wrong.size:
        raise InputError(
            f"{path}, line {table.index[wrong[0]]}: expected a number >= 0 in column {column}, "
            f"found {table[column].iloc[wrong[0]]!r} ({wrong.size} such rows); correct or remove "
            "them."
        )
    return values.astype(float)


def _amounts(path: Path, table: pd.DataFrame, values: str, unit: str) -> pd.Series:
    """TPM or CPM of every row; ``values`` is empty for featureCounts."""
    if values and unit == "tpm":
        return _numbers(path, table, values)
    rates = _numbers(path, table, values) if values else _featurecounts(path, table, unit)
    total = float(rates.sum())
    return rates * (MILLION / total) if total > 0 else rates


def _featurecounts(path: Path, table: pd.DataFrame, unit: str) -> pd.Series:
    """Counts of one sample; for TPM, counts per base of the gene."""
    samples = [column for column in table.columns[table.columns.get_loc("Length") + 1 :]]
    if len(samples) != 1:
        raise InputError(
            f"{path}: expected the counts of one sample after the column Length, found "
            f"{len(samples)}: {', '.join(samples[:5])}; write a file per sample."
        )
    counts = _numbers(path, table, samples[0])
    if unit == "cpm":
        return counts
    lengths = _numbers(path, table, "Length")
    if not (lengths > 0).all():
        raise InputError(
            f"{path}: expected lengths > 0 of every gene, found 0; count again, or take CPM."
        )
    return counts / lengths


def mean_of_replicates(
    paths: Sequence[str | Path],
    genes_of: Mapping[str, str],
    unit: str = "tpm",
    kept: MutableMapping[str, Count] | None = None,
) -> tuple[pd.Series, Counter[str], list[str]]:
    """Mean TPM or CPM per gene over replicates; a gene must be in each of them.

    Args:
        paths: a file per replicate.
        genes_of, unit, kept: see :func:`read_quantification`.

    Returns:
        Mean by gene, counts summed over the files, and a sentence per pair of replicates: how
        well they agree.

    Raises:
        InputError: see :func:`read_quantification`; also replicates without a common gene.
    """
    counts: Counter[str] = Counter()
    if len(set(map(str, paths))) < len(paths):
        raise InputError(
            f"{paths[0]}: expected a different file per replicate, found one twice; remove it."
        )
    samples: dict[str, pd.Series] = {}
    for path in paths:
        samples[str(path)], own = read_quantification(path, genes_of, unit, kept)
        counts.update(own)
    mean, more, agreement = mean_of_samples(samples)
    return mean, counts + more, agreement


def mean_of_samples(
    samples: Mapping[str, pd.Series],
) -> tuple[pd.Series, Counter[str], list[str]]:
    """Mean per gene over samples by name; a gene must be in each of them.

    Returns:
        Mean by gene, how many genes are not in all, and a sentence per pair of samples.

    Raises:
        InputError: samples without a common gene.
    """
    counts: Counter[str] = Counter()
    joined = pd.concat(samples, axis=1, join="inner")
    if joined.empty:
        raise InputError(
            f"{' and '.join(samples)}: expected replicates with the same genes, found none in "
            "common; they were quantified with different annotations."
        )
    counts["genes that not every replicate has"] = len(
        set().union(*(sample.index for sample in samples.values()))
    ) - len(joined)
    names = list(samples)
    agreement = [
        f"{names[i]} and {names[j]}: Spearman correlation "
        f"{spearman(joined[names[i]].to_numpy(), joined[names[j]].to_numpy()):.3f} over "
        f"{len(joined):,} genes"
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]
    return joined.mean(axis=1), +counts, agreement
