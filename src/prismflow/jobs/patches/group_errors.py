"""Snakemake writes down why a group was refused, as it does for single jobs."""

from __future__ import annotations

import functools
import logging
from typing import Any

from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="snakemake",
        versions="9.13 to 9.27",
        place="snakemake.jobs:GroupJob.log_error",
        link="https://github.com/snakemake/snakemake/blob/main/src/snakemake/jobs.py",
        why="the message that the executor gives for a group reaches the log",
        fallback="the log says that the group failed, not why sbatch refused it",
    ),
)

logger = logging.getLogger(__name__)


def keep_reasons_of_groups() -> None:
    """Let Snakemake write down why a group was refused.

    Its ``GroupJob.log_error`` drops the message that the executor gives it.
    """
    try:
        from snakemake.jobs import GroupJob
        from snakemake.logging import logger as snakemakes

        plain = GroupJob.log_error
    except (ImportError, AttributeError) as error:
        logger.info("Snakemake writes about groups in its own way (%s)", error)
        return

    @functools.wraps(plain)
    def with_reason(group: Any, msg: str | None = None, **further: Any) -> None:
        if msg and "sbatch" in msg:
            snakemakes.error(f"Error in group {group.groupid}: {msg}")
        plain(group, msg=msg, **further)

    if not hasattr(plain, "__wrapped__"):
        GroupJob.log_error = with_reason
