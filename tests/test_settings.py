"""``.env``: typed, named, and never leaking."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from publisher import settings
from publisher.announcement import Language
from publisher.channel import ChannelSettings, Layout
from publisher.errors import SettingsError


class ToySettings(ChannelSettings):
    """A channel's settings with a secret and a path."""

    url: str = Field(description="address of the service")
    token: SecretStr = Field(SecretStr(""), description="the token")
    folder: Path = Field(Path("out"), description="where files go")


def _load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> settings.Settings:
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return settings.load(path, environ or {})


def _refusal(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as refusal:
        loaded = _load(tmp_path, text, environ)
        for values in loaded.channels.values():
            values.checked(ToySettings)
    assert "Traceback" not in str(refusal.value)
    return str(refusal.value)


def test_settings__read(tmp_path: Path) -> None:
    """Channels have their own prefix, lists are comma-separated, relative paths start at the file's folder."""
    loaded = _load(
        tmp_path,
        "PUBLISHER_CHANNELS=web, fed_en\nWEB_ADAPTER=toy\nWEB_URL=https://a\nWEB_LAYOUT=separate\n"
        "FED_EN_ADAPTER=toy\nFED_EN_URL=https://b\nFED_EN_LANGUAGES=en\n",
    )
    web, fed = (loaded.channels[name].checked(ToySettings) for name in ("web", "fed_en"))
    assert (web.url, web.layout, web.folder) == ("https://a", Layout.SEPARATE, tmp_path / "out")
    assert (fed.url, fed.languages) == ("https://b", (Language.EN,))
    assert loaded.home == tmp_path / "data"


def test_settings__longest_prefix(tmp_path: Path) -> None:
    """With channels ``fed`` and ``fed_en``, FED_EN_URL belongs to the second alone."""
    text = "PUBLISHER_CHANNELS=fed,fed_en\nFED_ADAPTER=toy\nFED_URL=https://a\nFED_EN_ADAPTER=toy\nFED_EN_URL=https://b\n"
    loaded = _load(tmp_path, text)
    assert loaded.channels["fed"].checked(ToySettings).url == "https://a"
    assert loaded.channels["fed_en"].checked(ToySettings).url == "https://b"


def test_settings__environment_wins(tmp_path: Path) -> None:
    """The environment overrides the file, and foreign names in it are no concern of ours."""
    text = "PUBLISHER_CHANNELS=web\nWEB_ADAPTER=toy\nWEB_URL=https://a\n"
    loaded = _load(tmp_path, text, {"WEB_URL": "https://c", "WEB_SERVICE_HOST": "10.0.0.1"})
    assert loaded.channels["web"].checked(ToySettings).url == "https://c"


def test_settings__nothing_expanded(tmp_path: Path) -> None:
    """A password with $ in it arrives as it was typed."""
    text = "PUBLISHER_CHANNELS=web\nWEB_ADAPTER=toy\nWEB_URL=https://a\nWEB_TOKEN='pa$HOME${X}'\n"
    assert (
        _load(tmp_path, text).channels["web"].checked(ToySettings).token.get_secret_value() == "pa$HOME${X}"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PUBLISHER_CHANNELS=web\n", "WEB_ADAPTER is missing"),
        ("PUBLISHER_CHANNELS=web\nWEB_ADAPTER=toy\n", "WEB_URL is missing: address of the service."),
        ("PUBLISHER_CHANNELS=web\nWEB_ADAPTER=toy\nWEB_URLL=x\nWEB_URL=y\n", "did you mean WEB_URL?"),
        ("PUBLISHER_CHANNELS=web\nWEB_ADAPTER=toy\nWEB_URL=y\nWEB_LAYOUT=diagonal\n", "WEB_LAYOUT:"),
        ("PUBLISHER_CHANNELS=web\nWEB_ADAPTER=toy\nWEB_URL=y\nWEB_LANGUAGES=fr\n", "WEB_LANGUAGES:"),
        ("PUBLISHER_CHANEL=web\n", "did you mean PUBLISHER_CHANNELS?"),
        ("PUBLISHER_TIMEZONE=Mars/Base\n", '"Mars/Base" is not a time zone'),
        ("PUBLISHER_CHANNELS=Web-Site\n", '"Web-Site" is not a channel name'),
        ("PUBLISHER_CHANNELS=web,web\nWEB_ADAPTER=toy\n", "listed twice"),
        ("PUBLISHER_CANONICAL=site\n", "PUBLISHER_CANONICAL"),
        ("OTHER_URL=x\n", "OTHER_URL belongs to no channel"),
        (
            "PUBLISHER_BOUNCES_IMAP=imap.example.org\n",
            "PUBLISHER_BOUNCES_IMAP: is not the address of a mailbox",
        ),
        ("PUBLISHER_BOUNCES_IMAP=pop3://a:b@c\n", "PUBLISHER_BOUNCES_IMAP: is not the address of a mailbox"),
        ("PUBLISHER_BOUNCES_IMAP=imaps://imap.example.org/INBOX\n", "has no name or no password"),
        ("PUBLISHER_BOUNCES_IMAP='imaps://a:b@c/INBOX?x'\n", "has a ? or # in it"),
        ("PUBLISHER_HOME=a\nPUBLISHER_HOME=b\n", "line 2: PUBLISHER_HOME is set twice"),
        ("PUBLISHER_HOME=a\nthis is not a setting = 'open\n", "line 2"),
    ],
)
def test_settings__wrong(tmp_path: Path, text: str, says: str) -> None:
    """Everything that is wrong is named with its key or line, and the next step."""
    assert says in _refusal(tmp_path, text)


