# MKTN and its ablations, from the sources to the tables. What depends on what; no algorithm.
#
#     snakemake --cores 8
#     snakemake --cores 8 results/table3.csv
#     snakemake --cores 8 --forcerun train_wo_opm -- results/table3.csv
#     snakemake --cores 8 report_contents && snakemake --report results/report.html report_contents

import sys

from snakemake.utils import min_version

min_version("9.20")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/failures.smk"
include: "rules/files.smk"
include: "rules/runs.smk"
include: "rules/shown.smk"
include: "rules/drawn.smk"
include: "rules/measuring.smk"
include: "rules/pictured.smk"
include: "rules/report_contents.smk"
include: "rules/resources.smk"
include: "rules/sources.smk"
include: "rules/clips.smk"
include: "rules/features.smk"
include: "rules/groups.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/results.smk"
include: "rules/figures.smk"
include: "rules/pair_figures.smk"
include: "rules/test_sets.smk"
include: "rules/diagnostics.smk"
include: "rules/sensitivity.smk"
include: "rules/robustness.smk"
include: "rules/efficiency.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        f"{RESULTS}/{'tables' if PARTITION == 'standard' else 'test_sets'}.md",


rule report_contents:
    input:
        report_files,
    localrule: True


onsuccess:
    print_rejected()


onerror:
    print_failed_jobs()
