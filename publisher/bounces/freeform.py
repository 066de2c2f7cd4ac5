"""Reports in words only, as many servers still write them: what they mean, from the words.

Recognises them by who sends them and by their subject; ``flufl.bounce`` knows the forms of some dozens of servers
besides. Neither says why a letter was refused, so that is read from the text: the paragraph with a code, the one that
gives a reason, or all of it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from flufl.bounce import all_failures

from publisher.bounces import parts
from publisher.bounces.meaning import REPLY, Meaning, by_words, codes, meaning
from publisher.bounces.report import OF_MEANING, Kind, shortened

# A detector that trips over a broken message is no news: the message is then read without it.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)

_SENDERS = re.compile(
    r"mailer[-_]?daemon|mail[-_]?daemon|\bpostmaster@|mail delivery (sub)?system|mail system|\bmdaemon@|"
    r"系统退信|邮件系统|邮局管理员|郵件系統",
    re.IGNORECASE,
)
_SUBJECTS = re.compile(
    r"undeliver|delivery (status notification|failure|failed|has failed|report|incomplete)|failure notice|"
    r"returned mail|mail (delivery|system) (failed|failure|error|warning)|(could not|cannot) be delivered|"
    r"delivery.{0,10}delayed|delayed (mail|delivery)|non-?delivery|systems? bounce|rejected:|"
    r"退信|退回|(未|无法|無法|不能|未能)(被)?(送达|送達|投递|投遞|传递|傳遞|发送)|(投递|投遞|传递|傳遞|发送)失败|传送失败|"
    r"傳遞失敗|傳送失敗|延迟|延遲",
    re.IGNORECASE,
)
_STILL_TRYING = re.compile(
    r"not yet been delivered|has been delayed|(will be|being) retried|(will|shall) (keep|continue)|"
    r"still (being |be )?(try|tried|trying|in (the )?queue)|you do not need to (resend|take)|no action is required|"
    r"继续尝试|仍在尝试|还会尝试|再次尝试投递|繼續嘗試|已延迟|已延遲|暂未送达",
    re.IGNORECASE,
)
_RETURNED = re.compile(
    r"^.{0,12}(below this line is a copy|original (message|e-?mail)( headers)?\b.{0,10}$|"
    r"this is a copy of (the|your) message|(here is )?(your|the) (returned|original) mail|return(ed)? message|"
    r"message headers follow|"
    r"(原始|原)(邮件|信件|郵件)(内容|头|标头|標頭|正文|附件)|the header)",
    re.IGNORECASE | re.MULTILINE,
)
_REASON = re.compile(
    r"reason|because|error|problem|said|diagnos|explan|原因|错误|錯誤|诊断|診斷|说明", re.IGNORECASE
)
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:=@。，：；、]{1,128}@(?:[\w-]{1,63}\.){1,9}[\w-]{1,63}")


@dataclass(frozen=True, slots=True)
class Found:
    """What a report in words says."""

    kind: Kind
    status: str
    said: str
    address: str | None


def is_from_server(message: Message) -> bool:
    """Whether a mail server says that it has written it."""
    failed = parts.header(message, "X-Failed-Recipients")
    return bool(failed or _SENDERS.search(parts.header(message, "From")))


def is_likely(message: Message) -> bool:
    """Whether a mail server seems to have written it: it has no sender, or a subject as reports have."""
    subject = parts.header(message, "Subject")
    from_nobody = parts.header(message, "Return-Path") == "<>"
    return from_nobody or is_from_server(message) or bool(_SUBJECTS.search(subject))


def read(message: Message) -> Found | None:
    """What it says; ``None`` for a message that says nothing of what became of a letter."""
    text = _own_words(parts.text(message))
    temporary, permanent = _detected(message)
    passage = _from_code(next(_telling(text), ""))
    meant = meaning(passage) if any(codes(passage)) else by_words(passage or text)
    waits = bool(_STILL_TRYING.search(text)) or (bool(temporary) and not permanent)
    kind = _kind(meant, waits, is_named=bool(temporary or permanent))
    if kind is None:
        return None
    code, enhanced = codes(passage)
    said = shortened(passage or text)
    address = _address(message, [*permanent, *temporary], text)
    return Found(kind, enhanced or (str(code) if code else ""), said, address)


def _kind(meant: Meaning | None, waits: bool, *, is_named: bool) -> Kind | None:
    if waits and meant is not Meaning.HARD:
        return Kind.DELAYED
    if meant is Meaning.DELAYED:
        return Kind.SOFT  # given up on, after replies that were only for now
    if meant is not None:
        return OF_MEANING[meant]
    return Kind.SOFT if is_named else None


def _own_words(text: str) -> str:
    """The text without the newsletter that may stand below it."""
    found = _RETURNED.search(text)
    return text[: found.start()] if found and text[: found.start()].strip() else text


def _telling(text: str) -> Iterator[str]:
    """The paragraphs that tell why, the most telling first."""
    paragraphs = [one.strip() for one in re.split(r"\n\s*\n", text) if one.strip()]
    yield from (one for one in paragraphs if any(codes(one)))
    for at, one in enumerate(paragraphs):
        # A heading such as 退信原因： may stand in a paragraph of its own.
        both = "\n".join(paragraphs[at : at + 2])
        if _REASON.search(one) and by_words(both):
            yield one if by_words(one) else both


def _from_code(passage: str) -> str:
    """What the other server said, without what this one says of it; words before a mere ``(#5.1.1)`` belong to it."""
    found = REPLY.search(passage)
    return passage[found.start() :] if found else passage


def _detected(message: Message) -> tuple[list[str], list[str]]:
    try:
        temporary, permanent = all_failures(message)
    except (
        Exception
    ):  # a stranger's message in a stranger's parser: whatever it raises, the text is still there
        return [], []
    return [sorted(one.decode("ascii", "replace") for one in some) for some in (temporary, permanent)]  # type: ignore[return-value]


def _address(message: Message, detected: list[str], text: str) -> str | None:
    failed = parts.header(message, "X-Failed-Recipients").split(",")[0].strip()
    written = _ADDRESS.search(text)
    return failed or next(iter(detected), "") or (written[0] if written else None)
