"""What search compares: folded texts, of which one is stored beside the original.

By themselves SQLite folds only ASCII, and PostgreSQL whatever its locale says.
"""

import re
import unicodedata

from tasks.rules.text import without_invisible

SEPARATOR = "\x1f"  # between text and description: white space, of which no word holds any
MAX_TERM = 200  # characters; what a search costs grows with its length

# Turkish has an i with a dot and one without, whose capitals are İ and I: without regard to case, one.
_any_i = re.compile("[i\u0131]\u0307*").sub


def fold(text: str) -> str:
    """`text` without differences of case or of Unicode composition (Unicode 3.13, D145), nor any in
    characters that nobody sees."""
    folded = unicodedata.normalize("NFD", text).casefold()
    if not folded.isascii():
        folded = _any_i("i", without_invisible(folded))
    return unicodedata.normalize("NFC", folded)


def searchable(*texts: str) -> str:
    """What is stored to be searched in."""
    return SEPARATOR.join(fold(text) for text in texts)


def words(term: str) -> list[str]:
    """The folded words of a search, each once and without those that others hold."""
    found = dict.fromkeys(fold(term).split())
    return [word for word in found if not any(word in other for other in found if other != word)]
