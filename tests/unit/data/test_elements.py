"""Candidate enhancers against plain loops, in a store, in a batch, and against published scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
from named import build, model_class

from prismflow.data.chromosomes import Genes
from prismflow.data.contacts import power_law_contact
from prismflow.data.elements import (
    candidate_elements,
    element_activity,
    nearest_elements,
    pair_contacts,
    region_means,
)
from prismflow.data.kinds.signal import read_windows
from prismflow.data.store import Store
from prismflow.data.store_builder import build_store
from prismflow.errors import InputError
from prismflow.files import write_tsv
from prismflow.jobs.patches.hictk import hictkpy
from prismflow.models.common import InputSpec
from prismflow.settings.elements import ElementSettings
from prismflow.training.batches import GeneBatches
from prismflow.training.record import extras_of, open_inputs

LENGTHS = {"chr1": 60_000, "chr2": 40_000}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two chromosomes with a genome, two tracks, contacts and peaks."""
    folder = tmp_path_factory.mktemp("elements")
    rng = np.random.default_rng(11)
    codes = {chrom: rng.integers(0, 4, length) for chrom, length in LENGTHS.items()}
    letters = np.array(list("ACGT"))
    (folder / "g.fa").write_text(
        "".join(f">{c}\n{''.join(letters[v])}\n" for c, v in codes.items())
    )
    content: dict[str, Any] = {"folder": folder, "codes": codes}
    for name in ("h3k27ac", "dnase"):
        content[name] = {c: rng.gamma(1.0, 3.0, n).round(2) for c, n in LENGTHS.items()}
        with pyBigWig.open(str(folder / f"{name}.bw"), "w") as out:
            out.addHeader(list(LENGTHS.items()))
            for chrom, values in content[name].items():
                out.addEntries(chrom, 0, values=values.tolist(), span=1, step=1)
    pairs = [(i, j) for i in range(20) for j in range(i, 20) if (i < 12) == (j < 12) and j - i < 6]
    writer = hictkpy.cooler.FileWriter(str(folder / "x.cool"), LENGTHS, 5000)
    writer.add_pixels_from_dict(
        {
            "bin1_id": [i for i, _ in pairs],
            "bin2_id": [j for _, j in pairs],
            "count": [100 - 10 * (j - i) for i, j in pairs],
        }
    )
    writer.finalize()
    # Start, end and summit; the second and third touch when they are resized.
    peaks = [("chr1", 9_900, 10_100, 100), ("chr1", 20_000, 20_200, 50),
             ("chr1", 20_300, 20_500, 100), ("chr1", 30_000, 30_100, -1),
             ("chr1", 45_000, 45_200, 100), ("chr2", 0, 100, 20),
             ("chr2", 15_000, 15_300, 150)]  # fmt: skip
    (folder / "p.narrowPeak").write_text(
        "".join(f"{c}\t{a}\t{b}\tp\t1\t.\t1\t1\t1\t{s}\n" for c, a, b, s in peaks)
    )
    (folder / "bad.bed").write_text("chr1\t45100\t45101\n")
    genes = pd.DataFrame(
        {
            "gene_id": ["near", "far", "lonely"],
            "chrom": ["chr1", "chr1", "chr2"],
            "tss": [10_000, 26_000, 39_000],
            "strand": ["+", "-", "+"],
        }
    )
    genes["window_start"], genes["window_end"] = genes["tss"] - 300, genes["tss"] + 300
    genes["label_A"] = [1.0, 2.0, 3.0]
    write_tsv(genes, folder / "genes.tsv")
    return content | {"table": genes, "genes": Genes.from_table(genes, LENGTHS)}


def test_candidates_are_resized_merged_and_cleaned(files: dict[str, Any]) -> None:
    found = candidate_elements(
        files["folder"] / "p.narrowPeak", files["genes"], width_bp=500,
        blacklist=files["folder"] / "bad.bed",
    )  # fmt: skip
    assert found.to_numpy().tolist() == [
        ["chr1", 9750, 10250], ["chr1", 19800, 20650], ["chr1", 29800, 30300],
        ["chr2", 0, 270], ["chr2", 14900, 15400],
    ]  # fmt: skip


def test_means_and_activity_equal_plain_ones(files: dict[str, Any]) -> None:
    regions = pd.DataFrame(
        {"chrom": ["chr2", "chr1", "chr1"], "start": [0, 59_000, 5], "end": [270, 60_000, 6]}
    )
    tracks = [{"path": files["folder"] / f"{name}.bw"} for name in ("h3k27ac", "dnase")]
    means = [
        [files[name][c][a:b].astype(np.float32).mean() for c, a, b in regions.to_numpy()]
        for name in ("h3k27ac", "dnase")
    ]
    found = region_means(tracks[0]["path"], regions, files["genes"])
    np.testing.assert_allclose(found, means[0], rtol=1e-6)
    activity = element_activity(regions, tracks, files["genes"])
    np.testing.assert_allclose(activity, np.sqrt(np.prod(means, axis=0)), rtol=1e-6)


