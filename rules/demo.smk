# The simulated genome: the very files that downloads would bring.
for simulated_dataset, simulated_settings in PLAN.config.datasets.items():
    if simulated_settings["simulate"] is None:
        continue

    rule:
        name:
            f"simulate_{simulated_dataset}"
        output:
            settings_of.simulated_paths(simulated_dataset, simulated_settings),
        log:
            f"logs/{simulated_dataset}/simulate_genome.log",
        benchmark:
            f"benchmarks/{simulated_dataset}/simulate_genome.tsv"
        params:
            settings=as_json(
                {**simulated_settings["simulate"], "cells": simulated_settings["cells"]}
            ),
            folder=f"resources/{simulated_dataset}",
            code=code_digest("simulate"),
        resources:
            mem_mb=2000,
            runtime=10,
        conda:
            ENVIRONMENT
        script:
            "../workflow/scripts/simulate_genome.py"
