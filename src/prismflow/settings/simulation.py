"""Settings of the simulator and the names of its files; imports no numeric library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from prismflow.settings.definitions import build
from prismflow.settings.keys import STRICT, Number, Whole, key

# Chromosome -> share of the genes. The names make the paper's fold 11 apply: chr3 and chr21 are
# its validation chromosomes, chr22 and chrX its test chromosomes, the others train.
CHROMOSOME_SHARES: dict[str, float] = {
    "chr1": 0.200,
    "chr2": 0.170,
    "chr3": 0.090,
    "chr4": 0.150,
    "chr5": 0.115,
    "chr21": 0.055,
    "chr22": 0.115,
    "chrX": 0.105,
}
VALIDATION_CHROMOSOMES = ("chr3", "chr21")
TEST_CHROMOSOMES = ("chr22", "chrX")
TRACKS = ("h3k27ac", "dnase")
EXTRA_TRACK = "h3k4me3"
MINIMUM_GENES = 80

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def _names(cells: tuple[str, ...]) -> tuple[str, ...]:
    if not cells or len(set(cells)) < len(cells) or not all(map(_WORD.fullmatch, cells)):
        raise PydanticCustomError(
            "names", "distinct names of letters, digits, hyphens and underscores"
        )
    return cells


def _multiples(sizes: tuple[int, ...]) -> tuple[int, ...]:
    base, *coarser = sizes or (0,)
    wrong = any(size <= base or size % base for size in coarser) if base else True
    if base < 1_000 or wrong or len(set(coarser)) < len(coarser):
        raise PydanticCustomError(
            "multiples", "a bin size of at least 1000 bp followed by larger multiples of it"
        )
    return sizes


def _between(meaning: str, default: float, low: float, high: float) -> Any:
    expected = f"a number between {low:g} and {high:g}"
    return key(meaning, default, ge=low, le=high, expected=expected)


@dataclass(frozen=True, config=STRICT)
class SimulationSettings:
    """Parameters of the structural causal model (symbols as in docs/simulation.md)."""

    SPARSE: ClassVar[bool] = True

    n_genes: Whole = key("Genes over all chromosomes.", 640, ge=MINIMUM_GENES)
    cells: Annotated[tuple[str, ...], AfterValidator(_names)] = key(
        "Names of the cells; the first one's contacts are .mcool, the others' are .hic. Without it "
        "those of the dataset.",
        ("simA", "simB"),
    )
    gene_spacing_bp: Whole = key("Mean distance between neighbouring TSSs.", 13_000, ge=8_000)
    genes_per_domain: Whole = key(
        "Mean number of neighbouring genes that share a background state C.", 4, ge=1
    )
    enhancers_per_gene: Number = key(
        "Mean number of distal enhancers that loop to a gene.", 1.2, gt=0, lt=1e6
    )
    confounding: Number = _between(
        "Kappa on training and validation chromosomes, the correlation of C with promoter "
        "activity; negative values turn the shortcut round.",
        0.5, -0.95, 0.95,
    )  # fmt: skip
    confounding_test: Number = _between(
        "Kappa on the test chromosomes (chr22, chrX).", 0.5, -0.95, 0.95
    )
    sequence_share: Number = _between(
        "Share of the activity not explained by C that promoter motifs carry.", 0.3, 0.0, 1.0
    )
    silent_fraction: Number = _between(
        "Expected fraction of genes whose promoter is off.", 0.25, 0.0, 0.9
    )
    signal_noise: Number = _between(
        "Sd of the log-normal noise of a promoter's H3K27ac (DNase: 1.5 times).", 0.4, 0.0, 5.0
    )
    label_noise: Number = _between("Sd of the noise of log10 expression.", 0.35, 0.0, 5.0)
    background_effect: Number = _between("How strongly C raises DNase and contacts.", 0.7, 0.0, 3.0)
    distal_effect: Number = _between(
        "Change of log10 expression per sd of the enhancers' contact-weighted sum.", 0.25, 0.0, 5.0
    )
    stability_effect: Number = _between(
        "Change of log10 expression per sd of the mRNA features' true score.", 0.3, 0.0, 5.0
    )
    missing_fraction: Number = _between("Share of each bigWig without data.", 0.01, 0.0, 0.5)
    contact_depth: Number = key(
        "Expected count of a bin's contact with itself.", 300.0, gt=0, lt=1e6
    )
    resolutions_bp: Annotated[tuple[Whole, ...], AfterValidator(_multiples)] = key(
        "Bin sizes of the contact files; each a multiple of the first.", (5_000, 10_000)
    )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> SimulationSettings:
        """Build checked settings from a mapping (for example one read from YAML).

        Raises:
            InputError: unknown key, wrong type or value out of range.
        """
        return build(cls, values or {}, "simulate")


@dataclass(frozen=True, config=STRICT)
class SimulatedGenome(SimulationSettings):
    """The simulator's settings as a dataset names them."""

    seed: Whole = key("Seed of everything that is drawn.", 0, ge=0)


def simulated_files(settings: dict[str, Any] | None) -> list[str]:
    """Names of the files that :func:`prismflow.simulate.simulate` writes, in a fixed order.

    Raises:
        InputError: as :meth:`SimulationSettings.from_dict`.
    """
    chosen = SimulationSettings.from_dict(settings)
    names = ["genome.fa", "genome.fa.fai", "chrom.sizes", "genes.tsv", "blacklist.bed"]
    for index, cell in enumerate(chosen.cells):
        names += [f"{cell}.{track}.bw" for track in (*TRACKS, EXTRA_TRACK)]
        names += [f"{cell}.dnase_peaks.narrowPeak", contact_file(cell, index)]
    return [*names, "truth.tsv"]


def contact_file(cell: str, index: int) -> str:
    """Name of a cell's contact file: .mcool for the first cell, .hic for every other."""
    return f"{cell}.mcool" if index == 0 else f"{cell}.hic"
