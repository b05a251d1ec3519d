"""Loaded by every Python process of an accident: dies or waits where a file is put in its place.

PRISM_FAULT_FILE is a pattern of final names. The first time that a process is about to rename a
temporary file to such a name, PRISM_FAULT says what happens (a kill is preceded by cutting the
temporary file to half):

- ``none``: nothing
- ``job``: the process is killed; once per script of the workflow
- ``all``: Snakemake and all its jobs are killed; once per final name
- ``wait``: the process waits until PRISM_FAULT_MARKS/go exists, and goes on with the whole file

PRISM_FAULT_MARKS is a folder in which the faults leave a mark each.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time

rename = os.replace


def faulty(source: object, target: object, **options: object) -> None:
    """os.replace with the accident before it."""
    name = os.fspath(target)
    kind, marks = os.environ["PRISM_FAULT"], os.environ["PRISM_FAULT_MARKS"]
    if re.search(os.environ["PRISM_FAULT_FILE"], name):
        script = re.sub(r"^tmp[^.]*\.|\.py$", "", os.path.basename(sys.argv[0]))
        mark = script if kind in ("none", "job") else os.path.basename(name)
        try:
            os.close(os.open(os.path.join(marks, mark), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            if kind != "none":
                accident(kind, marks, source)
    rename(source, target, **options)


def accident(kind: str, marks: str, source: object) -> None:
    """What happens in the middle of a write."""
    if kind == "wait":
        give_up = time.monotonic() + 120
        while not os.path.exists(os.path.join(marks, "go")) and time.monotonic() < give_up:
            time.sleep(0.05)
        return
    if os.path.isfile(source):
        os.truncate(source, os.path.getsize(source) // 2)
    if kind == "all":
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if "PRISM_FAULT" in os.environ:
    os.replace = faulty
