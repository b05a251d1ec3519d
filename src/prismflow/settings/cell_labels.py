"""Labels in the sheet of cells: files, or accessions of ENCODE that are downloaded."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prismflow.settings.sheets import Row
from prismflow.settings.tracks import Track

_ACCESSION = re.compile(r"(ENCFF[0-9A-Z]{6})(\.bigWig)?\Z")
"""Alone it is a gene quantification, with its ending a bigWig of transcription starts."""


def samples_of(row: Row) -> list[list[str]]:
    """Files of each replicate, one or plus and minus, as the column ``labels`` has them."""
    replicates = [text.strip() for text in row["labels"].split("|") if text.strip()]
    return [[path_of(part.strip()) for part in text.split(",")] for text in replicates]


def path_of(text: str) -> str:
    """A file as it stands, an accession as the place that it is downloaded to."""
    found = _ACCESSION.match(text)
    return f"resources/encode/{found[1]}.{'bw' if found[2] else 'tsv'}" if found else text


def label_tracks(cells: Mapping[str, Row]) -> dict[str, Track]:
    """Path -> download of every accession among the labels."""
    found = {}
    for cell, row in cells.items():
        for text in re.split(r"[|,]", row["labels"]):
            named = _ACCESSION.match(text.strip())
            if named:
                file_format = "bigwig" if named[2] else "text"
                path = path_of(text.strip())
                found[path] = Track(
                    cell=cell, modality="label", kind="", format=file_format, format_given=False,
                    path=path, portal="encode", accession=named[1], url="", md5="",
                    size_bytes=None, assembly="", resolution_bp=None, normalisation="",
                    absent_chromosomes="error", where=row.where, downloaded=True,
                )  # fmt: skip
    return found