def test_nearest_first_without_the_promoter(files: dict[str, Any]) -> None:
    elements = candidate_elements(files["folder"] / "p.narrowPeak", files["genes"])
    pairs = nearest_elements(files["genes"], elements, n_nearest=2, max_distance_bp=25_000)
    assert pairs.to_numpy().tolist() == [
        [0, 1, 10_225], [0, 2, 20_050],
        [1, 2, 4_050], [1, 1, 5_775],
        [2, 5, 23_850],
    ]  # fmt: skip
    everything = nearest_elements(files["genes"], elements, n_nearest=None, promoter_bp=0)
    assert everything["element"].tolist()[0] == 0
    assert len(everything) == 4 + 4 + 2


def test_contacts_are_the_matrix_or_a_scaled_power_law(files: dict[str, Any]) -> None:
    pairs = pd.DataFrame({"gene": [0, 0], "element": [0, 1], "distance": [10_225, 49_000]})
    centre = np.array([20_225, 59_000])
    track = {"path": files["folder"] / "x.cool", "resolution_bp": 5000, "normalisation": "NONE"}
    contact, n_power_law = pair_contacts(pairs, centre, files["genes"], track)
    assert n_power_law == 1
    scale = 80 / power_law_contact(10_225)
    np.testing.assert_allclose(contact, [80, scale * power_law_contact(49_000)])
    alone, n_power_law = pair_contacts(pairs, centre, files["genes"], None)
    assert n_power_law == 2
    assert alone[0] == power_law_contact(10_225)


def store_of(files: dict[str, Any], path: Path, **changes: Any) -> Store:
    folder = files["folder"]
    elements = {"peaks": "dnase_peaks", "sequence_bp": 400, "n_nearest": 4, **changes}
    tracks = [
        {"modality": "h3k27ac", "kind": "signal", "path": folder / "h3k27ac.bw"},
        {"modality": "dnase", "kind": "signal", "path": folder / "dnase.bw"},
        {
            "modality": "hic", "kind": "contacts", "path": folder / "x.cool",
            "resolution_bp": 5000, "normalisation": "NONE",
        },
        {"modality": "dnase_peaks", "kind": "peaks", "path": folder / "p.narrowPeak"},
    ]  # fmt: skip
    build_store(
        path, dataset="d", cell="A", genes_path=folder / "genes.tsv", fasta=folder / "g.fa",
        tracks=tracks, window_bp=600, elements=elements, label_transform="raw",
    )  # fmt: skip
    return Store.open(path, verify_digests=True)


def test_store_holds_promoters_and_candidates(files: dict[str, Any], tmp_path: Path) -> None:
    store = store_of(files, tmp_path / "store")
    codes, features = store.element_codes([0, 2]), store.element_features([0, 2])
    assert codes.shape == (2, 5, 400)
    assert features.shape == (2, 5, 3)
    np.testing.assert_array_equal(codes[0, 0], files["codes"]["chr1"][9_800:10_200])
    np.testing.assert_array_equal(codes[0, 1], files["codes"]["chr1"][20_025:20_425])
    assert features[0, :4, 0].tolist() == pytest.approx([0, 10.225, 20.05, 35.1])
    assert features[0, 1, 1] == pytest.approx(np.log10(81))
    # Two candidates lie on chr2, the near one in the reach of its one gene.
    assert (codes[1] == 4).all(axis=1).tolist() == [False, False, False, True, True]
    assert (features[1, 3:] == 0).all()
    assert store.manifest["elements"]["n_genes_without_candidates"] == 0
    assert store.peaks == ("dnase_peaks",)


def test_epinformer_reads_the_store(files: dict[str, Any], tmp_path: Path) -> None:
    store = store_of(files, tmp_path / "store")
    cls = model_class("epinformer")
    settings = {
        "model": "e", "architecture": "epinformer", "window_bp": 600, "gene_features": [],
        "modalities": ["h3k27ac", "dnase", "hic"],
    }  # fmt: skip
    extras = extras_of(cls, store)
    assert extras == ("elements", "element_features")
    inputs = open_inputs(store, settings, extras)
    rows = np.arange(3)
    resident = GeneBatches(inputs, rows).batch([2, 0])
    streamed = GeneBatches(inputs, rows, resident_bytes=0).batch([2, 0])
    for name in extras:
        assert torch.equal(resident.extras[name], streamed.extras[name])
    assert resident.extras["elements"].shape == (2, 5, 400, 4)
    torch.manual_seed(0)
    model = build("epinformer", dict(cls.TINY), {}, InputSpec(("h3k27ac", "dnase", "hic"), 0, 600))
    model.eval()
    with torch.no_grad():
        prediction = model(resident).prediction
        # TINY has room for three candidates: the fourth of the store is left out.
        resident.extras["element_features"][:, 4] = 1e3
        assert torch.equal(model(resident).prediction, prediction)
        resident.extras["element_features"][:, 2] = 1e3
        assert not torch.equal(model(resident).prediction, prediction)


