"""The prefix that another workflow gives this one as a module moves what is made alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from prismflow.errors import InputError
from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="snakemake",
        versions="9.13 to 9.27",
        place="snakemake.common.prefix_lookup:PrefixLookup",
        link="https://github.com/snakemake/snakemake/blob/main/src/snakemake/common/prefix_lookup.py",
        why="`prefix` of a module is set before results, logs and benchmarks, and not before the "
        "files that the configuration names",
        fallback="a module with a prefix is refused with a sentence",
    ),
    Patch(
        package="snakemake",
        versions="9.13 to 9.27",
        place="snakemake.iocontainers:Snakemake.params",
        link="https://github.com/snakemake/snakemake/blob/main/src/snakemake/iocontainers.py",
        why="paths among the parameters of a job get the prefix that its files have",
        fallback="a job of a module with a prefix ends with a sentence",
    ),
)

LOGS = "logs"
FOLDERS = ("results", LOGS, "benchmarks")
"""What the workflow makes under names of its own; all other paths are the configuration's."""

logger = logging.getLogger(__name__)


def keep_prefix_to_own_files(workflow: Any) -> str:
    """Let a module's prefix move :data:`FOLDERS` alone.

    Args:
        workflow: Snakemake's own, before any rule was read.

    Returns:
        What could not be done, as it stands in the module; empty where there is no prefix any more.
    """
    paths = getattr(getattr(workflow, "modifier", None), "path_modifier", None)
    first = True
    while paths is not None:
        prefix = getattr(paths, "prefix", None)
        moved = getattr(paths, "_prefix_replacements", None)
        if prefix:
            if not first or LOGS in PurePath(prefix).parts or not _moves_own_files(paths, prefix):
                return f"`prefix: {prefix}`"
        elif moved is not None and not getattr(moved, "is_of_prismflow", False):
            return "`replace_prefix`"
        paths, first = getattr(paths, "inner_modifier", None), False
    return ""


def _moves_own_files(paths: Any, prefix: str) -> bool:
    try:
        from snakemake.common.prefix_lookup import PrefixLookup

        lookup = PrefixLookup(entries=[(f"{name}/", f"{prefix}{name}/") for name in FOLDERS])
        lookup.is_of_prismflow = True
        paths.prefix, paths._prefix_replacements = None, lookup
    except (ImportError, AttributeError, TypeError) as error:
        logger.info("Snakemake moves files of a module in its own way (%s)", error)
        return False
    return True


def prefix_of(log: str) -> str:
    """The prefix of a job by the place of its log: ``sub/logs/demo/x.log`` -> ``sub/``."""
    parts = PurePath(log).parts
    before = parts[: parts.index(LOGS)] if LOGS in parts else ()
    return f"{PurePath(*before)}/" if before else ""


def place_parameters(snakemake: Any) -> None:
    """Set the prefix of a module before paths among a job's parameters, as before its files.

    Raises:
        InputError: Snakemake keeps parameters in another place.
    """
    prefix = prefix_of(snakemake.log[0])
    if not prefix:
        return
    kept = getattr(snakemake, "_params_store", None)
    if kept is None:
        raise InputError(
            f"the module that imports this workflow: expected Snakemake {PATCHES[1].versions}, "
            f"with which `prefix: {prefix}` works, found another; leave the prefix out."
        )
    # The object gives a copy of these to everybody who asks.
    kept[:] = [moved(value, prefix) for value in kept]


def moved(value: Any, prefix: str) -> Any:
    """A job's parameter with the prefix before every path of :data:`FOLDERS`."""
    if isinstance(value, str):
        return f"{prefix}{value}" if value.startswith(tuple(f"{n}/" for n in FOLDERS)) else value
    if isinstance(value, Mapping):
        return {moved(key, prefix): moved(one, prefix) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [moved(one, prefix) for one in value]
    return value
