"""An HTTP client that brings whole files over a network that fails.

Resumes by Range, notices another version of the file on the server, retries with growing waits,
tries mirrors, checks size and digests, and puts a file in place only when it is whole.
"""

from __future__ import annotations

import errno
import logging
import re
import shutil
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from prismflow.errors import InputError
from prismflow.portals import partial
from prismflow.portals.checks import HEAD_BYTES, wrong_content, wrong_start
from prismflow.portals.network import (
    OFFLINE_VARIABLE,
    Network,
    SafeSession,
    Wanted,
    human_bytes,
    human_time,
    reason_of,
)

logger = logging.getLogger(__name__)

AGENT = "prismflow (requests)"
_BLOCK = 1 << 18
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_RETRY_AFTER_S = 300.0


class Interrupted(Exception):
    """A passing failure: worth another attempt."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Refused(Exception):
    """An address that can't give the file, however often it is asked."""


def download(
    wanted: Wanted,
    target: str | Path,
    network: Network,
    folder: Path = partial.FOLDER,
) -> dict[str, Any]:
    """Bring one file; return its record: url, size_bytes, md5, sha256, etag, last_modified.

    Args:
        wanted: the file, its addresses and what is expected of it.
        target: where to put it; nothing appears there before it is whole and checked.
        network: limits.
        folder: where unfinished bytes are kept; must not be a declared output.

    Raises:
        InputError: offline, no address gave the file, wrong content, no space left.
    """
    if not wanted.urls:
        raise InputError(f"{wanted.name}: expected an address, found none; fill in `url`.")
    target = Path(target)
    with partial.locked(folder, wanted.urls[0], wanted.what):
        for url in wanted.urls:
            part = partial.Part(folder, url)
            if part.complete and not wrong_content(
                wanted, part.size, part.state["md5"], part.state["sha256"]
            ):
                logger.info("%s: a checked copy is already here; no download", wanted.what)
                return _placed(part, target)
        if network.offline:
            raise InputError(
                f"{wanted.name}: {target} has to be downloaded, but the network is switched off "
                f"({OFFLINE_VARIABLE}=1 or downloads.offline); switch it on, or name a local copy "
                "in the column `path` of that row."
            )
        reasons = []
        for url in wanted.urls:
            part = partial.Part(folder, url)
            try:
                with partial.slot(folder, urlsplit(url).netloc, network.per_host):
                    _fetch(url, wanted, part, network)
                return _placed(part, target)
            except Refused as refusal:
                reasons.append(f"{_shown(url)}: {refusal}")
                logger.warning("%s: %s", wanted.what, reasons[-1])
    raise InputError(f"{wanted.name}: could not be downloaded; {' | '.join(reasons)}")


def get_json(url: str, wanted: Wanted, network: Network) -> Any:
    """Read a JSON document.

    Raises:
        Refused: the server does not have it, or what it sent is not JSON.
    """
    failures = 0
    while True:
        try:
            with _open(url, wanted, network, {"Accept": "application/json"}) as response:
                try:
                    return response.json()
                except requests.exceptions.JSONDecodeError:
                    raise Refused("the reply is not JSON") from None
        except requests.exceptions.RequestException as error:
            failure = Interrupted(reason_of(error))
        except Interrupted as interruption:
            failure = interruption
        failures += 1
        if failures >= network.attempts:
            raise Refused(f"{failure} ({failures} attempts)")
        _sleep(failure, failures, network, wanted.what)


def _placed(part: partial.Part, target: Path) -> dict[str, Any]:
    size, state = part.size, dict(part.state)
    part.place(target)
    record = {key: state.get(key) for key in ("url", "etag", "last_modified", "md5", "sha256")}
    return record | {"size_bytes": size}


