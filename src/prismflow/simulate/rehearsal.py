"""Files of the size of the human genome, to rehearse the workflow's scale without its data.

Chromosome lengths and TSS are real; sequence, signals, contacts and labels are random numbers with
the size and density of the real files, not their biology. Run it once into a scratch folder::

    python -m prismflow.simulate.rehearsal --sizes hg38.chrom.sizes --tss tss.bed --out folder
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.genome import read_chrom_sizes
from prismflow.data.windows import read_bed
from prismflow.files import atomic_path, write_tsv
from prismflow.settings.simulation import TRACKS

logger = logging.getLogger(__name__)

LINE_BP = 60
N_RUN_BP = 10_000
CORE_BP = 2_000
FLANK_BP = 100_000
FLANK_STEP_BP = 20
RESOLUTION_BP = 5_000
BAND_BINS = 22
FEATURES = (
    "utr5_length", "cds_length", "intron_length", "utr3_length", "utr5_gc", "cds_gc", "utr3_gc",
    "orf_exon_density",
)  # fmt: skip
CELL = "sim"
FILES = ("genome.fa", "genes.tsv", *(f"{CELL}.{track}.bw" for track in TRACKS), f"{CELL}.cool")


def make_rehearsal(
    out: str | Path, sizes_path: str | Path, tss_path: str | Path, seed: int = 0
) -> None:
    """Write genome, genes, two tracks and contacts; existing whole files are kept.

    Args:
        out: folder.
        sizes_path: chromosome lengths.
        tss_path: BED of first transcribed bases: chrom, start, end, gene_id, 0, strand.
        seed: of the random numbers.

    Raises:
        InputError: the lengths or positions can't be read.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    sizes = read_chrom_sizes(sizes_path)
    genes = rehearsal_genes(tss_path, sizes, np.random.default_rng([seed, 0]))
    sizes = {chrom: size for chrom, size in sizes.items() if chrom in set(genes["chrom"])}
    write_tsv(genes, out / "genes.tsv")

    def track_maker(n: int) -> Callable[[Path], None]:
        return lambda path: write_track(path, genes, sizes, seed, n)

    makers: dict[str, Callable[[Path], None]] = {
        "genome.fa": lambda path: write_genome(path, sizes, seed),
        **{f"{CELL}.{track}.bw": track_maker(n) for n, track in enumerate(TRACKS)},
        f"{CELL}.cool": lambda path: write_contacts(path, sizes, seed),
    }
    for name, make in makers.items():
        if not (out / name).exists():
            with atomic_path(out / name) as temporary:
                make(temporary)
            logger.info("%s: %d bytes", out / name, (out / name).stat().st_size)


def rehearsal_genes(
    tss_path: str | Path, sizes: dict[str, int], rng: np.random.Generator
) -> pd.DataFrame:
    """A gene table with real positions and random features and labels."""
    bed = read_bed(tss_path)
    names = pd.read_csv(tss_path, sep="\t", header=None, usecols=[3, 5])
    is_minus = (names[5] == "-").to_numpy()
    genes = pd.DataFrame(
        {
            "gene_id": names[3],
            "chrom": bed["chrom"],
            # The TSS follows BED bounds: one behind the first base on the minus strand.
            "tss": bed["start"] + is_minus,
            "strand": names[5],
        }
    )
    for name in FEATURES:
        genes[name] = rng.normal(size=len(genes)).round(4)
    genes[f"{CELL}_cage"] = rng.poisson(rng.gamma(0.4, 100.0, len(genes)))
    return genes[genes["chrom"].isin(sizes)].reset_index(drop=True)


