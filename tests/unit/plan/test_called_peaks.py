"""Peaks that are called from a bigWig: what the rule reads, and the sheet that names them."""

from __future__ import annotations

from pathlib import Path

from planned import wildcards

from prismflow.plan.called_peaks import CalledPeaksPlan

DNASE = {cell: f"resources/demo/{cell}.dnase.bw" for cell in ("simA", "simB")}


def test_the_rule_reads_track_and_control_and_depends_on_share_and_floor(files) -> None:
    entries = {
        "one": {"track": DNASE["simA"], "top_share": 0.1, "floor": 2.0},
        "two": {"track": DNASE["simA"], "control": DNASE["simB"]},
    }
    asked = CalledPeaksPlan(files.plan(called_peaks=entries))
    one, two = wildcards(called="one"), wildcards(called="two")
    assert (asked.track(one), asked.control(one)) == (DNASE["simA"], [])
    assert (asked.track(two), asked.control(two)) == (DNASE["simA"], DNASE["simB"])
    assert asked.options(one) == {"top_share": 0.1, "floor": 2.0}
    assert asked.options(two) == {"top_share": None, "floor": 0.0}


def test_called_peaks_are_a_track_that_need_not_be_there_yet(files) -> None:
    sheet = Path("config/demo/tracks.tsv")
    made = "resources/called_peaks/simB.narrowPeak"
    text = sheet.read_text()
    Path("tracks.tsv").write_text(text.replace("resources/demo/simB.dnase_peaks.narrowPeak", made))
    plan = files.plan(
        called_peaks={"simB": {"track": DNASE["simB"], "top_share": 0.1}},
        sheets={"tracks": "tracks.tsv"},
    )
    assert plan.config.tracks["simB", "peaks"].path == made
