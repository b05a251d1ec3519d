"""Damaged files of every format: a sentence or the same numbers, never a crash or other numbers.

Each mutant is a fixed function of its number. ``PRISMFLOW_MUTANTS`` sets how many per format.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mutants import mutant
from samples import LENGTHS, RESOLUTION_BP, WRITERS

from prismflow.data.chromosomes import Genes
from prismflow.data.contact_guard import inspect_contacts
from prismflow.errors import InputError

HERE = Path(__file__).parent
MUTANTS = int(os.environ.get("PRISMFLOW_MUTANTS", "300"))
#: A crash of these readers is met in a child process by ``inspect_track``.
ISOLATED = ("contacts.hic", "contacts.cool")
SECONDS_PER_MUTANT = 120.0
GENES = Genes(np.array(list(LENGTHS), dtype=object), np.full(len(LENGTHS), 1000), LENGTHS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole file of each format, and room for damaged ones."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "damaged").mkdir()
    for name, write in WRITERS.items():
        write(folder / name)
    return folder


def outcomes(name: str, folder: Path, count: int) -> dict[int, tuple[str, str]]:
    """Number -> how it ended, and a detail; a dead reader ends as ``crashed``."""
    found: dict[int, tuple[str, str]] = {}
    while len(found) < count:
        first = len(found)
        command = [sys.executable, HERE / "readers.py", name, folder / name, folder / "damaged"]
        done = subprocess.run(
            [*map(str, command), str(first), str(count)],
            capture_output=True, text=True, timeout=60 + SECONDS_PER_MUTANT + count, check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        for line in done.stdout.splitlines():
            number, word, seconds, detail = line.split(" ", 3)
            assert float(seconds) < SECONDS_PER_MUTANT, line
            found[int(number)] = (word, detail)
        assert done.returncode <= 0 and (found or done.returncode < 0), done.stderr[-3000:]
        if done.returncode < 0:
            found[len(found)] = ("crashed", f"signal {-done.returncode}")
    return found


@pytest.mark.parametrize("name", WRITERS)
def test_no_damage_is_silent_or_fatal(folder: Path, name: str) -> None:
    found = outcomes(name, folder, MUTANTS)
    words = Counter(word for word, _ in found.values())
    assert sorted(found) == list(range(MUTANTS))
    bad = {n: end for n, end in found.items() if end[0] in ("broken", "different")}
    assert not bad, bad
    assert words["refused"] > MUTANTS // 3, words
    for number in (n for n, (word, _) in found.items() if word == "crashed"):
        assert name in ISOLATED, f"mutant {number} of {name} crashed its reader"
        path = folder / "damaged" / name
        path.write_bytes(mutant((folder / name).read_bytes(), number))
        with pytest.raises(InputError, match=r"crashed the library that reads it \(SIG"):
            inspect_contacts(path, GENES, RESOLUTION_BP, "NONE")


def test_a_reader_that_crashes_is_a_sentence(folder: Path) -> None:
    """This one ends in a division by zero inside the library that reads .hic."""
    path = folder / "crash.hic"
    path.write_bytes(mutant((folder / "contacts.hic").read_bytes(), 895))
    with pytest.raises(InputError, match=r"crash\.hic: .* (crashed|can't be read)") as caught:
        inspect_contacts(path, GENES, RESOLUTION_BP, "NONE")
    assert "\n" not in str(caught.value)


def test_a_reader_that_does_not_return_is_a_sentence(folder: Path) -> None:
    with pytest.raises(InputError, match=r"did not end within 0 s; it seems damaged"):
        inspect_contacts(
            folder / "contacts.hic", GENES, RESOLUTION_BP, "NONE",
            seconds=0.01,
        )  # fmt: skip


def test_a_reader_that_takes_all_memory_is_a_sentence(folder: Path) -> None:
    with pytest.raises(InputError, match=r"contacts\.hic: .*(can't be used|can't be read)"):
        inspect_contacts(
            folder / "contacts.hic", GENES, RESOLUTION_BP, "NONE",
            memory_bytes=1 << 20,
        )  # fmt: skip


def test_the_child_reads_what_is_there(folder: Path) -> None:
    for name in ISOLATED:
        found = inspect_contacts(folder / name, GENES, RESOLUTION_BP, "NONE")
        assert found["chromosomes"] == LENGTHS
        assert found["resolution_bp"] == RESOLUTION_BP
        assert found["n_records"] > 1000
