"""Testing a trained run in scenarios."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest
from make_store import FEATURES, make_store, settings
from safetensors.numpy import load_file

from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.evaluation.scenarios import evaluate_run, scenario_inputs
from prismflow.files import read_tsv
from prismflow.settings.scenarios import Scenario
from prismflow.statistics.agreement import METRICS
from prismflow.training.record import Split
from prismflow.training.run import train_run

TRAINED = ("model.safetensors", "model.json")
TESTED = ("predictions.tsv.gz", "metrics.tsv", "extras.safetensors")
SCENARIOS = {
    "full": {},
    "crop": {"crop_bp": 64},
    "zero": {"remove": ["h3k27ac"]},
    "mean": {"remove": ["h3k27ac"], "how": "mean"},
    "permute": {"remove": ["h3k27ac", "promoter_activity"], "how": "permute"},
    "direct": {"output": "direct"},
    "backdoor": {"output": "backdoor"},
    "absent": {"remove": ["h3k4me3"]},
    "longer": {"crop_bp": 256},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("prediction"))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folders = {}
    for architecture in ("prism", "gbm", "gene_features"):
        folder = tmp_path_factory.mktemp(architecture)
        changes = {"modalities": []} if architecture == "gene_features" else {}
        chosen = settings(architecture, **changes)
        train_run(*data, "fold11", 2, chosen, *(folder / name for name in TRAINED),
                  folder / "history.tsv", device="cpu")  # fmt: skip
        folders[architecture] = folder
    return folders


def evaluate(data, source, folder, scenarios=None, other_stores=()):
    outputs = [folder / name for name in TESTED]
    evaluate_run(*data, *(source / name for name in TRAINED),
                 SCENARIOS if scenarios is None else scenarios, *outputs, device="cpu",
                 other_stores=other_stores)  # fmt: skip
    return outputs


def test_tables_of_prism(data, trained, tmp_path):
    predictions_path, metrics_path, extras_path = evaluate(data, trained["prism"], tmp_path)
    predictions, metrics = read_tsv(predictions_path), read_tsv(metrics_path)
    done = ["full", "crop", "zero", "mean", "permute", "direct", "backdoor"]
    assert list(predictions.columns) == ["scenario", "gene_id", "observed", "predicted"]
    assert predictions["scenario"].unique().tolist() == done
    store = Store.open(data[0])
    rows = Split.read(data[1], "fold11", store).rows["test"]
    for _, part in predictions.groupby("scenario"):
        assert part["gene_id"].tolist() == store.genes["gene_id"].iloc[rows].tolist()
        np.testing.assert_allclose(part["observed"], store.labels[rows], rtol=1e-7)
    wide = predictions.pivot(index="gene_id", columns="scenario", values="predicted")
    assert (wide["full"] == wide["direct"]).all()
    for name in set(done) - {"full", "direct"}:
        assert not np.allclose(wide["full"], wide[name], rtol=1e-7), name
    assert list(metrics.columns) == [
        "dataset", "cell", "model", "fold", "seed", "scenario", "metric", "value", "n_genes"
    ]  # fmt: skip
    assert len(metrics) == len(done) * len(METRICS)
    full = metrics[(metrics["scenario"] == "full") & (metrics["metric"] == "mse")].iloc[0]
    part = predictions[predictions["scenario"] == "full"]
    expected = ((part["observed"] - part["predicted"]) ** 2).mean()
    assert full["value"] == pytest.approx(expected, rel=1e-6) and full["n_genes"] == len(rows)
    assert full[["dataset", "cell", "model", "fold", "seed"]].tolist() == [
        "tiny", "cellA", "prism_tiny", "fold11", 2
    ]  # fmt: skip
    extras = load_file(extras_path)
    d_model = settings("prism")["hyperparameters"]["d_model"]
    assert extras["context_weights"].shape == (len(rows), d_model, 2)
    np.testing.assert_allclose(extras["backdoor"], wide["backdoor"], rtol=1e-6)


def test_scenarios_that_do_not_concern_a_model_are_left_out(data, trained, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="prismflow"):
        done = {
            name: read_tsv(evaluate(data, folder, tmp_path / name)[1])["scenario"].unique().tolist()
            for name, folder in trained.items()
        }
    assert done["gbm"] == ["full", "zero", "mean", "permute"]
    assert done["gene_features"] == ["full", "permute"]
    assert "scenario absent left out: the model does not read h3k4me3" in caplog.text
    assert "scenario longer left out: the model's window has only 128 bp" in caplog.text
    assert "scenario backdoor left out: the model has no backdoor output" in caplog.text
    assert load_file(tmp_path / "gbm" / "extras.safetensors") == {}


@pytest.mark.parametrize("architecture", ["prism", "gbm"])
def test_same_run_same_bytes(data, trained, tmp_path, architecture):
    first = evaluate(data, trained[architecture], tmp_path / "a")
    again = evaluate(data, trained[architecture], tmp_path / "b")
    for path, same in zip(first, again, strict=True):
        assert path.read_bytes() == same.read_bytes(), path.name


def test_no_scenario_at_all_gives_empty_tables(data, trained, tmp_path):
    predictions, metrics, _ = evaluate(
        data, trained["gbm"], tmp_path, {"absent": {"remove": ["x"]}}
    )
    assert len(read_tsv(predictions)) == len(read_tsv(metrics)) == 0


def test_the_other_strand_is_read_by_networks_and_changes_nothing_else(
    data, trained, tmp_path, caplog
):
    scenarios = {"full": {}, "other_strand": {"strand": "other"}}
    found = read_tsv(evaluate(data, trained["prism"], tmp_path, scenarios)[0])
    wide = found.pivot(index="gene_id", columns="scenario", values="predicted")
    assert not np.allclose(wide["full"], wide["other_strand"], rtol=1e-6)
    alone = tmp_path / "alone"
    alone.mkdir()
    evaluate(data, trained["prism"], alone, {"full": {}})
    same = read_tsv(alone / TESTED[0])
    assert found[found["scenario"] == "full"].reset_index(drop=True).equals(same)
    with caplog.at_level(logging.INFO):
        evaluate(data, trained["gbm"], alone, scenarios)
    assert "other_strand left out: a table of features has no strand" in caplog.text


@pytest.fixture
def inputs(data):
    store = Store.open(data[0])
    transforms = {"h3k27ac": "raw", "hic": "log10p1"}
    return GeneInputs(store, ("h3k27ac", "hic"), transforms, FEATURES, 128)


def changed(inputs, data, **values):
    split = Split.read(data[1], "fold11", inputs.store)
    return scenario_inputs(inputs, Scenario.parse("s", values), split), split.rows


def test_zero_and_mean_removal(inputs, data):
    zero, rows = changed(inputs, data, remove=["hic", "cds_gc"])
    assert not zero.signals(rows["test"])[..., 1].any()
    assert not zero.features(rows["test"])[:, 1].any()
    np.testing.assert_array_equal(zero.signals(rows["test"])[..., 0],
                                  inputs.signals(rows["test"])[..., 0])  # fmt: skip
    mean, _ = changed(inputs, data, remove=["h3k27ac", "cds_gc"], how="mean")
    expected = inputs.signals(rows["train"])[..., 0].mean(axis=0)
    np.testing.assert_allclose(mean.signals(rows["test"])[3, :, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(mean.features(rows["test"])[:, 1],
                               inputs.features(rows["train"])[:, 1].mean(), rtol=1e-5)  # fmt: skip


def test_permutation_exchanges_test_genes_the_same_way_for_all_names(inputs, data):
    mixed, rows = changed(inputs, data, remove=["h3k27ac", "promoter_activity"], how="permute")
    test = rows["test"]
    before, after = inputs.signals(test)[..., 0], mixed.signals(test)[..., 0]
    order = [int(np.flatnonzero((before == row).all(axis=1))[0]) for row in after]
    assert sorted(order) == list(range(len(test))) and order != sorted(order)
    np.testing.assert_array_equal(mixed.features(test)[:, 2], inputs.features(test)[order, 2])
    np.testing.assert_array_equal(mixed.signals(test)[..., 1], inputs.signals(test)[..., 1])


def test_crops_are_central(inputs, data):
    cropped, rows = changed(inputs, data, crop_bp=32)
    np.testing.assert_array_equal(cropped.signals(rows["test"]),
                                  inputs.signals(rows["test"])[:, 48:80])  # fmt: skip


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"drop": ["hic"]},
            "unknown key 'drop': expected only average, beyond_bp, cell, crop_bp, how, inputs, "
            "output, remove, replace, strand, where",
        ),
        ({"remove": "hic"}, "remove: expected a list, found 'hic'"),
        (
            {"remove": ["hic"], "how": "noise"},
            "how: expected one of zero, mean, permute, found 'noise'",
        ),
        ({"output": "both"}, "output: expected one of direct, backdoor"),
        ({"crop_bp": 33}, "crop_bp: expected an even length in bp, at least 2, found 33"),
        ({"strand": "same"}, "strand: expected .*other.*, found 'same'"),
        ({"crop_bp": -2}, "crop_bp: expected an even length in bp, at least 2, found -2"),
    ],
)
def test_malformed_scenarios_are_refused(values, sentence):
    with pytest.raises(InputError, match=f"scenario 'odd': .*{sentence}"):
        Scenario.parse("odd", values)


def test_disagreement_is_refused_naming_both_sides(data, trained, tmp_path):
    def attempt(change, sentence):
        store, splits = make_store(tmp_path / sentence[:12].replace(" ", "_"))
        manifest = json.loads((store / "store.json").read_text())
        change(manifest, splits)
        (store / "store.json").write_text(json.dumps(manifest))
        with pytest.raises(InputError, match=sentence):
            evaluate((store, splits), trained["prism"], tmp_path / "out")

    def other_cell(manifest, _):
        manifest["cell"] = "cellB"

    def other_normalisation(manifest, _):
        manifest["modalities"]["hic"]["normalisation"] = "KR"

    def other_label(manifest, _):
        manifest["label"]["transform"] = "log10p1"

    def other_split(_, splits):
        splits.write_text(splits.read_text().replace("gene000\ttrain", "gene000\tvalid"))

    attempt(other_cell, "cell: the model has 'cellA', the store 'cellB'")
    attempt(other_normalisation, "modalities: the model has .*VC.*, the store .*KR")
    attempt(other_label, "label: the model has .*raw.*, the store .*log10p1")
    attempt(other_split, "genes of fold fold11: the model has ")


def test_a_shorter_store_or_missing_modality_is_refused(trained, tmp_path):
    short = make_store(tmp_path / "short", window_bp=64)
    with pytest.raises(InputError, match=r"windows of 128 bp, .* has windows of 64 bp"):
        evaluate(short, trained["prism"], tmp_path / "out")
    store, splits = make_store(tmp_path / "poor")
    manifest = json.loads((store / "store.json").read_text())
    del manifest["modalities"]["dnase"]
    manifest["modality_order"].remove("dnase")
    (store / "store.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"needs the modality 'dnase'.*has: h3k27ac, hic"):
        evaluate((store, splits), trained["prism"], tmp_path / "out")


def test_a_file_that_describes_no_model_is_refused(data, trained, tmp_path):
    path = tmp_path / "model.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="expected the description of a trained model"):
        evaluate_run(*data, trained["prism"] / "model.safetensors", path, {}, *(
            tmp_path / name for name in TESTED), device="cpu")  # fmt: skip


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The same genes in another cell: other signals and labels."""
    return make_store(tmp_path_factory.mktemp("other"), cell="cellB", seed=5)[0]


