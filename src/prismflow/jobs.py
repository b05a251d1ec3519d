"""What every scripted rule does around its call: log, and end with a sentence on bad input."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prismflow.errors import InputError


@contextlib.contextmanager
def job(snakemake: Any) -> Iterator[logging.Logger]:
    """Log to the rule's log file and to stderr; turn an :class:`InputError` into exit status 1.

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
        logger.error("%s", error)
        if not sys.stderr.isatty():
            sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None
    except Exception:
        logger.exception("rule %s failed", snakemake.rule)
        raise
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
