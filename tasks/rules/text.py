"""Which characters show nothing: a text of those alone is blank (docs/api.md section 3)."""

import re

# For a character class of a regular expression. Unicode's Default_Ignorable_Code_Point (soft hyphen,
# zero-width space, joiners, Hangul fillers, variation selectors, tags, the byte order mark, …), what
# annotates or lays out other characters, and the signs whose glyph is empty: the braille blank, the
# filler of the Khitan script, the null notehead.
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U00013430-\U00013440\U00016fe4"
    "\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# The same for what is blank: these, white space, and control characters.
BLANK = rf"\s\x00-\x1f\x7f-\x9f{INVISIBLE}"

_shown = re.compile(f"[^{BLANK}]").search
_invisible = re.compile(f"[{INVISIBLE}]+").sub


def is_blank(text: str) -> bool:
    """Whether a text shows nothing. Signs that only shape others, as in emoji, do no harm beside them."""
    return _shown(text) is None


def without_invisible(text: str) -> str:
    """`text` without what shows nothing, but for white space and control characters."""
    return text if text.isascii() else _invisible("", text)
