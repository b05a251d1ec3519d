"""The references sheet, local copies, archives, and that planning opens no network."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from portal_server import PortalServer

from prismflow.errors import InputError
from prismflow.portals.archives import extract_member
from prismflow.portals.reference_files import download_reference, extract_reference
from prismflow.settings.shared_files import check_gene_table, read_references

HEADER = (
    "name", "file", "url", "archive", "member", "path", "md5", "sha256", "size_bytes", "licence",
    "version", "note",
)  # fmt: skip
SETTINGS = {"connect_timeout_s": 2, "read_timeout_s": 1, "attempts": 2, "backoff_s": 0.01}


@pytest.fixture
def sheet(tmp_path: Path):
    def write(*rows: dict[str, str]) -> Path:
        path = tmp_path / "references.tsv"
        with open(path, "w", newline="") as stream:
            writer = csv.DictWriter(stream, HEADER, restval="", delimiter="\t")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


def as_dict(path: Path, name: str) -> dict:
    return json.loads(json.dumps(read_references(path)[name].as_dict()))


def test_the_sheet_of_the_paper_is_sound(root: Path):
    read_references(root / "config" / "released_bundle" / "references.tsv")
    references = read_references(root / "config" / "references.tsv")
    assert references["genome_ucsc"].path == "resources/reference/hg38.fa"
    assert references["expression"].archive == "expression_zip"
    for reference in references.values():
        assert reference.licence and reference.version, reference.name
        assert all(url.startswith("https://") for url in reference.urls)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"name": "a", "file": "a.txt"}], "line 2: expected a `url`, or an `archive`.*neither"),
        (
            [{"name": "a", "file": "a.txt", "url": "https://x", "archive": "b"}],
            "found both of url and archive",
        ),
        ([{"name": "a", "file": "../a", "url": "https://x"}], "file name without folders"),
        (
            [{"name": n, "file": "a.txt", "url": "https://x"} for n in ("a", "b")],
            "line 3: the file 'a.txt' is made already by .*line 2",
        ),
        ([{"name": "a", "file": "a.txt", "archive": "b"}], "name of another row .*found 'b'"),
        (
            [
                {"name": "a", "file": "a.gz", "archive": "b"},
                {"name": "b", "file": "b.gz", "archive": "a"},
            ],
            "leads from 'a' back to 'a'",
        ),
        (
            [{"name": "a", "file": "a.txt", "url": "https://x", "md5": "12"}],
            "32 hexadecimal digits",
        ),
        (
            [{"name": "a", "file": "a.txt", "url": "https://x", "size_bytes": "1e6"}],
            "a whole number",
        ),
        ([{"name": "a", "file": "a.txt", "path": "/absent/file"}], "local copy at /absent/file"),
        (
            [{"name": "released_hic_K562_chr1", "file": "a.h5", "url": "https://x"}],
            "expected a row 'released_chrom_lengths'",
        ),
        ([{"name": "a b", "file": "a.txt", "url": "https://x"}], "expected a reference name"),
        (
            [{"name": "a", "file": "a.txt", "url": "http://user:s3cret@x/a.txt"}],
            r"line 2: expected an address that starts with https://.*, found 'http:\.\.\.'",
        ),
    ],
)
def test_wrong_rows(sheet, rows, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_references(sheet(*rows))
    assert "s3cret" not in str(caught.value)


def test_download_and_record(sheet, tmp_path):
    with PortalServer() as server:
        url = server.serve("/a.csv", b"gene,value\n")
        path = sheet({"name": "a", "file": "a.csv", "url": url, "licence": "MIT", "version": "1"})
        target, record = tmp_path / "a.csv", tmp_path / "a.csv.json"
        download_reference(as_dict(path, "a"), target, record, SETTINGS, tmp_path / "parts")
    assert target.read_bytes() == b"gene,value\n"
    about = json.loads(record.read_text())
    assert about["licence"] == "MIT" and about["size_bytes"] == 11 and about["url"] == url


def test_local_copy_is_linked_after_a_check(sheet, tmp_path):
    local = tmp_path / "mine.fa"
    local.write_text(">chr1\nACGT\n")
    digest = hashlib.md5(local.read_bytes()).hexdigest()
    path = sheet({"name": "a", "file": "a.fa", "path": str(local), "md5": digest})
    target, record = tmp_path / "made" / "a.fa", tmp_path / "made" / "a.fa.json"
    download_reference(as_dict(path, "a"), target, record, {}, tmp_path / "parts")
    assert target.is_symlink() and target.read_text() == ">chr1\nACGT\n"
    download_reference(as_dict(path, "a"), target, record, {}, tmp_path / "parts")
    local.write_text(">chr1\nACGA\n")
    with pytest.raises(
        InputError, match=f"not the file that the row means; md5: expected {digest}"
    ):
        download_reference(as_dict(path, "a"), target, record, {}, tmp_path / "parts")
    local.write_text("<html>")
    with pytest.raises(InputError, match="a web page"):
        download_reference(as_dict(path, "a"), target, record, {}, tmp_path / "parts")


def make_zip(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    return path


def test_member_of_a_zip(tmp_path):
    members = {
        "run/Neighborhoods/GeneList_txt": "genes",
        "run/other_txt": "x",
        "__MACOSX/Neighborhoods/GeneList_txt": "junk",
    }
    archive = make_zip(tmp_path / "a.zip", members)
    target = tmp_path / "out" / "genes.txt"
    name = extract_member(archive, "absent*|*Neighborhoods/GeneList_txt", target, "row")
    assert name == "run/Neighborhoods/GeneList_txt" and target.read_text() == "genes"
    assert [path.name for path in target.parent.iterdir()] == ["genes.txt"]


def test_no_or_several_members(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a_csv": "1", "b_csv": "2"})
    with pytest.raises(InputError, match=r"row: .*found 2; these fit: a_csv, b_csv"):
        extract_member(archive, "*_csv", tmp_path / "x", "row")
    with pytest.raises(InputError, match=r"found none; the archive holds: a_csv, b_csv"):
        extract_member(archive, "*.txt", tmp_path / "x", "row")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "name", ["../climbs.txt", "/etc/absolute.txt", "a/../../b.txt", "..\\w.txt"]
)
def test_path_that_climbs_out_is_refused(tmp_path, name):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("good.txt", "good")
        bundle.writestr(name, "evil")
    with pytest.raises(InputError, match="refused, because it holds the path"):
        extract_member(archive, "good.txt", tmp_path / "out" / "x", "row")
    with pytest.raises(InputError, match="refused"):
        extract_member(archive, "*", tmp_path / "out" / "x", "row")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_links_in_archives_are_refused(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        entry = zipfile.ZipInfo("link.txt")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        bundle.writestr(entry, "/etc/passwd")
    with pytest.raises(InputError, match="is a link, not a file"):
        extract_member(archive, "link.txt", tmp_path / "x", "row")
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as bundle:
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(link)
        plain = tarfile.TarInfo("plain.txt")
        plain.size = 2
        bundle.addfile(plain, io.BytesIO(b"ok"))
    with pytest.raises(InputError, match="is a link, not a file"):
        extract_member(archive, "link.txt", tmp_path / "x", "row")
    extract_member(archive, "plain.txt", tmp_path / "x", "row")
    assert (tmp_path / "x").read_bytes() == b"ok"


def test_gz_and_broken_archives(tmp_path):
    packed = gzip.compress(b">chr1\nACGT\n" * 1000, mtime=0)
    archive = tmp_path / "a.fa.gz"
    archive.write_bytes(packed)
    extract_member(archive, "", tmp_path / "a.fa", "row")
    assert (tmp_path / "a.fa").read_bytes() == b">chr1\nACGT\n" * 1000
    with pytest.raises(InputError, match="expected no `member`"):
        extract_member(archive, "a.fa", tmp_path / "b.fa", "row")
    for content in (packed[:-20], b"<html>", packed[:40] + b"\xff" * 20):
        archive.write_bytes(content)
        with pytest.raises(InputError, match="found a broken one"):
            extract_member(archive, "", tmp_path / "b.fa", "row")
    broken = tmp_path / "b.zip"
    broken.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(InputError, match="found a broken one"):
        extract_member(broken, "*", tmp_path / "b.fa", "row")
    with pytest.raises(InputError, match="expected an archive that ends in"):
        extract_member(tmp_path / "a.rar", "*", tmp_path / "b.fa", "row")
    assert not (tmp_path / "b.fa").exists()


def test_extracted_file_is_checked(sheet, tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a_csv": "gene"})
    path = sheet(
        {"name": "z", "file": "a.zip", "url": "https://x.org/a.zip"},
        {"name": "a", "file": "a.csv", "archive": "z", "member": "a_csv", "md5": "0" * 32},
    )
    with pytest.raises(InputError, match=r"references\.tsv, line 3.*md5: expected 0000"):
        extract_reference(as_dict(path, "a"), archive, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()
    reference = as_dict(path, "a") | {"md5": ""}
    extract_reference(reference, archive, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "gene"


@pytest.mark.parametrize("arguments", [[], ["--configfile", "config/released_bundle.yaml"]])
def test_planning_opens_no_network(root: Path, tmp_path, arguments):
    """No files, every socket forbidden: the plan still stands."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "def refuse(*args, **kwargs):\n"
        "    raise RuntimeError('planning opened the network')\n"
        "socket.socket.connect = refuse\n"
        "socket.create_connection = refuse\n"
        "socket.getaddrinfo = refuse\n"
    )
    work = tmp_path / "work"
    work.mkdir()
    for name in ("config", "rules", "workflow", "envs", "Snakefile"):
        (work / name).symlink_to(root / name)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--cores", "8", "downloads", *arguments],
        cwd=work, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "download_file" in done.stdout + done.stderr


