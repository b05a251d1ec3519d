"""Every block of YAML in the guide is planned as it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from advice import Block, blocks, documents
from planned import PAPER

from prismflow.plan.runs import Plan

Make = Callable[..., Plan]
YAML = [block for path in documents() for block in blocks(path) if block.language == "yaml"]
#: Blocks that name files of the reader's; tests/workflow/test_documents.py plans them.
WITH_FILES = [block for block in YAML if "# my.yaml" in block.text]
GRIDS = [line for block in YAML for line in block.text.splitlines() if line.startswith("vary: ")]
OVERRIDES = [block for block in YAML if "vary: " not in block.text and block not in WITH_FILES]


def test_every_block_is_planned_by_some_test() -> None:
    assert len(WITH_FILES) == 1 and OVERRIDES and len(GRIDS) > 4
    for block in YAML:
        lines = [line for line in block.text.splitlines() if line.strip()]
        grids = [line in GRIDS for line in lines]
        assert block in WITH_FILES or block in OVERRIDES or all(grids), block.where


@pytest.mark.parametrize("line", GRIDS)
def test_a_grid_of_the_guide_is_planned(plan: Make, line: str) -> None:
    made = plan({"renderer": "main", **yaml.safe_load(line)})
    experiment = made.experiments["demo", "own"]
    assert len(experiment.models) > 0 and experiment.runs
    # The names that the line's comment promises.
    for name in line.partition("#")[2].replace(":", ",").split(","):
        if name.strip().startswith("prism_"):
            assert name.strip() in made.models


@pytest.mark.parametrize("block", OVERRIDES, ids=lambda block: block.where)
def test_an_override_of_the_guide_is_planned(plan: Make, block: Block) -> None:
    made = plan(files=PAPER, **yaml.safe_load(block.text))
    assert made.runs("hg38_cage")
    # What it says: Prism and everything named _2kb fit.
    assert not any("bp hold no input" in note for note in made.notes("hg38_cage")), made.skipped
