"""Bring one file of the references sheet: from its address, a local copy, or an archive."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.files import write_json
from prismflow.portals import partial
from prismflow.portals.archives import extract_member
from prismflow.portals.checks import HEAD_BYTES, format_of, wrong_content, wrong_start
from prismflow.portals.client import download
from prismflow.portals.network import Network, Wanted
from prismflow.portals.tracks import row_of

logger = logging.getLogger(__name__)


def download_reference(
    reference: Mapping[str, Any],
    path: str | Path,
    metadata_path: str | Path,
    settings: Mapping[str, Any],
    folder: Path = partial.FOLDER,
) -> None:
    """Download a reference file, or link the user's local copy in its place.

    Args:
        reference: a row, as :meth:`prismflow.settings.shared_files.Reference.as_dict` gives it.
        path: where the file goes.
        metadata_path: where the record (JSON) goes.
        settings: ``downloads`` of the configuration.
        folder: where unfinished bytes are kept.

    Raises:
        InputError: see :func:`prismflow.portals.client.download`; or a local copy that is not
            what the row says.
    """
    wanted = _wanted(reference, path)
    if reference["local"]:
        record = _linked(wanted, Path(reference["local"]), Path(path))
    else:
        record = download(wanted, path, Network.from_settings(settings), folder)
    about = {key: reference[key] for key in ("name", "licence", "version")}
    write_json(record | about, metadata_path)


def extract_reference(reference: Mapping[str, Any], archive: str | Path, path: str | Path) -> None:
    """Take a reference file out of its archive.

    Raises:
        InputError: see :func:`prismflow.portals.archives.extract_member`; or a file that is not
            what the row says.
    """
    wanted = _wanted(reference, path)
    extract_member(archive, reference["member"], path, wanted.where)
    try:
        _checked(wanted, Path(path))
    except InputError:
        Path(path).unlink()
        raise


def _wanted(reference: Mapping[str, Any], path: str | Path) -> Wanted:
    return Wanted(
        what=reference["name"],
        where=row_of(reference["sheet"], {"name": reference["name"]}),
        urls=tuple(reference["urls"]),
        format=format_of(str(path)),
        md5=reference["md5"],
        sha256=reference["sha256"],
        size_bytes=reference["size_bytes"],
    )


def _checked(wanted: Wanted, path: Path) -> dict[str, Any]:
    """Compare a file that is already on this disk with its row; its size, and digests if asked."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        wrong = wrong_start(stream.read(HEAD_BYTES), wanted.format)
    if wrong:
        raise InputError(f"{wanted.name}: expected a {wanted.format} file, {path} is {wrong}.")
    record: dict[str, Any] = {"size_bytes": size}
    if wanted.md5 or wanted.sha256:
        record["md5"], record["sha256"] = partial.file_digests(path)
    problem = wrong_content(wanted, size, record.get("md5", ""), record.get("sha256", ""))
    if problem:
        raise InputError(f"{wanted.name}: {path} is not the file that the row means; {problem}.")
    return record


def _linked(wanted: Wanted, local: Path, target: Path) -> dict[str, Any]:
    if not local.is_file():
        raise InputError(
            f"{wanted.name}: expected a local copy at {local}, found none; correct `path`."
        )
    record = _checked(wanted, local)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(local.resolve())
    os.replace(temporary, target)
    logger.info("%s: the local copy %s is used", wanted.what, local)
    return record | {"url": "", "local": str(local)}
