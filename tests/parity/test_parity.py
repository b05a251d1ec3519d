"""All reference folders agree, tampered ones don't, and other sizes of the same layout work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from named import build
from safetensors.torch import load_file, save_file

from prismflow.models.common import InputSpec
from prismflow.released.keys import released_keys
from prismflow.released.parity.__main__ import main
from prismflow.released.parity.compare import Report, Tolerances
from prismflow.released.parity.folders import check, expand
from prismflow.released.parity.probe import Batch, common_values

MODALITIES = ("h3k27ac", "dnase", "hic")
FOLDERS = (
    "caduceus_concat_paper",
    "caduceus_concat_small",
    "caduceus_no_signal_small",
    "enformer_tiny",
    "epinformer",
    "hic",
    "hyena_small",
    "lightning",
    "loader",
    "mamba_small",
    "metrics",
    "prism_paper",
    "prism_small",
    "prism_small_amp",
    "scan",
    "schedule",
    "seq2exp_hard_small",
    "seq2exp_ops",
    "seq2exp_soft_small",
)


@pytest.mark.parametrize("name", FOLDERS)
def test_reference_folder_agrees(golden_dir: Path, name: str) -> None:
    report = check(golden_dir / name)
    assert not report.failures
    assert not report.not_compared
    assert report.passed


def test_every_reference_folder_is_listed(golden_dir: Path) -> None:
    assert [folder.name for folder in expand(golden_dir)] == list(FOLDERS)


def tampered(golden_dir: Path, tmp_path: Path, name: str, file: str, key: str, change) -> Path:
    """A copy of a folder in which one tensor is changed."""
    folder = tmp_path / name
    shutil.copytree(golden_dir / name, folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    tensors = load_file(folder / file)
    tensors[key] = change(tensors[key])
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / file)
    return folder


@pytest.mark.parametrize(
    ("name", "file", "key", "factor"),
    [
        ("prism_small", "expected.safetensors", "f64.train.hidden", 1 + 1e-7),
        ("prism_small", "expected.safetensors", "extra.softmax.f64.train.logits", 1 + 1e-7),
        ("mamba_small", "expected.safetensors", "f32.train.logits", 1 + 1e-2),
        ("mamba_small", "weights.safetensors", "model.layers.1.norm.weight", 1 + 1e-4),
        ("seq2exp_ops", "beta_implicit_grad.safetensors", "f32.dx_dalpha", 1.01),
        ("loader", "windows.safetensors", "signal.999", 1.001),
    ],
)
def test_a_changed_number_is_found(
    golden_dir: Path, tmp_path: Path, name: str, file: str, key: str, factor: float
) -> None:
    folder = tampered(golden_dir, tmp_path, name, file, key, lambda t: t * factor)
    assert main([str(folder)]) == 1


def test_a_wrong_constant_is_found(golden_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prismflow.models import bimamba

    original = bimamba.RMSNorm.__init__
    monkeypatch.setattr(bimamba.RMSNorm, "__init__", lambda self, d: original(self, d, 1e-6))
    report = check(golden_dir / "caduceus_no_signal_small")
    assert any(d.name == "f64.train.hidden" for d in report.failures)


def test_names_without_a_value_are_no_success(golden_dir: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "mamba_small"
    shutil.copytree(golden_dir / "mamba_small", folder)
    (folder / "expected.safetensors").chmod(0o644)
    tensors = load_file(folder / "expected.safetensors")
    tensors["f64.train.something_new"] = torch.zeros(1)
    save_file(tensors, folder / "expected.safetensors")
    assert main([str(folder)]) == 1
    assert "not compared (1): f64.train.something_new" in capsys.readouterr().out


def test_unusable_folders_are_named(golden_dir: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    folder = tmp_path / "damaged"
    shutil.copytree(golden_dir / "mamba_small", folder)
    (folder / "weights.safetensors").chmod(0o644)
    (folder / "weights.safetensors").write_bytes(b"nothing")
    strange = tmp_path / "strange"
    shutil.copytree(golden_dir / "mamba_small", strange)
    (strange / "config.json").chmod(0o644)
    (strange / "config.json").write_text('{"config": {}}')
    paths = [tmp_path / "absent", tmp_path / "empty", folder, strange, golden_dir / "metrics"]
    assert main([str(path) for path in paths]) == 2
    output = capsys.readouterr()
    assert output.err.count("\n") == 4
    assert "lacks the key 'd_model'" in output.err
    assert "ok    " in output.out


CONFIG = {
    "d_model": 24,
    "n_layer": 3,
    "center_len": 50,
    "signal_size": 3,
    "rna_feat_dim": 5,
    "useRNAFeat": True,
    "weight_act": "softmax",
    "n_context": 3,
    "cnn_dim": 3,
    "ssm_cfg": {"d_state": 5, "d_conv": 3, "expand": 3},
    "seq_range": 130,
}


def write_folder(folder: Path, weights: tuple[float, float]) -> None:
    """A folder like those of the references, with sizes of its own, from this package."""
    torch.manual_seed(7)
    hyper = {
        "d_model": 24,
        "n_layers": 3,
        "d_state": 5,
        "d_conv": 3,
        "expand": 3,
        "center_bp": 50,
        "n_contexts": 3,
        "cnn_channels": 3,
        "weight_activation": "softmax",
    }
    loss = {"uniform": weights[0], "intervention": weights[1]}
    model = build("prism", hyper, loss, InputSpec(MODALITIES, 5, 130))
    state = model.state_dict()
    tensors = {key: state[ours].clone() for key, ours in released_keys(model).items()}
    inputs = {
        "seqs": torch.eye(4)[torch.randint(4, (2, 130))],
        "signals": torch.rand(2, 130, 3),
        "rna_feat": torch.rand(2, 5),
        "target": torch.rand(2, 1),
    }
    model.double().train()
    batch = Batch(*(inputs[name].double() for name in ("seqs", "signals", "rna_feat")),
                  inputs["target"].flatten().double())  # fmt: skip
    output = model(batch)
    values = common_values(model, output, batch.target, backward=True)
    expected = {f"f64.train.{name}": value.detach().clone() for name, value in values.items()}
    folder.mkdir()
    save_file(tensors, folder / "weights.safetensors")
    save_file(inputs, folder / "inputs.safetensors")
    save_file(expected, folder / "expected.safetensors")
    released = {"uniform_loss_weight": weights[0], "intervention_loss_weight": weights[1]}
    config = {"config": CONFIG, "seed": 7, "loss_weights": released}
    (folder / "config.json").write_text(json.dumps(config))


def test_other_sizes_and_loss_weights_work(tmp_path: Path) -> None:
    write_folder(tmp_path / "other", (0.25, 3.0))
    report = check(tmp_path / "other")
    assert report.passed
    assert any(".grad." in d.name for d in report.deviations)


def test_a_parent_folder_stands_for_its_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_folder(tmp_path / name, (1.0, 1.0))
    (tmp_path / "notes").mkdir()
    assert expand(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert expand(tmp_path / "notes") == [tmp_path / "notes"]


def test_tolerances_are_those_that_are_written_down() -> None:
    report = Report(Path("x"), "x")
    one = torch.ones(3, dtype=torch.float64)
    report.float64("inside", one + 9e-10, one)
    report.float64("outside", one + 1.1e-9, one)
    report.float64("absolute", one * 0 + 9e-13, one * 0)
    report.float32("forward", one + 1.1e-5, one, None, Tolerances())
    report.float32("a.grad.b", one + 9e-5, one, None, Tolerances())
    report.float32("noisy", one + 1.1e-5, one, one + 5e-6, Tolerances())
    report.float32("far from float32", one, one, one + 1e-3, Tolerances())
    report.float64("shape", one[:2], one)
    report.float64("nan", one * float("nan"), one)
    assert [d.name for d in report.failures] == [
        "outside",
        "forward",
        "far from float32",
        "shape",
        "nan",
    ]
    assert report.worst.name in ("shape", "nan")
