"""Join the published tables into the gene table that the workflow reads.

Sources (paper, section on data): TSS and strand from Xpresso's CAGE-corrected list, mRNA features
and published splits from EPInformer's tables, labels from its expression table, promoter activity
from the neighbourhood tables of the activity-by-contact runs, CAGE of further cells from a bigWig.

The published TSS is taken as it is, on both strands: it equals the ``tss`` of the published
promoter tables, which is the BED end on ``-``, and so gives the published windows.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.bigwig import BigWig
from prismflow.data.counts import Count
from prismflow.errors import InputError
from prismflow.files import read_published_table, write_tsv
from prismflow.rows import exponent_advice, read_text

logger = logging.getLogger(__name__)

#: Published feature -> our name, in the order in which models see them (paper, section on inputs).
FEATURES: dict[str, str] = {
    "UTR5LEN_log10zscore": "utr5_length",
    "CDSLEN_log10zscore": "cds_length",
    "INTRONLEN_log10zscore": "intron_length",
    "UTR3LEN_log10zscore": "utr3_length",
    "UTR5GC": "utr5_gc",
    "CDSGC": "cds_gc",
    "UTR3GC": "utr3_gc",
    # The raw density: the published models do not read the z-scored column.
    "ORFEXONDENSITY": "orf_exon_density",
}
ID_COLUMNS = ("ENSID", "gene_id", "Gene stable ID")
PROMOTER_KEYS = ("Ensembl_ID", "ENSID", "gene_id", "Gene stable ID", "name")
PROMOTER_COLUMNS = ("H3K27ac.RPM.TSS1Kb", "DHS.RPM.TSS1Kb")
#: Half of the window in which CAGE is summed (three bins of 128 bp).
CAGE_HALF_WINDOW_BP = 192

#: Ensembl's names of the chromosomes -> UCSC's; nothing else is renamed.
UCSC_NAMES: dict[str, str] = {
    **{str(number): f"chr{number}" for number in range(1, 23)},
    "X": "chrX",
    "Y": "chrY",
    "MT": "chrM",
}


def build_gene_table(
    inputs: Mapping[str, str | Path], path: str | Path, settings: Mapping[str, Any]
) -> pd.DataFrame:
    """Write the gene table.

    Args:
        inputs: ``tss``, ``features``, ``expression``, optionally ``splits``, and for each cell
            optionally ``promoter_table_<cell>`` and ``cage_bigwig_<cell>``.
        path: the table to write (TSV).
        settings: ``cells`` (cell -> cage, rna: columns of the expression table, or null) and
            ``expected_genes`` (number, or null).

    Returns:
        The table as written, one row per gene of the expression table that has a TSS: gene_id,
        symbol, chrom (``chr1``), tss (BED-bounds convention), strand, the 8 features, and per cell
        ``<cell>_cage`` and ``<cell>_rna`` (as published), ``<cell>_promoter_activity``; then the
        published splits ``published_fold1`` ... and ``enformer``.

    Raises:
        InputError: a table without an expected column, a duplicated gene, TSS that disagree.
    """
    expression_path = Path(inputs["expression"])
    expression = _identified(expression_path, read_published_table(expression_path, ","))
    genes = _genes(inputs, expression)
    for cell, sources in settings["cells"].items():
        _add_labels(genes, cell, sources, expression, expression_path)
        if f"cage_bigwig_{cell}" in inputs:
            genes[f"{cell}_cage"] = sum_at_tss(
                inputs[f"cage_bigwig_{cell}"], genes["chrom"], genes["tss"], CAGE_HALF_WINDOW_BP
            )
        if f"promoter_table_{cell}" in inputs:
            table = Path(inputs[f"promoter_table_{cell}"])
            genes[f"{cell}_promoter_activity"] = _promoter_activity(table, genes, cell)
    if "splits" in inputs:
        _add_splits(genes, Path(inputs["splits"]))
    expected = settings.get("expected_genes")
    logger.info("%d genes", len(genes))
    if expected is not None and len(genes) != expected:
        logger.warning(
            "the published gene set has %d genes, this table has %d: results are not fully "
            "comparable with published ones", expected, len(genes),
        )  # fmt: skip
    write_tsv(genes, path)
    return genes


def _need(path: Path, table: pd.DataFrame, columns: tuple[str, ...] | list[str]) -> None:
    absent = [name for name in columns if name not in table.columns]
    if absent:
        found = ", ".join(map(str, table.columns[:30]))
        raise InputError(
            f"{path}, line 1: expected the column {', '.join(map(repr, absent))}, found only "
            f"{found}; is it the right file or version?"
        )


def _identified(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The table with its gene column as unique index ``gene_id``."""
    name = next((column for column in ID_COLUMNS if column in table.columns), None)
    if name is None:
        raise InputError(
            f"{path}, line 1: expected a gene column ({' or '.join(ID_COLUMNS)}), found only "
            f"{', '.join(map(str, table.columns[:30]))}; is it the right file?"
        )
    keys = table[name].astype(str)
    repeated = keys[keys.duplicated(keep=False)]
    if len(repeated):
        first = repeated.iloc[0]
        lines = ", ".join(str(line + 2) for line in repeated.index[repeated == first])
        raise InputError(
            f"{path}: the gene {first!r} stands in lines {lines}; expected every gene once."
        )
    return table.set_index(keys.rename("gene_id"))


