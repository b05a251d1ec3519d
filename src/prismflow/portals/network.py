"""What a download may do: time limits, attempts, the offline switch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from pydantic.dataclasses import dataclass as limits

from prismflow.errors import InputError
from prismflow.settings.definitions import build
from prismflow.settings.downloads import Downloads
from prismflow.settings.keys import STRICT
from prismflow.settings.sheets import is_safe_address

OFFLINE_VARIABLE = "PRISMFLOW_OFFLINE"


@limits(frozen=True, config=STRICT)
class Network(Downloads):
    """Limits of the HTTP client; times in seconds."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Network:
        """Limits from ``downloads`` of the configuration and ``PRISMFLOW_OFFLINE``.

        Raises:
            InputError: the environment variable is neither 0 nor 1, or a limit is wrong.
        """
        values = dict(settings)
        switch = os.environ.get(OFFLINE_VARIABLE, "").strip()
        if switch not in ("", "0", "1"):
            raise InputError(
                f"environment variable {OFFLINE_VARIABLE}: expected 0 or 1, found {switch!r}; "
                "correct it or unset it."
            )
        if switch:
            values["offline"] = switch == "1"
        return build(cls, values, "downloads")

    def wait_s(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row (at least 1)."""
        return min(self.backoff_s * 2.0 ** (failures - 1), self.max_backoff_s)


@dataclass(frozen=True)
class Wanted:
    """One file to bring.

    Attributes:
        what: accession or name, for messages.
        where: sheet and line that ask for it, for messages.
        urls: addresses that offer the same bytes, in the order to try.
        format: what the first bytes must look like; see :mod:`prismflow.portals.checks`.
        md5, sha256: expected digests in lower-case hex, empty if unknown.
        size_bytes: expected size, None if unknown.
        credentials: host[:port] -> (user, password); never logged, never sent to another host.
        advice: what to do if the server asks for credentials.
    """

    what: str
    where: str
    urls: tuple[str, ...]
    format: str = "any"
    md5: str = ""
    sha256: str = ""
    size_bytes: int | None = None
    credentials: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    advice: str = "the file is not public"

    @property
    def name(self) -> str:
        """``ENCFF465GBD (config/tracks.tsv, line 2)``."""
        return f"{self.what} ({self.where})"


class SafeSession(requests.Session):
    """Sends requests, redirected ones too, over https or within this machine only."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """As in the parent.

        Raises:
            requests.exceptions.InvalidSchema: another kind of address; nothing was sent.
        """
        if not is_safe_address(request.url or ""):
            raise requests.exceptions.InvalidSchema(
                "the address, or one that it leads to, is not https; use one that is"
            )
        return super().send(request, **options)


def human_bytes(size: float) -> str:
    """``1.5 GB`` (decimal units)."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def human_time(seconds: float) -> str:
    """``2 h 5 min``, ``3 min`` or ``40 s``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def reason_of(error: BaseException) -> str:
    """The innermost reason of an error, on one line, without addresses that may hold secrets."""
    inner: Any = error
    while True:
        deeper = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    said = inner.args[0] if inner.args and isinstance(inner.args[0], str) else str(inner)
    text = re.sub(r"<[^>]*>:?\s*", "", " ".join(said.split()))
    return re.sub(r"\?\S+", "", text) or type(inner).__name__
