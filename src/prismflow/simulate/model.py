"""The structural causal model. Equation numbers refer to docs/simulation.md."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from prismflow.settings.simulation import (
    TEST_CHROMOSOMES,
    VALIDATION_CHROMOSOMES,
    SimulationSettings,
)
from prismflow.simulate.layout import Layout
from prismflow.simulate.streams import stream

GENE_FEATURES = (
    "utr5_length",
    "cds_length",
    "intron_length",
    "utr3_length",
    "utr5_gc",
    "cds_gc",
    "utr3_gc",
    "orf_exon_density",
)
# Promoter motifs: consensus and effect on activity. The last one represses.
MOTIFS: dict[str, str] = {
    "gc_box": "GGGGCGGGGC",
    "ets": "ACCGGAAGTG",
    "cre": "GTGACGTCAC",
    "e_box": "GGTCACGTGA",
    "silencer": "TTCAGCACCA",
}
MOTIF_EFFECTS = np.array([1.0, 1.0, 0.8, 0.7, -1.2])
MOTIF_MEANS = np.array([0.9, 0.7, 0.5, 0.5, 0.4])
ENHANCER_MOTIF = "TGAGTCATCC"
DISTAL_REACH_BP = 100_000
DISTANCE_EXPONENT = 0.87
DOMAIN_BOOST = 1.5
LOOP_STRENGTH = 0.35
MAX_HEIGHT = 40.0


@dataclass(frozen=True)
class Sequenced:
    """What the sequence holds, equal in all cells.

    Attributes:
        motif_counts: (N, 5) instances of each motif at each promoter.
        motif_score: (N,) standardised weighted count.
        enhancer_motifs: (E,) instances at each enhancer.
        mrna: (N, 8) features in the order of GENE_FEATURES.
        stability: (N,) standardised score of the mRNA features.
    """

    motif_counts: np.ndarray
    motif_score: np.ndarray
    enhancer_motifs: np.ndarray
    mrna: np.ndarray
    stability: np.ndarray


@dataclass(frozen=True)
class CellState:
    """True causes in one cell; (D,) per domain, (E,) per enhancer, (N,) per gene."""

    domain_background: np.ndarray
    enhancer_activity: np.ndarray
    background: np.ndarray
    motif_effect: np.ndarray
    unseen: np.ndarray
    activity: np.ndarray
    active: np.ndarray
    distal: np.ndarray
    log_expression: np.ndarray
    cage: np.ndarray
    rna: np.ndarray
    h3k27ac_height: np.ndarray
    dnase_height: np.ndarray
    h3k4me3_height: np.ndarray
    promoter_activity: np.ndarray


def make_sequenced(layout: Layout, seed: int) -> Sequenced:
    """Draw motif counts and mRNA features (equations 1-3)."""
    rng = stream(seed, "motifs")
    n_genes = len(layout.genes)
    counts = np.minimum(rng.poisson(MOTIF_MEANS, (n_genes, len(MOTIFS))), 3)
    twin = _shared_tss_rows(layout)
    counts[twin[1:]] = counts[twin[:1]]
    enhancer_motifs = np.minimum(rng.poisson(1.2, len(layout.enhancers)), 4)
    rng = stream(seed, "mrna")
    lengths = rng.standard_normal((n_genes, 4))
    gc = np.clip(rng.normal([0.60, 0.52, 0.44], [0.09, 0.07, 0.07], (n_genes, 3)), 0.2, 0.9)
    density = np.exp(rng.normal(2.1, 0.6, n_genes))
    mrna = np.column_stack([lengths, gc, density])
    stability = (
        -0.5 * lengths[:, 0]
        - 0.4 * lengths[:, 1]
        - 0.6 * lengths[:, 3]
        + 6.0 * (gc[:, 1] - 0.52)
        + 0.5 * (np.log(density) - 2.1) / 0.6
    )
    return Sequenced(
        counts, _standard(counts @ MOTIF_EFFECTS), enhancer_motifs, mrna, _standard(stability)
    )


def make_cell(
    layout: Layout, sequenced: Sequenced, settings: SimulationSettings, seed: int, cell: int
) -> CellState:
    """Draw the causes and the labels of one cell (equations 4-15)."""
    genes = layout.genes
    domain_background = _domain_background(layout, seed, cell)
    background = domain_background[genes["domain"].to_numpy()]
    motif_effect, unseen = _activity_parts(layout, sequenced, seed, cell)
    tau = settings.sequence_background
    motif_effect = motif_effect * (1 + tau * background) / np.sqrt(1 + tau**2)
    kappa = np.where(
        genes["chrom"].isin(TEST_CHROMOSOMES), settings.confounding_test, settings.confounding
    )
    share = settings.sequence_share
    own = np.sqrt(share) * motif_effect + np.sqrt(1 - share) * unseen
    activity = kappa * background + np.sqrt(1 - kappa**2) * own
    threshold = NormalDist().inv_cdf(settings.silent_fraction) if settings.silent_fraction else -9.0
    active = activity > threshold
    drive = np.where(active, activity - max(threshold, -2.0), 0.0)
    enhancer_activity = _enhancer_activity(layout, sequenced, seed, cell)
    distal = _distal(layout, enhancer_activity)
    rng = stream(seed, "expression", cell)
    noise = rng.standard_normal(len(genes))
    log_expression = (
        0.55
        + 1.05 * drive
        + settings.distal_effect * distal
        + settings.stability_effect * sequenced.stability
        + settings.label_noise * noise
    )
    counts = rng.poisson(np.clip(10**log_expression, 0, 30_000))
    cage = np.where(active, counts, rng.poisson(0.12, len(genes)))
    h3k27ac, dnase, promoter = _heights(layout, drive, active, background, settings, seed, cell)
    return CellState(
        domain_background,
        enhancer_activity,
        background,
        motif_effect,
        unseen,
        activity,
        active,
        distal,
        log_expression,
        cage,
        _rna(log_expression, active, sequenced, stream(seed, "rna", cell)),
        h3k27ac,
        dnase,
        _h3k4me3_height(drive, active, settings, stream(seed, "h3k4me3", cell)),
        promoter,
    )


def _rna(
    log_expression: np.ndarray, active: np.ndarray, sequenced: Sequenced, rng: np.random.Generator
) -> np.ndarray:
    """z-scores of log10(RPKM + 0.1): stable mRNAs accumulate (equation 14)."""
    noise = rng.standard_normal(len(active))
    level = log_expression + 0.3 * sequenced.stability + 0.2 * noise
    rpkm = np.where(active, 10 ** (level - 1.0), 10 ** (-1.5 + 0.3 * noise))
    return _standard(np.log10(rpkm + 0.1))


def _h3k4me3_height(
    drive: np.ndarray, active: np.ndarray, settings: SimulationSettings, rng: np.random.Generator
) -> np.ndarray:
    """Another noisy mark of active promoters, untouched by the background (equation 15)."""
    noise = np.exp(settings.signal_noise * rng.standard_normal(len(active)))
    return np.minimum(np.where(active, 4.0 * np.exp(0.5 * drive), 0.4) * noise, 40.0)


def relative_contact(distance_bp: np.ndarray, same_domain: np.ndarray) -> np.ndarray:
    """Contact relative to a bin's contact with itself, background taken out (equation 7)."""
    decay = (np.abs(distance_bp) / 5_000 + 1.0) ** -DISTANCE_EXPONENT
    return decay * np.where(same_domain, DOMAIN_BOOST, 1.0)


