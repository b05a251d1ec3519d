"""How far a long loop is: a bar on a terminal, log lines with the time left elsewhere."""

from __future__ import annotations

import logging
import sys
import time

from prismflow.jobs.terminal import is_watched

logger = logging.getLogger(__name__)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Progress:
    """Reports on a loop of known length.

    On a terminal one line of standard error is redrawn; elsewhere (log files, clusters) a log
    line is written at every tenth of the way (unless that is every moment), and at least every
    ``interval`` seconds.

    Args:
        total: number of steps of the whole loop.
        label: what is counted, such as ``"training prism"``.
        first: the step at which the loop starts (for a continued run).
        interval: longest silence in seconds where there is no terminal.
    """

    def __init__(self, total: int, label: str, first: int = 0, interval: float = 60.0) -> None:
        self.total, self.label, self.first, self.interval = total, label, first, interval
        self.started = self.shown = time.monotonic()
        self.tenth = 10 * first // max(total, 1)
        self.terminal = sys.stderr.isatty() and not is_watched()

    def update(self, done: int, note: str = "") -> None:
        """Tell that ``done`` steps are finished; ``note`` (losses, say) is shown beside."""
        now = time.monotonic()
        tenth = 10 * done // max(self.total, 1)
        waited = now - self.shown
        if self.terminal:
            due = waited >= 0.2 or done == self.total
        else:
            due = (tenth > self.tenth and waited >= 2.0) or waited >= self.interval
        if not due:
            return
        self.shown, self.tenth = now, tenth
        elapsed = now - self.started
        rate = (done - self.first) / elapsed if elapsed > 0 else 0.0
        left = _clock((self.total - done) / rate) if rate > 0 else "?"
        text = (
            f"{self.label}: step {done}/{self.total}, {rate:.1f} steps/s, "
            f"{_clock(elapsed)} gone, {left} left{', ' + note if note else ''}"
        )
        if self.terminal:
            bar = "#" * (20 * done // max(self.total, 1))
            end = "\n" if done == self.total else ""
            sys.stderr.write(f"\r\x1b[K[{bar:<20}] {text}{end}")
            sys.stderr.flush()
        else:
            logger.info(text)
