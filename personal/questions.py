"""What a question asks for, as far as recognition and notes can answer it. Pure text; English questions."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence

from personal.concepts import Concept


class Intent(enum.Enum):
    """What a question asks for, as far as findings can answer it."""

    WHO = "who is there"
    WHAT = "what is there"
    MISSING = "who of one's own is not there"
    WHERE = "where somebody is"
    PRESENT = "whether somebody is there"
    COUNT = "how many of one's own are there"
    COUNT_ALL = "how many of a kind are there, whosever they are"
    FACT = "what the notes say"
    ABOUT = "all that the notes say"
    SCENE = "what a photo shows"
    GREETING = "hello"
    THANKS = "thanks"
    PRAISE = "praise"
    FAREWELL = "goodbye"
    MOOD = "how are you"
    ASIDE = "a word that asks nothing"
    ABILITIES = "what the app can do"


_PHOTO = (
    r"(?:the|this|that|these|those|my|any of (?:the|these|my))?\s*(?:first|second|third|last)?\s*"
    r"(?:photo|picture|image|pic)s?"
)
_HERE = rf"(?:here|there|(?:in|on) (?:it|them|{_PHOTO})|in {_PHOTO}|visible|present|shown)"
_SCENE = re.compile(
    r"\b(doing|happening|going on|wearing|holding|carrying|looking at|standing|sitting|lying|playing|running|eating|"
    r"background|scene|see|describe|caption|weather|photo|picture|image)\b"
)
_SUBJECT = "\ue000"
"""Stands for a named concept in a question that is being read."""
_SMALL_TALK = (
    (
        rf"(?:hi|hello|hey|hallo|good (?:morning|afternoon|evening|day))(?:,? (?:there|again|personal|{_SUBJECT}))?",
        Intent.GREETING,
    ),
    (r"(?:many )?thank(?:s| you)(?: very much| a lot| so much)?|thx|cheers", Intent.THANKS),
    (
        r"(?:very |so )?(?:great|cool|nice|good|lovely|perfect|wow|amazing|well done)"
        r"(?: (?:photo|picture|one|job|work|answer)s?)?",
        Intent.PRAISE,
    ),
    (r"(?:good)?bye(?: bye)?|good night|see you(?: later| soon)?|ciao", Intent.FAREWELL),
    (r"how are you(?: doing)?(?: today)?|how do you do|what's up", Intent.MOOD),
    (r"ok(?:ay)?|fine|all ?right|yes|no|lol|haha|hm+", Intent.ASIDE),
    (
        r"(?:what|how) (?:can|do) (?:you|i) (?:do|ask|use|add)\b.*|what do you do|(?:who|what) are you"
        r"|what(?:'s| is) your name|(?:please )?help(?: me)?|can you help(?: me)?|how does this work|what is this app",
        Intent.ABILITIES,
    ),
)
_ABOUT = re.compile(
    rf"(?:please )?(?:tell me|what do you know|what did i tell you|what do i know|what have i told you)"
    rf"(?: more| something| everything| all)? about {_SUBJECT}(?: and {_SUBJECT})*"
)
_WHICH_PHOTO = re.compile(
    rf"(?:in |on )?(?:which|what)(?: of (?:the|these|my))? (?:photo|picture|image|one)s?(?: of these)?"
    rf"(?: is| are| shows?| do(?:es)?| can you see| do you see| has| have| contains?)+ {_SUBJECT}(?: in| on| visible)*"
)
_SIDE = re.compile(
    r"(?:who|what)(?:'s|s| is| are| do you see| can you see)(?: it)? (?:on|to|in) the "
    r"(?:left|right|cent(?:er|re)|middle)\b.*"
)
_WHO = re.compile(
    r"(?:can you tell me )?(?:who|whom)(?: all)?(?:'s|s| is| are| was| were| do you| can you| did you)\b.*"
    r"|(?:which|what|who)(?: one| ones)? of (?:mine|my \w+(?: \w+)?)\b.*"
    r"|(?:do|can) you (?:see|recogni[sz]e|know) (?:any|some)(?:one|body|thing)\b.*"
    r"|(?:is|are)(?: there)? (?:any|some)(?:one|body|thing)(?: (?:of mine|i know|you know|you recogni[sz]e)\b.*"
    rf"|(?: else)? {_HERE})"
)
_WHAT = re.compile(r"what(?:'s| is| are| do you see| can you see)(?: (?:in|on|at|here|there|this|that)\b.*)?")
_DESCRIBE = re.compile(
    r"\b(?:caption|describe|description)\b|\bwhat(?:'s|s| is| are| do you see| can you see)"
    r"(?: (?:this|that|it|these|those|here|there|(?:in|on|at) .*|happening.*|going on.*|shown.*))?[ ?!.]*$"
    r"|\bwhat does (?:it|this|that|(?:this|the|my) (?:photo|picture|image)) show\b"
)
_NOT = re.compile(r"n't\b|\b(?:not|missing|absent|nobody|none)\b")
_MISSING = re.compile(
    r"(?:who|which|what|how many)(?: one| ones)?(?: of (?:mine|(?:my|our) \w+))?(?:'s| is| are|s)?"
    rf"(?:n't| not| missing| absent)+(?: (?:{_HERE}|from {_PHOTO}))*"
    rf"|(?:who|which of (?:mine|(?:my|our) \w+))(?: all)? "
    rf"(?:(?:can't|cannot|can not|don't|do not) you|(?:can|do) you not) (?:see|find|recogni[sz]e)(?: {_HERE})*"
    rf"|is (?:any(?:one|body|thing)|some(?:one|body|thing))(?: of mine)? (?:not|missing|absent)"
    rf"(?: (?:{_HERE}|from {_PHOTO}))*"
)
_COUNT = re.compile(r"how many (?:of )?(?:(?:my|mine|our|ours)\b)?\s*(.*)")
_MINE = re.compile(r"\b(?:my|mine|our|ours)\b")
_WH = re.compile(r"(?:what|which|when|where|why|how|who|whose|whom)\b")
_NO_KIND = {"is", "are", "was", "were", "do", "can", "in", "on", "of", "things", "concepts", "here", "there"}


def read_intent(question: str, asked: Sequence[Concept], *, photos: bool) -> tuple[Intent, str]:
    """Return what a question asks for, and for counts, WHO and MISSING of a kind the word for it ("dogs").

    `asked` are the concepts that the question names, written `<name>` in it; `photos` says whether one is shown.
    """
    text = question
    for concept in asked:
        text = re.sub(rf"(?:\b(?:the|my|our) )?{re.escape(concept.tag)}", _SUBJECT, text, flags=re.IGNORECASE)
    text = re.sub(r"\s+", " ", text.casefold().replace("’", "'")).strip(" .!?¡¿,;:")
    for pattern, intent in _SMALL_TALK:
        if re.fullmatch(pattern, text):
            return intent, ""
    if asked and _ABOUT.fullmatch(text):
        return Intent.ABOUT, ""
    if photos and ((asked and _WHICH_PHOTO.fullmatch(text)) or (not asked and _SIDE.fullmatch(text))):
        return (Intent.PRESENT if asked else Intent.WHERE), ""
    names = rf"{_SUBJECT}(?:(?:,? and |, | or |,? & ){_SUBJECT})*"
    if re.fullmatch(rf"where(?:'s| is| are) {names}(?: (?:{_HERE}|now|then|exactly|standing|sitting|lying))*", text):
        return (Intent.WHERE if photos else Intent.FACT), ""
    if re.fullmatch(
        rf"(?:is|are|was|were) (?:this |that |these |it |they )?(?:also )?{names}(?: also| too)?"
        rf"(?: {_HERE}| at (?:the |my |our )?\w+)?"
        rf"|(?:do|can|did) you (?:see|spot|find|recogni[sz]e) {names}(?: {_HERE})?|{names}",
        text,
    ):
        return (Intent.PRESENT if photos else Intent.FACT), ""
    if not asked:
        if _NOT.search(text):
            return (Intent.MISSING, _kind_of_mine(text)) if _MISSING.fullmatch(text) else (Intent.SCENE, "")
        counted = _COUNT.fullmatch(text)
        own = _MINE.search(text) or re.search(r"do you (?:know|recogni[sz]e)", text)
        if counted and (own or photos):
            return (Intent.COUNT if own else Intent.COUNT_ALL), _kind(counted[1])
        if _WHAT.fullmatch(text) and (photos or "here" in text.split()):
            return Intent.WHAT, ""
        if _WHO.fullmatch(text) and (photos or not _WH.match(text) or _MINE.search(text) or "here" in text.split()):
            return Intent.WHO, _kind_of_mine(text)
    if asked and not _SCENE.search(text) and (_WH.match(text) or not photos):
        return Intent.FACT, ""
    return Intent.SCENE, ""


def asks_for_description(question: str) -> bool:
    """Return whether a question asks what a photo shows, and of nothing in it in particular."""
    return bool(_DESCRIBE.search(question.casefold().replace("’", "'")))


def _kind_of_mine(text: str) -> str:
    return _kind(re.sub(r".*?\b(?:my|mine|our)\b", "", text)) if _MINE.search(text) else ""


def _kind(rest: str) -> str:
    """Return the noun that a question restricts itself to ("my dogs are here" → "dogs"), or nothing."""
    word = re.match(r"\s*([a-z]+)", rest)
    return word[1] if word and word[1] not in _NO_KIND else ""
