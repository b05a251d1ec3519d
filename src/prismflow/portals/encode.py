"""Files of the ENCODE portal: addresses and metadata."""

from __future__ import annotations

import os
from typing import Any

from prismflow.portals.metadata import Facts, number, text

URL_VARIABLE = "PRISMFLOW_ENCODE_URL"
_EXTENSIONS = {"bw": "bigWig", "bed.gz": "bed.gz", "narrowPeak.gz": "bed.gz"}


def base_url() -> str:
    """Address of the portal; the environment may name a mirror."""
    return os.environ.get(URL_VARIABLE, "https://www.encodeproject.org").rstrip("/")


def metadata_url(accession: str) -> str:
    """Address of a file's metadata as JSON."""
    return f"{base_url()}/files/{accession}/?format=json"


def file_url(accession: str, extension: str) -> str:
    """Address of a file; ``extension`` is that of the local name."""
    name = f"{accession}.{_EXTENSIONS.get(extension, extension)}"
    return f"{base_url()}/files/{accession}/@@download/{name}"


def read_facts(document: Any) -> Facts:
    """Metadata from the portal's JSON; fields that are absent stay empty."""
    biosample = text(document, "biosample_ontology", "term_name") or text(
        document, "dataset", "biosample_ontology", "term_name"
    )
    cloud = text(document, "cloud_metadata", "url")
    return Facts(
        accession=text(document, "accession"),
        md5=text(document, "md5sum"),
        size_bytes=number(document.get("file_size")) if isinstance(document, dict) else None,
        assembly=text(document, "assembly"),
        output_type=text(document, "output_type"),
        biosample=biosample,
        status=text(document, "status"),
        file_format=text(document, "file_format"),
        urls=(cloud,) if cloud.startswith(("https://", "http://")) else (),
    )
