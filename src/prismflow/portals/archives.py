"""Take one file out of an archive: a member of a zip or tar, or the content of a .gz."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import gzip
import logging
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, cast

from prismflow.errors import InputError
from prismflow.files import atomic_path

logger = logging.getLogger(__name__)

_BLOCK = 1 << 20
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    NotImplementedError, RuntimeError, ValueError, LookupError, OverflowError, MemoryError,
)  # fmt: skip
#: A damaged table of contents sends the reader to an impossible place (EINVAL).
_FULL, _IMPOSSIBLE = (errno.ENOSPC, errno.EDQUOT), (errno.EINVAL,)


def extract_member(archive: str | Path, member: str, target: str | Path, where: str) -> str:
    """Write one file of an archive to ``target``, whole or not at all.

    Args:
        archive: .zip, .tar, .tar.gz or .gz file.
        member: glob patterns of the file's path inside the archive, separated by ``|``: the first
            that fits exactly one file decides. Empty for a .gz, which holds one file.
        target: where to write; the names inside the archive never decide it.
        where: sheet and line that ask for it.

    Returns:
        The path inside the archive.

    Raises:
        InputError: no or several files fit, a path that leaves the archive's folder, a link in
            place of a file, a broken archive, no space left.
    """
    archive, target = Path(archive), Path(target)
    try:
        with (
            _opened(archive, member, where) as (name, stream),
            atomic_path(target) as temporary,
            open(temporary, "wb") as out,
        ):
            shutil.copyfileobj(stream, out, _BLOCK)
    except _BROKEN as error:
        raise _broken(archive, where, error) from None
    except OSError as error:
        if error.errno in _IMPOSSIBLE:
            raise _broken(archive, where, error) from None
        if error.errno not in _FULL:
            raise
        raise InputError(
            f"{target}: the disk is full while {archive} is unpacked (asked by {where}); make room "
            "and start again."
        ) from None
    logger.info("%s: %s unpacked (%d bytes)", target, name, target.stat().st_size)
    return name


def _broken(archive: Path, where: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(
        f"{archive}: expected a whole archive (asked by {where}), found a broken one ({reason}); "
        "delete it and start again."
    )


@contextlib.contextmanager
def _opened(archive: Path, member: str, where: str) -> Iterator[tuple[str, IO[bytes]]]:
    suffixes = [suffix.lower() for suffix in archive.suffixes]
    if suffixes[-1:] == [".zip"]:
        with zipfile.ZipFile(archive) as bundle:
            entries = [entry for entry in bundle.infolist() if not entry.is_dir()]
            name = _chosen(archive, member, [entry.filename for entry in entries], where)
            mode = bundle.getinfo(name).external_attr >> 16
            if stat.S_ISLNK(mode):
                raise InputError(f"{archive}: {name!r} is a link, not a file (asked by {where}).")
            with bundle.open(name) as stream:
                yield name, stream
    elif ".tar" in suffixes[-2:] or suffixes[-1:] == [".tgz"]:
        with tarfile.open(archive) as bundle:
            names = [entry.name for entry in bundle.getmembers() if not entry.isdir()]
            name = _chosen(archive, member, names, where)
            found = bundle.extractfile(name) if bundle.getmember(name).isfile() else None
            if found is None:
                raise InputError(f"{archive}: {name!r} is a link, not a file (asked by {where}).")
            with found:
                yield name, found
    elif suffixes[-1:] == [".gz"]:
        if member:
            raise InputError(
                f"{where}: expected no `member`, because {archive} is a .gz of one file, found "
                f"{member!r}; remove it."
            )
        with gzip.open(archive, "rb") as unpacked:
            yield archive.stem, cast(IO[bytes], unpacked)
    else:
        raise InputError(
            f"{where}: expected an archive that ends in .zip, .tar, .tar.gz, .tgz or .gz, found "
            f"{archive}; correct `archive`."
        )


def _chosen(archive: Path, member: str, names: Sequence[str], where: str) -> str:
    """The one file that a pattern fits; every path of the archive must stay inside it."""
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name.partition("/")[0]:
            raise InputError(
                f"{archive}: refused, because it holds the path {name!r}, which leaves the folder "
                f"of the archive (asked by {where}); get the file from a trustworthy place."
            )
    found: list[str] = []
    for pattern in member.split("|"):
        found = [
            name for name in names
            if fnmatch.fnmatchcase(name, pattern) and not name.startswith("__MACOSX/")
        ]  # fmt: skip
        if len(found) == 1:
            return found[0]
    some = ", ".join(sorted(found or names)[:6]) or "nothing"
    raise InputError(
        f"{where}: expected one file like {member!r} in {archive}, found {len(found) or 'none'}; "
        f"{'these fit' if found else 'the archive holds'}: {some}; correct `member`."
    )
