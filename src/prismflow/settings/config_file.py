"""Every key of config.yaml: what is run, the sheets, datasets, modalities, training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from prismflow.settings.called_peaks import CalledPeaks
from prismflow.settings.downloads import Downloads
from prismflow.settings.elements import ElementKeys
from prismflow.settings.enhancer_gene import EnhancerGene
from prismflow.settings.explanations import Attributions, Variants
from prismflow.settings.keys import (
    UNIQUE,
    Flag,
    Keys,
    Names,
    Number,
    SomeNames,
    Whole,
    even_length,
    key,
    one_of,
)  # fmt: skip
from prismflow.settings.kinds import KINDS
from prismflow.settings.policies import MISSING_GENE, MISSING_SIGNAL
from prismflow.settings.predictions import Prediction
from prismflow.settings.pretraining import Pretraining
from prismflow.settings.simulation import SimulatedGenome
from prismflow.settings.training import TrainingSettings

_NEEDED = ("steps", "batch_size")


def _says_how_long(value: Any) -> Any:
    missing = [name for name in _NEEDED if isinstance(value, dict) and name not in value]
    if missing:
        # The paper's 50,000 steps must not be what someone gets who forgot the key.
        raise PydanticCustomError("needs", "the keys {keys}", {"keys": " and ".join(missing)})
    return value


class Run(Keys):
    """What `snakemake` makes when it is called without a target."""

    datasets: SomeNames = key("Datasets to run, by name.")
    experiments: SomeNames = key("Experiments to make, in this order.")
    device: Literal["auto", "cpu", "cuda"] = key(
        "`auto` takes a CUDA device if there is one, else the CPU.", "auto"
    )
    train_threads: Whole = key("CPU threads of a training job.", 4, ge=1)
    pass_bp: Whole | None = key(
        "Most bases (genes x window x branches of the model) of a training pass; a batch above it "
        "is taken in several passes per step. Null takes every batch at once.",
        None,
        ge=1,
    )
    checkpoint_minutes: Number = key(
        "Between two states of a running training on disk; no change of it retrains.",
        10.0,
        sparse=True,
        gt=0,
    )


class Sheets(Keys):
    """Where the other tables stand, relative to the working directory."""

    cells: str = key("Sheet of cells.")
    tracks: str = key("Sheet of tracks.")
    models: str = key("The models file.")
    experiments: str = key("The experiments file.")
    published: str = key("Sheet of published numbers.")
    claims: str = key("The claims file.", "config/claims.yaml")
    verdict_errors: str = key(
        "How often the rules of the claims err, written by benchmarks/verdicts.py.",
        "config/verdict_errors.tsv",
    )
    references: str = key("Sheet of shared files.", "config/references.tsv")
    perturbations: str = key(
        "Sheet of element-gene pairs tested by CRISPR interference.", "config/perturbations.tsv"
    )
    costs: str = key("Sheet of assumed times per step.", "config/costs.tsv")


class GeneTableCell(Keys):
    """Labels of one cell."""

    cage: str | None = key("Column of the labels.", None)
    cage_bigwig: str | None = key(
        "Row with a CAGE bigWig, summed over the TSS +- 192 bp, where no column is.", None
    )
    rna: str | None = key("Column of the labels.", None)
    promoter_table: str | None = key(
        "Row with H3K27ac.RPM.TSS1Kb and DHS.RPM.TSS1Kb by gene.", None
    )


class GeneTable(Keys):
    """The gene table that the workflow makes from rows of the references sheet."""

    path: str = key("Where it is made; datasets name it in `genes.path`.")
    tss: str = key("Row with TSS and strand (BED, a window around each TSS).")
    features: str = key("Row with the mRNA features.")
    expression: str = key("Row with the labels; its genes are the gene set.")
    splits: str | None = key("Row with the published splits.", None)
    expected_genes: Whole | None = key("Number of genes that it must have.", None)
    cells: dict[str, GeneTableCell] = key("Labels by cell.", min_length=1)


class OwnGenes(Keys):
    """The gene table that the workflow makes from an annotation and the sheet of cells."""

    path: str = key("Where it is made; datasets name it in `genes.path`.")
    gtf: str = key("GENCODE or Ensembl, plain or gzip.")
    genome: str = key("FASTA of the same assembly.")
    tss: Literal["canonical", "most_5prime"] = key(
        "Which transcript stands for a gene.", "canonical"
    )
    tss_bed: str | None = key("BED to whose nearest place on the strand TSS are moved.", None)
    types: SomeNames = key("Biotypes of genes.", ["protein_coding"])
    split: Literal["auto", "chromosome", "blocks"] = key(
        "Column `split`: fold 11 by chromosome, blocks of position, or the first that is possible.",
        "auto",
    )
    z_scores: Literal["training", "all"] = key(
        "Lengths are scaled over the genes that train, or over all as published.", "training"
    )
    half_window_bp: Whole = key("Half of the window in which bigWig labels are summed.", 192, ge=1)
    unit: Literal["tpm", "cpm"] = key(
        "Of quantifications: transcripts, or counts, per million.", "tpm"
    )
    aliases: dict[str, str] = key("Chromosome in the GTF -> in the FASTA.", {})


class GeneColumns(Keys):
    """Our name -> the table's column."""

    gene_id: str = key("Column of the gene's identifier.", "gene_id", sparse=True)
    chrom: str = key("Column of the chromosome.", "chrom", sparse=True)
    tss: str = key("Column of the TSS.", "tss", sparse=True)
    strand: str = key("Column of the strand.", "strand", sparse=True)