def test_settings__secret_never_shown(tmp_path: Path) -> None:
    """A secret is in no repr, no error and no traceback, even where its own field is refused."""
    secret = "s3cr3t-value"
    text = f"PUBLISHER_CHANNELS=web\nWEB_ADAPTER=toy\nWEB_URL=u\nWEB_TOKEN={secret}\nWEB_LAYOUT={secret}\n"
    loaded = _load(tmp_path, text)
    assert secret not in repr(loaded)
    with pytest.raises(SettingsError) as refusal:
        loaded.channels["web"].checked(ToySettings)
    shown = "".join(traceback.format_exception(refusal.value))
    assert secret not in shown


@pytest.mark.parametrize("password", ["s3cr3t/part", "s3cr3t#part", "s3cr3t?part", "s3cr3t[part"])
def test_settings__mailbox_with_a_raw_password(tmp_path: Path, password: str) -> None:
    """A password that is not percent-encoded is refused, and no part of it is said."""
    refusal = _refusal(
        tmp_path, f"PUBLISHER_BOUNCES_IMAP='imaps://office:{password}@imap.example.org/INBOX'\n"
    )
    assert "s3cr3t" not in refusal
    assert "part" not in refusal


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("imaps://office:pass@imap.example.org", ("imap.example.org", 993, "office", "pass", "INBOX", True)),
        ("imap://office:pass@localhost/Bounces", ("localhost", 143, "office", "pass", "Bounces", False)),
        (
            "imaps://news@example.org:p%2Fw%40d@imap.example.org:9930/INBOX/%E9%80%80%E4%BF%A1",
            ("imap.example.org", 9930, "news@example.org", "p/w@d", "INBOX/退信", True),
        ),
    ],
)
def test_settings__mailbox(written: str, expected: tuple[object, ...]) -> None:
    """The address of a mailbox has a name, a password, and if need be a port and a folder; it is not shown."""
    account = settings.imap_account(SecretStr(written))
    assert (
        account.host,
        account.port,
        account.user,
        account.password,
        account.folder,
        account.is_tls,
    ) == expected
    assert account.password not in repr(account)


def test_settings__not_utf8(tmp_path: Path) -> None:
    """A file in another encoding is named."""
    (tmp_path / ".env").write_bytes("PUBLISHER_HOME=数据\n".encode("gb18030"))
    with pytest.raises(SettingsError, match="UTF-8"):
        settings.load(tmp_path / ".env", {})


def test_settings__missing_file(tmp_path: Path) -> None:
    """A file that was named and is not there is an error; the default one may be missing."""
    with pytest.raises(SettingsError, match="publisher init"):
        settings.load(tmp_path / "none.env", {})


def test_settings__mode(tmp_path: Path) -> None:
    """A file that others can read is warned of."""
    _load(tmp_path, "PUBLISHER_HOME=a\n")
    (tmp_path / ".env").chmod(0o644)
    assert "chmod 600" in settings.load(tmp_path / ".env", {}).warnings[0]
    (tmp_path / ".env").chmod(0o600)
    assert settings.load(tmp_path / ".env", {}).warnings == ()