def _shown(url: str) -> str:
    """An address without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _fetch(url: str, wanted: Wanted, part: partial.Part, network: Network) -> None:
    """Bring all bytes of an address into ``part`` and check them."""
    failures, fresh = 0, part.size == 0
    enough = network.min_bytes_per_s * network.read_timeout_s
    while True:
        before = part.size
        try:
            _attempt(url, wanted, part, network)
        except Interrupted as interruption:
            part.resync()
            failures = 1 if part.size - before >= max(enough, 1) else failures + 1
            if failures >= network.attempts or part.restarts >= network.attempts:
                raise Refused(_gave_up(interruption, failures, part)) from None
            _sleep(interruption, failures, network, wanted.what)
            continue
        md5, sha256 = part.digests()
        wrong = wrong_content(wanted, part.size, md5, sha256)
        if not wrong:
            part.finish(md5, sha256)
            logger.info("%s: %s, md5 %s", wanted.what, human_bytes(part.size), md5)
            return
        part.drop()
        if fresh:
            raise Refused(f"{wrong}; the file was refused, nothing was kept")
        # The wrong bytes may be those of an earlier session: one clean try.
        logger.warning("%s: %s; starting anew", wanted.what, wrong)
        fresh = True


def _gave_up(interruption: Interrupted, failures: int, part: partial.Part) -> str:
    kept = f"; {human_bytes(part.size)} are kept, start again to go on from there"
    tries = f"{failures} attempts" if failures > 1 else "1 attempt"
    return f"{interruption} ({tries}){kept if part.size else ''}"


def _sleep(failure: Interrupted, failures: int, network: Network, what: str) -> None:
    wait = network.wait_s(failures)
    if failure.retry_after_s is not None:
        wait = min(max(wait, failure.retry_after_s), _MAX_RETRY_AFTER_S)
    logger.warning("%s: %s; next attempt in %.1f s", what, failure, wait)
    time.sleep(wait)


def _attempt(url: str, wanted: Wanted, part: partial.Part, network: Network) -> None:
    """One request; returns when ``part`` holds as many bytes as the server has."""
    headers = {}
    checkable = bool(wanted.md5 or wanted.sha256)
    if part.size and part.state.get("resumable", True) and (part.validator or checkable):
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    try:
        with _open(url, wanted, network, headers) as response:
            if response.status_code == 416:
                _at_end(response, part)
                return
            _align(response, wanted, part)
            _check_space(wanted, part)
            _stream(response, wanted, part, network)
    except requests.exceptions.RequestException as error:
        raise Interrupted(reason_of(error)) from None
    except (urllib3.exceptions.HTTPError, TimeoutError, ConnectionError) as error:
        raise Interrupted(f"the transfer broke off: {reason_of(error)}") from None
    total = part.state.get("total")
    if total is not None and part.size < total:
        raise Interrupted(
            f"the server ended the transfer after {human_bytes(part.size)} of {human_bytes(total)}"
        )


def _open(url: str, wanted: Wanted, network: Network, headers: dict[str, str]) -> requests.Response:
    """Send a GET; passing failures raise Interrupted, final ones Refused."""
    session = SafeSession()
    session.max_redirects = 10
    # requests drops the credentials when a redirect leads to another host.
    auth = wanted.credentials.get(urlsplit(url).netloc)
    try:
        response = session.get(
            url,
            headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **headers},
            auth=auth,
            stream=True,
            timeout=(network.connect_timeout_s, network.read_timeout_s),
        )
    except (requests.exceptions.ConnectTimeout, requests.exceptions.ConnectionError) as error:
        if isinstance(error, requests.exceptions.SSLError):
            raise Refused(
                f"the certificate of the server was not accepted ({reason_of(error)})"
            ) from None
        host = urlsplit(url).netloc.rpartition("@")[2]
        raise Interrupted(
            f"no connection to {host} ({reason_of(error)}); is this machine on a network?"
        ) from None
    except requests.exceptions.ReadTimeout:
        raise Interrupted(f"no answer within {network.read_timeout_s:g} s") from None
    except (requests.exceptions.TooManyRedirects, ValueError) as error:
        raise Refused(reason_of(error)) from None
    if response.status_code in (200, 206, 416):
        return response
    response.close()
    raise _failure(response, wanted)


def _failure(response: requests.Response, wanted: Wanted) -> Exception:
    status = response.status_code
    if status in _TRANSIENT or status >= 500:
        seconds = response.headers.get("Retry-After", "")
        after = float(seconds) if re.fullmatch(r"\d{1,6}", seconds) else None
        return Interrupted(f"the server answered {status} {response.reason}", after)
    if status in (404, 410):
        return Refused(
            f"the server has no such file ({status}); correct {wanted.what} in {wanted.where}, or "
            "name a local copy in `path`"
        )
    if status in (401, 403):
        return Refused(f"the server refuses access ({status}); {wanted.advice}")
    return Refused(f"the server answered {status} {response.reason}")


def _at_end(response: requests.Response, part: partial.Part) -> None:
    """A range beyond the end: either all is here already, or the file is another one."""
    match = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    if match and int(match[1]) == part.size:
        part.state["total"] = part.size
        return
    part.begin("", "", None)
    raise Interrupted("the file on the server is shorter than what is here; starting anew", 0)


def _align(response: requests.Response, wanted: Wanted, part: partial.Part) -> None:
    """Make ``part`` end where the reply starts, dropping bytes of another version."""
    etag = response.headers.get("ETag", "")
    modified = response.headers.get("Last-Modified", "")
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdigit() else None
    if response.status_code == 206:
        match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        total = int(match[2]) if match and match[2].isdigit() else None
        known = part.state.get("total")
        changed = any(
            new and old and new != old
            for new, old in (
                (etag, part.state.get("etag")),
                (modified, part.state.get("last_modified")),
                (total, known),
            )
        )
        if not match or int(match[1]) != part.size or changed:
            part.begin("", "", None)
            raise Interrupted("the file on the server is another version; starting anew", 0)
        if total is not None:
            part.state["total"] = total
        logger.info("%s: going on after %s", wanted.what, human_bytes(part.size))
        return
    if part.size:
        logger.info(
            "%s: the server has another version of the file or can't resume; starting anew after "
            "%s", wanted.what, human_bytes(part.size),
        )  # fmt: skip
    if _decoded(response, wanted):
        # Positions in the encoded stream say nothing about positions in the file.
        etag, modified, size = "", "", None
    part.begin(etag, modified, size)
    part.state["resumable"] = not _decoded(response, wanted)


def _decoded(response: requests.Response, wanted: Wanted) -> bool:
    """Whether the server compressed the file for the way; a .gz file is no such encoding."""
    encoding = response.headers.get("Content-Encoding", "identity")
    return encoding != "identity" and wanted.format != "gzip"


def _check_space(wanted: Wanted, part: partial.Part) -> None:
    total = part.state.get("total") or wanted.size_bytes
    if total is None:
        return
    free = shutil.disk_usage(part.path.parent).free
    if free < total - part.size:
        raise _no_space(wanted, part, free)


def _no_space(wanted: Wanted, part: partial.Part, free: int) -> InputError:
    total = part.state.get("total") or wanted.size_bytes
    needed = human_bytes(total - part.size) if total else "an unknown amount"
    return InputError(
        f"{wanted.name}: the disk of {part.path.parent} is full: {needed} more needed, "
        f"{human_bytes(free)} free; make room and start again (what is here is kept)."
    )


def _stream(
    response: requests.Response, wanted: Wanted, part: partial.Part, network: Network
) -> None:
    """Append the body to ``part``; break off a wrong start or a crawling transfer."""
    content_type = response.headers.get("Content-Type", "")
    pace = _Pace(wanted.what, part.state.get("total"), part.size, network)
    unchecked = part.size < HEAD_BYTES
    head = part.head(HEAD_BYTES) if unchecked else b""
    try:
        with part.appending() as append:
            while block := response.raw.read1(_BLOCK, decode_content=_decoded(response, wanted)):
                if unchecked:
                    head += block
                    unchecked = len(head) < HEAD_BYTES
                    if len(head) >= 16 and (
                        wrong := wrong_start(head, wanted.format, content_type)
                    ):
                        raise Refused(f"expected a {wanted.format} file, found {wrong}")
                append(block)
                pace.moved(len(block))
        if unchecked and (wrong := wrong_start(head, wanted.format, content_type)):
            raise Refused(f"expected a {wanted.format} file, found {wrong}")
    except Refused:
        part.drop()
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.resync()
            raise _no_space(wanted, part, shutil.disk_usage(part.path.parent).free) from None
        raise


class _Pace:
    """Rate of a transfer: progress lines, and a stop when it crawls."""

    def __init__(self, what: str, total: int | None, start: int, network: Network) -> None:
        self.what, self.total, self.network = what, total, network
        self.done = start
        now = time.monotonic()
        self.told = now
        self.marks: deque[tuple[float, int]] = deque([(now, start)])

    def moved(self, count: int) -> None:
        """Note ``count`` further bytes."""
        self.done += count
        now = time.monotonic()
        span = self.network.read_timeout_s
        if now - self.marks[-1][0] >= span / 10:
            self.marks.append((now, self.done))
        while len(self.marks) > 2 and now - self.marks[1][0] >= span:
            self.marks.popleft()
        seconds = now - self.marks[0][0]
        rate = (self.done - self.marks[0][1]) / max(seconds, 1e-6)
        if seconds >= span and rate < self.network.min_bytes_per_s:
            raise Interrupted(f"the transfer crawls ({human_bytes(rate)} per second)")
        if now - self.told >= self.network.progress_s:
            self.told = now
            logger.info("%s", self.line(rate))

    def line(self, rate: float) -> str:
        """The progress line."""
        line = f"{self.what}: {human_bytes(self.done)}"
        if self.total:
            left = human_time((self.total - self.done) / max(rate, 1.0))
            share = 100 * self.done / self.total
            line += f" of {human_bytes(self.total)} ({share:.0f} %), {left} left"
        return f"{line}, {human_bytes(rate)} per second"
