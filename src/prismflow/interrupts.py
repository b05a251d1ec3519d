"""Ctrl-C in a session that waits for a cluster's jobs.

Snakemake's remote executors cancel their jobs at once, but their thread sleeps on until it would
next look at the queue: with Slurm up to three minutes, and the session with its lock stays as long.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

SLICE_SECONDS = 1.0
"""How often a waiting thread looks whether the session has ended."""


async def sleep_unless_ended(executor: Any) -> None:
    """Wait as long as the executor wants to between two looks, or until it is told to end.

    Args:
        executor: has ``next_seconds_between_status_checks`` and ``wait``, false once it shall end.
    """
    end = time.monotonic() + executor.next_seconds_between_status_checks
    while executor.wait and (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(SLICE_SECONDS, left))


def end_promptly() -> None:
    """Make remote executors notice within a second that their session has ended."""
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    RemoteExecutor.sleep = sleep_unless_ended
