"""The memory of reading word vectors does not grow with the file."""

from pathlib import Path

from mktn.features.words_bench import WordsSettings, run


def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    settings = WordsSettings(megabytes=300, vocabulary=2000, folder=str(tmp_path))
    first, again = run(settings)
    assert first["file_mb"] >= 300
    assert first["found"] == again["found"] == 2000
    assert first["peak_rss_mb"] < 150  # of which Python and NumPy are a third
    assert again["seconds"] < first["seconds"]
    assert not list(tmp_path.iterdir())
