"""The download client against a server that misbehaves."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import socket
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from portal_server import PortalServer, Trouble

from prismflow.errors import InputError
from prismflow.portals import partial
from prismflow.portals.client import download
from prismflow.portals.network import Network, Wanted, human_bytes, human_time

BODY = np.random.default_rng(7).bytes(300_000)
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Network(
    connect_timeout_s=2, read_timeout_s=0.4, attempts=3, backoff_s=0.01, max_backoff_s=0.02
)


@pytest.fixture
def server() -> Iterator[PortalServer]:
    with PortalServer() as running:
        yield running


@pytest.fixture
def bring(tmp_path: Path):
    """Download to tmp_path/out/file; the kept bytes stand in tmp_path/parts."""

    def run(*urls: str, network: Network = QUICK, **options: object) -> dict:
        wanted = Wanted("ENCFF000AAA", "config/tracks.tsv, line 2", urls, **options)
        return download(wanted, tmp_path / "out" / "file", network, tmp_path / "parts")

    run.target = tmp_path / "out" / "file"
    run.parts = tmp_path / "parts"
    return run


def kept_bytes(bring) -> int:
    return sum(path.stat().st_size for path in bring.parts.glob("*.part"))


def nothing_in_place(bring) -> bool:
    folder = bring.target.parent
    return not folder.exists() or not list(folder.iterdir())


def test_plain_download_is_whole_and_recorded(server, bring):
    url = server.serve("/file", BODY)
    record = bring(url, md5=MD5, sha256=SHA256, size_bytes=len(BODY))
    assert bring.target.read_bytes() == BODY
    assert record["md5"] == MD5 and record["sha256"] == SHA256
    assert record["size_bytes"] == len(BODY) and record["etag"] == '"v1"' and record["url"] == url


def test_503_then_fine(server, bring, caplog):
    troubles = [Trouble(status=503), Trouble(status=429, headers={"Retry-After": "0"})]
    url = server.serve("/file", BODY, *troubles)
    with caplog.at_level(logging.WARNING, "prismflow"):
        bring(url)
    assert bring.target.read_bytes() == BODY
    assert [asked.status for asked in server.asked] == [503, 429, 200]
    assert "503" in caplog.text and "next attempt" in caplog.text


def test_503_for_ever_gives_up(server, bring):
    url = server.serve("/file", BODY, *[Trouble(status=503)] * 9)
    with pytest.raises(InputError, match=r"503 .*\(3 attempts\)"):
        bring(url)
    assert len(server.asked) == 3 and nothing_in_place(bring)


def test_cut_in_mid_file_resumes_where_it_stopped(server, bring):
    url = server.serve("/file", BODY, Trouble(cut_after=100_000), Trouble(cut_after=50_000))
    bring(url, md5=MD5)
    assert bring.target.read_bytes() == BODY
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert sum(asked.sent for asked in server.asked) == len(BODY)


def test_a_later_run_resumes_too(server, bring):
    url = server.serve("/file", BODY, Trouble(cut_after=100_000), *[Trouble(status=503)] * 3)
    with pytest.raises(InputError, match=r"100\.0 kB are kept, start again to go on from there"):
        bring(url)
    assert nothing_in_place(bring) and kept_bytes(bring) == 100_000
    server.asked.clear()
    server.files["/file"].troubles.clear()
    bring(url, md5=MD5)
    assert bring.target.read_bytes() == BODY
    assert [asked.range for asked in server.asked] == ["bytes=100000-"]


def test_cut_without_a_length_is_noticed_by_size(server, bring):
    url = server.serve("/file", BODY, Trouble(cut_after=1000), length=False)
    with pytest.raises(InputError, match=r"size: expected 300000 bytes, found 1000"):
        bring(url, size_bytes=len(BODY))
    assert nothing_in_place(bring)


def test_server_that_ignores_range_starts_anew(server, bring, caplog):
    url = server.serve("/file", BODY, Trouble(cut_after=100_000), ranges=False)
    with caplog.at_level(logging.INFO, "prismflow"):
        bring(url, md5=MD5)
    assert bring.target.read_bytes() == BODY
    assert [asked.status for asked in server.asked] == [200, 200]
    assert "can't resume; starting anew" in caplog.text


@pytest.mark.parametrize("if_range", [True, False])
def test_another_version_of_the_file_starts_anew(server, bring, if_range):
    url = server.serve("/file", BODY[::-1], Trouble(cut_after=100_000), *[Trouble(status=503)] * 3)
    with pytest.raises(InputError):
        bring(url)
    server.serve("/file", BODY, etag='"v2"', if_range=if_range)
    bring(url)
    assert bring.target.read_bytes() == BODY, "bytes of two versions must never be mixed"


def test_without_validator_and_digest_nothing_is_resumed(server, bring):
    url = server.serve("/file", BODY, Trouble(cut_after=100_000), etag='W/"weak"')
    state = Network(**{**QUICK.__dict__, "attempts": 1})
    with pytest.raises(InputError):
        bring(url, network=state)
    (path,) = bring.parts.glob("*.json")
    path.write_text(json.dumps({"url": url, "etag": 'W/"weak"', "total": len(BODY)}))
    server.asked.clear()
    bring(url)
    assert [asked.range for asked in server.asked] == [None]
    assert bring.target.read_bytes() == BODY


def test_wrong_md5_is_refused_with_both_sums(server, bring):
    url = server.serve("/file", BODY)
    with pytest.raises(InputError, match=f"md5: expected {'0' * 32}, found {MD5}") as caught:
        bring(url, md5="0" * 32)
    assert "ENCFF000AAA (config/tracks.tsv, line 2)" in str(caught.value)
    assert nothing_in_place(bring) and kept_bytes(bring) == 0


def test_wrong_bytes_of_an_earlier_session_get_one_clean_try(server, bring):
    url = server.serve("/file", BODY, Trouble(cut_after=100_000), *[Trouble(status=503)] * 3)
    with pytest.raises(InputError):
        bring(url, md5=MD5)
    (part,) = bring.parts.glob("*.part")
    part.write_bytes(bytes(100_000))
    server.files["/file"].troubles.clear()
    bring(url, md5=MD5)
    assert bring.target.read_bytes() == BODY


def test_part_with_all_bytes_is_finished_without_a_transfer(server, bring):
    url = server.serve("/file", BODY)
    bring(url)
    (path,) = bring.parts.glob("*.json")
    path.write_text(json.dumps({"url": url, "etag": '"v1"', "total": len(BODY)}))
    server.asked.clear()
    bring(url, md5=MD5)
    assert [(asked.status, asked.sent) for asked in server.asked] == [(416, 0)]
    assert bring.target.read_bytes() == BODY


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_html_page_in_place_of_a_bigwig_is_refused(server, bring, content_type):
    page = b"\n<!DOCTYPE html><html><body>down for maintenance</body></html>"
    url = server.serve("/file", BODY, Trouble(200, {"Content-Type": content_type}, page))
    with pytest.raises(InputError, match=r"expected a bigwig file, found a web page \(HTML\)"):
        bring(url, format="bigwig")
    assert nothing_in_place(bring) and kept_bytes(bring) == 0


def test_wrong_first_bytes_are_refused_early(server, bring):
    url = server.serve("/file", b"track type=wiggle\n" + BODY)
    with pytest.raises(InputError, match=r"expected a bigwig file, found a file that starts with"):
        bring(url, format="bigwig")
    assert nothing_in_place(bring)


def test_404_names_accession_and_row(server, bring):
    with pytest.raises(InputError, match=r"no such file \(404\)") as caught:
        bring(f"{server.url}/absent")
    assert "ENCFF000AAA" in str(caught.value) and "config/tracks.tsv, line 2" in str(caught.value)
    assert len(server.asked) == 1, "a final answer is not asked for again"


def test_redirect_to_another_host_carries_no_credentials(server, bring, caplog):
    with PortalServer("127.0.0.2") as bucket:
        there = bucket.serve("/bucket/file?token=abc", BODY, Trouble(cut_after=100_000))
        redirect = Trouble(302, {"Location": there})
        url = server.serve("/file", b"", *[redirect] * 3, needs=("key", "s3cret"))
        host = url.split("/")[2]
        with caplog.at_level(logging.DEBUG, "prismflow"):
            record = bring(url, md5=MD5, credentials={host: ("key", "s3cret")})
        assert bring.target.read_bytes() == BODY
        assert all(asked.authorization for asked in server.asked)
        assert [asked.authorization for asked in bucket.asked] == [None, None]
        assert [asked.range for asked in bucket.asked] == [None, "bytes=100000-"]
    kept = "".join(path.read_text() for path in bring.parts.glob("*.json"))
    for secret in ("s3cret", "token=abc"):
        assert secret not in caplog.text + kept + str(record)


def test_credentials_are_not_shown_by_wanted():
    assert "s3cret" not in repr(Wanted("x", "y", (), credentials={"h": ("key", "s3cret")}))


def test_refused_access_gives_the_advice(server, bring):
    url = server.serve("/file", BODY, needs=("key", "secret"))
    with pytest.raises(InputError, match=r"refuses access \(403\); set the key"):
        bring(url, advice="set the key")


def test_stalled_transfer_times_out_and_keeps_its_progress(server, bring, caplog):
    stall = Trouble(pause_s=3, pause_every=100_000)
    url = server.serve("/file", BODY, stall)
    with caplog.at_level(logging.WARNING, "prismflow"):
        bring(url, md5=MD5)
    assert bring.target.read_bytes() == BODY
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-"]
    assert "broke off" in caplog.text


def test_crawling_transfer_is_broken_off(server, bring):
    crawl = Trouble(pause_s=0.05, pause_every=10)
    url = server.serve("/file", BODY, *[crawl] * 9)
    with pytest.raises(InputError, match=r"crawls .* are kept, start again"):
        bring(url)
    starts = [int((asked.range or "bytes=0-")[6:-1]) for asked in server.asked]
    assert len(starts) == 3 and 0 == starts[0] < starts[1] < starts[2]
    assert kept_bytes(bring) > starts[2] and nothing_in_place(bring)


def test_no_server_at_all(bring):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=r"no connection to 127\.0\.0\.1.*is this machine on a"):
        bring(f"http://127.0.0.1:{port}/file")


def test_address_without_scheme(bring):
    with pytest.raises(InputError, match="scheme"):
        bring("www.example.org/file")


@pytest.mark.parametrize("start", ["http://", "ftp://", "file://"])
def test_only_https_leaves_this_machine(bring, start):
    with pytest.raises(InputError, match="is not https; use one that is"):
        bring(f"{start}www.example.org/file")


def test_a_redirect_to_plain_http_is_refused(server, bring):
    url = server.serve("/file", b"", Trouble(302, {"Location": "http://www.example.org/file"}))
    with pytest.raises(InputError, match="one that it leads to, is not https"):
        bring(url)


def test_full_disk_is_noticed_before_the_transfer(server, bring, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    url = server.serve("/file", BODY)
    with pytest.raises(InputError, match=r"is full: 300\.0 kB more needed, 1\.0 kB free"):
        bring(url)
    assert nothing_in_place(bring)


def test_full_disk_during_the_transfer_keeps_the_bytes(server, bring, monkeypatch):
    usual = partial.Part.appending

    def full(self):
        manager = usual(self)

        class Full:
            def __enter__(self):
                append, done = manager.__enter__(), [0]

                def limited(block):
                    if done[0] + len(block) > 100_000:
                        append(block[: 100_000 - done[0]])
                        raise OSError(28, "No space left on device")
                    done[0] += len(block)
                    append(block)

                return limited

            def __exit__(self, *error):
                return manager.__exit__(*error)

        return Full()

    monkeypatch.setattr(partial.Part, "appending", full)
    url = server.serve("/file", BODY)
    with pytest.raises(InputError, match=r"is full: 200\.0 kB more needed"):
        bring(url)
    assert kept_bytes(bring) == 100_000 and nothing_in_place(bring)
    monkeypatch.setattr(partial.Part, "appending", usual)
    bring(url, md5=MD5)
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-"]


def bring_at_once(urls: list[str], tmp_path: Path, network: Network) -> list[Path]:
    """One job per address; locks hold between open files, so threads stand for processes."""
    targets = [tmp_path / f"target{number}" for number in range(len(urls))]

    def one(url: str, target: Path) -> None:
        download(Wanted("x", "row", (url,)), target, network, tmp_path / "parts")

    with ThreadPoolExecutor(len(urls)) as pool:
        list(pool.map(one, urls, targets))
    return targets


def test_two_jobs_wanting_one_file_transfer_it_once(server, tmp_path):
    url = server.serve("/file", BODY, Trouble(pause_s=0.1, pause_every=60_000))
    for target in bring_at_once([url, url], tmp_path, Network()):
        assert target.read_bytes() == BODY
    assert len(server.asked) == 1


def test_a_filesystem_without_locks_of_its_own_serves_too(server, tmp_path, monkeypatch):
    """Some clusters mount Lustre without flock, which then answers ENOSYS."""

    def missing(descriptor, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    url = server.serve("/file", BODY, Trouble(pause_s=0.1, pause_every=60_000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        targets = bring_at_once([url, url], tmp_path, Network())
    assert [target.read_bytes() for target in targets] == [BODY, BODY]
    assert len(server.asked) == 1


def test_a_host_gets_no_more_than_its_share_of_downloads(server, tmp_path):
    slow = [Trouble(pause_s=0.05, pause_every=100_000)]
    urls = [server.serve(f"/file{number}", BODY, *slow) for number in range(3)]
    bring_at_once(urls, tmp_path, Network(per_host=1))
    assert server.most_at_once == 1 and len(server.asked) == 3


def test_mirror_is_tried_next_and_its_bytes_are_its_own(server, bring):
    first = server.serve("/first", BODY, *[Trouble(cut_after=1000)] + [Trouble(status=500)] * 9)
    second = server.serve("/second", BODY)
    record = bring(first, second, md5=MD5)
    assert record["url"] == second and bring.target.read_bytes() == BODY
    with pytest.raises(InputError, match=r"absent.*404.*\| .*second.*md5: expected"):
        bring(f"{server.url}/absent", second, md5="1" * 32)


def test_offline_says_so_and_opens_no_connection(server, bring, monkeypatch):
    url = server.serve("/file", BODY)
    monkeypatch.setenv("PRISMFLOW_OFFLINE", "1")
    network = Network.from_settings({})
    assert network.offline
    with pytest.raises(InputError, match=r"network is switched off .*PRISMFLOW_OFFLINE"):
        bring(url, network=network)
    assert server.asked == []
    monkeypatch.setenv("PRISMFLOW_OFFLINE", "yes")
    with pytest.raises(InputError, match="expected 0 or 1, found 'yes'"):
        Network.from_settings({})


def test_checked_copy_serves_a_rerun_without_network(server, bring):
    url = server.serve("/file", BODY)
    bring(url)
    bring.target.unlink()
    server.asked.clear()
    record = bring(url, md5=MD5, network=Network(offline=True))
    assert bring.target.read_bytes() == BODY and record["md5"] == MD5 and server.asked == []
    with pytest.raises(InputError, match="switched off"):
        bring(url, md5="2" * 32, network=Network(offline=True))


def test_file_replaced_in_place_is_not_taken_for_the_checked_copy(server, bring):
    url = server.serve("/file", BODY)
    bring(url)
    bring.target.write_bytes(bytes(len(BODY)))
    os.utime(bring.target, ns=(1, 1))
    bring(url, md5=MD5)
    assert bring.target.read_bytes() == BODY


def test_without_hard_links_the_file_is_copied(server, bring, monkeypatch):
    def refuse(*args):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    bring(server.serve("/file", BODY), md5=MD5)
    assert bring.target.read_bytes() == BODY and kept_bytes(bring) == 0


def test_gz_file_is_not_unpacked_on_the_way(server, bring):
    import gzip

    body = gzip.compress(b">chr1\nACGT\n", mtime=0)
    url = server.serve("/a.fa.gz", body, headers={"Content-Encoding": "gzip"})
    bring(url, format="gzip")
    assert bring.target.read_bytes() == body
    bring.target.unlink()
    plain = server.serve("/b.txt", body, headers={"Content-Encoding": "gzip"})
    bring(plain, format="text")
    assert bring.target.read_bytes() == b">chr1\nACGT\n"


def test_progress_lines_name_share_and_rate(server, bring, caplog):
    url = server.serve("/file", BODY, Trouble(pause_s=0.03, pause_every=50_000))
    network = Network(**{**QUICK.__dict__, "progress_s": 0.0})
    with caplog.at_level(logging.INFO, "prismflow"):
        bring(url, network=network)
    assert re.search(r"kB of 300\.0 kB \(\d+ %\), .* left, .* per second", caplog.text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(5, "5 bytes"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"), (3.21e10, "32.1 GB")],
)
def test_human_bytes(size, text):
    assert human_bytes(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (180, "3 min"), (7500, "2 h 5 min")])
def test_human_time(seconds, text):
    assert human_time(seconds) == text