class GeneKeys(Keys):
    """The dataset's genes."""

    path: str = key("Table of genes (TSV).")
    columns: GeneColumns = key("Columns of other names.", {})
    features: Names = key("Columns that every model gets as gene features.", [])
    promoter_activity: str = key(
        "A column template with {cell}, `computed` from the tracks, or `none`.", "none"
    )
    missing: str = one_of("What a gene without one of the features means.", MISSING_GENE, "error")


class Label(Keys):
    """What is predicted."""

    column: str = key("Column template; {cell} is replaced.")
    transform: Literal["log10p1", "log10", "raw"] = key(
        "`log10p1` is log10(x + 1), `log10` is log10(x + `pseudocount`)."
    )
    pseudocount: Number | None = key(
        "Of the transform `log10`, in the label's unit.", None, sparse=True, gt=0
    )
    name: str = key("Axis title.")
    missing: str = one_of("What a gene without a label means.", MISSING_GENE, "error")


class Splits(Keys):
    """Which genes train, validate and test."""

    by: Literal["chromosome", "column"] = key(
        "The paper's folds by chromosome, or columns of the gene table."
    )
    folds: SomeNames = key(
        "fold1 .. fold12 (the paper's are by chromosome), or columns of the gene table."
    )
    use: SomeNames | None = key(
        "Folds of experiments that name none; null for all of `folds`.", None
    )
    block_bp: int = key(
        "Genes whose TSS lie closer than this (bp) count as one sample in intervals and tests, and "
        "so do all that such steps connect, and genes with nearly the same sequence.",
        2000,
        ge=0,
    )
    shared_sequence: Literal["drop", "keep"] = key(
        "Genes with the sequence of a gene in another split (alternative contigs, X and Y, one "
        "TSS): `drop` takes the training gene out of the fold, `keep` only lists them.",
        "drop",
    )


class Dataset(Keys):
    """Genes of one genome with their label, windows and cells."""

    base: str | None = key(
        "Another dataset whose keys this one takes over, apart from title and experiments.", None
    )
    experiments: SomeNames | None = key(
        "Experiments of this dataset in the place of `run.experiments`.", None
    )
    title: str = key("Title in the report.", "")
    published_data: Flag = key(
        "The paper's own genes, labels and test chromosomes, so that published values of the same "
        "cell may be compared with.",
        False,
    )
    simulate: SimulatedGenome | None = key(
        "Settings of the simulator; present only for simulated data.", None
    )
    genome: str = key("FASTA (plain or bgzip).")
    chrom_aliases: dict[str, str] = key(
        "Other file's chromosome name -> the FASTA's name; nothing is guessed.", {}
    )
    genes: GeneKeys = key("The gene table.")
    label: Label = key("What is predicted.")
    window_bp: Whole = even_length(
        "Longest window; models take centre crops of it.", what="window length"
    )
    blacklist: str | None = key("BED of regions that can't be trusted.", None)
    drop_blacklisted: Flag = key(
        "Drop genes whose TSS lies in the blacklist (the paper keeps them).", False
    )
    max_n_fraction: Number = key(
        "Drop genes whose longest window has a larger share of N than this.", 1.0, ge=0, le=1
    )
    splits: Splits = key("Which genes train, validate and test.")
    cells: SomeNames = key(
        "Cells, by name; without it those of the sheet of cells that have `labels`, else all.", []
    )
    elements: ElementKeys | None = key(
        "Candidate enhancers per gene, read by EPInformer; without it stores hold none.", None
    )
    signal_dtype: Literal["float32", "float16"] = key("Type of stored signals.", "float32")


