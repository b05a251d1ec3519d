"""What an edit reruns: each row edits one file and names the rules whose digest it changes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from make_store import make_store, settings

from prismflow.jobs import code_digest

RULES: dict[str, tuple[str, ...]] = {
    "index_genome": ("data.genome",),
    "inspect_track": ("data.tracks",),
    "define_windows": (
        "data.windows",
        "data.splits",
        "data.genes",
        "data.shared_sequence",
        "data.blocks",
    ),
    "call_peaks": ("data.called_peaks",),
    "build_store": ("data.store_builder",),
    "check_data": ("evaluation.data_checks", "evaluation.input_summary", "data.kinds.signal"),
    "train prism": ("training.run", "training.network", "models.prism"),
    "train cnn": ("training.run", "training.network", "models.cnn"),
    "train gbm": ("training.run", "training.table", "models.tabular"),
    "pretrain caduceus": ("training.pretrain", "models.caduceus"),
    "adopt_pretrained caduceus": ("released.pretrained", "models.caduceus"),
    "adopt_checkpoint prism": ("released.adopt", "models.prism"),
    "evaluate prism": ("evaluation.scenarios", "models.prism"),
    "evaluate cnn": ("evaluation.scenarios", "models.cnn"),
    "evaluate gbm": ("evaluation.scenarios", "models.tabular"),
    "aggregate_metrics": ("evaluation.metrics_table",),
    "gather_predictions": ("evaluation.predictions_file",),
    "measure_cost prism": ("evaluation.costs", "models.prism"),
    "measure_cost cnn": ("evaluation.costs", "models.cnn"),
    "measure_contact_range": ("evaluation.contact_range",),
    "train_in_world": ("evaluation.worlds", "training.network", "training.table", "models.prism"),
    "gather_confounding": ("evaluation.confounding",),
    "compare_models": ("evaluation.comparisons",),
    "write_comparisons": ("figures.write_comparisons",),
    "judge_claims": ("evaluation.claims", "models.prism"),
    "write_claims": ("figures.write_claims",),
    "plot_figure main": ("figures.draw_figure", "figures.plots.main", "figures.read.runs"),
    "plot_figure scm": ("figures.draw_figure", "figures.plots.scm", "figures.read.settings"),
    "plot_data_checks": ("figures.draw_figure", "figures.plots.data_checks"),
    "attribute prism": ("explain.attributions", "models.prism"),
    "attribute cnn": ("explain.attributions", "models.cnn"),
    "score_variants prism": ("explain.variants", "models.prism"),
    "measure_cross_cell": ("evaluation.cross_cell",),
    "measure_out_of_fold": ("evaluation.out_of_fold",),
    "measure_strata": ("evaluation.strata",),
    "benchmark_crispri": ("evaluation.crispri",),
    "list_pairs": ("data.element_pairs",),
    "score_pairs prism": ("explain.knockouts", "models.prism"),
    "score_pairs cnn": ("explain.knockouts", "models.cnn"),
    "export_pairs": ("explain.enhancer_gene",),
    "make_own_genes": ("data.own_genes",),
    "export_bundle": ("predict.export",),
    "predict_genes": ("predict.predictions",),
    "plot_attributions": ("figures.draw_figure", "figures.plots.attributions"),
    "write_table main": ("figures.write_table", "figures.tables.main", "figures.read.runs"),
}
"""Digests of rules, as the rules ask for them with the demo's models and two of its figures."""

PRISM = {
    "train prism", "evaluate prism", "measure_cost prism", "train_in_world", "judge_claims",
    "attribute prism", "score_variants prism", "score_pairs prism",
}  # fmt: skip
NETWORKS = PRISM | {
    "train cnn", "evaluate cnn", "measure_cost cnn", "attribute cnn", "score_pairs cnn",
}  # fmt: skip
EVERY_MODEL = NETWORKS | {"train gbm", "evaluate gbm"}
# Costs count the scan's operations themselves, and so depend on it for every model.
PRETRAINING = {"pretrain caduceus", "adopt_pretrained caduceus"}
SCAN = PRISM | PRETRAINING | {"adopt_checkpoint prism", "measure_cost cnn"}
FIGURES = {"plot_figure main", "plot_figure scm", "plot_data_checks", "plot_attributions"}
PRINTED = {"write_table main", "write_comparisons", "write_claims"}

