"""The test that adjustment can fail: measures with known answers, worlds that differ as meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.evaluation import confounding, worlds
from prismflow.figures.plots import confounding as figure
from prismflow.figures.tables import confounding as tables
from prismflow.figures.tables import render
from prismflow.files import read_tsv
from prismflow.settings.architectures import class_of
from prismflow.training.record import Split

FEATURES = ["utr5_length", "cds_length", "utr3_gc"]
DATASET = {
    "cells": ["simA"],
    "genes": {
        "path": "",
        "columns": {},
        "features": FEATURES,
        "missing": "error",
        "promoter_activity": "none",
    },
    "label": {"column": "{cell}_cage", "transform": "log10p1", "missing": "error"},
    "window_bp": 200,
    "chrom_aliases": {},
    "max_n_fraction": 0.5,
    "drop_blacklisted": True,
    "splits": {"by": "chromosome", "folds": ["fold11"]},
}
TRACKS = [
    {"modality": "h3k27ac", "kind": "signal"},
    {"modality": "dnase", "kind": "signal"},
    {"modality": "hic", "kind": "contacts", "resolution_bp": 5000, "normalisation": "NONE"},
]
STEPS = {"steps": 2, "batch_size": 4, "warmup_steps": 0, "precision": "fp32"}
NETWORK = {"d_model": 4, "n_layers": 1, "d_state": 2, "cnn_channels": 2}


def model(name: str, architecture: str, **hyperparameters: object) -> dict[str, object]:
    modalities = [track["modality"] for track in TRACKS]
    return {
        "model": name,
        "architecture": architecture,
        "class": class_of(architecture),
        "hyperparameters": hyperparameters,
        "loss": {},
        "modalities": modalities,
        "window_bp": 100,
        "transforms": {"h3k27ac": "raw", "dnase": "raw", "hic": "log10p1"},
        "gene_features": FEATURES,
        "training": {} if architecture == "gbm" else STEPS,
    }


# Measures


@pytest.fixture(scope="module")
def causes() -> pd.DataFrame:
    """600 genes whose activity and background correlate at 0.7."""
    rng = np.random.default_rng(5)
    background, own = rng.standard_normal((2, 600))
    activity = 0.7 * background + np.sqrt(1 - 0.49) * own
    return pd.DataFrame(
        {
            "test": 0.7,
            "gene_id": [f"g{i:03d}" for i in range(600)],
            "background": background,
            "activity": activity,
            "active": (activity > -1).astype(int),
            "distal": rng.standard_normal(600),
            "stability": rng.standard_normal(600),
        }
    )


def predicted(causes: pd.DataFrame, share_of_c: float, name: str) -> pd.DataFrame:
    """A model that adds so much of C to the truth; exchanged, C is another gene's."""
    rng = np.random.default_rng(7)
    observed = (causes["activity"] + 0.3 * rng.standard_normal(len(causes))).to_numpy()
    order = rng.permutation(len(causes))
    activity, c = causes["activity"].to_numpy(), causes["background"].to_numpy()
    values = {
        "full": activity + share_of_c * c,
        "background_permuted": activity + share_of_c * c[order],
        "cause_permuted": activity[order] + share_of_c * c,
    }
    parts = [
        pd.DataFrame(
            {
                "test": 0.7, "model": name, "perturbation": key, "output": "direct",
                "gene_id": causes["gene_id"], "observed": observed, "predicted": value,
            }
        )
        for key, value in values.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_measures_tell_a_reader_of_the_background_from_one_of_the_cause(
    causes: pd.DataFrame,
) -> None:
    both = pd.concat([predicted(causes, 0.0, "cause"), predicted(causes, 0.5, "shortcut")])
    measured = confounding.world_measures(both, causes)
    value = measured.set_index(["model", "measure"])["value"]
    assert value["cause", "mse"] == pytest.approx(0.09, rel=0.2)
    assert value["cause", "reliance"] == 0
    assert abs(value["cause", "error_c"]) < 0.1
    assert value["shortcut", "mse"] == pytest.approx(0.09 + 0.25, rel=0.2)
    # What is left of C beside the activity, 0.5 x sqrt(1 - 0.7^2), over it and the noise of 0.3.
    left = 0.5 * np.sqrt(1 - 0.49)
    assert value["shortcut", "error_c"] == pytest.approx(left / np.hypot(left, 0.3), abs=0.06)
    # Another gene's C: the same error plus nothing, because C is wrong for every gene alike.
    assert abs(value["shortcut", "reliance"]) < 0.1
    # Another gene's cause: twice the variance of the activity.
    assert value["cause", "recovery"] == pytest.approx(2 * causes["activity"].var(), rel=0.2)
    assert (measured["n_genes"] == 600).all()


def test_a_model_that_does_not_read_the_exchanged_signals_has_no_reliance(
    causes: pd.DataFrame,
) -> None:
    own = predicted(causes, 0.0, "cause")
    own = own[own["perturbation"] != "background_permuted"]
    assert "reliance" not in set(confounding.world_measures(own, causes)["measure"])


def test_partial_correlation_is_the_textbook_formula_for_one_control() -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal(200)
    x, y = z + rng.standard_normal(200), 0.4 * z + rng.standard_normal(200)
    (xy, xz, yz) = (np.corrcoef(a, b)[0, 1] for a, b in ((x, y), (x, z), (y, z)))
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert confounding.partial_correlation(x, y, z[:, None]) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(confounding.partial_correlation(2 * z + 1, y, z[:, None]))


def make_measures() -> pd.DataFrame:
    """Three worlds, two test kappas, a reference and a model that is better by 0.1, 0.2, 0.3."""
    rows = []
    for replicate in (1, 2, 3):
        for test, base in ((0.8, 1.0), (0.0, 2.0)):
            own = base + 10 * replicate  # worlds differ more than models do
            for name, gain in (("prism_n0", 0.0), ("gbm", 0.1 * replicate)):
                row = (0.8, test, replicate, name, "direct", "mse", own - gain, 40)
                rows.append(row)
    columns = ["training", "test", "replicate", "model", "output", "measure", "value", "n_genes"]
    return pd.DataFrame(rows, columns=columns)


def test_differences_are_paired_by_world_and_shift_is_against_the_intact_shortcut() -> None:
    measures = confounding.with_shift(make_measures())
    shift = measures[measures["measure"] == "shift"]
    assert set(shift["test"]) == {0.0}
    np.testing.assert_allclose(shift["value"], 1.0)
    contrasts = confounding.contrasts(measures)
    mse = contrasts[(contrasts["measure"] == "mse") & (contrasts["test"] == 0.0)].iloc[0]
    assert mse["model"] == "gbm"
    assert mse["difference"] == pytest.approx(-0.2)
    # 4.303 = t(0.975, 2 degrees of freedom); sd 0.1 over three worlds
    assert mse["high"] - mse["low"] == pytest.approx(2 * 4.302653 * 0.1 / np.sqrt(3), rel=1e-5)
    assert mse["p"] == mse["p_holm"] == pytest.approx(0.0742, abs=1e-4)
    summary = confounding.summarise(measures)
    assert (summary["n_worlds"] == 3).all()
    assert summary.loc[summary["measure"] == "mse", "sd"].min() > 9


def test_context_weights_are_set_against_background_and_activity(causes: pd.DataFrame) -> None:
    kept = pd.concat(
        [
            pd.DataFrame({"context": 1, "gene_id": causes["gene_id"],
                          "kept": 0.5 + 0.1 * causes["background"]}),
            pd.DataFrame({"context": 2, "gene_id": causes["gene_id"], "kept": 0.25}),
        ]
    ).assign(test=0.7, model="prism")  # fmt: skip
    found = confounding.context_measures(kept, causes).set_index(["context", "measure"])["value"]
    assert found[1, "r_background"] == pytest.approx(1)
    assert found[1, "r_activity"] == pytest.approx(0.7, abs=0.1)
    assert found[2, "mean_kept"] == pytest.approx(0.25)
    assert np.isnan(found[2, "r_background"])
    # Two worlds whose contexts stand in another order and have the other sign: sizes are averaged.
    measures = confounding.context_measures(kept, causes)
    mirrored = measures.assign(value=-measures["value"], context=3 - measures["context"])
    both = pd.concat([measures.assign(replicate=1), mirrored.assign(replicate=2)])
    summary = confounding.summarise_contexts(both.assign(training=0.7)).set_index("measure")
    assert summary.loc["r_background", "mean"] == pytest.approx(1)
    assert summary.loc["mean_kept", "mean"] == pytest.approx((0.5 + 0.25) / 2, abs=0.02)
    assert (summary["n_worlds"] == 2).all()


def test_no_world_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected at least one world"):
        confounding.gather({}, {"measures": tmp_path / "measures.tsv"})


# Worlds


Pair = tuple[Store, Store, Split, list[pd.DataFrame]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("pair")
    stores = []
    for name, kappa in (("holds", 0.8), ("turned", -0.8)):
        settings = {"n_genes": 80, "confounding": 0.8, "confounding_test": kappa}
        worlds.simulate_genome(folder / name, DATASET, TRACKS, settings, seed=4)
        stores.append(Store.open(folder / name / "store"))
    split = Split.read(folder / "holds" / "splits.tsv", "fold11", stores[0])
    assert split.digest == Split.read(folder / "turned" / "splits.tsv", "fold11", stores[1]).digest
    truths = [
        read_tsv(folder / name / "files" / "truth.tsv").set_index("gene_id")
        for name in ("holds", "turned")
    ]
    return stores[0], stores[1], split, truths


def test_worlds_share_training_genes_and_differ_in_test_genes(pair: Pair) -> None:
    holds, turned, split, truths = pair
    for role, equal in (("train", True), ("valid", True), ("test", False)):
        rows = split.rows[role]
        names = holds.genes["gene_id"].to_numpy()[rows]
        activity = [truth.loc[names, "activity"] for truth in truths]
        assert np.array_equal(*activity) == equal
        # Counts of silent promoters, Poisson with mean 0.12, are drawn anew.
        active = truths[0].loc[names, "active"].to_numpy() == 1
        labels = [store.labels[rows][active] for store in (holds, turned)]
        assert np.array_equal(*labels) == equal
        background = [truth.loc[names, "background"] for truth in truths]
        assert np.array_equal(*background)
        for signal in ("h3k27ac", "dnase"):
            values = [store.signal(signal, rows, 200) for store in (holds, turned)]
            assert np.array_equal(*values) == equal
        # What is not confounded stays in place in all of them.
        assert np.array_equal(holds.sequence(rows, 200), turned.sequence(rows, 200))
        assert np.array_equal(holds.gene_features[rows], turned.gene_features[rows])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    names = {"predictions": "predictions.tsv.gz", "truth": "truth.tsv",
             "contexts": "contexts.tsv.gz", "runs": "runs.tsv"}  # fmt: skip
    settings = {
        "dataset": DATASET,
        "tracks": TRACKS,
        "simulate": {"n_genes": 80},
        "training": 0.8,
        "test": [0.8, 0.0],
        "seed": 2,
        "fold": "fold11",
        "models": [
            model("gbm", "gbm", max_iter=10),
            model("prism_n0", "prism", **NETWORK, n_contexts=0),
            model("prism", "prism", **NETWORK),
        ],
    }
    worlds.run_world(settings, {k: folder / v for k, v in names.items()}, "cpu", 1)
    return folder


def test_a_world_holds_every_model_output_and_perturbation(world: Path) -> None:
    table = read_tsv(world / "predictions.tsv.gz")
    found = set(zip(table["model"], table["output"], strict=True))
    assert found == {
        ("gbm", "direct"), ("prism_n0", "direct"), ("prism", "direct"), ("prism", "backdoor"),
    }  # fmt: skip
    keys = ["test", "model", "output", "perturbation"]
    sizes = table.groupby(keys).size()
    assert len(sizes) == 2 * 4 * 3
    assert sizes.nunique() == 1
    assert not table.duplicated([*keys, "gene_id"]).any()
    truth = read_tsv(world / "truth.tsv")
    assert set(truth["gene_id"]) == set(table["gene_id"])
    assert set(truth["test"]) == {0.8, 0.0}
    contexts = read_tsv(world / "contexts.tsv.gz")
    assert set(contexts["model"]) == {"prism"}
    assert contexts["kept"].between(0, 1).all()
    assert read_tsv(world / "runs.tsv")["model"].tolist() == ["gbm", "prism_n0", "prism"]


def test_worlds_are_gathered_drawn_and_tabulated(world: Path, tmp_path: Path) -> None:
    names = ("measures", "summary", "contrasts", "contexts")
    gathered = {
        f"train0p8_replicate{n}": ({"training": 0.8, "replicate": n}, world) for n in (1, 2)
    }
    confounding.gather(gathered, {name: tmp_path / f"{name}.tsv" for name in names})
    data = {"confounding": {name: read_tsv(tmp_path / f"{name}.tsv") for name in names}}
    experiment = {"id": "confounding", "title": "Confounding", "models": ["prism", "prism_n0"]}
    context = {"simulated": True, "target_label": "log10(CAGE + 1)"}
    drawn = figure.draw(data, experiment, context)
    assert len(drawn.axes) == len(figure.PANELS)
    # Lines of a label are filled up with spaces as wide as a digit.
    texts = [text.get_text().replace("\u2007", " ") for text in drawn.axes[0].get_yticklabels()]
    labels = [" ".join(text.split()) for text in texts]
    assert labels == ["Prism", "Prism, backdoor", "Prism, n0", "Gradient boosting"]
    # A mark per line and kappa of the test genes.
    marks = [line for line in drawn.axes[0].lines if line.get_marker() == "o"]
    assert len(marks) == 8
    # The reference has no difference from itself.
    marks = [line for line in drawn.axes[1].lines if line.get_marker() == "o"]
    assert len(marks) == 6
    table = tables.build(data, experiment, context)
    mse = table[(table["measure"] == "mse") & (table["model"] == "prism_n0")]
    assert mse["difference"].isna().all()
    text = render.markdown(tables.sheet(table, experiment, context))
    assert text.count("| Gradient boosting |") == 2
    n_genes = read_tsv(world / "truth.tsv")["gene_id"].nunique()
    assert f"2 worlds, {n_genes} test genes each" in text
    assert text.count("size of the correlation of a gene's mean context weight") == 1


def test_an_empty_summary_is_refused() -> None:
    empty = {"confounding": {"summary": pd.DataFrame(columns=["training"])}}
    for call in (figure.draw, tables.build):
        with pytest.raises(InputError, match=r"options\.grid"):
            call(empty, {"id": "confounding"}, {})
