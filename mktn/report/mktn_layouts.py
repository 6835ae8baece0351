"""Tables 1 to 7 and Figure 3 of the MKTN paper, and figures of the runs: our systems on their
lines."""

from mktn.report.lines import Figure, Layout, Line, Quantity

BENCHMARKS = ("activitynet", "charades", "tacos")
MKTN = Line("mktn", "full", "MKTN", "MKTN", type="MP", mode="multi_pair")
IANET = Line("ianet", "full", "IA-Net", "IA-Net", type="FS")
# The models that take the plug-in: name -> printed name and type of supervision.
PLUGGED = {"tan2d": ("2D-TAN", "FS"), "mmn": ("MMN", "FS"), "lcnet": ("LCNet", "WS")}
PEERS = tuple(
    Line(model, "origin", name, name, type=kind) for model, (name, kind) in PLUGGED.items()
)
COMPARED = (MKTN, IANET, *PEERS)  # Full, and the other models as they are


def _plugged() -> tuple[Line, ...]:
    """Origin and +MKTN of each peer."""
    lines: list[Line] = []
    for model, (name, kind) in PLUGGED.items():
        lines += (
            Line(model, "origin", f"{name}, Origin", name, "Origin", kind, "origin", name),
            Line(model, "plus_mktn", f"{name}, +MKTN", name, "+Ours", kind, "multi_pair", name),
        )
    return tuple(lines)


def _ablation(variant: str, name: str, reported: str, group: str = "") -> Line:
    return Line("mktn", variant, name, "MKTN", reported, group=group)


def _named(**names: str) -> tuple[Line, ...]:
    """Lines whose names in reported.csv are the printed ones."""
    return tuple(_ablation(variant, name, name) for variant, name in names.items())


def _switched(first: str, second: str, wo_first: str, wo_second: str) -> tuple[Line, ...]:
    """Lines printed as two switches on and off: without the first, without the second, full."""
    lines = ((wo_first, 0, 1), (wo_second, 1, 0), ("full", 1, 1))
    names = {first: first.replace("_ssl", " feature"), second: second.replace("_ssl", " feature")}
    return tuple(
        _ablation(
            variant,
            f"{names[first]} {'✗✓'[on_first]}, {names[second]} {'✗✓'[on_second]}",
            f"{first}={on_first};{second}={on_second}",
        )
        for variant, on_first, on_second in lines
    )


def _threshold(**names: str) -> tuple[Line, ...]:
    return tuple(_ablation(v, name, f"threshold={name}", "threshold") for v, name in names.items())


