"""Released checkpoints: read without executing, strictly checked, converted."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import pytest
import torch
from make_store import FEATURES, make_store
from safetensors.torch import load_file

from prismflow.checkpoints import Inert, plain_values, read_checkpoint
from prismflow.errors import InputError
from prismflow.files import read_tsv
from prismflow.layouts import architecture_of, from_released, load_released, released_keys
from prismflow.models import build, model_class
from prismflow.models.common import InputSpec
from prismflow.prediction import evaluate_run
from prismflow.released import adopt_run, main, read_released

MODALITIES = ("h3k27ac", "dnase", "hic")


class Leaf:
    """Stands for a value of the released configuration library."""

    def __init__(self, value: object) -> None:
        self._val = value


class Branch:
    """Stands for a container of the released configuration library."""

    def __init__(self, content: object) -> None:
        self._content = content


def tree_of(value: object) -> object:
    if isinstance(value, dict):
        return Branch({key: tree_of(entry) for key, entry in value.items()})
    return Leaf(value)


def small_prism(**changes: object) -> tuple[dict, dict[str, torch.Tensor]]:
    """A configuration as released and a state dict in the released layout."""
    torch.manual_seed(0)
    config = {
        "d_model": 16,
        "n_layer": 1,
        "center_len": 64,
        "cnn_dim": 2,
        "n_context": 2,
        "weight_act": "sigmoid",
        "signal_size": 3,
        "rna_feat_dim": 9,
        "useRNAFeat": True,
        "seq_range": 128,
        "ssm_cfg": {"d_state": 4, "d_conv": 4, "expand": 2},
        **changes,
    }
    hyper = {"d_model": 16, "n_layers": 1, "d_state": 4, "cnn_channels": 2, "center_bp": 64}
    model = build("prism", hyper, {}, InputSpec(MODALITIES, 9, 128))
    state = model.state_dict()
    tensors = {released: state[ours].clone() for released, ours in released_keys(model).items()}
    return config, tensors


def write_checkpoint(path: Path, config: dict, tensors: dict[str, torch.Tensor], **more) -> Path:
    tree = {
        "epoch": 3,
        "global_step": 17,
        "state_dict": OrderedDict((f"model.{name}", value) for name, value in tensors.items()),
        "callbacks": {
            "a": {"monitor": "val/mse", "best_model_score": torch.tensor(0.25)},
            "b": {"monitor": None, "best_model_score": None},
        },
        "hyper_parameters": tree_of(
            {
                "model": {"config": config},
                "task": {
                    "loss": {"uniform_loss_weight": 0.5, "intervention_loss_weight": 2.0},
                },
                "dataset": {"cell_type": "K562"},
                "train": {"seed": 22, "single_CV": 11},
            }
        ),
        "defaults": defaultdict(dict, {"x": 1}),
        **more,
    }
    torch.save(tree, path)
    return path


def rewrite_pickle(source: Path, target: Path, pickled: bytes) -> Path:
    """A copy of a checkpoint with another pickle in it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickled if name.endswith("data.pkl") else old.read(name))
    return target


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
    module = Leaf.__module__
    assert set(released.skipped) == {f"{module}.Branch", f"{module}.Leaf"}


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


# ---- nothing is executed


