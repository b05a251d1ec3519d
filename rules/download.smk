# Files of portals and reference data: resumed after an interruption, checked, put in place whole.
# `downloads` limits how many run at once (--resources downloads=4); each job asks for one.
from prismflow.plan.downloads import Downloads
from prismflow.settings import shared_files

DOWNLOADS = Downloads(PLAN)


localrules:
    downloads,


rule downloads:
    input:
        DOWNLOADS.wanted(),


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
        name=DOWNLOADS.track_names(),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(720),
        downloads=1,
    params:
        track=DOWNLOADS.track,
        code=code_digest("portals.tracks"),
    script:
        "../workflow/scripts/download_file.py"


rule download_reference:
    input:
        DOWNLOADS.local,
    output:
        file="resources/reference/{name}",
        metadata="resources/reference/{name}.json",
    log:
        "logs/download/reference/{name}.log",
    benchmark:
        "benchmarks/download/reference/{name}.tsv"
    wildcard_constraints:
        name=DOWNLOADS.reference_names(archived=False),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(720),
        downloads=1,
    params:
        reference=DOWNLOADS.reference,
        code=code_digest("portals.reference_files"),
    script:
        "../workflow/scripts/download_reference.py"


rule extract_reference:
    input:
        archive=DOWNLOADS.archive,
    output:
        file="resources/reference/{name}",
    log:
        "logs/download/reference/{name}.extract.log",
    benchmark:
        "benchmarks/download/reference/{name}.extract.tsv"
    wildcard_constraints:
        name=DOWNLOADS.reference_names(archived=True),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        reference=DOWNLOADS.reference,
        code=code_digest("portals.reference_files"),
    script:
        "../workflow/scripts/extract_reference.py"


if DOWNLOADS.contacts:

    rule convert_released_contacts:
        input:
            features=DOWNLOADS.contacts_of,
            lengths=PLAN.config.references[shared_files.RELEASED_LENGTHS].path,
        output:
            contacts=shared_files.released_contacts_path("{cell}"),
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


if DOWNLOADS.elements:

    rule convert_released_elements:
        input:
            links=DOWNLOADS.elements_of,
        output:
            elements=shared_files.released_elements_path("{cell}"),
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


if DOWNLOADS.gene_table is not None:

    rule build_gene_table:
        input:
            **DOWNLOADS.gene_table_inputs(),
        output:
            genes=DOWNLOADS.gene_table["path"],
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
            settings=DOWNLOADS.gene_table_settings(),
            code=code_digest("data.gene_table"),
        script:
            "../workflow/scripts/build_gene_table.py"