def gene_table(**changes: object) -> dict:
    cell = {"cage": "c", "cage_bigwig": None, "rna": None, "promoter_table": None}
    table = {
        "path": "genes.tsv", "tss": "a", "features": "a", "expression": "a", "splits": None,
        "cells": {"K562": cell, "H1": cell | {"promoter_table": "absent"}},
    } | changes  # fmt: skip
    return {
        "gene_table": table,
        "sheets": {"references": "references.tsv"},
        "run": {"datasets": ["d"]},
        "datasets": {"d": {"genes": {"path": "genes.tsv"}, "cells": ["K562"]}},
    }


def test_gene_table_needs_the_rows_of_its_readers_only(sheet):
    references = read_references(sheet({"name": "a", "file": "a.txt", "url": "https://x"}))
    values = gene_table()
    check_gene_table(values, references, [])
    values["datasets"]["d"]["cells"] = ["K562", "H1"]
    with pytest.raises(InputError, match=r"references\.tsv for promoter_table_H1, found 'absent'"):
        check_gene_table(values, references, [])
    values["datasets"]["d"]["cells"] = ["HepG2"]
    with pytest.raises(InputError, match=r"no columns for cell 'HepG2', only for K562, H1"):
        check_gene_table(values, references, [])
    values["datasets"]["d"]["genes"]["path"] = "other.tsv"
    check_gene_table(values, references, [])
    values = gene_table()
    values["gene_table"]["cells"]["K562"] = values["gene_table"]["cells"]["K562"] | {
        "cage_bigwig": "a"
    }
    with pytest.raises(InputError, match="`cage` or `cage_bigwig`, found both"):
        check_gene_table(values, references, [])
