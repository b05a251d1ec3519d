"""What messages and documents advise: keys, columns, commands, files; and whether they exist."""

from __future__ import annotations

import ast
import functools
import itertools
import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
#: Calls whose arguments are sentences for users.
RAISERS = ("InputError", "Refused", "PydanticCustomError", "_hopeless", "_unreadable", "warning")
SHEETS = ("settings/tracks.py", "settings/shared_files.py", "settings/perturbations.py")
#: Folders and files that a run makes, which no checkout has.
MADE = (
    "own_cell",
    "results",
    "resources",
    "logs",
    "benchmarks",
    "slurm_logs",
    ".snakemake",
    ".venv",
)


# --- sentences ------------------------------------------------------------------------------------
def text_of(node: ast.AST) -> str:
    """A string expression as text; ``{}`` stands for what is only known in a run."""
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else "{}"
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return text_of(node.value) if isinstance(node.value, ast.IfExp) else "{}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    if isinstance(node, ast.IfExp):
        return f"{text_of(node.body)} {text_of(node.orelse)}"
    return "{}"


def sentences() -> Iterator[tuple[str, str]]:
    """Place and text of everything in ``src`` that is said to a user."""
    for file in sorted((ROOT / "src" / "prismflow").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and node.body and isinstance(node.body[0], ast.Expr)
        }  # fmt: skip
        for node in ast.walk(tree):
            said = isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp)
            if said and id(node) not in documented and len((text := text_of(node)).split()) > 3:
                yield f"{file.relative_to(ROOT)}:{node.lineno}", text


