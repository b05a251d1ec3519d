# Peaks of a bigWig, for cells that have no file of peaks.
from prismflow.plan.called_peaks import CalledPeaksPlan

CALLED_PEAKS = CalledPeaksPlan(PLAN)


rule call_peaks:
    input:
        track=CALLED_PEAKS.track,
        control=CALLED_PEAKS.control,
    output:
        peaks="resources/called_peaks/{called}.narrowPeak",
    log:
        "logs/called_peaks/{called}.log",
    benchmark:
        "benchmarks/called_peaks/{called}.tsv"
    wildcard_constraints:
        called=one_of(CALLED_PEAKS.entries),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        options=CALLED_PEAKS.options,
        code=code_digest("data.called_peaks"),
    script:
        "../workflow/scripts/call_peaks.py"