def _domain_background(layout: Layout, seed: int, cell: int) -> np.ndarray:
    """C per domain: half shared by the cells; normal quantiles within each split (equation 4).

    Quantiles, because train, validation and test must have the same distribution of C although
    the test chromosomes hold only some dozens of domains.
    """
    chrom = layout.domains["chrom"]
    groups = (
        chrom.isin(TEST_CHROMOSOMES).to_numpy() * 2 + chrom.isin(VALIDATION_CHROMOSOMES).to_numpy()
    )
    shared = stream(seed, "domains").standard_normal(len(chrom))
    mixed = shared + stream(seed, "domains", cell + 1).standard_normal(len(chrom))
    result = np.empty(len(chrom))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        ranks = np.argsort(np.argsort(mixed[rows]))
        quantiles = [NormalDist().inv_cdf((rank + 0.5) / len(rows)) for rank in ranks]
        result[rows] = quantiles
    return result


def _activity_parts(
    layout: Layout, sequenced: Sequenced, seed: int, cell: int
) -> tuple[np.ndarray, np.ndarray]:
    n_genes = len(layout.genes)
    levels = np.exp(stream(seed, "activity", 1_000 + cell).normal(0, 0.15, len(MOTIF_EFFECTS)))
    motif_effect = _standard(sequenced.motif_counts @ (MOTIF_EFFECTS * levels))
    shared = stream(seed, "activity").standard_normal(n_genes)
    specific = stream(seed, "activity", cell + 1).standard_normal(n_genes)
    unseen = np.sqrt(0.5) * shared + np.sqrt(0.5) * specific
    twin = _shared_tss_rows(layout)
    unseen[twin[1:]] = unseen[twin[:1]]  # one promoter, two genes
    return motif_effect, unseen


