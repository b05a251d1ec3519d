"""Where a job finds its files when its workflow is a module with a prefix."""

from __future__ import annotations

import pytest

from prismflow.jobs.patches.module_prefix import moved, prefix_of


@pytest.mark.parametrize(
    ("log", "prefix"),
    [("logs/demo/x.log", ""), ("sub/logs/logs/x.log", "sub/"), ("a/b/logs/x.log", "a/b/"),
     ("mylogs/logs/demo/x.log", "mylogs/"), ("elsewhere.log", "")],
)  # fmt: skip
def test_the_place_of_a_log_says_the_prefix(log: str, prefix: str) -> None:
    assert prefix_of(log) == prefix


def test_paths_of_results_move_and_all_else_stays() -> None:
    given = {
        "stores": {"A": "results/demo/A/inputs.json"}, "n": 3, "none": None,
        "files": ("logs/x.log", "resources/a.fa", "own/results/x"), "results/a": "results",
    }  # fmt: skip
    assert moved(given, "sub/") == {
        "stores": {"A": "sub/results/demo/A/inputs.json"}, "n": 3, "none": None,
        "files": ["sub/logs/x.log", "resources/a.fa", "own/results/x"],
        "sub/results/a": "results",
    }  # fmt: skip
