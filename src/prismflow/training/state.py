"""The state of an unfinished training on disk, so that a killed run continues where it was.

A state holds everything that changes while a model trains: the model, the best model so far, the
optimiser's moments, the step (which gives the learning rate and the genes of the next batch),
torch's random-number state and the history. It lies in a folder beside the run's folder that no
rule declares, because Snakemake deletes declared outputs before it repeats a job. On a CPU a
continued run ends with the bytes of an uninterrupted one.

The name of a file says which run it belongs to (a digest of settings, data, code, seed and fold),
after which step it was written and which bytes it must have. Files are safetensors; no pickle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from prismflow.files import write_bytes
from prismflow.jobs.code_digest import code_digest
from prismflow.models.common import ExpressionModel

if TYPE_CHECKING:
    from prismflow.data.store import Store
    from prismflow.training.record import Split

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
GENERATIONS = 2
STOPPING = (signal.SIGTERM, signal.SIGINT)
"""Signals after which the state is written and the run ends."""

SAVING = (signal.SIGUSR1,)
"""Signals after which the state is written and the run goes on."""

_NAME = re.compile(r"(?P<run>[0-9a-f]{12})-(?P<step>\d+)-(?P<bytes>[0-9a-f]{16})\.safetensors")
_COUNTERS = ("step", "best_step", "best_mse", "history", "summed")


class UnreadableError(Exception):
    """A file that is no whole state of this run."""


@dataclass(frozen=True)
class Generation:
    """One file of the folder.

    Attributes:
        path: the file.
        run: digest of the identity of the run that wrote it.
        step: optimiser steps done.
    """

    path: Path
    run: str
    step: int


def run_identity(
    store: Store, split: Split, settings: Mapping[str, Any], seed: int, device: torch.device
) -> dict[str, Any]:
    """Everything that the numbers of a training depend on; a state is for one identity only.

    The number of threads is left out: it can move the last digit of a sum, and a run that finds
    fewer cores after an accident should still go on.
    """
    manifest = json.dumps(store.manifest, sort_keys=True)
    module = settings["class"].partition(":")[0]
    return {
        "format": FORMAT_VERSION,
        "settings": json.loads(json.dumps(dict(settings))),
        "data": hashlib.sha256(manifest.encode()).hexdigest()[:16],
        "split": split.digest,
        "fold": split.fold,
        "seed": seed,
        "code": code_digest("training.run", "training.network", module),
        "device": device.type,
        "torch": torch.__version__,
    }


class Keeper:
    """Writes the state of one run every few minutes and on signals, and reads it again.

    Args:
        folder: where the states of this run are kept; made when the first one is written.
        identity: of :func:`run_identity`.
        minutes: between two states.
    """

    def __init__(self, folder: str | Path, identity: Mapping[str, Any], minutes: float) -> None:
        self.folder, self.identity = Path(folder), dict(identity)
        text = json.dumps(self.identity, sort_keys=True)
        self.run = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.seconds = 60 * minutes
        self.written = time.monotonic()
        self.signal: signal.Signals | None = None

    def generations(self) -> list[Generation]:
        """States in the folder, newest first: by their step, because clocks can go wrong."""
        if not self.folder.is_dir():
            return []
        found = [(path, _NAME.fullmatch(path.name)) for path in self.folder.iterdir()]
        states = [Generation(p, m["run"], int(m["step"])) for p, m in found if m]
        return sorted(states, key=lambda state: (-state.step, state.path.name))

    @property
    def due(self) -> bool:
        """Whether a signal asks for a state, or the last one is old enough."""
        return self.signal is not None or time.monotonic() - self.written >= self.seconds

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Note signals instead of dying of them; outside the main thread nothing is changed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, _: object) -> None:
            # A warning must not make an end that was already asked for forgotten.
            if self.signal not in STOPPING:
                self.signal = signal.Signals(number)

        before = {number: signal.signal(number, note) for number in (*STOPPING, *SAVING)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def keep(self, state: TrainingState) -> None:
        """Write the state that is due.

        Raises:
            SystemExit: a signal asked the run to end.
        """
        asked, self.signal = self.signal, None
        saved = self.save(state)
        if asked is not None:
            logger.warning(
                "%s at step %d: %s", asked.name, state.step,
                f"the state is kept in {self.folder}" if saved else "no state could be written",
            )  # fmt: skip
        if asked in STOPPING:
            raise SystemExit(128 + asked)

    def save(self, state: TrainingState) -> bool:
        """Write a state and drop all but the newest; a full disk is no reason to stop training.

        Returns:
            Whether it was written.
        """
        self.written = time.monotonic()
        data = _serialised(state, self.identity)
        digest = hashlib.sha256(data).hexdigest()[:16]
        name = f"{self.run}-{state.step:09d}-{digest}.safetensors"
        try:
            write_bytes(data, self.folder / name)
            own = [g for g in self.generations() if g.run == self.run]
            kept = {generation.path for generation in own[:GENERATIONS]}
            for path in self.folder.iterdir():
                if path not in kept:
                    path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("the state after step %d can't be kept: %s", state.step, error)
            return False
        return True

    def load(self, state: TrainingState) -> bool:
        """Put the newest whole state of this run into ``state``, in place.

        Returns:
            Whether there was one; the log says why not where a state was found and not used.
        """
        found = self.generations()
        own = [generation for generation in found if generation.run == self.run]
        for generation in own:
            try:
                tensors, content = _read(generation.path)
                _restore(state, tensors, content)
            except UnreadableError as error:
                logger.warning("%s is no whole state and is not used: %s", generation.path, error)
                with contextlib.suppress(OSError):
                    generation.path.unlink()
                continue
            logger.info("continued after step %d from %s", state.step, generation.path)
            return True
        if own:
            logger.warning("no kept state of this run can be read: training starts anew")
        elif found:
            self._refuse(found[0])
        return False

    def _refuse(self, other: Generation) -> None:
        try:
            named = _differences(_read(other.path)[1].get("identity"), self.identity)
        except UnreadableError as error:
            named = [f"it can't be read ({error})"]
        logger.warning(
            "the kept state %s (step %d) belongs to other settings, data or code and is not used: "
            "training starts anew; what differs: %s",
            other.path, other.step, ", ".join(named),
        )  # fmt: skip


def _differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Dotted names of the values that differ."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [] if old == new else [f"{name} ({old!r}, now {new!r})"]
    names = sorted({*old, *new})
    return [
        text
        for key in names
        for text in _differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    ]


def _serialised(state: TrainingState, identity: Mapping[str, Any]) -> bytes:
    groups = {
        "model": state.model.state_dict(),
        "best": state.best,
        "sums": state.sums,
        "random": {"cpu": torch.get_rng_state()},
    }
    device = _device(state)
    if device.type == "cuda":
        groups["random"]["cuda"] = torch.cuda.get_rng_state(device)
    for index, moments in state.optimiser.state_dict()["state"].items():
        groups[f"optimiser.{index}"] = moments
    tensors = {
        f"{group}/{name}": value.detach().cpu().contiguous().clone()
        for group, values in groups.items()
        for name, value in values.items()
    }
    content = {name: getattr(state, name) for name in _COUNTERS} | {"identity": identity}
    return save(tensors, {"content": json.dumps(content)})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and counters of a file whose bytes are those that its name promises."""
    match = _NAME.fullmatch(path.name)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        if match is None or digest != match["bytes"]:
            raise UnreadableError("the file was changed or cut off")
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            content = json.loads((file.metadata() or {})["content"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UnreadableError(str(error)) from None
    if not isinstance(content, dict):
        raise UnreadableError("it has no counters")
    return tensors, content


def _device(state: TrainingState) -> torch.device:
    return next(state.model.parameters()).device


def _restore(
    state: TrainingState, tensors: Mapping[str, Tensor], content: Mapping[str, Any]
) -> None:
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        group, _, key = name.partition("/")
        groups.setdefault(group, {})[key] = value
    model = groups.get("model", {})
    expected = {name: value.shape for name, value in state.model.state_dict().items()}
    if {name: value.shape for name, value in model.items()} != expected:
        raise UnreadableError("its weights are not those of this model")
    lacking = [name for name in _COUNTERS if name not in content]
    if lacking or "cpu" not in groups.get("random", {}):
        raise UnreadableError(f"it lacks {', '.join(lacking) or 'the random-number state'}")
    device = _device(state)
    state.model.load_state_dict(model)
    state.optimiser.load_state_dict(
        {
            "state": _moments(state.optimiser, groups),
            "param_groups": state.optimiser.state_dict()["param_groups"],
        }
    )
    state.best = {name: value.to(device) for name, value in groups.get("best", {}).items()}
    state.sums = {name: value.to(device) for name, value in groups.get("sums", {}).items()}
    for name in _COUNTERS:
        setattr(state, name, content[name])
    torch.set_rng_state(groups["random"]["cpu"])
    if device.type == "cuda" and "cuda" in groups["random"]:
        torch.cuda.set_rng_state(groups["random"]["cuda"], device)


def _moments(
    optimiser: torch.optim.Optimizer, groups: Mapping[str, Mapping[str, Tensor]]
) -> dict[int, dict[str, Tensor]]:
    """The optimiser's state by parameter, laid out in memory as the parameters are."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    restored: dict[int, dict[str, Tensor]] = {}
    for index, parameter in enumerate(parameters):
        moments = groups.get(f"optimiser.{index}")
        if moments is None:
            continue
        restored[index] = {
            name: torch.empty_like(parameter, requires_grad=False).copy_(value)
            if value.shape == parameter.shape
            else value
            for name, value in moments.items()
        }
    return restored


@dataclass
class TrainingState:
    """Everything that changes while a model trains.

    Attributes:
        model: current parameters and buffers.
        optimiser: AdamW with its moments.
        step: optimiser steps done.
        best: copy of the model's state at the lowest validation MSE so far.
        best_step: optimiser steps done at that point.
        best_mse: that MSE.
        history: one row per validation.
        sums: sums of the loss terms since the last validation.
        summed: steps in ``sums``.
    """

    model: ExpressionModel
    optimiser: torch.optim.Optimizer
    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    best_step: int = 0
    best_mse: float = math.inf
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    summed: int = 0
