"""Figures and tables that describe data, models and settings instead of comparing runs."""

from __future__ import annotations

import functools
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import renderers
from make_store import make_store
from matplotlib.figure import Figure
from plot_cases import CONTEXT, all_text, check_whole
from test_tables import check_latex

from prismflow.data.contacts import PSEUDOCOUNT
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.evaluation import contact_range
from prismflow.figures import plots
from prismflow.figures.draw_figure import caption_of
from prismflow.figures.plots.confounder_weights import weight_correlations
from prismflow.figures.read import contact_range as contact_tables
from prismflow.figures.read import costs as cost_tables
from prismflow.figures.read import loci, records, settings, signals
from prismflow.figures.read.reach import COLUMNS as REACH_COLUMNS
from prismflow.figures.tables import hic_range, hyperparameters, parameters, render
from prismflow.plan import needs
from prismflow.plan.run import RunKey

CELLS = ("simA", "simB")
MODELS = ("gbm", "caduceus_signals", "prism")


def prism_settings(**hyper: Any) -> dict[str, Any]:
    return {
        "model": "prism",
        "architecture": "prism",
        "class": "prismflow.models.prism:Prism",
        "hyperparameters": hyper,
        "loss": {},
        "modalities": ["h3k27ac", "dnase", "hic"],
        "transforms": {"h3k27ac": "raw", "dnase": "raw", "hic": "log10p1"},
        "window_bp": 2000,
        "gene_features": [f"f{i}" for i in range(9)],
        "training": {"steps": 10, "warmup_steps": 1},
    }


def model_settings(**hyper: Any) -> dict[str, Any]:
    request = {"context": {"model_settings": {"prism": prism_settings(**hyper)}}}
    return settings.load("model_settings", request, Path())


