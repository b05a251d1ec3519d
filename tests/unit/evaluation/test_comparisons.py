"""Gathering predictions, comparing models, and what decides a comparison."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_tables import check_latex

from prismflow.errors import InputError
from prismflow.evaluation.comparisons import compare, with_published
from prismflow.evaluation.predictions_file import Group, Row, gather_predictions, read_gathered
from prismflow.evaluation.tested import read_arms
from prismflow.figures.tables import comparisons as printed
from prismflow.figures.tables import render
from prismflow.files import read_tsv, write_tsv
from prismflow.plan.compared import compares, references
from prismflow.statistics.permutation import holm

SEEDS = (2, 22, 222)


def write_run(root: Path, run: tuple, scenarios: dict[str, np.ndarray], observed, genes) -> None:
    cell, model, fold, seed = run
    tables = [
        pd.DataFrame(
            {"scenario": name, "gene_id": genes, "observed": observed, "predicted": values}
        )
        for name, values in scenarios.items()
    ]
    folder = root / "demo" / cell / model / f"{fold}_seed{seed}"
    write_tsv(pd.concat(tables), folder / "predictions.tsv.gz")


def group(
    models: dict[str, float], n_genes: int = 80, cell: str = "A", fold: str = "f1",
    seeds: tuple[int, ...] = SEEDS, scenarios: tuple[str, ...] = ("full",),
) -> Group:  # fmt: skip
    """Runs whose squared error is about ``models[name]``; a removed signal doubles it."""
    generator = np.random.default_rng(len(fold))
    observed = generator.normal(1, 1, n_genes)
    shared = generator.normal(0, 1, n_genes)
    rows, predicted = [], []
    for model, error in models.items():
        for seed in seeds:
            for scenario in scenarios:
                scale = np.sqrt(error * (1 if scenario == "full" else 2))
                noise = 0.8 * shared + 0.6 * generator.normal(0, 1, n_genes)
                rows.append(Row(model, seed, scenario, 0))
                predicted.append(observed + scale * noise)
    genes = tuple(f"g{i}" for i in range(n_genes))
    return Group(cell, fold, genes, tuple(rows), np.float32([observed]), np.float32(predicted))


def runs_of(*groups: Group) -> list[tuple]:
    return list(dict.fromkeys((g.cell, r.model, g.fold, r.seed) for g in groups for r in g.rows))


def experiment(models: list[str], **keys) -> dict:
    return {"id": "main", "models": models, "references": references({}, models), **keys}


def write_blocks(folder: Path, genes: list[str]) -> None:
    """Every two genes are a block."""
    rows = "".join(f"{gene}\t{i // 2}\n" for i, gene in enumerate(genes))
    (folder / "blocks.tsv").write_text("gene_id\tblock\n" + rows)


def gather(runs: list[tuple[str, str, str, int]], folder: Path) -> None:
    blocks, output = folder / "blocks.tsv", folder / "all.safetensors"
    gather_predictions("demo", runs, blocks, output, folder)


def test_a_test_gene_without_a_block_is_refused(tmp_path: Path) -> None:
    run = ("A", "m", "f1", 2)
    write_run(tmp_path, run, {"full": np.zeros(2)}, np.ones(2), ["a", "b"])
    write_blocks(tmp_path, ["a"])
    with pytest.raises(InputError, match=r"blocks.tsv: expected the block .* found none of b"):
        gather([run], tmp_path)


def test_gathered_predictions_are_those_of_the_files(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    genes = [f"g{i}" for i in range(6)]
    observed, other = generator.normal(size=6), generator.normal(size=6)
    runs = [("A", "m", "f1", 2), ("A", "m", "f1", 22), ("A", "n", "f1", 2)]
    values = {run: generator.normal(size=(2, 6)) for run in runs}
    for run in runs:
        write_run(
            tmp_path, run, {"full": values[run][0], "crop_2bp": values[run][1]}, observed, genes
        )
    write_blocks(tmp_path, genes)
    gather(runs, tmp_path)
    (found,) = read_gathered(tmp_path / "all.safetensors")
    assert (found.cell, found.fold, found.genes) == ("A", "f1", tuple(genes))
    assert list(found.blocks) == [0, 0, 1, 1, 2, 2]
    assert found.observed == pytest.approx(np.float32([observed]))
    for row, predicted in zip(found.rows, found.predicted, strict=True):
        expected = values["A", row.model, "f1", row.seed][int(row.scenario != "full")]
        assert predicted == pytest.approx(expected, rel=1e-6)
    first = (tmp_path / "all.safetensors").read_bytes()
    gather_predictions(
        "demo", runs[::-1], tmp_path / "blocks.tsv", tmp_path / "all.safetensors", tmp_path
    )
    assert (tmp_path / "all.safetensors").read_bytes() == first
    write_run(tmp_path, runs[2], {"full": values[runs[2]][0]}, other, genes)
    gather(runs, tmp_path)
    (found,) = read_gathered(tmp_path / "all.safetensors")
    assert [row.observed for row in found.rows] == [0, 0, 0, 0, 1]


def test_runs_on_other_genes_are_refused(tmp_path: Path) -> None:
    for seed, genes in ((2, ["a", "b"]), (22, ["b", "a"])):
        write_run(tmp_path, ("A", "m", "f1", seed), {"full": np.zeros(2)}, np.ones(2), genes)
    write_blocks(tmp_path, ["a", "b"])
    runs = [("A", "m", "f1", 2), ("A", "m", "f1", 22)]
    with pytest.raises(InputError, match=r"expected the 2 test genes of .*seed2"):
        gather_predictions(
            "demo", runs, tmp_path / "blocks.tsv", tmp_path / "all.safetensors", tmp_path
        )


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no tensors")
    for name in ("x.safetensors", "absent.safetensors"):
        with pytest.raises(InputError, match="expected gathered predictions"):
            read_gathered(tmp_path / name)


def test_a_difference_is_that_of_the_metrics() -> None:
    data = group({"prism": 0.2, "gbm": 0.5})
    table = compare([data], experiment(["gbm", "prism"]), runs_of(data))
    row = table[table["family"] == "reference"].iloc[0]
    errors = ((data.predicted.astype(float) - data.observed[0]) ** 2).mean(axis=1)
    assert (row["model"], row["reference"], row["n_seeds"], row["n_genes"]) == (
        "gbm",
        "prism",
        3,
        80,
    )
    assert row["mse_difference"] == pytest.approx(errors[3:].mean() - errors[:3].mean(), rel=1e-5)
    assert (row["mse_model"], row["mse_reference"]) == pytest.approx(
        (errors[3:].mean(), errors[:3].mean()), rel=1e-5
    )
    r = [stats.pearsonr(data.observed[0], p).statistic for p in data.predicted]
    assert row["pearson_difference"] == pytest.approx(np.mean(r[3:]) - np.mean(r[:3]), rel=1e-4)
    assert row["mse_low"] < row["mse_difference"] < row["mse_high"]
    assert row["decided_by"] == "seeds and genes"


def test_holm_counts_every_row_that_was_asked_for() -> None:
    data = group({"prism": 0.2, "a": 0.3, "b": 0.35, "c": 0.5}, scenarios=("full", "without_x"))
    models = ["prism", "a", "b", "c"]
    table = compare([data], experiment(models, scenarios=["full", "without_x"]), runs_of(data))
    asked = table[table["family"].isin(["reference", "scenario"])]
    assert len(asked) == 3 + 4
    for name in ("p_permutation", "p_seeds", "p_pearson"):
        assert asked[f"{name}_holm"].to_numpy() == pytest.approx(holm(asked[name]))
    best = table[table["family"] == "best_mse"]
    assert set(best["model"]) == {"prism"} and set(best["reference"]) == {"a", "b", "c"}
    assert best["p_seeds_holm"].to_numpy() == pytest.approx(holm(best["p_seeds"]))


def test_models_that_differ_by_chance_are_not_decided_by_seeds() -> None:
    """One lucky set of seeds: exchanged gene by gene the models differ, over seeds they don't."""
    generator = np.random.default_rng(3)
    observed = generator.normal(size=300)
    rows, predicted = [], []
    for model, offsets in {"prism": (0.30, 0.32, 0.28), "unstable": (0.25, 0.65, 0.35)}.items():
        for seed, offset in zip(SEEDS, offsets, strict=True):
            rows.append(Row(model, seed, "full", 0))
            predicted.append(observed + offset)
    genes = tuple(map(str, range(300)))
    data = Group("A", "f1", genes, tuple(rows), np.float32([observed]), np.float32(predicted))
    row = compare([data], experiment(["unstable", "prism"]), runs_of(data)).iloc[0]
    assert row["p_permutation_holm"] < 0.05 < row["p_seeds_holm"]
    assert row["decided_by"] == "genes only"
    assert row["mse_low"] < 0 < row["mse_high"]
    assert row["seeds_needed"] > 3


