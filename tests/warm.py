"""Starts of Snakemake that don't import it anew: children of one process per worker of the tests.

Each is a process of its own with its own folder, variables and output, and imports its own copy of
prismflow; only modules of other packages are shared (prismflow.jobs.nursery), which takes half of
the time of a plan.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from prismflow.jobs.patches.starts import Session

SCRIPT = """
import json, os, runpy, sys

with open(__file__ + ".json") as file:
    start = json.load(file)
os.environ.clear()
os.environ.update(start["environment"])
os.chdir(start["folder"])
for number, (name, mode) in enumerate(
    ((os.devnull, os.O_RDONLY), (start["out"], os.O_WRONLY), (start["err"], os.O_WRONLY))
):
    opened = os.open(name, mode)
    os.dup2(opened, number)
    os.close(opened)
here = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
sys.path[:1] = [start["folder"], *here]
sys.argv[1:] = start["arguments"]
runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
"""


@functools.cache
def _session() -> Session:
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # What a worker of the tests has set for its own test only is not for all that follow.
    variables.pop("PYTEST_CURRENT_TEST", None)
    # numpy would start threads, beside which nothing is forked.
    return Session(variables | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})


def snakemake(
    arguments: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    timeout: float = 2700,
) -> subprocess.CompletedProcess[str]:
    """``python -m snakemake``, as subprocess.run would start it without anything to read.

    Raises:
        subprocess.TimeoutExpired: it was ended because it took too long.
    """
    command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as place:
        out, err = (Path(place, name) for name in ("out", "err"))
        script = Path(place, "tmp.snakemake.py")
        start = {
            "environment": dict(environment), "folder": str(folder), "out": str(out),
            "err": str(err), "arguments": command[3:],
        }  # fmt: skip
        for path, text in ((out, ""), (err, ""), (script, SCRIPT)):
            path.write_text(text)
        script.with_name(f"{script.name}.json").write_text(json.dumps(start))
        session = _session()
        child = session.start(str(script), session.environment)
        if child is None:
            if os.getcwd() == session.folder:
                warnings.warn(
                    "Snakemake is started the slow way: a module has a thread", stacklevel=2
                )
            return subprocess.run(
                command, cwd=folder, env=dict(environment), capture_output=True, text=True,
                timeout=timeout, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        late = threading.Timer(timeout, child.kill)
        late.start()
        status = child.wait()
        late.cancel()
        if late.finished.is_set() and status == -9:
            raise subprocess.TimeoutExpired(command, timeout)
        texts = [path.read_text(errors="replace") for path in (out, err)]
    return subprocess.CompletedProcess(command, status or 0, *texts)
