"""Two things in which a Snakemake session is kept from waiting, or working, for nothing.

Ctrl-C: remote executors cancel their jobs at once, but their thread sleeps on until it would next
look at the queue: with Slurm up to three minutes, and the session with its lock stays as long
(snakemake-interface-executor-plugins, ``RemoteExecutor.sleep``).

Wake-ups: to keep its limit of submissions per second, the scheduler looks again a second after each
look, and every finished job adds one more such chain (Snakemake issue 3804). After a thousand jobs
it looks a thousand times a second, on as many threads, at all jobs that still wait.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
import time
from typing import Any

from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="snakemake-interface-executor-plugins",
        versions="9.4",
        place="snakemake_interface_executor_plugins.executors.remote:RemoteExecutor.sleep",
        link="https://github.com/snakemake/snakemake-interface-executor-plugins",
        why="Ctrl-C ends a session at once",
        fallback="the session ends when its executor next looks at the queue",
    ),
    Patch(
        package="snakemake",
        versions="9.13 to 9.27",
        place="snakemake.scheduling.job_scheduler:JobScheduler._schedule_reevalutation",
        link="https://github.com/snakemake/snakemake/issues/3804",
        why="the scheduler looks once a second, not once per finished job and second",
        fallback="the scheduler looks as often as it wants to",
    ),
)

logger = logging.getLogger(__name__)

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


def wake_once(scheduler: Any, delay: float) -> None:
    """Let the scheduler look again after ``delay`` seconds, unless it is going to anyway.

    Args:
        scheduler: waits for ``_open_jobs``, a semaphore.
        delay: seconds.
    """
    if getattr(scheduler, "_wake_up", None) is not None:
        return

    def wake() -> None:
        # Forgotten first: the look that it brings about may ask for the next one.
        scheduler._wake_up = None
        scheduler._open_jobs.release()

    scheduler._wake_up = timer = threading.Timer(delay, wake)
    # A session that has nothing left to do doesn't wait for it.
    timer.daemon = True
    timer.start()


def improve_waiting() -> None:
    """Put both in the place of Snakemake's own, as versions 9.13 to 9.27 have them.

    Where a later version has moved one of these places, its own way of waiting stays: a start never
    fails for this.
    """
    for patch, ours in zip(PATCHES, (sleep_unless_ended, wake_once), strict=True):
        module, _, names = patch.place.partition(":")
        owner, name = names.split(".")
        try:
            place = getattr(importlib.import_module(module), owner)
            getattr(place, name)
        except (ImportError, AttributeError) as error:
            logger.info("Snakemake waits in its own way (%s)", error)
            continue
        setattr(place, name, ours)
