"""Bundles of what was not trained here: the authors' released checkpoints."""

from __future__ import annotations

from pathlib import Path

from make_checkpoint import small_prism, write_checkpoint
from small_world import FEATURES, WINDOW_BP, World

from prismflow.data.store_builder import build_store
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.files import read_tsv, write_tsv
from prismflow.predict.export import export_bundle
from prismflow.predict.predictions import write_predictions
from prismflow.released.adopt import main


def test_a_released_checkpoint_predicts_the_digits_of_its_evaluation(
    world: World, tmp_path: Path
) -> None:
    checkpoint = write_checkpoint(tmp_path / "example.ckpt", *small_prism())
    run = tmp_path / "prism" / "released"
    assert main([str(checkpoint), "--out", str(run)]) == 0
    genes = read_tsv(world.folder / "results" / "genes.tsv", dtype={"chrom": str})
    names = {f"{what}_simA": f"{what}_K562" for what in ("label", "promoter_activity")}
    write_tsv(genes.rename(columns=names), tmp_path / "genes.tsv")
    kinds = {"hic": {"kind": "contacts", "resolution_bp": 5000, "normalisation": "NONE"}}
    tracks = world.tracks("simA")
    build_store(
        tmp_path / "store", dataset="sim", cell="K562", genes_path=tmp_path / "genes.tsv",
        fasta=world.fasta, window_bp=WINDOW_BP, features=FEATURES[:-1],
        promoter_activity="{cell}_promoter_activity", simulated=True,
        tracks=[{"modality": name, "path": str(path), "kind": "signal", **kinds.get(name, {})}
                for name, path in tracks.items()],
    )  # fmt: skip
    outputs = [tmp_path / name for name in ("p.tsv", "m.tsv", "e.safetensors")]
    weights, record = run / "model.safetensors", run / "model.json"
    evaluate_run(tmp_path / "store", world.splits, weights, record, {"full": {}}, *outputs,
                 device="cpu")  # fmt: skip
    expected = read_tsv(outputs[0], dtype=str)
    export_bundle([run], tmp_path / "released.zip", tmp_path / "store", world.splits)
    own = read_tsv(world.genes, dtype=str).rename(
        columns={"simA_promoter_activity": "K562_promoter_activity"}
    )
    test_genes = own[own["gene_id"].isin(expected["gene_id"])]
    write_tsv(test_genes, tmp_path / "new.tsv")
    write_predictions(tmp_path / "released.zip", tmp_path / "new.tsv", world.fasta, tracks,
                      tmp_path / "out.tsv", device="cpu")  # fmt: skip
    found = read_tsv(tmp_path / "out.tsv", dtype=str)
    assert found["gene_id"].tolist() == expected["gene_id"].tolist()
    assert found["fold11_seed22"].tolist() == expected["predicted"].tolist()
    assert found["backdoor"].notna().all() and found["sd"].isna().all()
