"""How far a trained model looks: input beyond a distance from the TSS is replaced at test time.

After Karollus, Mauermeier and Gagneur (Genome Biol 2023), whose offsets of -43, 0 and +43 bp on
both strands are the test-time average.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from prismflow.data.chromosomes import by_chromosome
from prismflow.data.edited_inputs import EditedInputs, Edits, edited
from prismflow.data.inputs import GeneInputs
from prismflow.data.shifted_inputs import shifted
from prismflow.data.store import ELEMENT_FILES
from prismflow.files import read_tsv
from prismflow.settings.scenarios import Scenario

OFFSETS_BP = (-43, 0, 43)
EXCHANGE_SEED = 20_230_327


def too_near(scenario: Scenario, inputs: GeneInputs) -> str | None:
    """Why a scenario replaces nothing of a model's input, or None."""
    if scenario.strand is not None and (scenario.beyond_bp is not None or scenario.average):
        return "one strand is not combined with replaced or averaged input"
    if scenario.beyond_bp is None or "elements" in inputs.extras:
        return None
    if scenario.beyond_bp < inputs.window_bp // 2:
        return None
    return f"the model's window ends {inputs.window_bp // 2} bp from the TSS"


def replaced_beyond(
    inputs: GeneInputs, scenario: Scenario, rows: np.ndarray
) -> tuple[EditedInputs, np.ndarray]:
    """Inputs whose distant parts are replaced, and their rows, one per gene in the order given.

    Args:
        inputs: as the model reads them.
        scenario: ``beyond_bp``, ``where``, ``inputs`` and ``replace``.
        rows: (k,) rows of the store; an exchange is among them.

    Raises:
        InputError: elements are asked for and the store has none.
    """
    distance = int(scenario.beyond_bp or 0)
    elements = scenario.where == "elements"
    first, start, end = (
        _elements_beyond(inputs, rows, distance) if elements
        else _all_beyond(inputs.window_bp, len(rows), distance)
    )  # fmt: skip
    signals = scenario.inputs != "sequence"
    edits = Edits(
        rows, first, start, end,
        replace=scenario.replace,
        sequence=scenario.inputs != "signals",
        signals=_signals(inputs) if signals else (),
        donors=donors(len(rows)),
        slots=_slots_beyond(inputs, rows, distance),
    )  # fmt: skip
    return edited(inputs, edits), np.arange(len(rows))


def donors(n: int) -> np.ndarray:
    """(n,) with whom each of n genes exchanges; nobody with itself, unless it is alone."""
    order = np.random.default_rng(EXCHANGE_SEED).permutation(n)
    found = np.empty(n, np.int64)
    found[order] = np.roll(order, 1)
    return found


def shifts_and_strands(inputs: GeneInputs) -> Iterator[GeneInputs]:
    """The six views whose predictions are averaged."""
    for offset in OFFSETS_BP:
        for other_strand in (False, True):
            yield shifted(inputs, offset, other_strand)


def _signals(inputs: GeneInputs) -> tuple[str, ...]:
    """All signals, contacts too, and those that features of elements are made from."""
    entry = inputs.store.manifest.get("elements", {})
    named = [*entry.get("activity", ()), entry.get("contacts")]
    return tuple(dict.fromkeys([*inputs.modalities, *(name for name in named if name)]))


def _all_beyond(window_bp: int, n: int, distance: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    centre = window_bp // 2
    near, far = max(centre - distance, 0), min(centre + distance, window_bp)
    start, end = np.tile([0, far], n), np.tile([near, window_bp], n)
    return np.arange(n + 1) * 2, start, end


def _elements_beyond(
    inputs: GeneInputs, rows: np.ndarray, distance: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stretches of the candidates whose centre lies further than ``distance`` from the TSS."""
    store = inputs.store
    store.element_codes(rows[:0])  # refuses a store without elements
    table = read_tsv(store.path / ELEMENT_FILES["table"], dtype={"chrom": str})
    table = table[table["kind"] == "candidate"]
    on = dict(by_chromosome(table["chrom"].to_numpy()))
    starts, ends = table["start"].to_numpy(), table["end"].to_numpy()
    width = inputs.window_bp
    counts, found = [0], []
    chroms, tss = store.genes["chrom"].to_numpy(), store.genes["tss"].to_numpy()
    for row in rows.tolist():
        own = on.get(chroms[row], np.zeros(0, np.int64))
        opening = int(tss[row]) - width // 2
        far = np.abs((starts[own] + ends[own]) // 2 - tss[row]) > distance
        inside = far & (ends[own] > opening) & (starts[own] < opening + width)
        chosen = np.sort(own[inside])
        clipped = np.clip(np.stack([starts[chosen], ends[chosen]]) - opening, 0, width)
        counts.append(clipped.shape[1])
        found.append(clipped)
    spans = np.concatenate(found, axis=1)
    return np.cumsum(counts), spans[0], spans[1]


def _slots_beyond(inputs: GeneInputs, rows: np.ndarray, distance: int) -> np.ndarray | None:
    """(k, P) candidates of the model's own list beyond the distance; the promoter never is."""
    if "elements" not in inputs.extras:
        return None
    there = np.asarray(inputs.store.element_arrays["index"])[rows] >= 0
    far = there & (inputs.store.element_features(rows)[..., 0] * 1000 > distance)
    far[:, 0] = False
    return far
