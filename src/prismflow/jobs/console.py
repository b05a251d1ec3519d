"""What a session prints: a line of progress, failures as sentences, and what comes last.

Snakemake's own output is some twenty lines per job. On a terminal this is one line, redrawn; where
there is none, one line per finished job. All that Snakemake says stays in its log.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

LAST = "prismflow_last"
"""Attribute of a record that is one of a session's last lines."""

CLOCK_SECONDS = 5.0
"""By how much the clock of a file system may be behind."""

_SAID = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ERROR (.*)")
#: What Snakemake says of a failed job beside what the job itself said, and at the end of all.
_EMPTY_WORDS = (
    "RuleException:\nCalledProcessError",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete successfully",
)

#: What it says at every start.
_OPENING_WORDS = ("Assuming unrestricted shared filesystem", "Building DAG of jobs")


def say_last(sentence: str) -> None:
    """Print one of a session's last lines, with :class:`Console` below everything else."""
    from snakemake.logging import logger

    logger.warning(sentence, extra={LAST: True})


def sentence_of(log: str | Path, since: float = 0.0) -> str:
    """What a failed job's log says last: our sentence, or the end of a traceback.

    Args:
        log: may be absent.
        since: seconds of the epoch; an older log tells of another session.
    """
    try:
        if Path(log).stat().st_mtime < since - CLOCK_SECONDS:
            return ""
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [match[1] for line in lines if (match := _SAID.match(line))]
    if said and not re.fullmatch(r"rule \w+ failed", said[-1]):
        return said[-1]
    return next((line.strip() for line in reversed(lines) if said and line.strip()), "")