def test_removed_modality_leaves_the_elements_too(files: dict[str, Any], tmp_path: Path) -> None:
    store = store_of(files, tmp_path / "store")
    settings = {"model": "e", "window_bp": 600, "gene_features": [], "modalities": ["h3k27ac"]}
    inputs = open_inputs(store, settings, ("element_features",))
    inputs.replaced_signals["h3k27ac"] = np.zeros(600, np.float32)  # type: ignore[index]
    features = inputs.extra("element_features", np.arange(3))
    assert (features[..., 2] == 0).all()
    assert (features[:, 1, 1] > 0).all()


def test_sentences(files: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a track 'atac' of kind signal for cell 'A'"):
        store_of(files, tmp_path / "a", activity=["atac"])
    assert not (tmp_path / "a").exists()
    with pytest.raises(
        InputError, match=r"elements: unknown key 'width': .*did you mean 'width_bp'"
    ):
        ElementSettings.parse({"peaks": "p", "width": 3})
    with pytest.raises(InputError, match="n_nearest: expected a number of at least 1, found 0"):
        ElementSettings.parse({"peaks": "p", "n_nearest": 0})
    (tmp_path / "x.bed").write_bytes(bytes.fromhex("26fc8f88") + bytes(60))
    with pytest.raises(InputError, match="BED or narrowPeak, found a bigWig"):
        candidate_elements(tmp_path / "x.bed", files["genes"])


def test_removing_a_file_of_elements_is_noticed(files: dict[str, Any], tmp_path: Path) -> None:
    path = store_of(files, tmp_path / "store").path
    (path / "element_index.npy").unlink()
    with pytest.raises(InputError, match=r"element_index\.npy: store\.json names this file"):
        Store.open(path)
    manifest = json.loads((path / "store.json").read_text())
    del manifest["elements"]
    (path / "store.json").write_text(json.dumps(manifest))
    store = Store.open(path)
    assert not store.has_elements
    assert extras_of(model_class("epinformer"), store) == ()
    with pytest.raises(InputError, match="has no candidate enhancers"):
        store.element_codes([0])


def test_activity_follows_the_windows(files: dict[str, Any]) -> None:
    """The promoters' means are those that the windows of the store have."""
    genes = files["genes"]
    ends = {"start": genes.tss - 500, "end": genes.tss + 500}
    regions = pd.DataFrame({"chrom": genes.chroms, **ends})
    values, _ = read_windows(files["folder"] / "dnase.bw", genes, 1000)
    means = region_means(files["folder"] / "dnase.bw", regions, genes)
    np.testing.assert_allclose(means, values.mean(axis=1, dtype=np.float64), rtol=1e-6)


def test_scores_against_published_ones(realdata_dir: Path) -> None:
    """Candidate regions, H3K27ac and DHS counts and contacts of K562 chr22; docs/data_checks.md."""
    folder = realdata_dir / "elements"
    table = pd.read_csv(realdata_dir / "genes" / "genes_K562_chr22.tsv", sep="\t")
    table["chrom"] = table["chr"]
    genes = Genes.from_table(table, {"chr22": 50_818_468})
    regions = pd.read_csv(folder / "elements_K562_chr22.tsv", sep="\t").rename(
        columns={"chr": "chrom"}
    )
    published = pd.read_csv(folder / "ABC_K562_chr22_predictions_threshold0.027.tsv", sep="\t")
    published = published[~published["isSelfPromoter"]]
    keys = ["start", "end"]
    regions["element"] = np.arange(len(regions))
    published = published.merge(regions[[*keys, "element"]], on=keys, how="left")
    published["gene"] = published["TargetGene"].map(
        dict(zip(table["symbol"], table.index, strict=True))
    )
    tracks = [
        {"path": realdata_dir / "signals" / f"K562_{name}.chr22.APPROX.bw"}
        for name in ("H3K27ac", "DHS")
    ]
    hic = {
        "path": realdata_dir / "hic" / "K562_chr22_hg38.hic",
        "resolution_bp": 5000, "normalisation": "NONE",
    }  # fmt: skip
    activity = element_activity(regions, tracks, genes)
    pairs = nearest_elements(
        genes, regions, n_nearest=None, max_distance_bp=1_600_000, promoter_bp=0
    )
    centre = ((regions["start"] + regions["end"]) // 2).to_numpy()
    contact, _ = pair_contacts(pairs, centre, genes, hic)
    # The published score: activity x contact, divided by its sum over the gene's candidates.
    product = pd.Series(activity[pairs["element"]] * contact, index=pairs.index)
    pairs["score"] = product / product.groupby(pairs["gene"]).transform("sum")
    both = published.merge(pairs, on=["gene", "element"], suffixes=("_published", ""))
    assert len(both) == len(published) == 723
    assert (both["distance"] - both["distance_published"]).abs().max() <= 1
    own = activity[both["element"]]
    assert own.size and pd.Series(own).corr(both["activity_base"], method="spearman") > 0.95
    assert both["score"].corr(both["ABC.Score"], method="spearman") > 0.65
