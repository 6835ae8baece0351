"""Which video a sentence is about, of what the similarities say."""

import numpy as np
import pytest

from mktn.grounder.matching import RULES, USED, combined


def test_no_similarity_outweighs_the_others_by_its_scale() -> None:
    rng = np.random.default_rng(0)
    given = {name: rng.standard_normal((5, 7)) for name in ("S", "S_op", "S_es")}
    best = combined(given).argmax(0)
    scaled = {
        name: value * k + k for (name, value), k in zip(given.items(), (1, 9, 0.01), strict=True)
    }
    np.testing.assert_array_equal(combined(scaled).argmax(0), best)


def test_what_else_is_asked_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    given = {name: rng.standard_normal((4, 6)) for name in ("S", "S_op")}
    whole = combined(given)
    for q in range(6):
        alone = combined({name: value[:, q : q + 1] for name, value in given.items()})
        np.testing.assert_allclose(alone[:, 0], whole[:, q])


def test_two_that_disagree_about_two_videos_do_not_leave_it_to_chance() -> None:
    found = combined({"S": [[0.9], [0.1]], "S_op": [[0.2], [0.3]]})
    assert found[0, 0] > found[1, 0]


@pytest.mark.parametrize("rule", RULES)
def test_a_similarity_that_is_the_same_for_all_adds_nothing(rule: str) -> None:
    plain = RULES[rule]({"S": np.array([[0.1, 0.5], [0.4, 0.2]])})
    with_flat = RULES[rule](
        {"S": np.array([[0.1, 0.5], [0.4, 0.2]]), "S_es": np.full((2, 2), 0.3)}
    )
    np.testing.assert_array_equal(plain.argmax(0), with_flat.argmax(0))
    assert np.isfinite(with_flat).all()


def test_the_rule_in_use_is_one_that_is_measured() -> None:
    assert USED in RULES
    with pytest.raises(ValueError, match="no similarity"):
        combined({})