class Runs:
    """Pickles to a call of ``os.system`` that leaves a trace."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def test_a_malicious_pickle_runs_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = write_checkpoint(
        tmp_path / "evil.ckpt", *small_prism(), extra=Runs(f"touch {trace}"), more=[eval, exec]
    )
    tree, skipped = read_checkpoint(path)
    assert not trace.exists()
    assert isinstance(tree["extra"], Inert)
    assert tree["extra"].arguments == (f"touch {trace}",)
    assert {f"{os.system.__module__}.system", "builtins.eval", "builtins.exec"} <= {
        name.replace("__builtin__", "builtins") for name in skipped
    }
    assert read_released(path).cell == "K562"
    # The same pickle would have run, had it been unpickled.
    assert pickle.loads(pickle.dumps(Runs("exit 0"))) == 0


PAYLOADS = {
    "reduce": b"cos\nsystem\n(S'touch {}'\ntR.",
    "instance": b"(S'touch {}'\nios\nsystem\n.",
    "object": b"(cos\nsystem\nS'touch {}'\no.",
    "import": b"c__main__\nx\n(S'touch {}'\ntR.",
    "getattr": b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR(S'touch {}'\ntR.",
    "build on a class": b"ccollections\nOrderedDict\n(S'__call__'\ncos\nsystem\ndb.",
    "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.",
    "extension": b"\x80\x02\x82\x01.",
    "huge memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "empty": b"",
    "no stop": b"\x80\x02}",
    "stack underflow": b"\x80\x02R.",
}


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_hand_made_pickles_run_nothing(name: str, checkpoint: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    payload = PAYLOADS[name].replace(b"{}", str(trace).encode())
    path = rewrite_pickle(checkpoint, tmp_path / "payload.ckpt", payload)
    with pytest.raises(InputError):
        read_released(path)
    assert not trace.exists()


def tensor_pickle(arguments: bytes, storage: bytes = b"4") -> bytes:
    """A pickle of one tensor with the given offset, size and stride."""
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\n"
        b"S'cpu'\nI" + storage + b"\ntQ" + arguments + b"\x89Ntq\x00R."
    )


@pytest.mark.parametrize(
    "arguments",
    [
        b"I0\n(I100\nt(I1\nt",
        b"I3\n(I2\nt(I1\nt",
        b"I0\n(I2\nt(I-1\nt",
        b"I-1\n(I2\nt(I1\nt",
        b"I0\n(I2\nI2\nt(I1\nt",
        b"I0\n(I2\nI2\nt(I100\nI1\nt",
    ],
)
def test_tensors_outside_their_storage_are_refused(arguments: bytes, tmp_path: Path) -> None:
    source = tmp_path / "source.pt"
    torch.save({"a": torch.arange(4.0)}, source)
    good = rewrite_pickle(source, tmp_path / "good.pt", tensor_pickle(b"I1\n(I2\nt(I1\nt"))
    assert read_checkpoint(good)[0].tolist() == [1.0, 2.0]
    path = rewrite_pickle(source, tmp_path / "bad.pt", tensor_pickle(arguments))
    with pytest.raises(InputError, match="malformed"):
        read_checkpoint(path)


def test_a_storage_of_another_size_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source.pt"
    torch.save({"a": torch.arange(4.0)}, source)
    path = rewrite_pickle(source, tmp_path / "b.pt", tensor_pickle(b"I0\n(I2\nt(I1\nt", b"400"))
    with pytest.raises(InputError, match="another size than announced"):
        read_checkpoint(path)


def test_compressed_members_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "compressed.ckpt"
    with (
        zipfile.ZipFile(checkpoint) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(InputError, match="is compressed"):
        read_checkpoint(target)


def test_tensors_of_every_kind_come_through(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {
        "transposed": base.transpose(0, 2),
        "slice": base[:, 1:],
        "bfloat16": base.bfloat16(),
        "int64": base.long(),
        "bool": base > 3,
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(base),
    }
    torch.save(tensors, tmp_path / "kinds.pt")
    found, skipped = read_checkpoint(tmp_path / "kinds.pt")
    assert skipped == ()
    for name, value in tensors.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_plain_values_ignore_cycles_and_strangers() -> None:
    buffer = io.BytesIO()
    torch.save({"a": tree_of({"b": 1, "c": [2, None]}), "d": {3: 4, "e": "f"}}, buffer)
    path_values = plain_values({"d": {3: 4, "e": "f"}, "g": (1, 2.5, True, object())})
    assert path_values == {"d": {"e": "f"}, "g": [1, 2.5, True, None]}
    endless: dict = {}
    endless["again"] = endless
    plain_values(endless)


# ---- layouts


@pytest.mark.parametrize(
    "architecture",
    ["prism", "caduceus", "caduceus_signals", "mamba", "hyena", "enformer", "epinformer",
     "seq2exp_soft", "seq2exp_hard"],
)  # fmt: skip
def test_layouts_cover_every_tensor_and_come_back(architecture: str) -> None:
    cls = model_class(architecture)
    inputs = InputSpec(MODALITIES if cls.uses_signals else (), 9, 512)
    torch.manual_seed(0)
    model = build(architecture, cls.TINY, {}, inputs)
    mapping = released_keys(model)
    assert set(mapping.values()) == set(model.state_dict())
    state = model.state_dict()
    released = {key: state[ours] for key, ours in mapping.items()}
    family = architecture_of(released)
    assert architecture.startswith(family)
    other = build(architecture, cls.TINY, {}, inputs)
    load_released(other, released, "there")
    assert all(torch.equal(other.state_dict()[name], value) for name, value in state.items())
    released.pop(next(iter(released)))
    with pytest.raises(InputError, match="there: the tensors are not those of"):
        from_released(other, released, "there")


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
