"""What a source and a validation split mean, in words."""

SOURCE_SENTENCES = {
    "synthetic": "Videos and sentences are generated: these numbers are NOT comparable with the"
    " paper's, which stand beside them for orientation only.",
    "simulated": "The annotations are the published ones, but the video features are simulated"
    " from human labels of the same videos, which a note under each dataset names: these numbers"
    " are NOT comparable with the paper's, which stand beside them for orientation only.",
    "published": "Published annotations, features of the published kind.",
    "own": "A dataset of your own: comparable with no published number.",
}
SOURCE_STATEMENTS = {
    "synthetic": "Videos and sentences are generated: comparable with no published number.",
    "simulated": "The annotations are the published ones, but the video features are simulated"
    " from human labels: comparable with no published number.",
    "published": SOURCE_SENTENCES["published"],
    "own": SOURCE_SENTENCES["own"],
}
# In the caption of a table: of whom the numbers are, to a reader of a paper.
SOURCE_CAPTIONS = {
    "synthetic": "generated videos and sentences, not comparable with the reported numbers",
    "simulated": "published annotations, video features simulated from human labels of the same"
    " videos, not comparable with the reported numbers",
    "published": "published annotations, features of the published kind",
    "own": "a dataset of our own, comparable with no published number",
}
VALIDATION = {
    "official": "selected on the official validation split",
    "held_out": "selected on a tenth held out of the training videos",
    "own": "selected on the dataset's own validation split",
}
