"""Equal settings have an equal record, and nothing but plain values reaches a job."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from prismflow.plan.plain import plain
from prismflow.plan.run import RunKey


def test_keys_are_sorted_at_every_depth() -> None:
    one = {"b": [{"d": 1, "c": 2}], "a": {"z": 0, "y": 0}}
    other = {"a": {"y": 0, "z": 0}, "b": [{"c": 2, "d": 1}]}
    assert repr(plain(one)) == repr(plain(other))
    assert list(plain(one)) == ["a", "b"]


def test_the_order_of_lists_counts() -> None:
    assert plain({"signals": ["dnase", "hic"]}) != plain({"signals": ["hic", "dnase"]})


def test_tuples_and_named_ones_become_lists() -> None:
    value = plain({"runs": (RunKey("simA", "prism", "fold11", 2),)})
    assert repr(value) == "{'runs': [['simA', 'prism', 'fold11', 2]]}"


def test_a_plain_value_is_what_json_would_have_carried() -> None:
    value = {"b": (1, 2.5, None, True, "x"), "a": {"n": [], "m": {}}}
    assert plain(value) == json.loads(json.dumps(value, sort_keys=True))


def test_a_changed_number_changes_the_record_also_where_it_is_equal() -> None:
    assert repr(plain({"rate": 1})) != repr(plain({"rate": 1.0}))


def test_the_record_can_be_read_back() -> None:
    value = plain({"a": [1, 2.5, None, True], "b": {"c": "it's"}})
    assert ast.literal_eval(repr(value)) == value


@pytest.mark.parametrize("value", [Path("x"), {1, 2}, {"a": [object()]}])
def test_a_value_without_a_stable_record_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a plain value for a job, found a "):
        plain(value)
