"""New videos and sentences as the ragged batch that the loader makes of the pipeline's.

V videos, Q sentences, T frames, C patches, L words.
"""

from collections.abc import Sequence

import numpy as np
import torch

from mktn.grounder.answers import EncodedVideo
from mktn.grounder.parts import Parts
from mktn.grounder.text import SentenceVectors
from mktn.grouping.batch import PairBatch


def pair_batch(
    parts: Parts,
    videos: Sequence[EncodedVideo],
    text: SentenceVectors | None = None,
    chosen: np.ndarray | None = None,
    in_order: bool = False,
) -> PairBatch:
    """Sentence q is about video chosen[q], (Q,) int64; without text there is none.

    in_order: the sentences of a video have places 0, 1, ... as annotations have, else none.
    What the run's training hid from its network is hidden here.
    """
    sizes = parts.config["sizes"]
    held = [one.frames for one in videos]
    frames = torch.from_numpy(np.stack([one.features for one in held])).float()
    with_patches = [one.patches for one in held if one.patches is not None]
    patches = torch.from_numpy(np.stack(with_patches)).float() if with_patches else None
    if text is None or chosen is None:
        words = torch.zeros(0, 1, sizes["word_dimension"])
        mask = torch.zeros(0, 1, dtype=torch.bool)
        sentences, chosen = torch.zeros(0, sizes["sentence_dimension"]), np.zeros(0, np.int64)
    else:
        words, mask = torch.from_numpy(text.words), torch.from_numpy(text.mask)
        sentences = torch.from_numpy(text.sentences)
    # The place of a sentence among those of its own video.
    places = [int((chosen[:q] == v).sum()) if in_order else -1 for q, v in enumerate(chosen)]
    batch = PairBatch(
        frames=frames,
        frame_mask=torch.ones(frames.shape[:2], dtype=torch.bool),
        patches=patches,
        words=words,
        word_mask=mask,
        sentences=sentences,
        video_index=torch.from_numpy(chosen),
        order=torch.tensor(places, dtype=torch.int64),
        duration_s=torch.tensor([one.duration_s for one in held], dtype=torch.float32),
        video_ids=[one.name for one in videos],
    )
    hidden = parts.config.get("loader", {}).get("hidden")
    return batch.without(hidden) if hidden else batch
