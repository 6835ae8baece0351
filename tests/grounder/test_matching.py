"""Which video a sentence is about, of what the similarities say."""

import numpy as np
import pytest

from mktn.grounder.matching import RULES, combined

NAMES = ("S", "S_op", "S_es")


@pytest.fixture
def given() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return (
        {name: rng.standard_normal((5, 7)) for name in NAMES},
        {name: rng.standard_normal((5, 40)) for name in NAMES},
    )


def test_no_similarity_outweighs_the_others_by_its_scale(given) -> None:
    found, ordinary = given
    scale = dict(zip(NAMES, (1.0, 9.0, 0.01), strict=True))
    scaled = [{n: v * scale[n] + scale[n] for n, v in one.items()} for one in given]
    np.testing.assert_allclose(combined(*scaled), combined(found, ordinary), atol=1e-9)


def test_what_else_is_asked_and_of_which_videos_changes_nothing(given) -> None:
    found, ordinary = given
    whole = combined(found, ordinary)
    rows, columns = [1, 3], [2]
    part = combined(
        {name: value[np.ix_(rows, columns)] for name, value in found.items()},
        {name: value[rows] for name, value in ordinary.items()},
    )
    np.testing.assert_allclose(part, whole[np.ix_(rows, columns)])


def test_a_video_that_is_like_everything_is_not_every_sentence_s(given) -> None:
    found, ordinary = given
    raised = [{n: v + np.array([9, 0, 0, 0, 0])[:, None] for n, v in one.items()} for one in given]
    assert set(RULES["cosines"](*raised).argmax(0)) == {0}
    np.testing.assert_array_equal(combined(*raised).argmax(0), combined(found, ordinary).argmax(0))


@pytest.mark.parametrize("rule", RULES)
def test_a_similarity_that_is_the_same_for_all_adds_nothing(rule: str, given) -> None:
    found, ordinary = ({"S": one["S"]} for one in given)
    flat = [{**one, "S_es": np.full_like(one["S"], 0.3)} for one in (found, ordinary)]
    assert np.isfinite(RULES[rule](*flat)).all()
    np.testing.assert_array_equal(
        RULES[rule](*flat).argmax(0), RULES[rule](found, ordinary).argmax(0)
    )


def test_a_model_without_a_similarity_matches_nothing() -> None:
    with pytest.raises(ValueError, match="no similarity"):
        combined({}, {})
