# The report's tables and pages, as HTML, which it shows. Figures are marked where they are drawn,
# csv files where they are made; rules/report_contents.smk says how, and what is in.
rule table_html:
    input:
        markdown=f"{RESULTS}/{{table}}.md",
    output:
        html=report(f"{RESULTS}/{{table}}.html", **SHOWN_TABLE),
    log:
        f"logs/{SOURCE}/{{table}}_html.log",
    benchmark:
        f"benchmarks/{SOURCE}/{{table}}_html.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("html_page")
    resources:
        **needs("html_page"),
    params:
        code=code("html_page"),
    shell:
        "mktn --log {log} html-page --markdown {input.markdown} --html {output.html}"


use rule table_html as page_html with:
    input:
        markdown=f"{RESULTS}/{{page}}.md",
    output:
        html=report(f"{RESULTS}/{{page}}.html", **SHOWN_PAGE),
    log:
        f"logs/{SOURCE}/{{page}}_html.log",
    benchmark:
        f"benchmarks/{SOURCE}/{{page}}_html.tsv"
    wildcard_constraints:
        page="|".join(PAGES),


rule provenance:
    input:
        runs=report_runs,
    output:
        markdown=f"{RESULTS}/provenance.md",
    log:
        f"logs/{SOURCE}/provenance.log",
    benchmark:
        f"benchmarks/{SOURCE}/provenance.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("provenance")
    resources:
        **needs("provenance"),
    params:
        configuration=json.dumps(config, sort_keys=True),
        code=code("provenance"),
    shell:
        "mktn --log {log} provenance --runs {input.runs}"
        " --configuration {params.configuration:q} --markdown {output.markdown}"