@pytest.mark.parametrize("architecture", ["prism", "gbm", "gene_features"])
def test_another_cell_is_predicted_with_its_own_inputs_and_labels(
    data, trained, other, tmp_path, architecture
):
    scenarios = {"full": {}, "on_cellB": {"cell": "cellB"}}
    paths = evaluate(data, trained[architecture], tmp_path / "a", scenarios, [other])
    table = read_tsv(paths[0]).set_index(["scenario", "gene_id"])
    there = Store.open(other)
    rows = Split.read(data[1], "fold11", there).rows["test"]
    moved = table.loc["on_cellB"]
    np.testing.assert_allclose(moved["observed"], there.labels[rows], rtol=1e-7)
    assert moved.index.tolist() == there.genes["gene_id"].iloc[rows].tolist()
    assert not np.allclose(moved["predicted"], table.loc["full", "predicted"])
    # The same weights on a store that says it is the first cell's, but holds the other's numbers.
    manifest = json.loads((other / "store.json").read_text())
    posing = tmp_path / "posing"
    shutil.copytree(other, posing)
    (posing / "store.json").write_text(json.dumps({**manifest, "cell": "cellA"}))
    own = evaluate((posing, data[1]), trained[architecture], tmp_path / "b", {"full": {}})
    np.testing.assert_array_equal(moved["predicted"], read_tsv(own[0])["predicted"])
    again = evaluate(data, trained[architecture], tmp_path / "c", scenarios, [other])
    assert paths[0].read_bytes() == again[0].read_bytes()


def test_another_cell_must_be_there_and_comparable(data, trained, other, tmp_path):
    with pytest.raises(InputError, match="'on': expected the store of cell 'cellB', found only"):
        evaluate(data, trained["gbm"], tmp_path, {"on": {"cell": "cellB"}})
    changed = tmp_path / "changed"
    shutil.copytree(other, changed)
    manifest = json.loads((changed / "store.json").read_text())
    manifest["label"]["transform"] = "log10p1"
    (changed / "store.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="transform of the label: the model has 'raw'"):
        evaluate(data, trained["gbm"], tmp_path, {"on": {"cell": "cellB"}}, [changed])


def test_both_readings_of_the_average(data, trained, tmp_path):
    names = ("backdoor", "backdoor_hidden", "backdoor_prediction")
    paths = evaluate(data, trained["prism"], tmp_path, {n: {"output": n} for n in names})
    wide = read_tsv(paths[0]).pivot(index="gene_id", columns="scenario", values="predicted")
    assert (wide["backdoor"] == wide["backdoor_hidden"]).all()
    assert not np.allclose(wide["backdoor_hidden"], wide["backdoor_prediction"], rtol=1e-7)
