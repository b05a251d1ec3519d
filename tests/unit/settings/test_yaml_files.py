"""A YAML file is read as it stands, or refused with the line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prismflow.errors import InputError
from prismflow.settings.yaml_files import read_yaml


@pytest.mark.parametrize("name", ["config", "models", "experiments", "claims", "demo_full"])
def test_shipped_files_are_read_as_pyyaml_reads_them(root: Path, name: str) -> None:
    path = root / "config" / f"{name}.yaml"
    assert read_yaml(path) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a: 1\nb: 2\na: 3\n",
            r"line 3 \(a\): the key 'a' stands twice, first in line 1; remove one",
        ),
        ("a:\n  b: 1\n  c: {b: 1, d: 2, b: 3}\n", r"line 3 \(a\.c\.b\): .*twice, first in line 3"),
        ("- x: 1\n- y: 1\n  y: 2\n", r"line 3 \(1\.y\): the key 'y' stands twice, first in line 2"),
    ],
)
def test_a_key_given_twice_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_yaml(path)


def test_a_merged_key_may_be_replaced_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text("base: &base {a: 1, b: 2}\nown: {<<: *base, a: 3}\n")
    for _ in range(2):
        assert read_yaml(path)["own"] == {"a": 3, "b": 2}


def test_an_empty_file_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert read_yaml(path) is None