def ucsc_names(chroms: pd.Series, path: Path) -> pd.Series:
    """Chromosome names in UCSC's style, by the explicit table :data:`UCSC_NAMES`.

    Raises:
        InputError: a name that the table does not know.
    """
    text = chroms.astype(str)
    known = {**UCSC_NAMES, **{name: name for name in UCSC_NAMES.values()}}
    strange = sorted(set(text) - known.keys())
    if strange:
        raise InputError(
            f"{path}: expected chromosomes 1-22, X, Y, MT (or chr1, ...), found "
            f"{', '.join(strange[:6])}; is it a human table?"
        )
    renamed = sorted(set(text) & UCSC_NAMES.keys())
    if renamed:
        logger.info("%s: chromosomes %s get the prefix 'chr'", path, ", ".join(renamed))
    return text.map(known)


def read_tss(path: str | Path) -> pd.DataFrame:
    """TSS and strand from a BED of windows around each TSS.

    Returns:
        Index gene_id; columns chrom (UCSC name), tss (the middle of the window as it is published,
        on both strands), strand.

    Raises:
        InputError: not such a BED, a window without a middle base, a duplicated gene.
    """
    path = Path(path)
    try:
        table = pd.read_csv(
            io.StringIO(read_text(path, "a BED file")), sep="\t", header=None, comment="#",
            dtype=str, quoting=csv.QUOTE_NONE,
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: expected a BED file, found {error}.") from None
    if table.shape[1] < 6:
        raise InputError(
            f"{path}, line 1: expected 6 columns (chrom, start, end, gene, score, strand), found "
            f"{table.shape[1]}."
        )
    table = table.iloc[:, :6].set_axis(
        ["chrom", "start", "end", "gene_id", "score", "strand"], axis=1
    )
    for column in ("start", "end"):
        wrong = ~table[column].str.isdecimal().eq(True)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"{path}, row {row + 1}: expected whole numbers in the BED column {column!r}, "
                f"found {table[column].iloc[row]!r}{exponent_advice([table[column].iloc[row]])}."
            )
        table[column] = table[column].astype(np.int64)
    odd = (table["end"] - table["start"]) % 2 != 0
    wrong = odd | (table["end"] <= table["start"]) | ~table["strand"].isin(["+", "-"])
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0]) + 1
        raise InputError(
            f"{path}, line {line}: expected a window of even length around the TSS and a strand + "
            f"or -, found {' '.join(map(str, table.iloc[line - 1]))}."
        )
    table["tss"] = (table["start"] + table["end"]) // 2
    table["chrom"] = ucsc_names(table["chrom"], path)
    return _identified(path, table)[["chrom", "tss", "strand"]]