def counts(n: int = 50) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    parts = []
    for cell in CELLS:
        recorded = generator.integers(0, 42, n)
        parts.append(
            pd.DataFrame(
                {
                    "cell": cell, "gene_id": [f"g{i}" for i in range(n)], "range_bp": 200_000,
                    "resolution_bp": 5000, "normalisation": "VC", "pseudocount": PSEUDOCOUNT,
                    "n_positions": 200_000, "with_pseudocount": 200_000,
                    "emptied_with_pseudocount": 200_000, "without_pseudocount": 4878 * recorded,
                    "above_expected": 2000 * recorded, "n_bins": 41, "bins_recorded": recorded,
                    "bins_beyond_tss": np.maximum(recorded - 1, 0),
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def costs() -> pd.DataFrame:
    network = {
        "trained_by_steps": True, "window_bp": 2000, "flops_prediction": 4e6, "batch_size": 8,
        "precision": "fp32", "step_seconds": 0.1, "step_seconds_low": 0.09,
        "step_seconds_high": 0.2, "device": "cpu", "threads": 1, "torch": "2.0",
    }  # fmt: skip
    rows = [
        {"model": "gbm", "architecture": "gbm", "window_bp": 2000, "trained_by_steps": False},
        {"model": "caduceus_signals", "architecture": "caduceus_signals", "n_parameters": 574_593,
         "flops_training": 4e6, "step_memory_mib": 0.0, **network},
        {"model": "prism", "architecture": "prism", "n_parameters": 585_681,
         "n_parameters_weight_generator": 10_960, "flops_training": 12e6, "step_memory_mib": 70.0,
         **network},
    ]  # fmt: skip
    return pd.DataFrame(rows)


def shown_loci() -> dict[str, pd.DataFrame]:
    generator = np.random.default_rng(1)
    genes = pd.DataFrame(
        [
            {"cell": cell, "gene_id": f"ENSG0000008056{i}", "chrom": "chrX", "tss": 107_000_000,
             "strand": "-", "observed": 0.6, "difference": [np.nan, 0.5][i]}
            for cell, i in itertools.product(CELLS, range(2))
        ]
    )  # fmt: skip
    keys = list(itertools.product(CELLS, genes["gene_id"].unique()))
    tracks = pd.concat(
        [
            pd.DataFrame({"cell": cell, "gene_id": gene, "modality": name,
                          "position_bp": np.arange(-995, 1000, 10.0),
                          "value": generator.random(200) * 300})
            for (cell, gene), name in itertools.product(keys, ("h3k27ac", "dnase", "hic"))
        ]
    )  # fmt: skip
    rows = [
        {"cell": cell, "gene_id": gene, "model": model, "seed": seed,
         "predicted": generator.normal(1, 0.4)}
        for (cell, gene), model, seed in itertools.product(keys, MODELS, (1, 2))
    ]  # fmt: skip
    return {"genes": genes, "tracks": tracks, "predictions": pd.DataFrame(rows)}


def crispr_tables() -> dict[str, pd.DataFrame]:
    """Average precision of two scores in two groups of distance, and the reach of windows."""
    rows = [
        {"cell": "simA", "benchmark": "own", "pairs": pairs, "distance_group": group,
         "score": score, "measure": "average_precision", "value": 0.4, "sd": 0.1, "low": 0.3,
         "high": 0.6, "n_pairs": 50, "n_regulated": 9, "n_genes": 20}
        for pairs, group, score in itertools.product(
            ("all", "tested"), ("all distances", "10-50 kb"), ("1/distance", "activity/distance"))
    ]  # fmt: skip
    reach = pd.DataFrame({"cell": "simA", "benchmark": "own", "window_bp": [2000, 50_000],
                          "n_regulated": 9, "n_reached": [0, 4], "share": [0, 4 / 9]})  # fmt: skip
    return {"summary": pd.DataFrame(rows), "reach": reach}


def reach_table(models, cells, n_seeds: int = 2) -> pd.DataFrame:
    """Two kinds of places, all inputs and replacements at three distances, and the average."""
    ways = [*itertools.product((1000, 10_000, 100_000), ("all", "elements"),
                               ("both", "sequence", "signals"), ("blank", "shuffle", "exchange")),
            (0, "all", "both", "averaged")]  # fmt: skip
    rows = [
        (cell, model, "fold11", seed, *way, 0.2 + 10 / (way[0] + 1000), 0.2, 0.3, 141)
        for cell, model, seed, way in itertools.product(cells, models, range(n_seeds), ways)
    ]
    return pd.DataFrame(rows, columns=list(REACH_COLUMNS))


CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "reach": ("reach", lambda: {"reach": reach_table(("prism", "gbm"), ("simA", "simB"))}, {}),
    "crispri": ("crispri", lambda: {"crispri": crispr_tables()}, {}),
    "hic_range": ("hic_range", lambda: {"contact_range": counts()}, {}),
    "hic_range_one": ("hic_range", lambda: {"contact_range": counts().query("cell == 'simA'")}, {}),
    "parameters": ("parameters", lambda: {"costs": costs()}, {"models": list(MODELS)}),
    "scm": ("scm", lambda: {"model_settings": model_settings()}, {}),
    "scm_n0": ("scm", lambda: {"model_settings": model_settings(n_contexts=0)}, {}),
    "architecture": ("architecture", lambda: {"model_settings": model_settings()}, {}),
    "architecture_n0": (
        "architecture", lambda: {"model_settings": model_settings(n_contexts=0)}, {}),
    "architecture_n8": (
        "architecture",
        lambda: {"model_settings": model_settings(n_contexts=8, reported="backdoor")}, {}),
    "locus": ("locus", lambda: {"loci": shown_loci()}, {"genes": ["ENSG00000080560", "absent"]}),
}  # fmt: skip


@functools.cache
def drawn(name: str) -> Figure:
    renderer, data, experiment = CASES[name]
    return renderers.plot(renderer).draw(data(), {"id": renderer, **experiment}, CONTEXT)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CASES)
def test_figure_is_whole_and_readable(name: str) -> None:
    check_whole(drawn(name))
    assert re.search(r"n = \d|\d seeds?", all_text(drawn(name)))


def test_fonts_are_embedded_as_true_type(tmp_path: Path) -> None:
    path = tmp_path / "figure.pdf"
    plots.save(drawn("scm"), path, tmp_path / "figure.png")
    content = path.read_bytes()
    assert b"/FontFile2" in content and b"/Type3" not in content
    if shutil.which("pdffonts") is None:
        pytest.skip("pdffonts is not installed; the PDF's own objects were checked")
    listed = subprocess.run(["pdffonts", path], capture_output=True, text=True, check=True)
    fonts = listed.stdout.splitlines()[2:]
    assert fonts
    for line in fonts:
        # name, type (TrueType or CID TrueType), encoding, embedded, subset, unicode, object
        assert "TrueType" in line and line.split()[-5] == "yes", line


def test_architecture_shows_the_sizes_of_the_model() -> None:
    text = all_text(drawn("architecture_n8"))
    for number in ("2,000 × 4", "4 → 128", "137 → 128", "conv 3 → 8 → 16 → 32", "32 → 8 × 128"):
        assert number in text
    assert "backdoor y_do\n(reported)" in text
    assert "conv" not in all_text(drawn("architecture_n0"))


def test_architecture_needs_a_prism_model() -> None:
    other = {"caduceus": prism_settings() | {"architecture": "caduceus"}}
    with pytest.raises(InputError, match="expected a model of the architecture prism"):
        renderers.plot("architecture").draw({"model_settings": other}, {"id": "x"}, CONTEXT)


def test_locus_says_what_is_missing_and_why_genes_are_shown() -> None:
    text = all_text(drawn("locus"))
    assert "Not among the test genes: absent." in text
    assert "named" in text and "difference +0.50" in text and "observed 0.60" in text


def test_widest_differences_are_over_seed_means() -> None:
    rows = [
        ("a", "prism", 1, 1.0), ("a", "prism", 2, 3.0), ("a", "base", 1, 1.0),
        ("b", "prism", 1, 0.0), ("b", "base", 1, 5.0), ("c", "prism", 1, 1.0),
        ("c", "base", 1, 1.5),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["gene_id", "model", "seed", "predicted"])
    found = loci.widest_differences(table, ("prism", "base"), 2)
    assert found["gene_id"].tolist() == ["b", "a"]
    assert found["difference"].tolist() == [-5.0, 1.0]
    assert loci.widest_differences(table, ("prism", "absent"), 2).empty


def test_weight_correlations_find_what_drives_the_weights() -> None:
    generator = np.random.default_rng(0)
    level = generator.random(60)
    weights = np.zeros((60, 16, 2))
    weights[:, :, 0] = level[:, None]
    genes = [f"g{i}" for i in range(60)]
    run = ("simA", "prism", "fold11", 1)
    table = pd.DataFrame({"gene_id": genes, "dnase": level**2, "hic": 1.0})
    distance, kept = weight_correlations({run: (genes, weights)}, run, table, ["dnase", "hic"], 0.5)
    assert distance[0, 0] == pytest.approx(1.0) and np.isnan(distance[0, 1])
    assert kept[0, 0] > 0.7


def test_pseudocount_alone_fills_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contacts in two of the bins; the released feature is above 0 everywhere all the same."""

    def bins(path, genes, *, window_bp, pseudocount, **_):
        tss = genes.tss
        values = np.zeros((len(tss), 41))
        values[:, 20:22] = 3.0  # the TSS's own bin and the next one
        inside = contact_range.positions_per_bin(
            tss, np.full(len(tss), 1_000_000), window_bp, 5000, 41
        )
        return np.where(inside > 0, values + PSEUDOCOUNT * pseudocount, 0.0), {}

    monkeypatch.setattr(contact_range, "contact_bins", bins)
    genes = pd.DataFrame({"gene_id": ["a", "b"], "chrom": "chr1", "tss": [502_500, 20_000]})
    track = {"path": "x.hic", "resolution_bp": 5000, "normalisation": "", "absent_chromosomes": ""}
    table = contact_range.count_contacts(genes, track, {"chr1": 1_000_000}, 200_000, {})
    assert table["n_positions"].tolist() == [200_000, 120_000]
    assert table["with_pseudocount"].tolist() == [200_000, 120_000]
    assert table["emptied_with_pseudocount"].tolist() == [200_000, 120_000]
    assert table["without_pseudocount"].tolist() == [10_000, 10_000]
    assert table["bins_recorded"].tolist() == [2, 2]
    assert table["bins_beyond_tss"].tolist() == [1, 1]
    assert tuple(table.columns) == contact_range.COLUMNS


def test_positions_per_bin_sum_to_the_window_inside_the_chromosome() -> None:
    tss = np.array([100, 5_000, 50_000, 99_999])
    bases = contact_range.positions_per_bin(tss, np.full(4, 100_000), 20_000, 5000, 6)
    expected = [min(t + 10_000, 100_000) - max(t - 10_000, 0) for t in tss]
    assert bases.sum(axis=1).tolist() == expected


@pytest.mark.parametrize("module", [hic_range, parameters, hyperparameters])
def test_tables_print_and_their_latex_is_well_formed(module: Any, tmp_path: Path) -> None:
    experiment = {"id": "x", "title": "A title", "models": list(MODELS)}
    data = {"contact_range": counts(), "costs": costs(), "records": run_records(tmp_path)}
    sheet = module.sheet(module.build(data, experiment, CONTEXT), experiment, CONTEXT)
    check_latex(render.latex(sheet))
    assert "A title" in render.markdown(sheet)


def test_latex_compiles(tmp_path: Path) -> None:
    engine = shutil.which("tectonic") or shutil.which("pdflatex")
    if engine is None:
        pytest.skip("no LaTeX engine on this machine; the structure is checked above")
    experiment = {"id": "x", "title": "A title", "models": list(MODELS)}
    data = {"contact_range": counts(), "costs": costs(), "records": run_records(tmp_path)}
    tables = [
        render.latex(module.sheet(module.build(data, experiment, CONTEXT), experiment, CONTEXT))
        for module in (hic_range, parameters, hyperparameters)
    ]
    body = "\n\n".join(tables)
    document = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{body}"
    (tmp_path / "tables.tex").write_text(document + "\n\\end{document}\n")
    options = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in engine else []
    result = subprocess.run(
        [engine, *options, "tables.tex"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-2000:]


def test_parameters_table_has_the_weight_generator_of_the_paper() -> None:
    experiment = {"id": "x", "title": "Costs", "models": list(MODELS)}
    sheet = parameters.sheet(
        parameters.build({"costs": costs()}, experiment, CONTEXT), experiment, CONTEXT
    )
    line = {row[0]: row for row in sheet.blocks[0].rows}["Prism"]
    assert line[2:6] == ("585,681", "10,960", "12 M", "4 M")
    assert {row[0]: row for row in sheet.blocks[0].rows}["Gradient boosting"][2] == "–"


def run_records(root: Path) -> pd.DataFrame:
    runs = [["simA", "prism", "fold11", 1], ["simB", "prism", "fold11", 2]]
    for number, (cell, model, fold, seed) in enumerate(runs):
        folder = root / "demo" / cell / model / f"{fold}_seed{seed}"
        folder.mkdir(parents=True)
        record = {
            "settings": prism_settings(d_model=16), "n_parameters": 7, "seed": seed,
            "best": {"step": 5 + number, "valid_mse": 0.1}, "device": "cpu",
            "split": {"n_train": 4, "n_valid": 2, "n_test": 3},
        }  # fmt: skip
        (folder / "model.json").write_text(json.dumps(record))
    return records.load("records", {"runs": runs, "context": {"dataset": "demo"}}, root)


def test_records_fill_in_the_defaults_that_were_used(tmp_path: Path) -> None:
    table = run_records(tmp_path)
    values = table[table["cell"] == "simA"].set_index(["group", "setting"])["value"]
    assert values["hyperparameters", "d_model"] == "16"
    assert values["hyperparameters", "n_contexts"] == "2"
    assert values["training", "batch_size"] == "8" and values["training", "steps"] == "10"
    assert values["loss", "uniform"] == "1"
    assert values["model", "signals"] == "h3k27ac, dnase, hic (log10p1)"
    sheet = hyperparameters.sheet(table, {"title": "x"}, CONTEXT)
    lines = {row[1]: row[2] for row in sheet.blocks[0].rows}
    assert lines["best step"] == "simA: 5; simB: 6"


def test_costs_are_loaded_in_the_experiments_order(tmp_path: Path) -> None:
    folder = tmp_path / "demo" / "costs"
    folder.mkdir(parents=True)
    for name in ("prism", "gbm"):
        record = {"model": name, "architecture": name}
        if name == "prism":
            record |= {"flops_per_gene": {"training": 3, "prediction": 1},
                       "parameters_by_part": {"weight_generator": 8}}  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(record))
    request = {"experiment": {"models": ["prism", "gbm"]}, "context": {"dataset": "demo"}}
    table = cost_tables.load("costs", request, tmp_path)
    assert table["model"].tolist() == ["prism", "gbm"]
    assert table.loc[0, ["flops_training", "flops_prediction"]].tolist() == [3, 1]
    assert table.loc[0, "n_parameters_weight_generator"] == 8


def test_signals_are_means_around_the_tss(tmp_path: Path) -> None:
    folder, _ = make_store(tmp_path / "demo" / "simA")
    store = Store.open(folder)
    request = {"context": {"dataset": "demo", "cells": ["simA"]}}
    table = signals.load("gene_signals", request, tmp_path)
    name = store.modalities[0]
    width = min(1000, store.window_bp)
    expected = store.signal(name, [3], width)[0].mean(dtype=np.float64)
    assert table.loc[3, name] == pytest.approx(expected)
    assert table["gene_id"].tolist() == store.genes["gene_id"].tolist()


def test_cells_without_contacts_are_left_out(tmp_path: Path) -> None:
    for cell, table in (("simA", counts(3).head(3)), ("simB", counts(3).head(0))):
        (tmp_path / "demo" / cell).mkdir(parents=True)
        path = tmp_path / "demo" / cell / "contact_range.tsv"
        table.drop(columns="cell").to_csv(path, sep="\t", index=False)
    request = {"context": {"dataset": "demo", "cells": list(CELLS)}}
    found = contact_tables.load("contact_range", request, tmp_path)
    assert set(found["cell"]) == {"simA"} and len(found) == 3
    with pytest.raises(InputError, match="expected contacts of at least one cell"):
        renderers.plot("hic_range").draw({"contact_range": found.head(0)}, {"id": "h"}, CONTEXT)


def test_needed_files_are_named_once_per_scope() -> None:
    runs = [RunKey("simA", "prism", "fold11", seed) for seed in (1, 2)]
    files = needs.needed_files(
        ("metrics", "predictions", "gene_signals", "costs"), "demo", ["simA"], ["prism"], runs
    )
    assert files == [
        "results/demo/metrics.tsv",
        "results/demo/simA/prism/fold11_seed1/predictions.tsv.gz",
        "results/demo/simA/prism/fold11_seed2/predictions.tsv.gz",
        "results/demo/simA/store",
        "results/demo/costs/prism.json",
    ]


@pytest.mark.parametrize(
    ("renderer", "table", "expected"),
    [("main", "main", True), ("scm", None, False), ("hic_range", "hic_range", False),
     (None, "hyperparameters", True), ("parameters", "parameters", False), ("locus", None, True)],
)  # fmt: skip
def test_only_some_experiments_need_runs(renderer, table, expected) -> None:
    assert needs.needs_runs({"renderer": renderer, "table": table}) is expected


def test_an_unknown_renderer_is_named_while_planning() -> None:
    with pytest.raises(
        InputError, match=r"expected a module of prismflow.figures.plots, found 'nothing'"
    ):
        needs.needs_of("plots", "nothing")


def test_caption_says_data_and_what_the_figure_found() -> None:
    request = {
        "experiment": {"id": "main", "title": "Errors", "caption": "On test genes."},
        "context": {"title": "simulated genome", "simulated": True},
        "compared": True,
    }
    caption = caption_of(request, ("metrics",), "simA: 2 seeds, 141 genes.")
    assert caption.startswith("Errors. On test genes. Data: simulated genome (simulated,")
    assert "2 seeds, 141 genes." in caption and "tables/main_comparisons" in caption
    bare = caption_of({**request, "compared": False}, ("model_settings",), "n = 0 genes.")
    assert "Data:" not in bare and "tests" not in bare


@pytest.mark.parametrize("name", ["hic_range", "locus", "parameters"])
def test_notes_are_kept_for_the_caption(name: str) -> None:
    notes = drawn(name).get_label()
    assert len(notes) > 50 and notes.split()[0] in all_text(drawn(name))
