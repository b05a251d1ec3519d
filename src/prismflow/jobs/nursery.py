"""Starts a session's scripts as children of one process, which has imported what they will.

A script that was run before tells which modules of other packages it had imported; before the same
script is run again they are imported here, once for all that follow. Our own modules are imported
by each child, so an edit of the code counts from the next job on, as ever. Run as a program with
the number of a socket, on which requests and answers are lines of JSON; it ends with the session,
and its children go on without it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import sysconfig
import types
from collections.abc import Iterable

FIRST = ("pickle", "snakemake.logging", "snakemake.iocontainers")
"""What the first lines of every script import."""

OWN = ("prismflow", "hictkpy")
"""Packages that each child imports itself; the second starts a thread."""

THREADS = "/proc/self/task"
"""A folder with an entry per thread of this process."""


def main() -> None:
    """Serve, and in a child be the script."""
    with contextlib.suppress(ValueError):
        sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # put there by Python
    script = Nursery(socket.socket(fileno=int(sys.argv[1]))).serve()
    run(script)


def run(script: str) -> None:
    """Do what Python does with a script; the interpreter ends as it does after one."""
    sys.argv = [script]
    sys.path.insert(0, os.path.dirname(script))
    module = types.ModuleType("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec")
    exec(code, module.__dict__)


def kind_of(script: str) -> str:
    """``train.py`` for Snakemake's ``tmp8hx_2k.train.py``."""
    name = os.path.basename(script)
    return name.partition(".")[2] or name


def others_modules(known: Iterable[str]) -> list[str]:
    """Modules of other packages that are imported by now, in the order of their import.

    Args:
        known: names that need not be told.
    """
    roots = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")}
    inside = tuple(f"{root}{os.sep}" for root in roots)
    left_out = {*known, "__main__"}
    return [
        name
        for name, module in list(sys.modules.items())
        if name not in left_out
        and name.partition(".")[0] not in OWN
        and str(getattr(module, "__file__", None)).startswith(inside)
    ]


class Nursery:
    """Forks a child per request.

    Args:
        session: a connected socket; when its other end closes, the nursery ends.
    """

    def __init__(self, session: socket.socket) -> None:
        self.session = session
        self.unread = b""
        self.told: dict[str, list[str]] = {}
        self.children: dict[int, tuple[int, str, int]] = {}
        self.interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.wake, self.woken = socket.socketpair()
        for end in (self.wake, self.woken):
            end.setblocking(False)
        signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)
        self.selector = selectors.DefaultSelector()
        for end in (self.session, self.woken):
            self.selector.register(end, selectors.EVENT_READ)
        self.load(FIRST)

    def serve(self) -> str:
        """Take requests until the session ends; returns in a child, with its script."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.woken:
                    with contextlib.suppress(BlockingIOError):
                        self.woken.recv(4096)
                    continue
                received = self.session.recv(65536)
                if not received:
                    os._exit(0)
                self.unread += received
            self.bury()
            while b"\n" in self.unread:
                line, _, self.unread = self.unread.partition(b"\n")
                request = json.loads(line)
                if self.start(request["job"], request["script"]):
                    return str(request["script"])

    def load(self, names: Iterable[str]) -> None:
        """Import modules; one that can't be had by itself is left to the children."""
        for name in names:
            if name not in sys.modules:
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)

    def start(self, job: int, script: str) -> bool:
        """Fork; True in the child. A process with more than one thread does not: it says so."""
        kind = kind_of(script)
        self.load(self.told.pop(kind, ()))
        if len(os.listdir(THREADS)) > 1:
            self.answer(job=job, refused=True)
            return False
        notes = os.memfd_create("modules")
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # children share the pages of what is imported
        child = os.fork()
        if child == 0:
            self.leave(notes)
            return True
        self.children[child] = (job, kind, notes)
        self.answer(job=job, pid=child)
        return False

    def leave(self, notes: int) -> None:
        """In a child: be a process like any other, and write down at its end what it imported."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, self.interrupt)
        self.selector.close()
        for end in (self.session, self.wake, self.woken):
            end.close()
        for _, _, others in self.children.values():
            os.close(others)
        # What is frozen is never freed, and libraries call that a leak when a process ends.
        atexit.register(gc.unfreeze)
        known = frozenset(sys.modules)

        def tell() -> None:
            with open(notes, "w", encoding="utf-8") as file:
                json.dump(others_modules(known), file)

        atexit.register(tell)

    def bury(self) -> None:
        """Tell the session of children that have ended, and learn what they had imported."""
        while self.children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            if child not in self.children:
                continue
            job, kind, notes = self.children.pop(child)
            os.lseek(notes, 0, os.SEEK_SET)
            with open(notes, encoding="utf-8") as file, contextlib.suppress(ValueError):
                self.told[kind] = json.load(file)
            self.answer(job=job, status=os.waitstatus_to_exitcode(status))

    def answer(self, **answer: object) -> None:
        """One line to the session; it may have ended meanwhile."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.session.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
