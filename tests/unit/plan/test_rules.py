"""What .smk files are written with."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from planned import DEMO, Files, wildcards
from snakemake.exceptions import WorkflowError

from prismflow.jobs.code_digest import code_digest
from prismflow.plan.digests import Digests
from prismflow.plan.results import all_figures, all_tables, reports, stores
from prismflow.plan.rules import escaped, growing, one_of, start
from prismflow.plan.runs import Plan
from prismflow.settings.datasets import merge

Make = Callable[..., Plan]


def begun(root: Path, **changes: Any) -> Plan:
    """The plan of a start of Snakemake."""
    merged: dict[str, Any] = {}
    for values in [*(yaml.safe_load(Path(f).read_text()) for f in DEMO), changes]:
        merged = merge(merged, values)
    workflow = SimpleNamespace(
        configfiles=[*reversed(DEMO)], overwrite_configfiles=[DEMO[1]], basedir=root
    )
    return start(workflow, merged, str(root / "config" / "config.yaml"))


def test_the_files_given_by_the_user_come_last(files: Files, root: Path) -> None:
    assert begun(root).config.files == DEMO


def test_bad_input_ends_a_start_with_its_sentence_alone(files: Files, root: Path) -> None:
    with pytest.raises(WorkflowError, match=r"demo\.yaml") as caught:
        begun(root, seeds=["one"])
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_names_are_patterns_of_a_wildcard() -> None:
    assert one_of({"b", "a"}) == "a|b"
    assert one_of([]) == escaped([]) == "none"
    assert re.fullmatch(escaped(["x.bed.gz", "y+z"]), "y+z")
    assert not re.fullmatch(escaped(["x.bed.gz"]), "xxbed.gz")


def test_resources_grow_with_the_attempt() -> None:
    assert [growing(2000)(None, attempt) for attempt in (1, 2, 3)] == [2000, 4000, 6000]


def test_results_are_named_once_for_every_dataset(plan: Make) -> None:
    made = plan()
    assert reports(made) == ["results/demo/report.html"]
    assert stores(made) == ["results/demo/simA/store", "results/demo/simB/store"]
    for names in (all_figures(made), all_tables(made)):
        assert len(names) == len(set(names))
    assert "results/demo/figures/data_checks.png" in all_figures(made)
    assert "results/demo/tables/main_comparisons.md" in all_tables(made)
    assert "results/demo/tables/claims.html" in all_tables(made)


def test_a_dataset_that_trains_nothing_judges_no_claim(plan: Make) -> None:
    made = plan({"models": ["prism"], "renderer": "scm", "table": None})
    assert not [name for name in all_tables(made) if "claims" in name]


def test_tabular_and_adopted_models_have_rules_of_their_own(plan: Make) -> None:
    made = plan()
    assert {"gbm", "gene_features"} <= made.tabular
    assert not {"cnn", "prism"} & made.tabular
    assert made.adopted == set()


def test_a_models_digest_is_that_of_its_own_code(plan: Make) -> None:
    digests = Digests(plan())
    training = {name: digests.training(wildcards(model=name)) for name in ("cnn", "prism", "gbm")}
    assert len(set(training.values())) == 3
    # A network doesn't depend on the way of tabular models, nor the other way round.
    own = {"cnn": ("training.network", "models.cnn"), "gbm": ("training.table", "models.tabular")}
    for name, modules in own.items():
        assert training[name] == code_digest("training.run", *modules)
    assert digests.training(wildcards(model="prism_n0")) == training["prism"]


def test_figures_and_tables_have_digests_of_their_own(plan: Make) -> None:
    digests, main = Digests(plan()), wildcards(experiment="main")
    assert digests.figure(main) != digests.table(main)
    assert digests.figure(main) != digests.figure(wildcards(experiment="weights"))
    assert digests.table(main) == code_digest(
        "figures.write_table", "figures.tables.main", "figures.read.runs",
        "figures.read.comparisons",
    )  # fmt: skip


def test_no_rule_file_defines_a_function(root: Path) -> None:
    for path in [root / "Snakefile", *(root / "rules").glob("*.smk")]:
        assert not re.search(r"^\s*def ", path.read_text(), flags=re.MULTILINE), path.name


def test_no_job_reads_its_parameters_from_text(root: Path) -> None:
    for path in [*(root / "workflow" / "scripts").glob("*.py"), *(root / "rules").glob("*.smk")]:
        assert not re.search(r"\bjson\.|_json\b", path.read_text()), path.name
