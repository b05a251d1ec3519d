"""Contacts: a value per bin around each TSS from a .hic, .cool or .mcool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prismflow.data.chromosomes import Genes
from prismflow.data.contact_guard import inspect_contacts
from prismflow.data.contacts import NO_NORMALISATION, contact_bins
from prismflow.data.kinds import AtTss, Kind, TrackSettings, absent_policy
from prismflow.errors import InputError
from prismflow.files import write_array


class Contacts(Kind):
    """A contact matrix at one resolution, kept per bin as float32."""

    def inspect(self, track: TrackSettings, genes: Genes, window_bp: int) -> dict[str, Any]:
        """Chromosomes, resolutions and normalisations of the file and the number of contacts."""
        resolution_bp, normalisation = _chosen(track)
        absent = absent_policy(track)
        content = inspect_contacts(
            track["path"], genes, resolution_bp, normalisation,
            absent_chromosomes=absent, file_format=str(track.get("format") or ""),
            window_bp=window_bp,
        )  # fmt: skip
        genes.names_in(track["path"], content["chromosomes"], absent)
        return content

    def at_tss(self, track: TrackSettings, genes: Genes, window_bp: int) -> AtTss:
        """The contact feature of the bin that holds the TSS."""
        resolution_bp, normalisation = _chosen(track)
        values, _ = contact_bins(
            track["path"], genes, window_bp=2, resolution_bp=resolution_bp,
            normalisation=normalisation, absent_chromosomes=absent_policy(track),
        )  # fmt: skip
        return AtTss(level=values.max(axis=1), level_words="the contact of the TSS with itself")

    def write(
        self, file: Path, track: TrackSettings, genes: Genes, window_bp: int, dtype: str
    ) -> dict[str, Any]:
        """The contact feature of all genes, see :mod:`prismflow.data.contacts`."""
        resolution_bp, normalisation = _chosen(track)
        pseudocount = bool(track.get("pseudocount", True))
        values, report = contact_bins(
            track["path"], genes, window_bp=window_bp, resolution_bp=resolution_bp,
            normalisation=normalisation, absent_chromosomes=absent_policy(track),
            pseudocount=pseudocount,
        )  # fmt: skip
        write_array(values, file)
        return {
            "dtype": "float32",
            "resolution_bp": resolution_bp,
            "normalisation": normalisation,
            "n_bins": values.shape[1],
            "pseudocount": pseudocount,
            "double_padding": bool(track.get("double_padding", False)),
            **report,
        }


def _chosen(track: TrackSettings) -> tuple[int, str]:
    """Bin size and normalisation of a row of the sheet."""
    if not track.get("resolution_bp"):
        raise InputError(f"{track['path']}: contacts need resolution_bp, for example 5000.")
    return int(track["resolution_bp"]), track.get("normalisation") or NO_NORMALISATION


KIND = Contacts()
