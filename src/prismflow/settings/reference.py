"""Schemas and the reference page, written from the classes that define the settings."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from prismflow.settings.architectures import ARCHITECTURES
from prismflow.settings.claims import ClaimsFile
from prismflow.settings.config_file import ConfigFile
from prismflow.settings.experiments_file import ExperimentsFile
from prismflow.settings.hyperparameters import SECTIONS, settings_class
from prismflow.settings.keys import UNIQUE
from prismflow.settings.models_file import ModelsFile
from prismflow.settings.sentences import entry_of, extra_of, fields_of, inner, type_words

COMMAND = "python -m prismflow.settings"
FILES: dict[str, Any] = {
    "config": ConfigFile,
    "models": ModelsFile,
    "experiments": ExperimentsFile,
    "claims": ClaimsFile,
}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LIMITS = {
    "ge": "at least {}",
    "gt": "above {}",
    "le": "at most {}",
    "lt": "below {}",
    "multiple_of": "multiple of {}",
    "min_length": "at least {} entries",
    "max_length": "at most {} entries",
}
_PAGE = f"""# Every key of the configuration

Written by `{COMMAND}` from the classes in `src/prismflow/settings`; edit those.
[config/README.md](../config/README.md) says how the files work together. A key without a default
must be given. Ranges of hyper-parameters stand in the models' own classes, which check them at the
start. `<name>` stands for any name of letters, digits and `_`.
"""


def documents() -> dict[str, str]:
    """Path below the repository's root -> text, for every file that is written."""
    found = {f"workflow/schemas/{name}.schema.yaml": _schema(name) for name in FILES}
    return {**found, "docs/settings.md": _page()}


def write(root: Path) -> list[str]:
    """Write what differs; returns the paths that did."""
    changed = []
    for name, text in documents().items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed


def _schema(name: str) -> str:
    schema = TypeAdapter(FILES[name]).json_schema()
    for cls in _classes(FILES[name]):
        described = schema["$defs"].get(cls.__name__)
        if described is not None:
            described["description"] = _about(cls)
            meanings = _meanings(cls)
            for key in set(meanings) & set(described["properties"]):
                described["properties"][key].setdefault("description", meanings[key])
    schema = _tidy(schema)
    content = {"$schema": _DIALECT, "title": f"config/{name}.yaml", **schema}
    text = yaml.safe_dump(content, sort_keys=False, width=100, allow_unicode=True)
    return f"# Written by `{COMMAND}`; edit the classes in src/prismflow/settings.\n{text}"


def _classes(definition: Any) -> Iterator[Any]:
    """A class of settings and all classes below it."""
    definition = inner(definition)
    entry = entry_of(definition)
    if entry is not None:
        yield from _classes(entry)
    fields = fields_of(definition)
    if fields is not None:
        yield definition
        for field in fields.values():
            yield from _classes(field.annotation)


def _tidy(node: Any) -> Any:
    """A schema without titles made from names and without what is only for the page."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key not in ("title", "kind", "sparse")}
    if "enum" in kept:
        kept.pop("pattern", None)
    nullable = {"type": "null"} in kept.get("anyOf", [])
    if kept.get("default", ...) is None and not nullable:
        del kept["default"]
    for key, value in kept.items():
        if key in ("properties", "$defs"):
            kept[key] = {name: _tidy(item) for name, item in value.items()}
        elif key not in ("default", "enum", "const", "required"):
            kept[key] = _tidy(value)
    return kept


def _page() -> str:
    parts = [_PAGE]
    for name, definition in FILES.items():
        parts.append(f"\n## {name}.yaml\n")
        parts += _sections(definition, "")
        if definition is ModelsFile:
            parts += _architectures()
    return "".join(parts)


def _architectures() -> Iterator[str]:
    """Tables of the architectures' own keys; those with the same ones share a table."""
    for section in SECTIONS:
        classes: dict[type, list[str]] = {}
        for name in ARCHITECTURES:
            classes.setdefault(settings_class(name, section), []).append(f"`{name}`")
        for cls, names in classes.items():
            if not dataclasses.fields(cls):
                continue
            yield f"\n### `<name>.{section}` of {', '.join(names)}\n\n"
            yield "| key | type | default | meaning |\n|---|---|---|---|\n"
            kinds, meanings = typing.get_type_hints(cls), _meanings(cls)
            for field in dataclasses.fields(cls):
                default = _yaml(getattr(cls(), field.name))
                meaning = meanings.get(field.name, "")
                words = type_words(kinds[field.name])
                yield f"| `{field.name}` | {words} | {default} | {meaning} |\n"


