"""What every scripted rule does around its call: log, and end with a sentence on bad input."""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from prismflow.errors import InputError
from prismflow.jobs.image import check_image
from prismflow.jobs.patches.module_prefix import place_parameters, prefix_of
from prismflow.jobs.terminal import is_watched

DISK_TROUBLE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your quota of the disk is used up; free some space",
    errno.EROFS: "the folder can't be written to; make it writable",
    errno.EACCES: "access is denied; correct the permissions",
    errno.EPERM: "access is denied; correct the permissions",
    errno.EFBIG: "the file is larger than the system allows; raise the limit (ulimit -f)",
    errno.EIO: "the disk reports an error; have it checked",
}
"""What a user can do about an error of the file system."""

CLOCK_TOLERANCE = 120.0
"""Seconds by which clocks of machines that share a file system may differ."""


@contextlib.contextmanager
def job(snakemake: Any) -> Iterator[logging.Logger]:
    """Log to the rule's log file, and to a terminal unless a console shows the progress there.

    An :class:`InputError`, a full or read-only disk, a clock that was set back end with one
    sentence and exit status 1.

    Args:
        snakemake: the object that Snakemake gives to a script.
    """
    logger = logging.getLogger("prismflow")
    handlers: list[logging.Handler] = []
    started = time.monotonic()
    try:
        _open_log(logger, handlers, Path(snakemake.log[0]))
        logger.info("rule %s started", snakemake.rule)
        check_image()
        _check_clock(snakemake.input)
        place_parameters(snakemake)
        yield logger
        logger.info("rule %s finished in %.1f s", snakemake.rule, time.monotonic() - started)
    except InputError as error:
        _end(logger, str(error))
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            logger.exception("rule %s failed", snakemake.rule)
            raise
        where = error.filename or ", ".join(map(str, snakemake.output))
        _end(logger, f"{where}: {DISK_TROUBLE[error.errno]} and start again ({error.strerror}).")
    except Exception:
        logger.exception("rule %s failed", snakemake.rule)
        if is_watched():
            raise SystemExit(1) from None  # the console says it, the log has the traceback
        raise
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            with contextlib.suppress(OSError):
                handler.close()


def folder_of(snakemake: Any, name: str) -> str:
    """Where ``results`` or ``benchmarks`` of a job's workflow lie: a module may have a prefix."""
    return f"{prefix_of(snakemake.log[0])}{name}"


def _open_log(logger: logging.Logger, handlers: list[logging.Handler], path: Path) -> None:
    # Where the disk is full, logging would bury the one sentence under tracebacks of its own.
    logging.raiseExceptions = False
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if sys.stderr.isatty() and not is_watched():
        handlers.append(logging.StreamHandler())
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers.append(logging.FileHandler(path, mode="w", encoding="utf-8"))
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)


def _check_clock(inputs: Iterable[str]) -> None:
    """Refuse inputs from the future: Snakemake would throw the job's results away in the end."""
    now = time.time()
    for path in inputs:
        for file in (Path(path), Path(path) / ".snakemake_timestamp"):
            try:
                written = file.stat().st_mtime
            except OSError:
                continue  # the rule itself says what it lacks
            if written > now + CLOCK_TOLERANCE:
                raise InputError(
                    f"{path}: expected an input that is older than now, found one of "
                    f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(written))}, while this "
                    f"machine's clock says {time.strftime('%Y-%m-%d %H:%M', time.localtime(now))}; "
                    "set the clock right, or give the files times of today (find resources "
                    "results -exec touch {} +, then snakemake --touch)."
                )


def _end(logger: logging.Logger, sentence: str) -> NoReturn:
    logger.error("%s", sentence)
    if not sys.stderr.isatty() and not is_watched():
        sys.stderr.write(f"error: {sentence}\n")
    raise SystemExit(1) from None