def in_words(seconds: float) -> str:
    """``42 s``, ``3 min`` or ``2 h 5 min``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@dataclass
class Progress:
    """How far a session is.

    Args:
        clock: gives seconds.
    """

    clock: Callable[[], float] = time.monotonic
    wanted: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    running: dict[int, tuple[str, float]] = field(default_factory=dict)
    began: float = 0.0

    def begin(self, wanted: dict[str, int]) -> None:
        """Take over how many jobs each rule has, ``total`` among them, at the start or later on."""
        self.began = self.began or self.clock()
        self.wanted = Counter({rule: n for rule, n in wanted.items() if rule != "total"})

    def start(self, job: int, rule: str) -> None:
        """A job was started, for the first time or again."""
        self.running[job] = (rule, self.clock())

    def finish(self, job: int) -> float:
        """A job is done; seconds that it took."""
        rule, since = self.running.pop(job, ("", self.clock()))
        took = self.clock() - since
        self.done[rule] += 1
        self.seconds[rule] += took
        return took

    def left(self) -> float | None:
        """Seconds until the end: jobs left by what their rule took so far, as many at a time.

        Returns:
            None as long as no job is done.
        """
        spent = sum(self.seconds.values())
        elapsed = self.clock() - self.began
        if not spent or not elapsed:
            return None
        usual = spent / sum(self.done.values())
        work = 0.0
        for rule, wanted in self.wanted.items():
            mean = self.seconds[rule] / self.done[rule] if self.done[rule] else usual
            work += max(0, wanted - self.done[rule]) * mean
        return work / max(1.0, spent / elapsed)


class Console:
    """Turns Snakemake's records into few lines.

    Args:
        stream: what is written to.
        terminal: whether a line can be redrawn there.
        clock: gives seconds.
    """

    def __init__(
        self, stream: TextIO, terminal: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stream, self.terminal = stream, terminal
        self.progress = Progress(clock)
        self.names: dict[int, str] = {}
        self.targets: set[int] = set()
        self.since = time.time()
        self.failures: dict[int, str] = {}
        self.held: list[str] = []
        self.last: list[str] = []
        self.errors: list[str] = []
        self.whole_log = ""
        self.drawn = False
        self.closed = False

    def take(self, record: logging.LogRecord) -> None:
        """Print what a person needs of a record."""
        event = getattr(record, "event", None)
        handler = getattr(self, f"_{event}", None)
        if handler is not None:
            handler(record)
        elif getattr(record, LAST, False):
            self.last.append(record.getMessage())
        elif event in (None, "error"):
            self._words(record, str(record.msg or "").strip())
        self.draw()

    def _words(self, record: logging.LogRecord, text: str) -> None:
        if not text:
            return
        if text.startswith("Complete log(s): "):
            self.whole_log = text.removeprefix("Complete log(s): ")
        elif record.levelno >= logging.ERROR and self.progress.began:
            self.errors.append(text)
        elif record.levelno >= logging.WARNING:
            if record.levelno >= logging.ERROR:
                self.held.clear()  # what went before is no news beside it
            self._print(text)
        elif not self.progress.began and not text.startswith(_OPENING_WORDS):
            # Without a run these words are all there is: nothing to do, unlocked, a list of rules.
            self.held.append(text)

    def _run_info(self, record: Any) -> None:
        first = not self.progress.began
        self.progress.begin(record.stats)
        self.held.clear()
        if first:
            total = record.stats.get("total", 0)
            self._print(f"{total} job{'' if total == 1 else 's'} to do")

    def _job_info(self, record: Any) -> None:
        values = " ".join(str(value) for value in dict(record.wildcards).values())
        self.names[record.jobid] = f"{record.rule_name} {values}".strip()
        if not record.output:
            self.targets.add(record.jobid)  # a rule that only gathers has nothing to tell
        self.progress.start(record.jobid, record.rule_name)

    def _job_finished(self, record: Any) -> None:
        took = self.progress.finish(record.job_id)
        self.failures.pop(record.job_id, None)
        if not self.terminal and record.job_id not in self.targets:
            done, total = self._counts()
            name = self.names.get(record.job_id, "")
            self._print(f"{time.strftime('%H:%M:%S')} {done} of {total}: {name}, {in_words(took)}")

    def _job_error(self, record: Any) -> None:
        name = self.names.get(record.jobid, record.rule_name)
        self.progress.running.pop(record.jobid, None)
        logs = list(record.log or [])
        words = next(filter(None, (sentence_of(log, self.since) for log in logs)), "")
        words = words or " ".join(str(record.rule_msg or "it ended without a sentence").split())
        where = f"; log: {', '.join(logs)}" if logs else ""
        if record.jobid not in self.failures:
            self._print(f"{time.strftime('%H:%M:%S')} failed: {name}")
        self.failures[record.jobid] = f"error: {words} ({name}{where})"

    def _counts(self) -> tuple[int, int]:
        return sum(self.progress.done.values()), sum(self.progress.wanted.values())

    def _print(self, text: str) -> None:
        erase = "\r\x1b[K" if self.drawn else ""
        self.drawn = False
        self.stream.write(f"{erase}{text}\n")
        self.stream.flush()

    def draw(self) -> None:
        """Draw the line of progress anew, on a terminal and while something runs."""
        if not self.terminal or self.closed or not self.progress.running:
            return
        done, total = self._counts()
        left = self.progress.left()
        time_left = "" if left is None else f", about {in_words(left)} left"
        failed = f", {len(self.failures)} failed" if self.failures else ""
        running = "; ".join(self.names[job] for job in self.progress.running if job in self.names)
        text = f"{done} of {total} jobs done{failed}{time_left}; now {running}"
        width = shutil.get_terminal_size().columns - 1
        if len(text) > width:
            text = f"{text[: width - 1]}…"
        self.stream.write(f"\r\x1b[K{text}")
        self.stream.flush()
        self.drawn = True

    def close(self) -> None:
        """Print what was held back; nothing is drawn any more."""
        if self.closed:
            return
        self.closed = True
        lines = [*self._held_errors(), *self.failures.values(), *self.held]
        if self.whole_log and (self.failures or self.errors):
            lines.append(f"All that Snakemake said: {self.whole_log}")
        for text in [*lines, *self.last]:
            self._print(text)
        if self.drawn:
            self.stream.write("\r\x1b[K")
        self.stream.flush()

    def _held_errors(self) -> list[str]:
        """Errors that say more than that a job failed, which its own sentence says."""
        silent = _EMPTY_WORDS if self.failures else ()
        return [text for text in self.errors if not text.startswith(silent)]
