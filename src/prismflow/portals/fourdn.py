"""Files of the 4DN data portal: addresses, metadata and the access key."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from prismflow.errors import InputError
from prismflow.portals.metadata import Facts, number, text

URL_VARIABLE = "PRISMFLOW_4DN_URL"
KEY_VARIABLE = "PRISMFLOW_4DN_KEY_ID"
SECRET_VARIABLE = "PRISMFLOW_4DN_SECRET"
ADVICE = (
    f"an access key of the 4DN portal may be needed: set the environment variables {KEY_VARIABLE} "
    f"and {SECRET_VARIABLE} (docs/data.md)"
)


def base_url() -> str:
    """Address of the portal; the environment may name a mirror."""
    return os.environ.get(URL_VARIABLE, "https://data.4dnucleome.org").rstrip("/")


def credentials() -> dict[str, tuple[str, str]]:
    """The access key for the portal's host, from the environment only; empty without one.

    Raises:
        InputError: only one of the two variables is set.
    """
    key, secret = os.environ.get(KEY_VARIABLE, ""), os.environ.get(SECRET_VARIABLE, "")
    if bool(key) != bool(secret):
        raise InputError(
            f"environment: expected both {KEY_VARIABLE} and {SECRET_VARIABLE} or neither, found "
            f"only {KEY_VARIABLE if key else SECRET_VARIABLE}; set the other one."
        )
    return {urlsplit(base_url()).netloc: (key, secret)} if key else {}


def metadata_url(accession: str) -> str:
    """Address of a file's metadata as JSON."""
    return f"{base_url()}/files-processed/{accession}/?format=json"


def file_url(accession: str, extension: str) -> str:
    """Address of a file."""
    return f"{base_url()}/files-processed/{accession}/@@download/{accession}.{extension}"


def read_facts(document: Any) -> Facts:
    """Metadata from the portal's JSON; fields that are absent stay empty."""
    public = text(document, "open_data_url")
    return Facts(
        accession=text(document, "accession"),
        md5=text(document, "md5sum"),
        size_bytes=number(document.get("file_size")) if isinstance(document, dict) else None,
        assembly=text(document, "genome_assembly"),
        output_type=text(document, "file_type") or text(document, "file_type_detailed"),
        biosample=text(document, "track_and_facet_info", "biosource_name"),
        status=text(document, "status"),
        file_format=text(document, "file_format", "display_title"),
        urls=(public,) if public.startswith(("https://", "http://")) else (),
    )
