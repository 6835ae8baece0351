"""The short form of a store's origin: the same for the same features, unknown where not said."""

from mktn.features.origin import recorded_inputs, short_features, short_text
from tests.features.described import EXTRACTED, IMPORTED, SIMULATED


def test_extracted_features_in_a_line() -> None:
    line = "c3d width 8, weights 1a2b3c4d, 8 fps, clips of 16 every 8, 2x2 patches, extracted"
    assert short_features(EXTRACTED, 4) == line
    # A T store holds the grid under another name, and the number of patches under this one.
    assert short_features({**EXTRACTED, "patches": 4, "patch_grid": [2, 2]}, 4) == line


def test_imported_features_name_the_file_and_what_is_unknown() -> None:
    assert short_features(IMPORTED, 0) == (
        "i3d, weights unknown, per video fps, clips of 16 every 4, no patches,"
        " imported from i3d.hdf5 (99887766), partly unverified"
    )


def test_simulated_features_differ_by_their_settings() -> None:
    line = short_features(SIMULATED, 0)
    assert line.startswith("simulated (settings ")
    assert short_features({**SIMULATED, "settings": {"noise": 3.0, "seed": 0}}, 0) == line
    assert short_features({**SIMULATED, "settings": {"noise": 2.0, "seed": 0}}, 0) != line


def test_nothing_recorded_is_unknown() -> None:
    assert short_features({}, 4) == (
        "backbone unknown, weights unknown, fps unknown, clips of unknown every unknown,"
        " 4 patches, origin unknown"
    )
    assert short_text({}) == ("unknown", "unknown")


def test_vectors_are_named_with_their_file() -> None:
    text = {"word_vectors": "glove.6B.300d.txt", "word_vectors_sha256": "abcd1234" * 8,
            "sentence_vectors": "published skip-thought 4800"}  # fmt: skip
    assert short_text(text) == (
        "glove.6B.300d.txt (abcd1234)", "published skip-thought 4800"
    )  # fmt: skip


def test_features_that_share_a_short_form_still_differ() -> None:
    other = {**EXTRACTED, "preprocessing": {"crop": 96}}
    one, two = (recorded_inputs(of, 4, {}) for of in (EXTRACTED, other))
    assert one["features"] == two["features"]
    assert one["features_sha256"] != two["features_sha256"]
    assert one["text_sha256"] == two["text_sha256"]
