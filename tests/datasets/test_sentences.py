"""One idea of what a word is."""

from mktn.datasets.sentences import normalised, tokens


def test_words_numbers_and_apostrophes() -> None:
    assert tokens("The man's 2nd try, isn't it?") == ["the", "man's", "2nd", "try", "isn't", "it"]
    assert tokens(" ...- ") == []


def test_sentences_that_read_alike_are_equal() -> None:
    assert normalised(" Person opens  the door.") == normalised("person opens the Door")
