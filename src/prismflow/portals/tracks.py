"""Bring one track of the tracks sheet: metadata, checks, download, record."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.files import read_json, write_json
from prismflow.portals import encode, fourdn, partial
from prismflow.portals.client import Refused, download, get_json
from prismflow.portals.metadata import Facts, check_facts
from prismflow.portals.network import Network, Wanted

logger = logging.getLogger(__name__)

_PORTALS = {"encode": encode, "4dn": fourdn}


def download_track(
    track: Mapping[str, Any],
    path: str | Path,
    metadata_path: str | Path,
    settings: Mapping[str, Any],
    folder: Path = partial.FOLDER,
) -> None:
    """Download the file of one row of the tracks sheet and write what is known of it beside it.

    Args:
        track: sheet, cell, modality, portal, accession, url, md5, size_bytes, assembly, biosample,
            format and extension.
        path: where the file goes.
        metadata_path: where the record (JSON) goes.
        settings: ``downloads`` of the configuration.
        folder: where unfinished bytes are kept.

    Raises:
        InputError: wrong accession, assembly, biosample or content; see also
            :func:`prismflow.portals.client.download`.
    """
    network = Network.from_settings(settings)
    where = row_of(track["sheet"], {"cell": track["cell"], "modality": track["modality"]})
    wanted = Wanted(
        what=track["accession"] or f"{track['cell']} {track['modality']}",
        where=where,
        urls=tuple(track["url"].split()),
        format=track["format"],
        md5=track["md5"],
        size_bytes=track["size_bytes"],
    )
    facts = Facts()
    portal = _PORTALS.get(track["portal"])
    if portal is not None:
        wanted, facts = _asked(portal, wanted, track, network, folder)
    record = download(wanted, path, network, folder)
    write_json(
        record
        | {
            "portal": track["portal"] or "url",
            "accession": track["accession"],
            "cell": track["cell"],
            "modality": track["modality"],
            "assembly": facts.assembly,
            "biosample": facts.biosample,
            "output_type": facts.output_type,
            "status": facts.status,
        },
        metadata_path,
    )


def _asked(
    portal: Any, wanted: Wanted, track: Mapping[str, Any], network: Network, folder: Path
) -> tuple[Wanted, Facts]:
    """Ask the portal about the file; complete what is wanted with its address, md5 and size."""
    accession = track["accession"]
    credentials = portal.credentials() if portal is fourdn else {}
    advice = fourdn.ADVICE if portal is fourdn else "the file is not public"
    own = portal.file_url(accession, track["extension"])
    ask = Wanted(accession, wanted.where, (), credentials=credentials, advice=advice)
    kept = folder / f"{partial.key_of(own)}.metadata.json"
    facts = Facts()
    try:
        document = _document(portal.metadata_url(accession), ask, network, kept)
        facts = portal.read_facts(document)
    except Refused as refusal:
        if not wanted.md5:
            raise InputError(
                f"{wanted.name}: the portal's metadata could not be read: {refusal}."
            ) from None
        logger.warning("%s: no metadata (%s); the md5 of the sheet is checked", accession, refusal)
    names = track["biosample"].split("|")
    check_facts(facts, accession, wanted.where, track["assembly"], names, wanted.md5)
    given = wanted.size_bytes
    if given is not None and facts.size_bytes is not None and given != facts.size_bytes:
        raise InputError(
            f"{wanted.where}: expected {given} bytes for {accession}, but the portal says "
            f"{facts.size_bytes}; is it another version of the file? Correct the sheet."
        )
    complete = Wanted(
        what=accession,
        where=wanted.where,
        # The key of the kept bytes is the first address: the portal's own, which does not change.
        urls=tuple(dict.fromkeys([*wanted.urls, own, *facts.urls])),
        format=wanted.format,
        md5=(wanted.md5 or facts.md5).lower(),
        size_bytes=given if given is not None else facts.size_bytes,
        credentials=credentials,
        advice=advice,
    )
    return complete, facts


def _document(url: str, ask: Wanted, network: Network, kept: Path) -> Any:
    """The portal's JSON; offline, the one that was read before."""
    if network.offline:
        if kept.is_file():
            return read_json(kept)
        raise Refused("the network is switched off")
    document = get_json(url, ask, network)
    write_json(document, kept)
    return document


def row_of(sheet: str | Path, key: Mapping[str, str]) -> str:
    """``config/tracks.tsv, line 2``: where a row stands now (not a rule parameter: lines move)."""
    header: list[str] | None = None
    with open(sheet, encoding="utf-8-sig", newline="") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            values = [value.strip() for value in next(csv.reader([line], delimiter="\t"))]
            if header is None:
                header = values
            elif key.items() <= dict(zip(header, values, strict=False)).items():
                return f"{sheet}, line {number}"
    return f"{sheet}, row {' / '.join(key.values())}"
