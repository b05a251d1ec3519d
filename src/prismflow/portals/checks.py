"""Is it what was asked for? First bytes, size and digests of a downloaded file."""

from __future__ import annotations

from prismflow.portals.network import Wanted

#: Number of first bytes that the check looks at.
HEAD_BYTES = 512

_MAGIC: dict[str, tuple[bytes, ...]] = {
    "bigwig": (bytes.fromhex("26fc8f88"), bytes.fromhex("888ffc26")),
    "hic": (b"HIC\x00",),
    "cool": (b"\x89HDF\r\n\x1a\n",),
    "mcool": (b"\x89HDF\r\n\x1a\n",),
    "hdf5": (b"\x89HDF\r\n\x1a\n",),
    "gzip": (b"\x1f\x8b",),
    "zip": (b"PK\x03\x04",),
    "fasta": (b">",),
}
_SUFFIXES = {
    ".gz": "gzip", ".bgz": "gzip", ".zip": "zip", ".h5": "hdf5", ".bw": "bigwig",
    ".bigwig": "bigwig", ".hic": "hic", ".cool": "cool", ".mcool": "mcool", ".fa": "fasta",
    ".fasta": "fasta", ".txt": "text", ".csv": "text", ".tsv": "text", ".bed": "text",
    ".json": "text",
}  # fmt: skip


def format_of(name: str) -> str:
    """The format that a file name promises; ``any`` if it promises none."""
    suffix = "." + name.rsplit(".", 1)[-1].lower() if "." in name else ""
    return _SUFFIXES.get(suffix, "any")


def is_html(head: bytes, content_type: str = "") -> bool:
    """Whether a reply is a web page in place of data."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html")) or content_type.lower().startswith(
        "text/html"
    )


def wrong_start(head: bytes, file_format: str, content_type: str = "") -> str:
    """What is wrong with the first bytes of a file, as words; empty if nothing is."""
    if is_html(head, content_type):
        return "a web page (HTML)"
    magic = _MAGIC.get(file_format)
    if magic and not head.startswith(magic):
        return f"a file that starts with {head[:8]!r}"
    if file_format == "text" and b"\x00" in head:
        return "binary data in place of text"
    return ""


def wrong_content(wanted: Wanted, size: int, md5: str, sha256: str) -> str:
    """Which of size and digests differ, as words with both sides; empty if all agree."""
    problems = []
    if wanted.size_bytes is not None and size != wanted.size_bytes:
        problems.append(f"size: expected {wanted.size_bytes} bytes, found {size}")
    if wanted.md5 and md5 != wanted.md5.lower():
        problems.append(f"md5: expected {wanted.md5.lower()}, found {md5}")
    if wanted.sha256 and sha256 != wanted.sha256.lower():
        problems.append(f"sha256: expected {wanted.sha256.lower()}, found {sha256}")
    return "; ".join(problems)
