"""The HTML report: Snakemake's own, asked for from inside the workflow, with our front page."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.figures.front_page import overview
from prismflow.files import atomic_path

logger = logging.getLogger(__name__)


#: Paragraph of workflow/report/workflow.rst in whose place the front page is put.
PLACE = "<p>The overview of all results is in results/DATASET/report.html.</p>"


def write_report(
    targets: Sequence[str],
    output: str | Path,
    snakefile: str,
    configfiles: Sequence[str],
    request: Mapping[str, Any],
) -> None:
    """Render ``snakemake --report`` over ``targets`` and put the overview on its first page.

    The outer Snakemake holds the lock of the working directory; the inner one only reads the
    records of finished jobs, so it takes none.

    Args:
        targets: figures and tables to gather.
        output: the HTML file.
        snakefile, configfiles: of the workflow that runs.
        request: see :func:`prismflow.figures.front_page.overview`.

    Raises:
        InputError: Snakemake couldn't render the report; says what it printed last.
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
        dataset = request["dataset"]
        front = overview(request, Path("results") / dataset, Path("benchmarks") / dataset)
        page = with_front_page(temporary.read_text(encoding="utf-8"), front, output)
        temporary.write_text(page, encoding="utf-8")


def with_front_page(page: str, front: str, output: str | Path) -> str:
    """Snakemake's report with HTML in the place of :data:`PLACE`.

    The description of the workflow is a JavaScript string in the report, so the HTML is escaped as
    one; ``</`` too, because it would end the script.

    Raises:
        InputError: the report has no such paragraph.
    """
    place = json.dumps(PLACE)[1:-1]
    if place not in page:
        raise InputError(
            f"{output}: expected the paragraph {PLACE!r} in the report, found none; it stands in "
            "workflow/report/workflow.rst."
        )
    return page.replace(place, json.dumps(front)[1:-1].replace("</", "<\\/"), 1)
