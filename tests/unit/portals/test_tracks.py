"""Portal metadata against the sheets, and the download of one row of the tracks sheet."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from portal_server import PortalServer, Trouble

from prismflow.data.quantification import read_quantification
from prismflow.errors import InputError
from prismflow.plan.downloads import TRACK_KEYS
from prismflow.portals import encode, fourdn
from prismflow.portals.metadata import same_assembly
from prismflow.portals.tracks import download_track, row_of
from prismflow.settings.cell_labels import label_tracks
from prismflow.settings.tracks import read_cells

BIGWIG = bytes.fromhex("26fc8f88") + bytes(range(256)) * 40
HIC = b"HIC\x00" + bytes(range(256)) * 40
SETTINGS = {
    "connect_timeout_s": 2, "read_timeout_s": 1, "attempts": 2, "backoff_s": 0.01,
}  # fmt: skip
SHEET = "# accessions\ncell\tmodality\tportal\taccession\nK562\tdnase\tencode\tENCFF000BBB\n"


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


@pytest.fixture
def portal(monkeypatch) -> Iterator[PortalServer]:
    for name in (fourdn.KEY_VARIABLE, fourdn.SECRET_VARIABLE, "PRISMFLOW_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with PortalServer() as server:
        monkeypatch.setenv(encode.URL_VARIABLE, server.url)
        monkeypatch.setenv(fourdn.URL_VARIABLE, server.url + "/")
        yield server


@pytest.fixture
def run(tmp_path: Path):
    sheet = tmp_path / "tracks.tsv"
    sheet.write_text(SHEET)

    def call(**changes: object) -> dict:
        track = {
            "sheet": str(sheet), "cell": "K562", "modality": "dnase", "portal": "encode",
            "accession": "ENCFF000BBB", "url": "", "md5": "", "size_bytes": None,
            "assembly": "GRCh38", "biosample": "K562", "format": "bigwig", "extension": "bw",
        } | changes  # fmt: skip
        file, record = tmp_path / "out" / "file.bw", tmp_path / "out" / "file.bw.json"
        settings = SETTINGS
        download_track(track, file, record, settings, tmp_path / "parts")
        return json.loads(record.read_text()) | {"bytes": file.read_bytes()}

    call.sheet = sheet
    call.out = tmp_path / "out"
    call.parts = tmp_path / "parts"
    return call


def encode_file(portal: PortalServer, body: bytes = BIGWIG, **fields: object) -> None:
    about = {
        "accession": "ENCFF000BBB", "md5sum": md5(body), "file_size": len(body),
        "assembly": "GRCh38", "output_type": "read-depth normalized signal", "status": "released",
        "biosample_ontology": {"term_name": "K562"}, "file_format": "bigWig",
    } | fields  # fmt: skip
    about = {key: value for key, value in about.items() if value is not None}
    portal.serve("/files/ENCFF000BBB/?format=json", json.dumps(about).encode())
    portal.serve("/files/ENCFF000BBB/@@download/ENCFF000BBB.bigWig", body)


def fourdn_file(portal: PortalServer, needs=None, **fields: object) -> None:
    about = {
        "accession": "4DNFI000CCC", "md5sum": md5(HIC), "file_size": len(HIC),
        "genome_assembly": "GRCh38", "file_type": "contact matrix", "status": "released",
        "track_and_facet_info": {"biosource_name": "K562 (Tier 2)"},
        "file_format": {"display_title": "hic"},
    } | fields  # fmt: skip
    portal.serve(
        "/files-processed/4DNFI000CCC/?format=json", json.dumps(about).encode(), needs=needs
    )
    portal.serve("/files-processed/4DNFI000CCC/@@download/4DNFI000CCC.hic", HIC, needs=needs)


HIC_TRACK = {
    "portal": "4dn", "accession": "4DNFI000CCC", "format": "hic", "extension": "hic",
}  # fmt: skip


def test_encode_file_with_metadata(portal, run):
    encode_file(portal)
    record = run()
    assert record["bytes"] == BIGWIG and record["md5"] == md5(BIGWIG)
    assert record["output_type"] == "read-depth normalized signal"
    assert record["biosample"] == "K562" and record["assembly"] == "GRCh38"
    assert record["portal"] == "encode" and record["accession"] == "ENCFF000BBB"


def test_record_has_no_clock_in_it(portal, run):
    encode_file(portal)
    run()
    first = (run.out / "file.bw.json").read_bytes()
    run()
    assert (run.out / "file.bw.json").read_bytes() == first


def test_wrong_assembly_names_both(portal, run):
    encode_file(portal, assembly="hg19")
    with pytest.raises(InputError, match=r"line 3: expected assembly GRCh38 .* is hg19"):
        run()
    assert not run.out.exists(), "the file itself is not even asked for"


def test_wrong_biosample_names_both(portal, run):
    encode_file(portal, biosample_ontology={"term_name": "HepG2"})
    with pytest.raises(InputError, match=r"expected biosample K562 .* is 'HepG2'"):
        run()


@pytest.mark.parametrize(
    ("accepted", "said"),
    [("H1|H1-hESC", "H1-hESC (Tier 1)"), ("GM12878", "gm12878"), ("", "anything")],
)
def test_names_of_a_biosample(portal, run, accepted, said):
    encode_file(portal, biosample_ontology={"term_name": said})
    assert run(biosample=accepted)["biosample"] == said


def test_md5_of_the_sheet_against_the_portal(portal, run):
    encode_file(portal)
    with pytest.raises(InputError, match=f"expected md5 {'a' * 32} .* says {md5(BIGWIG)}"):
        run(md5="a" * 32)
    with pytest.raises(InputError, match=r"expected 5 bytes .* says 10244"):
        run(size_bytes=5)


def test_file_that_differs_from_its_metadata(portal, run):
    encode_file(portal)
    portal.files["/files/ENCFF000BBB/@@download/ENCFF000BBB.bigWig"].body = BIGWIG[:-1] + b"x"
    with pytest.raises(InputError, match=f"md5: expected {md5(BIGWIG)}, found"):
        run()


def test_absent_fields_are_tolerated_and_said(portal, run, caplog):
    encode_file(
        portal, md5sum=None, file_size=None, assembly=None, biosample_ontology="/types/EFO_1/"
    )
    with caplog.at_level(logging.WARNING, "prismflow"):
        record = run()
    assert record["assembly"] == "" and record["biosample"] == ""
    assert "names no assembly" in caplog.text and "names no biosample" in caplog.text


@pytest.mark.parametrize("document", ["[]", "null", '{"md5sum": 3, "file_size": "12"}'])
def test_strange_metadata_documents(document):
    assert encode.read_facts(json.loads(document)) == encode.read_facts({})
    assert fourdn.read_facts(json.loads(document)) == fourdn.read_facts({})


def test_unknown_accession_names_the_row(portal, run):
    with pytest.raises(InputError, match=r"ENCFF000BBB \(.*tracks.tsv, line 3\).*404"):
        run()


def test_metadata_that_cannot_be_read_needs_an_md5(portal, run, caplog):
    encode_file(portal)
    about = portal.files["/files/ENCFF000BBB/?format=json"]
    about.troubles = [Trouble(status=500)] * 4
    with pytest.raises(InputError, match=r"metadata could not be read: .* 500"):
        run()
    with caplog.at_level(logging.WARNING, "prismflow"):
        assert run(md5=md5(BIGWIG))["bytes"] == BIGWIG
    assert "the md5 of the sheet is checked" in caplog.text
    about.body = b"<html>maintenance</html>"
    with pytest.raises(InputError, match="the reply is not JSON"):
        run(url="")


def test_metadata_is_read_again_after_503(portal, run):
    encode_file(portal)
    portal.files["/files/ENCFF000BBB/?format=json"].troubles = [Trouble(status=503)]
    assert run()["bytes"] == BIGWIG


def test_offline_with_everything_kept(portal, run, monkeypatch):
    encode_file(portal)
    run()
    asked = len(portal.asked)
    monkeypatch.setenv("PRISMFLOW_OFFLINE", "1")
    assert run()["output_type"] == "read-depth normalized signal"
    assert len(portal.asked) == asked
    for path in run.parts.iterdir():
        path.unlink()
    with pytest.raises(InputError, match="the network is switched off"):
        run()


def test_4dn_without_a_key_takes_the_public_copy(portal, run):
    public = portal.serve("/bucket/4DNFI000CCC.hic", HIC)
    fourdn_file(portal, open_data_url=public)
    portal.files["/files-processed/4DNFI000CCC/@@download/4DNFI000CCC.hic"].needs = ("a", "b")
    record = run(**HIC_TRACK)
    assert record["url"] == public and record["output_type"] == "contact matrix"
    assert record["biosample"] == "K562 (Tier 2)"


def test_4dn_key_from_the_environment_is_never_shown(portal, run, monkeypatch, caplog):
    monkeypatch.setenv(fourdn.KEY_VARIABLE, "KEYID")
    monkeypatch.setenv(fourdn.SECRET_VARIABLE, "s3cret")
    fourdn_file(portal, needs=("KEYID", "s3cret"))
    with caplog.at_level(logging.DEBUG, "prismflow"):
        record = run(**HIC_TRACK)
    sent = base64.b64encode(b"KEYID:s3cret").decode()
    assert {asked.authorization for asked in portal.asked} == {f"Basic {sent}"}
    record.pop("bytes")
    kept = "".join(path.read_text() for path in run.parts.glob("*.json"))
    for text in (caplog.text, str(record), kept):
        assert "s3cret" not in text and "KEYID" not in text and sent not in text


def test_4dn_refusal_says_how_to_give_a_key(portal, run, monkeypatch):
    fourdn_file(portal, needs=("a", "b"))
    with pytest.raises(InputError, match="PRISMFLOW_4DN_KEY_ID and PRISMFLOW_4DN_SECRET"):
        run(**HIC_TRACK)
    monkeypatch.setenv(fourdn.KEY_VARIABLE, "KEYID")
    with pytest.raises(InputError, match=r"found only PRISMFLOW_4DN_KEY_ID; set the other"):
        run(**HIC_TRACK)


def test_plain_url_needs_no_portal(portal, run):
    url = portal.serve("/mirror/file.bw", BIGWIG)
    record = run(portal="url", accession="", url=url)
    assert record["bytes"] == BIGWIG and record["output_type"] == ""


def test_url_of_the_sheet_comes_before_the_portal(portal, run):
    encode_file(portal)
    url = portal.serve("/mirror/file.bw", BIGWIG)
    assert run(url=url)["url"] == url


def test_row_of_finds_the_line(run):
    assert row_of(run.sheet, {"cell": "K562", "modality": "dnase"}).endswith("tracks.tsv, line 3")
    assert row_of(run.sheet, {"cell": "X", "modality": "y"}).endswith("row X / y")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("hg38", "GRCh38", True), ("GRCh38", "grch38", True), ("hg19", "GRCh38", False)],
)
def test_same_assembly(one, other, same):
    assert same_assembly(one, other) is same


def test_addresses_by_default(monkeypatch):
    monkeypatch.delenv(encode.URL_VARIABLE, raising=False)
    monkeypatch.delenv(fourdn.URL_VARIABLE, raising=False)
    assert encode.file_url("ENCFF465GBD", "bw") == (
        "https://www.encodeproject.org/files/ENCFF465GBD/@@download/ENCFF465GBD.bigWig"
    )
    assert encode.file_url("ENCFF1", "narrowPeak.gz").endswith("ENCFF1.bed.gz")
    assert fourdn.file_url("4DNFITUOMFUQ", "hic") == (
        "https://data.4dnucleome.org/files-processed/4DNFITUOMFUQ/@@download/4DNFITUOMFUQ.hic"
    )


def test_a_gene_quantification_of_a_cell_is_downloaded_by_its_accession(
    portal: PortalServer, tmp_path: Path
) -> None:
    header = "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM"
    body = f"{header}\nG1\tT\t9\t9\t1\t7\n".encode()
    about = {"accession": "ENCFF934YBO", "md5sum": md5(body), "file_size": len(body),
             "status": "released", "biosample_ontology": {"term_name": "K562"}}  # fmt: skip
    portal.serve("/files/ENCFF934YBO/?format=json", json.dumps(about).encode())
    portal.serve("/files/ENCFF934YBO/@@download/ENCFF934YBO.tsv", body)
    sheet = tmp_path / "cells.tsv"
    sheet.write_text("cell\tlabels\nK562\tENCFF934YBO\n")
    row = read_cells(str(sheet))
    ((path, track),) = label_tracks(row).items()
    asked = {**{key: getattr(track, key) for key in TRACK_KEYS}, "sheet": str(sheet),
             "format": track.format, "extension": "tsv", "biosample": "K562"}  # fmt: skip
    download_track(asked, tmp_path / path, tmp_path / f"{path}.json", SETTINGS, tmp_path / "parts")
    found, _ = read_quantification(tmp_path / path, {})
    assert found.to_dict() == {"G1": 7.0}
