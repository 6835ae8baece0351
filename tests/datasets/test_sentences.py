"""One idea of what a word is."""

import csv
import gzip
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mktn.datasets.sentences import normalised, tokens, treebank

ASCII_TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


def test_words_numbers_and_apostrophes() -> None:
    assert tokens("The man's 2nd try, isn't it?") == ["the", "man's", "2nd", "try", "isn't", "it"]
    parted = "a t shirt the mans 3 5 lb s"
    assert tokens("A t-shirt, the mans' 3.5 lb_s") == parted.split()
    assert tokens(" ...- ") == []


def test_accents_and_curly_apostrophes_read_as_plain_ones() -> None:
    assert tokens("The man’s piñata, an ÉPÉE") == ["the", "man's", "pinata", "an", "epee"]
    assert tokens("pin\u0303ata") == ["pinata"]
    assert tokens("½ litre, £85 • “FAB 50”") == ["1", "2", "litre", "85", "fab", "50"]
    assert tokens("Straße, 電車") == ["straße", "電車"]


def test_sentences_that_read_alike_are_equal() -> None:
    assert normalised(" Person opens  the door.") == normalised("person opens the Door")


@given(st.text(string.printable, max_size=80))
def test_ascii_text_is_parted_as_the_expression_says(sentence: str) -> None:
    assert tokens(sentence) == ASCII_TOKEN.findall(sentence.lower())


@given(st.text(max_size=80))
def test_what_has_a_letter_or_a_digit_has_a_token(sentence: str) -> None:
    found = tokens(sentence)
    assert all(found)
    if any(letter.isalnum() for letter in sentence.replace("\u037a", "")):  # a lone accent
        assert found
    assert tokens(" ".join(found)) == found


def test_treebank_halves() -> None:
    assert treebank("isn't") == ("is", "n't")
    assert treebank("can't") == ("ca", "n't")
    assert treebank("man's") == ("man", "'s")
    assert treebank("they're") == ("they", "'re")
    assert treebank("cannot") == ("can", "not")
    assert treebank("door") == ("door",)
    assert treebank("n't") == ("n't",)


def sentences_of(folder: Path) -> Iterator[tuple[str, str]]:
    """(file, sentence) of every annotation of the three benchmarks and of their other splits."""
    for path in sorted(folder.rglob("*.gz")):
        name = path.relative_to(folder).as_posix()
        if "labels" in name or "baseline" in name:
            continue
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            if name.endswith(".json.gz"):
                for video in json.load(stream).values():
                    yield from ((name, sentence) for sentence in video["sentences"])
            elif "human_reannotation" in name:
                yield from ((name, row["description"]) for row in csv.DictReader(stream))
            elif "charades_sta_" in name:
                yield from ((name, line.split("##", 1)[1]) for line in stream if line.strip())
            elif "tall_" in name:
                for line in stream:  # every line ends in "#": what follows it is no sentence
                    for sentence in line.rstrip().removesuffix("#").split(":", 1)[1].split("#"):
                        yield name, sentence


def test_every_published_sentence_has_words(shared_data: Path) -> None:
    counts: dict[str, int] = {}
    empty, changed = [], set()
    for name, sentence in sentences_of(shared_data):
        counts[name] = counts.get(name, 0) + 1
        found = tokens(sentence)
        if not found:
            empty.append((name, sentence))
        if found != ASCII_TOKEN.findall(sentence.lower()):
            assert not sentence.isascii()
            changed.add((name, sentence))
    assert empty == []
    assert len(counts) == 34
    assert counts["activitynet_captions/train.json.gz"] == 37421
    assert counts["activitynet_captions/val_2.json.gz"] == 17031
    assert counts["charades_sta/charades_sta_train.txt.gz"] == 12408
    assert counts["tacos/tall_train.txt.gz"] == 10146
    assert counts["tacos/2dtan_test.json.gz"] == 4001
    assert counts["charades_sta/human_reannotation/test_02.csv.gz"] == 2000
    assert sum(counts.values()) == 257_138
    main = re.compile(r"activitynet_captions/(train|val_1|val_2)\.json\.gz")
    assert sum(main.fullmatch(name) is not None for name, _ in changed) == 52
