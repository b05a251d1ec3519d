"""What a track's file is by its content, and whether the sheet or the name say something else.

The content decides how a file is read. The sheet's ``format``, or where it gives none the end of
the file's name, is a promise: a file of another format is refused with both sides, because one of
them is not what was meant. Whether a text is packed is never read from a name.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from prismflow.errors import InputError
from prismflow.rows import read_text, suffix_of

BIGWIG = (bytes.fromhex("26fc8f88"), bytes.fromhex("888ffc26"))
_BIGBED = (bytes.fromhex("ebf28987"), bytes.fromhex("8789f2eb"))
_NARROW, _BROAD = 10, 9
#: Share of the lines that make a file with ten columns a narrowPeak with a few wrong lines.
_MOST = 0.9
_TEXTS = ("bed", "narrowpeak", "broadpeak")
#: What a promise may be kept by: every peak file is a BED too.
_FITS = {"bed": _TEXTS}
#: End of a file's name -> the format that it promises.
_SUFFIXES = {"bw": "bigwig", "bigwig": "bigwig", "bed": "bed", "narrowpeak": "narrowpeak",
             "broadpeak": "broadpeak", "hic": "hic", "cool": "cool", "mcool": "mcool"}  # fmt: skip
#: Format -> its name as people write it.
NAMES = {"bigwig": "bigWig", "bigbed": "bigBed", "bed": "BED", "narrowpeak": "narrowPeak",
         "broadpeak": "broadPeak", "bedgraph": "bedGraph (text)", "wiggle": "wiggle (text)",
         "hic": ".hic", "cool": ".cool", "mcool": ".mcool", "hdf5": "HDF5"}  # fmt: skip
_ADVICE = {"bedgraph": "make a bigWig of it with bedGraphToBigWig",
           "wiggle": "make a bigWig of it with wigToBigWig",
           "bigbed": "make a BED of it with bigBedToBed"}  # fmt: skip


def data_lines(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """Line number (from 1) and fields of every line of a BED-like text that holds an interval.

    Raises:
        InputError: no such file, or no text.
    """
    for number, line in enumerate(read_text(path, "a BED file").split("\n"), start=1):
        if line and not line.startswith(("#", "track", "browser")):
            yield number, [field.strip().strip('"') for field in line.split("\t")]


def kind_of_head(path: str | Path) -> str:
    """Format by the first bytes; ``""`` for text of intervals and what is not known.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with open(path, "rb") as stream:
        head = stream.read(4096)
    for name, magics in (("bigwig", BIGWIG), ("bigbed", _BIGBED), ("hic", (b"HIC\0",)),
                         ("hdf5", (b"\x89HDF\r\n\x1a\n",))):  # fmt: skip
        if head.startswith(magics):
            return name
    if head.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(path, "rb") as stream:
                head = stream.read(4096)
        except (OSError, EOFError):
            return ""
    lines = head.decode("latin-1").splitlines()
    for line in lines:
        words = line.lower()
        if words.startswith("track") and "type=bedgraph" in words.replace('"', ""):
            return "bedgraph"
        if words.startswith(("variablestep", "fixedstep")) or "type=wiggle" in words:
            return "wiggle"
    return ""


def peak_format(path: str | Path) -> str:
    """``bigwig``, ``narrowpeak``, ``broadpeak`` or ``bed``, by the content of a file of peaks.

    Ten columns with a score, a strand, three numbers and a summit inside the peak (or -1) are a
    narrowPeak, nine of the same kind without the summit a broadPeak.

    Raises:
        InputError: another kind of file; a narrowPeak with lines that are none.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected peaks, found no such file.")
    head = kind_of_head(path)
    if head:
        if head != "bigwig":
            raise InputError(
                f"{path}: expected peaks as BED, narrowPeak, broadPeak or bigWig, found "
                f"{_a(head)}; {_ADVICE.get(head, 'give the file that is meant')}."
            )
        return head
    n_lines, narrow, broad, first_wrong = 0, 0, 0, None
    widths = set()
    for number, fields in data_lines(path):
        n_lines += 1
        widths.add(len(fields))
        fits = len(fields) == _NARROW and _is_narrow(fields)
        narrow += fits
        broad += len(fields) == _BROAD and _is_broad(fields)
        if not fits and first_wrong is None:
            first_wrong = number
    if n_lines and narrow == n_lines:
        return "narrowpeak"
    if widths == {_NARROW} and narrow > _MOST * n_lines:
        raise InputError(
            f"{path} line {first_wrong}: expected a narrowPeak as in the other lines (a summit "
            f"inside its peak or -1 in column 10), found {n_lines - narrow} of {n_lines} lines "
            "without; correct them, or leave column 10 out of all."
        )
    return "broadpeak" if n_lines and broad == n_lines else "bed"


def _is_narrow(fields: list[str]) -> bool:
    try:
        width = int(fields[2]) - int(fields[1])
        summit = int(fields[9])
        [float(value) for value in fields[6:9]]
    except ValueError:
        return False
    return fields[5].strip() in ("+", "-", ".") and -1 <= summit <= width


def _is_broad(fields: list[str]) -> bool:
    try:
        start, end = int(fields[1]), int(fields[2])
        first, second, _ = (float(value) for value in fields[6:9])
    except ValueError:
        return False
    # A BED of nine columns has the thick part of its drawing there, and a colour.
    thick = fields[6].isdigit() and fields[7].isdigit() and start <= first <= second <= end
    return fields[5].strip() in ("+", "-", ".") and not thick


def _a(name: str) -> str:
    return f"a {NAMES.get(name, name)}"


def check_promise(path: str | Path, given: str, found: str) -> None:
    """Compare what a file is with the sheet's format, or with its name where there is none.

    Args:
        path: the file.
        given: the sheet's ``format``; empty if the row gives none.
        found: the format by content.

    Raises:
        InputError: they contradict each other.
    """
    promised = given.lower() or _SUFFIXES.get(suffix_of(path), "")
    fits = _FITS.get(promised, (promised,))
    if not given and {promised, found} <= {"cool", "mcool"}:
        return  # read alike, and people name them at will
    if promised and found not in fits:
        source = f"the sheet gives the format {NAMES[promised]}" if given else (
            f"its name ends as that of {_a(promised)}"
        )  # fmt: skip
        raise InputError(
            f"{path}: {source}, the content is {_a(found)}; write format {found} into its row of "
            "the sheet of tracks if that is meant, or give the other file."
        )
