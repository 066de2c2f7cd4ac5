"""What a mail server's refusal means for the subscriber: the same for a reply during SMTP and for a report afterwards.

Codes first mean what RFC 3463 and RFC 5321 say. Large providers use one code for many things, so their words are
known too: QQ Mail and NetEase publish lists of theirs, others have been seen. In doubt nobody is suppressed.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Meaning(StrEnum):
    """What a refusal means for the one it was addressed to."""

    HARD = "hard"
    """There is no such mailbox, and there will not be: never write there again."""
    SOFT = "soft"
    """A mailbox that cannot take it, such as a full one: it counts, and too many in a row end the subscription."""
    POLICY = "policy"
    """Something about us or the message: spam, sign-in, size. It says nothing of the person and never counts."""
    THROTTLED = "throttled"
    """More than this provider takes from us, said with 5yz: it never counts, and another day it would be taken."""
    DELAYED = "delayed"
    """Refused for now (4yz): it is tried again by whoever has the message."""


_NOISE = re.compile(r"https?://\S*|<?[^\s<>@]{1,128}@[^\s<>@]{1,255}>?")
"""Addresses and links, whose letters are nobody's words: spam-report@..., .../policies."""
REPLY = re.compile(
    r"(?<![A-Za-z0-9_.\[#-])([45]\d\d)(?![A-Za-z0-9_.])(?:[ -]*\(?#?([245]\.\d{1,3}\.\d{1,3})(?![\d.]))?"
)
"""A reply code, and the enhanced status code behind it."""
_STATUS = re.compile(r"(?<![A-Za-z0-9_.-])([245]\.\d{1,3}\.\d{1,3})(?![A-Za-z0-9_.])")

_HARD_CODES = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"}
_SOFT_CODES = {"5.2.2", "5.2.4", "5.3.1", "5.3.2", "5.4.6", "5.4.7"}
_POLICY_CODES = {"5.1.7", "5.1.8", "5.1.9", "5.2.3", "5.3.3", "5.3.4"}
_POLICY_REPLIES = {530, 534, 535, 538, 554}
_FULL = 552
_TAKES_NO_MAIL = 556  # RFC 7504

_MANY = re.compile(
    r"frequency|\brate[ -]?limit|at a rate|too many (messages|connections|recipients|mails|emails|errors)|"
    r"too (fast|frequent)|(sending|message|daily|hourly) (limit|quota)|quota.{0,20}(per|sender)|throttl|"
    r"Mailbox unavailable or access denied|"  # QQ Mail: this recipient has had too much within a short time
    r"\b(RP:(TRC|QRC|DRC|CCL)|MI:(SFQ|DMC|CEL|CCL)|HL:(ICC|IFC))\b|"  # NetEase
    r"频率|频繁|(发信|发送|邮件)(数|量|数量).{0,8}(限|超)",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"(user|recipient|mailbox|account|address|alias|mail user|local user)( \[\])?,?"
    r"( is| was| does| has| do| has been| name| address)?( not| no)?"
    r"[ ,:]*(unknown|invalid|non-?existent|not? (be )?found|not? (known|exist|exists|a (known|valid))|disabled|"
    r"inactive|deactivated|discontinued|closed|deleted|terminated)|"
    r"\bno (valid )?(user|mailbox|recipient|account)\b|"
    r"(unknown|invalid|illegal|no such|bad|unavailable|unrouteable|non-?existent|inactive|undeliverable) "
    r"((local|mail|destination|mailbox|email|e-mail|recipient) )*(user|recipient|mailbox|account|address|alias|person)"
    r"( here| by that name| syntax)?\b|"
    r"(user|account|recipient|mailbox|address|name|email)\b.{0,60}\b(do(es)? ?n[o']t|do no|don't) exists?\b|"
    r"does ?n[o']t have an? .{0,40}account|not (our|a|a valid|an? local|user of this) (customer|user|mailbox|server)|"
    r"recipient (rejected|not exist)|RecipientNotFound|NoSuchUser|\bRC:(LD|NE)\b|null ?mx|"
    r"(domain|host) does not accept (e?-?mail|messages)|"
    r"(用户|邮箱|收件人|收件人地址|地址|帐号|账号|账户|帐户|邮件地址|電子郵件地址|郵箱|使用者).{0,12}"
    r"(不存在|不正确|无效|未找到|找不到|已注销|已停用|被停用|被禁用|已被删除|已失效|不正確|無效)|"
    r"(找不到|没有|不存在|未找到)(此|该|这个|您?输入的)?.{0,6}(用户|收件人|邮箱|帐号|账号|地址)|未开通.{0,6}邮箱",
    re.IGNORECASE,
)
_FULL_WORDS = re.compile(
    r"(mailbox|account|inbox|user|recipient|storage|folder).{0,40}\b(full|quota|exceeded|exceeds)\b|"
    r"over ?quota|(over|exceed\w*|out of) (the |its |his |their )?(storage|disk|mailbox|quota)|quota exceed|"
    r"insufficient (system |disk )?(storage|space)|"
    r"空间不足|空间已满|容量(不足|已满)|(邮箱|信箱|收件箱|郵箱).{0,6}(已满|满了|已滿)|超出.{0,8}(配额|容量|空间)|配额",
    re.IGNORECASE,
)
_FOR_NOW = re.compile(
    r"temporar|try (again|later)|later|suspend|greylist|暂时|稍后|rejected by (the )?recipients?\b|"
    r"timed? ?out|expired|could not be delivered within|超时",
    re.IGNORECASE,
)
_SENDER = re.compile(r"\b(sender|mail from|return-?path|helo|ehlo)\b|发件人", re.IGNORECASE)
"""Whoever is unknown or invalid here is us."""
_OURS = re.compile(
    r"\bspam|\bunsolicited|\bjunk|\bvirus|\bmalware|phish|blocked|block ?list|black ?list|\bRBL\b|\bDNSBL|reputation|"
    r"\bSPF\b|\bDKIM\b|\bDMARC\b|authenticat|unauthenticated|not authori[sz]ed|\bpolic(y|ies)\b|\bprohibited|"
    r"\bcontent\b.{0,20}(reject|den|refus)|(reject|den|refus)\w*.{0,30}\bcontent\b|suspected|relay|"
    r"sender.{0,20}(reject|den|invalid|verif)|reverse (dns|lookup)|\bPTR\b|\bHELO\b|\bEHLO\b|bulk|"
    r"message (is )?(too (large|big|long)|size exceeds)|size limit|mail(size)? (exceed|too)|bad (header|subject)|"
    r"invalid subject|\b(HL|DT|MI|RP|WM|IP|SC|AS):[A-Z]{3}\b|"
    r"垃圾|反垃圾|黑名单|拒收|拒绝.{0,8}(发信|发件|内容)|内容.{0,8}(拒|违规|敏感)|病毒|认证|身份验证|邮件过大",
    re.IGNORECASE,
)


