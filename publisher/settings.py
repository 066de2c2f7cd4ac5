"""``.env`` and the environment, read into typed settings. Nothing else configures the product.

The environment wins over the file. A key of the file that nothing reads is refused, because a misspelt setting
that is quietly ignored is worse than none; foreign keys in the environment are none of our business.
Values are taken as they stand: no ``$`` is expanded, since passwords contain it.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from dotenv.parser import parse_stream
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from publisher import clock
from publisher.errors import SettingsError, UsageError

_CHANNEL = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_PREFIX = "PUBLISHER_"


def _listed(value: object) -> object:
    return [item for item in re.split(r"[,\s]+", value) if item] if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class ImapAccount:
    """A mailbox on an IMAP server; ``is_tls`` from the first byte, else after STARTTLS."""

    host: str
    port: int
    user: str = field(repr=False)
    password: str = field(repr=False)
    folder: str
    is_tls: bool


def imap_account(address: SecretStr) -> ImapAccount:
    """The mailbox at ``imaps://name:password@host:port/FOLDER``, or ``imap://`` for STARTTLS.

    Special characters of name, password and folder are percent-encoded. Raises :class:`ValueError` with what is wrong,
    to follow the name of a setting, and without any part of the address.
    """
    written = "write it like imaps://name:password@imap.example.org/INBOX"
    try:
        split = urlsplit(address.get_secret_value())
        port = split.port
    except ValueError:
        raise ValueError(
            f"is not the address of a mailbox; {written}, with %2F for / and %40 for @ in the password"
        ) from None
    if split.scheme not in ("imaps", "imap") or not split.hostname:
        raise ValueError(f"is not the address of a mailbox; {written}")
    if not split.username or not split.password:
        raise ValueError(f"has no name or no password; {written}")
    if split.query or split.fragment:
        raise ValueError("has a ? or # in it; write %3F for ? and %23 for #")
    is_tls = split.scheme == "imaps"
    user, password, folder = map(unquote, (split.username, split.password, split.path.strip("/")))
    return ImapAccount(
        split.hostname, port or (993 if is_tls else 143), user, password, folder or "INBOX", is_tls
    )


class OfficeSettings(BaseModel):
    """The settings of the office as a whole, each ``PUBLISHER_`` and its name in capitals."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True
    )

    channels: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="names of the channels, in the order people see them"
    )
    canonical: str = Field(
        "",
        description="the channel whose address the others link to; empty: the first one that publishes posts",
    )
    timezone: str = Field("Asia/Shanghai", description="the zone of times that are typed without one")
    home: Path = Field(
        Path("data"), description="folder of the store; templates/ and config/ in it win over ours"
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="address of a PostgreSQL database; empty: SQLite in the home folder"
    )
    retry_hours: float = Field(
        24.0, gt=0, le=24 * 14, description="how long a failing delivery is tried again, in hours"
    )

    url: str = Field(
        "",
        description='address under which subscribers reach "publisher serve", such as https://news.example.org/; '
        "needed to send a newsletter to subscribers",
    )
    secret: Annotated[tuple[SecretStr, ...], BeforeValidator(_listed)] = Field(
        (),
        description='signs the links in newsletters; "publisher init" writes one. Never lose it: links in old '
        "newsletters depend on it. To change it, put the new one in front and keep the old: new,old",
    )

    bounces_imap: SecretStr = Field(
        SecretStr(""),
        description="the mailbox in which bounces of newsletters arrive, such as "
        "imaps://name:password@imap.example.org/INBOX; empty: none is read",
    )

    alerts: SecretStr = Field(
        SecretStr(""),
        description="who is told when something is stuck: Apprise addresses, such as "
        "mailtos://name:password@example.org, with commas between them; empty: nobody",
    )

    @field_validator("channels")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _CHANNEL.fullmatch(name) or name == "publisher":
                raise ValueError(f'"{name}" is not a channel name; use small letters, digits and _')
            if value.count(name) > 1:
                raise ValueError(f'"{name}" is listed twice')
        return value

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        split = urlsplit(value)
        if value and (split.scheme not in ("http", "https") or not split.hostname or split.query):
            raise ValueError("is not a web address; write it like https://news.example.org/")
        return f"{value.rstrip('/')}/" if value else ""

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(one.get_secret_value()) < 32 for one in value):
            raise ValueError("is too short; make one with: openssl rand -hex 32")
        return value

    @field_validator("bounces_imap")
    @classmethod
    def _mailbox(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            imap_account(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            clock.zone(value)
        except UsageError as error:
            raise ValueError(str(error).rstrip(".")) from None
        return value


@dataclass(frozen=True)
class Settings:
    """The office's settings and the raw values of each channel, which its adapter's model checks."""

    office: OfficeSettings
    channels: Mapping[str, ChannelValues]
    path: Path
    warnings: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """The home folder, absolute."""
        return _absolute(self.office.home, self.path)


@dataclass(frozen=True)
class ChannelValues:
    """One channel's settings as typed, by field name in small letters.

    ``environ`` may hold names that are not ours; only what the adapter's model knows is taken from it.
    """

    name: str
    adapter: str
    typed: Mapping[str, str] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    path: Path
    office: Mapping[str, str] = field(default_factory=dict)
    """What the office has said already, for a channel that needs it and does not say otherwise."""

    def checked(self, model: type[BaseModel]) -> Any:
        """The values as ``model``; relative paths start at the folder of ``.env``.

        Raises :class:`SettingsError`, one sentence for each setting that is missing, wrong or unknown.
        """

        def known(values: Mapping[str, str]) -> dict[str, str]:
            return {key: value for key, value in values.items() if key in model.model_fields}

        given = {**self.typed, **known(self.environ)}
        said = {key: value for key, value in known(self.office).items() if not given.get(key, "").strip()}
        settings = _validated(model, {**given, **said}, f"{self.name.upper()}_")
        paths = {
            name: _absolute(value, self.path)
            for name in model.model_fields
            if isinstance(value := getattr(settings, name), Path)
        }
        return settings.model_copy(update=paths)


def _absolute(path: Path, base: Path) -> Path:
    try:
        return (base.parent / path.expanduser()).resolve()
    except (RuntimeError, OSError, ValueError):
        raise SettingsError(f"{path} is not a folder that can be found; write it out in full.") from None


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of ``path`` (``.env`` in this folder) and the environment.

    Raises :class:`SettingsError`. A missing default file is no error: everything may be in the environment.
    """
    environ = os.environ if environ is None else environ
    chosen = path or Path(environ.get("PUBLISHER_ENV_FILE") or ".env")
    named = path is not None or "PUBLISHER_ENV_FILE" in environ
    typed = _read(chosen, named)
    prefixes = _channel_prefixes({**typed, **environ})
    office = _office(typed, environ)
    shared = {"timezone": office.timezone}
    channels = {name: _channel(name, prefixes, typed, environ, chosen, shared) for name in office.channels}
    _refuse_unknown(typed, prefixes, chosen)
    return Settings(office, channels, chosen, _mode_warnings(chosen))


def _read(path: Path, named: bool) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        if named:
            raise SettingsError(f'{path} does not exist; run "publisher init" to write one.') from None
        return {}
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not written in UTF-8; save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; check its permissions.") from None
    values: dict[str, str] = {}
    for binding in bindings:
        line = (
            binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\n"))
        )
        if binding.error:
            raise SettingsError(f"{path}, line {line}: this is not NAME=value; check quotes and spaces.")
        if binding.key is None:
            continue
        if binding.key in values:
            raise SettingsError(f"{path}, line {line}: {binding.key} is set twice; remove one of them.")
        values[binding.key] = binding.value or ""
    return values


def _channel_prefixes(values: Mapping[str, str]) -> dict[str, str]:
    """Channel names by prefix, the longest first, so that MASTODON_EN_URL is not EN_URL of ``mastodon``."""
    names = _listed(values.get("PUBLISHER_CHANNELS", ""))
    assert isinstance(names, list)
    return {f"{name.upper()}_": name for name in sorted(names, key=len, reverse=True)}


def _owner(key: str, prefixes: Mapping[str, str]) -> str | None:
    return next((prefix for prefix in prefixes if key.startswith(prefix)), None)


def _under(values: Mapping[str, str], prefix: str, prefixes: Mapping[str, str]) -> dict[str, str]:
    """The values whose longest matching prefix is ``prefix``, by the rest of their name in small letters."""
    return {
        key.removeprefix(prefix).lower(): value
        for key, value in values.items()
        if key.startswith(prefix) and _owner(key, prefixes) == prefix
    }


def _office(typed: Mapping[str, str], environ: Mapping[str, str]) -> OfficeSettings:
    mine = {_PREFIX: ""}
    known = {k: v for k, v in _under(environ, _PREFIX, mine).items() if k in OfficeSettings.model_fields}
    office: OfficeSettings = _validated(OfficeSettings, {**_under(typed, _PREFIX, mine), **known}, _PREFIX)
    if office.canonical and office.canonical not in office.channels:
        raise SettingsError(
            f'PUBLISHER_CANONICAL names "{office.canonical}", which is not in PUBLISHER_CHANNELS; add it there.'
        )
    return office


def _channel(
    name: str,
    prefixes: Mapping[str, str],
    typed: Mapping[str, str],
    environ: Mapping[str, str],
    path: Path,
    shared: Mapping[str, str],
) -> ChannelValues:
    prefix = f"{name.upper()}_"
    from_file, from_environ = (_under(source, prefix, prefixes) for source in (typed, environ))
    adapter = (from_environ.pop("adapter", "") or from_file.get("adapter", "")).strip()
    from_file.pop("adapter", None)
    if not adapter:
        raise SettingsError(
            f'{prefix}ADAPTER is missing: it says what "{name}" publishes to; "publisher adapters" lists them.'
        )
    return ChannelValues(name, adapter, from_file, from_environ, path, shared)


def _refuse_unknown(typed: Mapping[str, str], prefixes: Mapping[str, str], path: Path) -> None:
    for key in typed:
        if not key.startswith(_PREFIX) and _owner(key, prefixes) is None:
            raise SettingsError(
                f"{path}: {key} belongs to no channel in PUBLISHER_CHANNELS; add the channel, or remove the line."
            )


def _validated(model: type[BaseModel], values: Mapping[str, str], prefix: str) -> Any:
    # An empty value is a setting that was left blank in the file: the default holds.
    given = {key: value for key, value in values.items() if value.strip()}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        sentences = [_sentence(model, dict(problem), prefix) for problem in error.errors(include_input=False)]
        raise SettingsError("\n".join(dict.fromkeys(sentences))) from None


def _sentence(model: type[BaseModel], problem: dict[str, Any], prefix: str) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    key = f"{prefix}{name.upper()}"
    if problem["type"] == "missing":
        return f"{key} is missing: {model.model_fields[name].description}."
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, model.model_fields, n=1)
        hint = f"; did you mean {prefix}{near[0].upper()}?" if near else "; remove the line."
        return f"{key} is not a setting{hint}"
    what = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    if not name:
        return f"{prefix.rstrip('_')}: {what}."
    return f"{key}: {what[:1].lower() + what[1:] if what[:6] in ('Input ', 'String') else what}."


def _mode_warnings(path: Path) -> tuple[str, ...]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return ()
    if os.name == "posix" and mode & 0o077:
        return (f"{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}",)
    return ()
