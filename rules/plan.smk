from prismflow.plan.price_request import plan_request


# What the experiments will cost, before they are started. Without outputs, so it is made anew each time.
localrules:
    plan,


rule plan:
    log:
        "logs/plan/plan.log",
    benchmark:
        "benchmarks/plan/plan.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        request=lambda wildcards: plan_request(PLAN),
        code=code_digest("evaluation.write_plans"),
    script:
        "../workflow/scripts/plan.py"
