"""Where things are: chromosomes, genes, background domains, enhancers, special regions.

Coordinates are 0-based half-open. ``tss`` follows the BED-bounds convention of the gene table:
the TSS base is ``tss`` on '+' and ``tss - 1`` on '-'.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prismflow.settings.simulation import CHROMOSOME_SHARES, SimulationSettings
from prismflow.simulate.streams import stream

CHROMOSOME_MARGIN_BP = 20_000
ENHANCER_RANGE_BP = (5_000, 60_000)
ENHANCER_CLEARANCE_BP = 2_500
_END_CHROMOSOMES = ("chr1", "chrX")


@dataclass(frozen=True)
class Layout:
    """Positions shared by all cells.

    Attributes:
        sizes: chromosome -> length in bp, in file order.
        genes: gene_id symbol chrom tss strand domain role (role: special case or 'ordinary').
        domains: chrom start end; the row number is the domain's id; domains tile chromosomes.
        enhancers: chrom centre domain target (row number of the gene it loops to).
        n_runs: chrom start end of runs of N in the sequence.
        blacklist: chrom start end name.
    """

    sizes: dict[str, int]
    genes: pd.DataFrame
    domains: pd.DataFrame
    enhancers: pd.DataFrame
    n_runs: pd.DataFrame
    blacklist: pd.DataFrame


def make_layout(settings: SimulationSettings, seed: int) -> Layout:
    """Place genes, domains and enhancers; the special genes are always there.

    Special roles: ``start_of_chromosome`` and ``end_of_chromosome`` (chr1 and chrX: a 2-kb window
    runs over the end), ``shared_tss`` (two genes, chr2), ``in_n_run`` (chr4), ``blacklisted``
    (chr5).
    """
    rng = stream(seed, "layout")
    counts = _gene_counts(settings.n_genes)
    sizes: dict[str, int] = {}
    tables = []
    for chrom, count in counts.items():
        table, sizes[chrom] = _place_genes(chrom, count, settings, rng)
        tables.append(table)
    genes = pd.concat(tables, ignore_index=True)
    number = np.arange(1, len(genes) + 1)
    genes.insert(0, "gene_id", [f"SIMG{i:08d}" for i in number])
    genes.insert(1, "symbol", [f"GENE{i}" for i in number])
    domains = _make_domains(genes, sizes, settings)
    genes["domain"] = domain_of(domains, genes["chrom"].to_numpy(), genes["tss"].to_numpy())
    enhancers = _place_enhancers(genes, sizes, settings, seed)
    enhancers["domain"] = domain_of(
        domains, enhancers["chrom"].to_numpy(), enhancers["centre"].to_numpy()
    )
    return Layout(sizes, genes, domains, enhancers, _n_runs(genes, sizes), _blacklist(genes, sizes))


def tss_base(genes: pd.DataFrame) -> np.ndarray:
    """0-based position of the first transcribed base, shape (N,)."""
    return genes["tss"].to_numpy() - (genes["strand"].to_numpy() == "-")


def domain_of(domains: pd.DataFrame, chrom: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Row number in ``domains`` of each (chrom, position), shape (n,)."""
    result = np.zeros(len(chrom), dtype=np.int64)
    for name, part in domains.groupby("chrom", sort=False):
        mine = chrom == name
        inside = np.searchsorted(part["start"], position[mine], side="right") - 1
        result[mine] = part.index.to_numpy()[inside]
    return result


def _gene_counts(n_genes: int) -> dict[str, int]:
    names = list(CHROMOSOME_SHARES)
    edges = np.rint(np.cumsum(list(CHROMOSOME_SHARES.values())) * n_genes).astype(int)
    return dict(zip(names, np.diff(edges, prepend=0).tolist(), strict=True))


