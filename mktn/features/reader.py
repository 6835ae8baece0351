"""Features for batches: from memory where the store fits, else from disk batch by batch."""

from collections.abc import Sequence

import numpy as np

from mktn.features.store import ResampledStore


class FeatureReader:
    """Reads videos of a store. V videos, T frames, D global feature, C patches, D_p patch feature.

    A store of up to `memory_gb` is loaded whole when first read (a baseline never reads it) and
    stands in `held`: features (videos,T,D) and patches (videos,T,C,D_p) or None, float16.
    """

    def __init__(self, store: ResampledStore, memory_gb: float) -> None:
        self.store = store
        self.held: tuple[np.ndarray, np.ndarray | None] | None = None
        width = store.dimension + store.patches * store.patch_dimension
        self.gigabytes = 2 * len(store) * store.frames * width / 1e9
        self.fits = self.gigabytes <= memory_gb

    def read(self, video_ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
        """features (V,T,D) and patches (V,T,C,D_p) or None, float16, in the order asked for.

        Raises UserError as `ResampledStore.read` does.
        """
        if self.held is None and self.fits:
            self.held = self.store.load_all()
        if self.held is None or any(name not in self.store for name in video_ids):
            return self.store.read(video_ids)
        rows = [self.store.row[name] for name in video_ids]
        features, patches = self.held
        return features[rows], None if patches is None else patches[rows]
