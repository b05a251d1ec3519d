# The simulated genome: the very files that downloads would bring; once for datasets of one base.
SIMULATED = {
    source_of(name, settings): settings
    for name, settings in PLAN.config.datasets.items()
    if settings["simulate"] is not None
}

for simulated_dataset, simulated_settings in SIMULATED.items():

    rule:
        name:
            f"simulate_{simulated_dataset}"
        output:
            simulated_paths(simulated_dataset, simulated_settings),
        log:
            f"logs/{simulated_dataset}/simulate_genome.log",
        benchmark:
            f"benchmarks/{simulated_dataset}/simulate_genome.tsv"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=growing(2000),
            runtime=growing(10),
        params:
            settings=as_json(
                {
                    "cells": simulated_settings["cells"],
                    **simulated_settings["simulate"],
                }
            ),
            folder=f"resources/{simulated_dataset}",
            code=code_digest("simulate"),
        script:
            "../workflow/scripts/simulate_genome.py"
