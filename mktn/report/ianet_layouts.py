"""Tables 1 to 4 of the IA-Net paper: our systems on the printed lines."""

from mktn.report.lines import Layout, Line, Quantity

IANET = Line("ianet", "full", "IA-Net", "IA-Net")
TAN2D = Line("tan2d", "origin", "2D-TAN", "2DTAN")


def _models(**names: str) -> tuple[Line, ...]:
    return tuple(
        Line("ianet", variant, f"Model {name}", "IA-Net", f"model={name}", group="model")
        for variant, name in names.items()
    )


def _counts(
    symbol: str, name: str, prefix: str, counts: tuple[int, ...], full: int
) -> tuple[Line, ...]:
    """Lines of a number that is varied; `full` has the number of the paper's own model."""
    return tuple(
        Line(
            "ianet",
            "full" if count == full else f"{prefix}_{count}",
            f"{name} {symbol} = {count}",
            "IA-Net",
            f"{symbol}={count}",
            group=symbol,
        )
        for count in counts
    )


IANET_TABLES = {
    "ianet1": Layout(
        paper="IA-Net",
        number=1,
        title="Comparison on ActivityNet Captions and TACoS",
        legend="IA-Net reports TACoS on the 4,083 test queries of `tacos_version: tall`.",
        own_title="Comparison of IA-Net and 2D-TAN",
        own_legend="",
        datasets=("activitynet", "tacos"),
        lines=(TAN2D, IANET),
        against="IA-Net",
        reference="ianet/full",
        compares=True,
    ),
    "ianet2": Layout(
        paper="IA-Net",
        number=2,
        title="Comparison on Charades-STA",
        legend="Its methods differ in their features.",
        own_title="Comparison of IA-Net and 2D-TAN",
        own_legend="",
        datasets=("charades",),
        lines=(TAN2D, IANET),
        against="IA-Net",
        reference="ianet/full",
        compares=True,
    ),
    "ianet3": Layout(
        paper="IA-Net",
        number=3,
        title="Efficiency on TACoS",
        own_title="Efficiency",
        own_legend="Run time: seconds to answer one sentence, one pair at a time, the video"
        " encoded for it, its features and the words' vectors read before. Model size: parameters,"
        " in millions and in MiB as float32.",
        legend="Run time: seconds to answer one sentence, one pair at a time, the video encoded"
        " for it, its features and the words' vectors read before; the paper's on a TITAN XP."
        " Model size: the paper calls it the size of parameters and prints M; its 232M of 2D-TAN"
        " is what the 60.9 million parameters of the published code take in MiB, so ours is given"
        " in both.",
        datasets=("tacos",),
        lines=(TAN2D, IANET),
        against="",
        compares=True,
        quantities=(
            Quantity("run_time_s", "Run time, s", lower=True),
            Quantity("params_M", "Model size, M", lower=True),
            Quantity("size_MiB", "Model size, MiB", lower=True),
        ),
        scored=False,
    ),
    "ianet4": Layout(
        paper="IA-Net",
        number=4,
        title="Ablation study",
        legend="Model A: inter-modal attention. B: with calibration after it. C: with intra-modal"
        " attention too. D: with calibration after that too, the full model, which stands in each"
        " of the four groups.",
        datasets=("activitynet",),
        lines=(
            *_models(model_a="A", model_b="B", model_c="C", full="D"),
            *_counts("K", "Padding size", "padding", (0, 1, 2, 3, 4), full=3),
            *_counts("H", "Attention maps", "heads", (1, 2, 4, 8), full=4),
            *_counts("l", "Stacked blocks", "blocks", (1, 2, 3, 4), full=3),
        ),
        sizes={"padding": 3, "heads": 4, "blocks": 3},
    ),
}
