"""What happens to a machine or its user in the middle of a run: nothing already computed is lost.

Every test ends with the results of an undisturbed run, byte for byte, or with one sentence. The
jobs are those of all rules that the simulated genome needs, kept as short as they can be.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prismflow.files import sha256
from prismflow.jobs.patches.starts import ALONE

from .conftest import Workflow

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
HERE = Path(__file__).parent
CONFIGS = ("config/demo.yaml", "config/accidents.yaml")
RUN = "results/demo/simA/cnn/fold11_seed2"
METRICS = "results/demo/metrics.tsv"
ANYTHING = "(results|resources)/"
RARER = ("demo/simA/contact_range.tsv", "demo/confounding/measures.tsv", "demo/costs/cnn.json")
# Python alone would take UTF-8 for the locale C.
WITHOUT_UTF8 = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def can_mount() -> bool:
    """Whether this process may make mounts that nobody else sees."""
    command = ["unshare", "--mount", "true"]
    return (
        shutil.which("unshare") is not None and not subprocess.run(command, check=False).returncode
    )


needs_mounts = pytest.mark.skipif(not can_mount(), reason="mounting file systems takes root")


class Machine(Workflow):
    """A project on which accidents happen; without ``root`` one that is there already."""

    python = sys.executable
    configs: tuple[str, ...] = CONFIGS

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        if root is not None:
            super().__init__(folder, root)
        self.folder = folder

    def start(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        before: str = "",
        cores: str = os.environ.get("CORES", "2"),
    ) -> subprocess.Popen[str]:
        """Start snakemake in a process group of its own.

        Args:
            arguments: of snakemake.
            environment: further variables.
            before: shell commands that run first, in a mount namespace of their own.
            cores: for snakemake.
        """
        variables = os.environ | {
            "PYTHONPATH": str(self.folder / "src"),
            "OMP_WAIT_POLICY": "PASSIVE",
            "PATH": f"{Path(self.python).parent}{os.pathsep}{os.environ['PATH']}",
        }
        command = [
            self.python,
            "-m",
            "snakemake",
            *arguments,
            "--cores",
            cores,
            "--logger-prismflow-full",
        ]
        command += ["--configfile", *self.configs]
        if before:
            script = f'set -e; {before}; exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", script, "sh", *command]
        return subprocess.Popen(
            command, cwd=self.folder, env=variables | (environment or {}), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, errors="replace",
        )  # fmt: skip

    def end(self, *arguments: str, **options: object) -> tuple[int, str]:
        """Run snakemake; returns its status and what it printed."""
        process = self.start(*arguments, **options)
        printed, _ = process.communicate(timeout=900)
        return process.returncode, printed

    def finish(self, *arguments: str, **options: object) -> str:
        """Run snakemake to a good end."""
        status, printed = self.end(*arguments, **options)
        assert status == 0, printed[-5000:]
        return printed

    def await_mark(self, name: str) -> None:
        """Wait until a fault has happened."""
        give_up = time.monotonic() + 120
        while not (self.marks / name).exists():
            assert time.monotonic() < give_up, f"no job came to the write of {name}"
            time.sleep(0.05)

    def digests(self) -> dict[str, str]:
        """Digest of every result but the report, which holds the time."""
        results = self.folder / "results"
        files = [
            p for p in results.rglob("*") if p.is_file() and not p.name.endswith("report.html")
        ]
        names = {path.relative_to(results).as_posix(): path for path in sorted(files)}
        # Names with a dot are what killed writers leave; no reader looks at them.
        return {n: sha256(p) for n, p in names.items() if not n.startswith(".") and "/." not in n}

    def remove_run(self) -> None:
        """Forget the training and all that hangs on it."""
        shutil.rmtree(self.folder / RUN)
        (self.folder / METRICS).unlink()


def make_machine(folder: Path, root: Path) -> Machine:
    """A project without results."""
    machine = Machine(folder, root)
    shutil.copy(HERE / "accidents.yaml", machine.folder / "config")
    return machine


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Machine:
    """A finished run without accidents."""
    machine = make_machine(tmp_path_factory.mktemp("accidents") / "project", root)
    machine.finish(environment=machine.faults("none", ANYTHING))
    return machine


@pytest.fixture
def empty(tmp_path: Path, root: Path) -> Iterator[Machine]:
    """A project without results, removed after the test."""
    yield make_machine(tmp_path / "project", root)
    shutil.rmtree(tmp_path / "project")


@pytest.fixture
def copy(whole: Machine, tmp_path: Path) -> Iterator[Machine]:
    """A copy of the finished run, removed after the test."""
    shutil.copytree(whole.folder, tmp_path / "project", ignore=shutil.ignore_patterns("marks"))
    yield Machine(tmp_path / "project")
    shutil.rmtree(tmp_path / "project")


def assert_part_of(whole: Machine, part: Machine) -> None:
    """The metrics, and whatever else was made for them, are those of the whole run."""
    found, expected = part.digests(), whole.digests()
    assert "demo/metrics.tsv" in found
    assert {name: expected.get(name) for name in found} == found


def test_every_rules_job_killed_in_mid_write(whole: Machine, empty: Machine) -> None:
    printed = empty.finish("--retries", "1", environment=empty.faults("job", ANYTHING))
    scripts = whole.marked()
    assert len(scripts) >= 13
    assert empty.marked() == scripts
    assert printed.count("Error in rule") >= len(scripts)
    assert empty.digests() == whole.digests()


def test_jobs_of_rarer_rules_killed_in_mid_write(whole: Machine, tmp_path: Path) -> None:
    machines = []
    for kind in ("none", "job"):
        shutil.copytree(whole.folder, tmp_path / kind, ignore=shutil.ignore_patterns("marks"))
        shutil.copy(HERE / "rarer.yaml", tmp_path / kind / "config")
        machine = Machine(tmp_path / kind)
        machine.configs = (*CONFIGS, "config/rarer.yaml")
        targets = [f"results/{name}" for name in RARER]
        machine.finish(
            *targets, "--retries", "1", environment=machine.faults(kind, "results/.*/co[ns]")
        )
        assert machine.marked() == {
            "gather_confounding", "measure_contact_range", "measure_cost", "train_in_world"
        }  # fmt: skip
        machines.append(machine)
    undisturbed, killed = (machine.digests() for machine in machines)
    assert set(undisturbed) == set(killed) and set(RARER) < set(killed)
    # The cost holds the seconds of a step.
    for name in killed.keys() - {RARER[-1]}:
        assert killed[name] == undisturbed[name], name


def test_power_cuts_in_mid_write(whole: Machine, empty: Machine) -> None:
    names = ("store", "model.json", "predictions.tsv.gz", "metrics.tsv")
    faults = empty.faults("all", rf"(/|^)({'|'.join(names)})$")
    for _ in names:
        status, printed = empty.end(METRICS, environment=faults)
        assert status == -signal.SIGKILL, printed[-3000:]
        # What --unlock does, without the time to plan.
        shutil.rmtree(empty.folder / ".snakemake" / "locks")
    empty.finish(METRICS, environment=faults)
    assert empty.marked() == set(names)
    assert_part_of(whole, empty)


def test_two_at_once_and_the_first_one_killed(whole: Machine, copy: Machine) -> None:
    copy.remove_run()
    first = copy.start(METRICS, environment=copy.faults("wait", rf"{RUN}/model.safetensors$"))
    copy.await_mark("model.safetensors")
    status, printed = copy.end(METRICS)
    assert status == 1
    assert "Directory cannot be locked. Please make sure that no other Snakemake" in printed
    # Its job goes on alone, and ends with the same files as the job of the next start.
    first.kill()
    first.wait()
    copy.finish("--unlock")
    second = copy.start(METRICS)
    (copy.marks / "go").touch()
    printed, _ = second.communicate(timeout=900)
    assert second.returncode == 0, printed[-5000:]
    assert copy.digests() == whole.digests()


def test_a_training_killed_by_its_cluster_goes_on(whole: Machine, copy: Machine) -> None:
    copy.remove_run()
    faults = copy.faults("job", rf"{RUN}/history\.tsv$")
    status, printed = copy.end(METRICS, environment=faults)
    assert status == 1 and "Error in rule train" in printed
    assert (copy.folder / f"{RUN}.state").is_dir()
    copy.finish(METRICS)
    log = (copy.folder / RUN.replace("results", "logs") / "train.log").read_text()
    assert "continued after step 39 " in log
    assert not (copy.folder / f"{RUN}.state").exists()
    assert copy.digests() == whole.digests()


@needs_mounts
def test_a_full_disk(whole: Machine, empty: Machine) -> None:
    results = empty.folder / "results"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", results], check=True)
    try:
        for size, job in (("400k", "build_store"), ("3m", None)):
            subprocess.run(["mount", "-o", f"remount,size={size}", results], check=True)
            status, printed = empty.end(METRICS)
            if job is None:
                assert status == 0, printed[-5000:]
            else:
                assert status == 1 and f"Error in rule {job}" in printed
                assert "the disk is full; free some space and start again" in printed
                assert "Traceback" not in printed
                assert not (results / "demo" / "simA" / "store" / "store.json").exists()
        assert_part_of(whole, empty)
    finally:
        subprocess.run(["umount", results], check=True)


@needs_mounts
def test_results_that_cannot_be_written_to(whole: Machine, copy: Machine) -> None:
    copy.remove_run()
    before = copy.digests()
    only_read = "mount --bind results results; mount -o remount,ro,bind results"
    status, printed = copy.end(METRICS, before=only_read)
    assert status == 1
    assert "Read-only file system" in printed or "can't be written" in printed
    assert copy.digests() == before
    copy.finish(METRICS)
    assert copy.digests() == whole.digests()


def test_results_from_another_machine(whole: Machine, tmp_path: Path, root: Path) -> None:
    machine = make_machine(tmp_path / "project", root)
    for part in ("resources", "results"):
        # Copied without times, and younger inputs than outputs.
        shutil.copytree(whole.folder / part, machine.folder / part, copy_function=shutil.copyfile)
    for path in (machine.folder / "resources").rglob("*"):
        os.utime(path)
    machine.finish("--touch")
    assert "Nothing to be done" in machine.finish("--dry-run")
    assert machine.digests() == whole.digests()


def test_a_clock_in_the_past(whole: Machine, copy: Machine) -> None:
    # For a clock that was set back, all that was there before comes from the future.
    future = time.time() + 5 * 365 * 86_400
    for part in ("resources", "results", "config", "benchmarks", "logs"):
        for path in (copy.folder / part).rglob("*"):
            os.utime(path, (future, future))
    assert "Nothing to be done" in copy.finish("--dry-run", METRICS)
    copy.remove_run()
    kept = copy.digests()
    status, printed = copy.end(METRICS)
    assert status == 1
    assert "this machine's clock says" in printed and "set the clock right" in printed
    assert "Traceback" not in printed
    assert copy.digests() == kept


def test_a_hostile_machine(whole: Machine, tmp_path: Path, root: Path) -> None:
    """Spaces and umlauts in the path, no locale, no home, one core, no terminal, no /dev/shm.

    And each job in a Python of its own.
    """
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    machine = make_machine(tmp_path / "Prüfung für Gene & Co" / "mein Projekt", root)
    environment = {"LC_ALL": "C", "LANG": "C", "HOME": str(home), "TERM": "dumb", ALONE: "1"}
    # Root may write wherever permissions say no; mounts hold for root, too.
    before = (
        "mount -t tmpfs -o size=4k tmpfs /dev/shm; "
        "head -c 100000 /dev/zero > /dev/shm/full 2>/dev/null || true; "
        f"mount --bind '{home}' '{home}'; mount -o remount,ro,bind '{home}'"
    )
    machine.finish(environment=environment, before=before if can_mount() else "", cores="1")
    assert machine.digests() == whole.digests()
    assert not list(home.iterdir())
    status, printed = machine.end("--dry-run", environment=WITHOUT_UTF8)
    assert status == 1
    assert "expected a path that the locale can express" in printed and "LC_ALL=C.UTF-8" in printed


def test_a_locale_without_utf8(whole: Machine, empty: Machine) -> None:
    empty.finish(METRICS, environment=WITHOUT_UTF8)
    assert_part_of(whole, empty)


def interpreters() -> dict[str, Path]:
    """Other Pythons with the locked packages, from PRISM_PYTHONS (paths, with colons between)."""
    paths = [Path(path) for path in os.environ.get("PRISM_PYTHONS", "").split(os.pathsep) if path]
    code = "import sys; print('{}.{}'.format(*sys.version_info))"
    return {
        subprocess.run(
            [p, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip(): p
        for p in paths
    }


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_other_pythons(whole: Machine, tmp_path: Path, root: Path, version: str) -> None:
    """The same numbers; without torch, which has no CPU build everywhere, of the tabular model."""
    if version == "{}.{}".format(*sys.version_info):
        return
    if version not in interpreters():
        pytest.skip(f"no Python {version} with the locked packages in PRISM_PYTHONS")
    machine = make_machine(tmp_path / "project", root)
    machine.python = str(interpreters()[version])
    has_torch = subprocess.run([machine.python, "-c", "import torch"], check=False).returncode == 0
    tabular = RUN.replace("cnn", "gene_features")
    machine.finish(METRICS if has_torch else f"{tabular}/metrics.tsv")
    found, expected = machine.digests(), whole.digests()
    assert f"{tabular.removeprefix('results/')}/predictions.tsv.gz" in found
    # model.json names the version of Python and of every package.
    for name in found.keys() - {n for n in found if n.endswith("model.json")}:
        assert found[name] == expected[name], name
