"""Windows around TSS, and the genes that can't be used, each with its reason.

The window of every gene is ``[tss - L/2, tss + L/2)``, 0-based half-open, on the forward strand
whatever the gene's strand (paper, section on data; released code). A window that reaches over an
end of its chromosome is kept and padded.
"""

from __future__ import annotations

import csv
import io
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.data.chromosomes import by_chromosome, match_chromosomes
from prismflow.data.counts import Count
from prismflow.data.genome import UNKNOWN, Genome, unknown_runs
from prismflow.errors import InputError
from prismflow.files import write_bytes, write_tsv
from prismflow.rows import exponent_advice, read_text

logger = logging.getLogger(__name__)

DROPPED_COLUMNS: tuple[str, ...] = ("gene_id", "chrom", "tss", "strand", "reason")


def check_window(window_bp: int) -> None:
    """Refuse a window that is not a positive even number of bases.

    Raises:
        InputError: zero, negative, odd or not a whole number.
    """
    whole = isinstance(window_bp, int | np.integer) and not isinstance(window_bp, bool)
    if not whole or window_bp <= 0 or window_bp % 2:
        raise InputError(
            f"window_bp: expected a positive even number of bases, found {window_bp!r}."
        )


def define_windows(
    genes: pd.DataFrame,
    chrom_lengths: Mapping[str, int],
    window_bp: int,
    *,
    genome: Genome | None = None,
    min_acgt_fraction: float | None = None,
    blacklist: str | Path | None = None,
    drop_blacklisted: bool = False,
    blacklist_core_bp: int = 500,
    chrom_aliases: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Windows of all genes that can be used, and the others with reasons.

    Args:
        genes: from :func:`prismflow.data.genes.read_genes`.
        chrom_lengths: chromosome -> length.
        window_bp: window length L, positive and even.
        genome: if given, the column ``n_fraction`` is added: unknown bases inside the chromosome,
            divided by L.
        min_acgt_fraction: drop a gene when ``1 - n_fraction`` is lower (needs ``genome``).
        blacklist: BED of regions that can't be trusted.
        drop_blacklisted: drop genes with TSS +- ``blacklist_core_bp`` in a blacklisted region.
        blacklist_core_bp: half-width of the core.
        chrom_aliases: name in a file -> name in the gene table.

    Returns:
        kept: ``gene_id chrom tss strand window_start window_end [n_fraction]`` and the further
            columns of ``genes`` without line and drop_reason, in the order of ``genes``;
        dropped: :data:`DROPPED_COLUMNS`; several reasons are joined by ``;``.

    Raises:
        InputError: unusable window, blacklist or settings, or no gene is left.
    """
    check_window(window_bp)
    genes = genes.reset_index(drop=True)
    start = genes["tss"].to_numpy() - window_bp // 2
    windows = genes[["gene_id", "chrom", "tss", "strand"]].copy()
    windows["window_start"] = start
    windows["window_end"] = start + window_bp
    reasons = [[text] if text else [] for text in genes["drop_reason"]]
    if genome is not None:
        windows["n_fraction"] = _unknown_bases(windows, genome, chrom_aliases) / window_bp
    if min_acgt_fraction is not None:
        if genome is None:
            raise InputError("min_acgt_fraction needs the genome's FASTA, none was given.")
        for row in np.flatnonzero(1 - windows["n_fraction"].to_numpy() < min_acgt_fraction):
            reasons[row].append("unknown_sequence")
    if drop_blacklisted:
        if blacklist is None:
            raise InputError("drop_blacklisted needs a blacklist (BED), none was given.")
        for row in _blacklisted(windows, Path(blacklist), blacklist_core_bp, chrom_aliases):
            reasons[row].append("blacklisted")
    further = [c for c in genes.columns if c not in (*windows.columns, "line", "drop_reason")]
    windows = pd.concat([windows, genes[further]], axis=1)
    windows["reason"] = [";".join(reason) for reason in reasons]
    is_kept = (windows["reason"] == "").to_numpy()
    kept = windows[is_kept].drop(columns="reason").reset_index(drop=True)
    dropped = windows.loc[~is_kept, list(DROPPED_COLUMNS)].reset_index(drop=True)
    if len(kept) + len(dropped) != len(genes):
        raise RuntimeError(f"{len(kept)} kept + {len(dropped)} dropped != {len(genes)} genes")
    counts = dropped["reason"].value_counts().to_dict()
    logger.info("%d genes kept, %d dropped %s", len(kept), len(dropped), counts or "")
    if kept.empty:
        raise InputError(
            f"no gene is left of {len(genes)}; reasons: {counts}. Loosen the settings of windows."
        )
    padded = (start[is_kept] < 0) | (
        kept["window_end"] > kept["chrom"].map(dict(chrom_lengths))
    ).to_numpy()
    logger.info("%d windows reach over a chromosome end and are padded", int(padded.sum()))
    return kept, dropped


def write_windows(
    kept: pd.DataFrame,
    dropped: pd.DataFrame,
    chrom_lengths: Mapping[str, int],
    *,
    genes_path: str | Path,
    dropped_path: str | Path,
    bed_path: str | Path,
) -> None:
    """Write ``genes.tsv``, ``dropped.tsv`` and ``windows.bed.gz``.

    The BED has no header, is sorted by chromosome (order of ``chrom_lengths``) and position, and
    its intervals are clipped to the chromosome.
    """
    write_tsv(kept, genes_path)
    write_tsv(dropped, dropped_path)
    length = kept["chrom"].map(dict(chrom_lengths))
    bed = pd.DataFrame(
        {
            "chrom": kept["chrom"],
            "start": kept["window_start"].clip(lower=0),
            "end": np.minimum(kept["window_end"], length),
            "gene_id": kept["gene_id"],
            "score": 0,
            "strand": kept["strand"],
        }
    )
    rank = {chrom: number for number, chrom in enumerate(chrom_lengths)}
    order = np.lexsort((kept["gene_id"], bed["end"], bed["start"], bed["chrom"].map(rank)))
    text = bed.iloc[order].to_csv(sep="\t", header=False, index=False, lineterminator="\n")
    write_bytes(text.encode("utf-8"), bed_path)


def _unknown_bases(
    windows: pd.DataFrame, genome: Genome, aliases: Mapping[str, str] | None
) -> np.ndarray:
    counts = windows["chrom"].value_counts(sort=False).to_dict()
    names = match_chromosomes("the gene table", counts, genome.path, genome.lengths, aliases)
    result = np.zeros(len(windows), dtype=np.int64)
    for chrom, rows in by_chromosome(windows["chrom"]):
        length = genome.lengths[names[chrom]]
        first = np.clip(windows["window_start"].to_numpy()[rows], 0, length)
        last = np.clip(windows["window_end"].to_numpy()[rows], 0, length)
        if int((last - first).sum()) < length // 8:
            # Few short windows: the bases between them need not be read.
            for row, low, high in zip(rows, first.tolist(), last.tolist(), strict=True):
                codes = genome.codes(names[chrom], low, high)
                result[row] = np.count_nonzero(codes == UNKNOWN)
            continue
        starts, ends = unknown_runs(genome.chromosome(names[chrom]))
        before = np.concatenate([[0], np.cumsum(ends - starts)])

        def unknown_below(
            position: np.ndarray,
            starts: np.ndarray = starts,
            ends: np.ndarray = ends,
            before: np.ndarray = before,
        ) -> np.ndarray:
            if not len(starts):
                return np.zeros(len(position), dtype=np.int64)
            run = np.searchsorted(starts, position, side="right")
            last = np.maximum(run - 1, 0)
            beyond = np.where(run > 0, np.maximum(ends[last] - position, 0), 0)
            return before[run] - beyond

        result[rows] = unknown_below(last) - unknown_below(first)
    return result


def require_bedtools() -> None:
    """Refuse to go on without the bedtools program, which pybedtools calls.

    Raises:
        InputError: bedtools is not on PATH.
    """
    if shutil.which("bedtools") is None:
        raise InputError(
            "the program 'bedtools' is not on PATH; install it with 'apt-get install bedtools' "
            "or 'conda install -c bioconda bedtools'."
        )


def starts_with(path: str | Path, *magic: bytes) -> bool:
    """Whether a file begins with one of the given bytes; its content decides, not its name.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with open(path, "rb") as stream:
        return stream.read(max(map(len, magic))).startswith(magic)


def read_bed(
    path: str | Path,
    chrom_aliases: Mapping[str, str] | None = None,
    count: Count | None = None,
) -> pd.DataFrame:
    """Chromosome, start and end (0-based half-open) of a BED or narrowPeak, plain or gz.

    Comments, track lines and empty lines are counted in ``count``, if it is given.

    Raises:
        InputError: absent file, or a line without chromosome, start and end.
    """
    path = Path(path)
    try:
        text = pd.read_csv(
            io.StringIO(read_text(path, "a BED file")), sep="\t", header=None, dtype=str,
            usecols=[0, 1, 2], skip_blank_lines=False, names=["chrom", "start", "end"],
            quoting=csv.QUOTE_NONE,
        )  # fmt: skip
    except pd.errors.EmptyDataError:
        text = pd.DataFrame(columns=["chrom", "start", "end"], dtype=str)
    except ValueError as error:
        raise InputError(f"{path}: expected a BED file, found {error}.") from None
    comment = text.isna().all(axis=1) | text["chrom"].str.startswith(
        ("#", "track", "browser"), na=False
    )
    text = text.apply(lambda column: column.str.strip().str.strip('"'))
    numbers = text[["start", "end"]].apply(pd.to_numeric, errors="coerce")
    # 1.2E+06 is a number too, but one that a spreadsheet has rounded.
    whole = text["start"].str.isdecimal().eq(True) & text["end"].str.isdecimal().eq(True)
    right = whole & (numbers["end"] >= numbers["start"]) & text["chrom"].notna() & ~comment
    if (~right & ~comment).any():
        line = int(np.argmax((~right & ~comment).to_numpy()))
        found = text.iloc[line].tolist()
        raise InputError(
            f"{path} line {line + 1}: expected chromosome, start and end as whole numbers, found "
            f"{found}{exponent_advice(found)}."
        )
    if count is not None:
        count.n_read += len(text)
        count.skip("comment, track line or empty", int((~right).sum()))
    bed = pd.DataFrame({"chrom": text["chrom"][right], **numbers[right].astype(np.int64)})
    bed["chrom"] = bed["chrom"].replace(dict(chrom_aliases or {}))
    return bed.reset_index(drop=True)


def _blacklisted(
    windows: pd.DataFrame, path: Path, core_bp: int, aliases: Mapping[str, str] | None
) -> np.ndarray:
    require_bedtools()
    import pybedtools

    regions = read_bed(path, aliases)
    if regions.empty:
        return np.array([], dtype=np.int64)
    counts = windows["chrom"].value_counts(sort=False).to_dict()
    match_chromosomes("the gene table", counts, path, regions["chrom"].unique(), absent="missing")
    tss = windows["tss"].to_numpy()
    core = pd.DataFrame(
        {
            "chrom": windows["chrom"],
            "start": np.maximum(tss - core_bp, 0),
            "end": tss + core_bp,
            "row": np.arange(len(windows)),
        }
    )
    hits = pybedtools.BedTool.from_dataframe(core).intersect(
        pybedtools.BedTool.from_dataframe(regions), u=True
    )
    rows = np.array([int(interval.name) for interval in hits], dtype=np.int64)
    pybedtools.cleanup()
    return rows
