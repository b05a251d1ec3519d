"""Snakemake finds a logger by the name of its package: ``--logger prismflow``."""

# No postponed annotations: Snakemake makes options of the types.
import logging
import sys
import threading
from dataclasses import dataclass, field

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from prismflow.jobs.console import Console
from prismflow.jobs.terminal import announce

REDRAWN_SECONDS = 1.0


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options on Snakemake's command line."""

    full: bool = field(
        default=False,
        metadata={"help": "Print all that Snakemake says, as without this logger."},
    )


class LogHandler(LogHandlerBase):
    """Few lines from Snakemake's records; with ``full``, or where no job runs, all of them."""

    writes_to_stream = True
    writes_to_file = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        common = self.common_settings
        self.stream = sys.stdout if common.stdout else sys.stderr
        asked = common.dryrun or common.verbose or common.debug_dag or common.printshellcmds
        full = asked or common.quiet or getattr(self.settings, "full", False)
        self.plain = self._plain() if full else None
        self.console = Console(self.stream, self.stream.isatty())
        self.ended = threading.Event()
        if not full:
            announce()
            if self.console.terminal:
                threading.Thread(target=self._redraw, daemon=True).start()

    # Both only matter for all that Snakemake says, which its own filter and formatter shape.
    @property
    def has_filter(self) -> bool:
        """Whether Snakemake's own filter is left out."""
        return self.plain is None

    @property
    def has_formatter(self) -> bool:
        """Whether Snakemake's own formatter is left out."""
        return self.plain is None

    def _plain(self) -> logging.Handler:
        from snakemake.logging import ColorizingTextHandler

        return ColorizingTextHandler(nocolor=self.common_settings.nocolor, stream=self.stream)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:
        """Hand Snakemake's formatter on to its own handler."""
        super().setFormatter(fmt)
        if self.plain is not None:
            self.plain.setFormatter(fmt)

    def emit(self, record: logging.LogRecord) -> None:
        """Print what is needed of a record."""
        try:
            if self.plain is not None:
                self.plain.emit(record)
            else:
                self.console.take(record)
        except BrokenPipeError:
            pass  # the reader, head say, has seen enough
        except Exception:
            self.handleError(record)

    def _redraw(self) -> None:
        while not self.ended.wait(REDRAWN_SECONDS):
            with self.lock or threading.RLock():
                self.console.draw()

    def close(self) -> None:
        """Print what was held back."""
        self.ended.set()
        if self.plain is None:
            with self.lock or threading.RLock():
                self.console.close()
        super().close()
