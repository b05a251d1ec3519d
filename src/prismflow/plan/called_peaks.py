"""Peaks that are called from a bigWig, as the rule `call_peaks` asks for them."""

from __future__ import annotations

from typing import Any

from prismflow.plan.plain import plain
from prismflow.plan.runs import Plan
from prismflow.plan.view import Wildcards


class CalledPeaksPlan:
    """What the one rule of this theme reads and depends on.

    Attributes:
        entries: the part ``called_peaks`` of the configuration.
    """

    def __init__(self, plan: Plan) -> None:
        self.entries: dict[str, dict[str, Any]] = plan.config.values["called_peaks"]

    def track(self, wildcards: Wildcards) -> str:
        """The bigWig."""
        return str(self.entries[wildcards.called]["track"])

    def control(self, wildcards: Wildcards) -> str | list[str]:
        """The bigWig of the control, if there is one."""
        return self.entries[wildcards.called]["control"] or []

    def options(self, wildcards: Wildcards) -> dict[str, Any]:
        """Share and floor."""
        entry = self.entries[wildcards.called]
        return plain({name: entry[name] for name in ("top_share", "floor")})
