"""The sparse map of candidate moments: which there are, when they are, what is pooled."""

import pytest
import torch

from mktn.models.proposals import ProposalMap, pool_to_cells, sparse_cells

PUBLISHED = [(16, [16], 136), (64, [16, 8, 8], 1104), (128, [16, 8, 8, 8], 2548)]
SMALL = [(24, [8, 4, 2]), (12, [12]), (36, [8, 8]), (9, [3, 3]), (1, [1])]
MAPS = [(cells, counts) for cells, counts, _ in PUBLISHED] + SMALL


@pytest.mark.parametrize(("cells", "counts", "expected"), PUBLISHED)
def test_the_published_maps_have_their_number_of_moments(cells, counts, expected):
    found = sparse_cells(cells, counts)
    assert found.shape == (expected, 2)
    assert found.dtype == torch.int64
    assert len({tuple(cell) for cell in found.tolist()}) == expected


@pytest.mark.parametrize(("cells", "counts"), MAPS)
def test_the_cells_are_those_of_the_scheme(cells, counts):
    """Moments of 1 .. counts[0] cells start anywhere; each scale above doubles both steps."""
    expected, length, step = set(), 0, 1
    for count in counts:
        for _ in range(count):
            length += step
            starts = range(0, cells - length + 1, step)
            expected |= {(start, start + length - 1) for start in starts}
        step *= 2
    assert {tuple(cell) for cell in sparse_cells(cells, counts).tolist()} == expected


@pytest.mark.parametrize(
    ("cells", "counts"), [(16, [17]), (64, [16, 8, 9]), (16, []), (16, [4, 0]), (0, [1])]
)
def test_counts_that_do_not_fit_are_refused(cells, counts):
    with pytest.raises(ValueError, match="cells"):
        sparse_cells(cells, counts)


@pytest.mark.parametrize(("cells", "counts"), MAPS)
def test_a_cell_holds_the_maximum_of_its_moment(cells, counts):
    """Stacked pooling against a loop over the moments; zero elsewhere."""
    proposals = ProposalMap(cells, counts)
    x = torch.randn(2, cells, 3, generator=torch.Generator().manual_seed(cells))
    expected = torch.zeros(2, 3, cells, cells)
    for i, j in sparse_cells(cells, counts).tolist():
        expected[:, :, i, j] = x[:, i : j + 1].amax(dim=1)
    found = proposals(x)
    assert torch.equal(found, expected)
    assert torch.equal(proposals.mask.nonzero(), proposals.cells)
    i, j = proposals.cells.unbind(1)
    assert torch.equal(proposals.at_cells(found), expected[:, :, i, j].transpose(1, 2))


def test_the_times_of_the_moments():
    proposals = ProposalMap(4, [4])
    cells, moments = proposals.cells.tolist(), proposals.moments.tolist()
    times = {tuple(cell): moment for cell, moment in zip(cells, moments, strict=True)}
    expected = {(0, 0): [0.0, 0.25], (1, 2): [0.25, 0.75], (0, 3): [0.0, 1.0]}
    assert {cell: times[cell] for cell in expected} == expected
    for cells, counts in MAPS:
        moments = ProposalMap(cells, counts).moments
        assert moments.min() >= 0
        assert moments.max() <= 1
        assert (moments[:, 0] < moments[:, 1]).all()


def test_the_maximum_passes_its_gradient_to_the_cell_that_has_it():
    x = torch.tensor([[[1.0], [3.0], [2.0]]], requires_grad=True)
    ProposalMap(3, [3])(x).sum().backward()
    assert x.grad.flatten().tolist() == [1.0, 4.0, 1.0]


@pytest.mark.parametrize("cells", [4, 7, 16, 40])
def test_frames_are_pooled_by_the_overlap_mean(cells):
    """Against a loop: each bin is an equal part of the video's own frames, padding unread."""
    generator = torch.Generator().manual_seed(cells)
    frames, counts = torch.randn(3, 24, 5, generator=generator), [24, 17, 3]
    mask = torch.arange(24) < torch.tensor(counts)[:, None]
    frames[~mask] = float("nan")
    found = pool_to_cells(frames, mask, cells)
    for video, count in enumerate(counts):
        for cell in range(cells):
            start, end = cell * count / cells, (cell + 1) * count / cells
            shares = [max(0.0, min(end, t + 1) - max(start, t)) for t in range(count)]
            total = sum(share * frames[video, t] for t, share in enumerate(shares))
            torch.testing.assert_close(
                found[video, cell], total / sum(shares), atol=1e-5, rtol=1e-5
            )


def test_as_many_cells_as_frames_are_the_frames():
    frames = torch.randn(2, 16, 3)
    pooled = pool_to_cells(frames, torch.ones(2, 16, dtype=torch.bool), 16)
    assert torch.equal(pooled, frames)


@pytest.mark.parametrize(("frames", "cells"), [(200, 64), (72, 32)])
def test_half_precision_moves_no_cell(frames, cells):
    """Training on a GPU pools what autocast made bfloat16."""
    torch.manual_seed(0)
    values = torch.randn(2, frames, 3).bfloat16()
    mask = torch.ones(2, frames, dtype=torch.bool)
    pooled = pool_to_cells(values, mask, cells)
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(
        pooled.float(), pool_to_cells(values.float(), mask, cells), atol=0.02, rtol=0.02
    )