def test_one_seed_decides_nothing_about_seeds() -> None:
    data = group({"prism": 0.1, "gbm": 0.9}, seeds=(2,))
    row = compare([data], experiment(["gbm", "prism"]), runs_of(data)).iloc[0]
    assert np.isnan(row["p_seeds"]) and np.isnan(row["seeds_needed"])
    assert row["decided_by"] == "genes only"


def test_only_seeds_that_both_models_have_are_paired() -> None:
    whole = group({"prism": 0.2, "gbm": 0.5})
    runs = [run for run in runs_of(whole) if run[1:] != ("gbm", "f1", 22)]
    row = compare([whole], experiment(["gbm", "prism"]), runs).iloc[0]
    assert row["n_seeds"] == 2
    errors = ((whole.predicted.astype(float) - whole.observed[0]) ** 2).mean(axis=1)
    expected = errors[[3, 5]].mean() - errors[[0, 2]].mean()
    assert row["mse_difference"] == pytest.approx(expected, rel=1e-5)


def test_folds_are_averaged_and_need_every_seed() -> None:
    parts = [group({"prism": 0.2, "gbm": 0.5}, n, fold=f) for f, n in (("f1", 40), ("fold2", 90))]
    row = compare(parts, experiment(["gbm", "prism"]), runs_of(*parts)).iloc[0]
    expected = [
        ((p.predicted.astype(float) - p.observed[0]) ** 2).mean(axis=1).reshape(2, 3).mean(axis=1)
        for p in parts
    ]
    assert row["n_genes"] == 130
    assert row["mse_difference"] == pytest.approx(
        np.mean([e[1] - e[0] for e in expected]), rel=1e-5
    )
    arms = read_arms(parts, runs_of(*parts)[:-1], ["full"])
    assert arms["A", "gbm", "full"].seeds == (2, 22)


