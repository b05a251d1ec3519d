"""Explaining genes of a run: what is written, where it lies, and that a killed job continues."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from make_store import settings

from prismflow.arrays import load_arrays
from prismflow.errors import InputError
from prismflow.explain import attributions
from prismflow.explain.attributions import explain_run, state_folder
from prismflow.explain.tracks import BaseTrack, write_track
from prismflow.files import read_tsv
from prismflow.training.run import train_run

FILES = ("model.safetensors", "model.json")
SETTINGS = {
    "genes": [], "split": "test", "at_most": 4, "baseline": "mean", "steps": 20, "bin_bp": 48,
    "mutagenesis": True, "pass_bp": 16384,
}  # fmt: skip


@pytest.fixture
def explain(data, run_of, tmp_path):
    sizes = tmp_path / "chrom.sizes"
    sizes.write_text("chrom\tlength\nchr1\t1000000\nchr2\t500\n")

    def call(architecture="prism", out="out", folder=None, **changes):
        folder = folder or run_of(architecture)
        explain_run(*data, *(folder / name for name in FILES), sizes, SETTINGS | changes,
                    tmp_path / out, device="cpu")  # fmt: skip
        return tmp_path / out

    return call


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_output_has_tables_arrays_and_a_track_per_input(explain) -> None:
    out = explain()
    inputs = ("sequence", "h3k27ac", "dnase", "hic", "substitutions")
    tracks = {f"{output}.{name}.bw" for output in ("direct", "backdoor") for name in inputs}
    tables = {"genes.tsv", "totals.tsv", "occlusion.tsv.gz", "contexts.tsv.gz"}
    assert set(content(out)) == tracks | tables | {"attributions.safetensors"}
    totals = read_tsv(out / "totals.tsv")
    assert len(totals) == 4 * 2 * 4
    genes = read_tsv(out / "genes.tsv").set_index("gene_id")
    sums = totals.groupby(["gene_id", "output"])["integrated_gradients"].sum()
    for (gene, output), total in sums.items():
        row = genes.loc[gene]
        difference = row[f"{output}_prediction"] - row[f"{output}_reference"]
        assert abs(total - difference) <= 0.01 * max(abs(difference), 0.05)
    assert not state_folder(out).exists()


def test_tracks_hold_the_arrays_at_the_bases_of_each_window_whatever_the_strand(explain) -> None:
    out = explain()
    genes, arrays = read_tsv(out / "genes.tsv"), load_arrays(out / "attributions.safetensors")
    assert set(genes["strand"]) == {"+", "-"}
    assert (genes["start"] + 64 == genes["tss"]).all()
    for name, values in (
        ("direct.h3k27ac", arrays["direct.signals"][:, :, 0]),
        ("backdoor.sequence", arrays["backdoor.sequence"].sum(axis=-1)),
        ("direct.substitutions", -arrays["direct.substitutions"].sum(axis=-1) / 3),
    ):
        with pyBigWig.open(str(out / f"{name}.bw")) as track:
            for row, gene in genes.iterrows():
                found = track.values(gene["chrom"], gene["start"], gene["end"], numpy=True)
                assert found == pytest.approx(values[row], abs=1e-7, nan_ok=True)
                assert np.isnan(track.values(gene["chrom"], gene["start"] - 1, gene["start"])[0])


def test_overlapping_windows_take_the_nearer_gene_and_ends_of_chromosomes_are_cut(tmp_path) -> None:
    places = pd.DataFrame(
        {"chrom": ["chr2", "chr1", "chr1"], "tss": [2, 104, 100], "start": [-2, 100, 96],
         "end": [6, 108, 104]}
    )  # fmt: skip
    values = np.arange(24.0).reshape(3, 8)
    values[1, 7] = np.nan
    write_track(BaseTrack(places, values), {"chr1": 200, "chr2": 5}, tmp_path / "track.bw")
    with pyBigWig.open(str(tmp_path / "track.bw")) as track:
        assert track.values("chr2", 0, 5) == [2, 3, 4, 5, 6]
        # Bases 100 and 101 are nearer to the TSS at 100, 102 and 103 to that at 104.
        assert track.values("chr1", 96, 107) == [16, 17, 18, 19, 20, 21, 10, 11, 12, 13, 14]
        assert np.isnan(track.values("chr1", 107, 108)[0])


def test_a_killed_job_continues_and_ends_with_the_same_bytes(explain, monkeypatch) -> None:
    whole = explain(out="whole")
    done = []
    real = attributions._explain_gene

    def killed(trained, gene, *rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(gene.row)
        real(trained, gene, *rest)

    monkeypatch.setattr(attributions, "_explain_gene", killed)
    with pytest.raises(KeyboardInterrupt):
        explain()
    again = []

    def counted(trained, gene, *rest):
        again.append(gene.row)
        real(trained, gene, *rest)

    monkeypatch.setattr(attributions, "_explain_gene", counted)
    out = explain()
    assert len(done) == len(again) == 2
    assert not set(done) & set(again)
    assert content(out) == content(whole)


def test_genes_done_with_other_settings_are_done_again(explain, monkeypatch) -> None:
    rows = []
    real = attributions._explain_gene

    def stopped(trained, gene, *rest):
        rows.append(gene.row)
        real(trained, gene, *rest)
        if len(rows) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(attributions, "_explain_gene", stopped)
    with pytest.raises(KeyboardInterrupt):
        explain()
    explain(steps=25)
    assert len(rows) == 5
    assert rows[0] == rows[1]


def test_named_genes_are_explained_in_the_order_of_the_store(explain) -> None:
    out = explain("cnn", genes=["gene007", "gene003"], mutagenesis=False)
    assert read_tsv(out / "genes.tsv")["gene_id"].tolist() == ["gene003", "gene007"]
    assert "contexts.tsv.gz" not in content(out)
    assert "prediction.substitutions.bw" not in content(out)


def test_a_gene_that_is_not_there_and_a_model_without_bases_end_in_a_sentence(explain) -> None:
    with pytest.raises(InputError, match=r"attributions\.genes: .*found 'BRCA1'.*dropped\.tsv"):
        explain(genes=["BRCA1"])
    with pytest.raises(InputError, match=r"model\.json: expected a network.*found gbm"):
        explain("gbm")


def test_the_signal_that_the_labels_were_made_of_has_the_largest_total(
    data, tmp_path_factory, explain
) -> None:
    # The store's labels are half the level of h3k27ac; dnase and contacts are noise.
    folder = tmp_path_factory.mktemp("longer")
    chosen = settings("cnn", training={"steps": 200, "batch_size": 16})
    train_run(*data, "fold11", 5, chosen, *(folder / name for name in FILES),
              folder / "history.tsv", device="cpu")  # fmt: skip
    out = explain(folder=folder, at_most=None, mutagenesis=False)
    totals = read_tsv(out / "totals.tsv")
    totals = totals[totals["input"] != "sequence"]
    sizes = totals["integrated_gradients"].abs().groupby(totals["input"]).mean()
    assert sizes.idxmax() == "h3k27ac"
    assert sizes["h3k27ac"] > 3 * sizes.drop("h3k27ac").max(), sizes
