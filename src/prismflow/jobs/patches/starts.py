"""Scripts of a session on this machine start as children of one process instead of Pythons anew.

A job of the demo computes for a second or two and would spend as long on importing torch, pandas
and what else it needs; see :mod:`prismflow.jobs.nursery`. Jobs in a conda environment, a container,
a shadow folder, of several threads or with another environment than the first one's start as
Snakemake starts them.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="snakemake",
        versions="9.13 to 9.27",
        place="snakemake.script:PythonScript.execute_script",
        link="https://github.com/snakemake/snakemake/blob/main/src/snakemake/script/__init__.py",
        why="short jobs don't import torch and pandas each: a second or two per job",
        fallback="each job starts a Python of its own, as Snakemake does",
    ),
    Patch(
        package="snakemake",
        versions="9.13 to 9.27",
        place="snakemake.shell:sp",
        link="https://github.com/snakemake/snakemake/blob/main/src/snakemake/shell.py",
        why="the same: environment, benchmark and failures stay Snakemake's own",
        fallback="each job starts a Python of its own, as Snakemake does",
    ),
)

ALONE = "PRISMFLOW_ALONE"
"""Environment variable; with any value each job starts a Python of its own."""

NURSERY = Path(__file__).parents[1] / "nursery.py"

logger = logging.getLogger(__name__)


class Child:
    """A running script, with what Snakemake asks of a ``Popen``.

    Args:
        pid: its process; the parent is the nursery.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def wait(self) -> int | None:
        """Block until it has ended; its status, negative for a signal."""
        self._ended.wait()
        return self.returncode

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def end(self, status: int) -> None:
        """Note that it has ended."""
        self.returncode = status
        self._ended.set()

    def _send(self, number: int) -> None:
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Session:
    """The nursery's other end: asks for children, and learns how they end.

    Args:
        environment: of all children.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.folder = os.getcwd()
        self.socket, theirs = socket.socketpair()
        # What a job would set before it imports numba, which reads it only then.
        threads = {"NUMBA_NUM_THREADS": self.environment.get("OMP_NUM_THREADS", "1")}
        with theirs:
            self.nursery = subprocess.Popen(
                [sys.executable, str(NURSERY), str(theirs.fileno())],
                pass_fds=[theirs.fileno()], env=threads | self.environment,
            )  # fmt: skip
        self._lock = threading.Lock()
        self._asked = 0
        self._waiting: dict[int, threading.Event] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._children: dict[int, Child] = {}
        self._open = True
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self.close)

    def close(self) -> None:
        """End the nursery, whose children go on if there are any; their CPU time counts here."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.nursery.wait()

    def start(self, script: str, environment: Mapping[str, str]) -> Child | None:
        """Run a script; None where this has to happen in another way.

        Args:
            script: path.
            environment: of the job.
        """
        if environment != self.environment or os.getcwd() != self.folder:
            return None
        with self._lock:
            if not self._open:
                return None
            self._asked += 1
            job, answered = self._asked, threading.Event()
            self._waiting[job] = answered
            request = json.dumps({"job": job, "script": os.path.abspath(script)}).encode() + b"\n"
            with contextlib.suppress(OSError):  # the listener will find it closed
                self.socket.sendall(request)
        answered.wait()
        return self._children.get(job)

    def _listen(self) -> None:
        with self.socket.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                self._take(json.loads(line))
        with self._lock:
            self._open = False
            for answered in self._waiting.values():
                answered.set()
            lost = [child for child in self._children.values() if child.returncode is None]
        for child in lost:
            # Nobody will ever know how they end.
            child.kill()
            child.end(-signal.SIGKILL)

    def _take(self, answer: dict[str, Any]) -> None:
        job = answer["job"]
        if "status" in answer:
            self._children[job].end(answer["status"])
            return
        with self._lock:
            if "pid" in answer:
                self._children[job] = Child(answer["pid"])
            self._waiting.pop(job).set()


class Starter:
    """Stands in for the module ``subprocess`` inside Snakemake's shell."""

    def __init__(self) -> None:
        self.asked = threading.local()
        self._lock = threading.Lock()
        self._session: Session | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, *args: Any, **options: Any) -> Any:
        """Start the script that this thread was asked for, or whatever else as subprocess does."""
        script, environment = getattr(self.asked, "script", None), options.get("env")
        child = self._child(script, environment) if script and environment else None
        return child or subprocess.Popen(*args, **options)

    def _child(self, script: str, environment: Mapping[str, str]) -> Child | None:
        if environment.get("OMP_NUM_THREADS") != "1":
            return None  # it computes for long, and numpy would start threads in the nursery
        with self._lock:
            if self._session is None:
                self._session = Session(environment)
        return self._session.start(script, environment)


def share_starts(workflow: Any) -> None:
    """Start scripts of this session from one process, unless it is a job's own or was told not to.

    Args:
        workflow: Snakemake's own; tells whether this process is the session or a job of it.
    """
    main = getattr(workflow, "is_main_process", False)
    if not main or os.environ.get(ALONE) or not sys.platform.startswith("linux"):
        return
    try:
        script = importlib.import_module("snakemake.script").PythonScript
        shell = importlib.import_module("snakemake.shell")
        plain = script.execute_script
        if shell.sp is not subprocess:
            return  # another module of this session did it
    except (ImportError, AttributeError) as error:
        logger.info("Snakemake starts each job by itself (%s)", error)
        return
    starter = Starter()
    setattr(shell, "sp", starter)  # noqa: B010  (not declared in Snakemake's types)

    @functools.wraps(plain)
    def execute(job: Any, fname: str, edit: bool = False) -> None:
        elsewhere = ("conda_env", "container_img", "env_modules", "shadow_dir")
        if not edit and not any(getattr(job, name, None) for name in elsewhere):
            starter.asked.script = str(fname)
        try:
            plain(job, fname, edit)
        finally:
            starter.asked.script = None

    script.execute_script = execute