def test_arms_with_other_labels_are_not_paired() -> None:
    data = group({"prism": 0.2, "gbm": 0.5}, scenarios=("full", "on_B"))
    rows = tuple(Row(r.model, r.seed, r.scenario, int(r.scenario == "on_B")) for r in data.rows)
    labels = np.concatenate([data.observed, data.observed + 1])
    moved = Group(data.cell, data.fold, data.genes, rows, labels, data.predicted)
    table = compare(
        [moved], experiment(["gbm", "prism"], scenarios=["full", "on_B"]), runs_of(data)
    )
    assert set(table["family"]) == {"reference", "best_mse", "best_pearson"}


def test_results_do_not_depend_on_the_order_of_runs() -> None:
    data = group({"prism": 0.2, "gbm": 0.5, "cnn": 0.4})
    first = compare([data], experiment(["gbm", "cnn", "prism"]), runs_of(data))
    again = compare([data], experiment(["gbm", "cnn", "prism"]), runs_of(data)[::-1])
    pd.testing.assert_frame_equal(first, again)


def test_published_differences_say_how_many_seeds_they_need(root: Path) -> None:
    data = group({"prism": 0.2, "prism_n0": 0.21, "prism_n1": 0.22, "gbm": 0.3})
    models = ["prism_n0", "prism_n1", "gbm", "prism"]
    table = compare([data], experiment(models), runs_of(data))
    sheet = read_tsv(root / "config" / "published.tsv")
    found = with_published(table, sheet, "contexts", {"A": "K562"})
    rows = found[found["family"] == "reference"].set_index("model")
    assert rows.loc["prism_n0", "published_difference"] == pytest.approx(0.0074)
    # t-test of two samples with sd 0.0041 each, 80 % power: n = 2 (z + z)^2 sd^2 / delta^2 and more
    assert rows.loc["prism_n0", "published_seeds_needed"] == 6
    assert rows["published_difference"].isna().tolist() == [False, False, True]
    assert "Prism table 2a" in rows.loc["prism_n1", "published_source"]
    assert with_published(table, sheet, "contexts", {})["published_difference"].isna().all()