def _enhancer_activity(layout: Layout, sequenced: Sequenced, seed: int, cell: int) -> np.ndarray:
    """Log-normal strength from motifs and an unseen part; 0 where the enhancer is off (eq. 6)."""
    n_enhancers = len(layout.enhancers)
    shared = stream(seed, "enhancers", 1).standard_normal(n_enhancers)
    specific = stream(seed, "enhancers", cell + 2).standard_normal(n_enhancers)
    latent = 0.6 * (sequenced.enhancer_motifs - 1.2) + 0.6 * shared + 0.6 * specific
    return np.where(latent > -0.4, np.exp(0.6 * latent), 0.0)


def _distal(layout: Layout, enhancer_activity: np.ndarray) -> np.ndarray:
    """Standardised log of the contact-weighted sum over enhancers in reach (equation 8)."""
    genes, enhancers = layout.genes, layout.enhancers
    total = np.zeros(len(genes))
    for chrom in layout.sizes:
        rows = np.flatnonzero((genes["chrom"] == chrom).to_numpy())
        columns = np.flatnonzero((enhancers["chrom"] == chrom).to_numpy())
        contact, _ = enhancer_contacts(layout, rows, columns)
        total[rows] = contact @ enhancer_activity[columns]
    return _standard(np.log(0.3 + total))


def enhancer_contacts(
    layout: Layout, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Contact (0 out of reach) and distance in bp of genes and enhancers of a chromosome, (n, m).

    Args:
        rows: (n,) numbers of the genes.
        columns: (m,) numbers of the enhancers.
    """
    genes, enhancers = layout.genes, layout.enhancers
    tss = genes["tss"].to_numpy()[rows, None]
    distance = np.abs(tss - enhancers["centre"].to_numpy()[columns])
    same = genes["domain"].to_numpy()[rows, None] == enhancers["domain"].to_numpy()[columns]
    loops = enhancers["target"].to_numpy()[columns] == rows[:, None]
    contact = relative_contact(distance, same) + LOOP_STRENGTH * loops
    contact[distance > DISTAL_REACH_BP] = 0.0
    return contact, distance


def _heights(
    layout: Layout,
    drive: np.ndarray,
    active: np.ndarray,
    background: np.ndarray,
    settings: SimulationSettings,
    seed: int,
    cell: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Peak heights of both tracks and the raw promoter activity (equations 11-13)."""
    rng = stream(seed, "replicate", cell)
    n_genes = len(drive)
    noise = settings.signal_noise * rng.standard_normal((4, n_genes))
    twin = _shared_tss_rows(layout)
    noise[:, twin[1:]] = noise[:, twin[:1]]
    open_chromatin = np.exp(0.5 * settings.background_effect * background)
    clean_h3k27ac = np.where(active, 3.0 * np.exp(0.95 * drive), 0.5)
    clean_dnase = np.where(active, 2.0 * np.exp(0.70 * drive), 0.8) * open_chromatin
    h3k27ac = clean_h3k27ac * np.exp(noise[0])
    dnase = clean_dnase * np.exp(1.5 * noise[1])
    # Another, shallow pair of libraries: few reads, more noise, scaled to reads per million.
    reads_h = rng.poisson(0.25 * clean_h3k27ac * np.exp(3.5 * noise[2]) + 0.2)
    reads_d = rng.poisson(0.25 * clean_dnase * np.exp(3.5 * noise[3]) + 0.2)
    promoter = np.sqrt(4.0 * reads_h * 5.5 * reads_d)
    promoter[twin[1:]] = promoter[twin[:1]]
    return np.minimum(h3k27ac, MAX_HEIGHT), np.minimum(dnase, MAX_HEIGHT), promoter


def _shared_tss_rows(layout: Layout) -> np.ndarray:
    return np.flatnonzero((layout.genes["role"] == "shared_tss").to_numpy())


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()
