"""Read YAML files, check them, and say in one sentence what is wrong and in which line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from prismflow.errors import InputError
from prismflow.settings.definitions import check, filled
from prismflow.settings.sentences import Location, problem_of

# The loader in C reads the same YAML several times faster; it is not built everywhere.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: str | Path) -> Any:
    """Read one YAML file safely.

    Raises:
        InputError: the file is missing, is not YAML, or gives a key twice.
    """
    path = Path(path)
    try:
        node = _composed(str(path), path.stat().st_mtime_ns)
        constructor = yaml.constructor.SafeConstructor()
        return None if node is None else constructor.construct_document(node)
    except FileNotFoundError:
        raise InputError(f"{path}: expected a YAML file, found no such file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected YAML, found {_one_line(error)}.") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@functools.lru_cache(maxsize=32)
def _composed(path: str, mtime_ns: int) -> yaml.Node | None:
    node = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    _refuse_twins(path, node, ())
    return node


def _refuse_twins(path: str, node: yaml.Node | None, location: Location) -> None:
    """Refuse a key that stands twice in one mapping: YAML would keep the last without a word."""
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            _refuse_twins(path, item, (*location, position))
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[tuple[str, str], int] = {}
    for name, value in node.value:
        if not isinstance(name, yaml.ScalarNode):
            continue
        line = name.start_mark.line + 1
        here = (*location, name.value)
        if (name.tag, name.value) in lines:
            raise InputError(
                f"{path}, line {line} ({'.'.join(map(str, here))}): the key {name.value!r} stands "
                f"twice, first in line {lines[name.tag, name.value]}; remove one of the two."
            )
        lines[name.tag, name.value] = line
        _refuse_twins(path, value, here)


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


def where_first(files: Sequence[str | Path], locations: Sequence[Location]) -> str:
    """As :func:`where`, of the first of several places that stands in a file."""
    for location in locations:
        if any(_line_in(Path(file), location)[0] == len(location) > 0 for file in files):
            return where(files, location)
    return where(files, locations[0])


def validate(
    value: Any,
    definition: Any,
    files: Sequence[str | Path],
    places: Callable[[Location], list[Location]] | None = None,
) -> Any:
    """Check ``value`` and fill in the defaults of keys that weren't given.

    Args:
        value: parsed YAML.
        definition: the class of settings that it must be.
        files: the files that ``value`` was read from, in the order of overriding; for the message.
        places: where in the files a key of ``value`` may stand, the first of them that does is
            named; without it at the key itself.

    Raises:
        InputError: the first thing that is wrong, with file, line and key.
    """
    if not isinstance(value, Mapping):
        raise InputError(
            f"{where(files, ())}: expected keys and values, found {type(value).__name__}; "
            "see config/README.md."
        )
    try:
        check(definition, value)
    except ValidationError as error:
        problem = problem_of(error, definition, value)
        found = [problem.location] if places is None else places(problem.location)
        raise InputError(f"{where_first(files, found)}: {problem.sentence}") from None
    return filled(definition, value)
