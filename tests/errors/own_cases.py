"""Wrong input of the user's own track: annotations, quantifications, bundles, genes to predict."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyBigWig
from errors.case import Case
from unit.make_store import settings

from prismflow.arrays import save_arrays
from prismflow.data.own_genes import make_gene_table
from prismflow.data.replicates import mean_of_tracks
from prismflow.files import read_json, write_json
from prismflow.predict.bundle import content_digest, finish_bundle, opened
from prismflow.predict.export import find_runs
from prismflow.predict.genes import read_genes
from prismflow.predict.predictions import write_predictions

OWN, PREDICTED = "Your own genes (GTF and labels)", "Bundles and predictions"
LENGTH = 640_000
ATTRIBUTES = 'gene_id "G{n}.2"; transcript_id "T{n}.1"; gene_type "protein_coding"; tag "{tag}";'
RSEM = "gene_id\ttranscript_id(s)\teffective_length\tTPM\n"


def _gtf(tag: str = "MANE_Select", shift: int = 0) -> None:
    """Twenty genes on chr1, in a genome of their size."""
    lines = []
    for n in range(1, 21):
        start = 30_000 * n + shift
        for feature, first, last in (("transcript", 0, 900), ("exon", 0, 900), ("CDS", 90, 299)):
            place = f"{feature}\t{start + first}\t{start + last}\t.\t+\t.\t"
            lines.append(f"chr1\tX\t{place}{ATTRIBUTES.format(n=n, tag=tag)}\n")
    Path("genes.gtf").write_text("".join(lines))
    Path("genome.fa").write_text(f">chr1\n{'ACGT' * (LENGTH // 4)}\n")


def _table(label: str | bytes | None = None, name: str = "K562.tsv", **options: object) -> Callable:
    """Make the gene table with a label of this text."""

    def run() -> object:
        tag, shift = str(options.pop("tag", "MANE_Select")), int(str(options.pop("shift", 0)))
        _gtf(tag, shift)
        if label is not None:
            Path(name).write_bytes(label.encode() if isinstance(label, str) else label)
        chosen = {"split": "blocks", **options}
        return make_gene_table("genes.gtf", "genome.fa", {"K562": [name]}, **chosen)

    return run


def _silent_bigwig() -> object:
    _gtf()
    with pyBigWig.open("plus.bw", "w") as out:
        out.addHeader([("chr1", LENGTH)])
        out.addEntries(["chr1"], [LENGTH - 10], ends=[LENGTH], values=[1.0])
    return make_gene_table("genes.gtf", "genome.fa", {"K562": ["plus.bw"]}, split="blocks")


MANIFEST = {
    "dataset": "demo", "cell": "K562", "label": {"column": "K562_tpm", "transform": "log10p1"},
    "simulated": False, "settings": settings("prism"), "window_bp": 2000,
    "members": {"fold11_seed2": {"fold": "fold11", "seed": 2}},
    "modalities": {"h3k27ac": {"kind": "signal"}, "dnase": {"kind": "signal"}},
    "promoter_activity": "{cell}_promoter_activity", "scale": None,
    "ranges": {"folds": {}, "limit": 0.1},
    "features": {},
}  # fmt: skip


def _bundle(change: Callable[[Path], object] = lambda folder: None, out: str = "model") -> Path:
    """A bundle, changed after it was made."""
    folder = Path("made")
    (folder / "members" / "fold11_seed2").mkdir(parents=True)
    save_arrays({}, folder / "members" / "fold11_seed2" / "model.safetensors")
    finish_bundle(folder, MANIFEST, out)
    change(Path(out))
    return Path(out)


def _opened(change: Callable[[Path], object], out: str = "model") -> Callable[[], object]:
    def run() -> object:
        with opened(_bundle(change, out)) as bundle:
            return bundle

    return run


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _version(folder: Path) -> None:
    manifest = read_json(folder / "bundle.json") | {"format_version": 99}
    write_json(manifest | {"digest": content_digest(manifest)}, folder / "bundle.json")


def _predict() -> object:
    _gtf()
    tracks = {"h3k27ac": "new.h3k27ac.bw"}
    return write_predictions(_bundle(), "genes.gtf", "genome.fa", tracks, "out.tsv")


def _new_genes(text: str | None, **manifest: object) -> Callable[[], object]:
    """Read genes to predict: a table of this text, or the GTF."""

    def run() -> object:
        _gtf()
        name = "genes.gtf" if text is None else "new.tsv"
        if text is not None:
            Path(name).write_text(text)
        return read_genes(name, "genome.fa", {**MANIFEST, **manifest}, Path())

    return run


def _replicates(depth: str, **lengths: int) -> Callable[[], object]:
    """Average two bigWigs, the second one of these chromosomes."""

    def run() -> object:
        for name, sizes in (("rep1.bw", {"chr1": 90}), ("rep2.bw", lengths)):
            with pyBigWig.open(name, "w") as out:
                out.addHeader(list(sizes.items()))
                out.addEntries(["chr1"], [5], ends=[9], values=[-1.0])
        return mean_of_tracks(["rep1.bw", "rep2.bw"], "mean.bw", depth)

    return run


OWN_CASES: tuple[Case, ...] = (
    Case(OWN, "replicates of a track on two assemblies", _replicates("none", chr1=95),
         "found chr1 of 95 bp here and 90 bp there"),
    Case(OWN, "depth of a track without a mean above 0", _replicates("genome_mean", chr1=90),
         "leave --depth out"),
    Case(OWN, "one replicate to average", lambda: mean_of_tracks(["rep1.bw"], "mean.bw"),
         "expected two or more replicates"),
    Case(OWN, "absent GTF", lambda: make_gene_table("genes.gtf", "genome.fa", {}),
         "expected a GTF, found no such file"),
    Case(OWN, "annotation of another build", _table(shift=300_000), "of another assembly"),
    Case(OWN, "annotation without the tags of the rule", _table(tag="basic"),
         "take the rule most_5prime"),
    Case(OWN, "chromosomes without genes to test on", _table(split="chromosome"),
         "train, validate and test"),
    Case(OWN, "absent quantification", _table(), "found no such file"),
    Case(OWN, "quantification with other columns", _table("gene\tvalue\nG1\t5\n"),
         "expected the columns of a quantifier"),
    Case(OWN, "transcripts that are not in the GTF",
         _table("Name\tLength\tEffectiveLength\tTPM\nENST1\t9\t9\t5\n"),
         "give the annotation that the sample was quantified with"),
    Case(OWN, "genes that are not in the GTF", _table(f"{RSEM}ENSG1\tT\t9\t5\n"),
         "expected genes of genes.gtf"),
    Case(OWN, "quantification of zeros only", _table(f"{RSEM}G1\tT\t9\t0\n"), "zeros only"),
    Case(OWN, "counts per million of a table without counts",
         _table(f"{RSEM}G1\tT\t9\t5\n", unit="cpm"), "expected the column expected_count"),
    Case(OWN, "gene without a length for TPM of its counts",
         _table("Geneid\tChr\tStart\tEnd\tStrand\tLength\ts.bam\nG1\tc\t1\t2\t+\t0\t5\n"),
         "expected lengths > 0"),
    Case(OWN, "value that is no number", _table(f"{RSEM}G1\tT\t9\thigh\n"), "line 2"),
    Case(OWN, "bigWig label without signal at any TSS", _silent_bigwig,
         "expected signal around the TSS"),
    Case(PREDICTED, "absent bundle", lambda: opened("model.zip").__enter__(), "no such file"),
    Case(PREDICTED, "folder that is no bundle", lambda: opened(".").__enter__(), "bundle.json"),
    Case(PREDICTED, "bundle of another version", _opened(_version), "found 99"),
    Case(PREDICTED, "flipped byte in its weights", _opened(
        lambda folder: _flip(folder / "members" / "fold11_seed2" / "model.safetensors")),
        "other bytes than its digest"),
    Case(PREDICTED, "changed word in bundle.json", _opened(
        lambda folder: write_json(read_json(folder / "bundle.json") | {"cell": "H1"},
                                  folder / "bundle.json")), "other content than its digest"),
    Case(PREDICTED, "lost file", _opened(
        lambda folder: shutil.rmtree(folder / "members")), "found none"),
    Case(PREDICTED, "flipped byte in a zipped bundle", _opened(_flip, "model.zip"), "copy"),
    Case(PREDICTED, "folder without trained runs", lambda: find_runs(["."]),
         "expected trained runs"),
    Case(PREDICTED, "model that needs a modality the cell lacks", _predict, "give dnase"),
    Case(PREDICTED, "genes to predict without a feature of the model",
         _new_genes("gene_id\tchrom\ttss\tstrand\nG1\tchr1\t900\t+\n"), "found no utr5_length"),
    Case(PREDICTED, "TSS beyond its chromosome",
         _new_genes("gene_id\tchrom\ttss\tstrand\tutr5_length\tcds_gc\tpromoter_activity\n"
                    "G1\tchr1\t900000\t+\t1\t1\t1\n"), "900000"),
    Case(PREDICTED, "GTF for a model with features that no GTF holds", _new_genes(None),
         "promoter_activity, which the model reads"),
    Case(PREDICTED, "GTF and a bundle without the scale of lengths",
         _new_genes(None, promoter_activity="computed"), r"genes\.scale\.tsv"),
)  # fmt: skip
