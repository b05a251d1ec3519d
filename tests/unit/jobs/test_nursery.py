"""Scripts that run as children of one process do what they do in a Python of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prismflow.jobs import nursery
from prismflow.jobs.patches import starts

SEEN = """
import json, os, sys
seen = dict(name=__name__, file=__file__, argv=sys.argv, first=sys.path[0], folder=os.getcwd(),
            given=os.environ.get("GIVEN"), parent=os.getppid(), loaded="wave" in sys.modules)
json.dump(seen, open({out!r}, "w"))
import wave
"""


def until(true: Callable[[], object], what: str) -> None:
    """Wait for something that happens soon."""
    give_up = time.monotonic() + 30
    while not true():
        assert time.monotonic() < give_up, what
        time.sleep(0.02)


@pytest.fixture
def session() -> Iterator[starts.Session]:
    """A session with a nursery of its own."""
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    session = starts.Session(os.environ | one | {"GIVEN": "a word"})
    yield session
    session.close()


def child(session: starts.Session, folder: Path, name: str, code: str) -> starts.Child:
    """Start a script."""
    (folder / name).write_text(code)
    started = session.start(str(folder / name), session.environment)
    assert started is not None
    return started


def test_a_script_sees_what_python_gives_a_script(session, tmp_path):
    seen = {}
    for place in ("nursery", "python"):
        out = tmp_path / f"{place}.json"
        code = SEEN.format(out=str(out))
        if place == "nursery":
            assert child(session, tmp_path, "tmp1.see.py", code).wait() == 0
        else:
            command = [sys.executable, str(tmp_path / "tmp1.see.py")]
            (tmp_path / "tmp1.see.py").write_text(code)
            subprocess.run(command, env=session.environment, check=True)
        seen[place] = json.loads(out.read_text())
    assert seen["nursery"].pop("parent") != seen["python"].pop("parent")
    assert seen["nursery"] == seen["python"]


def test_what_a_script_imported_is_there_when_it_runs_again(session, tmp_path):
    loaded = []
    for number in range(3):
        out = tmp_path / f"{number}.json"
        code = SEEN.format(out=str(out))
        assert child(session, tmp_path, f"tmp{number}.see.py", code).wait() == 0
        loaded.append(json.loads(out.read_text())["loaded"])
    assert loaded == [False, True, True]
    out = tmp_path / "other.json"
    assert child(session, tmp_path, "tmp3.other.py", SEEN.format(out=str(out))).wait() == 0
    parents = {json.loads(path.read_text())["parent"] for path in tmp_path.glob("*.json")}
    assert len(parents) == 1


def test_our_own_modules_and_one_with_a_thread_are_left_to_the_children(session, tmp_path):
    code = (
        "import sys\nassert not [m for m in ('prismflow', 'hictkpy') if m in sys.modules]\n"
        "import prismflow.labels, prismflow.jobs.patches.hictk, h5py\n"
    )
    for number in range(3):
        assert child(session, tmp_path, f"tmp{number}.own.py", code).wait() == 0
    last = "import sys\nassert 'h5py' in sys.modules and 'prismflow' not in sys.modules\n"
    assert child(session, tmp_path, "tmp3.own.py", last).wait() == 0


@pytest.mark.parametrize(
    ("code", "status", "printed"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('a sentence')", 1, "a sentence"),
        ("raise ValueError('no such thing')", 1, "ValueError: no such thing"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT,
         "KeyboardInterrupt"),
        ("import atexit; atexit.register(print, 'the end')", 0, "the end"),
        ("if:", 1, "SyntaxError"),
    ],
)  # fmt: skip
def test_a_script_ends_as_in_a_python_of_its_own(code, status, printed, capfd, tmp_path):
    # A shell's background jobs ignore Ctrl-C, and so would all that is started here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    session = starts.Session(os.environ)  # after capfd, whose files it is to write to
    assert child(session, tmp_path, "tmp1.end.py", code).wait() == status
    session.close()
    found = capfd.readouterr()
    assert printed in found.out + found.err
    (tmp_path / "alone.py").write_text(code)
    alone = subprocess.run([sys.executable, str(tmp_path / "alone.py")], check=False)
    signal.signal(signal.SIGINT, before)
    assert alone.returncode == status


def test_a_child_can_be_ended(session, tmp_path):
    for end, status in (("kill", -signal.SIGKILL), ("terminate", -signal.SIGTERM)):
        started = child(session, tmp_path, "tmp1.sleep.py", "import time; time.sleep(60)")
        getattr(started, end)()
        assert started.wait() == status
        getattr(started, end)()  # it is gone, and so is its number


def test_children_outlive_a_session_that_was_killed(tmp_path):
    script, mark = tmp_path / "tmp1.late.py", tmp_path / "mark"
    script.write_text(
        "import os, pathlib, time\n"
        f"mark = pathlib.Path({str(mark)!r}); mark.write_text(str(os.getppid()))\n"
        "time.sleep(0.5); mark.write_text(mark.read_text() + ' done')\n"
    )
    code = (
        "import os, signal\nfrom prismflow.jobs.patches.starts import Session\n"
        f"Session(os.environ).start({str(script)!r}, os.environ)\n"
        f"while not os.path.exists({str(mark)!r}): pass\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    until(lambda: mark.read_text().endswith(" done"), "the child did not go on")
    process = Path("/proc", mark.read_text().split()[0])
    until(lambda: not process.exists(), "the nursery outlived its session")


def test_a_nursery_that_died_ends_its_children_and_nothing_more_is_asked_of_it(session, tmp_path):
    out = tmp_path / "out.json"
    started = child(
        session,
        tmp_path,
        "tmp1.see.py",
        SEEN.format(out=str(out)) + "\nimport time; time.sleep(60)",
    )
    until(lambda: out.exists() and out.read_text(), "the child did not start")
    os.kill(json.loads(out.read_text())["parent"], signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    assert session.start(str(tmp_path / "tmp1.see.py"), session.environment) is None


def test_nothing_is_forked_beside_a_thread(monkeypatch, tmp_path):
    threaded = tmp_path / "threaded.py"
    threaded.write_text(
        "import runpy, sys, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        f"sys.argv[0] = {str(nursery.__file__)!r}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    )
    monkeypatch.setattr(starts, "NURSERY", threaded)
    session = starts.Session(os.environ)
    (tmp_path / "tmp1.x.py").write_text("")
    assert session.start(str(tmp_path / "tmp1.x.py"), session.environment) is None
    session.close()


def test_the_kind_of_a_script_is_its_name_without_snakemakes_prefix():
    assert nursery.kind_of("/x/.snakemake/scripts/tmp8hx_2k.train.py") == "train.py"
    assert nursery.kind_of("train") == "train"


def test_a_script_frees_what_was_imported_for_it(capfd, tmp_path):
    pytest.importorskip("triton")  # its bindings report what is not freed
    session = starts.Session(os.environ | {"OMP_NUM_THREADS": "1"})
    code = (
        "import gc, sys\nprint('triton' in sys.modules, gc.get_freeze_count() > 0)\nimport triton\n"
    )
    for name in ("tmp1.use.py", "tmp2.use.py"):
        assert child(session, tmp_path, name, code).wait() == 0
    session.close()
    said = capfd.readouterr()
    assert said.out.split() == ["False", "True", "True", "True"]
    assert "leaked" not in said.err