ROWS: dict[str, set[str]] = {
    # Of the default path of training, loaded by name.
    "models/scan/numba_pointwise.py": SCAN,
    "models/scan/numba_norm.py": SCAN,
    "models/scan/triton_pointwise.py": SCAN,
    "models/scan/numba_backend.py": SCAN,
    "models/scan/lanes.py": SCAN,
    "settings/architectures.py": set(),
    "errors.py": set(),
    "jobs/script.py": set(),
    "jobs/code_digest.py": set(),
    "settings/yaml_files.py": set(),
    "settings/sentences.py": set(),
    "jobs/patches/__init__.py": set(),
    "jobs/patches/adamw.py": {
        "pretrain caduceus",
        "train prism",
        "train cnn",
        "train_in_world",
        "measure_cost prism",
        "measure_cost cnn",
    },
    "jobs/patches/trees.py": {"train gbm", "evaluate gbm"},
    # Applied whenever a batch is made, and it knows which kinds there are.
    "data/transforms.py": EVERY_MODEL - {"judge_claims"}
    | {"inspect_track", "build_store", "check_data", "adopt_checkpoint prism"}
    # A bundle keeps the range of inputs as models read them, and predictions read such inputs.
    | {"export_bundle", "predict_genes"}
    # Activity of candidate elements is read from tracks as they are stored.
    | {"list_pairs", "benchmark_crispri"},
    "data/called_peaks.py": {"call_peaks"},
    "explain/knockouts.py": {"score_pairs prism", "score_pairs cnn"},
    "evaluation/strata.py": {"measure_strata"},
    "evaluation/comparisons.py": {"compare_models"},
    "evaluation/claims.py": {"judge_claims"},
    "figures/write_claims.py": {"write_claims"},
    "training/progress.py": set(),
    "training/state.py": set(),
    "training/devices.py": set(),
    "figures/tables/render.py": PRINTED,
    "figures/tables/main.py": {"write_table main"},
    "figures/plots/style.py": FIGURES,
    "figures/plots/main.py": {"plot_figure main"},
    "labels.py": FIGURES | PRINTED,
    "training/loop.py": {
        "train prism",
        "train cnn",
        "train_in_world",
        "measure_cost prism",
        "measure_cost cnn",
    },
    "training/pretrain.py": {"pretrain caduceus"},
    "training/masked.py": PRETRAINING,
    "training/kept.py": set(),
    # What a run starts from is read where it is trained.
    "training/initial.py": {"train prism", "train cnn", "train_in_world"},
    "released/pretrained.py": {"adopt_pretrained caduceus"},
    "training/network.py": {"train prism", "train cnn", "train_in_world"},
    "training/table.py": {"train gbm", "train_in_world"},
    "models/prism.py": PRISM | {"adopt_checkpoint prism"},
    "models/cnn.py": NETWORKS - PRISM,
    "models/tabular.py": {"train gbm", "evaluate gbm"},
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, to be edited."""
    source = Path(code_digest.__file__).parents[1]
    copy = tmp_path_factory.mktemp("copied") / "prismflow"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def digests(package: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Digest of every rule with the code of a copy."""
    monkeypatch.setattr(code_digest, "_root", lambda: package)
    for cached in (code_digest._file_of, code_digest._parsed, code_digest.code_digest):
        cached.cache_clear()
    try:
        return {rule: code_digest.code_digest(*modules) for rule, modules in RULES.items()}
    finally:
        for cached in (code_digest._file_of, code_digest._parsed, code_digest.code_digest):
            cached.cache_clear()


@pytest.fixture(scope="module")
def unedited(package: Path) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return digests(package, monkeypatch)


@pytest.mark.parametrize("file", sorted(ROWS))
def test_an_edit_reruns_exactly_what_it_touches(
    file: str, package: Path, unedited: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = package / file
    text = path.read_text()
    path.write_text(text + "\n\ndef edited():\n    return 1\n")
    try:
        after = digests(package, monkeypatch)
    finally:
        path.write_text(text)
    assert {rule for rule in RULES if after[rule] != unedited[rule]} == ROWS[file]


def test_the_rules_ask_for_the_digests_that_are_tested(root: Path) -> None:
    tested = {module for modules in RULES.values() for module in modules}
    # What downloads, simulates, prices, prints the report or the inputs has no row here.
    others = {"simulate", "evaluation.write_plans", "figures.report", "data.gene_table",
              "evaluation.input_table"}  # fmt: skip
    named = set()
    for path in (root / "rules").glob("*.smk"):
        for call in re.findall(r"(?:code_digest|digest_for)\(([^()]*)", path.read_text()):
            named |= set(re.findall(r'"([a-z_]+(?:\.[a-z_.]+)?)"', call)) - {"plots", "tables"}
    named -= {"renderer", "table"}
    named = {name for name in named if not name.startswith(("portals.", "released."))}
    assert named - others <= tested and "evaluation.scenarios" in named


STEP = """
import json, sys
from prismflow.{module} import {function}
{function}(**json.loads(sys.argv[1]))
print(json.dumps([name for name in sys.modules if name.split(".")[0] == "prismflow"]))
"""


def modules_after(module: str, function: str, arguments: dict[str, object]) -> set[str]:
    """Modules of the package in a process that has done a job."""
    text = json.dumps(arguments, default=str)
    code = STEP.format(module=module, function=function)
    done = subprocess.run(
        [sys.executable, "-c", code, text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("architecture", ["prism", "gbm"])
def test_all_that_a_job_really_loads_counts_or_is_neutral(
    architecture: str, tmp_path: Path
) -> None:
    store, splits = make_store(tmp_path)
    data = {"store_dir": store, "splits_path": splits, "device": "cpu", "threads": 1}
    run = {
        "weights_path": tmp_path / "run" / "model.safetensors",
        "model_json_path": tmp_path / "run" / "model.json",
    }
    chosen = settings(architecture, training={"steps": 1, "warmup_steps": 0})
    trained = modules_after(
        "training.run",
        "train_run",
        data
        | run
        | {"settings": chosen, "fold": "fold11", "seed": 2, "history_path": tmp_path / "h.tsv"},
    )
    names = ("predictions_path", "metrics_path", "extras_path")
    evaluated = modules_after(
        "evaluation.scenarios",
        "evaluate_run",
        data | run | {"scenarios": {"full": {}}} | {name: tmp_path / name for name in names},
    )
    for rule, loaded in (("train", trained), ("evaluate", evaluated)):
        counted = code_digest.modules_reached(*RULES[f"{rule} {architecture}"])
        assert f"prismflow.models.{'tabular' if architecture == 'gbm' else 'prism'}" in loaded
        assert loaded - set(counted) - set(code_digest.NEUTRAL) == set()


def test_an_edit_of_the_reports_template_writes_the_report_anew(
    package: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    assert 'files_digest("figures/page")' in (root / "rules" / "figures.smk").read_text()
    monkeypatch.setattr(code_digest, "_root", lambda: package)
    code_digest.files_digest.cache_clear()
    before = code_digest.files_digest("figures/page")
    style = package / "figures" / "page" / "report.css"
    style.write_text(style.read_text() + "/* edited */\n")
    code_digest.files_digest.cache_clear()
    assert code_digest.files_digest("figures/page") != before
    code_digest.files_digest.cache_clear()
