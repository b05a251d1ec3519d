"""Limits of downloads as a user may set them."""

from __future__ import annotations

from typing import ClassVar

from pydantic.dataclasses import dataclass

from prismflow.settings.keys import STRICT, Flag, Number, Whole, key


@dataclass(frozen=True, config=STRICT)
class Downloads:
    """Limits of the HTTP client; times in seconds. No change of them repeats a download."""

    SPARSE: ClassVar[bool] = True

    offline: Flag = key(
        "Open no network; the environment variable PRISMFLOW_OFFLINE=1 does the same.", False
    )
    connect_timeout_s: Number = key("Time until a connection must stand.", 30.0, gt=0)
    read_timeout_s: Number = key(
        "Longest silence of a server, and the span over which the rate is measured.", 60.0, gt=0
    )
    attempts: Whole = key("Attempts in a row without real progress before giving up.", 8, ge=1)
    backoff_s: Number = key(
        "First wait between attempts; it doubles up to `max_backoff_s`.", 1.0, ge=0
    )
    max_backoff_s: Number = key("Longest wait between attempts.", 60.0, ge=0)
    min_bytes_per_s: Number = key("A slower transfer is broken off and resumed.", 1000.0, ge=0)
    progress_s: Number = key("Time between two progress lines in the log.", 10.0, ge=0)
    per_host: Whole = key(
        "Downloads from one host at once; --resources downloads=N limits all of them.", 4, ge=1
    )
