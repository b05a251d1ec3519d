"""Every block of YAML and commands in the documents works: planned, or, where said so, checked.

A command that can't be tried here (another machine, the network, an installation) stands in a block
after a comment ``<!-- not run: why -->``; tests/unit/test_advice.py checks what it names.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import warm
import yaml
from advice import ROOT, Block, blocks, documents

from .conftest import Workflow

BLOCKS = [block for document in documents() for block in blocks(document)]
RUNNABLE = ("snakemake", "make", "python")


def _is_command(block: Block) -> bool:
    first = [command.split()[0].rsplit("/", 1)[-1] for command in block.commands()]
    return block.language in ("", "bash") and any(
        word in (*RUNNABLE, "git", "pip", "rsync", "time") for word in first
    )


def _program(command: str) -> str:
    words = [word for word in shlex.split(command) if "=" not in word.split("/")[0]]
    return words[0].rsplit("/", 1)[-1]


def _runnable(command: str) -> bool:
    own = "-m prismflow" in command or _program(command) != "python"
    return _program(command) in RUNNABLE and own and "time " not in command


COMMANDS = sorted(
    {
        (command, block.where)
        for block in BLOCKS if _is_command(block) and not block.checked_only
        for command in block.commands() if _runnable(command)
    }
)  # fmt: skip
REAL = {"real_chr22": "realdata", "real_genome": "realdata_genomewide"}
"""Configurations of the tests -> the reference data that they read."""
YAML = [block for block in BLOCKS if block.language == "yaml"]


def test_what_is_not_run_says_why() -> None:
    assert len(COMMANDS) > 15
    for block in BLOCKS:
        if _is_command(block):
            left = [command for command in block.commands() if not _runnable(command)]
            assert block.checked_only or not left, f"{block.where}: {left}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A copy of the project in which nothing has run."""
    workflow = Workflow(tmp_path_factory.mktemp("documents") / "project", ROOT)
    for name in REAL:
        shutil.copytree(ROOT / "tests" / name, workflow.folder / "tests" / name)
    shutil.copy(ROOT / "Makefile", workflow.folder)
    shared = ROOT.parent / "shared"
    if shared.is_dir():
        (workflow.folder.parent / "shared").symlink_to(shared)
    return workflow


@pytest.mark.slow
@pytest.mark.workflow
@pytest.mark.parametrize("command", sorted({command for command, _ in COMMANDS}))
def test_a_command_is_planned(project: Workflow, command: str) -> None:
    words = shlex.split(command)
    if _program(command) == "make":
        done = subprocess.run(["make", "-n", *words[1:]], cwd=project.folder, capture_output=True,
                              text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return
    if _program(command) == "python":
        done = subprocess.run([sys.executable, *words[1:3], "--help"], cwd=project.folder,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        for option in (word for word in words[3:] if word.startswith("--")):
            assert option in done.stdout
        return
    for name, data in REAL.items():
        if f"tests/{name}" in command and not (ROOT.parent / "shared" / data).is_dir():
            pytest.skip(f"reference data {data} are not beside this checkout")
    done = _planned(project, words[1:])
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]


def _planned(project: Workflow, words: list[str]) -> subprocess.CompletedProcess[str]:
    """A dry run; ``--unlock`` is called as it stands."""
    given = [*words, "--quiet", *([] if {"-n", "--unlock"} & set(words) else ["-n"])]
    environment = {"PYTHONPATH": str(project.folder / "src")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = os.environ | environment | {"PATH": path}
    return warm.snakemake(given, project.folder, variables, timeout=600)


@pytest.mark.parametrize("command", sorted({c for c, _ in COMMANDS if _program(c) == "snakemake"}))
def test_a_session_that_does_more_than_plan_says_how_many_cores(command: str) -> None:
    words = shlex.split(command)
    assert {"--cores", "-n", "--unlock", "--touch"} & set(words), (
        "Snakemake refuses to start without --cores"
    )


@pytest.mark.workflow
def test_the_guides_own_example_is_planned_as_it_stands(project: Workflow) -> None:
    (block,) = [block for block in YAML if "# my.yaml" in block.text]
    made = yaml.safe_load(block.text)
    (name,) = made["run"]["datasets"]
    dataset = made["datasets"][name]
    # Only the absolute path of the example is another one here.
    genome = project.folder / "hg38.fa"
    text = block.text.replace(dataset["genome"], str(genome))
    cell = dataset["cells"][0]
    genome.write_text(">chr1\n" + "ACGT" * 5000 + "\n")
    (project.folder / "mine").mkdir()
    (project.folder / made["sheets"]["cells"]).write_text(f"cell\n{cell}\n")
    (project.folder / "mine" / "track.bw").write_bytes(b"")
    (project.folder / made["sheets"]["tracks"]).write_text(
        f"cell\tmodality\tpath\n{cell}\th3k27ac\tmine/track.bw\n"
    )
    column = dataset["label"]["column"].replace("{cell}", cell)
    (project.folder / dataset["genes"]["path"]).write_text(
        f"gene_id\tchrom\ttss\tstrand\t{column}\ng1\tchr1\t9000\t+\t1\n"
    )
    (project.folder / "my.yaml").write_text(text)
    (command,) = [
        code for code in ("snakemake --cores 8 --configfile my.yaml",)
        if f"`{code}`" in (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    ]  # fmt: skip
    done = _planned(project, shlex.split(command)[1:])
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-2000:]
    notes = [line for line in said.splitlines() if "bp hold no input" in line]
    assert len(notes) == 1 and notes[0].startswith(f"note: {name}: windows of 2,000 bp")
