"""What a user brings is data, never code: no pickles, no shell, no paths out of the folder."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from unit.settings.damaged import Project

from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.portals.archives import extract_member
from prismflow.settings import yaml_files

#: Calls that execute what a file holds, or hand text to a shell.
FORBIDDEN = {
    "eval", "exec", "compile", "os.system", "os.popen", "pickle.load", "pickle.loads",
    "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open", "dill.load", "joblib.load",
    "cloudpickle.load", "pd.read_pickle", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "tarfile.TarFile.extractall", "shutil.unpack_archive", "subprocess.getoutput",
}  # fmt: skip

#: What runs a script of the workflow itself, as ``python script`` would: no file of a user's.
RUNS_THE_WORKFLOW = {
    ("src/prismflow/jobs/nursery.py", "exec"),
    ("src/prismflow/jobs/nursery.py", "compile"),
}


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _calls(root: Path) -> Iterator[tuple[str, str, dict[str, ast.expr]]]:
    files = [*(root / "src").rglob("*.py"), *(root / "workflow" / "scripts").glob("*.py")]
    assert len(files) > 80
    for file in sorted(files):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                keywords = {word.arg: word.value for word in node.keywords if word.arg}
                yield f"{file.relative_to(root)}:{node.lineno}", _name(node.func), keywords


def _is(value: ast.expr | None, constant: object) -> bool:
    return isinstance(value, ast.Constant) and value.value is constant


def test_no_call_executes_a_file_or_a_shell(root: Path) -> None:
    seen = 0
    for where, name, keywords in _calls(root):
        seen += 1
        if (where.partition(":")[0], name) in RUNS_THE_WORKFLOW:
            continue
        assert name not in FORBIDDEN, f"{where}: {name}"
        assert name.split(".")[-1] not in ("extractall", "read_pickle"), f"{where}: {name}"
        assert not _is(keywords.get("shell"), True), f"{where}: shell=True"
        if name in ("np.load", "numpy.load"):
            assert _is(keywords.get("allow_pickle"), False), f"{where}: allow_pickle"
        if name == "torch.load":
            assert _is(keywords.get("weights_only"), True), f"{where}: weights_only"
    assert seen > 5000


def test_only_one_module_unpickles_and_admits_nothing(root: Path) -> None:
    using = [
        file.name
        for file in sorted((root / "src").rglob("*.py"))
        if re.search(
            r"^(import|from) (pickle|dill|joblib|shelve|marshal)\b", file.read_text(), re.M
        )
    ]
    assert using == ["checkpoint_file.py"]
    text = (root / "src" / "prismflow" / "released" / "checkpoint_file.py").read_text()
    assert (
        "def find_class" in text
        and "import_module" not in text
        and "super().find_class" not in text
    )


def test_rules_have_no_shell_lines(root: Path) -> None:
    for file in [root / "Snakefile", *sorted((root / "rules").glob("*.smk"))]:
        assert not re.search(r"^\s+(shell|run):", file.read_text(), re.M), file


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    from unit.make_store import make_store

    path, _ = make_store(tmp_path, n_genes=3)
    np.save(path / "labels.npy", np.array([print, 1, 2], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"labels\.npy: expected a complete array file"):
        Store.open(path)


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"a: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n")
    with pytest.raises(InputError, match="expected YAML, found could not determine a constructor"):
        yaml_files.read_yaml(path)
    assert not (tmp_path / "made").exists()


SHELL_CODE = ("K562; touch made", "$(touch made)", "`touch made`", "K562\\ntouch made", "../K562",
              "K562 && touch made", "-rf", "K562|touch made", "~/K562", "{made}")  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The demo's configuration in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, root)


@pytest.mark.parametrize("code", SHELL_CODE)
@pytest.mark.parametrize("column", ["cell", "modality", "accession"])
def test_names_of_sheets_are_names(project: Project, column: str, code: str) -> None:
    if column == "cell":
        project.replace("demo/cells.tsv", "simA\t", f"{code}\t")
    elif column == "modality":
        project.replace("demo/tracks.tsv", "simA\tdnase", f"simA\t{code}")
    else:
        sheet = Path("config/demo/tracks.tsv")
        sheet.write_text(
            f"cell\tmodality\tportal\taccession\tformat\nsimA\tdnase\tencode\t{code}\tbigWig\n"
        )
    with pytest.raises(InputError, match=r"\.tsv, line \d+: .*(found|unknown)"):
        project.plan()
    assert not Path("made").exists()


@pytest.mark.workflow
def test_snakemake_runs_nothing_of_a_cell_named_like_a_command(tmp_path: Path, root: Path) -> None:
    from workflow.conftest import Workflow

    workflow = Workflow(tmp_path / "project", root)
    workflow.edit("config/demo/cells.tsv", "simA\t", "simA; touch made\t")
    result = workflow.run()
    assert result.returncode != 0
    assert "expected a cell name of letters, digits and '_'" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("made"))


def test_a_path_with_shell_characters_is_only_a_path(tmp_path: Path) -> None:
    from prismflow.files import md5

    odd = tmp_path / "a; touch made $(touch made) 'x'.tsv"
    odd.write_text("x")
    assert len(md5(odd)) == 32
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]


def test_members_stay_where_they_are_put(tmp_path: Path) -> None:
    import io
    import tarfile

    for name in ("../out.tsv", "/tmp/out.tsv", "a/../../out.tsv"):
        archive = tmp_path / "bundle.tar"
        with tarfile.open(archive, "w") as out:
            info = tarfile.TarInfo(name)
            info.size = 4
            out.addfile(info, io.BytesIO(b"evil"))
        with pytest.raises(InputError, match="which leaves the folder"):
            extract_member(archive, "*out.tsv", tmp_path / "in.tsv", "sheet, line 2")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.tar"]


def test_secrets_of_the_environment_are_in_no_record(tmp_path: Path, root: Path) -> None:
    """What is written about a run holds no variable of the environment that looks like a secret."""
    program = (
        "import json\n"
        "from prismflow.jobs import code_digest\n"
        "from prismflow.portals import fourdn\n"
        "from prismflow.portals.network import Wanted\n"
        "wanted = Wanted('x', 'y', (), credentials=fourdn.credentials())\n"
        "print(repr(wanted), code_digest.code_digest('data.tracks'))\n"
    )
    environment = os.environ | {
        "PRISMFLOW_4DN_KEY_ID": "keyid123", "PRISMFLOW_4DN_SECRET": "s3cr3t456",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True,
        check=True, cwd=tmp_path,
    )  # fmt: skip
    assert "s3cr3t456" not in done.stdout + done.stderr
    for file in sorted((root / "src" / "prismflow").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(dict\(os\.environ\)|os\.environ\.(items|copy)\(\))", text), file


def test_every_shipped_address_is_https(root: Path) -> None:
    for file in sorted((root / "config").rglob("*.tsv")):
        for address in re.findall(r"\b(\w+)://", file.read_text(encoding="utf-8")):
            assert address == "https", file
    config = yaml.safe_load((root / "config" / "config.yaml").read_text(encoding="utf-8"))
    assert "http://" not in repr(config)