def meaning(reply: str) -> Meaning:
    """What a reply such as ``550 5.1.1 user unknown`` means; of one without any code, what its words do.

    ``reply`` may have several lines, and may be a relay's report of a reply: ``host mx said: 550 ...``.
    """
    return classify(*codes(reply), reply)


def codes(text: str) -> tuple[int, str]:
    """The first reply code in a server's words (0 for none), and the first enhanced status code ("" for none)."""
    words = _NOISE.sub(" ", text)
    found = REPLY.search(words)
    status = (found and found[2]) or next(iter(_STATUS.findall(words)), "")
    return int(found[1]) if found else 0, status


def classify(code: int, enhanced: str, text: str) -> Meaning:
    """The meaning of a reply code (0 for none), an enhanced status code ("" for none), and the server's words."""
    if 400 <= code < 500 or (not code and enhanced.startswith("4.")):
        return Meaning.DELAYED
    return by_words(text, enhanced) or _by_code(code, enhanced)


def by_words(text: str, enhanced: str = "") -> Meaning | None:
    """What the words decide, whatever the code: some providers say everything with 550. ``None``: they say nothing."""
    words = _NOISE.sub(" ", re.sub(r"\r?\n\s*(\d{3}[- ])?\s*(\d\.\d+\.\d+)?", " ", text))
    if _MANY.search(words):
        return Meaning.THROTTLED
    if enhanced in _POLICY_CODES or enhanced.startswith("5.7."):
        return Meaning.POLICY
    if _SENDER.search(words) and enhanced not in _HARD_CODES:
        return Meaning.POLICY
    if _FULL_WORDS.search(words):
        return Meaning.SOFT
    if _NOBODY.search(words) and not _FOR_NOW.search(words):
        return Meaning.HARD
    if _is_unlisted(enhanced, words):
        return Meaning.HARD
    if _OURS.search(words):
        return Meaning.POLICY
    return Meaning.SOFT if _FOR_NOW.search(words) else None


def _is_unlisted(enhanced: str, words: str) -> bool:
    """Microsoft's two ways of saying that nobody has this address, in words that are otherwise used for much else."""
    said = words.lower()
    return (enhanced == "5.4.1" and "recipient address rejected" in said) or (
        enhanced == "5.5.0" and "mailbox unavailable" in said
    )


def _by_code(code: int, enhanced: str) -> Meaning:
    if enhanced in _HARD_CODES or code == _TAKES_NO_MAIL:
        return Meaning.HARD
    if enhanced in _SOFT_CODES or code == _FULL:
        return Meaning.SOFT
    ours = code in _POLICY_REPLIES or enhanced.startswith(("5.5.", "5.6."))
    return Meaning.POLICY if ours else Meaning.SOFT
