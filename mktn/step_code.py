"""The files of the package that each step runs.

A rule's `params` hold their hash, so that an edited module runs its steps again and no others;
a training goes on from a checkpoint of the same code only.
"""

from mktn.provenance import code_sha256

# Reading a store, and writing one.
READ_STORES = ["store", "zarr_group", "store_checksums"]
STORES = [
    *READ_STORES,
    *("writers", "resampled_writer", "store_writer", "sharded", "journal"),
]
CLIPS = [
    *("video", "pictures", "preprocessing", *STORES),
    *("video_backbone", "c3d", "i3d", "torchvision_backbones"),
    *("backbones", "published_weights", "recipes"),
]
DECODING = ["video_files", "decoding", "decode_worker", "inference"]
READERS = [
    f"datasets/{name}.py"
    for name in (
        *("__init__", "annotations", "partitions", "sentences"),
        *("activitynet", "charades", "tacos"),
    )
]
LOADING = [
    "datasets/sentences.py",
    "features/pairs_file.py",
    *(f"grouping/{name}.py" for name in ("batch", "loader", "resident", "ahead")),
    *(f"grouping/{name}.py" for name in ("share", "packing", "neighbours")),
    *(f"features/{name}.py" for name in (*READ_STORES, "reader")),
    "features/text_store.py",
    "engine/checkpoint.py",
    "models",
]
TRAINING = [
    *LOADING,
    "losses",
    "engine/grounding",
    *(f"engine/{name}.py" for name in ("train", "fit", "late", "finite", "resume", "interrupts")),
    *(f"engine/{name}.py" for name in ("schedules", "validation", "training_state")),
    *(f"engine/{name}.py" for name in ("run_config", "run_identity", "run_lock", "metrics")),
    *(f"engine/{name}.py" for name in ("criterion", "gradients", "predict", "decode")),
    *(f"engine/{name}.py" for name in ("objective", "distributed", "launch")),
    *(f"engine/{name}.py" for name in ("meter", "log_columns", "run_state", "event_files")),
]
# Results: what tables hold, and the runs' scores; and what was measured of speed.
SHOWN = [
    f"report/{name}.py"
    for name in (
        *("lines", "layouts", "mktn_layouts", "ianet_layouts"),
        *("results", "reported", "rows", "table_rows"),
    )
]
FIGURE_DATA = [
    *(f"report/{name}.py" for name in ("speed_points", "training_curves", "binned_scores")),
    *("report/differences.py", "engine/metrics.py", "engine/log_columns.py"),
]
EFFICIENCY = ["report/efficiency_files.py", "report/speeds.py"]
# Figures 3c and ianet5.
PAIR_FIGURES = [
    *(f"figures/{name}.py" for name in ("timelines_figure", "timelines", "strip", "placing")),
    *(f"figures/{name}.py" for name in ("attention_figure", "attention_maps")),
    *(f"engine/{name}.py" for name in ("attention", "drawn_pairs", "metrics")),
    *(f"features/{name}.py" for name in ("pairs_file", "video", "pictures", "video_files")),
]
STEP_CODE = {
    "synthesize": ["datasets/synthetic"],
    "pairs": ["datasets/pairs.py", *READERS],
    "own_pairs": [
        "datasets/pairs.py",
        "datasets/own_table.py",
        "datasets/table_rows.py",
        *READERS,
        *(
            f"features/{name}.py"
            for name in (
                *("video_lengths", "video", "pictures", "preprocessing"),
                *("video_files", "decoding", "decode_worker"),
            )
        ),
    ],
    "reannotations": ["datasets/reannotations.py", *READERS],
    "simulate": [
        *(
            f"features/{name}.py"
            for name in (
                "simulate",
                "simulated_recogniser",
                "concept_words",
                "action_labels",
                "activitynet_labels",
                "tacos_labels",
                "pairs_file",
                *STORES,
            )
        ),
        *READERS,
    ],
    "pretrain": [
        f"features/{name}.py"
        for name in (
            *CLIPS,
            "pretrain",
            "clip_classifier",
            "clip_labels",
            "labelled_clips",
            "pairs_file",
        )
    ],
    "extract_video": [
        f"features/{name}.py" for name in (*CLIPS, *DECODING, "extract", "pairs_file")
    ],
    "import_features": [
        f"features/{name}.py"
        for name in (
            *STORES,
            "importers",
            "import_checks",
            "feature_source",
            "feature_files",
            "stored_features",
            "published",
            "import_settings",
            "clip_times",
            "pairs_file",
            "resample",
        )
    ],
    "resample": [f"features/{name}.py" for name in ("resample", "pairs_file", *STORES)],
    "extract_text": [
        "datasets/sentences.py",
        *(
            f"features/{name}.py"
            for name in (
                "text",
                "text_store",
                "zarr_group",
                "store_checksums",
                "pairs_file",
                "word_vectors",
                "known_words",
                "glove",
                "glove_cache",
                "glove_training",
                "skipthought",
                "skipthought_published",
                "pickled_rows",
                "skipthought_training",
            )
        ),
    ],
    "relate": [
        "grouping/relations.py",
        "datasets/sentences.py",
        "features/text_store.py",
        "features/store_checksums.py",
        "features/zarr_group.py",
        "features/pairs_file.py",
    ],
    "group": [
        "grouping/groups.py",
        *(f"features/{name}.py" for name in ("pairs_file", *READ_STORES)),
    ],
    "train": TRAINING,
    "evaluate": [
        *LOADING,
        "features/origin.py",
        *(
            f"engine/{name}.py"
            for name in ("evaluate", "trained_on", "metrics", "predict", "decode")
        ),
    ],
    "evaluate_baseline": [
        *LOADING,
        "features/origin.py",
        *(f"engine/{name}.py" for name in ("evaluate", "trained_on", "metrics", "baselines")),
    ],
    "rescore": ["engine/rescore.py", "engine/metrics.py", "features/pairs_file.py"],
    "diagnose": [
        *LOADING,
        *(
            f"engine/{name}.py"
            for name in (
                "diagnose",
                "retrieval",
                "seen",
                "evaluate",
                "trained_on",
                "metrics",
                "predict",
                "decode",
            )
        ),
    ],
    "attention": [
        *LOADING,
        *(
            f"engine/{name}.py"
            for name in ("attention", "drawn_pairs", "evaluate", "trained_on", "predict")
        ),
        "engine/decode.py",
    ],
    "efficiency": [
        *LOADING,
        *(
            f"engine/{name}.py"
            for name in (
                "efficiency",
                "efficiency_format",
                "machine",
                "measuring",
                "answering",
                "operations",
                "peak_memory",
                "turns",
                "run_config",
                "evaluate",
                "trained_on",
                "predict",
                "decode",
            )
        ),
    ],
    "profile": [
        *(f"engine/{name}.py" for name in ("profile", "machine", "operations")),
        *TRAINING,
    ],
    "efficiency_table": [
        *SHOWN,
        *("report/efficiency.py", "report/sources.py", *EFFICIENCY),
        "engine/efficiency_format.py",
    ],
    "diagnostics": [
        *SHOWN,
        *(f"report/{name}.py" for name in ("diagnostics", "diagnoses", "diagnostics_page")),
        *("report/sources.py", "report/differences.py"),
        *EFFICIENCY,
    ],
    "table": [
        *SHOWN,
        *(
            f"report/{name}.py"
            for name in (
                *("tables", "differences", "table_grid", "table_cells"),
                *("table_notes", "sources"),
                *("markdown", "latex", "latex_text"),
            )
        ),
        *EFFICIENCY,
        "engine/metrics.py",
    ],
    "figure": [
        *SHOWN,
        *EFFICIENCY,
        *FIGURE_DATA,
        *(f"figures/{name}.py" for name in ("figure", "style", "axes", "rows")),
        *(
            f"figures/{name}_figure.py"
            for name in ("points", "speeds", "training", "negatives", "bins", "ablations")
        ),
        *PAIR_FIGURES,
    ],
    "html_page": ["report/html_page.py"],
    "provenance": [
        *("report/made_from.py", "features/origin.py"),
        *(f"report/{name}.py" for name in ("lines", "layouts", "mktn_layouts", "ianet_layouts")),
    ],
    "figure_data": [*SHOWN, "report/figure_data.py", *FIGURE_DATA, *EFFICIENCY],
    "robustness": [
        *SHOWN,
        *(
            f"report/{name}.py"
            for name in ("robustness", "differences", "paired_pages", "sources")
        ),
        *("engine/metrics.py", "features/pairs_file.py", "datasets/sentences.py"),
    ],
    "sensitivity": [
        *SHOWN,
        *(
            f"report/{name}.py"
            for name in ("sensitivity", "differences", "paired_pages", "sources")
        ),
        *("engine/metrics.py", "features/pairs_file.py", "datasets/sentences.py"),
    ],
    "tables_page": ["report/page.py"],
    "test_sets": [
        *SHOWN,
        *(f"report/{name}.py" for name in ("test_sets", "sources")),
        *EFFICIENCY,
        "engine/rescore.py",
    ],
}


def code(step: str) -> str:
    """Hash of the code that a step runs, 16 hexadecimal digits."""
    return code_sha256(*STEP_CODE[step])
