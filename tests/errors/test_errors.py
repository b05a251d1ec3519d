"""Every kind of wrong input gives one sentence; docs/errors.md lists them as a user sees them.

``PRISMFLOW_WRITE_DOCS=1 pytest tests/errors`` writes the document.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from errors.cases import CASES, Case
from errors.crispri_cases import CRISPRI_CASES
from errors.document import render
from errors.explain_cases import EXPLAIN_CASES
from errors.pretraining_cases import PRETRAINING_CASES
from errors.track_cases import TRACK_CASES
from unit.settings.damaged import WRONG_SHEETS, WRONG_YAML, Project

from prismflow.errors import InputError

SETTINGS, SHEETS = "Configuration", "Sheets"


def _said(run: Callable[[], object]) -> str:
    try:
        run()
    except InputError as error:
        return str(error)
    return "no sentence at all"


def _settings_case(group: str, wrong: str) -> None:
    """Damage the demo's configuration as tests/unit/settings/damaged.py does, and plan."""
    root = Path(__file__).parents[2]
    project = Project(Path.cwd(), root)
    if group == SETTINGS:
        file, change, _ = WRONG_YAML[wrong]
        project.edit(file, change)
    else:
        file, old, new, _ = WRONG_SHEETS[wrong]
        project.replace(file, old, new)
    project.plan()


def _all_cases() -> tuple[Case, ...]:
    settings = [(SETTINGS, wrong, entry[-1]) for wrong, entry in WRONG_YAML.items()]
    settings += [(SHEETS, wrong, entry[-1]) for wrong, entry in WRONG_SHEETS.items()]
    return (
        *(
            Case(group, wrong, lambda g=group, w=wrong: _settings_case(g, w), sentence)
            for group, wrong, sentence in settings
        ),
        *CASES,
        *EXPLAIN_CASES,
        *CRISPRI_CASES,
        *PRETRAINING_CASES,
        *TRACK_CASES,
    )


ALL = {f"{case.group}: {case.wrong}": case for case in _all_cases()}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name of a case -> the sentence it gave."""
    sentences = {}
    for name, case in ALL.items():
        with pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp("case")
            patch.chdir(folder)
            sentences[name] = _said(case.run).replace(f"{folder}/", "").replace(str(folder), ".")
    return sentences


@pytest.mark.parametrize("name", ALL)
def test_one_sentence(said: dict[str, str], name: str) -> None:
    sentence = said[name]
    assert re.search(ALL[name].sentence, sentence), sentence
    assert "\n" not in sentence
    assert sentence[-1] in ".?", sentence
    assert "Traceback" not in sentence


def test_there_are_many_kinds() -> None:
    assert len(ALL) == len(_all_cases()) >= 100


def test_the_document_is_current(said: dict[str, str], root: Path) -> None:
    path = root / "docs" / "errors.md"
    text = render([(ALL[name].group, ALL[name].wrong, words) for name, words in said.items()])
    right = all(re.search(ALL[name].sentence, words) for name, words in said.items())
    if os.environ.get("PRISMFLOW_WRITE_DOCS") == "1" and right:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, (
        "docs/errors.md is out of date: run PRISMFLOW_WRITE_DOCS=1 pytest tests/errors"
    )
