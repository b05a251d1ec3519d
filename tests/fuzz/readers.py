"""What the workflow reads from a file, as one digest; for many damaged copies in a child process.

``python readers.py NAME WHOLE FOLDER FIRST LAST`` prints ``number outcome seconds detail`` by line:
``same`` numbers, ``refused`` with a sentence, ``different`` numbers, or ``broken`` with what was
raised in place of a sentence. A reader that crashes ends the process; the caller goes on after it.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mutants import mutant
from samples import LENGTHS, RESOLUTION_BP

from prismflow.errors import InputError

MEMORY_BYTES = 3 << 30


def bigwig(path: Path) -> bytes:
    """Values of every base, after the checks of inspection."""
    from prismflow.data.bigwig import BigWig
    from prismflow.data.bigwig_check import verify_bigwig
    from prismflow.data.chromosomes import check_lengths

    verify_bigwig(path)
    with BigWig(path) as track:
        check_lengths("genome", LENGTHS, path, track.lengths, {c: c for c in track.lengths})
        return b"".join(track.values(c, 0, n).tobytes() for c, n in LENGTHS.items())


def contacts(path: Path) -> bytes:
    """All contacts, after the checks of inspection."""
    from prismflow.data.contact_guard import answer
    from prismflow.data.contacts import ContactFile

    answer(
        {
            "path": str(path), "resolution_bp": RESOLUTION_BP, "normalisation": "NONE",
            "gene_counts": dict.fromkeys(LENGTHS, 1), "chrom_lengths": LENGTHS,
            "genes_source": "genes", "lengths_source": "genome", "chrom_aliases": {},
            "absent_chromosomes": "error", "window_bp": 2000,
        }
    )  # fmt: skip
    file = ContactFile.open(path, RESOLUTION_BP)
    arrays = [array for chrom in LENGTHS for array in file.pixels(chrom, 60)]
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def fasta(path: Path) -> bytes:
    """Codes of every base; the format has no checksum, so they must be those of the damaged text.

    What a second, plain reader finds in the same text decides whether a difference is silent: then
    the whole file's digest is returned.
    """
    from prismflow.data.genome import Genome

    with Genome(path) as genome:
        found = {chrom: genome.chromosome(chrom).tobytes() for chrom in genome.lengths}
    wanted: dict[str, bytearray] = {}
    for line in path.read_bytes().splitlines():
        if line.startswith(b">"):
            wanted[(line[1:].split() or [b""])[0].decode()] = text = bytearray()
        else:
            text.extend(line.strip())
    table = bytes.maketrans(b"ACGTacgt", bytes([0, 1, 2, 3, 0, 1, 2, 3]))
    plain = {
        chrom: bytes(min(code, 4) for code in bytes(text).translate(table))
        for chrom, text in wanted.items()
    }
    return b"what the text says" if found == plain else repr(found).encode()


def checkpoint(path: Path) -> bytes:
    """Weights as the adoption of a released model takes them."""
    import torch

    from prismflow.released.checkpoint_file import read_checkpoint

    tree, _ = read_checkpoint(path)
    state = tree["state_dict"] if isinstance(tree, dict) and "state_dict" in tree else {}
    tensors = {k: v for k, v in state.items() if isinstance(v, torch.Tensor)}
    return repr(sorted(tensors)).encode() + b"".join(
        value.contiguous().numpy().tobytes() for value in tensors.values()
    )


def weights(path: Path) -> bytes:
    """Arrays of a trained model."""
    from prismflow.arrays import load_arrays

    found = load_arrays(path)
    return b"".join(name.encode() + found[name].tobytes() for name in sorted(found))


def archive(path: Path) -> bytes:
    """Both members."""
    from prismflow.portals.archives import extract_member

    found = []
    for member in ("data/notes.txt", "data/genes.tsv"):
        target = path.with_name("member")
        extract_member(path, member, target, "sheet, line 2")
        found.append(target.read_bytes())
    return b"".join(found)


READERS: dict[str, Callable[[Path], bytes]] = {
    "track.bw": bigwig,
    "contacts.hic": contacts,
    "contacts.cool": contacts,
    "genome.fa": fasta,
    "model.ckpt": checkpoint,
    "model.safetensors": weights,
    "bundle.zip": archive,
}


def outcome(read: Callable[[Path], bytes], path: Path, expected: str) -> tuple[str, str]:
    """How one mutant ends, and a detail."""
    try:
        found = hashlib.sha256(read(path)).hexdigest()
    except InputError as error:
        return ("broken", f"several lines: {error}") if "\n" in str(error) else ("refused", "")
    except Exception as error:
        return "broken", f"{type(error).__name__}: {str(error).splitlines()[:1]}"
    return ("same" if found == expected else "different"), ""


def main() -> None:
    """Read the mutants that the command line asks for."""
    name, whole, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    read, data = READERS[name], whole.read_bytes()
    expected = hashlib.sha256(read(whole)).hexdigest()
    path = folder / name
    for number in range(int(sys.argv[4]), int(sys.argv[5])):
        path.write_bytes(mutant(data, number))
        began = time.monotonic()
        word, detail = outcome(read, path, expected)
        print(number, word, f"{time.monotonic() - began:.1f}", detail, flush=True)


if __name__ == "__main__":
    main()
