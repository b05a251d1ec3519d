"""What .smk files are written with: the plan of a start, patterns of names, growing resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from prismflow.errors import InputError
from prismflow.jobs.patches.module_prefix import keep_prefix_to_own_files
from prismflow.plan.runs import Plan, make_plan
from prismflow.settings import config as configuration

Read = TypeVar("Read")


def start(workflow: Any, config: dict[str, Any], shipped: str) -> Plan:
    """Read and check everything that the user wrote.

    Args:
        workflow: Snakemake's own; names the configuration files and its folder.
        config: the merged configuration.
        shipped: this workflow's own configuration, which a module of it overrides.

    Raises:
        snakemake.exceptions.WorkflowError: one sentence on the first thing that is wrong.
    """
    given = [str(file) for file in getattr(workflow, "overwrite_configfiles", [])]
    files = [str(file) for file in workflow.configfiles if str(file) not in given] + given
    home = Path(shipped).absolute().parents[1]

    def planned() -> Plan:
        _check_module(workflow)
        raw, sources = configuration.with_shipped(config, files, shipped)
        config.update(raw)  # the scripts of a module read it too
        return make_plan(configuration.load(raw, sources, home))

    return or_refuse(planned)


def _check_module(workflow: Any) -> None:
    """Let a module's prefix move what is made; refuse what would move the configuration's files.

    Raises:
        InputError: the workflow is a module with `replace_prefix`, or a module in such a module.
    """
    found = keep_prefix_to_own_files(workflow)
    if found:
        raise InputError(
            f"the module that imports this workflow: expected `prefix` of one module, without a "
            f"folder called logs in it, found {found}; leave it out, since paths of the "
            "configuration count from the working directory, and run the whole in another folder "
            "with --directory."
        )


def or_refuse(read: Callable[..., Read], *arguments: Any) -> Read:
    """Call ``read``; bad input ends Snakemake with its sentence, without a traceback.

    Raises:
        snakemake.exceptions.WorkflowError: in the place of an :class:`InputError`.
    """
    try:
        return read(*arguments)
    except InputError as error:
        # Imported here: planning itself does without Snakemake.
        from snakemake.exceptions import WorkflowError

        raise WorkflowError(str(error)) from None


def one_of(names: Iterable[str]) -> str:
    """Pattern of a wildcard that is one of these names, which need no escaping."""
    return "|".join(sorted(names)) or "none"


def escaped(names: Iterable[str]) -> str:
    """Pattern of a wildcard that is one of these file names."""
    return "|".join(map(re.escape, names)) or "none"


def growing(amount: int) -> Callable[[Any, int], int]:
    """A resource that grows with the attempt, where the profile asks for retries."""
    return lambda wildcards, attempt: amount * attempt
