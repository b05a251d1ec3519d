"""What a portal says about a file, and whether it is the file that the sheets mean."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prismflow.errors import InputError

logger = logging.getLogger(__name__)

#: Names of one assembly in different portals; nothing else is taken as equal.
ASSEMBLIES = {"hg38": "GRCh38", "hg19": "GRCh37", "mm10": "GRCm38"}


@dataclass(frozen=True)
class Facts:
    """Metadata of one portal file; empty where the portal says nothing."""

    accession: str = ""
    md5: str = ""
    size_bytes: int | None = None
    assembly: str = ""
    output_type: str = ""
    biosample: str = ""
    status: str = ""
    file_format: str = ""
    urls: tuple[str, ...] = ()


def text(value: Any, *keys: str) -> str:
    """A nested text field, or empty: portals leave fields out or embed objects."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value.strip() if isinstance(value, str) else ""


def number(value: Any) -> int | None:
    """A size in bytes, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def same_assembly(one: str, other: str) -> bool:
    """Whether two names mean one assembly (``hg38`` and ``GRCh38`` do)."""
    return ASSEMBLIES.get(one, one).lower() == ASSEMBLIES.get(other, other).lower()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\(tier \d+\)", "", name.lower()))


def check_facts(
    facts: Facts, accession: str, where: str, assembly: str, biosamples: Sequence[str], md5: str
) -> None:
    """Compare the portal's metadata with the sheets.

    Args:
        facts: what the portal says.
        accession: the accession asked for.
        where: sheet and line.
        assembly: assembly in the tracks sheet, empty for any.
        biosamples: names that the cells sheet accepts for the cell; empty for any.
        md5: md5 in the tracks sheet, empty if unknown.

    Raises:
        InputError: another assembly, biosample or md5 than the sheets say; both are named.
    """
    if assembly and facts.assembly and not same_assembly(assembly, facts.assembly):
        raise InputError(
            f"{where}: expected assembly {assembly} (column 'assembly'), but the portal says that "
            f"{accession} is {facts.assembly}; correct the accession or the assembly."
        )
    names = [name for name in biosamples if name]
    if names and facts.biosample and _plain(facts.biosample) not in map(_plain, names):
        raise InputError(
            f"{where}: expected biosample {' or '.join(names)} (from the cells sheet), but the "
            f"portal says that {accession} is {facts.biosample!r}; correct the accession, or add "
            "the name to `biosample` of the cell (several are separated by '|')."
        )
    if md5 and facts.md5 and md5.lower() != facts.md5.lower():
        raise InputError(
            f"{where}: expected md5 {md5.lower()} for {accession}, but the portal says "
            f"{facts.md5.lower()}; is it another version of the file? Correct the sheet."
        )
    if facts.accession and facts.accession != accession:
        logger.warning("%s: the portal answers with its successor %s", accession, facts.accession)
    if facts.status and facts.status not in ("released", "released to project", "current"):
        logger.warning("%s: its status at the portal is %r", accession, facts.status)
    for name, value in (("assembly", facts.assembly), ("biosample", facts.biosample)):
        if not value:
            logger.warning("%s: the portal names no %s; it was not checked", accession, name)
    logger.info(
        "%s: output type %r, assembly %s, biosample %s, status %s",
        accession, facts.output_type, facts.assembly, facts.biosample, facts.status,
    )  # fmt: skip
