"""Plans of the demo and of the paper's configuration, as planning makes them from the files."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from prismflow.plan.runs import Plan, make_plan
from prismflow.settings import config as configuration
from prismflow.settings.datasets import merge

DEMO = ("config/config.yaml", "config/demo.yaml")
DEMO_FULL = (*DEMO, "config/demo_full.yaml")
PAPER = ("config/config.yaml",)
RELEASED = (*PAPER, "config/released_bundle.yaml")


class Files:
    """A copy of the configuration in the working directory."""

    def __init__(self, root: Path) -> None:
        shutil.copytree(root / "config", "config")

    def plan(
        self,
        entry: dict[str, Any] | None = None,
        files: tuple[str, ...] = DEMO,
        **changes: Any,
    ) -> Plan:
        """Plan with one experiment ``own``, if any, and further changes of the configuration."""
        if entry is not None:
            path = Path("config/experiments.yaml")
            content = yaml.safe_load(path.read_text())
            own = {"title": "t", "caption": "c", "renderer": "sweep", **entry}
            content["experiments"]["own"] = own
            path.write_text(yaml.safe_dump(content, sort_keys=False))
            changes = merge({"run": {"experiments": ["own"]}}, changes)
        merged: dict[str, Any] = {}
        for values in [*(yaml.safe_load(Path(f).read_text()) for f in files), changes]:
            merged = merge(merged, values)
        return make_plan(configuration.load(copy.deepcopy(merged), list(files)))


def wildcards(**names: str) -> Any:
    """What Snakemake gives to the functions of a rule."""
    return SimpleNamespace(**{"dataset": "demo", **names})
