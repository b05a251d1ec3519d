# The simulated genome: the very files that downloads would bring; once for datasets of one base.
from prismflow.plan.parameters import simulation_settings
from prismflow.settings.datasets import simulated_paths, source_of

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
            settings=simulation_settings(simulated_settings),
            code=code_digest("simulate"),
        script:
            "../workflow/scripts/simulate_genome.py"
