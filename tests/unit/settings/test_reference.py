"""Schemas and the reference page say what the classes say."""

from __future__ import annotations

from pathlib import Path

import yaml

from prismflow.settings import reference


def test_schemas_and_the_page_are_current(root: Path) -> None:
    assert not list(reference.difference(root).values())


def test_a_difference_names_the_command_that_repairs_it(tmp_path: Path) -> None:
    told = reference.difference(tmp_path)
    assert set(told) == set(reference.documents())
    assert all("run python -m prismflow.settings" in sentence for sentence in told.values())


def test_writing_repairs_what_differs_and_nothing_else(tmp_path: Path) -> None:
    for folder in ("docs", "workflow/schemas"):
        (tmp_path / folder).mkdir(parents=True)
    assert set(reference.write(tmp_path)) == set(reference.documents())
    assert reference.write(tmp_path) == []
    (tmp_path / "docs/settings.md").write_text("changed by hand")
    assert reference.write(tmp_path) == ["docs/settings.md"]


def test_the_page_has_a_line_for_every_key_of_the_shipped_configuration(root: Path) -> None:
    page = (root / "docs" / "settings.md").read_text()
    content = yaml.safe_load((root / "config" / "config.yaml").read_text())
    for key in [*content, *content["run"], *content["training"], *content["sheets"]]:
        assert f"| `{key}` |" in page, key


def test_schemas_hold_types_limits_and_defaults(root: Path) -> None:
    schema = yaml.safe_load((root / "workflow/schemas/config.schema.yaml").read_text())
    steps = schema["$defs"]["TrainingSettings"]["properties"]["steps"]
    assert (steps["type"], steps["minimum"], steps["default"]) == ("integer", 1, 50_000)
    assert schema["$defs"]["Run"]["properties"]["datasets"]["uniqueItems"] is True
    assert schema["$defs"]["Modality"]["properties"]["kind"]["enum"][0] == "signal"
    assert schema["additionalProperties"] is False
