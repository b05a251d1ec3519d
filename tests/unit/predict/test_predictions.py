"""Predictions without labels: those of an evaluation, from a bundle that travels alone."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_world import World

from prismflow.data.store import Store
from prismflow.data.strands import other_strand
from prismflow.errors import InputError
from prismflow.files import read_json, read_tsv, write_json
from prismflow.predict.bundle import content_digest, opened
from prismflow.predict.command import main
from prismflow.predict.export import export_bundle, find_runs
from prismflow.predict.predictions import write_predictions
from prismflow.predict.ranges import share_outside, summarise
from prismflow.training.record import Split, open_inputs


@pytest.fixture(scope="session")
def bundles(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    found = {name: folder / f"{name}.zip" for name in ("prism", "gbm")}
    for name, path in found.items():
        export_bundle([world.model(name)], path, world.store("simA"), world.splits)
    return found


@pytest.fixture(scope="session")
def test_genes(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test genes as a table of their own, without any label."""
    rows = Split.read(world.splits, "fold11", Store.open(world.store("simA"))).rows["test"]
    ids = set(Store.open(world.store("simA")).genes["gene_id"].iloc[rows])
    table = pd.read_csv(world.genes, sep="\t", dtype=str)
    table = table[table["gene_id"].isin(ids)]
    path = tmp_path_factory.mktemp("genes") / "test.tsv"
    labels = [name for name in table.columns if name.endswith(("_cage", "_rna"))]
    table.drop(columns=labels).to_csv(path, sep="\t", index=False)
    return path


def column(path: Path, *names: str) -> list[tuple[str, ...]]:
    """Fields as they stand in a table, plain or gzip."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    header, *lines = [line.split("\t") for line in text.decode().splitlines()]
    return [tuple(line[header.index(name)] for name in names) for line in lines]


@pytest.mark.parametrize("model", ["prism", "gbm"])
@pytest.mark.parametrize(("cell", "scenario"), [("simA", "full"), ("simB", "other")])
def test_predictions_of_test_genes_are_those_of_the_evaluation_byte_for_byte(
    world, bundles, test_genes, tmp_path, model, cell, scenario
):
    out = tmp_path / "p.tsv"
    write_predictions(bundles[model], test_genes, world.fasta, world.tracks(cell), out,
                      device="cpu", threads=1, cell=cell)  # fmt: skip
    for run in ("fold11_seed2", "fold11_seed22"):
        tested = world.model(model) / run / "predictions.tsv.gz"
        expected = [row[1:] for row in column(tested, "scenario", "gene_id", "predicted")
                    if row[0] == scenario]  # fmt: skip
        assert column(out, "gene_id", run) == expected


def test_mean_and_spread_are_over_runs_and_both_outputs_are_given(
    world, bundles, test_genes, tmp_path
):
    table = write_predictions(bundles["prism"], test_genes, world.fasta, world.tracks("simA"),
                              tmp_path / "p.tsv", device="cpu")  # fmt: skip
    runs = table[["fold11_seed2", "fold11_seed22"]].astype(float)
    np.testing.assert_allclose(table["predicted"], runs.mean(axis=1))
    np.testing.assert_allclose(table["sd"], runs.std(axis=1, ddof=1))
    np.testing.assert_allclose(table["direct"], table["predicted"], rtol=1e-6)
    assert not np.allclose(table["backdoor"], table["direct"])
    assert set(table["outside"]) <= {"yes", "no"} and (table["note"] == "").all()


def test_a_bundle_moved_to_an_empty_folder_needs_nothing_but_the_package(
    world, bundles, test_genes, tmp_path
):
    shutil.copy(bundles["gbm"], tmp_path / "model.zip")
    shutil.copy(test_genes, tmp_path / "new.tsv")
    for name in ("genome.fa", "simB.h3k27ac.bw", "simB.dnase.bw", "simB.hic"):
        shutil.copy(world.folder / name, tmp_path / name)
    command = [
        sys.executable, "-m", "prismflow.predict", "--bundle", "model.zip", "--genes", "new.tsv",
        "--fasta", "genome.fa", "--track", "h3k27ac=simB.h3k27ac.bw", "--track",
        "dnase=simB.dnase.bw", "--track", "hic=simB.hic", "--cell", "simB", "--out", "p.tsv",
    ]  # fmt: skip
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert len(read_tsv(tmp_path / "p.tsv")) == len(read_tsv(test_genes))
    left = {"model.zip", "new.tsv", "p.tsv", "genome.fa", "genome.fa.fai", "simB.hic",
            "simB.h3k27ac.bw", "simB.dnase.bw"}  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} <= left


def test_the_same_runs_give_the_same_bundle_and_its_card_says_how_good_they_are(
    world, bundles, tmp_path
):
    again = tmp_path / "again.zip"
    export_bundle([world.model("prism")], again, world.store("simA"), world.splits)
    assert again.read_bytes() == bundles["prism"].read_bytes()
    with zipfile.ZipFile(again) as archive:
        card = archive.read("README.md").decode()
    metrics = read_tsv(world.model("prism") / "fold11_seed2" / "metrics.tsv")
    assert "| mse |" in card and "h3k27ac" in card and "simulated" in card
    assert f"| {metrics['n_genes'].iloc[0]} |" in card


def test_the_other_strand_twice_is_the_strand_itself_and_their_mean_is_taken(
    world, bundles, test_genes, tmp_path
):
    store = Store.open(world.store("simA"))
    inputs = open_inputs(store, find_runs([world.model("prism")])[0].record["settings"])
    rows = np.arange(5)
    other = other_strand(inputs)
    codes = inputs.codes(rows)
    assert ((codes < 4) == (other.codes(rows)[:, ::-1] < 4)).all()
    assert (codes + other.codes(rows)[:, ::-1])[codes < 4].tolist() == [3] * int((codes < 4).sum())
    np.testing.assert_array_equal(inputs.signals(rows), other.signals(rows)[:, ::-1])
    one, both = (
        write_predictions(bundles["prism"], test_genes, world.fasta, world.tracks("simA"),
                          tmp_path / f"{both}.tsv", device="cpu", both_strands=both)
        for both in (False, True)
    )  # fmt: skip
    assert not np.allclose(one["predicted"], both["predicted"], rtol=1e-6)


def test_a_track_of_another_depth_is_flagged_and_training_genes_are_not(world, bundles):
    with opened(bundles["prism"]) as bundle:
        ranges = bundle.manifest["ranges"]
        store = Store.open(world.store("simA"))
        inputs = open_inputs(store, bundle.settings)
        rows = Split.read(world.splits, "fold11", store).rows["train"]
        values = summarise(inputs, rows)
        assert values.shape[1] == len(ranges["names"])
        own = share_outside(values, ranges["folds"])
        # With fewer than 200 genes the smallest and the largest of each number are outside.
        assert own.mean() <= 2 / len(rows)
        deeper = values.copy()
        signals = [i for i, name in enumerate(ranges["names"]) if " part " in name]
        deeper[:, signals] *= 50
        assert (share_outside(deeper, ranges["folds"]) > ranges["limit"]).mean() > 0.9


def test_trained_runs_predict_without_a_bundle(world, test_genes, tmp_path, capsys):
    arguments = ["--runs", str(world.model("gbm")), "--genes", str(test_genes), "--fasta",
                 str(world.fasta), "--out", str(tmp_path / "p.tsv")]  # fmt: skip
    for name, path in world.tracks("simA").items():
        arguments += ["--track", f"{name}={path}"]
    assert main(arguments) == 0
    assert f"{len(read_tsv(test_genes))} genes" in capsys.readouterr().out


def changed(bundle: Path, folder: Path, change) -> Path:
    """An unpacked bundle after a change."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    change(folder)
    return folder


