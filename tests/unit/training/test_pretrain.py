"""Pretraining sees training chromosomes only, learns, and ends with equal bytes after a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_store import make_store, settings
from small_genome import SIZES, pretraining, write_genes, write_genome

from prismflow.arrays import load_arrays, save_arrays
from prismflow.errors import InputError
from prismflow.files import read_json, read_tsv, sha256
from prismflow.training import pretrain
from prismflow.training.inference import build_model
from prismflow.training.initial import start_from
from prismflow.training.kept import state_folder
from prismflow.training.masked import hide
from prismflow.training.run import train_run


def run(folder: Path, changed: str | None = None, minutes: float = 60.0, **changes: Any) -> Path:
    """Pretrain in a folder; returns the weights."""
    folder.mkdir(exist_ok=True)
    weights = folder / "out" / "model.safetensors"
    pretrain.pretrain_run(
        *write_genes(folder), write_genome(folder, changed=changed), folder / "index", "fold11",
        pretraining(**changes), weights, folder / "out" / "pretraining.json",
        folder / "out" / "history.tsv", device="cpu", threads=1, checkpoint_minutes=minutes,
    )  # fmt: skip
    return weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("pretrained"))


def test_only_known_bases_are_asked_for_and_most_of_them_are_hidden() -> None:
    codes = np.random.default_rng(0).integers(0, 5, (8, 5000)).astype(np.uint8)
    seen, targets = hide(codes, 0.2, np.random.default_rng(1))
    asked = targets >= 0
    assert set(np.unique(targets)) == {-100, 0, 1, 2, 3}
    assert asked.mean() == pytest.approx(0.2 * 0.8, abs=0.01)
    assert (seen[asked] == 4).mean() == pytest.approx(0.8, abs=0.02)
    # A quarter of the exchanged ones is exchanged for the same base.
    assert (seen[asked] == targets[asked]).mean() == pytest.approx(0.1 + 0.1 / 4, abs=0.02)
    whole = np.where(asked, targets, seen)
    turned = np.where(codes[:, ::-1] < 4, 3 - codes[:, ::-1], 4)
    forward = (whole == codes).all(axis=1)
    assert (forward != (whole == turned).all(axis=1)).all() and 0 < forward.sum() < len(codes)


def test_a_base_is_guessed_from_its_neighbours(weights: Path) -> None:
    history = read_tsv(weights.parent / "history.tsv")
    assert history["loss"].iloc[0] > 1.2 and history["loss"].iloc[-1] < 0.9
    assert history["right"].iloc[-1] > 0.7 and history["step"].iloc[-1] == 30
    # 2 chromosomes of 4096 bases in pieces of 128, 4 per step.
    assert history["passes"].iloc[-1] == pytest.approx(30 * 4 / 64)


@pytest.mark.parametrize(("chrom", "same"), [("chr3", True), ("chr4", True), ("chr2", False)])
def test_held_out_chromosomes_are_not_read(
    chrom: str, same: bool, weights: Path, tmp_path: Path
) -> None:
    other = run(tmp_path, changed=chrom)
    assert (sha256(other) == sha256(weights)) is same
    assert read_json(other.parent / "pretraining.json")["chromosomes"] == ["chr1", "chr2"]


@pytest.mark.parametrize("at", [1, 17])
def test_a_killed_pretraining_ends_with_the_same_bytes(
    at: int, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(pretrain, "clip_gradients", _killed_in_call(at + 1))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, minutes=0.0)
    assert list(state_folder(tmp_path / "out" / "model.safetensors").iterdir())
    monkeypatch.undo()
    with caplog.at_level("INFO", "prismflow"):
        again = run(tmp_path, minutes=0.0)
    assert f"continued after step {at}" in caplog.text
    for name in ("model.safetensors", "history.tsv", "pretraining.json"):
        assert sha256(again.parent / name) == sha256(weights.parent / name)
    assert not state_folder(again).exists()


def _killed_in_call(number: int) -> Callable[..., torch.Tensor]:
    calls, clip = 0, pretrain.clip_gradients

    def clipped(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == number:
            raise KeyboardInterrupt
        return clip(*arguments)

    return clipped


def test_a_step_in_two_passes_is_the_step_of_one(tmp_path: Path) -> None:
    one = run(tmp_path / "one", training={"batch_size": 8, "steps": 4})
    halves = {"batch_size": 4, "accumulate_batches": 2, "steps": 4}
    two = run(tmp_path / "two", training=halves)
    histories = [read_tsv(path.parent / "history.tsv").to_numpy() for path in (one, two)]
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-5)


@pytest.mark.parametrize(
    "architecture", ["caduceus", "caduceus_signals", "prism", "infer", "peak_mask"]
)
def test_a_model_starts_from_the_embedding_of_bases_and_the_backbone(
    architecture: str, weights: Path
) -> None:
    signals = [] if architecture == "caduceus" else ["h3k27ac", "dnase"]
    chosen = settings(architecture, hyperparameters=SIZES, modalities=signals)
    torch.manual_seed(0)
    drawn = build_model(chosen).state_dict()
    torch.manual_seed(0)
    model = build_model(chosen)
    start_from(model, weights)
    found, pretrained = model.state_dict(), load_arrays(weights)
    first = "embedding" if "embedding.weight" in found else "sequence_embedding"
    assert np.array_equal(found[f"{first}.weight"][:, :4], pretrained["embedding.weight"])
    assert np.array_equal(found[f"{first}.bias"], pretrained["embedding.bias"])
    assert torch.equal(found[f"{first}.weight"][:, 4:], drawn[f"{first}.weight"][:, 4:])
    for name, value in found.items():
        if name.startswith("backbone."):
            assert np.array_equal(value, pretrained[name])
        elif not name.startswith(first):
            assert torch.equal(value, drawn[name])


def test_a_run_that_starts_from_pretrained_weights_says_so(weights: Path, tmp_path: Path) -> None:
    data = make_store(tmp_path)
    chosen = settings("caduceus", hyperparameters=SIZES, modalities=[], training={"steps": 3})

    def train(name: str, start: Path | None, **more: Any) -> Path:
        out = tmp_path / name
        files = [out / file for file in ("model.safetensors", "model.json", "history.tsv")]
        train_run(*data, "fold11", 2, {**chosen, **more}, *files, device="cpu", threads=1,
                  initial_path=start)  # fmt: skip
        return out

    plain = train("plain", None)
    first, second = (train(name, weights, initial_weights="repeats") for name in ("a", "b"))
    assert sha256(first / "model.safetensors") == sha256(second / "model.safetensors")
    assert sha256(first / "model.safetensors") != sha256(plain / "model.safetensors")
    said = read_json(first / "model.json")["settings"]["initial_weights"]
    assert said == {"pretraining": "repeats", "sha256": sha256(weights)}
    assert "initial_weights" not in read_json(plain / "model.json")["settings"]
    with pytest.raises(InputError, match="give both or neither"):
        train("c", None, initial_weights="repeats")


def test_a_broken_start_is_refused(weights: Path, tmp_path: Path) -> None:
    model = build_model(settings("caduceus", hyperparameters=SIZES, modalities=[]))
    tensors = load_arrays(weights)
    for change, sentence in (
        ({"backbone.norm_f.weight": None}, "backbone.norm_f.weight missing"),
        ({"head.weight": np.zeros(2, np.float32)}, "found head.weight too many"),
        ({"embedding.bias": np.zeros(9, np.float32)}, r"of shape \(8,\), .* found \(9,\)"),
    ):
        changed = {k: v for k, v in {**tensors, **change}.items() if v is not None}
        save_arrays(changed, tmp_path / "changed.safetensors")
        with pytest.raises(InputError, match=sentence):
            start_from(model, tmp_path / "changed.safetensors")
