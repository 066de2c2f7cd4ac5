"""The one seam to the network: a small HTTP client a channel, and what each of its failures means.

Only this module imports httpx, and only when the first request is sent: it takes a third of a second, and most
commands build channels without ever using one.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json as jsonlib
import logging
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from publisher import clock
from publisher.channel import (
    DeliveryError,
    OutcomeUnknown,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
)
from publisher.errors import SettingsError

if TYPE_CHECKING:
    import httpx

LARGEST_ANSWER = 2 * 1024 * 1024
"""Bytes of an answer that are read; what is behind them is left."""
LONGEST_WAIT = timedelta(hours=24)
_LONGEST_MESSAGE = 300
_CONNECT_SECONDS = 10.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def server_address(url: str) -> str:
    """``url`` without a trailing slash, fit to be a channel's server; for settings models.

    ``http://`` is for this machine only, since a token would travel readable. Raises ``ValueError`` with a sentence
    for a person.
    """
    try:
        split = urlsplit(url.strip())
        host = split.hostname
        _ = split.port
    except ValueError:
        raise ValueError("This is not a web address; write it like https://example.org.") from None
    if split.scheme not in ("https", "http") or not host:
        raise ValueError("This is not a web address; write it like https://example.org.")
    if split.username is not None or split.password is not None or split.query or split.fragment:
        raise ValueError("Write the address alone, without a name, a password or anything after ? or #.")
    if split.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{host} must be reached by https://, or passwords would travel readable.")
    return url.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered. ``headers`` have lower-case names; ``body`` is at most ``LARGEST_ANSWER`` long."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as UTF-8, with replacement characters for what is none."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body read as JSON. Raises ``ValueError`` where it is something else, or cut short."""
        try:
            return jsonlib.loads(self.body)
        except RecursionError:
            raise ValueError("The answer is nested too deeply.") from None

    @property
    def json_object(self) -> dict[str, Any]:
        """The JSON object that was answered; empty for anything else."""
        try:
            data = self.json()
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}


class HttpClient:
    """Speaks to one server for one channel: no redirects, no retries, bounded in time and size.

    ``timeout`` bounds the whole of a request, in seconds; ``secrets`` never leave in an error. The connection pool
    is made inside the running loop and given back by :meth:`close`. Raises :class:`SettingsError` for an address
    that :func:`server_address` refuses.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        secrets: Iterable[str] = (),
    ) -> None:
        try:
            self.base_url = server_address(base_url)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        split = urlsplit(self.base_url)
        self.host = split.netloc
        self._loopback = is_loopback(split.hostname or "")
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._secrets = _secret_pattern(secrets)
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"HttpClient({self.base_url!r})"

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        creates: bool,
    ) -> Response:
        """One request, whatever status comes back. ``path`` is below the base address and may carry a query.

        The body is one of ``json``, ``form``, or ``content``, which is sent exactly as it is, its type in ``headers``.

        ``creates`` says that the request may make something appear. Raises :class:`Unavailable` where it certainly
        had no effect, :class:`OutcomeUnknown` where a creating request may have had one, :class:`Rejected` for what
        HTTP cannot carry, :class:`SignInFailed` where this machine's proxy or certificates are set up wrongly.
        """
        client = self._open()
        try:
            request = client.build_request(
                method, self.base_url + path, json=json, data=form, content=content, headers=headers
            )
        except _failures() as error:
            raise Rejected(
                f"The request to {self.host} cannot be written ({self.scrub(str(error))})."
            ) from None
        try:
            async with asyncio.timeout(self._timeout):
                response = await client.send(request, stream=True)
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except _failures() as error:
            raise self._failed(error, creates) from None
        return Response(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)

    def raise_for_status(self, response: Response, *, creates: bool) -> None:
        """Nothing for a 2xx; else raises what the status means, with the service's own words, scrubbed."""
        message = self.scrub(_message(response))
        # Where a redirect leads is told too, and a server may have put anything there.
        location = self.scrub(response.headers.get("location", ""))
        response = replace(response, headers={**response.headers, "location": location})
        error = refusal(response, self.host, message, creates=creates)
        if error:
            raise error

    def scrub(self, text: str) -> str:
        """``text`` in one line of at most 300 characters, without secrets and control characters."""
        text = " ".join(_CONTROL.sub(" ", self._blot(text)).split())
        text = self._blot(text)  # joining the lines may have put one together
        return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"

    def _blot(self, text: str) -> str:
        return self._secrets.sub("***", text) if self._secrets else text

    async def close(self) -> None:
        """Gives the connections back."""
        client, self._client = self._client, None
        if client and self._loop is asyncio.get_running_loop():
            await client.aclose()

    def _open(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            try:
                self._client, self._loop = self._new(), loop
            except _failures() as error:  # a proxy or a certificate file in the environment that is none
                raise SignInFailed(
                    f"This machine is not set up to reach {self.host} ({self.scrub(str(error))}); "
                    "check HTTPS_PROXY and SSL_CERT_FILE."
                ) from None
        return self._client

    def _new(self) -> httpx.AsyncClient:
        import httpx

        # They log whole addresses and headers, and some services take or give a secret there.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        return httpx.AsyncClient(
            headers={"Accept": "application/json", "Accept-Encoding": "identity"} | self._headers,
            timeout=httpx.Timeout(self._timeout, connect=min(self._timeout, _CONNECT_SECONDS)),
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=1),
            # Offices reach the world through a proxy named in the environment; this machine needs none.
            trust_env=not self._loopback,
            # Without TLS there is nothing to verify, and no context to build: that is this machine only.
            verify=tls_context() if self.base_url.startswith("https:") else False,
            follow_redirects=False,
        )

    def _failed(self, error: BaseException, creates: bool) -> DeliveryError:
        what = self.scrub(str(error)) or type(error).__name__
        if isinstance(error, _not_sent()):
            return Unavailable(f"{self.host} cannot be reached ({what}); nothing was sent.")
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            what = f"no whole answer within {self._timeout:g} seconds"
        if creates:
            return OutcomeUnknown(f"{self.host} may have published it, but did not say so ({what}).")
        return Unavailable(f"{self.host} did not answer ({what}).")


