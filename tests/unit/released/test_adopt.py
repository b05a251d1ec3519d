"""Released checkpoints: strictly checked, converted, adopted by the workflow."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from make_checkpoint import MODALITIES, small_prism, tree_of, write_checkpoint
from make_store import FEATURES, make_store
from named import build
from safetensors.torch import load_file

from prismflow.errors import InputError
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.files import read_tsv
from prismflow.models.common import InputSpec
from prismflow.released.adopt import adopt_run, main, read_released
from prismflow.released.keys import released_keys


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "example.ckpt", *small_prism())


def test_reads_state_settings_and_origin(checkpoint: Path) -> None:
    released = read_released(checkpoint)
    assert released.settings["architecture"] == "prism"
    assert released.settings["hyperparameters"]["n_contexts"] == 2
    assert released.settings["loss"] == {"intervention": 2.0, "uniform": 0.5}
    assert released.settings["window_bp"] == 128
    assert len(released.settings["gene_features"]) == 9
    assert (released.cell, released.fold, released.seed) == ("K562", "fold11", 22)
    assert released.best == {"step": 17, "valid_mse": 0.25}
    assert set(released.skipped) == {"make_checkpoint.Branch", "make_checkpoint.Leaf"}


def test_conversion_writes_weights_that_the_model_loads(checkpoint: Path, tmp_path: Path) -> None:
    assert main([str(checkpoint), "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "model.json").read_text())
    settings = record["settings"]
    model = build(
        settings["architecture"],
        settings["hyperparameters"],
        settings["loss"],
        InputSpec(settings["modalities"], len(settings["gene_features"]), settings["window_bp"]),
    )
    model.load_state_dict(load_file(tmp_path / "out" / "model.safetensors"))
    _, tensors = small_prism()
    state = model.state_dict()
    for released, ours in released_keys(model).items():
        assert torch.equal(state[ours], tensors[released])
    assert record["fold"] == "fold11"
    assert record["seed"] == 22
    assert record["store"] == {"cell": "K562"}


def test_conversion_gives_equal_bytes(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        main([str(checkpoint), "--out", str(tmp_path / name)])
    for file in ("model.safetensors", "model.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_golden_checkpoint(golden_dir: Path) -> None:
    released = read_released(golden_dir / "lightning" / "example_small.ckpt")
    final = load_file(golden_dir / "lightning" / "example_final_state.safetensors")
    settings = released.settings
    model = build(
        "prism",
        settings["hyperparameters"],
        settings["loss"],
        InputSpec(settings["modalities"], 9, settings["window_bp"]),
    )
    for key, ours in released_keys(model).items():
        assert torch.equal(released.state[ours].reshape(final[f"model.{key}"].shape),
                           final[f"model.{key}"])  # fmt: skip
    assert released.best["step"] == 4
    assert released.best["valid_mse"] == pytest.approx(6.4132476)
    assert settings["hyperparameters"]["center_bp"] == 128


# ---- refusals


def test_missing_and_unexpected_keys_are_named(tmp_path: Path) -> None:
    config, tensors = small_prism()
    tensors["pToExpr.9.weight"] = tensors.pop("pToExpr.2.weight")
    path = write_checkpoint(tmp_path / "keys.ckpt", config, tensors)
    with pytest.raises(InputError) as raised:
        read_released(path)
    assert "missing pToExpr.2.weight" in str(raised.value)
    assert "unexpected pToExpr.9.weight" in str(raised.value)


def test_wrong_sizes_are_named_with_both_sides(tmp_path: Path) -> None:
    config, tensors = small_prism()
    tensors["pToExpr.2.weight"] = torch.zeros(16, 17)
    path = write_checkpoint(tmp_path / "sizes.ckpt", config, tensors)
    with pytest.raises(InputError, match=r"pToExpr\.2\.weight has shape \(16, 17\).*\(16, 16\)"):
        read_released(path)


def test_a_configuration_of_other_sizes_is_refused(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "n.ckpt", *small_prism(n_context=4))
    with pytest.raises(InputError, match=r"weight has shape \(32, 8\), but .* has \(64, 8\)"):
        read_released(path)


def test_untied_copies_are_refused(tmp_path: Path) -> None:
    config, tensors = small_prism()
    key = next(name for name in tensors if name.endswith("mamba_rev.in_proj.weight"))
    tensors[key] = tensors[key] + 1
    path = write_checkpoint(tmp_path / "tied.ckpt", config, tensors)
    with pytest.raises(InputError, match="second copy of a tied tensor and differs"):
        read_released(path)


def test_a_truncated_file_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    content = checkpoint.read_bytes()
    for share in (0.1, 0.5, 0.99):
        cut = tmp_path / "cut.ckpt"
        cut.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match="truncated or of another kind"):
            read_released(cut)


def test_a_damaged_member_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    content = bytearray(checkpoint.read_bytes())
    with zipfile.ZipFile(checkpoint) as archive:
        info = next(i for i in archive.infolist() if "/data/" in i.filename and i.file_size > 64)
    at = content.find(b"PK\x01\x02")
    content[info.header_offset + 200 if info.header_offset + 200 < at else at - 8] ^= 0xFF
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(bytes(content))
    with pytest.raises(InputError):
        read_released(damaged)


@pytest.mark.parametrize("content", [b"", b"not a zip", pickle.dumps({"state_dict": {}})])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a checkpoint"):
        read_released(path)
    with pytest.raises(InputError, match="found no such file"):
        read_released(tmp_path / "absent.ckpt")


def test_archives_without_a_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "plain.pt"
    torch.save({"weights": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="with a state_dict, found none"):
        read_released(path)
    torch.save({"state_dict": {"model.x": torch.zeros(2)}, "hyper_parameters": {}}, path)
    with pytest.raises(InputError, match="configuration under hyper_parameters"):
        read_released(path)
    torch.save({"state_dict": {"x": torch.zeros(2)}}, path)
    with pytest.raises(InputError, match=r"tensors named model\.\.\."):
        read_released(path)


def test_the_command_says_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([str(tmp_path / "absent.ckpt"), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# ---- in the workflow


@pytest.fixture
def adopted(tmp_path: Path) -> dict:
    """Arguments of a run that takes its weights from a checkpoint."""
    store, splits = make_store(tmp_path / "data", window_bp=128)
    torch.manual_seed(0)
    hyper = {"d_model": 16, "n_layers": 1, "d_state": 4, "cnn_channels": 2, "center_bp": 64}
    model = build("prism", hyper, {}, InputSpec(MODALITIES, 3, 128))
    state = model.state_dict()
    tensors = {released: state[ours].clone() for released, ours in released_keys(model).items()}
    config, _ = small_prism(rna_feat_dim=3)
    path = write_checkpoint(
        tmp_path / "cellA_22.ckpt",
        config,
        tensors,
        hyper_parameters=tree_of(
            {
                "model": {"config": config},
                "dataset": {"cell_type": "cellA"},
                "train": {"seed": 22, "single_CV": 11},
            }
        ),
    )
    out = tmp_path / "run"
    return {
        "checkpoint": str(path).replace("cellA", "{cell}").replace("22.", "{seed}."),
        "store_dir": store,
        "splits_path": splits,
        "fold": "fold11",
        "seed": 22,
        "settings": {
            "model": "prism_released",
            "architecture": "prism",
            "class": "prismflow.models.prism:Prism",
            "hyperparameters": {"n_contexts": 2},
            "loss": {},
            "modalities": list(MODALITIES),
            "window_bp": 128,
            "transforms": {"h3k27ac": "raw", "dnase": "raw", "hic": "log10p1"},
            "gene_features": list(FEATURES),
            "training": {},
        },
        "weights_path": out / "model.safetensors",
        "model_json_path": out / "model.json",
        "history_path": out / "history.tsv",
    }


def test_an_adopted_run_is_evaluated_like_a_trained_one(adopted: dict, tmp_path: Path) -> None:
    adopt_run(**adopted)
    evaluate_run(
        adopted["store_dir"],
        adopted["splits_path"],
        adopted["weights_path"],
        adopted["model_json_path"],
        {"full": {}, "backdoor": {"output": "backdoor"}},
        tmp_path / "predictions.tsv.gz",
        tmp_path / "metrics.tsv",
        tmp_path / "extras.safetensors",
        device="cpu",
    )
    metrics = read_tsv(tmp_path / "metrics.tsv")
    assert set(metrics["scenario"]) == {"full", "backdoor"}
    assert set(metrics["model"]) == {"prism_released"}
    history = read_tsv(adopted["history_path"])
    assert history["step"].tolist() == [17]
    assert history["valid_mse"].tolist() == [0.25]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 2}, "no such file"),
        ({"fold": "fold1"}, "trained with fold fold11, the run asks for fold fold1"),
    ],
)
def test_an_adopted_run_must_be_the_same_run(adopted: dict, change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        adopt_run(**{**adopted, **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hyperparameters": {"n_contexts": 4}}, "n_contexts is 2, the model's settings say 4"),
        ({"window_bp": 64}, "window_bp is 128, the model's settings say 64"),
        ({"modalities": ["dnase"]}, "the model's settings say"),
        ({"gene_features": []}, "number of gene features is 3, the model's settings say 0"),
    ],
)
def test_adopted_settings_must_agree(adopted: dict, change: dict, words: str) -> None:
    settings = {**adopted["settings"], **change}
    with pytest.raises(InputError, match=words):
        adopt_run(**{**adopted, "settings": settings})


def test_the_reported_output_of_an_adopted_run_can_be_chosen(adopted: dict) -> None:
    settings = {**adopted["settings"], "hyperparameters": {"reported": "backdoor"}}
    adopt_run(**{**adopted, "settings": settings})
    record = json.loads(adopted["model_json_path"].read_text())
    assert record["settings"]["hyperparameters"]["reported"] == "backdoor"
    assert record["settings"]["hyperparameters"]["center_bp"] == 64
