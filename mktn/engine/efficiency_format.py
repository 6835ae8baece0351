"""Names in efficiency.json, which `mktn efficiency` writes and mktn.report.efficiency_files reads.

It loads without torch.
"""

FORMAT = 1
# How the same queries are answered, from the one that shares nothing to the one that shares most.
MODES = ("origin", "cached", "batched", "multi_pair")
MODES_EXPLAINED = {
    "origin": "one pair at a time, the video encoded again for each",
    "cached": "one pair at a time, the video encoded once",
    "batched": "as many pairs a batch as multi_pair, the video encoded again for each",
    "multi_pair": "whole videos with all their queries, each video encoded once",
}
TEXT = ("in", "out")  # whether the time of the model's own text encoder counts
BASELINES = ("origin", "cached")  # that ratios of speed are against
WEIGHTS = ("trained", "random")
