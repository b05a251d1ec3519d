"""Advice can be followed: every key, command and file that messages and documents name exists."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from advice import (
    MADE,
    ROOT,
    Block,
    blocks,
    columns,
    documents,
    inline,
    is_key,
    make_targets,
    raised,
    rules,
    sentences,
    values_of,
    wrong_command,
)

COMMAND = r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:snakemake|make|python|pip|sbatch) "
#: Words in back quotes of sentences that are no key: values and names of other things.
OTHER = {
    "error": "value of absent_chromosomes", "missing": "value of absent_chromosomes",
    "weight": "a dataset of a .cool", "symbol": "column of the gene table",
    "prefix": "of a module of Snakemake", "pretrain": "a rule",
    "docs/settings.md": "a file", "replicates": "key of a block of options.grid",
}  # fmt: skip


def advised() -> Iterator[tuple[str, str]]:
    """Place and key, or ``key: value``, of everything that sentences tell the user to set."""
    for where, text in raised():
        for token in re.findall(r"`([^`]+)`", text):
            yield where, token
    for where, text in sentences():
        pattern = r"\b(?:set|write|raise|lower|add) ((?:[\w{}]+\.)*\w+: [\w{}]+)"
        for token in re.findall(pattern, text):
            yield where, token
        heads = "run|datasets|splits|genes|label|training|downloads|modalities|sheets|gene_table"
        for token in re.findall(
            rf"(?<![\w./])((?:{heads})\.[\w{{}}]+(?:\.[\w{{}}]+)*)(?![\w/(])", text
        ):
            if not token.endswith((".tsv", ".py", ".yaml", ".npy")):
                yield where, token


def wrong_key(token: str) -> str:
    """What is wrong with an advised key, as words; empty if it exists and may have the value."""
    key, _, value = (part.strip() for part in token.partition(":"))
    if re.match(COMMAND, token):
        return wrong_command(token)
    if key in OTHER or (key in columns() and (not value or value in columns())):
        return ""
    if not is_key(key):
        return f"no key {key!r}"
    known = values_of(key)
    if value and "{" not in value and known is not None:
        given = {"true": True, "false": False, "null": None}.get(value, value)
        if given not in known:
            return f"{key!r} may be {known}, not {value!r}"
    return ""


def test_every_key_that_a_sentence_names_exists() -> None:
    found = list(advised())
    assert len(found) > 60
    wrong = {
        f"{where}: `{token}`: {words}" for where, token in found if (words := wrong_key(token))
    }
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("genes.mising: drop", "no key"), ("genes.missing: drop", ""),
        ("genes.missing: dropped", "may be"), ("datasets.{}.window_bp", ""),
        ("datasets.{}.windows", "no key"), ("absent_chromosomes: missing", ""),
        ("label.transform: rw", "may be"),
    ],
)  # fmt: skip
def test_a_key_that_does_not_exist_would_be_noticed(token: str, words: str) -> None:
    assert (words in wrong_key(token)) if words else not wrong_key(token)


def test_sentences_neither_repeat_themselves_nor_end_without_advice() -> None:
    found = list(raised())
    assert len(found) > 200
    for where, text in found:
        parts = [part.strip(" .?") for part in re.split(r"[;:]", text) if len(part.split()) > 4]
        assert len(parts) == len(set(parts)), f"{where}: {text}"


def test_every_command_that_a_sentence_names_exists() -> None:
    seen = 0
    for where, text in sentences():
        for command in re.findall(r"`((?:snakemake|python -m|make|pip) [^`{]+)`", text):
            seen += 1
            assert not wrong_command(command), f"{where}: {command}"
        for path in re.findall(r"\b((?:config|docs|slurm|envs|workflow)/[\w/]+\.\w+)\b", text):
            seen += 1
            assert (ROOT / path).exists(), f"{where}: {path}"
    assert seen > 5


def test_what_a_refusal_of_the_cluster_tells_to_correct_is_a_key_of_a_profile() -> None:
    from snakemake_executor_plugin_slurm import __file__ as plugin

    from prismflow.jobs.refusals import REASONS

    text = (ROOT / "slurm" / "config.yaml").read_text(encoding="utf-8")
    text += "\n".join(f.read_text(encoding="utf-8") for f in Path(plugin).parent.glob("*.py"))
    for _, _, keys in REASONS:
        for key in re.findall(r"[\w.-]{4,}", keys):
            own = key.removeprefix("slurm-")
            assert is_key(key) or re.search(rf"\b{re.escape(own)}\b", text), key


# --- documents ------------------------------------------------------------------------------------
def wrong_code(code: str) -> str:
    """What code within a document's sentence names that doesn't exist; empty if nothing."""
    if re.match(COMMAND, code) or re.match(r"(?:[A-Z_]+=\S+ )+\S", code):
        return wrong_command(code)
    if re.fullmatch(r"prismflow(\.\w+)+(\(.*\))?", code):
        return _wrong_module(code.split("(")[0])
    if re.fullmatch(r"(?:config|docs|tests|src|envs|slurm|profiles|benchmarks|rules|workflow)"
                    r"/[\w./-]*", code):  # fmt: skip
        return "" if (ROOT / code).exists() or code.split("/")[0] in MADE else f"no file {code}"
    head = r"(?:run|datasets|splits|genes|label|training|downloads|modalities|sheets|gene_table)"
    key = re.fullmatch(rf"({head}\.[\w<>]+(?:\.[\w<>]+)*)(?:: .*)?", code)
    if key and not key[1].endswith((".tsv", ".py")):
        return "" if is_key(key[1]) else f"no key {key[1]}"
    return ""


def _wrong_module(name: str) -> str:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return f"no {name}"
            found = getattr(found, part)
        return ""
    return f"no {name}"


def test_every_key_command_and_file_that_a_document_names_exists() -> None:
    seen, wrong = 0, []
    for document in documents():
        for where, code in inline(document):
            words = wrong_code(code)
            seen += bool(re.search(r"[ ./]", code))
            if words:
                wrong.append(f"{where}: `{code}`: {words}")
    assert seen > 250
    assert not wrong, "\n".join(wrong)


ALL_BLOCKS = [block for document in documents() for block in blocks(document)]
SHELL = [block for block in ALL_BLOCKS if block.language in ("", "bash", "sh")
         and re.search(r"^\s*(?:#|\$|[A-Z_]+=|[\w./-]+ )", block.text)
         and re.search(rf"^(?:{COMMAND}|git |rsync |time )", block.text, re.M)]  # fmt: skip


def test_blocks_are_found() -> None:
    assert len(SHELL) >= 12
    assert sum(block.language == "yaml" for block in ALL_BLOCKS) >= 3
    assert all(len(block.checked_only) > 10 for block in ALL_BLOCKS if block.checked_only)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.where)
def test_a_block_of_commands_is_sound(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=re.sub(r"<[^<>\n]+>", "NAME", block.text), text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wrong = {command: words for command in block.commands() if (words := wrong_command(command))}
    assert not wrong


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("snakemake figurs --cores 4", "no rule figurs"),
        ("snakemake --forcerunn evaluate", "no option --forcerunn"),
        ("snakemake --cores 2 --configfile config/none.yaml", "no file config/none.yaml"),
        ("make demos", "no target demos"),
        ("python -m prismflow.data.own_genes --gtff x", "no option --gtff"),
        ("python -m pytest -m gpus", "no marker gpus"),
        ("snakemake --cores 8 figures", ""),
    ],
)
def test_a_command_that_does_not_exist_would_be_noticed(command: str, words: str) -> None:
    assert (words in wrong_command(command)) if words else not wrong_command(command)


def test_every_rule_that_a_test_of_advice_knows_is_declared() -> None:
    assert {"all", "figures", "tables", "plan", "train", "evaluate"} <= rules()
    assert {"demo", "test", "lint"} <= make_targets()


def test_sentences_are_read_from_the_syntax() -> None:
    from advice import text_of

    node = ast.parse('f"a {b} " + ("c" if d else "e")', mode="eval").body
    assert text_of(node) == "a {} c e"
