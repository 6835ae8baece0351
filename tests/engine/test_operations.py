"""Operations equal a count by hand, whichever way a layer is computed."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from mktn.engine.operations import count_operations

N, S, D, H = 2, 5, 8, 6  # sequences, steps, input width, hidden width


def attention(x: Tensor) -> Tensor:
    mask = torch.ones(N, 1, S, S, dtype=torch.bool)
    heads = x.unflatten(-1, (2, D // 2)).transpose(1, 2)
    return functional.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask)


def packed(layer: nn.LSTM, lengths: list[int]) -> Callable[[Tensor], object]:
    return lambda x: layer(pack_padded_sequence(x, torch.tensor(lengths), batch_first=True))


def itself(layer: nn.MultiheadAttention) -> Callable[[Tensor], object]:
    return lambda x: layer(x, x, x)


def first_step(layer: nn.GRUCell) -> Callable[[Tensor], object]:
    return lambda x: layer(x[:, 0])


def over_steps(layer: nn.Conv1d) -> Callable[[Tensor], object]:
    return lambda x: layer(x.transpose(1, 2))


GRU_STEP = 3 * (D * H + H * H)
LSTM_STEP = 4 * (D * H + H * H)
SECOND_STEP = 4 * (2 * H * H + H * H)  # of a layer above a bidirectional one
PROJECTED = 3 * D * D + D * D + 2 * S * D  # a step of multi-head attention
CASES = {
    "linear": (nn.Linear(D, H), N * S * D * H),
    "gru": (nn.GRU(D, H, batch_first=True), N * S * GRU_STEP),
    "gru, steps first": (nn.GRU(D, H), N * S * GRU_STEP),
    "lstm of two layers and directions": (
        nn.LSTM(D, H, 2, bidirectional=True), N * S * 2 * (LSTM_STEP + SECOND_STEP)),
    "rnn": (nn.RNN(D, H), N * S * (D * H + H * H)),
    "packed lstm": (packed(nn.LSTM(D, H), [S, 3]), (S + 3) * LSTM_STEP),
    "gru cell": (first_step(nn.GRUCell(D, H)), N * GRU_STEP),
    "attention": (attention, N * 2 * S * S * D),
    "multi-head attention": (
        itself(nn.MultiheadAttention(D, 2, batch_first=True).eval()),
        N * S * PROJECTED),
    "transformer layer": (
        nn.TransformerEncoderLayer(D, 2, 16, batch_first=True).eval(),
        N * S * (PROJECTED + 2 * D * 16)),
    "convolution": (
        over_steps(nn.Conv1d(D, H, 3, padding=1)), N * S * 3 * D * H),
    "activation": (nn.Sigmoid(), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_operations_are_those_counted_by_hand(name: str) -> None:
    layer, products = CASES[name]
    x = torch.randn(N, S, D)
    assert count_operations(lambda: layer(x)) == 2 * products
