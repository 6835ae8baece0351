"""Attention of one query a memory is attention; recurrent layers keep full precision."""

import pytest
import torch

from mktn.models.layers import Attention, BiGRU
from mktn.models.tan2d import SentenceLSTM


@pytest.mark.parametrize("wide", [False, True])
def test_one_query_attends_as_one_of_several_does(wide: bool) -> None:
    torch.manual_seed(0)
    attention = Attention(8, 2, 0.5).double().eval()
    x, memory = torch.randn(3, 2, 8).double(), torch.randn(3, 5, 8).double()
    mask = torch.arange(5) < torch.tensor([[5], [1], [3]])
    both = attention(x, memory, mask)
    for i in range(2):
        given = mask[:, None] if wide else mask
        torch.testing.assert_close(attention(x[:, i : i + 1], memory, given)[:, 0], both[:, i])
    # What is masked is not read, and dropout acts in training.
    memory[~mask] = 1e6
    torch.testing.assert_close(attention(x[:, :1], memory, mask)[:, 0], both[:, 0])
    attention.train()
    assert not torch.allclose(attention(x[:, :1], memory, mask)[:, 0], both[:, 0])


def test_recurrent_layers_keep_full_precision_under_autocast() -> None:
    """Autocast would run them in half precision, whose gradients nobody scales."""
    torch.manual_seed(0)
    x, mask = torch.randn(3, 5, 8), torch.arange(5)[None] < torch.tensor([[5], [2], [4]])
    gru, lstm = BiGRU(8, 6), SentenceLSTM(8, 6, 2)
    expected = gru(x, mask), *lstm(x, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gru(x, mask), *lstm(x, mask)
        assert gru(x.bfloat16(), mask).dtype == torch.float32
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
