"""The report: a page of our own, and Snakemake's, asked for from inside the workflow, beside it."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.figures.front_page import overview
from prismflow.files import atomic_path, write_text

logger = logging.getLogger(__name__)


def write_report(
    targets: Sequence[str],
    page: str | Path,
    snakemake_page: str | Path,
    snakefile: str,
    configfiles: Sequence[str],
    request: Mapping[str, Any],
) -> None:
    """Write the overview of a dataset, and beside it Snakemake's report over ``targets``.

    Args:
        targets: figures and tables that Snakemake's report gathers.
        page: the overview.
        snakemake_page: Snakemake's report, in the same folder because the overview links it.
        snakefile, configfiles: of the workflow that runs.
        request: see :func:`prismflow.figures.front_page.overview`.

    Raises:
        InputError: Snakemake couldn't render its report; says what it printed last.
    """
    write_snakemake_report(targets, snakemake_page, snakefile, configfiles)
    dataset = request["dataset"]
    results = Path(page).parent
    benchmarks = results.parents[1] / "benchmarks" / dataset
    write_text(overview(request, results, benchmarks), page)


def write_snakemake_report(
    targets: Sequence[str], output: str | Path, snakefile: str, configfiles: Sequence[str]
) -> None:
    """Render ``snakemake --report`` over ``targets``; see :func:`write_report`.

    The outer Snakemake holds the lock of the working directory; the inner one only reads the
    records of finished jobs, so it takes none.
    """
    with atomic_path(output) as temporary:
        command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--nolock"]
        command += ["--cores", "1", "--report", str(temporary)]
        if configfiles:
            command += ["--configfile", *configfiles]
        command += ["--", *targets]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        logger.info("%s", result.stderr.strip())
        if result.returncode or not temporary.stat().st_size:
            last = (result.stderr or result.stdout).strip().splitlines()[-1:]
            raise InputError(f"{output}: the report couldn't be rendered: {' '.join(last)}")