def test_what_is_no_bundle_as_exported_is_one_sentence(bundles, tmp_path):
    def version(folder: Path) -> None:
        manifest = read_json(folder / "bundle.json") | {"format_version": 9}
        write_json(manifest | {"digest": content_digest(manifest)}, folder / "bundle.json")

    def edited(folder: Path) -> None:
        write_json(read_json(folder / "bundle.json") | {"cell": "x"}, folder / "bundle.json")

    def flipped(folder: Path) -> None:
        path = folder / "members" / "fold11_seed2" / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    def removed(folder: Path) -> None:
        os.remove(folder / "metrics.tsv")

    for number, (change, said) in enumerate(
        [(version, "found 9"), (edited, "other content than its digest"),
         (flipped, "other bytes than its digest"), (removed, "expected the file metrics.tsv")]
    ):  # fmt: skip
        folder = changed(bundles["prism"], tmp_path / str(number), change)
        with pytest.raises(InputError, match=said), opened(folder):
            pass
    data = bytearray(bundles["prism"].read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "flipped.zip").write_bytes(data)
    with pytest.raises(InputError, match="copy"), opened(tmp_path / "flipped.zip"):
        pass


def test_a_cell_without_a_track_of_the_model_is_one_sentence(world, bundles, test_genes, tmp_path):
    tracks = {name: path for name, path in world.tracks("simA").items() if name != "dnase"}
    with pytest.raises(InputError, match="give dnase, or take a model that does without"):
        write_predictions(bundles["prism"], test_genes, world.fasta, tracks, tmp_path / "p.tsv")


def test_runs_of_two_models_are_no_bundle(world, tmp_path):
    with pytest.raises(InputError, match="runs of one model in one cell"):
        find_runs([world.model("prism"), world.model("gbm")])
    with pytest.raises(InputError, match="expected trained runs"):
        find_runs([tmp_path])