async def _read(response: httpx.Response) -> bytes:
    """The body, up to the bound. Of a refusal the status is enough, so its body may break off."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) >= LARGEST_ANSWER:
                break
    except _failures():
        if not response.is_error:
            raise
    return bytes(body[:LARGEST_ANSWER])


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """The one TLS context of the process: building it is dear.

    Trusts what the machine trusts, for offices with a certificate of their own, and certifi's list, for slim
    images without any.
    """
    import httpx

    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


def _failures() -> tuple[type[BaseException], ...]:
    """Everything a request can raise; nothing of it leaves this module."""
    import httpx

    return (
        httpx.HTTPError,
        httpx.InvalidURL,
        httpx.StreamError,
        httpx.CookieConflict,
        OSError,  # TimeoutError is one
        ValueError,  # a host or a header that cannot be written down
    )


def _not_sent() -> tuple[type[BaseException], ...]:
    """The failures before the first byte of a request could leave."""
    import httpx

    return (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.ProxyError,  # the proxy refused the tunnel
        httpx.UnsupportedProtocol,
        httpx.InvalidURL,
    )


def refusal(response: Response, host: str, message: str, *, creates: bool) -> DeliveryError | None:
    """What a status means for what happens next; ``None`` for 2xx. ``message`` is the service's, scrubbed.

    Where a request only reads, a refusal says nothing about a post, so what is no sign-in and no "wait" is
    :class:`Unavailable`.
    """
    status = response.status
    said = f"{status}: {message}" if message else str(status)
    if 200 <= status < 300:
        return None
    if status in (401, 403, 407):
        return SignInFailed(f"{host} refused the sign-in ({said}).")
    if status == 429:
        return Throttled(f"{host} asks to wait ({said}).", _wait(response, resets=True))
    if status == 503 and (wait := _wait(response)) is not None:
        return Throttled(f"{host} is busy and asks to wait ({said}).", wait)
    if 300 <= status < 400 and not (status == 303 and creates):
        # The address in the settings is wrong, for every post alike: the administrator's, not the officer's. A 303
        # on creating is different, it is how some servers say "done".
        where = _origin(response.headers.get("location", ""))
        return SignInFailed(
            f"{host} sends requests on to {where} ({status}); correct the address in the settings."
        )
    if not creates:
        return Unavailable(f"{host} could not be asked ({said}).")
    if 400 <= status < 500 and status not in (408, 425):
        return Rejected(f"{host} refused the post ({said}).")
    return OutcomeUnknown(f"{host} failed while it had the post ({said}).")


def _wait(response: Response, *, resets: bool = False) -> timedelta | None:
    """How long the service asks to wait, between nothing and a day.

    ``Retry-After`` is seconds or a date (RFC 9110, 10.2.3); ``X-RateLimit-Reset`` an ISO 8601 time on Mastodon and
    epoch seconds elsewhere.
    """
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return min(timedelta(seconds=int(value)), LONGEST_WAIT)
    until = _date(value)
    if until is None and resets:
        until = _date(response.headers.get("x-ratelimit-reset", "").strip())
    return min(max(until - clock.now(), timedelta()), LONGEST_WAIT) if until else None


def _date(value: str) -> datetime | None:
    if re.fullmatch(r"[0-9]{9,11}", value):
        return datetime.fromtimestamp(int(value), UTC)
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(value)
        except (ValueError, OverflowError):
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def _origin(location: str) -> str:
    """Where a redirect leads, without path and query, which may hold what is not for a log."""
    try:
        split = urlsplit(location)
        shown = f"{split.scheme or 'https'}://{split.hostname}" if split.hostname else "another page"
    except ValueError:
        shown = "another page"
    return re.sub(r"[^\x21-\x7e]", "", shown) if shown != "another page" else shown


def _message(response: Response) -> str:
    """The service's own words: the usual fields of a JSON answer, else a plain text; an HTML page has none."""
    kind = response.headers.get("content-type", "")
    try:
        data = response.json()
    except ValueError:
        plain = "html" not in kind and not response.body.lstrip().startswith(b"<")
        return response.text[:4096] if plain else "a web page instead of an answer"
    return _words(data)


def _words(data: object) -> str:
    if isinstance(data, str):
        return data[:4096]
    if isinstance(data, list):
        return "; ".join(filter(None, map(_words, data[:3])))
    if isinstance(data, dict):
        for name in ("error_description", "message", "detail", "error", "errors", "title"):
            if words := _words(data.get(name)):
                return words
    return ""


def _secret_pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    ordered = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE) if ordered else None


def _forms(secret: str) -> set[str]:
    """A secret as it may stand in an answer: as it is, percent-encoded, escaped, or inside base64."""
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    forms |= {
        html.escape(secret),
        jsonlib.dumps(secret)[1:-1],
        jsonlib.dumps(secret, ensure_ascii=False)[1:-1],
    }
    data = secret.encode()
    for shift in range(3):  # base64 of "user:secret" depends on where in a group of three the secret begins
        begin, end = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            core = encode(bytes(shift) + data)[begin:end].decode()
            forms |= {core} if len(core) >= 6 else set()
    return forms
