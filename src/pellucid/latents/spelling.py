"""How a latent's name may be spelled, so that people see it and can tell it from every other."""

import re
import unicodedata

# Control and formatting characters (which hide, reorder or break text), lone surrogates, characters that
# only some fonts have or that are not assigned, line separators.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# What Unicode lists as not shown (Default_Ignorable_Code_Point) or is blank, beyond those categories.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_MAX_MARKS = 3  # combining marks on one character; Vietnamese has two, more cover the lines around
# The common ones of Unicode's confusables (UTS 39) for Latin letters: Greek, Cyrillic, digits, dashes.
_LOOKALIKES = str.maketrans(
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυ" + "АВЕЅІЈКМНОРСТУХЗаеѕіјорсух" + "Iı|10‐–—−",
    "ABEZHlKMNOPTYXaikvopu" + "ABESlJKMHOPCTYX3aesijopcyx" + "lillO----",
)
_NUMBER = re.compile(r"[zZ]?[\dlIO|]*\d[\dlIO|]*")


def clean(name: str) -> str:
    """Give the form in which a name is stored: Unicode's NFC, with plain single blanks inside only."""
    composed = unicodedata.normalize("NFC", name)
    blanks = (" " if unicodedata.category(character) == "Zs" else character for character in composed)
    return re.sub(" +", " ", "".join(blanks)).strip()


def key(name: str) -> str:
    """Give what two names have in common that differ in case only."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def skeleton(name: str) -> str:
    """Give what two names have in common that look alike in most fonts, as with Cyrillic letters in one."""
    return unicodedata.normalize("NFKC", name).translate(_LOOKALIKES).casefold()


def hides(text: str) -> bool:
    """Tell whether something in a text is not shown, or changes how the rest is shown."""
    return bool(_BLANK.search(text)) or any(unicodedata.category(c) in _HIDDEN for c in text)


def visible(name: str) -> bool:
    """Tell whether all of a clean name is seen: nothing hidden, no marks without a letter or piled up."""
    marks = [unicodedata.category(character).startswith("M") for character in name]
    piled = any(all(marks[at : at + _MAX_MARKS + 1]) for at in range(len(marks) - _MAX_MARKS))
    return not (hides(name) or piled or marks[:1] == [True])


def like_a_number(name: str) -> bool:
    """Tell whether a name could be taken for a latent's number, such as `z3` or `zl0`."""
    return bool(_NUMBER.fullmatch(unicodedata.normalize("NFKC", name)))
