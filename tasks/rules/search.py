"""What "any case" means for search: the folded text is stored beside the original.

By themselves SQLite folds only ASCII, and PostgreSQL whatever its locale says.
"""

import unicodedata

SEPARATOR = "\x1f"  # between text and description, so that no term matches across them


def fold(text: str) -> str:
    """`text` without differences of case or of Unicode composition (Unicode 3.13, D145)."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
    return folded.replace(SEPARATOR, "\x1e")


def searchable(*texts: str) -> str:
    """What is stored to be searched in."""
    return SEPARATOR.join(fold(text) for text in texts)
