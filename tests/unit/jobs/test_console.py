"""What a session prints on a terminal and elsewhere, and what it leaves out."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from prismflow.jobs.console import Console, Progress, in_words, sentence_of
from prismflow.jobs.last_lines import last_lines, verdicts_of
from prismflow.jobs.terminal import announce, is_watched

SNAKEFILE = """
from types import SimpleNamespace
PLAN = SimpleNamespace(config=SimpleNamespace(datasets=["tiny"]))
include: "{root}/rules/refusals.smk"

rule all:
    input: "results/tiny/report.html"

rule step:
    output: "steps/{{i}}"
    log: "logs/{{i}}.log"
    script: "step.py"

rule report:
    input: expand("steps/{{i}}", i=range(3))
    output: "results/tiny/report.html"
    shell: "touch {{output}}"
"""
STEP = """
from pathlib import Path
from prismflow.errors import InputError
from prismflow.jobs.script import job

with job(snakemake):
    if snakemake.wildcards.i in Path("bad.txt").read_text().split():
        raise InputError("bad.txt: expected no such step, found one; take it out.")
    Path(snakemake.output[0]).touch()
"""
SENTENCE = (
    "error: bad.txt: expected no such step, found one; take it out. (step 1; log: logs/1.log)"
)


def record(event: str | None, text: str = "", level: int = logging.INFO, **more: Any) -> Any:
    made = logging.LogRecord("snakemake", level, "", 0, text, None, None)
    made.__dict__.update(more, **({"event": event} if event else {}))
    return made


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """A workflow of three steps and a report, with flags and verdicts."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=root))
    (tmp_path / "step.py").write_text(STEP)
    (tmp_path / "bad.txt").write_text("")
    results = tmp_path / "results" / "tiny"
    for name in ("checks", "tables"):
        (results / name).mkdir(parents=True)
    (results / "checks" / "summary.json").write_text('{"flags": ["the cells look swapped"]}')
    (results / "tables" / "claims.tsv").write_text(
        "claim\tverdict\nSignals help\tsupported\nSignals help\tsupported\nPrism wins\tundecided\n"
    )
    return tmp_path


