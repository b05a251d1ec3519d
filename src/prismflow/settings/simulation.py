"""Settings of the simulator and the names of its files; imports no numeric library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from prismflow.settings.definitions import build
from prismflow.settings.keys import STRICT, Number, Whole, setting

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


def _between(default: float, low: float, high: float) -> Any:
    expected = f"a number between {low:g} and {high:g}"
    return setting(default, ge=low, le=high, expected=expected)


@dataclass(frozen=True, config=STRICT)
class SimulationSettings:
    """Parameters of the structural causal model (symbols as in docs/simulation.md).

    Attributes:
        n_genes: genes over all chromosomes.
        cells: names of the cells; the first one's contacts are .mcool, the others' are .hic.
            Without it those of the dataset.
        gene_spacing_bp: mean distance between neighbouring TSSs.
        genes_per_domain: mean number of neighbouring genes that share a background state C.
        enhancers_per_gene: mean number of distal enhancers that loop to a gene.
        confounding: kappa on training and validation chromosomes, the correlation of C with
            promoter activity; negative values turn the shortcut round.
        confounding_test: kappa on the test chromosomes (chr22, chrX).
        sequence_share: share of the activity not explained by C that promoter motifs carry.
        sequence_background: tau, how strongly C changes what the motifs do: their effect is
            multiplied by 1 + tau C, at equal variance.
        silent_fraction: expected fraction of genes whose promoter is off.
        signal_noise: sd of the log-normal noise of a promoter's H3K27ac (DNase: 1.5 times).
        label_noise: sd of the noise of log10 expression.
        background_effect: how strongly C raises DNase and contacts.
        distal_effect: change of log10 expression per sd of the enhancers' contact-weighted sum.
        stability_effect: change of log10 expression per sd of the mRNA features' true score.
        missing_fraction: share of each bigWig without data.
        contact_depth: expected count of a bin's contact with itself.
        resolutions_bp: bin sizes of the contact files; each a multiple of the first.
    """

    SPARSE: ClassVar[bool] = True

    n_genes: Whole = setting(640, ge=MINIMUM_GENES)
    cells: Annotated[tuple[str, ...], AfterValidator(_names)] = setting(("simA", "simB"))
    gene_spacing_bp: Whole = setting(13000, ge=8000)
    genes_per_domain: Whole = setting(4, ge=1)
    enhancers_per_gene: Number = setting(1.2, gt=0, lt=1000000.0)
    confounding: Number = _between(0.5, -0.95, 0.95)  # fmt: skip
    confounding_test: Number = _between(0.5, -0.95, 0.95)
    sequence_share: Number = _between(0.3, 0.0, 1.0)
    sequence_background: Number = _between(0.0, -3.0, 3.0)
    silent_fraction: Number = _between(0.25, 0.0, 0.9)
    signal_noise: Number = _between(0.4, 0.0, 5.0)
    label_noise: Number = _between(0.35, 0.0, 5.0)
    background_effect: Number = _between(0.7, 0.0, 3.0)
    distal_effect: Number = _between(0.25, 0.0, 5.0)
    stability_effect: Number = _between(0.3, 0.0, 5.0)
    missing_fraction: Number = _between(0.01, 0.0, 0.5)
    contact_depth: Number = setting(300.0, gt=0, lt=1000000.0)
    resolutions_bp: Annotated[tuple[Whole, ...], AfterValidator(_multiples)] = setting(
        (5000, 10000)
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
    """The simulator's settings as a dataset names them.

    Attributes:
        seed: seed of everything that is drawn.
    """

    seed: Whole = setting(0, ge=0)


#: Kinds that the simulator writes -> name of the file, where it simulates one cell.
SIMULATED_NAMES = {"signal": "{cell}.{modality}.bw", "contacts": "{cell}.mcool"}


def simulated_files(settings: dict[str, Any] | None) -> list[str]:
    """Names of the files that :func:`prismflow.simulate.simulate` writes, in a fixed order.

    Raises:
        InputError: as :meth:`SimulationSettings.from_dict`.
    """
    chosen = SimulationSettings.from_dict(settings)
    names = ["genome.fa", "genome.fa.fai", "chrom.sizes", "genes.tsv", "blacklist.bed"]
    for index, cell in enumerate(chosen.cells):
        names += [f"{cell}.{track}.bw" for track in (*TRACKS, EXTRA_TRACK)]
        names += [f"{cell}.dnase_peaks.narrowPeak", f"{cell}.crispri.tsv"]
        names.append(contact_file(cell, index))
    return [*names, "truth.tsv"]


def simulated_file(kind: str, cell: str, modality: str) -> str:
    """Name of the file that a simulation of one cell writes for a modality of a kind."""
    return SIMULATED_NAMES[kind].format(cell=cell, modality=modality)


def contact_file(cell: str, index: int) -> str:
    """Name of a cell's contact file: .mcool for the first cell, .hic for every other."""
    return f"{cell}.mcool" if index == 0 else f"{cell}.hic"
