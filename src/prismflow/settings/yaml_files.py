"""Validate YAML settings against a schema and say, in one sentence, what is wrong and where."""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from prismflow.errors import InputError

Location = tuple[str | int, ...]


def read_yaml(path: str | Path) -> Any:
    """Read one YAML file safely.

    Raises:
        InputError: the file is missing or is not YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: expected a YAML file, found no such file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected YAML, found {_one_line(error)}.") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@functools.lru_cache(maxsize=32)
def _schema(path: str, mtime_ns: int) -> Any:
    # Every model is checked against the same few files.
    return read_yaml(path)


@functools.lru_cache(maxsize=32)
def _composed(path: str, mtime_ns: int) -> yaml.Node | None:
    return yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)


def _line_in(path: Path, location: Location) -> tuple[int, int]:
    """How deep ``location`` can be followed in the file, and the line of the deepest node."""
    if not path.is_file():
        return 0, 0
    node = _composed(str(path), path.stat().st_mtime_ns)
    line, depth = 1, 0
    for key in location:
        found = None
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                if name.value == str(key):
                    found, line = value, name.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            found = node.value[key]
            line = found.start_mark.line + 1
        if found is None:
            break
        node, depth = found, depth + 1
    return depth, line


def where(files: Sequence[str | Path], location: Location) -> str:
    """``file, line n (key.key)`` of a setting; later files override earlier ones."""
    best = max(
        ((*_line_in(Path(file), location), order, file) for order, file in enumerate(files)),
        key=lambda item: (item[0], item[2]),
        default=(0, 0, 0, "the configuration"),
    )
    depth, line, _, file = best
    name = ".".join(map(str, location)) or "top level"
    return f"{file}, line {line} ({name})" if depth else f"{file} ({name})"


def _fill_defaults(value: Any, schema: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        for key, sub in schema.get("properties", {}).items():
            if key not in value and "default" in sub:
                value[key] = copy.deepcopy(sub["default"])
            if key in value:
                value[key] = _fill_defaults(value[key], sub)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            for key in value:
                if key not in schema.get("properties", {}):
                    value[key] = _fill_defaults(value[key], extra)
    return value


def _sentence(error: jsonschema.ValidationError) -> str:
    value = error.instance
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        patterns = list(error.schema.get("patternProperties", {}))
        unknown = sorted(k for k in value if k not in known)
        hint = difflib.get_close_matches(unknown[0], known, n=1) if unknown else []
        expected = f"expected only {', '.join(known + patterns)}"
        advice = f"did you mean {hint[0]!r}?" if hint else "remove it or correct its name."
        return f"unknown key {', '.join(map(repr, unknown))}: {expected}; {advice}"
    if error.validator == "required":
        missing = [k for k in error.validator_value if k not in value]
        return (
            f"expected the key {', '.join(map(repr, missing))}, found only {sorted(value)}; add it."
        )
    if error.validator == "propertyNames":
        return (
            f"the name {value!r} is not allowed: {_expectation(error.schema)}; choose another name."
        )
    found = f"found {value!r}"
    advice = "correct the value."
    if isinstance(value, str) and error.validator == "type":
        try:
            number = float(value)
        except ValueError:
            pass
        else:
            found = f"found the text {value!r}"
            advice = f"write the number as {number!r} (YAML reads {value!r} as text)."
    return f"{_expectation(error.schema, error)}, {found}; {advice}"


def _expectation(schema: dict[str, Any], error: jsonschema.ValidationError | None = None) -> str:
    if "expected" in schema:
        return f"expected {schema['expected']}"
    if error is None:
        return "see the description in workflow/schemas"
    rule = error.validator_value
    phrases = {
        "type": f"expected {_either(rule)}",
        "enum": f"expected one of {_listed(rule)}",
        "minimum": f"expected a number of at least {rule}",
        "exclusiveMinimum": f"expected a number above {rule}",
        "maximum": f"expected a number of at most {rule}",
        "minItems": f"expected at least {rule} entries",
        "uniqueItems": "expected no entry twice",
        "pattern": f"expected text that matches {rule}",
        "multipleOf": f"expected a multiple of {rule}",
    }
    return phrases.get(str(error.validator)) or f"expected {error.validator} {rule}"


def _either(rule: Any) -> str:
    return " or ".join(rule) if isinstance(rule, list) else str(rule)


def _listed(rule: Any) -> str:
    return ", ".join(map(str, rule)) if isinstance(rule, list) else str(rule)


def validate(
    value: Any,
    schema_path: str | Path,
    files: Sequence[str | Path],
    prefix: Location = (),
    definition: str | None = None,
) -> Any:
    """Fill defaults into ``value`` and check it against the schema.

    Args:
        value: parsed YAML.
        schema_path: JSON schema written as YAML; the extra keyword ``expected`` words the sentence.
        files: the files that ``value`` was read from, in the order of overriding; for the message.
        prefix: where in the files ``value`` stands.
        definition: check against this entry of the schema's ``$defs`` instead.

    Raises:
        InputError: the first violation, with file, line and key.
    """
    schema = _schema(str(schema_path), Path(schema_path).stat().st_mtime_ns)
    if definition is not None:
        schema = {key: v for key, v in schema["$defs"][definition].items() if key != "required"}
    if not isinstance(value, dict):
        raise InputError(
            f"{where(files, prefix)}: expected keys and values, found {type(value).__name__}; "
            "see config/README.md."
        )
    value = _fill_defaults(value, schema)
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(value), key=lambda e: [str(p) for p in e.absolute_path])
    if errors:
        error = jsonschema.exceptions.best_match(errors)
        location = (*prefix, *error.absolute_path)
        if error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            location = (*location, next(k for k in sorted(error.instance) if k not in known))
        raise InputError(f"{where(files, location)}: {_sentence(error)}")
    return value
