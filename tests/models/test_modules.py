"""Each module against a slow loop written from its formula, with the module's own weights."""

import math

import pytest
import torch
from torch import Tensor, nn

from mktn.models.apa import APA
from mktn.models.csm import CSM
from mktn.models.encoders import Encoded
from mktn.models.fusion import Fusion
from mktn.models.layers import BiGRU
from mktn.models.opm import OPM
from tests.batches import random_batch

V, Q, T, L, C, A, P, E, D = 2, 3, 4, 5, 3, 3, 2, 2, 6


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture
def encoded() -> Encoded:
    torch.manual_seed(0)
    frame_mask = torch.tensor([[True] * T, [True] * (T - 1) + [False]])
    word_mask = torch.arange(L) < torch.tensor([[5], [2], [3]])
    words = normal(Q, L, D) * word_mask[..., None]
    return Encoded(normal(V, T, D), normal(V, T, C, D), frame_mask, words, word_mask, normal(Q, D))


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    y = layer.weight @ x
    return y if layer.bias is None else y + layer.bias


def fc3(layers: nn.Sequential, x: Tensor) -> Tensor:
    for index in (0, 2, 4):
        x = linear(layers[index], x).clamp(min=0)
    return x


def cosine(a: Tensor, b: Tensor) -> float:
    return (a @ b / a.norm().clamp(min=1e-12) / b.norm().clamp(min=1e-12)).item()


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_opm_selects_patches_and_words_into_prototypes(encoded: Encoded) -> None:
    opm = OPM(D, A, P).double()
    objects = torch.zeros(V, T, A, D, dtype=torch.float64)
    for v in range(V):
        for t in range(T):
            for c in range(C):
                patch = encoded.patches[v, t, c]
                for a, weight in enumerate(fc3(opm.object_weights, patch)):
                    objects[v, t, a] += weight * patch
    same(opm.of_video(encoded.patches), objects)
    phrases = torch.zeros(Q, P, D, dtype=torch.float64)
    for q in range(Q):
        for word in encoded.words[q, encoded.word_mask[q]]:
            for p, weight in enumerate(fc3(opm.phrase_weights, word)):
                phrases[q, p] += weight * word
    given = opm.of_text(encoded.words, encoded.word_mask)
    found = opm(opm.of_video(encoded.patches), encoded.frame_mask, *given)
    for v in range(V):
        frames = [t for t in range(T) if encoded.frame_mask[v, t]]
        for q in range(Q):
            best = [
                max(cosine(objects[v, t, a], phrases[q, p]) for t in frames for p in range(P))
                for a in range(A)
            ]
            assert found[v, q].item() == pytest.approx(sum(best) / A, 1e-6)


def test_apa_is_masked_attention_over_all_objects(encoded: Encoded) -> None:
    """Eq. 5 as printed: one softmax over T*A objects, of which a frame may see its own A."""
    apa, objects = APA(D, T, E).double(), normal(V, T, A, D)
    nn.init.normal_(apa.frame_queries)
    nn.init.normal_(apa.activity_queries)
    found = apa.of_video(encoded.frames, encoded.frame_mask, objects)
    for v in range(V):
        flat = objects[v].reshape(T * A, D)
        prototypes = []
        for i in range(T):
            scores = torch.stack([apa.frame_queries[i] @ linear(apa.object_key, o) for o in flat])
            own = range(A * i, A * (i + 1))
            mask = torch.tensor([0.0 if j in own else -math.inf for j in range(T * A)])
            weights = (scores / math.sqrt(D) + mask).softmax(dim=0)
            values = [linear(apa.object_value, o) for o in flat]
            attended = sum(w * value for w, value in zip(weights, values, strict=True))
            prototypes.append((apa.frame_queries[i] + attended + encoded.frames[v, i]) / 2)
        same(found.frames[v], torch.stack(prototypes))
        real = [prototypes[t] for t in range(T) if encoded.frame_mask[v, t]]
        for e in range(E):
            query = apa.activity_queries[e]
            scores = torch.stack([query @ linear(apa.frame_key, p) for p in real]) / math.sqrt(D)
            attended = sum(
                w * linear(apa.frame_value, p)
                for w, p in zip(scores.softmax(0), real, strict=True)
            )
            same(found.activities[v, e], query + attended)
    similarity = apa(found.activities, encoded.sentences)
    for v in range(V):
        for q in range(Q):
            best = max(cosine(encoded.sentences[q], p) for p in found.activities[v])
            assert similarity[v, q].item() == pytest.approx(best, 1e-6)


def test_fusion_is_co_attention(encoded: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Tensor] = []

    def remember(self: BiGRU, x: Tensor, mask: Tensor) -> Tensor:
        given.append(x)
        return x

    monkeypatch.setattr(BiGRU, "forward", remember)
    fusion = Fusion(D, 0.0).double()
    x, frame_mask = normal(Q, T, D), encoded.frame_mask[[0, 1, 1]]
    fusion(x, frame_mask, encoded.words, encoded.word_mask)
    for q in range(Q):
        frames = x[q, frame_mask[q]]
        real = encoded.words[q, encoded.word_mask[q]]
        words = torch.stack([linear(fusion.project, word) for word in real])
        scores = frames @ words.T
        by_word, by_frame = scores.softmax(dim=1), scores.softmax(dim=0)
        attended, returned = by_word @ words, (by_word @ by_frame.T) @ frames
        expected = torch.cat([frames, attended, frames * attended, frames * returned], dim=1)
        same(given[0][q, frame_mask[q]], expected)


def test_csm_lets_a_query_see_its_own_videos_and_related_queries_alone() -> None:
    torch.manual_seed(0)
    batch = random_batch((2, 2, 1))
    width = batch.sentences.shape[1] + 1  # even
    csm = CSM(width, 1, 0.0).eval()
    batch.related = torch.zeros(5, 5, dtype=torch.bool)
    batch.related[0, 4] = True
    videos, length = batch.frames.shape[:2]
    sentences = torch.randn(5, width)
    words = torch.randn(*batch.words.shape[:2], width)
    frames = torch.randn(videos, length, width)
    patches = frames[:, :, None]

    def answers(sentences: Tensor) -> Tensor:
        given = Encoded(frames, patches, batch.frame_mask, words, batch.word_mask, sentences)
        return csm(given, batch)[0]

    before = answers(sentences)
    for j in range(5):
        changed = sentences.clone()
        changed[j] = torch.randn(width)
        moved = (answers(changed) - before).abs().amax(dim=1) > 1e-6
        assert moved.tolist() == batch.visible()[:, j].tolist()
