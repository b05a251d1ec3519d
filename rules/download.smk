# Files of portals and reference data: resumed after an interruption, checked, put in place whole.
# `downloads` limits how many run at once (--resources downloads=4); each job asks for one.
import re

from prismflow.settings import shared_files as reference_sheet

DOWNLOADED_TRACKS = {
    track.path: track
    for track in reversed(PLAN.config.tracks.values())
    if track.downloaded
}
REFERENCES = {entry.path: entry for entry in PLAN.config.references.values()}
GENE_TABLE = PLAN.config.values["gene_table"]
RELEASED_CONTACTS = reference_sheet.released_contacts(PLAN.config.references)
RELEASED_ELEMENTS = reference_sheet.released_elements(PLAN.config.references)


def escaped(names):
    return "|".join(map(re.escape, names)) or "none"


def reference_files(archived):
    """Names below resources/reference/ of the rows that stand in an archive, or that don't."""
    return escaped(
        [
            Path(path).name
            for path, entry in REFERENCES.items()
            if bool(entry.archive) == archived
        ]
    )


def downloaded_track(wildcards):
    """What the job must know of the file; where its row stands is looked up when it fails."""
    path = f"resources/{wildcards.portal}/{wildcards.name}"
    track = DOWNLOADED_TRACKS[path]
    keys = (
        "cell",
        "modality",
        "portal",
        "accession",
        "url",
        "md5",
        "size_bytes",
        "assembly",
    )
    return {
        **{key: getattr(track, key) for key in keys},
        "format": "gzip" if path.endswith(".gz") else track.format,
        "extension": path.partition(".")[2],
        "biosample": PLAN.config.cells[track.cell]["biosample"],
        "sheet": PLAN.config.values["sheets"]["tracks"],
    }


def reference_of(wildcards):
    return REFERENCES[f"{reference_sheet.FOLDER}/{wildcards.name}"]


def gene_table_inputs():
    if GENE_TABLE is None:
        return {}
    cells = reference_sheet.gene_table_cells(PLAN.config.values)
    rows = reference_sheet.gene_table_rows(GENE_TABLE, cells)
    return {use: PLAN.config.references[name].path for use, name in rows.items()}


def wanted_downloads():
    """Everything external that the datasets to run read."""
    paths = {}
    for dataset in PLAN.config.datasets.values():
        paths |= dict.fromkeys(
            (dataset["genome"], dataset["genes"]["path"], dataset["blacklist"])
        )
        for cell in dataset["cells"]:
            for modality in PLAN.config.modalities_of(cell):
                paths[PLAN.config.tracks[cell, modality].path] = None
    table = [GENE_TABLE["path"]] if GENE_TABLE is not None else []
    contacts = map(reference_sheet.released_contacts_path, RELEASED_CONTACTS)
    elements = map(reference_sheet.released_elements_path, RELEASED_ELEMENTS)
    made = {*DOWNLOADED_TRACKS, *REFERENCES, *table, *contacts, *elements}
    return [path for path in paths if path in made]


localrules:
    downloads,


rule downloads:
    input:
        wanted_downloads(),


rule download_file:
    output:
        file="resources/{portal}/{name}",
        metadata="resources/{portal}/{name}.json",
    log:
        "logs/download/{portal}/{name}.log",
    benchmark:
        "benchmarks/download/{portal}/{name}.tsv"
    wildcard_constraints:
        portal="encode|4dn|url",
        name=escaped([Path(path).name for path in DOWNLOADED_TRACKS]),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(720),
        downloads=1,
    params:
        track=lambda wildcards: as_json(downloaded_track(wildcards)),
        code=code_digest("portals.tracks"),
    script:
        "../workflow/scripts/download_file.py"


rule download_reference:
    input:
        lambda wildcards: reference_of(wildcards).local or [],
    output:
        file="resources/reference/{name}",
        metadata="resources/reference/{name}.json",
    log:
        "logs/download/reference/{name}.log",
    benchmark:
        "benchmarks/download/reference/{name}.tsv"
    wildcard_constraints:
        name=reference_files(archived=False),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(720),
        downloads=1,
    params:
        reference=lambda wildcards: as_json(reference_of(wildcards).as_dict()),
        code=code_digest("portals.reference_files"),
    script:
        "../workflow/scripts/download_reference.py"


rule extract_reference:
    input:
        archive=lambda wildcards: PLAN.config.references[
            reference_of(wildcards).archive
        ].path,
    output:
        file="resources/reference/{name}",
    log:
        "logs/download/reference/{name}.extract.log",
    benchmark:
        "benchmarks/download/reference/{name}.extract.tsv"
    wildcard_constraints:
        name=reference_files(archived=True),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        reference=lambda wildcards: as_json(reference_of(wildcards).as_dict()),
        code=code_digest("portals.reference_files"),
    script:
        "../workflow/scripts/extract_reference.py"


if RELEASED_CONTACTS:

    rule convert_released_contacts:
        input:
            features=lambda wildcards: RELEASED_CONTACTS[wildcards.cell],
            lengths=PLAN.config.references[reference_sheet.RELEASED_LENGTHS].path,
        output:
            contacts=reference_sheet.released_contacts_path("{cell}"),
        log:
            "logs/download/{cell}.convert_released_contacts.log",
        benchmark:
            "benchmarks/download/{cell}.convert_released_contacts.tsv"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=growing(2000),
            runtime=growing(120),
        params:
            code=code_digest("released.bundle"),
        script:
            "../workflow/scripts/convert_released_contacts.py"


if RELEASED_ELEMENTS:

    rule convert_released_elements:
        input:
            links=lambda wildcards: RELEASED_ELEMENTS[wildcards.cell],
        output:
            elements=reference_sheet.released_elements_path("{cell}"),
        log:
            "logs/download/{cell}.convert_released_elements.log",
        benchmark:
            "benchmarks/download/{cell}.convert_released_elements.tsv"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=growing(4000),
            runtime=growing(60),
        params:
            code=code_digest("released.elements"),
        script:
            "../workflow/scripts/convert_released_elements.py"


if GENE_TABLE is not None:

    rule build_gene_table:
        input:
            **gene_table_inputs(),
        output:
            genes=GENE_TABLE["path"],
        log:
            "logs/download/build_gene_table.log",
        benchmark:
            "benchmarks/download/build_gene_table.tsv"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=growing(4000),
            runtime=growing(30),
        params:
            settings=as_json(
                {
                    "cells": {
                        cell: GENE_TABLE["cells"][cell]
                        for cell in reference_sheet.gene_table_cells(
                            PLAN.config.values
                        )
                    },
                    "expected_genes": GENE_TABLE["expected_genes"],
                }
            ),
            code=code_digest("data.gene_table"),
        script:
            "../workflow/scripts/build_gene_table.py"
