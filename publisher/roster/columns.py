"""The columns of a file of subscribers, as offices name them in both languages."""
# ruff: noqa: E501  # tables of words

from __future__ import annotations

import re

from publisher.subscriber import Reading

COLUMNS = {
    "email": ("email", "e-mail", "mail", "email address", "e-mail address", "address", "邮箱", "电子邮件", "电子邮箱", "邮件地址", "邮箱地址"),
    "name": ("name", "full name", "姓名", "名字", "称呼"),
    "first": ("first name", "given name", "名"),
    "last": ("last name", "surname", "family name", "姓"),
    "language": ("language", "languages", "reads", "lang", "语言", "语种"),
    "lists": ("lists", "list", "groups", "tags", "列表", "名单", "分组"),
    "consent_at": ("consent date", "consent at", "consent_at", "subscribed at", "optin_time", "confirm_time", "同意时间", "同意日期", "订阅时间", "订阅日期"),
    "consent_how": ("consent how", "consent_how", "consent", "同意方式", "订阅方式"),
    "consent_text": ("consent text", "consent_text", "同意内容", "同意文本"),
    "source": ("source", "来源"),
    "state": ("state", "status", "状态"),
}  # fmt: skip
"""What a column may be called at the top of a file; the first name is the one an export writes."""
_NAMES = {name: column for column, names in COLUMNS.items() for name in names}

_READINGS = {
    Reading.ZH: ("zh", "zh-cn", "zh-hans", "zh-tw", "zh-hant", "cn", "chinese", "中文", "汉语", "漢語", "中"),
    Reading.EN: ("en", "en-gb", "en-us", "english", "英文", "英语", "英語", "英"),
    Reading.BOTH: ("both", "zh,en", "en,zh", "zh en", "en zh", "zh/en", "en/zh", "bilingual", "双语", "雙語", "中英文", "中英", "两者"),
}  # fmt: skip
_LANGUAGES = {word: reading for reading, words in _READINGS.items() for word in words}


def column(title: str) -> str | None:
    """Which column the title at the top of a file names."""
    return _NAMES.get(" ".join(title.replace("_", " ").split()).lower()) or _NAMES.get(title.strip().lower())


def reading(text: str) -> Reading | None:
    """What a subscriber reads, as people write it."""
    return _LANGUAGES.get(re.sub(r"\s*([,/;，；、])\s*", ",", text.strip().lower()).replace("、", ",")) or (
        _LANGUAGES.get(text.strip().lower())
    )
