"""Settings of the simulator and the names of its files; imports no numeric library."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from prismflow.errors import InputError

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
_RANGES: dict[str, tuple[float, float]] = {
    "confounding": (-0.95, 0.95),
    "confounding_test": (-0.95, 0.95),
    "sequence_share": (0.0, 1.0),
    "silent_fraction": (0.0, 0.9),
    "signal_noise": (0.0, 5.0),
    "label_noise": (0.0, 5.0),
    "background_effect": (0.0, 3.0),
    "distal_effect": (0.0, 5.0),
    "stability_effect": (0.0, 5.0),
    "missing_fraction": (0.0, 0.5),
}


@dataclasses.dataclass(frozen=True)
class SimulationSettings:
    """Parameters of the structural causal model (symbols as in docs/simulation.md).

    Attributes:
        n_genes: number of genes over all chromosomes (at least 80).
        cells: names of the cells; the first one's contacts are .mcool, the others' are .hic.
        gene_spacing_bp: mean distance between neighbouring TSSs.
        genes_per_domain: mean number of neighbouring genes that share a background state C.
        enhancers_per_gene: mean number of distal enhancers that loop to a gene.
        confounding: kappa on training and validation chromosomes, the correlation of C with
            promoter activity; negative values turn the shortcut round.
        confounding_test: kappa on the test chromosomes (chr22, chrX).
        sequence_share: share of the activity not explained by C that promoter motifs carry.
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

    n_genes: int = 640
    cells: tuple[str, ...] = ("simA", "simB")
    gene_spacing_bp: int = 13_000
    genes_per_domain: int = 4
    enhancers_per_gene: float = 1.2
    confounding: float = 0.5
    confounding_test: float = 0.5
    sequence_share: float = 0.3
    silent_fraction: float = 0.25
    signal_noise: float = 0.4
    label_noise: float = 0.35
    background_effect: float = 0.7
    distal_effect: float = 0.25
    stability_effect: float = 0.3
    missing_fraction: float = 0.01
    contact_depth: float = 300.0
    resolutions_bp: tuple[int, ...] = (5_000, 10_000)

    @classmethod
    def from_dict(cls, values: dict[str, Any] | None) -> SimulationSettings:
        """Build checked settings from a mapping (for example one read from YAML).

        Raises:
            InputError: unknown key, wrong type or value out of range.
        """
        values = dict(values or {})
        known = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise InputError(
                f"Simulation settings: unknown key {', '.join(map(repr, unknown))}; "
                f"known keys are {', '.join(known)}."
            )
        return cls(**{key: _checked(key, value, known[key]) for key, value in values.items()})

    def __post_init__(self) -> None:
        """Check ranges, so that a mistake is one sentence and not a strange data set."""
        for key, (low, high) in _RANGES.items():
            if not low <= getattr(self, key) <= high:
                _refuse(key, f"a number between {low:g} and {high:g}", getattr(self, key))
        for key, low in (("n_genes", MINIMUM_GENES), ("genes_per_domain", 1)):
            if getattr(self, key) < low:
                _refuse(key, f"an integer of at least {low}", getattr(self, key))
        if self.gene_spacing_bp < 8_000:
            _refuse("gene_spacing_bp", "at least 8000 bp", self.gene_spacing_bp)
        for key in ("contact_depth", "enhancers_per_gene"):
            if not 0 < getattr(self, key) < 1e6:
                _refuse(key, "a positive number", getattr(self, key))
        names = self.cells
        if not names or len(set(names)) < len(names) or not all(map(_WORD.fullmatch, names)):
            _refuse("cells", "distinct names of letters, digits, hyphens and underscores", names)
        base, *coarser = self.resolutions_bp or (0,)
        if (
            base < 1_000
            or any(r <= base or r % base for r in coarser)
            or (len(set(coarser)) < len(coarser))
        ):
            _refuse(
                "resolutions_bp",
                "a bin size of at least 1000 bp followed by larger multiples of it",
                self.resolutions_bp,
            )


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


def _checked(key: str, value: Any, field: dataclasses.Field[Any]) -> Any:
    default = field.default
    if isinstance(default, tuple):
        kind = type(default[0])
        if not isinstance(value, list | tuple) or not all(_is(v, kind) for v in value):
            _refuse(key, f"a list of {kind.__name__} values", value)
        return tuple(value)
    kind = type(default)
    if not _is(value, kind):
        _refuse(key, {"int": "an integer", "float": "a number"}[kind.__name__], value)
    return kind(value)


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


def _refuse(key: str, expected: str, found: Any) -> None:
    raise InputError(f"Simulation setting '{key}': expected {expected}, found {found!r}.")