def write_genome(path: Path, sizes: dict[str, int], seed: int) -> None:
    """A FASTA of random bases, N at both ends of every chromosome."""
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    with open(path, "wb") as out:
        for number, (chrom, size) in enumerate(sizes.items()):
            rng = np.random.default_rng([seed, 1, number])
            bases = letters[rng.integers(0, 4, size, dtype=np.uint8)]
            bases[:N_RUN_BP] = bases[-N_RUN_BP:] = ord("N")
            whole = size // LINE_BP * LINE_BP
            lines = np.full((size // LINE_BP, LINE_BP + 1), ord("\n"), dtype=np.uint8)
            lines[:, :LINE_BP] = bases[:whole].reshape(-1, LINE_BP)
            out.write(f">{chrom}\n".encode())
            out.write(lines.data)
            if whole < size:
                out.write(bases[whole:].tobytes() + b"\n")


def covered_spans(tss: np.ndarray, size: int, reach_bp: int, step_bp: int) -> list[tuple[int, int]]:
    """Union of ``tss +- reach_bp``, on multiples of ``step_bp``, clipped to the chromosome."""
    spans: list[list[int]] = []
    for position in np.sort(tss).tolist():
        start = max(0, position - reach_bp) // step_bp * step_bp
        end = min(size, position + reach_bp) // step_bp * step_bp
        if spans and start <= spans[-1][1]:
            spans[-1][1] = max(end, spans[-1][1])
        elif start < end:
            spans.append([start, end])
    return [(start, end) for start, end in spans]


def write_track(
    path: Path, genes: pd.DataFrame, sizes: dict[str, int], seed: int, number: int
) -> None:
    """A bigWig with a value per base at the TSS, per 20 bp around genes and none elsewhere."""
    import pyBigWig

    rng = np.random.default_rng([seed, 2, number])
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader(list(sizes.items()))
        for chrom, size in sizes.items():
            tss = genes.loc[genes["chrom"] == chrom, "tss"].to_numpy()
            core = covered_spans(tss, size, CORE_BP, FLANK_STEP_BP)
            for start, end in covered_spans(tss, size, FLANK_BP, FLANK_STEP_BP):
                at = start
                for low, high in [*((a, b) for a, b in core if start <= a < end), (end, end)]:
                    _add(out, chrom, at, low, FLANK_STEP_BP, rng)
                    _add(out, chrom, low, high, 1, rng)
                    at = high


def _add(out: Any, chrom: str, start: int, end: int, step: int, rng: np.random.Generator) -> None:
    if start < end:
        values = rng.gamma(0.5, 2.0, (end - start) // step).round(2)
        out.addEntries(chrom, start, values=values, span=step, step=step)


def write_contacts(path: Path, sizes: dict[str, int], seed: int) -> None:
    """A cooler of 5-kb bins with counts within 110 kb of the diagonal."""
    from prismflow.jobs.patches.hictk import hictkpy

    path.unlink(missing_ok=True)  # the writer refuses to replace a file
    rng = np.random.default_rng([seed, 3])
    writer = hictkpy.cooler.FileWriter(str(path), sizes, RESOLUTION_BP)
    first = 0
    for size in sizes.values():
        n_bins = -(-size // RESOLUTION_BP)
        bin1 = np.repeat(np.arange(n_bins), BAND_BINS)
        distance = np.tile(np.arange(BAND_BINS), n_bins)
        count = rng.poisson(200 / (1 + distance) ** 0.87)
        kept = (bin1 + distance < n_bins) & (count > 0)
        pixels = {
            "bin1_id": (first + bin1[kept]).tolist(),
            "bin2_id": (first + bin1[kept] + distance[kept]).tolist(),
            "count": count[kept].tolist(),
        }
        writer.add_pixels_from_dict(pixels)
        first += n_bins
    writer.finalize()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", required=True, help="chromosome lengths (two columns)")
    parser.add_argument("--tss", required=True, help="BED of transcription start sites")
    parser.add_argument("--out", required=True, help="folder of the files")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    make_rehearsal(arguments.out, arguments.sizes, arguments.tss, arguments.seed)


if __name__ == "__main__":
    main()
