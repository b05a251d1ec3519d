"""Bytes of an unfinished download, kept outside declared outputs so that it can be resumed.

Beside ``<key>.part`` stands ``<key>.json`` with the address and what identifies the version of the
file on the server. A finished file stays as a second hard link (no further disk space), so that a
rule that runs again, after an edit of this package for example, needs no network.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from prismflow.files import atomic_path, write_json

logger = logging.getLogger(__name__)

FOLDER = Path("resources/.partial")
_BLOCK = 1 << 20
_POLL_S = 0.2


def key_of(url: str) -> str:
    """Name of the files that belong to an address."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]


def file_digests(path: Path) -> tuple[str, str]:
    """md5 and sha256 (hex) of a file."""
    md5, sha256 = _hashes_of(path)
    return md5.hexdigest(), sha256.hexdigest()


def _hashes_of(path: Path) -> tuple[Any, Any]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            md5.update(block)
            sha256.update(block)
    return md5, sha256


@contextlib.contextmanager
def locked(folder: Path, url: str, what: str) -> Iterator[None]:
    """Hold the lock of an address; a second job that wants the same file waits for the first."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{key_of(url)}.lock", poll_interval=_POLL_S)
    held = _held(lock)
    while held is None:
        logger.info("%s: another job downloads the same file; waiting for it", what)
        held = _held(lock, patience_s=60.0)
    with held:
        yield


@contextlib.contextmanager
def slot(folder: Path, host: str, count: int) -> Iterator[None]:
    """Hold one of ``count`` places at a host, whatever started the other jobs."""
    name = hashlib.sha256(host.encode()).hexdigest()[:16]
    places = [FileLock(folder / f"host_{name}.{number}.lock") for number in range(count)]
    told = False
    while (held := next(filter(None, map(_held, places)), None)) is None:
        if not told:
            logger.info("%d downloads from %s are running; waiting for one to end", count, host)
            told = True
        time.sleep(_POLL_S)
    with held:
        yield


def _held(lock: BaseFileLock, patience_s: float = 0.0) -> AbstractContextManager[Any] | None:
    """The lock until the end of a block, or None if another job keeps it for so long."""
    try:
        return lock.acquire(timeout=patience_s)
    except Timeout:
        return None


class Part:
    """The kept bytes of one address.

    Attributes:
        path: the bytes.
        size: their number.
        state: url, etag, last_modified, total, and for a finished file also complete, md5, sha256
            and mtime_ns.
    """

    def __init__(self, folder: Path, url: str) -> None:
        """Look up what is kept; bytes without a readable state are dropped."""
        folder.mkdir(parents=True, exist_ok=True)
        self.url = url
        self.path = folder / f"{key_of(url)}.part"
        self._state_path = folder / f"{key_of(url)}.json"
        self.state: dict[str, Any] = {}
        self.restarts = 0
        self._digests: tuple[Any, Any] | None = None
        self._hashed = 0
        try:
            self.state = json.loads(self._state_path.read_text(encoding="utf-8"))
            self.size = self.path.stat().st_size
        except (FileNotFoundError, json.JSONDecodeError):
            self.drop()

    @property
    def validator(self) -> str:
        """Strong ETag or Last-Modified of the version that the bytes belong to, if known."""
        etag = str(self.state.get("etag") or "")
        if etag and not etag.startswith("W/"):
            return etag
        return str(self.state.get("last_modified") or "")

    @property
    def complete(self) -> bool:
        """Whether these are all bytes of a file that was checked when it was finished."""
        return (
            bool(self.state.get("complete"))
            and self.path.is_file()
            and self.path.stat().st_mtime_ns == self.state.get("mtime_ns")
            and self.size == self.state.get("total")
        )

    def drop(self) -> None:
        """Forget the bytes."""
        self.path.unlink(missing_ok=True)
        self._state_path.unlink(missing_ok=True)
        self.state, self.size = {}, 0
        self._digests, self._hashed = None, 0

    def begin(self, etag: str, last_modified: str, total: int | None) -> None:
        """Start from the first byte of a version of the file."""
        if self.size:
            self.restarts += 1
        self.drop()
        self.state = {
            "url": self.url, "etag": etag, "last_modified": last_modified, "total": total,
        }  # fmt: skip
        write_json(self.state, self._state_path)
        self.path.touch()

    @contextlib.contextmanager
    def appending(self) -> Iterator[Any]:
        """Yield a function that appends a block; what was written survives any error."""
        md5, sha256 = self._current_digests()
        with open(self.path, "ab") as stream:

            def append(block: bytes) -> None:
                stream.write(block)
                md5.update(block)
                sha256.update(block)
                self.size += len(block)
                self._hashed += len(block)

            try:
                yield append
            except BaseException:
                # A buffered tail may not have reached the disk: hash again from the file.
                self._digests = None
                raise
        self.size = self.path.stat().st_size

    def resync(self) -> None:
        """Take the size from the disk after an interrupted write."""
        self.size = self.path.stat().st_size if self.path.is_file() else 0

    def head(self, count: int) -> bytes:
        """The first bytes."""
        with open(self.path, "rb") as stream:
            return stream.read(count)

    def digests(self) -> tuple[str, str]:
        """md5 and sha256 (hex) of the kept bytes."""
        md5, sha256 = self._current_digests()
        return md5.hexdigest(), sha256.hexdigest()

    def _current_digests(self) -> tuple[Any, Any]:
        if self._digests is None or self._hashed != self.size:
            self._digests = _hashes_of(self.path)
            self.size = self._hashed = self.path.stat().st_size
        return self._digests

    def finish(self, md5: str, sha256: str) -> None:
        """Record that the file is whole and was checked."""
        self.state |= {
            "complete": True, "md5": md5, "sha256": sha256, "total": self.size,
            "mtime_ns": self.path.stat().st_mtime_ns,
        }  # fmt: skip
        write_json(self.state, self._state_path)

    def place(self, target: Path) -> None:
        """Put the whole file under its name in one step, keeping a second hard link here."""
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.link")
        try:
            os.link(self.path, temporary)
        except OSError:
            logger.info("%s: no hard link possible; copying the file into place", target)
            with atomic_path(target) as copy:
                shutil.copyfile(self.path, copy)
            self.drop()
        else:
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
