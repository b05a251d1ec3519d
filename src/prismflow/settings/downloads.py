"""Limits of downloads as a user may set them."""

from __future__ import annotations

from typing import ClassVar

from pydantic.dataclasses import dataclass

from prismflow.settings.keys import STRICT, Flag, Number, Whole, setting


@dataclass(frozen=True, config=STRICT)
class Downloads:
    """Limits of the HTTP client; times in seconds. No change of them repeats a download.

    Attributes:
        offline: open no network; the environment variable PRISMFLOW_OFFLINE=1 does the same.
        connect_timeout_s: time until a connection must stand.
        read_timeout_s: longest silence of a server, and the span over which the rate is measured.
        attempts: attempts in a row without real progress before giving up.
        backoff_s: first wait between attempts; it doubles up to ``max_backoff_s``.
        max_backoff_s: longest wait between attempts.
        min_bytes_per_s: A slower transfer is broken off and resumed.
        progress_s: time between two progress lines in the log.
        per_host: downloads from one host at once; --resources downloads=N limits all of them.
    """

    SPARSE: ClassVar[bool] = True

    offline: Flag = setting(False)
    connect_timeout_s: Number = setting(30.0, gt=0)
    read_timeout_s: Number = setting(60.0, gt=0)
    attempts: Whole = setting(8, ge=1)
    backoff_s: Number = setting(1.0, ge=0)
    max_backoff_s: Number = setting(60.0, ge=0)
    min_bytes_per_s: Number = setting(1000.0, ge=0)
    progress_s: Number = setting(10.0, ge=0)
    per_host: Whole = setting(4, ge=1)
