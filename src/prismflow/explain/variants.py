"""Score variants: what each allele changes in the predictions of the genes around it."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.genome import Genome
from prismflow.errors import InputError
from prismflow.explain.alleles import touches, window_codes, with_allele
from prismflow.explain.substitutions import substitutions
from prismflow.explain.trained import Gene, Trained, open_trained
from prismflow.explain.vcf import Allele, check_reference, read_alleles
from prismflow.files import read_tsv, write_text
from prismflow.training.progress import Progress

logger = logging.getLogger(__name__)

HEADER = (
    "## Only the sequence changes: signals and gene features are held fixed at the reference's.",
    "## difference: prediction with the allele minus prediction with the genome's sequence on the "
    "forward strand, as models are trained; difference_both_strands: mean of it and of that with "
    "sequence and signals reverse-complemented; both in units of the label.",
    "## percentile: of the difference's size among all single-base substitutions of the window.",
    "## pos is 1-based; distance: bases from the TSS, positive downstream; seed mean: over seeds.",
)
COLUMNS = (
    "chrom", "pos", "id", "ref", "alt", "gene_id", "strand", "distance", "model", "fold", "seed",
    "output", "reference", "difference", "difference_both_strands", "percentile", "note",
)  # fmt: skip
ROUNDING = 1e-6
"""Differences below this, times the size of the prediction where it is above 1, are rounding."""
BELOW = "difference within the rounding of float32; its sign and percentile mean nothing"
_NUMBERS = ["reference", "difference", "difference_both_strands", "percentile"]


def score_variants(
    vcf: str | Path,
    fasta: str | Path,
    store_dir: str | Path,
    splits_path: str | Path,
    runs: Sequence[str | Path],
    out_path: str | Path,
    index: str | Path | None = None,
    aliases: Mapping[str, str] | None = None,
    percentile: bool = True,
    pass_bp: int = 65536,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Write a table with a row per allele, gene whose window holds it, run and output.

    Args:
        vcf: variants on the genome of ``fasta`` (plain or gz).
        fasta: the genome that the store was built from.
        store_dir, splits_path: of the cell.
        runs: folders with ``model.safetensors`` and ``model.json``.
        out_path: table to write (``.gz``: compressed); its head says what is held fixed.
        index: folder of the genome's index.
        aliases: chromosome name in the VCF -> name in the genome.
        percentile: predict every substitution of every window with a variant, too.
        pass_bp: see :func:`prismflow.explain.trained.open_trained`.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.

    Raises:
        InputError: the VCF can't be read, holds nothing, or is of another genome; store and genome
            differ; a run is no network or reads no sequence.
    """
    if not runs:
        raise InputError(
            "variants: expected at least one trained run, found none; name its folder."
        )
    rows: list[dict[str, Any]] = []
    checked: set[Allele] = set()
    with Genome(fasta, index) as genome:
        alleles = read_alleles(vcf, genome, aliases)
        for run in runs:
            files = (Path(run) / "model.safetensors", Path(run) / "model.json")
            trained = open_trained(store_dir, splits_path, *files, pass_bp, device, threads)
            pairs = _pairs(trained, alleles)
            new = {a for held in pairs.values() for a in held} - checked
            check_reference(vcf, [a for a in alleles if a in new], genome)
            checked |= new
            rows += _score_run(trained, genome, pairs, percentile)
    if not rows:
        logger.warning("%s: none of %d alleles lies in a window", vcf, len(alleles))
    table = with_means(pd.DataFrame(rows, columns=list(COLUMNS)))
    text = table.to_csv(
        sep="\t", index=False, float_format="%.9g", na_rep="NA", lineterminator="\n"
    )
    write_text("\n".join(HEADER) + "\n" + text, out_path)


def read_scores(path: str | Path) -> pd.DataFrame:
    """The table of :func:`score_variants`, without the lines at its head."""
    text = {"seed": str, "note": str, "chrom": str, "id": str}
    table = read_tsv(path, skiprows=len(HEADER), dtype=text)
    return table.assign(note=table["note"].fillna(""))


