# Files of the portals, one job each: resumed after an interruption, checked, put in place whole.
DOWNLOADED = {
    track.path: track for track in PLAN.config.tracks.values() if track.path.startswith("resources/")
    and (track.accession or track.url)
}


rule download_file:
    output:
        file="resources/{portal}/{accession}.{extension}",
        metadata="resources/{portal}/{accession}.{extension}.json",
    wildcard_constraints:
        portal="encode|4dn|url",
        accession=r"[A-Za-z0-9_-]+",
        extension=r"bw|hic|mcool|cool|(?:bed|narrowPeak)(?:\.gz)?",
    log:
        "logs/download/{portal}/{accession}.{extension}.log",
    benchmark:
        "benchmarks/download/{portal}/{accession}.{extension}.tsv"
    params:
        code=code_digest("portals"),
    resources:
        mem_mb=1000,
        runtime=720,
        downloads=1,
    conda:
        ENVIRONMENT
    script:
        "../workflow/scripts/download_file.py"