def run(folder: Path, *arguments: str, terminal: bool = False) -> tuple[int, str]:
    """Exit status and all that a session prints to a pipe, or to a terminal of 100 columns."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    environment = os.environ | {"COLUMNS": "100", "TERM": "xterm"}
    if not terminal:
        done = subprocess.run(
            command, cwd=folder, env=environment, text=True, timeout=300, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, done.stdout
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    return process.wait(timeout=60), b"".join(parts).decode()


def on_screen(printed: str) -> list[str]:
    """Lines that stay on a terminal: a carriage return with erasure starts a line anew."""
    lines = [line.rsplit("\r\x1b[K", 1)[-1].strip("\r") for line in printed.split("\n")]
    return [line for line in lines if line]


@pytest.mark.workflow
@pytest.mark.parametrize("terminal", [False, True])
def test_a_session_prints_few_lines_and_ends_with_what_counts(folder: Path, terminal: bool) -> None:
    status, printed = run(folder, "--logger", "prismflow", terminal=terminal)
    assert status == 0, printed
    lines = on_screen(printed)
    end = [
        "FLAG tiny: the cells look swapped",
        "tiny: supported: Signals help",
        "tiny: undecided: Prism wins",
        f"report: {folder / 'results' / 'tiny' / 'report.html'}",
    ]
    assert lines[0] == "5 jobs to do" and lines[-4:] == end
    finished = lines[1:-4]
    if terminal:
        assert not finished
        assert re.search(r"\r\x1b\[K[1-4] of 5 jobs done, about \d+ s left; now \w+", printed)
        drawn = re.findall(r"\r\x1b\[K([^\r\n]*)", printed)
        assert max(map(len, drawn)) < 100
    else:
        assert len(finished) == 4 and "\x1b" not in printed
        assert re.fullmatch(r"\d\d:\d\d:\d\d 4 of 5: report, \d+ s", finished[-1])


@pytest.mark.workflow
@pytest.mark.parametrize("terminal", [False, True])
def test_a_failure_is_said_once_and_at_the_end(folder: Path, terminal: bool) -> None:
    (folder / "bad.txt").write_text("1")
    status, printed = run(
        folder, "--logger", "prismflow", "--keep-going", "--", "all", terminal=terminal
    )
    assert status == 1
    lines = on_screen(printed)
    assert printed.count("expected no such step") == 1 and "Traceback" not in printed
    assert lines[-3] == SENTENCE
    assert lines[-2].startswith("All that Snakemake said: ")
    assert Path(lines[-2].removeprefix("All that Snakemake said: ")).is_file()
    assert lines[-1] == "FLAG tiny: the cells look swapped"
    assert len(lines) == (5 if terminal else 7)


@pytest.mark.workflow
def test_all_that_snakemake_says_is_a_flag_away(folder: Path) -> None:
    (folder / "bad.txt").write_text("1")
    status, printed = run(folder, "--logger", "prismflow", "--logger-prismflow-full")
    assert status == 1
    for part in ("Job stats:", "rule step:", "Error in rule step:", "CalledProcessError"):
        assert part in printed
    assert "error: bad.txt: expected no such step" in printed
    status, planned = run(folder, "--logger", "prismflow", "--dry-run")
    assert status == 0 and "rule step:" in planned and "This was a dry-run" in planned


@pytest.mark.workflow
def test_words_without_a_run_are_printed(folder: Path) -> None:
    quiet = ("--logger", "prismflow")
    assert "at least one" not in run(folder, *quiet)[1]
    assert on_screen(run(folder, *quiet)[1]) == [
        "Nothing to be done (all requested files are present and up to date)."
    ]
    (folder / "Snakefile").write_text("rule a:\n    input: 'absent'\n    output: 'x'\n")
    status, printed = run(folder, *quiet)
    assert status == 1 and "Missing input files for rule a" in printed
    assert on_screen(printed)[-1].strip() == "absent"


def test_the_default_profile_is_quiet_and_says_how_to_hear_all(root: Path) -> None:
    text = (root / "profiles" / "default" / "config.yaml").read_text()
    assert (
        re.search(r"^logger: prismflow", text, re.MULTILINE) and "--logger-prismflow-full" in text
    )


def test_a_job_that_fails_first_and_then_succeeds_is_no_failure(clock: Clock) -> None:
    stream = io.StringIO()
    console = Console(stream, terminal=False, clock=clock)
    console.take(record("run_info", stats={"train": 1, "total": 1}))
    started = {"jobid": 7, "rule_name": "train", "wildcards": {"cell": "K562"}, "output": ["x"]}
    console.take(record("job_info", **started))
    failed = {"jobid": 7, "rule_name": "train", "log": [], "rule_msg": "out of memory"}
    console.take(record("job_error", level=logging.ERROR, **failed))
    console.take(record("job_info", **started))
    clock.now += 90
    console.take(record("job_finished", job_id=7))
    console.close()
    console.close()
    lines = [line.partition(" ")[2] for line in stream.getvalue().splitlines()]
    assert lines == ["job to do", "failed: train K562", "1 of 1: train K562, 2 min"]


def test_a_failure_without_a_log_says_what_the_cluster_said(tmp_path: Path, clock: Clock) -> None:
    stream = io.StringIO()
    console = Console(stream, terminal=False, clock=clock)
    console.take(record("run_info", stats={"train": 1, "total": 1}))
    console.take(record("error", "MissingOutputException in rule a", logging.ERROR))
    console.take(record("error", "RuleException:\nCalledProcessError in", logging.ERROR))
    log = str(tmp_path / "absent.log")
    console.take(record("job_error", jobid=1, rule_name="train", log=[log], rule_msg="TIMEOUT"))
    console.close()
    lines = stream.getvalue().splitlines()
    assert lines[-2:] == [
        "MissingOutputException in rule a", f"error: TIMEOUT (train; log: {log})"
    ]  # fmt: skip
    assert "CalledProcessError" not in stream.getvalue()


def test_the_line_of_progress_fits_the_terminal(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    console = Console(stream, terminal=True, clock=clock)
    console.take(record("run_info", stats={"train": 9, "total": 9}))
    for job in range(9):
        wildcards = {"run": "a" * 30}
        console.take(
            record("job_info", jobid=job, rule_name="train", wildcards=wildcards, output=["x"])
        )
    drawn = stream.getvalue().split("\r\x1b[K")[1:]
    assert max(map(len, drawn)) == 39 and drawn[-1].endswith("…")


def test_the_time_left_weighs_rules_and_jobs_side_by_side(clock: Clock) -> None:
    progress = Progress(clock)
    progress.begin({"train": 4, "draw": 2, "total": 6})
    assert progress.left() is None
    for job in (1, 2):
        progress.start(job, "train")
    clock.now += 100
    for job in (1, 2):
        assert progress.finish(job) == 100
    # Two at a time: two trainings of 100 s, and two drawings of which nothing is known yet.
    assert progress.left() == 200
    progress.start(3, "draw")
    clock.now += 10
    progress.finish(3)
    assert progress.left() == pytest.approx((2 * 100 + 10) / (210 / 110))


def test_times_are_said_in_words() -> None:
    assert [in_words(s) for s in (0.2, 59, 61, 3600, 7500)] == [
        "0 s", "59 s", "1 min", "1 h 0 min", "2 h 5 min",
    ]  # fmt: skip


def test_a_log_gives_its_sentence_or_the_end_of_its_traceback(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    stamp = "2026-01-02 03:04:05"
    log.write_text(f"{stamp} INFO begun\n{stamp} ERROR first\n{stamp} ERROR say this.\n")
    assert sentence_of(log) == "say this."
    assert sentence_of(log, since=time.time() + 60) == ""
    log.write_text(f"{stamp} ERROR rule train failed\nTraceback:\n  x\nValueError: odd\n")
    assert sentence_of(log) == "ValueError: odd"
    log.write_text(f"{stamp} INFO step 1\n")
    assert sentence_of(log) == "" and sentence_of(tmp_path / "absent") == ""


def test_last_lines_tell_of_reports_that_were_just_written(tmp_path: Path) -> None:
    tables = tmp_path / "demo" / "tables"
    tables.mkdir(parents=True)
    (tables / "claims.tsv").write_text("claim\tverdict\nPrism wins\tundecided\n")
    assert verdicts_of("demo", tmp_path) == ["undecided: Prism wins"]
    assert verdicts_of("other", tmp_path) == []
    assert last_lines(["demo"], 0, tmp_path) == []
    report = tmp_path / "demo" / "report.html"
    report.touch()
    assert last_lines(["demo"], 0, tmp_path)[-1] == f"report: {report}"
    assert last_lines(["demo"], time.time() + 60, tmp_path) == []
    (tables / "claims.tsv").write_text("claim\nPrism wins\n")
    assert verdicts_of("demo", tmp_path) == []


def test_only_what_shares_the_consoles_standard_error_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRISMFLOW_CONSOLE", raising=False)
    assert not is_watched()
    monkeypatch.setenv("PRISMFLOW_CONSOLE", "")
    announce()
    assert is_watched()
    code = "from prismflow.jobs.terminal import is_watched; print(is_watched())"
    command = [sys.executable, "-c", code]
    with (tmp_path / "own.log").open("w") as own:
        for stderr, watched in ((None, "True"), (own, "False")):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
            assert done.stdout.strip() == watched
