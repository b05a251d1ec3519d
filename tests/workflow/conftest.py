"""A copy of the project in which tests may run the workflow and edit code and configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import warm

FAULTS = Path(__file__).parent / "faults"
PARTS = (
    "Snakefile",
    "profiles",
    "rules",
    "workflow",
    "config",
    "envs",
    "slurm",
    "src",
    "pyproject.toml",
)


@dataclass
class Planned:
    """What a dry run says it would do."""

    rules: Counter[str] = field(default_factory=Counter)
    outputs: list[str] = field(default_factory=list)

    def models(self) -> set[str]:
        """Models that would be trained."""
        return {o.split("/")[3] for o in self.outputs if o.endswith("model.safetensors")}


class Workflow:
    """A working directory with the workflow in it."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            source = root / part
            if source.is_dir():
                # The compiled kernels come along.
                ignored = shutil.ignore_patterns("*.pyc", "*.egg-info")
                shutil.copytree(source, folder / part, ignore=ignored)
            else:
                shutil.copy2(source, folder / part)

    def run(
        self,
        *arguments: str,
        configfiles: tuple[str, ...] = ("config/demo.yaml",),
        timeout: int = 2700,
        through: tuple[str | Path, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Call snakemake in the folder, with the folder's own copy of the package.

        ``through`` is a Python script, and its arguments, that starts it; ``environment`` holds
        further variables.
        """
        variables = os.environ | {
            "PYTHONPATH": str(self.folder / "src"),
            "OMP_WAIT_POLICY": "PASSIVE",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        cores = os.environ.get("CORES", str(os.cpu_count() or 1))
        # Tests read what Snakemake says of rules.
        given = [*arguments, "--cores", cores, "--logger-prismflow-full"]
        if configfiles:
            given += ["--configfile", *configfiles]
        variables |= dict(environment or {})
        if not through:
            return warm.snakemake(given, self.folder, variables, timeout)
        command = [sys.executable, *map(str, through), sys.executable, "-m", "snakemake", *given]
        return subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True,
            timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def faults(self, kind: str, files: str) -> dict[str, str]:
        """Variables for an accident at a rename; see faults/sitecustomize.py."""
        self.marks.mkdir(exist_ok=True)
        return {
            "PYTHONPATH": os.pathsep.join([str(self.folder / "src"), str(FAULTS)]),
            "PRISM_FAULT": kind, "PRISM_FAULT_FILE": files, "PRISM_FAULT_MARKS": str(self.marks),
        }  # fmt: skip

    @property
    def marks(self) -> Path:
        """Where faults leave their marks."""
        return self.folder / "marks"

    def marked(self) -> set[str]:
        """Names of the scripts, or files, that met a fault."""
        return {mark.name for mark in self.marks.iterdir()}

    def plan(self, *arguments: str, **options: tuple[str | Path, ...]) -> Planned:
        """Rules and outputs that a dry run lists."""
        result = self.run(*arguments, "--dry-run", **options)
        assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-3000:]
        planned = Planned()
        for line in result.stdout.splitlines():
            rule = re.match(r"^(?:local)?rule (\w+):", line)
            if rule:
                planned.rules[rule[1]] += 1
            output = re.match(r"^    output: (.*)", line)
            if output:
                planned.outputs.extend(part.strip() for part in output[1].split(","))
        return planned

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in one file; the text must be there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} lacks {old!r}"
        path.write_text(text.replace(old, new, 1))


def finished(workflow: Workflow, *arguments: str, **options: tuple[str, ...]) -> Workflow:
    """Run to the end or fail with what snakemake printed."""
    result = workflow.run(*arguments, **options)
    assert result.returncode == 0, result.stderr[-6000:]
    return workflow


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Workflow:
    """The finished demo."""
    return finished(Workflow(tmp_path_factory.mktemp("demo") / "project", root))


def on_real_data(base: Path, root: Path, name: str, data: Path) -> Workflow:
    """The finished short run of a configuration below ``tests`` that reads ``shared/`` data."""
    (base / "shared").mkdir()
    (base / "shared" / data.name).symlink_to(data)
    workflow = Workflow(base / "project", root)
    shutil.copytree(root / "tests" / name, workflow.folder / "tests" / name)
    return finished(workflow, configfiles=(f"tests/{name}/{name}.yaml", f"tests/{name}/short.yaml"))


@pytest.fixture(scope="session")
def real_chr22(
    tmp_path_factory: pytest.TempPathFactory, root: Path, realdata_dir: Path
) -> Workflow:
    """The finished short run on real chr22 data."""
    return on_real_data(tmp_path_factory.mktemp("real"), root, "real_chr22", realdata_dir)


@pytest.fixture(scope="session")
def real_genome(
    tmp_path_factory: pytest.TempPathFactory, root: Path, realdata_genomewide_dir: Path
) -> Workflow:
    """The finished short run on real data of the whole genome."""
    base = tmp_path_factory.mktemp("genome")
    return on_real_data(base, root, "real_genome", realdata_genomewide_dir)
