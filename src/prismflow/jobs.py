"""What every scripted rule does around its call: log, and end with a sentence on bad input."""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from prismflow.errors import InputError

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


@contextlib.contextmanager
def job(snakemake: Any) -> Iterator[logging.Logger]:
    """Log to the rule's log file and to stderr.

    An :class:`InputError`, a full or read-only disk ends with one sentence and exit status 1.

    Args:
        snakemake: the object that Snakemake gives to a script.
    """
    log_path = Path(snakemake.log[0])
    log_path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("prismflow")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    handlers: list[logging.Handler] = [logging.FileHandler(log_path, mode="w", encoding="utf-8")]
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    started = time.monotonic()
    try:
        logger.info("rule %s started", snakemake.rule)
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
        raise
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def _end(logger: logging.Logger, sentence: str) -> NoReturn:
    logger.error("%s", sentence)
    if not sys.stderr.isatty():
        sys.stderr.write(f"error: {sentence}\n")
    raise SystemExit(1) from None
