"""Which video ids may name a file: the one place where that is decided.

Ids come from annotations, from tables and stores that others made, and become names of videos,
of feature files and of keys in them.
"""

import re
import unicodedata
from collections.abc import Iterable

from mktn.errors import UserError

MOST_BYTES = 200  # names of 255 are allowed, and ids get suffixes
EXPECTED = (
    f"an id of 1 to {MOST_BYTES} bytes without /, \\, #, control characters and leading dot or"
    " blank, in Unicode's composed form"
)
# A file of a video is its id with one of these behind it.
VIDEO_SUFFIXES = frozenset(
    (
        *(".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v"),
        *(".flv", ".mpg", ".mpeg", ".ts", ".wmv", ".3gp"),
    )
)
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
_FORBIDDEN = frozenset("/\\#")


def names_a_file(video_id: str) -> bool:
    """Whether a file may have this id as its name."""
    if _PLAIN.fullmatch(video_id):
        return True
    try:
        length = len(video_id.encode())
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return (
        0 < length <= MOST_BYTES
        and video_id[0] != "."
        and video_id == video_id.strip()
        and not any(c in _FORBIDDEN or unicodedata.category(c)[0] == "C" for c in video_id)
        # Two forms of one text are one file on some file systems, and two ids.
        and unicodedata.is_normalized("NFC", video_id)
    )


def check_video_ids(video_ids: Iterable[str], where: object) -> None:
    """Raise UserError at the first id that cannot name a file."""
    for video_id in video_ids:
        if not names_a_file(video_id):
            shown = repr(video_id)
            raise UserError(
                "video id cannot name a file",
                where=where,
                found=shown if len(shown) <= 80 else f"{shown[:80]}...",
                expected=EXPECTED,
                do="give the video another id",
            )