MKTN_TABLES = {
    "1": Layout(
        paper="MKTN",
        number=1,
        title="Comparison with the state of the art",
        legend="FS: fully supervised. WS: weakly supervised, without timestamps. MP: multi-pair.",
        datasets=BENCHMARKS,
        lines=COMPARED,
        reference="mktn/full",
        against="MKTN",
        compares=True,
        own_title="Comparison of models",
    ),
    "2": Layout(
        paper="MKTN",
        number=2,
        title="MKTN as a plug-in",
        legend="VPS: videos a second with all their queries answered, of Origin one pair at a time"
        " with the video encoded again for each, of +MKTN all queries of a video together. Origin"
        " cached: one pair at a time, the video encoded once, the fair baseline of one pair at a"
        " time. Origin together: all queries of a video together, in the same batches as +MKTN;"
        " where it is faster than +MKTN, the gain of +MKTN is that of answering together, not of"
        " what MKTN computes, which the ratio to it shows alone. Ratios are of the rounds in which"
        " the two models took turns; where they did not, as to Origin together, of their medians,"
        " with the widest quotient of their quartiles.",
        datasets=("charades",),
        lines=_plugged(),
        reference="origin",
        against="Origin",
        quantities=(
            Quantity("VPS", "VPS"),
            Quantity("VPS_cached", "VPS, cached"),
            Quantity("VPS_together", "VPS, together"),
            Quantity("VPS_over_origin", "VPS / Origin"),
            Quantity("VPS_over_cached", "VPS / Origin cached"),
            Quantity("VPS_over_together", "VPS / Origin together"),
        ),
    ),
    "3": Layout(
        paper="MKTN",
        number=3,
        title="Main ablation study",
        legend="CSM: cross-sentence semantic mining. OPM: object-phrase prototype matching."
        " APA: activity-sentence prototype alignment. AVM: adaptive video-query matching.",
        datasets=BENCHMARKS,
        lines=_named(
            wo_csm="w/o CSM",
            wo_opm="w/o OPM",
            wo_apa="w/o APA",
            wo_avm="w/o AVM",
            full="Full",
        ),
    ),
    "4": Layout(
        paper="MKTN",
        number=4,
        title="Ablation study on cross-sentence semantic mining",
        legend="Ours leaves out, in turn: the position among the video's queries; the attention"
        " among queries; words and phrases in the memory.",
        datasets=("activitynet",),
        lines=_named(
            wo_temporal="w/o Temporal relationship",
            wo_contextual="w/o Contextual relationship",
            wo_semantic="w/o Semantic relationship",
            full="Full",
        ),
    ),
    "5": Layout(
        paper="MKTN",
        number=5,
        title="Ablation study on adaptive video-query matching",
        legend="Features: cross-modal contrast via self-supervision; ours leaves out a layer of"
        " the joint space and the hinge on negative videos (visual) or queries (textual)."
        " Threshold: ours is at its final value throughout, linear in the training's progress,"
        " or as configured. Full stands in both halves.",
        datasets=("activitynet",),
        lines=(
            *_switched("visual_ssl", "textual_ssl", "wo_visual_contrast", "wo_textual_contrast"),
            *_threshold(
                fixed_threshold="Fixed threshold",
                wo_cosine="w/o cos(p*pi + 1)",
                full="w/ cos(p*pi + 1)",
            ),
        ),
    ),
    "6": Layout(
        paper="MKTN",
        number=6,
        title="Ablation study on object-phrase prototype matching",
        legend="CAP: constructing appearance prototypes; ours without it compares patches with"
        " words. OCA: object-phrase cross-modal alignment; ours without it has object prototypes"
        " but no phrases and no S_op.",
        datasets=("activitynet",),
        lines=_switched("CAP", "OCA", "wo_cap", "wo_oca"),
    ),
    "7": Layout(
        paper="MKTN",
        number=7,
        title="Ablation study on activity-sentence prototype alignment",
        legend="BMP: building motion prototypes; ours without it has one activity, the mean"
        " frame. AA: activity-sentence alignment; ours without it has the prototypes but no"
        " S_es.",
        datasets=("activitynet",),
        lines=_switched("BMP", "AA", "wo_bmp", "wo_aa"),
    ),
}

FIGURES = {
    "3a": Figure(
        stem="figure3a",
        title="R@1, IoU=0.5 against queries a second",
        datasets=("charades",),
        lines=(MKTN, IANET, *_plugged()),
        made_of=("metrics", "efficiency", "reported"),
        reported_in=("1", "2", "ianet2"),
    ),
    "3b": Figure(
        stem="figure3b",
        title="Videos a second before and after",
        datasets=("charades",),
        lines=_plugged(),
        scored=False,
        made_of=("efficiency", "reported"),
        reported_in=("2",),
    ),
    "training": Figure(
        stem="figure_training",
        title="Loss terms and validation mIoU over the training of Full",
        datasets=BENCHMARKS,
        lines=(MKTN,),
        made_of=("metrics", "logs"),
    ),
    "negatives": Figure(
        stem="figure_negatives",
        title="The threshold phi and the negative set over the training of Full",
        datasets=BENCHMARKS,
        lines=(MKTN,),
        made_of=("metrics", "logs"),
    ),
    "lengths": Figure(
        stem="figure_lengths",
        title="R@1 by the length of the moment",
        datasets=BENCHMARKS,
        lines=COMPARED,
        made_of=("metrics", "predictions", "pairs"),
        baselines=("train-prior",),
    ),
    "positions": Figure(
        stem="figure_positions",
        title="R@1 by the position of the moment",
        datasets=BENCHMARKS,
        lines=COMPARED,
        made_of=("metrics", "predictions", "pairs"),
        baselines=("train-prior",),
    ),
}
