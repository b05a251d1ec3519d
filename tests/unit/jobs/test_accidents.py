"""Damaged stores and disks in trouble, as one job meets them."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from make_store import settings
from unit.data.test_store import make_store as write_small_store

from prismflow.data.store import Store
from prismflow.data.store_writer import new_store
from prismflow.errors import InputError
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.files import write_text
from prismflow.jobs.script import DISK_TROUBLE, job
from prismflow.settings.config import check_locale
from prismflow.training.run import train_run

FILES = ("sequence.npy", "zeta.npy", "hic.npy", "labels.npy", "gene_features.npy", "genes.tsv")


def can_mount() -> bool:
    """Whether this process may make mounts that nobody else sees."""
    if shutil.which("unshare") is None:
        return False
    return not subprocess.run(["unshare", "--mount", "true"], check=False).returncode


needs_mounts = pytest.mark.skipif(not can_mount(), reason="mounting file systems takes root")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A job changes the logger of its process, which here lives on."""
    yield
    logging.getLogger("prismflow").propagate = True
    logging.raiseExceptions = True


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store with digests, and splits."""
    folder = tmp_path_factory.mktemp("built")
    write_small_store(folder / "store")
    roles = ["train", "train", "train", "valid", "valid", "test"]
    lines = [f"g{number}\t{role}" for number, role in enumerate(roles)]
    (folder / "splits.tsv").write_text("\n".join(["gene_id\tfold11", *lines]) + "\n")
    return folder / "store", folder / "splits.tsv"


def model_settings() -> dict[str, object]:
    """A network on the store of ``built``."""
    names = ["zeta", "alpha", "hic"]
    return settings(
        modalities=names, transforms=dict.fromkeys(names, "raw"), gene_features=["f1", "f2"],
        window_bp=40, training={"steps": 2, "warmup_steps": 0},
    )  # fmt: skip


def outputs(folder: Path) -> list[Path]:
    """Weights, description, history."""
    return [folder / name for name in ("model.safetensors", "model.json", "history.tsv")]


def flip(path: Path) -> None:
    """Change the last byte by one bit; the shape stays."""
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_noticed_before_training(built, tmp_path, name):
    store = Path(shutil.copytree(built[0], tmp_path / "store"))
    flip(store / name)
    with pytest.raises(InputError, match=rf"{name}.*(was changed|build the store again)"):
        train_run(store, built[1], "fold11", 2, model_settings(), *outputs(tmp_path), device="cpu")
    assert not outputs(tmp_path)[0].exists()


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_store_is_noticed_before_training(built, tmp_path, name):
    store = Path(shutil.copytree(built[0], tmp_path / "store"))
    content = (store / name).read_bytes()
    (store / name).write_bytes(content[: len(content) - 7])
    with pytest.raises(InputError, match=name):
        train_run(store, built[1], "fold11", 2, model_settings(), *outputs(tmp_path), device="cpu")


def test_a_flipped_byte_is_noticed_before_testing(built, tmp_path):
    store = Path(shutil.copytree(built[0], tmp_path / "store"))
    run = outputs(tmp_path)
    train_run(store, built[1], "fold11", 2, model_settings(), *run, device="cpu")
    flip(store / "alpha.npy")
    tables = [tmp_path / name for name in ("predictions.tsv.gz", "metrics.tsv", "extras.st")]
    with pytest.raises(InputError, match=r"alpha\.npy: store\.json has the SHA-256"):
        evaluate_run(store, built[1], *run[:2], {"full": {}}, *tables, device="cpu")
    assert not any(table.exists() for table in tables)


def test_a_model_does_not_pay_for_files_that_it_does_not_read(built, tmp_path):
    store = Path(shutil.copytree(built[0], tmp_path / "store"))
    flip(store / "zeta.npy")
    chosen = {**model_settings(), "modalities": ["alpha"], "transforms": {"alpha": "raw"}}
    train_run(store, built[1], "fold11", 2, chosen, *outputs(tmp_path), device="cpu")
    with pytest.raises(InputError, match=r"zeta\.npy"):
        Store.open(store, verify_digests=True)


def test_a_killed_writer_leaves_nothing_that_stays(tmp_path):
    left = tmp_path / ".store.12345"
    left.mkdir()
    (left / "sequence.npy").write_bytes(b"half")
    with new_store(tmp_path / "store") as folder:
        (folder / "store.json").write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def rule(tmp_path: Path) -> SimpleNamespace:
    """What a script knows of its rule."""
    log = tmp_path / "log"
    out = str(tmp_path / "out.tsv")
    return SimpleNamespace(rule="train", input=["absent"], log=[str(log)], output=[out])


@pytest.mark.parametrize("number", sorted(DISK_TROUBLE))
def test_disks_in_trouble_end_a_job_with_a_sentence(tmp_path, capsys, number):
    with pytest.raises(SystemExit) as ended, job(rule(tmp_path)):
        raise OSError(number, "what the system says", str(tmp_path / "out.tsv"))
    assert ended.value.code == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.startswith(f"error: {tmp_path}/out.tsv: {DISK_TROUBLE[number]} and start again")
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_other_trouble_keeps_its_traceback(tmp_path):
    with pytest.raises(OSError, match="strange"), job(rule(tmp_path)):
        raise OSError(errno.ENXIO, "strange")
    assert "Traceback" in (tmp_path / "log").read_text()


def test_inputs_from_the_future_are_refused_before_the_work(tmp_path, capsys):
    described = rule(tmp_path)
    store = tmp_path / "store"
    store.mkdir()
    (store / ".snakemake_timestamp").touch()
    described.input = [str(store)]
    with job(described):
        pass
    os.utime(store / ".snakemake_timestamp", (2**31, 2**31))
    with pytest.raises(SystemExit), job(described):
        pytest.fail("the work began")
    printed = capsys.readouterr().err
    assert "store: expected an input that is older than now, found one of 2038-01-1" in printed
    assert "set the clock right" in printed and printed.count("\n") == 1


@needs_mounts
def test_a_full_disk_under_the_log(tmp_path, capfd):
    small = tmp_path / "small"
    small.mkdir()
    described = rule(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(small)], check=True)
    try:
        write_text("x" * 4096, small / "filler")
        with pytest.raises(SystemExit) as ended, job(described):
            write_text("more", small / "out.tsv")
        assert ended.value.code == 1
        printed = capfd.readouterr().err
        assert "the disk is full; free some space" in printed and printed.count("\n") == 1
    finally:
        subprocess.run(["umount", str(small)], check=True)


@needs_mounts
@pytest.mark.parametrize("what", ["store", "training", "prediction"])
def test_a_full_disk_leaves_no_half_file(built, tmp_path, caplog, what):
    small, run = tmp_path / "small", outputs(tmp_path / "before")
    small.mkdir()
    train_run(*built, "fold11", 2, model_settings(), *run, device="cpu")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)], check=True)
    try:
        write_text("x" * 12_000, small / "filler")
        with pytest.raises(OSError) as raised:
            fill(what, built, small, run)
        assert raised.value.errno == errno.ENOSPC
        # One page is left on the disk: room for the table of predictions, and for nothing else.
        left = {path.name for path in small.rglob("*") if path.is_file()}
        assert left == {"filler"} | ({"p.tsv.gz"} if what == "prediction" else set())
        assert ("can't be kept: [Errno 28]" in caplog.text) == (what == "training")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def fill(what: str, built: tuple[Path, Path], small: Path, run: list[Path]) -> None:
    """Write a store, a model with its states, or predictions to a disk that is nearly full."""
    if what == "store":
        write_small_store(small / "store")
    elif what == "training":
        paths = outputs(small / "run")
        train_run(*built, "fold11", 2, model_settings(), *paths, device="cpu", checkpoint_minutes=0)
    else:
        tables = [small / name for name in ("p.tsv.gz", "m.tsv", "e.safetensors")]
        evaluate_run(*built, *run[:2], {"full": {}}, *tables, device="cpu")


def test_a_path_that_the_locale_cannot_express_is_refused():
    folder = b"/data/Pr\xc3\xbcfung".decode("ascii", "surrogateescape")
    with pytest.raises(InputError, match=r"can express.*LC_ALL=C.UTF-8") as refused:
        check_locale(folder)
    assert str(refused.value).isascii(), "such a locale could not print the sentence"
    check_locale("/data/Prüfung")