def with_means(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the mean over seeds behind those of the seeds, per allele, gene, model and output."""
    if table.empty:
        return table
    keys = [column for column in COLUMNS if column not in (*_NUMBERS, "seed", "note")]
    grouped = table.groupby(keys, sort=False, dropna=False)
    means = grouped[_NUMBERS].mean()
    # What is said of every seed is said of their mean.
    means["note"] = grouped["note"].agg(lambda notes: notes.iloc[0] if notes.nunique() == 1 else "")
    means = means.reset_index().assign(seed="mean")
    return pd.concat([table, means[list(COLUMNS)]], ignore_index=True)


def _pairs(trained: Trained, alleles: list[Allele]) -> dict[int, list[Allele]]:
    """Row of the store -> alleles in the model's window of that gene."""
    genes = trained.inputs.store.genes
    start = genes["tss"].to_numpy() - trained.window_bp // 2
    chrom = genes["chrom"].to_numpy(dtype=object)
    found: dict[int, list[Allele]] = {}
    for allele in alleles:
        near = (chrom == allele.chrom) & (start <= allele.end)
        near &= start + trained.window_bp >= allele.start
        for row in np.flatnonzero(near).tolist():
            if touches(allele, start[row], start[row] + trained.window_bp):
                found.setdefault(row, []).append(allele)
    return dict(sorted(found.items()))


def _score_run(
    trained: Trained, genome: Genome, pairs: Mapping[int, list[Allele]], percentile: bool
) -> list[dict[str, Any]]:
    progress = Progress(len(pairs), f"variants, seed {trained.record['seed']}")
    rows: list[dict[str, Any]] = []
    for number, (row, alleles) in enumerate(pairs.items(), start=1):
        rows += _score_gene(trained, genome, trained.gene(row), alleles, percentile)
        progress.update(number)
    return rows


def _score_gene(
    trained: Trained, genome: Genome, gene: Gene, alleles: list[Allele], percentile: bool
) -> list[dict[str, Any]]:
    place = trained.inputs.store.genes.iloc[gene.row]
    if not np.array_equal(window_codes(genome, place, trained.window_bp), gene.codes):
        raise InputError(
            f"{genome.path}: expected the genome that {trained.inputs.store.path} was built from, "
            f"found other bases in the window of {place['gene_id']}; give that genome."
        )
    changed = [with_allele(genome, place, trained.window_bp, allele) for allele in alleles]
    codes = [found for found, _ in changed if found is not None]
    forward, both = _differences(trained, gene, codes)
    own = trained.predict(gene, gene.sequence[None], gene.signals[None])[0]
    background = substitutions(trained, gene) if percentile and codes else None
    rows, done = [], 0
    for allele, (found, note) in zip(alleles, changed, strict=True):
        for number, output in enumerate(trained.outputs):
            scored: dict[str, Any] = dict.fromkeys(_NUMBERS, np.nan)
            said = note
            if found is not None:
                value = forward[done, number]
                scored = {
                    "reference": own[number],
                    "difference": value,
                    "difference_both_strands": both[done, number],
                    "percentile": np.nan
                    if background is None
                    else percentile_of(value, background[number]),
                }
                if abs(value) <= ROUNDING * max(1.0, abs(own[number])):
                    said = BELOW
            rows.append({**_identity(trained, place, allele), "output": output, **scored,
                         "note": said})  # fmt: skip
        done += found is not None
    return rows


def _identity(trained: Trained, place: Any, allele: Allele) -> dict[str, Any]:
    sign = 1 if place["strand"] == "+" else -1
    first = int(place["tss"]) - (place["strand"] == "-")
    nearest = min(max(first, allele.start), max(allele.end - 1, allele.start))
    return {
        "chrom": allele.chrom, "pos": allele.pos, "id": allele.id, "ref": allele.ref,
        "alt": allele.alt, "gene_id": place["gene_id"], "strand": place["strand"],
        "distance": sign * (nearest - first), "model": trained.record["settings"]["model"],
        "fold": trained.record["fold"], "seed": str(trained.record["seed"]),
    }  # fmt: skip


def _differences(
    trained: Trained, gene: Gene, codes: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(k, outputs) differences on the forward strand, and means of both strands."""
    turned = reverse_complement(gene)
    strands = []
    for asked, flip in ((gene, False), (turned, True)):
        sequences = [asked.sequence]
        for changed in codes:
            one = trained.one_hot(changed)
            sequences.append(one.flip(0, 1) if flip else one)
        inputs = ((sequence, asked.signals) for sequence in sequences)
        predictions = np.array(list(trained.predict_all(asked, inputs)))
        strands.append(predictions[1:] - predictions[0])
    return strands[0], (strands[0] + strands[1]) / 2


def reverse_complement(gene: Gene) -> Gene:
    """The gene's inputs as the other strand reads them; candidate enhancers stay as they are."""
    extras = {
        name: value.flip(0) if name == "peak_mask" else value for name, value in gene.extras.items()
    }
    codes = np.where(gene.codes < 4, 3 - np.minimum(gene.codes, 3), 4)[::-1].astype(np.uint8)
    return dataclasses.replace(
        gene, codes=codes, sequence=gene.sequence.flip(0, 1), signals=gene.signals.flip(0),
        extras=extras,
    )  # fmt: skip


def percentile_of(difference: float, effects: np.ndarray) -> float:
    """Share in % of substitutions with a smaller effect in size, ties by half.

    Args:
        effects: (L, 4), 0 where the base itself stands, NaN where it is unknown.
    """
    others = np.abs(effects[np.isfinite(effects) & (effects != 0)])
    if not len(others):
        return np.nan
    size = np.float32(abs(difference))
    return float(100 * ((others < size).mean() + (others == size).mean() / 2))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m prismflow.explain.variants", description=__doc__
    )
    parser.add_argument("--vcf", required=True, help="variants (plain or gz)")
    parser.add_argument("--fasta", required=True, help="genome of store and variants")
    parser.add_argument("--store", required=True, help="results/DATASET/CELL/store")
    parser.add_argument("--splits", required=True, help="results/DATASET/splits.tsv")
    parser.add_argument("--run", required=True, nargs="+", help="folders of trained runs")
    parser.add_argument("--out", required=True, help="table to write (.tsv or .tsv.gz)")
    parser.add_argument("--no-percentile", action="store_true", help="leave the percentiles out")
    parser.add_argument("--pass-bp", type=int, default=65536, help="bases of a pass, for memory")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        score_variants(
            given.vcf, given.fasta, given.store, given.splits, given.run, given.out,
            percentile=not given.no_percentile, pass_bp=given.pass_bp, device=given.device,
        )  # fmt: skip
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
