"""Trains in children that are killed: run as a script by test_resume.py, in a process of its own.

The imports are paid once; each child is forked from a parent that has used neither torch nor numba.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from prismflow import files
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.jobs.code_digest import code_digest
from prismflow.models import cnn  # noqa: F401 - loads torch before the children are forked
from prismflow.training import state
from prismflow.training.run import train_run

WEIGHTS, RECORD, HISTORY = "model.safetensors", "model.json", "history.tsv"
PREDICTIONS = "predictions.tsv.gz"


def fork(task: Callable[[], None]) -> int:
    """Run a task in a child; its exit status is 0, or 1 after a traceback."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        task()
        status = 0
    except SystemExit as error:
        status = int(error.code)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def status_of(child: int) -> int:
    """Exit status, or the negative number of the signal that ended the child."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def catches(child: int, number: signal.Signals) -> bool:
    """Whether a child has a handler of a signal, as trainings have from their first step on."""
    text = Path(f"/proc/{child}/status").read_text()
    lines = (line for line in text.splitlines() if line.startswith("SigCgt"))
    caught = next(lines, "SigCgt: 0")
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


class Training:
    """One training in one folder, with a state after every step."""

    def __init__(self, job: dict, folder: Path, minutes: float = 0.0) -> None:
        self.job, self.folder, self.minutes = job, folder, minutes
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self) -> None:
        handler = logging.FileHandler(self.folder / "log")
        logging.getLogger("prismflow").addHandler(handler)
        logging.getLogger("prismflow").setLevel(logging.INFO)
        outputs = [self.folder / name for name in (WEIGHTS, RECORD, HISTORY)]
        train_run(
            self.job["store"], self.job["splits"], "fold11", 2, self.job["settings"], *outputs,
            device="cpu", threads=1, checkpoint_minutes=self.minutes,
        )  # fmt: skip
        rest = [self.folder / name for name in (PREDICTIONS, "metrics.tsv", "extras.safetensors")]
        evaluate_run(
            self.job["store"], self.job["splits"], *outputs[:2], {"full": {}}, *rest,
            device="cpu", threads=1,
        )  # fmt: skip

    def sent(self, number: int, seconds: float) -> int:
        """Start, send a signal a while after training began, and return how it ended."""
        child = fork(self)
        give_up = time.monotonic() + 60
        while not catches(child, signal.SIGUSR1) and time.monotonic() < give_up:
            time.sleep(0.002)
        time.sleep(seconds)
        os.kill(child, number)
        return status_of(child)

    def log(self) -> str:
        """What all starts of this training logged."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def finished(self) -> dict[str, str]:
        """Run to the end and return the digests of what was written."""
        status = status_of(fork(self))
        if status:
            raise SystemExit(f"a training ended with {status}")
        names = (WEIGHTS, RECORD, HISTORY, PREDICTIONS)
        return {name: files.sha256(self.folder / name) for name in names}

    def continued(self) -> int:
        """How often the log says that a state was continued."""
        return self.log().count("continued after step")

    def left(self) -> bool:
        """Whether a state still lies beside the outputs."""
        return self.folder.with_name(f"{self.folder.name}.state").exists()


def dying(function: Callable, at: int, before: Callable[..., None]) -> Callable:
    """``function``, whose call number ``at`` ends the process after ``before`` was called."""
    calls = 0

    def wrapped(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == at:
            before(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    return wrapped


def half_written(path: Path, data: bytes) -> None:
    """What a writer leaves that dies in the middle."""
    with open(path, "wb") as stream:
        stream.write(data[: len(data) // 2])


def dies_in_a_write(training: Training, where: str, at: int) -> Callable[[], None]:
    """The training, whose state number ``at`` is not written to its end."""

    def task() -> None:
        if where == "half the bytes":
            Path.write_bytes = dying(Path.write_bytes, at, half_written)
        elif where == "before the rename":
            files.os.replace = dying(os.replace, at, lambda *_: None)
        else:
            # The second of the two lists of generations is made after the rename.
            listed = state.Keeper.generations
            state.Keeper.generations = dying(listed, at + 1, lambda *_: None)
        training()

    return task


def random_kills(job: dict, folder: Path) -> dict:
    """Kill trainings, four times each, at random moments, and then let them finish."""
    begun = time.monotonic()
    reference = Training(job, folder / "whole", minutes=60).finished()
    # Moments are shares of what a whole training takes on this machine, as busy as it is now.
    longest = job["longest"] * (time.monotonic() - begun)
    moments, trainings, kills = random.Random(job["seed"]), [], 0
    results = []
    while kills < job["kills"]:
        training = Training(job, folder / f"killed_{len(trainings)}")
        trainings.append(training)
        for _ in range(4):
            ended = training.sent(signal.SIGKILL, moments.uniform(0, longest))
            kills += ended == -signal.SIGKILL
        results.append(training.finished())
    continued = sum(training.continued() for training in trainings)
    return {"reference": reference, "results": results, "continued": continued, "kills": kills}


def kills_in_writes(job: dict, folder: Path) -> dict:
    """Die inside a write of the state, at each of its stages."""
    reference = Training(job, folder / "whole", minutes=60).finished()
    results, stages = [], ("half the bytes", "before the rename", "after the rename")
    for number, where in enumerate(stages):
        training = Training(job, folder / f"write_{number}")
        ended = [status_of(fork(dies_in_a_write(training, where, at))) for at in (7, 1, 3)]
        left = training.left()
        results.append([where, ended, left, training.finished(), training.continued()])
    return {"reference": reference, "results": results}


def signals(job: dict, folder: Path) -> dict:
    """Slurm's signals: SIGTERM keeps the state and ends, SIGUSR1 keeps it and goes on."""
    reference = Training(job, folder / "whole", minutes=60).finished()
    outcome = {"reference": reference}
    for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
        training = Training(job, folder / name, minutes=60)
        status = training.sent(getattr(signal, name), job["delay"])
        text, left = training.log(), training.left()
        outcome[name] = [status, left, text, training.finished(), training.continued()]
    return outcome


if __name__ == "__main__":
    task = {"random": random_kills, "writes": kills_in_writes, "signals": signals}[sys.argv[1]]
    job = json.loads(Path(sys.argv[2]).read_text())
    code_digest("training.run", "prismflow.models.cnn")  # kept for the children
    print(json.dumps(task(job, Path(sys.argv[3]))))