def _place_genes(
    chrom: str, count: int, settings: SimulationSettings, rng: np.random.Generator
) -> tuple[pd.DataFrame, int]:
    gaps = 5_000 + rng.exponential(settings.gene_spacing_bp - 5_000, count)
    close = rng.random(count) < 0.03  # neighbouring promoters inside one 2-kb window, as in nature
    gaps[close] = rng.uniform(400, 1_600, count)[close]
    strand = np.where(rng.random(count) < 0.5, "+", "-")
    role = np.full(count, "ordinary", dtype=object)
    gaps[0] = CHROMOSOME_MARGIN_BP
    margin = CHROMOSOME_MARGIN_BP
    if chrom in _END_CHROMOSOMES:
        role[0], role[-1] = "start_of_chromosome", "end_of_chromosome"
        gaps[0], margin = 350, 420
        strand[0], strand[-1] = "+", "-"
    if chrom == "chr2":
        role[3:5] = "shared_tss"
        strand[4] = strand[3]
        gaps[4] = 0
    for name, special in (("chr4", "in_n_run"), ("chr5", "blacklisted")):
        if chrom == name:
            role[5] = special
            gaps[5:7] = np.maximum(gaps[5:7], 9_000)
    tss = np.cumsum(np.rint(gaps).astype(np.int64))
    table = pd.DataFrame({"chrom": chrom, "tss": tss, "strand": strand, "role": role})
    return table, int(tss[-1]) + margin


def _make_domains(
    genes: pd.DataFrame, sizes: dict[str, int], settings: SimulationSettings
) -> pd.DataFrame:
    rows = []
    for chrom, size in sizes.items():
        tss = np.unique(genes.loc[genes["chrom"] == chrom, "tss"].to_numpy())
        n_domains = max(2, round(len(tss) / settings.genes_per_domain))
        first = np.rint(np.linspace(0, len(tss), n_domains + 1)).astype(int)[1:-1]
        edges = [0, *((tss[first - 1] + tss[first]) // 2).tolist(), size]
        rows += [(chrom, a, b) for a, b in itertools.pairwise(edges)]
    return pd.DataFrame(rows, columns=["chrom", "start", "end"])


def _place_enhancers(
    genes: pd.DataFrame, sizes: dict[str, int], settings: SimulationSettings, seed: int
) -> pd.DataFrame:
    rng = stream(seed, "enhancers")
    low, high = ENHANCER_RANGE_BP
    rows = []
    tss_by_chrom = {c: t["tss"].to_numpy() for c, t in genes.groupby("chrom", sort=False)}
    numbers = rng.poisson(settings.enhancers_per_gene, len(genes))
    for gene, (chrom, tss, number) in enumerate(
        zip(genes["chrom"], genes["tss"], numbers, strict=True)
    ):
        for _ in range(number):
            # More candidates than needed: most places near a promoter are taken.
            distance = np.exp(rng.uniform(np.log(low), np.log(high), 12)).astype(np.int64)
            centre = tss + np.where(rng.random(12) < 0.5, -distance, distance)
            free = (centre > 13_000) & (centre < sizes[chrom] - 10_000)
            nearest = np.abs(centre[:, None] - tss_by_chrom[chrom]).min(axis=1)
            free &= nearest > ENHANCER_CLEARANCE_BP
            if free.any():
                rows.append((chrom, int(centre[free][0]), gene))
    return pd.DataFrame(rows, columns=["chrom", "centre", "target"])


def _n_runs(genes: pd.DataFrame, sizes: dict[str, int]) -> pd.DataFrame:
    tss = int(genes.loc[genes["role"] == "in_n_run", "tss"].iloc[0])
    rows = [("chr4", tss - 1_500, tss + 1_500)]
    # Unknown chromosome arms, as in real assemblies; no gene lies there.
    rows += [(chrom, 0, 10_000) for chrom in sizes if chrom not in _END_CHROMOSOMES]
    table = pd.DataFrame(rows, columns=["chrom", "start", "end"])
    return table.sort_values(["chrom", "start"], ignore_index=True)


def _blacklist(genes: pd.DataFrame, sizes: dict[str, int]) -> pd.DataFrame:
    tss = int(genes.loc[genes["role"] == "blacklisted", "tss"].iloc[0])
    rows = [("chr5", tss - 1_500, tss + 1_500, "High Signal Region")]
    for chrom, size in sizes.items():
        if chrom not in _END_CHROMOSOMES:
            rows.append((chrom, 10_000, 12_000, "Low Mappability"))
            rows.append((chrom, size - 9_000, size - 7_500, "High Signal Region"))
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
    order = {name: i for i, name in enumerate(sizes)}
    return table.sort_values(
        ["chrom", "start"],
        ignore_index=True,
        key=lambda c: c.map(order) if c.name == "chrom" else c,
    )
