"""Checkpoint archives are read without executing anything in them."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from make_checkpoint import rewrite_pickle, small_prism, tree_of, write_checkpoint

from prismflow.errors import InputError
from prismflow.released.adopt import read_released
from prismflow.released.checkpoint_file import Inert, plain_values, read_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "example.ckpt", *small_prism())


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


def test_one_changed_byte_of_the_weights_is_refused(tmp_path: Path) -> None:
    """The reason to read the archive here: torch.load doesn't compare its checksums."""
    path = tmp_path / "weights.pt"
    weights = torch.arange(4.0)
    torch.save({"a": weights}, path)
    content = bytearray(path.read_bytes())
    content[content.index(weights.numpy().tobytes()) + 6] ^= 0x40
    path.write_bytes(content)
    assert not torch.equal(torch.load(path, weights_only=True)["a"], weights)
    with pytest.raises(InputError, match="Bad CRC-32"):
        read_checkpoint(path)


def test_a_request_for_gigabytes_is_not_met(checkpoint: Path, tmp_path: Path) -> None:
    payload = b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R."
    tree, skipped = read_checkpoint(rewrite_pickle(checkpoint, tmp_path / "big.ckpt", payload))
    assert isinstance(tree, Inert) and tree.arguments == (2**31 - 1,)
    assert skipped == ("builtins.bytearray",)


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