def _genes(inputs: Mapping[str, str | Path], expression: pd.DataFrame) -> pd.DataFrame:
    """Keys, TSS, strand and features of the genes of the expression table, in its order."""
    expression_path, features_path = Path(inputs["expression"]), Path(inputs["features"])
    tss = read_tss(inputs["tss"])
    features = _identified(features_path, read_published_table(features_path, ","))
    _need(features_path, features, list(FEATURES))
    for what, table, path in (
        ("TSS", tss, inputs["tss"]), ("mRNA features", features, features_path),
    ):  # fmt: skip
        absent = expression.index.difference(table.index)
        if len(absent) == len(expression):
            raise InputError(
                f"{path} and {expression_path} have no gene in common (for example "
                f"{table.index[0]} and {expression.index[0]}); are both of human Ensembl genes?"
            )
        if len(absent):
            logger.warning(
                "%d genes of %s have no %s in %s and are left out, e.g. %s",
                len(absent), expression_path, what, path, ", ".join(absent[:3]),
            )  # fmt: skip
    usable = expression.index.isin(tss.index) & expression.index.isin(features.index)
    kept = expression.index[usable]
    table = pd.DataFrame({"gene_id": kept}, index=kept)
    names = features["Gene name"] if "Gene name" in features.columns else pd.Series(dtype=str)
    table["symbol"] = names.reindex(kept).fillna("")
    table = table.join(tss.loc[kept])
    _check_tss(table, features, features_path, Path(inputs["tss"]))
    for column, name in FEATURES.items():
        table[name] = pd.to_numeric(features.loc[kept, column], errors="coerce")
    return table.reset_index(drop=True)


def _check_tss(genes: pd.DataFrame, features: pd.DataFrame, path: Path, tss_path: Path) -> None:
    """The feature table repeats the TSS: both must agree, else one is of another version."""
    if "TSS" not in features.columns:
        return
    other = features.loc[genes.index, "TSS"]
    differing = genes.index[(other != genes["tss"]).to_numpy()]
    if len(differing):
        gene = differing[0]
        raise InputError(
            f"{tss_path} and {path} disagree on the TSS of {len(differing)} genes, for example "
            f"{gene}: {genes.loc[gene, 'tss']} and {other[gene]}; are both of one hg38 version?"
        )


def _add_labels(
    genes: pd.DataFrame,
    cell: str,
    sources: Mapping[str, str | None],
    expression: pd.DataFrame,
    path: Path,
) -> None:
    expression = expression.loc[genes["gene_id"]]
    for label in ("cage", "rna"):
        column = sources.get(label)
        if column is None:
            continue
        if column not in expression.columns and label == "rna":
            logger.warning("%s: no column %r, so %s has no RNA label", path, column, cell)
            continue
        _need(path, expression, [column])
        values = pd.to_numeric(expression[column], errors="coerce").to_numpy(dtype=float)
        _report_missing(genes, values, f"{cell}_{label}")
        genes[f"{cell}_{label}"] = values


def _report_missing(genes: pd.DataFrame, values: np.ndarray, name: str) -> None:
    if len(missing := np.flatnonzero(np.isnan(values))):
        logger.warning(
            "%s is missing for %d genes, e.g. %s",
            name, len(missing), ", ".join(genes["gene_id"].iloc[missing[:3]]),
        )  # fmt: skip


def sum_at_tss(
    path: str | Path, chroms: pd.Series, tss: pd.Series, half_bp: int, count: Count | None = None
) -> np.ndarray:
    """Sum of a bigWig over ``[tss - half, tss + half)`` (0-based), float64 (N,); no value is 0.

    ``count`` is given the windows' bases, and those without a value.
    Raises:
        InputError: not a whole bigWig, or it has no value on a chromosome of the genes.
    """
    with BigWig(path) as bigwig:
        lengths = bigwig.lengths
        ensembl = {ucsc: name for name, ucsc in UCSC_NAMES.items()}
        names = {
            chrom: chrom if chrom in lengths else ensembl.get(chrom, chrom)
            for chrom in sorted(set(chroms))
        }
        counts = chroms.value_counts()
        absent = [
            f"{chrom} ({counts[chrom]} genes)" for chrom, name in names.items()
            if name not in lengths or not bigwig.has_values(name)
        ]  # fmt: skip
        if absent:
            raise InputError(
                f"{path}: expected values on the chromosomes of the genes, found none on "
                f"{', '.join(absent[:6])}; the bigWig has {', '.join(list(lengths)[:6])}."
            )
        sums, count = np.zeros(len(tss)), count or Count("bases")
        for row, (chrom, position) in enumerate(zip(chroms, tss, strict=True)):
            name = names[chrom]
            start, end = max(position - half_bp, 0), min(position + half_bp, lengths[name])
            if start < end:
                values = bigwig.values(name, start, end)
                sums[row] = np.nansum(values, dtype=np.float64)
                count.n_read += end - start
                count.skip("without a value", int(np.isnan(values).sum()))
        return sums