def raised() -> Iterator[tuple[str, str]]:
    """Place and text of every sentence that ends a job or the planning."""
    for file in sorted((ROOT / "src" / "prismflow").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and named.split(".")[-1] in RAISERS:
                text = " ".join(text_of(argument) for argument in node.args)
                yield f"{file.relative_to(ROOT)}:{node.lineno}", text


# --- what exists ----------------------------------------------------------------------------------
@functools.cache
def key_paths() -> dict[tuple[str, ...], dict[str, Any]]:
    """Path of every key of every YAML file -> its schema; ``*`` is a name of the user's choice."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for file in sorted((ROOT / "workflow" / "schemas").glob("*.yaml")):
        schema = yaml.safe_load(file.read_text(encoding="utf-8"))
        _walk(schema, schema, (), found)
    return found


def _walk(schema: Any, whole: Mapping[str, Any], path: tuple[str, ...], found: dict) -> None:
    if not isinstance(schema, dict) or len(path) > 9:
        return
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        _walk(whole["$defs"][name], whole, path, found)
    for part in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())):
        _walk(part, whole, path, found)
    for key, value in schema.get("properties", {}).items():
        found.setdefault((*path, key), value)
        _walk(value, whole, (*path, key), found)
    for part in ("additionalProperties", "items"):
        if isinstance(schema.get(part), dict):
            deeper = (*path, "*") if part == "additionalProperties" else path
            if part == "additionalProperties":
                found.setdefault(deeper, schema[part])
            _walk(schema[part], whole, deeper, found)


@functools.cache
def hyperparameters() -> frozenset[str]:
    """Names of all settings of all architectures."""
    from prismflow.settings.architectures import ARCHITECTURES
    from prismflow.settings.hyperparameters import SECTIONS, settings_class

    names: set[str] = set()
    for architecture in ARCHITECTURES:
        for section in SECTIONS:
            cls = settings_class(architecture, section)
            names |= set(getattr(cls, "model_fields", None) or getattr(cls, "__annotations__", {}))
    return frozenset(names)


@functools.cache
def columns() -> frozenset[str]:
    """Columns of the sheets of cells, tracks, references and perturbations."""
    names: set[str] = set()
    for sheet in SHEETS:
        tree = ast.parse((ROOT / "src" / "prismflow" / sheet).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Tuple):
                values = [e.value for e in node.elts if isinstance(e, ast.Constant)]
                names |= {v for v in values if isinstance(v, str)}
    return frozenset(names)


def is_key(token: str) -> bool:
    """Whether a (dotted) key is one of the configuration; its beginning may be left out."""
    parts = tuple("*" if re.search(r"[{}<>*]", part) else part for part in token.split("."))
    if len(parts) == 1 and parts[0] in hyperparameters():
        return True
    if len(parts) > 1 and any(_ends(path, parts[:-1]) and _free(schema)
                              for path, schema in key_paths().items()):  # fmt: skip
        return True
    return any(_ends(path, parts) for path in key_paths())


def _ends(path: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether a path ends in these keys; ``*`` in one of them is any name."""
    end = path[len(path) - len(parts) :]
    named = len(end) == len(parts) and (end[-1] != "*" or parts[-1] == "*")
    named = named and (end[0] == parts[0] or parts[0] == "*")
    return named and all(a in (b, "*") or b == "*" for a, b in zip(end, parts, strict=True))


def _free(schema: Mapping[str, Any]) -> bool:
    """Whether a key holds keys that no schema knows, as an experiment's options."""
    further = schema.get("additionalProperties", True)
    return schema.get("type") == "object" and "properties" not in schema and further in (True, {})


def values_of(key: str) -> list[Any] | None:
    """The values that a key may have, if they are few; None if they are free or unknown."""
    parts = tuple(key.split("."))
    exact = [s for path, s in key_paths().items() if path[-len(parts) :] == parts]
    owners = exact or [s for path, s in key_paths().items() if _ends(path, parts)]
    known: list[Any] = []
    for schema in owners:
        options = [schema, *schema.get("anyOf", ())]
        if not any("enum" in option or "const" in option for option in options):
            return None
        for option in options:
            known += option.get("enum", [option["const"]] if "const" in option else [])
            known += [None] if option.get("type") == "null" else []
    return known or None


@functools.cache
def rules() -> frozenset[str]:
    """Names of all rules."""
    files = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return frozenset(re.findall(r"^\s*(?:rule|checkpoint) (\w+):", text, re.M))


@functools.cache
def make_targets() -> frozenset[str]:
    """Targets of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([\w-]+):", text, re.M))


# --- documents ------------------------------------------------------------------------------------
def documents() -> list[Path]:
    """Documents whose commands, keys and blocks must work."""
    named = [ROOT / name for name in ("README.md", "config/README.md", "CONTRIBUTING.md")]
    return [*named, *sorted((ROOT / "docs").glob("*.md"))]


class Block:
    """A block of code in a document.

    Attributes:
        where: document and line.
        language: as it is marked; empty for commands.
        text: its lines.
        checked_only: why it is not run, from the comment before it; empty if it is.
    """

    def __init__(self, where: str, language: str, text: str, checked_only: str) -> None:
        self.where, self.language, self.text = where, language, text
        self.checked_only = checked_only

    def commands(self) -> list[str]:
        """Its commands, one each, without comments."""
        joined = self.text.replace("\\\n", " ")
        lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines()]
        return [part for line in lines if line for part in re.split(r"\s*&&\s*", line)]


_MARK = re.compile(r"<!-- not run: (.*?) -->\s*\Z", re.S)


def blocks(document: Path) -> list[Block]:
    """Fenced and indented blocks of a document."""
    text = document.read_text(encoding="utf-8")
    name = document.relative_to(ROOT)
    found = []
    spans = [
        *re.finditer(r"^```(\w*)[^\S\n]*\n(.*?)^```[^\S\n]*$", text, re.M | re.S),
    ]  # fmt: skip
    outside = list(text)
    for span in spans:
        outside[span.start() : span.end()] = [
            c if c == "\n" else "x" for c in text[span.start() : span.end()]
        ]
    for span in re.finditer(r"(?<=\n\n)()((?: {4}\S.*\n(?: {5,}\S.*\n)*)+)", "".join(outside)):
        if not re.search(
            r"^\s*(?:[-*]|\d+\.) ", "".join(outside)[: span.start()].rsplit("\n\n", 2)[-2]
        ):
            spans.append(span)
    for span in spans:
        line = text.count("\n", 0, span.start()) + 1
        marked = _MARK.search(text[: span.start()])
        content = span[2] if text.startswith("```", span.start()) else textwrap.dedent(span[2])
        found.append(Block(f"{name}:{line}", span[1], content, marked[1] if marked else ""))
    return found


def inline(document: Path) -> Iterator[tuple[str, str]]:
    """Place and text of code within sentences."""
    text = document.read_text(encoding="utf-8")
    name = document.relative_to(ROOT)
    bare = re.sub(r"^```.*?^```", lambda m: "\n" * m[0].count("\n"), text, flags=re.M | re.S)
    for span in re.finditer(r"`([^`\n]+(?:\n[^`\n|]+)?)`", bare):
        line = bare.count("\n", 0, span.start()) + 1
        yield f"{name}:{line}", " ".join(span[1].split())


# --- commands -------------------------------------------------------------------------------------
@functools.cache
def _snakemake_parser() -> Any:
    from snakemake.cli import get_argument_parser

    return get_argument_parser()


def wrong_command(command: str) -> str:
    """What a command names that doesn't exist, as words; empty if all of it does."""
    words = shlex.split(command, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if not words:
        return ""
    program = words[0].rsplit("/", 1)[-1]
    check = {
        "snakemake": _wrong_snakemake, "make": _wrong_make, "python": _wrong_python,
        "pip": _wrong_files, "source": lambda w: "", "sbatch": _wrong_files,
    }.get(program)  # fmt: skip
    if check is None:
        return "" if not words[0].startswith(("envs/", "slurm/")) else _absent(words[0])
    return check(words[1:])


def _absent(path: str) -> str:
    inside = (ROOT / path).exists() or path.split("/")[0] in MADE
    return "" if inside or path.startswith("/") else f"no file {path}"


def _wrong_snakemake(words: list[str]) -> str:
    known = {o for action in _snakemake_parser()._actions for o in action.option_strings}
    options = [w.split("=")[0] for w in words if w.startswith("--") and w != "--"]
    strange = [option for option in options if option not in known]
    if strange:
        return f"snakemake has no option {strange[0]}"
    try:
        arguments, _ = _snakemake_parser().parse_known_args(words)
    except SystemExit:
        return "snakemake does not take these arguments"
    named = [*(arguments.targets or ()), *(arguments.forcerun or ())]
    named += [rule for rule in arguments.set_resources or ()]
    for target in named:
        if target not in rules() and not str(target).startswith(MADE):
            return f"no rule {target}"
    profiles = arguments.profile or ()
    files = [str(f) for f in (*(arguments.configfile or ()), *profiles)]
    wrong = [_absent(file) for file in files if file != "my.yaml"]
    return next((words for words in wrong if words), "")


def _wrong_make(words: list[str]) -> str:
    strange = [w for w in words if "=" not in w and w not in make_targets() and w[0] != "-"]
    return f"no target {strange[0]}" if strange else ""


def _wrong_python(words: list[str]) -> str:
    if (words[:1] == ["-m"] and words[1] == "prismflow") or (
        words[1:2] and words[1].startswith("prismflow.")
    ):
        place = ROOT / "src" / words[1].replace(".", "/")
        source = next(
            (f for f in (place.with_suffix(".py"), place / "__main__.py") if f.is_file()), None
        )
        if source is None:
            return f"no module {words[1]}"
        text = source.read_text(encoding="utf-8")
        if place.is_dir():
            text = "\n".join(f.read_text(encoding="utf-8") for f in place.glob("*.py"))
        strange = [
            w for w in words[2:] if w.startswith("--") and f'"{w.split("=")[0]}"' not in text
        ]
        return f"{words[1]} has no option {strange[0]}" if strange else ""
    if words[:2] == ["-m", "pytest"]:
        return _wrong_pytest(words[2:])
    if words and words[0].endswith(".py"):
        if not (ROOT / words[0]).is_file():
            return f"no file {words[0]}"
        text = (ROOT / words[0]).read_text(encoding="utf-8")
        strange = [w for w in words[1:] if w.startswith("--") and f'"{w}"' not in text]
        return f"{words[0]} has no option {strange[0]}" if strange else ""
    return ""


def _wrong_pytest(words: list[str]) -> str:
    markers = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for option, value in itertools.pairwise(words):
        if option == "-m":
            for name in set(re.findall(r"\w+", value)) - {"not", "and", "or"}:
                if f'"{name}: ' not in markers:
                    return f"no marker {name}"
    paths = [w for w in words if w.startswith("tests") and "ROOM" not in w]
    return next((words for words in map(_absent, paths) if words), "")


def _wrong_files(words: list[str]) -> str:
    named = [w for w in words if "/" in w and not w.startswith("-") and "://" not in w]
    return next((words for words in map(_absent, named) if words), "")
