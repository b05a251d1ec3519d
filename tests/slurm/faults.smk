# Jobs that can be hit by accidents. Each appends a line to tries/{name} when it starts; those that
# wait do so in their first try only. `train` is called so because the profile gives that rule a GPU.
STEADY = ["steady1", "steady2"]
WAIT = "echo try >> tries/{wildcards.name}; if [ $(wc -l < tries/{wildcards.name}) = 1 ]; then exec sleep 3000; fi; "


# What is said at a session's end reads the plan's datasets; here there are none.
from types import SimpleNamespace

PLAN = SimpleNamespace(config=SimpleNamespace(datasets={}))


include: "rules/refusals.smk"


rule all:
    input:
        expand("done/{name}", name=[*STEADY, "cancelled", "overlong", "lost", "later", "warned"]),


rule steady:
    output:
        "done/{name}",
    wildcard_constraints:
        name="steady.",
    resources:
        mem_mb=100,
        runtime=10,
    shell:
        "mkdir -p tries; echo try >> tries/{wildcards.name}; touch {output}"


rule cancelled:
    output:
        "done/{name}",
    wildcard_constraints:
        name="cancelled|lost",
    resources:
        mem_mb=lambda wildcards, attempt: 100 * attempt,
        runtime=60,
    shell:
        "mkdir -p tries; " + WAIT + "touch {output}"


rule overlong:
    output:
        "done/{name}",
    wildcard_constraints:
        name="overlong",
    resources:
        mem_mb=100,
        runtime=lambda wildcards, attempt: attempt,
    shell:
        "mkdir -p tries; " + WAIT + "touch {output}"


rule later:
    input:
        "done/cancelled",
    output:
        "done/later",
    resources:
        mem_mb=100,
        runtime=10,
    shell:
        "touch {output}"


rule train:
    output:
        "done/warned",
    resources:
        mem_mb=100,
        runtime=lambda wildcards, attempt: 2 * attempt,
    log:
        "warned.log",
    shell:
        "python keeps_state.py warned.state {output} > {log} 2>&1"


rule broken:
    output:
        "done/broken",
    resources:
        mem_mb=100,
        runtime=10,
    log:
        "broken.log",
    shell:
        "echo the reason stands here > {log}; exit 1"
