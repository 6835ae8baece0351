# Every target sets itself up; `make help` lists them.
PYTHON ?= python3
CORES ?= $(shell nproc)
BIN := .venv/bin
READY := .venv/ready

.PHONY: help setup table3 tables peers report profile test test-faults test-browser test-docs test-slurm bench lint format lock clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(READY) ## build .venv from envs/requirements.lock

$(READY): envs/requirements.lock envs/uv.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("mktn needs Python 3.11 or newer; call make with PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/uv || $(PYTHON) -m venv --clear .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --require-hashes -r envs/uv.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip sync --quiet --require-hashes envs/requirements.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

table3: $(READY) ## results/table3.csv, .md and .tex, from nothing
	. $(BIN)/activate && snakemake --cores $(CORES) --workflow-profile workflow/profiles/local results/table3.csv

tables: $(READY) ## Tables 3 to 7 and results/tables.md, all on one page
	. $(BIN)/activate && snakemake --cores $(CORES) --workflow-profile workflow/profiles/local results/tables.md

peers: $(READY) ## Tables 1 and 2, IA-Net's 1 to 4, the data of Figure 3 and efficiency: trains the other models too
	. $(BIN)/activate && snakemake --cores $(CORES) --workflow-profile workflow/profiles/local \
		results/table1.csv results/table2.csv results/ianet_table1.csv results/ianet_table2.csv \
		results/ianet_table3.csv results/ianet_table4.csv results/figure3a.csv results/figure3b.csv \
		results/efficiency.md

# REPORT: more options, for both. Snakemake writes the file in place, so it is another's name first.
report: $(READY) ## results/report.html: every table and figure, captions and the workflow in one file
	. $(BIN)/activate && snakemake --cores $(CORES) --workflow-profile workflow/profiles/local \
		$(REPORT) -- report_contents
	mkdir -p results
	. $(BIN)/activate && snakemake --cores 1 --workflow-profile workflow/profiles/local $(REPORT) \
		--report results/unfinished.html --report-stylesheet workflow/report/style.css -- report_contents
	mv results/unfinished.html results/report.html

bench: $(READY) ## results/bench/*.csv: speed and memory, each against a baseline in the same run
	$(BIN)/mktn bench multipair --out results/bench/multipair.csv
	$(BIN)/mktn bench similarity --out results/bench/similarity.csv
	$(BIN)/mktn bench reading --out results/bench/reading.csv
	$(BIN)/mktn bench checkpoint --out results/bench/checkpoint.csv
	$(BIN)/mktn bench words --out results/bench/words.csv
	$(BIN)/mktn bench import --out results/bench/import.csv
	$(BIN)/mktn bench extraction --out results/bench/extraction.csv
	$(BIN)/mktn bench cost --out results/bench/cost.csv
	$(BIN)/mktn bench relations --out results/bench/relations.csv
	$(BIN)/mktn bench parts --out results/bench/parts.csv
	$(BIN)/mktn bench dag --out results/bench/dag.csv

profile: $(READY) ## results/profile-charades-mktn-full.md: where the time of a training step goes
	. $(BIN)/activate && snakemake --cores $(CORES) --workflow-profile workflow/profiles/local \
		results/profile-charades-mktn-full.md

test: $(READY) ## the test suite
	$(BIN)/python -m pytest -n $(CORES) --dist loadgroup

test-faults: $(READY) ## kills, full disks and damaged files, done to the tiny DAG; some minutes
	$(BIN)/python -m pytest -m faults -s tests/faults tests/workflow/test_damage.py

test-browser: $(READY) ## the report and the page of `mktn serve` in a real Chromium
	tests/browser/run $(BIN)/python

test-docs: $(READY) ## the pages' commands on a small pipeline, from `make table3` on; some minutes
	$(BIN)/python -m pytest -m docs -n 2 --dist loadfile tests/docs

test-slurm: $(READY) ## the pipeline on a real SLURM cluster, of this machine alone
	tests/slurm/run $(BIN)/python

lint: $(READY) ## ruff, snakefmt, mypy, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	. $(BIN)/activate && snakemake --lint

format: $(READY) ## rewrite the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

lock: $(READY) ## pin the newest versions of everything in pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --extra dev --extra serve --extra slurm \
		--generate-hashes --no-emit-index-url --custom-compile-command 'make lock' --output-file envs/requirements.lock pyproject.toml
	echo uv | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --constraint envs/requirements.lock \
		--no-emit-index-url --custom-compile-command 'make lock' --output-file envs/uv.lock -

clean: ## remove everything that the pipeline made
	rm -rf data runs results logs benchmarks .snakemake