def test_the_printed_table_is_complete(root: Path) -> None:
    data = group({"prism": 0.2, "caduceus": 0.5, "gbm": 0.2}, scenarios=("full", "without_x"))
    models = ["gbm", "caduceus", "prism"]
    chosen = experiment(models, scenarios=["full", "without_x"], title="Main")
    table = compare([data], chosen, runs_of(data))
    table = with_published(table, read_tsv(root / "config/published.tsv"), "main", {"A": "K562"})
    context = {"simulated": True, "model_order": ["prism", "caduceus", "gbm"]}
    check_latex(render.latex(printed.sheet(table, chosen, context)))
    text = render.markdown(printed.sheet(table, chosen, context))
    assert "### A (simulated), against the reference" in text
    assert "### A (simulated), against the full input" in text
    assert text.index("| Caduceus |") < text.index("| Gradient boosting |")
    assert "Seq2Exp table 1" in text and "none" in text
    row = table[(table["family"] == "reference") & (table["model"] == "caduceus")].iloc[0]
    bold = f"**{render.interval(row['mse_difference'], row['mse_low'], row['mse_high'])}**"
    assert (bold in text) == (row["decided_by"] == "seeds and genes")


ENTRY = {"models": ["caduceus", "prism"], "vary": {"models": ["caduceus", "caduceus_2kb"]}}


@pytest.mark.parametrize(
    ("entry", "models", "expected"),
    [
        ({}, ["gbm", "prism"], {"gbm": "prism"}),
        ({}, ["gbm", "cnn"], {}),
        ({"reference": "gbm"}, ["gbm", "prism"], {"prism": "gbm"}),
        ({"reference": None}, ["gbm", "prism"], {}),
        (
            {"reference": "prism", "vary": {"models": ["prism_random"]}},
            ["prism_random", "prism_random_x", "prism"],
            {"prism_random": "prism", "prism_random_x": "prism"},
        ),
        ({"category": "Checks"}, ["gbm", "prism"], {}),
        (
            ENTRY,
            ["caduceus", "prism", "caduceus_2kb", "caduceus_2kb_dnase", "caduceus_dnase"],
            {"caduceus": "prism", "caduceus_2kb": "caduceus", "caduceus_2kb_dnase": "caduceus_2kb",
             "caduceus_dnase": "caduceus"},
        ),
    ],
)  # fmt: skip
def test_variants_are_compared_with_their_base_and_others_with_the_reference(
    entry: dict, models: list[str], expected: dict[str, str]
) -> None:
    assert references(entry, models) == expected


def test_without_prism_the_varied_model_is_the_reference() -> None:
    entry = {"models": ["caduceus"], "vary": {"models": ["caduceus_signals"]}}
    models = ["caduceus", "caduceus_signals_dnase", "caduceus_signals"]
    assert references(entry, models) == {
        "caduceus": "caduceus_signals",
        "caduceus_signals_dnase": "caduceus_signals",
    }


def test_a_reference_that_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match="found 'prisma'; correct `reference`"):
        references({"reference": "prisma", "title": "T"}, ["gbm", "prism"])


def test_scenarios_alone_are_something_to_compare() -> None:
    assert compares({}, {}, ["full", "without_hic"])
    assert not compares({}, {}, ["full"])
    assert not compares({"transfer": True}, {}, ["full", "on_B"])
    assert not compares({"category": "Checks"}, {"a": "b"}, ["full", "x"])


def test_blocks_widen_intervals_and_raise_p_where_genes_move_together() -> None:
    """Every four genes have one difference: they are one sample."""
    generator = np.random.default_rng(12)
    observed = np.repeat(generator.normal(size=100), 4)
    shared = np.repeat(generator.normal(size=100), 4)
    rows, predicted = [], []
    for model, scale in (("prism", 0.5), ("gbm", 0.55)):
        for seed in (2, 22, 222):
            rows.append(Row(model, seed, "full", 0))
            predicted.append(observed + scale * shared + generator.normal(0, 0.01, 400))
    single = Group("A", "f1", tuple(map(str, range(400))), tuple(rows), np.float32([observed]),
                   np.float32(predicted))  # fmt: skip
    runs = [("A", model, "f1", seed) for model in ("prism", "gbm") for seed in (2, 22, 222)]
    found = []
    for blocks in (None, np.repeat(np.arange(100), 4)):
        group = dataclasses.replace(single, blocks=blocks)
        table = compare([group], experiment(["prism", "gbm"]), runs)
        found.append(table[table["family"] == "reference"].iloc[0])
    widths = [row["mse_high"] - row["mse_low"] for row in found]
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.15)
    assert found[1]["p_permutation"] >= found[0]["p_permutation"]
    assert found[1]["mse_difference"] == pytest.approx(found[0]["mse_difference"])
