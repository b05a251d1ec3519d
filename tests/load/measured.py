"""Run a command and write what it used to a file: ``measured.py FILE COMMAND ...``.

The peak memory of a process begins with that of the process that started it. Tests hold gigabytes,
so this small process does the starting.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main(file: str, *command: str) -> int:
    """Exit status of the command; FILE gets seconds, CPU seconds and the largest process in MB."""
    began = time.monotonic()
    status = subprocess.run(command, check=False).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    content = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss >> 10,
    }
    Path(file).write_text(json.dumps(content))
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
