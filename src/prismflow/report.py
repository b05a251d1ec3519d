"""The HTML report: Snakemake's own, asked for from inside the workflow."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from prismflow.errors import InputError
from prismflow.files import atomic_path

logger = logging.getLogger(__name__)


def write_report(
    targets: Sequence[str], output: str | Path, snakefile: str, configfiles: Sequence[str]
) -> None:
    """Render ``snakemake --report`` over ``targets``.

    The outer Snakemake holds the lock of the working directory; the inner one only reads the
    records of finished jobs, so it takes none.

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
