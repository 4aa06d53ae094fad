"""The flood guard of public reports: a burst from one source, or the same words again and again.

A clustered report is kept, numbered and shown to the hub; only its way to the other bodies waits for a
person. Counted by keyed tokens that are forgotten within the hour; no address is ever kept.
"""

from datetime import timedelta
from typing import Final

SOURCE_WINDOW: Final = timedelta(minutes=10)
SOURCE_MOST: Final = 5
"""So many reports of one source in ``SOURCE_WINDOW`` go their way; a whole class may share one address."""
WORDS_WINDOW: Final = timedelta(hours=1)
WORDS_MOST: Final = 2
"""So many reports with the very same words in ``WORDS_WINDOW`` go their way."""
SHORTEST_WORDS: Final = 40
"""Letters of a narrative below which equal words are no copy: children in need write the same few words."""
LONGEST_WINDOW: Final = max(SOURCE_WINDOW, WORDS_WINDOW)


def has_words(narrative: str | None) -> bool:
    """Whether a report says so much that the same again is a copy; one that only ticks boxes never is."""
    return narrative is not None and len("".join(narrative.split())) >= SHORTEST_WORDS


def is_flood(*, from_source: int, same_words: int) -> bool:
    """Whether one more report joins a cluster, given how many came before it within the windows."""
    return from_source >= SOURCE_MOST or same_words >= WORDS_MOST
