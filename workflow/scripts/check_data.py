"""Check tracks, genes, strands and labels of a dataset against each other; sum up what was read."""

from prismflow.evaluation.data_checks import check_data
from prismflow.evaluation.input_summary import write_input_summary
from prismflow.jobs.script import job

with job(snakemake):
    settings = snakemake.params.settings
    check_data(
        settings["cells"],
        settings["summaries"],
        settings["aliases"],
        genes=snakemake.input.genes,
        dropped=snakemake.input.dropped,
        sizes=snakemake.input.sizes,
        label_transform=settings["label_transform"],
        shared=snakemake.input.shared,
        stores=settings["stores"],
        outputs=dict(snakemake.output.items()),
    )
    write_input_summary(settings, dict(snakemake.input.items()), snakemake.output.inputs)
