"""Digests follow the code that matters, and nothing else."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prismflow.jobs import code_digest

SOURCES = {
    "__init__.py": '"""Package."""\n',
    "files.py": '"""Files."""\n\ndef read():\n    """Read."""\n    return 1\n',
    "training.py": "from prismflow.files import read\n\ndef train():\n    return read()\n",
    "plots/__init__.py": "",
    "plots/main.py": "from prismflow import files\n\nWIDTH = 3\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package in the place of the real one."""
    folder = tmp_path / "prismflow"
    for name, text in SOURCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(code_digest, "_root", lambda: folder)
    return folder


def digest(*modules: str) -> str:
    """Digest without what earlier calls remembered."""
    for cached in (
        code_digest._file_of, code_digest._parsed, code_digest._kept, code_digest.code_digest,
    ):  # fmt: skip
        cached.cache_clear()
    return code_digest.code_digest(*modules)


def test_edit_of_an_imported_module_changes_the_digest(package: Path) -> None:
    before = digest("training"), digest("plots.main")
    (package / "files.py").write_text(SOURCES["files.py"].replace("return 1", "return 2"))
    assert digest("training") != before[0]
    assert digest("plots.main") != before[1]


def test_edit_elsewhere_changes_nothing(package: Path) -> None:
    before = digest("training")
    (package / "plots/main.py").write_text("WIDTH = 4\n")
    assert digest("training") == before


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = digest("training")
    (package / "files.py").write_text(
        '"""Other words."""\n# a comment\n\n\ndef read():\n    """Other."""\n    return (1)\n'
    )
    assert digest("training") == before


def test_unknown_module_is_an_error(package: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        digest("nowhere")


def test_digest_of_the_real_package_does_not_import_it() -> None:
    for cached in (
        code_digest._file_of, code_digest._parsed, code_digest._kept, code_digest.code_digest,
    ):  # fmt: skip
        cached.cache_clear()
    before = set(sys.modules)
    importlib.import_module("prismflow")
    assert code_digest.code_digest("settings.sheets") != code_digest.code_digest(
        "settings.yaml_files"
    )
    assert "torch" not in set(sys.modules) - before


@pytest.mark.parametrize("name", ["prismflow.plots.main", "prismflow.plots.main:Main"])
def test_modules_loaded_by_name_count(package: Path, name: str) -> None:
    (package / "training.py").write_text(f'def load():\n    return {{"a": ("x", "{name}")}}\n')
    before = digest("training")
    (package / "plots/main.py").write_text("WIDTH = 5\n")
    assert digest("training") != before


@pytest.mark.parametrize(
    "text", ["prismflow.plots.", "prismflow.plots.gone", "see prismflow.plots"]
)
def test_strings_that_are_no_module_are_strings(package: Path, text: str) -> None:
    (package / "training.py").write_text(f"NAME = {text!r}\n")
    digest("training")
    assert set(code_digest.modules_reached("training")) == {"prismflow.training"}


def test_a_neutral_module_counts_neither_itself_nor_by_its_imports(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest("training")
    monkeypatch.setitem(code_digest.NEUTRAL, "prismflow.files", "for the test")
    (package / "files.py").write_text("from prismflow.plots import main\n")
    without = digest("training")
    (package / "plots/main.py").write_text("WIDTH = 5\n")
    assert digest("training") == without != before


@pytest.mark.parametrize("module", sorted(code_digest.NEUTRAL))
def test_neutral_modules_exist_and_say_why(module: str) -> None:
    assert importlib.util.find_spec(module) is not None
    assert len(code_digest.NEUTRAL[module]) > 10


def test_texts_are_parsed_once_and_read_again_once_they_were_edited(package: Path) -> None:
    code = (
        "import ast, sys\nfrom pathlib import Path\nfrom prismflow.jobs import code_digest\n"
        "code_digest._root = lambda: Path(sys.argv[1])\nplain, n = ast.parse, []\n"
        "ast.parse = lambda text: n.append(1) or plain(text)\n"
        "print(code_digest.code_digest('training'), len(n))\n"
    )

    def start() -> list[str]:
        command = [sys.executable, "-c", code, str(package)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    first, again = start(), start()
    assert first == [digest("training"), "2"] and again == [first[0], "0"]
    (package / "files.py").write_text(SOURCES["files.py"].replace("return 1", "return 2"))
    edited = start()
    assert edited == [digest("training"), "1"] and edited[0] != first[0]
    (kept,) = (package / "__pycache__").glob("digests-*.json")
    kept.write_text("cut of")
    assert start() == [edited[0], "2"]
    shutil.rmtree(package / "__pycache__")
    (package / "__pycache__").write_text("no folder")  # nothing can be written there
    assert start() == start() == [edited[0], "2"]


def test_a_module_that_came_or_went_counts_without_an_edit_of_those_that_name_it(
    package: Path,
) -> None:
    (package / "training.py").write_text("from prismflow import files, later\n")
    assert set(code_digest.modules_reached("training")) == {
        "prismflow.training", "prismflow.files",
    }  # fmt: skip
    (package / "later.py").write_text("")
    digest("training")
    assert "prismflow.later" in code_digest.modules_reached("training")
