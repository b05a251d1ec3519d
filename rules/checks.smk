# All inputs are read and judged and nothing is trained: what to run before hours of a GPU are spent.
from prismflow.plan.checks import checked, checks_request, go_on_where_asked


# Without outputs, and a benchmark is one, so it is made anew each time.
localrules:
    checks,


rule checks:
    input:
        checked(PLAN),
    log:
        "logs/checks.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        request=lambda wildcards: checks_request(PLAN),
        code=code_digest("evaluation.input_table"),
    script:
        "../workflow/scripts/checks.py"


onstart:
    go_on_where_asked(workflow)
