"""Sequence: random bases with regional GC content, promoter and enhancer motifs, runs of N."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prismflow.files import atomic_path, write_text
from prismflow.simulate.layout import Layout, tss_base
from prismflow.simulate.model import ENHANCER_MOTIF, MOTIFS, Sequenced
from prismflow.simulate.streams import stream

LINE_BP = 60
MOTIF_FIDELITY = 0.95
PROMOTER_MOTIF_RANGE_BP = (-190, 40)
_BASES = np.frombuffer(b"ACGTN", dtype=np.uint8)
_CODE = {base: i for i, base in enumerate("ACGT")}


def make_sequence(layout: Layout, sequenced: Sequenced, seed: int) -> dict[str, np.ndarray]:
    """Base codes per chromosome: uint8 (length,), A0 C1 G2 T3 N4."""
    rng = stream(seed, "sequence")
    genome = {}
    for chrom, size in layout.sizes.items():
        gc = _gc_content(chrom, size, layout, sequenced, rng)
        strong = rng.random(size, dtype=np.float32) < gc
        second = rng.integers(0, 2, size, dtype=np.uint8)
        # A or T where weak, C or G where strong.
        genome[chrom] = np.where(strong, 1 + second, 3 * second).astype(np.uint8)
    _plant_promoters(genome, layout, sequenced, rng)
    _plant_enhancers(genome, layout, sequenced, rng)
    for chrom, start, end in layout.n_runs.itertuples(index=False):
        genome[chrom][start:end] = 4
    return genome


def write_fasta(genome: dict[str, np.ndarray], folder: Path) -> None:
    """Write genome.fa, its .fai index and chrom.sizes."""
    index = []
    with atomic_path(folder / "genome.fa") as temporary, open(temporary, "wb") as out:
        for chrom, codes in genome.items():
            header = f">{chrom}\n".encode()
            offset = out.tell() + len(header)
            index.append(f"{chrom}\t{len(codes)}\t{offset}\t{LINE_BP}\t{LINE_BP + 1}\n")
            out.write(header)
            whole = len(codes) // LINE_BP * LINE_BP
            lines = np.full((whole // LINE_BP, LINE_BP + 1), ord("\n"), dtype=np.uint8)
            lines[:, :LINE_BP] = _BASES[codes[:whole]].reshape(-1, LINE_BP)
            out.write(lines.tobytes())
            if whole < len(codes):
                out.write(_BASES[codes[whole:]].tobytes() + b"\n")
    write_text("".join(index), folder / "genome.fa.fai")
    sizes = "".join(f"{chrom}\t{len(codes)}\n" for chrom, codes in genome.items())
    write_text(sizes, folder / "chrom.sizes")


def _gc_content(
    chrom: str, size: int, layout: Layout, sequenced: Sequenced, rng: np.random.Generator
) -> np.ndarray:
    """Chance of C or G per base, float32 (size,): regions of 50 kb, islands at promoters."""
    regional = rng.normal(0.42, 0.03, size // 50_000 + 1).astype(np.float32)
    gc = np.repeat(regional, 50_000)[:size]
    mine = np.flatnonzero((layout.genes["chrom"] == chrom).to_numpy())
    island = np.clip(
        0.54 + 0.05 * sequenced.motif_score + rng.normal(0, 0.04, len(sequenced.motif_score)),
        0.35,
        0.72,
    )
    for row, position in zip(mine, tss_base(layout.genes)[mine], strict=True):
        gc[max(0, position - 300) : position + 300] = island[row]
    return gc


def _plant_promoters(
    genome: dict[str, np.ndarray], layout: Layout, sequenced: Sequenced, rng: np.random.Generator
) -> None:
    motifs = [
        np.array([_CODE[base] for base in motif], dtype=np.uint8) for motif in MOTIFS.values()
    ]
    low, high = PROMOTER_MOTIF_RANGE_BP
    width = len(motifs[0])
    slots = np.arange(low, high - width, width + 4)
    genes = layout.genes
    seen: set[tuple[str, int]] = set()
    for chrom, position, strand, counts in zip(
        genes["chrom"], tss_base(genes), genes["strand"], sequenced.motif_counts, strict=True
    ):
        if (chrom, position) in seen:  # two genes, one promoter: its motifs are there already
            continue
        seen.add((chrom, position))
        chosen = np.repeat(np.arange(len(motifs)), counts)
        places = rng.choice(slots, size=len(chosen), replace=False) + rng.integers(0, 4)
        for motif, place in zip(chosen, places, strict=True):
            start = position + place if strand == "+" else position - place - width + 1
            _write_motif(genome[chrom], int(start), motifs[motif], rng)


def _plant_enhancers(
    genome: dict[str, np.ndarray], layout: Layout, sequenced: Sequenced, rng: np.random.Generator
) -> None:
    motif = np.array([_CODE[base] for base in ENHANCER_MOTIF], dtype=np.uint8)
    slots = np.arange(-120, 110, len(motif) + 4)
    enhancers = layout.enhancers
    for chrom, centre, count in zip(
        enhancers["chrom"], enhancers["centre"], sequenced.enhancer_motifs, strict=True
    ):
        for place in rng.choice(slots, size=count, replace=False):
            _write_motif(genome[chrom], int(centre + place), motif, rng)


def _write_motif(
    codes: np.ndarray, start: int, motif: np.ndarray, rng: np.random.Generator
) -> None:
    """Place one instance, on either strand, each base right with chance MOTIF_FIDELITY."""
    kept = rng.random(len(motif)) < MOTIF_FIDELITY
    instance = np.where(kept, motif, rng.integers(0, 4, len(motif), dtype=np.uint8))
    if rng.random() < 0.5:
        instance = 3 - instance[::-1]
    if start >= 0 and start + len(motif) <= len(codes):
        codes[start : start + len(motif)] = instance
