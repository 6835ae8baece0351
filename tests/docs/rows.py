"""What becomes of each command of the pages: one row a command, in the order in which they run.

A row is `Run`: it is typed into a shell in a folder of tests/docs/folders.py; or `By`: another
test executes it; or `Near`: it cannot be executed here, why, and the test that comes near.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """typed: what is typed in its place, where folders.py's own substitutions do not do.

    folder: where; makes: what is there afterwards, and was not before or is newer; says: regular
    expressions found in the output; before: a shell line that prepares it.
    """

    folder: str
    typed: str = ""
    makes: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    before: str = ""


@dataclass(frozen=True)
class By:
    """Executed by this test: path::name."""

    test: str


@dataclass(frozen=True)
class Near:
    """Not executed: why, and the test that comes near it."""

    why: str
    test: str


Row = Run | By | Near

RUN = "runs/synthetic/charades/mktn/full/seed0"
DATA = "data/synthetic"
GROUND = "tests/grounder/test_ground_page.py::test_every_command_runs"
BY_HAND = "tests/test_own_data_page.py::done"
PLANS = "tests/test_scaling_page.py::test_every_plan_named_can_be_made"
SMALL = "at the size of the page it takes minutes or hours: it runs at a small size"
EXTRAS = "tests/docs/test_make.py::test_extras_are_there_and_installed"
SUITE = "it runs this suite, or one as long"
MAKE = "tests/docs/test_make.py::test_the_target_runs_what_is_said"
CLUSTER = "it is for a SLURM cluster, which `make test-slurm` starts on this machine"
SLURM = (
    "tests/slurm/test_pipeline_on_slurm.py"
    "::test_training_asks_for_a_gpu_and_for_what_the_table_says"
)
STORE = f"{DATA}/features/charades/c3d-T12.zarr"
REAL_SIZE = (
    "snakemake --cores 2 --configfile workflow/configs/simulated.yaml"
    " workflow/configs/real_size.yaml --config mirror=MIRROR"
)
WIDE = (
    "snakemake --cores 2 --configfile workflow/configs/simulated.yaml --config mirror=MIRROR"
    " 'datasets=[charades]' threads=2 'sizes={width: 256}' 'per_dataset={charades: {train:"
    " {epochs: 1}}}'"
)
NOISY = "workflow/configs/real_size.yaml workflow/configs/noisy.yaml"
TINY_TRAIN = (
    f"--pairs {DATA}/pairs/charades/pairs.parquet --groups {DATA}/groups/charades/groups.parquet"
    f" --relations {DATA}/groups/charades/relations.parquet"
    f" --features {DATA}/features/charades/c3d-T12.zarr --text {DATA}/text/charades.zarr"
)
SIZES = '"sizes": {"width": 16, "heads": 2}, "loader": {"queries": 16}'
OF_PLUGGED = (
    '"width": 16, "heads": 2, "objects": 2, "phrases": 2, "activities": 2, "cells": 12,'
    ' "counts": [12], "layers": 1, "joint": 16, "kernel": 3'
)

# In a folder with a tiny run and its data, and videos kitchen.mp4, garden.mp4 and hall.mp4.
QUICK: dict[str, Row] = {
    'mktn ground kitchen.mp4 --model runs/synthetic/charades/mktn/full/seed0'
    ' -q "the red ball spins" -q "the blue box rolls" --plot timeline.png --clips clips': Run(
        "run", makes=("timeline.png", "clips/kitchen-1-1.mp4", "clips/kitchen-2-1.mp4"),
        says=(r"1\. the red ball spins\n +1 +\d", r"2\. the blue box rolls\n +1 +\d"),
    ),
    "mktn export RUN --out bundle": Run(
        "run", f"mktn export {RUN} --out readme-bundle",
        makes=("readme-bundle/config.json",), says=("readme-bundle: ",),
    ),
    "mktn --help": Run("run", says=("train",)),
    "mktn train --help": Run("run", says=("--pairs", "--run")),
    "mktn import-features --help": Run("run", says=("preset", "fps", "dimension")),
    "mktn status": Run("run", says=("evaluated",)),
    "mktn verify": Run("run", says=(r"\d+ files are as they were written, 0 are damaged",)),
    "mktn download --list": Run("run", says=("charades-sta-train", "licence|http")),
    "mktn download --list --only tacos-c3d-hdf5": Run("run", says=("tacos-c3d-hdf5",)),
    "mktn download --dataset charades --out DIR": Run(
        "run", "mktn download --dataset charades --out readme-files @MIRROR",
        makes=("readme-files/charades_sta_train.txt",),
    ),
    "mktn download --dataset charades --roles annotations,splits --out DIR": Run(
        "run", "mktn download --dataset charades --roles annotations,splits --out files @MIRROR",
        makes=("files/charades_sta_train.txt", "files/cd_split/charades_val.json"),
    ),
    "mktn download --only glove-840b c3d-sports1m --out MIRROR": Run(
        "run", "mktn download --only glove-840b c3d-sports1m --out another @MIRROR",
        makes=("another/pretrained/glove/glove.840B.300d.zip", "sources.lock"),
    ),
    "--settings '{\"read_s\": 120, \"attempts\": 10}'": Run(
        "run", "mktn download --only glove-840b --out patient @MIRROR"
        " --settings '{\"read_s\": 120, \"attempts\": 10}'",
        makes=("patient/pretrained/glove/glove.840B.300d.zip",),
    ),
    "mktn pairs --dataset charades --annotations DIR --pairs pairs.parquet"
    " --rejected rejected.parquet": Run(
        "run", "mktn pairs --dataset charades --annotations MIRROR/charades_sta"
        " --pairs pairs.parquet --rejected rejected.parquet",
        makes=("pairs.parquet", "rejected.parquet"),
    ),
    "mktn score predictions.csv --pairs pairs.parquet": Run(
        "run", f"mktn score predictions.csv --pairs {DATA}/pairs/charades/pairs.parquet"
        " --split test",
        before="python -c \"import polars as pl;"
        f" pl.read_parquet('{RUN}/predictions.parquet').write_csv('predictions.csv')\"",
        says=("R@1", r"\[\d"),
    ),
    "mktn efficiency --model mmn --variant plus_mktn --beside origin --pairs PAIRS"
    " --groups GROUPS --features FEATURES --text TEXT --out F"
    " --settings '{\"source\": \"synthetic\", \"dataset\": \"charades\"}'": Run(
        "run", "mktn efficiency --model mmn --variant plus_mktn --beside origin"
        f" {TINY_TRAIN.replace(f' --relations {DATA}/groups/charades/relations.parquet', '')}"
        " --out mmn.json --settings '{\"source\": \"synthetic\", \"dataset\": \"charades\","
        f" \"sizes\": {{{OF_PLUGGED}}}, \"repeats\": 1, \"videos\": 2,"
        " \"warm_up_batches\": 1}'",
        makes=("mmn.json",),
    ),
    "find runs -name resume.safetensors -delete": Run(
        "run", before="mkdir -p runs/of/one && touch runs/of/one/resume.safetensors",
        typed="find runs -name resume.safetensors -delete && test ! -e"
        " runs/of/one/resume.safetensors",
    ),
    "--config config.yaml": Run(
        "run", "mktn status --config config.yaml", says=("evaluated", "not started"),
    ),
}  # fmt: skip

# The tiny pipeline in a checkout whose config.yaml is small, one after another.
CHECKOUT: dict[str, Row] = {
    "make table3": Run(
        "checkout", makes=("results/table3.csv", "results/table3.md"),
        says=(r"rule train_full:", r"rule synthesize:"),
    ),
    ". .venv/bin/activate": Run("checkout", ". .venv/bin/activate && mktn --help"),
    "snakemake --cores 8 results/table3.csv": Run("checkout", says=("Nothing to be done",)),
    "snakemake --cores 2 -- runs/synthetic/charades/mktn/full/seed0/metrics.json": Run(
        "checkout", says=("Nothing to be done",)
    ),
    "snakemake --cores 8 runs/synthetic/charades/mktn/full/seed0/metrics.json": Run(
        "checkout", "snakemake --cores 2 runs/synthetic/charades/mktn/full/seed0/metrics.json;"
        " ! snakemake --cores 2 runs/synthetic/charades/mktn/fool/seed0/metrics.json",
        says=("Nothing to be done", "MissingRuleException"),
    ),
    "snakemake --workflow-profile workflow/profiles/local --cores 8": Run(
        "checkout", makes=("results/tables.md",),
    ),
    "snakemake --cores 8": Run(
        "checkout", before="rm results/tables.md", makes=("results/tables.md",)
    ),
    "make tables": Run(
        "checkout", before="rm results/tables.md", makes=("results/tables.md",)
    ),
    "--resources gpu=4": Run(
        "checkout", "snakemake --workflow-profile workflow/profiles/local --cores 2"
        " --resources gpu=4", says=("Nothing to be done",),
    ),
    "snakemake --cores 8 --forcerun train_wo_opm -- results/table3.csv": Run(
        "checkout", makes=("results/table3.csv", "runs/synthetic/charades/mktn/wo_opm/seed0/"
        "model.safetensors"), says=(r"train_wo_opm +1\n", r"evaluate +1\n", r"total +3\n"),
    ),
    "--forcerun extract_video": Run(
        "checkout", "snakemake --cores 2 -n --forcerun extract_video -- results/table3.csv",
        says=(r"extract_video +1\n",),
    ),
    "snakemake --cores 8 PATH": Run(
        "checkout", "snakemake --cores 2 results/table3.md", before="rm results/table3.md",
        makes=("results/table3.md",),
    ),
    "snakemake --touch": Run(
        "checkout", "snakemake --cores 2 --touch results/table3.csv && snakemake -n"
        " results/table3.csv", says=("Nothing to be done",),
        before=f"rm -r {STORE} && snakemake --cores 2 {STORE} && snakemake -n results/table3.csv"
        " | grep train_full",
    ),
    "--unlock": Run("checkout", "snakemake --unlock", says=("nlock",)),
    "--config processes=2": Run(
        "checkout", "snakemake --cores 2 --config processes=2 seeds=[5] -- runs/synthetic/"
        "charades/mktn/full/seed5/config.json && grep '\"processes\": 2' runs/synthetic/charades/"
        "mktn/full/seed5/config.json", makes=("runs/synthetic/charades/mktn/full/seed5",),
    ),
    "--config tensorboard=true": Run(
        "checkout", "snakemake --cores 2 --config tensorboard=true seeds=[6] -- runs/synthetic/"
        "charades/mktn/full/seed6/config.json",
        makes=("runs/synthetic/charades/mktn/full/seed6/tensorboard",),
    ),
    "tensorboard --logdir runs": Run(
        "checkout", "tensorboard --inspect --logdir runs/synthetic/charades/mktn/full/seed6",
        says=("scalars",),
    ),
    "snakemake --cores 8 --config seeds=[0,1,2] -- results/table3.csv": Run(
        "checkout", makes=(*(f"runs/synthetic/charades/mktn/full/seed{n}/metrics.json"
                             for n in (1, 2)), "results/table3.csv"),
        says=(r"train_full +2\n",),
    ),
    "snakemake --cores 8 results/diagnostics.csv": Run(
        "checkout", makes=("results/diagnostics.csv", "results/diagnostics.md"),
        says=(r"train_query_only +1\n", r"train_video_only +1\n"),
    ),
    "snakemake --cores 8 runs/synthetic/charades/mmn/plus_mktn/seed0/metrics.json": Run(
        "checkout", makes=("runs/synthetic/charades/mmn/plus_mktn/seed0/metrics.json",),
        says=(r"train_mmn_plus_mktn +1\n",),
    ),
    "snakemake --cores 8 results/table1.csv": Run(
        "checkout", makes=("results/table1.csv", "results/table1.md"),
    ),
    "snakemake --cores 8 results/table2.csv": Run(
        "checkout", makes=("results/table2.csv", "results/table2.md"),
    ),
    # On the one dataset whose table it is, which this pipeline does not have: planned.
    "snakemake --cores 8 results/ianet_table4.csv": Run(
        "checkout", "snakemake --cores 2 -n --config datasets=[activitynet] --"
        " results/ianet_table4.csv", says=(r"train_ianet_full +1\n", r"evaluate +1\d\n"),
    ),
    "snakemake --cores 8 --forcerun train_mmn_plus_mktn -- results/table2.csv": Run(
        "checkout", makes=("results/table2.csv",), says=(r"train_mmn_plus_mktn +1\n",),
    ),
    # All that it asks for but IA-Net's tables that are not of Charades-STA.
    "make peers": Run(
        "checkout", "make -n --no-print-directory -o .venv/ready peers CORES=2"
        " | sed -E 's#[[:space:]]results/ianet_table[134].csv##g' | bash",
        before="rm -f results/{table[12],ianet_table2,figure3[ab]}.csv results/efficiency.md",
        makes=("results/table1.csv", "results/table2.csv", "results/ianet_table2.csv",
               "results/figure3a.csv", "results/figure3b.csv", "results/efficiency.md"),
    ),
    "make report": Run("checkout", makes=("results/report.html",)),
    'make report REPORT="--configfile workflow/configs/small_report.yaml"': Run(
        "checkout", makes=("results/report.html",),
    ),
    "snakemake --cores 8 results/figure_lengths.svg": Run(
        "checkout", before="rm results/figure_lengths.svg", makes=("results/figure_lengths.svg",),
    ),
    # Eighteen trainings: planned.
    "snakemake --cores 8 results/sensitivity.csv": Run(
        "checkout", "snakemake --cores 2 -n results/sensitivity.csv",
        says=(r"train_changed +1\d\n", r"sensitivity +1\n"),
    ),
    "--config baselines=[random,train-prior,place-prior]": Run(
        "checkout", "snakemake --cores 2 --config baselines=[random,train-prior,place-prior]"
        " -- results/table3.csv && grep place-prior results/table3.csv",
        makes=("runs/synthetic/charades/place-prior/baseline/seed0/metrics.json",),
    ),
    "snakemake --cores 8 results/robustness.csv": Run(
        "checkout",
        "snakemake --cores 2 --config 'datasets=[charades]' 'variants=[full]'"
        " -- results/robustness.csv",
        makes=("results/robustness.csv", f"{RUN}/asked-alone-untold/metrics.json"),
    ),
    "make profile": Run("checkout", makes=("results/profile-charades-mktn-full.md",)),
    "snakemake --cores 2 results/efficiency.md": Run(
        "checkout", before="rm results/efficiency.md", makes=("results/efficiency.md",),
    ),
    "snakemake --cores 2 -- data/synthetic/backbones/c3d.safetensors": Run(
        "checkout", before="rm data/synthetic/backbones/c3d.safetensors",
        makes=("data/synthetic/backbones/c3d.safetensors",),
    ),
    "cp workflow/configs/own.yaml kitchen.yaml": Run("checkout", makes=("kitchen.yaml",)),
    "snakemake --cores 8 --configfile kitchen.yaml -- results/own/table3.csv": Run(
        "checkout", before="python -m tests.docs.own", makes=("results/own/table3.csv",),
    ),
    'mktn ground new.mp4 --model runs/own/kitchen/mktn/full/seed0 -q "She cracks two eggs."': Run(
        "checkout", before="cp $(ls data/synthetic/videos/charades/*.mp4 | head -1) new.mp4",
        says=(r"1\. She cracks two eggs\.\n +1 +\d",),
    ),
    "torchrun --standalone --nproc-per-node 2 -m -- mktn train ..."
    " --settings '{\"processes\": 2, ...}'": Run(
        "checkout", "torchrun --standalone --nproc-per-node 2 -m -- mktn train --run by-hand"
        f" {TINY_TRAIN} --settings '{{\"processes\": 2, \"source\":"
        f" \"synthetic\", \"dataset\": \"charades\", \"train\": {{\"epochs\": 1}}, {SIZES}}}'",
        makes=("by-hand/model.safetensors",),
    ),
}  # fmt: skip

# Published files: in a checkout of its own, from a mirror of small ones.
MIRROR: dict[str, Row] = {
    "snakemake --cores 8 --configfile workflow/configs/published.yaml"
    " --config mirror=MIRROR -- results/published/table3.csv": Run(
        "mirror", makes=("results/published/table3.csv",),
    ),
    "--config mirror=MIRROR": Run(
        "mirror", "snakemake --cores 2 --configfile workflow/configs/published.yaml --config"
        " mirror=MIRROR -- results/published/table3.csv", says=("Nothing to be done",),
    ),
    "mktn features info data/published/features/charades/i3d-T64.zarr": Run(
        "mirror", says=("imported", "unknown|not recorded"),
    ),
    "snakemake --cores 2 --configfile workflow/configs/simulated.yaml"
    " --config mirror=MIRROR 'datasets=[charades]' -- results/simulated/table3.csv": Run(
        "mirror", makes=("results/simulated/table3.csv",),
    ),
    f"{REAL_SIZE} 'datasets=[charades]' 'seeds=[0]' -- results/real_size/table3.csv": Run(
        "mirror", f"{REAL_SIZE} 'datasets=[charades]' 'seeds=[0]' 'variants=[full,wo_opm]'"
        " -- results/real_size/table3.csv", makes=("results/real_size/table3.csv",),
    ),
    f"{REAL_SIZE} 'datasets=[charades]' 'seeds=[0]' -- results/real_size/robustness.csv": Run(
        "mirror", f"{REAL_SIZE} 'datasets=[charades]' 'seeds=[0]' 'variants=[full]'"
        " -- results/real_size/robustness.csv", makes=("results/real_size/robustness.csv",),
    ),
    # All that a reader trains for it: planned.
    REAL_SIZE.replace("workflow/configs/real_size.yaml", NOISY) + " 'datasets=[charades]'"
    " 'seeds=[0]' -- results/noisy/table3.csv": Run(
        "mirror", REAL_SIZE.replace("workflow/configs/real_size.yaml", NOISY)
        + " 'datasets=[charades]' 'seeds=[0]' -n -- results/noisy/table3.csv",
        says=(r"train_wo_avm +1\n", "data/simulated-noisy/features/charades/"),
    ),
    REAL_SIZE.replace("--cores 2", "--cores 16") + " -- results/real_size/table3.csv": Run(
        "mirror", f"{REAL_SIZE} 'datasets=[charades]' -n -- results/real_size/table3.csv",
        says=(r"train_wo_avm +3\n",),
    ),
    f"{WIDE} -- runs/simulated/charades/mktn/full/seed0/log.parquet": Run(
        "mirror", f"{WIDE} -n -- runs/simulated/charades/mktn/full/seed0/log.parquet",
        says=(r"train_full +1\n",),
    ),
    "snakemake --cores 8 --configfile workflow/configs/published.yaml"
    " --config mirror=MIRROR 'datasets=[charades]' 'pairs={partition: cd}'": Run(
        "mirror", makes=("results/published/cd/test_sets.csv",
                         "results/published/cd/test_sets.md"),
    ),
    "--config 'pairs={partition: cd}'": Run(
        "mirror", "snakemake --cores 2 --configfile workflow/configs/published.yaml --config"
        " mirror=MIRROR 'pairs={partition: cd}'", says=("Nothing to be done",),
    ),
    "--config losses='{q: 0.5, lam: 0.01, temperature: 0.5, w_proto: 0.1, w_cl: 0.5}'": Run(
        "mirror", "snakemake -n --config losses='{q: 0.5, lam: 0.01, temperature: 0.5,"
        " w_proto: 0.1, w_cl: 0.5}'", says=("train_full",),
    ),
    "--config 'losses={w_proto: 0, w_cl: 0}'": Run(
        "mirror", "snakemake -n --config 'losses={w_proto: 0, w_cl: 0}'", says=("train_full",),
    ),
}  # fmt: skip

# Every command of `mktn` and Python on the page is executed by the test: it reads the page itself.
WHOLE_PAGES = {
    "docs/ground.md": By(GROUND),
    "docs/own_data.md": By(BY_HAND),
    "docs/scaling.md": By(PLANS),
}

ELSEWHERE: dict[str, Row] = {
    "mktn import-features --from v_GGSY1Qvo990.npz --pairs pairs.parquet"
    ' --out features/part-0.zarr --part 0 --parts 1 --settings \'{"backbone": "i3d",'
    ' "dimension": 1024, "clip": 24, "stride": 24, "fps": 25,'
    ' "key": "i3d_rgb_stack24_step24_fps25"}\'': By(
        "tests/docs/test_data_page.py::test_real_features_of_one_video_are_imported"
    ),
    "mktn extract-video --videos VIDEOS --pairs pairs.parquet --backbone i3d"
    " --weights rgb_imagenet.pt --out features/part-0.zarr --part 0 --parts 1": By(
        "tests/docs/test_data_page.py::test_a_published_backbone_sees_a_video"
    ),
    "kill -INT -- -PGID": By(
        "tests/faults/test_stops.py::test_signals_stop_the_jobs_and_the_next_run_goes_on"
    ),
    "python -m tests.engine.golden": By(
        "tests/docs/test_make.py::test_the_golden_losses_are_regenerated"
    ),
    "make format": By("tests/docs/test_make.py::test_format_leaves_a_formatted_copy_as_it_is"),
    "make lint": Near("a minute of it; .ci/run begins with it", MAKE),
    **{
        f"make {name}": Near(SUITE, MAKE)
        for name in ("test", "test-faults", "test-slurm", "test-browser", "test-docs")
    },
    ".ci/run": Near(SUITE, "tests/docs/test_make.py::test_continuous_integration_is_these"),
    "make bench": Near(SMALL, "tests/docs/test_benches.py::test_make_bench_names_benchmarks"),
    "mktn bench processes --out F": By("tests/docs/test_benches.py::test_one_or_two_processes"),
    **{
        f"pip install -e '.[{extra}]'": Near(
            "it downloads", "tests/docs/test_make.py::test_extras_are_there_and_installed"
        )
        for extra in ("slurm", "tensorboard")
    },
    "mktn pairs --dataset activitynet --annotations MIRROR/activitynet_captions"
    " --pairs pairs.parquet --rejected rejected.parquet": By(
        "tests/test_scaling_page.py::test_the_pairs_are_made_by_the_command_named"
    ),
    "--json -": By("tests/grounder/test_ground_command.py::test_json_alone_goes_to_stdout"),
    "--settings '{\"nms\": 0.5}'": By(
        "tests/engine/test_score.py"
        "::test_nms_is_applied_where_it_is_asked_for_and_then_before_the_first_n"
    ),
    "--groups groups.parquet": By(
        "tests/engine/test_score.py::test_groups_say_which_queries_count"
    ),
    **dict.fromkeys(
        (
            "mktn serve RUN",
            "mktn serve bundle --videos videos",
            "mktn serve bundle --videos videos --port 0 --upload-mb 50",
            "--port 0",
        ),
        By("tests/docs/test_serve_page.py::test_it_starts_and_ends"),
    ),
    "--host ADDRESS": By("tests/serve/test_serve_command.py::test_a_mistake_is_one_line"),
    "mktn ground --json": By(
        "tests/grounder/test_ground_command.py::test_json_alone_goes_to_stdout"
    ),
    "make setup": Near("it builds the environment that this runs in", EXTRAS),
    "pip install 'nicegui>=3.0'": Near("it downloads", EXTRAS),
    "sacct -X": Near(CLUSTER, SLURM),
    "scontrol show config": Near(CLUSTER, SLURM),
    "snakemake --workflow-profile workflow/profiles/slurm": By(SLURM),
}

OF_BENCHES = "tests/engine/test_bench.py"
OF_SCALING = "tests/engine/test_scaling_benches.py"
BENCHES = {
    "dag": f"{OF_SCALING}::test_dry_runs_are_measured_in_every_state",
    "parts": f"{OF_SCALING}::test_more_parts_than_files_may_be_open_are_resampled",
    "cost": f"{OF_SCALING}::test_clips_and_queries_are_counted_and_timed",
    "relations": f"{OF_SCALING}::test_relations_are_measured_at_growing_sizes",
    "ground": "tests/grounder/test_unseen_bench.py"
    "::test_both_worlds_are_asked_in_videos_of_no_split",
    "map": f"{OF_BENCHES}::test_the_map_network_is_measured_both_ways",
    "multipair": f"{OF_BENCHES}::test_every_mode_is_measured_in_both_phases",
    "similarity": f"{OF_BENCHES}::test_the_memory_of_one_step_is_bounded",
    "reading": "tests/engine/test_reading_bench.py"
    "::test_the_csv_names_each_reader_its_baseline_and_what_is_required",
    "checkpoint": f"{OF_BENCHES}::test_a_checkpoint_is_measured_beside_the_step_that_it_delays",
    "words": "tests/features/test_words_bench.py::test_a_large_file_is_read_in_little_memory",
    "import": f"{OF_BENCHES}::test_an_import_holds_one_video_and_one_shard",
    "extraction": f"{OF_BENCHES}::test_extraction_is_measured_end_to_end",
    "processes": "tests/docs/test_benches.py::test_one_or_two_processes",
}

# Blocks in other languages, by page: the test that reads or runs them.
LANGUAGES = {
    ("docs/plug_in.md", "python"): "tests/test_plug_in.py::test_the_page_runs",
    ("docs/ground.md", "python"): "tests/grounder/test_ground_page.py::test_the_python_runs",
    ("docs/own_data.md", "csv"): "tests/test_own_data_page.py::test_the_tables_shown_are_read",
    ("docs/own_data.md", "json"): "tests/test_own_data_page.py::test_the_tables_shown_are_read",
}
