"""Where a sentence ends, and where it may end early: the judgement of an editor, in two languages.

In doubt a sentence goes on: a lead that is a sentence too long reads well, half a sentence does not.
Sources: GB/T 15834 for Chinese punctuation; everything runs in linear time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import regex

from publisher.announcement import Language

_PAIRS = dict(zip("“‘《〈「『（【([", "”’》〉」』）】)]", strict=True))
_OPENERS = {closer: opener for opener, closer in _PAIRS.items()}
# What joins the character before it: a cut in front of it, or behind a prefix, would split what is read as one.
_JOINING = regex.compile(r"[\p{M}\u200d\uFE0F\p{Emoji_Modifier}]*")
_PREFIX = regex.compile(r"\p{Grapheme_Cluster_Break=Prepend}")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- Chinese ----------------------------------------------------------------------------------------------

_ZH_END = regex.compile(r"(?:[。！？!?]|…{1,2}|(?<=\p{Han})\.(?=\s|\p{Han}|$))+(?P<close>[”’\"》」』）)】]*)")
_ZH_GOES_ON = regex.compile(r"[，、；：,;:。等]")
_ZH_SPEECH = regex.compile(r"[^，。！？：]{0,12}(?:说|表示|指出|强调|介绍|认为|称)")
_ZH_CLAUSE = regex.compile(r"[，；]|(?<![0-9A-Za-z\s])[,;]|[,;](?=\p{Han})")
_ZH_OPENS = regex.compile(
    r"(?:在|经|随着|为|当|自|由于|根据|按照|通过|因|如果|若|虽然|尽管|除|作为|面对|围绕|结合|截至|近年来|近日|日前|今天|昨天|"
    r"同时|此外|其中|据|下一步|不仅|不但|不只|只有|只要|无论|既)"
)
_ZH_LEANS = regex.compile(
    r"(?:[时日分点半月年后前中上下里间际起]|以来|为止|说|表示|指出|强调|认为|介绍|称|提出|宣布|希望)$"
)
_ZH_SHORTEST = 8

# --- English ----------------------------------------------------------------------------------------------

_EN_END = regex.compile(r"(?:[.!?]|…)+(?P<close>[\"”’)\]]*)(?=\s|$)")
_EN_WORD = regex.compile(r"[\p{L}\p{N}.]+$")
_EN_TITLES = _words(
    "mr ms mrs mx dr prof st sr jr hon rev gen col capt lt gov sen rep pres amb messrs mt dept "
    "no nos vol fig art sec para pp p ch ed eds e.g i.e cf viz al vs approx est tel "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
_EN_EITHER = _words("inc ltd co corp plc bros etc ph.d m.a m.sc b.a b.sc a.m p.m am pm")
_EN_STARTS = _words(
    "The A An In On At It They He She We You This That These Those There Here Both After Before During Next Then "
    "For From With As If When While All Each Our Its His Her Their My Please Admission Following Since To Among "
    "Also However"
)
_EN_CLAUSE = regex.compile(
    r";(?=\s)|,(?=\s(?:(?P<joins>and|but|so|yet)|which|who|whose|where|while|when|whereas|as|with|including|after|before|because|"
    r"since|although|though|thereby|thus|making)\s\p{Ll})"
)
_EN_OPENS = regex.compile(
    r"(?:At|On|In|After|Before|During|When|While|As|For|From|With|To|By|Since|If|Although|Though|Following|Under|Over|"
    r"Next|Today|Yesterday|Despite|Because|Until|Through|Among|Building|Having)\b"
)
# A finite verb, as far as its form tells; "a group headed by ..." has none.
_EN_VERB = regex.compile(
    r"\b(?:is|are|was|were|has|have|had|will|would|can|could|may|must|met|held|took|gave|made|said|told|began|came|went|spoke|"
    r"holds|hosts|opens|invites|presents|welcomes|visits|announces|launches|brings|offers|tells|begins|starts|takes|"
    r"\p{Ll}{2,}ed)\b(?!\sby\b)"
)
_EN_SHORTEST = 6
"""Words below which a shortened sentence says too little; in Chinese it is characters."""

_LONGEST = 1000


def one_line(text: str) -> str:
    """``text`` without line breaks: none between Chinese characters, a space elsewhere."""
    text = regex.sub(r"(?<=[\p{Han}，。！？；：、”》）])\s*[\r\n]\s*(?=[\p{Han}“《（])", "", text.strip())
    return regex.sub(r"\s+", " ", text)


def first(text: str, language: Language) -> str:
    """The first whole sentence of ``text``, which is one line; all of it where none ends before."""
    depth = _depths(text)
    pattern, ends = (_ZH_END, _ends_zh) if language is Language.ZH else (_EN_END, _ends_en)
    for match in pattern.finditer(text):
        end = _whole(text, match.end())
        if depth[end] == 0 and ends(text, match):
            return text[:end]
    return text


def shorter(sentence: str, language: Language, names: tuple[str, ...] = ()) -> Iterator[str]:
    """``sentence`` without its last clauses, longest first, each ended by an ellipsis that owns up to it.

    No form is longer than 1,000 characters, so that a text without a full stop has few of them. Never inside
    quotes, brackets or one of ``names``, and never after an opening that only leads up to a clause.
    """
    depth, held = _depths(sentence), _held(sentence, names)
    pattern, stands = (_ZH_CLAUSE, _stands_zh) if language is Language.ZH else (_EN_CLAUSE, _stands_en)
    for match in reversed(list(pattern.finditer(sentence, 0, _LONGEST))):
        cut = match.start()
        whole = not _PREFIX.fullmatch(sentence[cut - 1 : cut])
        if whole and depth[cut] == 0 and cut not in held and stands(sentence, match):
            yield sentence[:cut].rstrip() + ("……" if language is Language.ZH else "…")


def _ends_zh(text: str, match: regex.Match[str]) -> bool:
    rest = text[match.end() : match.end() + 20].lstrip()
    if not rest:
        return True
    mark, close = match[0][: len(match[0]) - len(match["close"])], match["close"]
    if close:  # of what is quoted or named inside a sentence, only a full stop before a new start ends it
        return mark[-1] in "。." and not set(close) & set("》") and not _ZH_SPEECH.match(rest)
    return not (mark[-1] in "…" and _ZH_GOES_ON.match(rest))


def _ends_en(text: str, match: regex.Match[str]) -> bool:
    rest = text[match.end() : match.end() + 40].lstrip()
    if not rest:
        return True
    if rest[0].islower() or rest[0] in ",;:–—-&":
        return False
    mark = match[0][: len(match[0]) - len(match["close"])]
    if mark != ".":
        return not match["close"]
    word = _EN_WORD.search(text[max(0, match.start() - 24) : match.start()])
    last = word[0] if word else ""
    if last.lower() in _EN_TITLES:
        # "No. 5" is an abbreviation, and "No. Nobody came." is an answer.
        return last.lower() in ("no", "p", "art", "est") and not rest[0].isdigit() and _starts(rest)
    if last.lower() in _EN_EITHER or regex.fullmatch(r"(?:\p{L}\.)*\p{Lu}|(?:\p{L}\.)+\p{L}", last):
        return _starts(rest)
    return True


def _starts(rest: str) -> bool:
    return regex.split(r"[\s,’']", rest, maxsplit=1)[0] in _EN_STARTS


def _stands_zh(sentence: str, match: regex.Match[str]) -> bool:
    kept = sentence[: match.start()]
    clause = regex.split(r"[，；,;]", kept)[-1].strip()
    long_enough = len(kept) >= _ZH_SHORTEST
    return long_enough and not _ZH_OPENS.match(clause) and not _ZH_LEANS.search(clause)


def _stands_en(sentence: str, match: regex.Match[str]) -> bool:
    kept, rest = sentence[: match.start()], sentence[match.end() :]
    if len(kept.split()) < _EN_SHORTEST or not _EN_VERB.search(kept):
        return False
    if match[0] == ",":
        if _EN_OPENS.match(kept) and "," not in kept:
            return False  # "After the talks, which ...": only the opening would be left
        if not match["joins"] and "," in rest:
            return False  # the main clause may go on behind what is dropped
    return True


def _depths(text: str) -> list[int]:
    """For every place between two characters, how many pairs of quotes or brackets it stands in.

    A mark without its partner is no pair, or a forgotten quote would swallow the rest.
    """
    change = [0] * (len(text) + 2)
    waiting: dict[str, list[int]] = {}
    for index, char in enumerate(text):
        opener = _OPENERS.get(char) or (char if char == '"' and waiting.get(char) else None)
        if opener and waiting.get(opener):
            change[waiting[opener].pop() + 1] += 1
            change[index + 1] -= 1
        elif char in _PAIRS or char == '"':
            waiting.setdefault(char, []).append(index)
    return list(accumulate(change))


def _held(text: str, names: tuple[str, ...]) -> set[int]:
    """The places inside one of ``names``."""
    held: set[int] = set()
    for name in filter(None, names):
        for match in regex.finditer(regex.escape(name), text):
            held.update(range(match.start() + 1, match.end()))
    return held


def _whole(text: str, end: int) -> int:
    """``end``, moved behind whatever joins the character before it."""
    match = _JOINING.match(text, end)
    return match.end() if match else end
