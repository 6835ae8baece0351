"""IA-Net's attention and calibration against loops written from Eqs. 1 to 12 of its paper."""

import math

import pytest
import torch
from torch import Tensor, nn

from mktn.models.interaction import Calibration, InteractionBlock, InterAttention, IntraAttention

WIDTH, HEADS, PADDING, T, L = 8, 2, 3, 5, 4
FRAMES, WORDS = (5, 3), (2, 4)  # real ones of two pairs


def features(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(2, T, WIDTH, generator=generator),
        torch.arange(T) < torch.tensor(FRAMES)[:, None],
        torch.randn(2, L, WIDTH, generator=generator),
        torch.arange(L) < torch.tensor(WORDS)[:, None],
    )


def slow_map(a: Tensor, b: Tensor, of_a: nn.Linear, of_b: nn.Linear) -> Tensor:
    """The average over heads of softmax over the rows b, for each row a, one by one."""
    size = WIDTH // HEADS
    averaged = torch.zeros(len(a), len(b))
    for h in range(HEADS):
        own = slice(h * size, (h + 1) * size)
        rows_a, rows_b = of_a(a)[:, own].tolist(), of_b(b)[:, own].tolist()
        for i, row in enumerate(rows_a):
            weights = [
                math.exp(sum(x * y for x, y in zip(row, other, strict=True)) / math.sqrt(size))
                for other in rows_b
            ]
            for j, weight in enumerate(weights):
                averaged[i, j] += weight / sum(weights) / HEADS
    return averaged


@pytest.mark.parametrize("padding", [0, PADDING])
def test_the_averaged_map_attends_the_unprojected_padded_features(padding: int) -> None:
    torch.manual_seed(1)
    layer, (v, v_mask, q, q_mask) = InterAttention(WIDTH, HEADS, padding), features()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    with torch.no_grad():
        m_v, m_q, a_v, a_q = layer(v, v_mask, q, q_mask)
        for pair in range(2):
            none = torch.empty(0, WIDTH)
            rows_v = none if layer.frame_padding is None else layer.frame_padding
            rows_q = none if layer.word_padding is None else layer.word_padding
            t, n = FRAMES[pair], WORDS[pair]
            padded_v = torch.cat([v[pair, :t], rows_v])
            padded_q = torch.cat([q[pair, :n], rows_q])
            map_v = slow_map(padded_v, padded_q, layer.frame, layer.word)
            map_q = slow_map(padded_q, padded_v, layer.word, layer.frame)
            torch.testing.assert_close(m_v[pair, :t], (map_v @ padded_q)[:t])
            torch.testing.assert_close(m_q[pair, :n], (map_q @ padded_v)[:n])
            torch.testing.assert_close(a_v[pair, :t, :n], map_v[:t, :n])
            torch.testing.assert_close(a_v[pair, :t, L:], map_v[:t, n:])
            torch.testing.assert_close(a_q[pair, :n, T:], map_q[:n, t:])


def test_rows_sum_to_one_with_the_padding_and_masked_columns_have_nothing() -> None:
    torch.manual_seed(1)
    v, v_mask, q, q_mask = features()
    _, _, a_v, a_q = InterAttention(WIDTH, HEADS, PADDING)(v, v_mask, q, q_mask)
    assert a_v.shape == (2, T, L + PADDING)
    assert a_q.shape == (2, L, T + PADDING)
    for attention, mask in ((a_v, q_mask), (a_q, v_mask)):
        torch.testing.assert_close(attention.sum(dim=-1), torch.ones(attention.shape[:2]))
        real = attention[..., : mask.shape[1]]
        assert (real.masked_select(~mask[:, None].expand_as(real)) == 0).all()
        words_alone = real.sum(dim=-1)
        assert (words_alone < 1).all()
        assert (attention[..., mask.shape[1] :] > 0).all()


def test_a_frame_that_no_word_matches_may_attend_to_nothing() -> None:
    """Frame 1 is unlike both words. Without padding they share its attention all the same."""
    v, q = 4 * torch.eye(WIDTH)[None, :2], 4 * torch.eye(WIDTH)[None, [0, 2]]
    everything = torch.ones(1, 2, dtype=torch.bool)
    mapped = {}
    for padding in (0, 1):
        layer = InterAttention(WIDTH, 1, padding)
        for projection in (layer.frame, layer.word):
            nn.init.eye_(projection.weight)
            nn.init.zeros_(projection.bias)
        if layer.word_padding is not None:
            layer.word_padding.data = 2 * torch.eye(WIDTH)[[1]]
        mapped[padding] = layer(v, everything, q, everything)[2][0]
    torch.testing.assert_close(mapped[0][1], torch.tensor([0.5, 0.5]))
    assert mapped[1][1, 2] > 0.85
    assert mapped[1][0, 0] > 0.95  # the frame that a word matches still attends to it


@pytest.mark.parametrize("side", ["frames", "words"])
def test_a_modality_attends_to_itself_without_padding(side: str) -> None:
    torch.manual_seed(1)
    layer, (v, v_mask, q, q_mask) = IntraAttention(WIDTH, HEADS), features()
    x, mask, lengths = (v, v_mask, FRAMES) if side == "frames" else (q, q_mask, WORDS)
    with torch.no_grad():
        attended, attention = layer(x, mask)
        for pair, real in enumerate(lengths):
            own = x[pair, :real]
            expected = slow_map(own, own, layer.query, layer.key)
            torch.testing.assert_close(attention[pair, :real, :real], expected)
            torch.testing.assert_close(attended[pair, :real], expected @ own)


def test_calibration_is_a_gate_between_the_feature_and_its_fusion() -> None:
    torch.manual_seed(1)
    layer, (v, _, _, _) = Calibration(WIDTH), features()
    m = torch.randn_like(v)
    with torch.no_grad():
        w_r, u_r = layer.fusion.weight.split(WIDTH, dim=1)
        w_z, u_z = layer.gate.weight.split(WIDTH, dim=1)
        r = torch.tanh(v @ w_r.T + m @ u_r.T + layer.fusion.bias)
        z = torch.sigmoid(v @ w_z.T + m @ u_z.T + layer.gate.bias)
        torch.testing.assert_close(layer(v, m), z * v + (1 - z) * r)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(1)
    block = InteractionBlock(4, 2, 1, 0.0).double()
    v = torch.randn(1, 3, 4, dtype=torch.double, requires_grad=True)
    q = torch.randn(1, 2, 4, dtype=torch.double, requires_grad=True)
    v_mask, q_mask = torch.tensor([[True, True, False]]), torch.tensor([[True, True]])
    assert torch.autograd.gradcheck(lambda v, q: block(v, v_mask, q, q_mask), (v, q))
