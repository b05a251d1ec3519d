"""What the planned runs give each claim to compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from planned import DEMO_FULL

from prismflow.plan.claims_request import claims_request
from prismflow.plan.runs import Plan
from prismflow.settings.claims import read_claims


def test_claims_know_their_planned_contrasts(plan: Callable[..., Plan], root: Path) -> None:
    content = read_claims(root / "config" / "claims.yaml")
    found = {c["claim"]: c for c in claims_request(plan(), "demo", content, {"prism": 300})}
    assert "Prism costs 11 thousand parameters more" not in found
    best = found["Prism is best"]
    # Two of nine models, two cells, two seeds; three models' runs.
    assert best["readings"] == [[1.0, -1.0]] * 4 and best["seeds"] == 2
    assert len(best["runs"]) == 3 * 2 * 2
    assert {model for _, model, _ in best["runs"]} == {"prism", "caduceus", "caduceus_signals"}
    # Not planned: no alternative has all of its models.
    assert found["Models rely on background signals more than these are worth"]["readings"] == []
    longer = found["Long inputs do not help"]
    assert all(weights == [1.0, -1.0] for weights in longer["readings"])


def test_a_claim_over_worlds_counts_those_that_it_may_use(
    plan: Callable[..., Plan], root: Path
) -> None:
    content = read_claims(root / "config" / "claims.yaml")
    name = "Adjustment helps where the background is not the cause"

    def planned(*first_last: int) -> dict:
        grid = [{"training": 0.8, "replicates": list(range(*first_last))}]
        made = plan(
            files=DEMO_FULL, experiment_overrides={"confounding": {"options": {"grid": grid}}}
        )
        found = {c["claim"]: c for c in claims_request(made, "demo", content, {"prism": 300})}
        return found[name]

    some = planned(23, 30)
    assert some["readings"] == [[1.0, -1.0]] * 4 and some["worlds"]
    assert (some["seeds"], some["runs"]) == (5, [])
    assert planned(1, 25)["readings"] == []