class S3Norm(Keys):
    """What the transform `s3norm` makes the tracks of a modality like."""

    reference: str = key("Cell whose track of this modality is the reference.")


class Modality(Keys):
    """One kind of signal."""

    kind: str = one_of("What its files hold.", KINDS)
    label: str = key("Name in figures; without it the modality's own.", None, sparse=True)
    transform: str = key(
        "`raw`, `log1p`, `log10p1`, `clip:<max>`, `s3norm` or `s3norm:<another>`, when a batch is "
        "made.",
        "raw",
    )
    s3norm: S3Norm | None = key(
        "Signals: fit y = A x^B to each track on training chromosomes, for the transform `s3norm`.",
        None,
        sparse=True,
    )
    missing: str = one_of(
        "What a base without a value means; `mean` is that of the bases with one.",
        MISSING_SIGNAL,
        "zero",
    )
    pseudocount: Flag = key("Contacts: add 1 to the counts of a bin, as the released code.", True)
    double_padding: Flag = key(
        "Contacts: repeat the released loader's second padding, which shifts them against the "
        "sequence near chromosome ends.",
        False,
        sparse=True,
    )
    regional_bp: list[Whole] | None = key(
        "Signals: keep the level of each gene's region, the median of the bases at these two "
        "distances from the TSS, as gene feature `NAME_regional`; e.g. [1500, 10000].",
        None,
        sparse=True,
        min_length=2,
        max_length=2,
    )
    extra: Flag = key(
        "Read only by models that name it; `modalities: available` leaves it out.", False
    )


class ConfigFile(Keys):
    """The one file that a user edits. Later files (--configfile) override it key by key."""

    run: Run = key("What is made.")
    sheets: Sheets = key("Where the other tables stand.")
    downloads: Downloads = key("Limits of downloads.", {})
    gene_table: GeneTable | None = key("How the gene table is made.", None)
    own_genes: OwnGenes | None = key(
        "How the gene table is made of an annotation; labels stand in the sheet of cells.", None
    )
    called_peaks: dict[str, CalledPeaks] = key(
        "Peaks called from a bigWig, by name; `resources/called_peaks/NAME.narrowPeak` is then a "
        "path for the sheet of tracks.",
        {},
    )
    datasets: dict[str, Dataset] = key("Datasets by name.", min_length=1)
    modalities: dict[str, Modality] = key(
        "Signals by name, in the channel order of every model.", min_length=1
    )
    predictions: dict[str, Prediction] = key(
        "Predictions of genes without labels, by name; `snakemake predict` makes them.", {}
    )
    seeds: Annotated[list[Annotated[int, Field(strict=True, ge=0)]], UNIQUE] = key(
        "Seeds of the runs.", min_length=1
    )
    training: Annotated[TrainingSettings, BeforeValidator(_says_how_long)] = key(
        "The training protocol; `steps` and `batch_size` must be given."
    )
    pretraining: dict[str, Pretraining] = key(
        "Pretraining on masked bases, by name; a model's `initial_weights` names one.", {}
    )
    model_overrides: dict[str, dict[str, Any]] = key(
        "Model name -> keys of its entry in models.yaml to replace.", {}
    )
    experiment_overrides: dict[str, dict[str, Any]] = key(
        "Experiment id -> keys of its entry in experiments.yaml to replace.", {}
    )
    enhancer_gene: EnhancerGene = key("What the target `enhancer_gene` makes.", {})
    attributions: Attributions = key("What the target `attributions` makes.", {})
    variants: Variants = key("What the target `variants` makes.", {})
