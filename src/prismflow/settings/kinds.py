"""Kinds of modalities as planning sees them: one row each; no array is touched here.

Jobs do not import this table: they find a kind's file by its name (:mod:`prismflow.data.kinds`), so
that a new row changes nothing that other kinds gave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DTYPE_BYTES = {"float32": 4, "float16": 2}


@dataclass(frozen=True)
class KindRow:
    """What planning needs to know about a kind.

    Attributes:
        formats: format -> extension of a file that is downloaded.
        bytes_per_base: bytes that a store keeps per base of a window; None for those of
            ``signal_dtype``; 0 where bins are kept.
        needs_resolution: whether a row of the tracks sheet gives ``resolution_bp`` and
            ``normalisation``.
        model_input: whether models read it as a channel.
        levelled: whether the transform `s3norm` brings its values to another cell's level.
    """

    formats: Mapping[str, str]
    bytes_per_base: int | None = None
    needs_resolution: bool = False
    model_input: bool = True
    levelled: bool = False

    def bytes_per_gene(self, window_bp: int, signal_dtype: str) -> int:
        """Bytes that a store keeps of one window; bins are too few to count."""
        own = self.bytes_per_base
        return window_bp * (DTYPE_BYTES[signal_dtype] if own is None else own)


KINDS: dict[str, KindRow] = {
    "signal": KindRow({"bigwig": "bw"}, levelled=True),
    "contacts": KindRow(
        {"hic": "hic", "cool": "cool", "mcool": "mcool"},
        bytes_per_base=0, needs_resolution=True,
    ),
    "peaks": KindRow(
        {"bigwig": "bw", "bed": "bed", "narrowpeak": "narrowPeak", "broadpeak": "broadPeak"},
        bytes_per_base=1, model_input=False,
    ),
}  # fmt: skip

TRACK_FORMATS = {name: row.formats for name, row in KINDS.items()}

#: End of a file's name -> format.
SUFFIXES = {
    "bigwig": "bigwig",
    **{
        extension.lower(): file_format
        for row in KINDS.values()
        for file_format, extension in row.formats.items()
    },
}

#: Formats of text, which a portal may hold packed.
PACKED_BY_PORTAL = ("bed", "narrowPeak", "broadPeak")


def module_of(kind: str) -> str:
    """Module that reads and stores a kind, for code digests."""
    return f"prismflow.data.kinds.{kind}"
