"""Snakemake goes on after a failed job because of the target that was asked for."""

from __future__ import annotations

import logging
from typing import Any

from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="snakemake",
        versions="9.13 to 9.27",
        place="snakemake.settings.types:ExecutionSettings.keep_going",
        link="https://github.com/snakemake/snakemake/blob/main/src/snakemake/scheduling/job_scheduler.py",
        why="one refused input does not keep the target checks from reading the others",
        fallback="the session ends at the first refusal, unless it was started with --keep-going",
    ),
)

logger = logging.getLogger(__name__)


def targets_of(workflow: Any) -> frozenset[str]:
    """Targets of this start of Snakemake; known once its jobs are about to run."""
    return frozenset(getattr(getattr(workflow, "dag_settings", None), "targets", None) or ())


def keep_going(workflow: Any) -> None:
    """Let jobs that don't wait for a failed one run all the same, as ``--keep-going`` does."""
    try:
        workflow.execution_settings.keep_going = True
        # The scheduler has copied the setting by now.
        workflow.scheduler.keepgoing = True
    except AttributeError as error:
        logger.info("Snakemake ends at the first failed job (%s)", error)