def _promoter_activity(path: Path, genes: pd.DataFrame, cell: str) -> np.ndarray:
    """sqrt(H3K27ac RPM x DHS RPM) at TSS +- 500 bp; NaN where the table lacks a gene; (N,)."""
    table = read_published_table(path, "\t")
    _need(path, table, list(PROMOTER_COLUMNS))
    product = pd.Series(1.0, index=table.index)
    for column in PROMOTER_COLUMNS:
        product *= pd.to_numeric(table[column], errors="coerce").clip(lower=0)
    table["_activity"] = np.sqrt(product)
    key, wanted = _promoter_key(path, table, genes)
    rows = table[table[key].isin(set(wanted))].copy()
    rows = _one_row_per_gene(path, rows, key, dict(zip(wanted, genes["tss"], strict=True)))
    if (shared := wanted.duplicated(keep=False) & wanted.isin(rows.index)).any():
        logger.warning(
            "%d genes share a symbol with another gene, e.g. %s: each gets the promoter activity "
            "of that symbol in %s", int(shared.sum()), wanted[shared].iloc[0], path,
        )  # fmt: skip
    values = rows["_activity"].reindex(wanted).to_numpy(dtype=float)
    if "tss" in rows.columns:
        both = rows["tss"].reindex(wanted).to_numpy(dtype=float)
        differing = np.flatnonzero((both != genes["tss"].to_numpy()) & ~np.isnan(both))
        if len(differing):
            logger.warning(
                "%s: its TSS differs from the gene list in %d genes, e.g. %s",
                path, len(differing), genes["gene_id"].iloc[differing[0]],
            )  # fmt: skip
    _report_missing(genes, values, f"{cell}_promoter_activity")
    return values


def _promoter_key(path: Path, table: pd.DataFrame, genes: pd.DataFrame) -> tuple[str, pd.Series]:
    """Column to join by, and the genes' names in it: an Ensembl id where there is one."""
    ids = set(genes["gene_id"])
    for column in PROMOTER_KEYS:
        if column in table.columns and table[column].isin(ids).any():
            return column, genes["gene_id"]
    symbols = set(genes["symbol"]) - {""}
    for column in ("symbol", "name"):
        if column in table.columns and table[column].isin(symbols).any():
            logger.info("%s: joined by gene symbol (column %r)", path, column)
            return column, genes["symbol"]
    raise InputError(
        f"{path}: expected genes of the gene list by Ensembl id ({', '.join(PROMOTER_KEYS)}) or by "
        "`symbol`, found none of them; is it the right table?"
    )


def _one_row_per_gene(
    path: Path, rows: pd.DataFrame, key: str, tss: Mapping[str, int]
) -> pd.DataFrame:
    """Resolve repeated keys: equal rows count once, else the row at the gene's TSS is taken."""
    repeated = rows[key].duplicated(keep=False)
    if not repeated.any():
        return rows.set_index(key)
    chosen = [rows[~repeated]]
    left_out = []
    for name, group in rows[repeated].groupby(key, sort=True):
        if group["_activity"].nunique(dropna=False) > 1 and "tss" in group.columns:
            group = group[group["tss"] == tss[name]]
        if group["_activity"].nunique(dropna=False) == 1:
            chosen.append(group.iloc[:1])
        else:
            left_out.append(str(name))
    logger.warning(
        "%s: %d names stand in several rows, e.g. %r: equal rows count once, of others the one at "
        "the gene's TSS is taken; %d are ambiguous and stay without a value%s",
        path, rows.loc[repeated, key].nunique(), rows.loc[repeated, key].iloc[0], len(left_out),
        f" ({', '.join(left_out[:6])})" if left_out else "",
    )  # fmt: skip
    return pd.concat(chosen).set_index(key)


def _add_splits(genes: pd.DataFrame, path: Path) -> None:
    """Add the published splits: ``published_fold<n>``, and Enformer's as ``enformer``."""
    splits = _identified(path, read_published_table(path, ","))
    columns = [name for name in splits.columns if str(name).startswith("fold_")]
    _need(path, splits, columns or ["fold_enformer"])
    values = splits[columns].reindex(genes["gene_id"])
    strange = sorted(set(values.stack().unique()) - {"train", "valid", "test"})
    if strange:
        raise InputError(
            f"{path}: expected train, valid or test in its fold columns, found "
            f"{', '.join(map(repr, strange[:6]))}."
        )
    for column in columns:
        rest = str(column).removeprefix("fold_")
        name = f"published_fold{rest}" if rest.isdigit() else rest
        genes[name] = values[column].fillna("none").to_numpy()
