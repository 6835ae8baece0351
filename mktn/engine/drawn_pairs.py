"""Which pairs a figure looks into: drawn at random by a seed, or named; never by their answers."""

import dataclasses
from collections.abc import Callable, Iterable

from mktn.errors import UserError
from mktn.seeds import named_rng


@dataclasses.dataclass(frozen=True)
class Draw:
    """How many pairs of a dataset and the seed that draws them, or `named`: their ids instead."""

    pairs: int = 3
    seed: int = 0
    named: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pairs < 1 or self.seed < 0:
            raise ValueError(f"pairs {self.pairs} >= 1 and seed {self.seed} >= 0")
        if len(set(self.named)) < len(self.named):
            raise ValueError(f"a pair stands twice among the named ones: {', '.join(self.named)}")

    @property
    def said(self) -> str:
        """The rule, as a figure says it."""
        return "named" if self.named else f"drawn at random, seed {self.seed}"


def drawn_pairs(
    draw: Draw, pairs: Iterable[tuple[str, str]], usable: Callable[[str], bool], where: object
) -> list[str]:
    """The pair ids of a draw: random videos without replacement, and of each a random pair.

    pairs: (pair_id, video_id) of a split, in any order; usable: whether a pair can be answered,
    which must not depend on how. A pair that is not usable gives way to the next of its video,
    and a video of such pairs alone to the next video; so a larger count goes on where a smaller
    one ended. All videos where there are fewer. where: the file of the pairs. Raises UserError
    where a named pair is not there or not usable, and where none is usable.
    """
    of_video: dict[str, list[str]] = {}
    for pair_id, video_id in sorted(pairs):
        of_video.setdefault(video_id, []).append(pair_id)
    known = {pair_id for pair_ids in of_video.values() for pair_id in pair_ids}
    for pair_id in draw.named:
        if pair_id not in known or not usable(pair_id):
            raise UserError(
                "a named pair is not among those that are answered",
                where=where,
                found=repr(pair_id),
                expected=f"the pair_id of one, as {next(filter(usable, sorted(known)), 'none')}",
            )
    if draw.named:
        return list(draw.named)
    found: list[str] = []
    videos = sorted(of_video)
    for index in named_rng(draw.seed, "drawn pairs", "videos").permutation(len(videos)):
        video_id = videos[index]
        pair_ids = of_video[video_id]
        order = named_rng(draw.seed, "drawn pairs", video_id).permutation(len(pair_ids))
        shown = next((pair_ids[i] for i in order if usable(pair_ids[i])), None)
        if shown is not None and len(found) < draw.pairs:
            found.append(shown)
    if not found:
        raise UserError("no pair is answered", where=where)
    return found
