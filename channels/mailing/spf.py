"""SPF, read as receivers read it: who may send for a domain (RFC 7208).

Mechanisms with macros, ``exists`` and ``ptr`` depend on a single message and are left open. Everything a record
includes is read, not only what comes before the first match, so the limits are those of the worst message.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from channels.mailing.lookup import Address, Lookup

_MOST, _MOST_VOID, _MOST_HOSTS = 10, 2, 10
"""Terms that ask the DNS, such questions without an answer, hosts of one ``mx`` (RFC 7208, 4.6.4)."""
_VERSION = "v=spf1"
_NAME = r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*)(?:\.[A-Za-z0-9_-]+)+\.?"
_MECHANISM = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9]*)(?::([^/]*))?((?:/\d+)?(?://\d+)?)")
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")


class Result(StrEnum):
    """What a record says of an address; ``OPEN`` is for what depends on the single message."""

    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    OPEN = "open"


_QUALIFIERS = {"": Result.PASS, "+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}


class SpfError(Exception):
    """Receivers cannot use the record (RFC 7208, "permerror"); says why, as the end of a sentence."""


class NoRecord(SpfError):
    """The domain says nothing of who may send."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A mechanism: what it says of those that are in ``networks``, that ``includes`` passes, or of ``everybody``.

    Without any of the three it cannot be known beforehand whom it is about.
    """

    says: Result
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] | None = None
    includes: Policy | None = None
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A domain's record and all it includes; ``rest`` is where it sends those of whom it says nothing itself."""

    domain: str
    record: str
    rules: tuple[Rule, ...]
    rest: Policy | None = None

    def of(self, address: Address) -> Result:
        """What it says of ``address``."""
        undecided = False
        for rule in self.rules:
            match = _matches(rule, address)
            if match:
                return rule.says if rule.says is Result.PASS or not undecided else Result.OPEN
            undecided |= match is None
        if undecided:
            return Result.OPEN
        return self.rest.of(address) if self.rest else Result.NEUTRAL

    @property
    def lets_anybody(self) -> bool:
        """Whether it says of the whole world that it may send."""
        return any(rule.everybody and rule.says is Result.PASS for rule in self.rules)


def _matches(rule: Rule, address: Address) -> bool | None:
    """Whether a rule is about ``address``; ``None`` where that is open."""
    if rule.everybody:
        return True
    if rule.networks is not None:
        return any(address in network for network in rule.networks)
    inner = rule.includes.of(address) if rule.includes else Result.OPEN
    return None if inner is Result.OPEN else inner is Result.PASS


async def read(domain: str, lookup: Lookup) -> Policy:
    """The policy of ``domain``. Raises :class:`NoRecord`, :class:`SpfError`, or lookup's ``NotAsked``."""
    return await _Reader(lookup).policy(domain.lower().rstrip("."), ())


@dataclass(slots=True)
class _Reader:
    """Counts what one record asks of the DNS."""

    lookup: Lookup
    asked: int = 0
    void: int = 0

    async def policy(self, domain: str, above: tuple[str, ...]) -> Policy:
        """The policy of ``domain``, which ``above`` include, the outermost first."""
        if domain in above:
            raise SpfError(f"it includes {domain} in a circle")
        found = [text for text in await self.lookup.texts(domain) if _is_spf(text)]
        if not found:
            raise NoRecord(f"{domain} has none")
        if len(found) > 1:
            raise SpfError(f"{domain} has {len(found)} of them, and only one is allowed")
        rules: list[Rule] = []
        redirect = ""
        for term in found[0].split()[1:]:
            if modifier := _MODIFIER.fullmatch(term):
                redirect = modifier[2] if modifier[1].lower() == "redirect" else redirect
            else:
                rules.append(await self._rule(term, domain, (*above, domain)))
        rest = None
        if redirect and not any(rule.everybody for rule in rules):
            rest = await self._other(redirect, (*above, domain), f"redirect={redirect}")
            rules += [] if rest else [Rule(Result.NEUTRAL)]
        return Policy(domain, found[0], tuple(rules), rest)

    async def _rule(self, term: str, domain: str, above: tuple[str, ...]) -> Rule:
        found = _MECHANISM.fullmatch(term)
        if not found:
            raise SpfError(f'"{term}" in the record of {domain} cannot be read')
        says, kind, value, length = _QUALIFIERS[found[1]], found[2].lower(), found[3], found[4]
        if kind == "all" and value is None and not length:
            return Rule(says, everybody=True)
        if kind in ("ip4", "ip6") and value:
            return Rule(says, (_network(term, kind, value + length),))
        if kind in ("a", "mx"):
            return await self._hosts(says, kind, term, domain if value is None else value, length)
        if kind == "include" and value and not length:
            return Rule(says, includes=await self._other(value, above, term))
        if (kind == "exists" and value) or kind == "ptr":
            self._count(term)
            return Rule(says)
        raise SpfError(f'"{term}" in the record of {domain} is no mechanism of SPF')

    async def _other(self, domain: str, above: tuple[str, ...], term: str) -> Policy | None:
        self._count(term)
        if "%" in domain:
            return None
        _check(domain, term)
        try:
            return await self.policy(domain.lower().rstrip("."), above)
        except NoRecord as error:
            raise SpfError(f'"{term}" leads to a domain without a record') from error

    async def _hosts(self, says: Result, kind: str, term: str, domain: str, length: str) -> Rule:
        """The rule for the addresses of a host, or of a domain's mail servers."""
        self._count(term)
        if "%" in domain:
            return Rule(says)
        _check(domain, term)
        hosts = (domain,) if kind == "a" else await self.lookup.exchangers(domain.rstrip("."))
        if len(hosts) > _MOST_HOSTS:
            raise SpfError(f'"{term}" has more than ten mail servers')
        found = [
            address for host in hosts if host for address in await self.lookup.addresses(host.rstrip("."))
        ]
        self._count_void(not found)
        return Rule(says, tuple(_widened(term, found, length)))

    def _count(self, term: str) -> None:
        self.asked += 1
        if self.asked > _MOST:
            raise SpfError(f'it asks the DNS more than ten times, and receivers stop at "{term}"')

    def _count_void(self, void: bool) -> None:
        self.void += void
        if self.void > _MOST_VOID:
            raise SpfError("more than two of the hosts it names have no address")


def _is_spf(text: str) -> bool:
    return text.lower() == _VERSION or text.lower().startswith(f"{_VERSION} ")


def _check(domain: str, term: str) -> None:
    if not re.fullmatch(_NAME, domain):
        raise SpfError(f'"{term}" names no domain')


def _network(term: str, kind: str, value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The addresses of an ``ip4`` or ``ip6``; bits behind the length do not count."""
    with contextlib.suppress(ValueError):
        network = ipaddress.ip_network(value, strict=False)
        if kind == f"ip{network.version}":
            return network
    raise SpfError(f'"{term}" holds no address of IP version {kind[2:]}')


def _widened(
    term: str, addresses: Iterable[Address], length: str
) -> Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Each address as the network that ``/24`` or ``/24//64`` makes of it."""
    four, _, six = length.partition("//")
    for address in addresses:
        bits = four.lstrip("/") if address.version == 4 else six
        if bits and int(bits) > address.max_prefixlen:
            raise SpfError(f'"{term}" has a length no address has')
        yield ipaddress.ip_network(f"{address}/{bits or address.max_prefixlen}", strict=False)