def _about(definition: Any) -> str:
    """The docstring of a class without its list of attributes."""
    return " ".join((definition.__doc__ or "").partition("Attributes:")[0].split())


def _meanings(cls: type) -> dict[str, str]:
    """Name -> text, from the lists of attributes in the docstrings of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        _, _, listed = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        for names, text in re.findall(
            r"^    (\w[\w, ]*): (.+(?:\n {6,}.+)*)", listed, re.MULTILINE
        ):
            words = " ".join(text.split()).replace("``", "`")
            # A symbol such as b or c_k keeps its letter.
            start = words[:1].upper() if words[1:2].islower() else words[:1]
            found |= {name.strip(): start + words[1:] for name in names.split(",")}
    return found


def _sections(definition: Any, path: str) -> Iterator[str]:
    """A table of the keys at ``path``, then those of what they hold."""
    definition = inner(definition)
    entry = entry_of(definition)
    if entry is not None:
        mapping = typing.get_origin(definition) is dict
        dot = "." if path else ""
        yield from _sections(entry, f"{path}{dot}<name>" if mapping else f"{path}[]")
        return
    fields = fields_of(definition)
    if fields is None:
        return
    yield f"\n### {f'`{path}`' if path else 'top level'}\n\n"
    yield f"{_about(definition)}\n\n"
    yield "| key | type | default | range | meaning |\n|---|---|---|---|---|\n"
    sparse, meanings = getattr(definition, "SPARSE", False), _meanings(definition)
    for name, field in fields.items():
        cells = (
            f"`{name}`",
            _type(field),
            _default(field, sparse),
            _range(field),
            field.description or meanings[name],
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
    for name, field in fields.items():
        yield from _sections(field.annotation, f"{path}.{name}" if path else name)


def _type(field: FieldInfo) -> str:
    return str(extra_of(field).get("kind") or type_words(field.annotation))


def _default(field: FieldInfo, sparse: bool) -> str:
    if field.default is PydanticUndefined:
        return ""
    if field.default is None and (sparse or extra_of(field).get("sparse")):
        return "absent"
    return _yaml(field.default)


def _yaml(default: Any) -> str:
    value = list(default) if isinstance(default, tuple) else default
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    return f"`{text.removesuffix('...').strip()}`"


def _range(field: FieldInfo) -> str:
    extra = extra_of(field)
    if "expected" in extra and not extra.get("kind"):
        return str(extra["expected"])
    return ", ".join([*_limits(field.metadata), *_of_entries(field.annotation)])


def _of_entries(annotation: Any) -> Iterator[str]:
    """Limits of each entry of a list or of each value of a mapping."""
    if type(None) in typing.get_args(annotation):
        yield from _limits(_marks(typing.get_args(annotation)[0]))
    annotation = inner(annotation)
    if typing.get_origin(annotation) in (list, tuple, dict):
        marks = _marks(typing.get_args(annotation)[-1])
        yield from (f"each {limit}" for limit in _limits(marks))


def _marks(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is not typing.Annotated:
        return []
    marks = typing.get_args(annotation)[1:]
    return [m for mark in marks for m in getattr(mark, "metadata", [mark])]


def _limits(metadata: list[Any]) -> Iterator[str]:
    for mark in metadata:
        if mark is UNIQUE:
            yield "no entry twice"
        for name, words in _LIMITS.items():
            limit = getattr(mark, name, None)
            if name == "min_length" and limit == 1:
                yield "not empty"
            elif limit is not None:
                yield words.format(f"{limit:,}" if isinstance(limit, int) else f"{limit:g}")


def difference(root: Path) -> Mapping[str, str]:
    """Files whose text is not what the classes say -> what to do."""
    return {
        name: f"{name} is out of date: run {COMMAND}"
        for name, text in documents().items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    }
