"""Questions to the DNS, with the three answers that matter: this, nothing, and "could not be asked"."""

from __future__ import annotations

import ipaddress
from functools import cached_property

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST = 5.0
"""Seconds in which a question must be answered, all servers and repetitions included."""


class NotAsked(Exception):
    """The DNS gave no answer: it could not be reached, or its servers for this name are broken."""


class Lookup:
    """Asks a resolver, every question once: by default the one that this machine is set up with."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        self._given = resolver
        self._known: dict[tuple[str, dns.rdatatype.RdataType], dns.resolver.Answer | None] = {}

    @cached_property
    def _resolver(self) -> dns.asyncresolver.Resolver:
        if self._given is not None:
            return self._given
        resolver = dns.asyncresolver.Resolver()
        resolver.lifetime = _LONGEST
        return resolver

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer | None:
        """The answer; ``None`` where there is no such name, or nothing of this kind under it."""
        if (name, kind) not in self._known:
            try:
                self._known[name, kind] = await self._resolver.resolve(f"{name}.", kind)
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                self._known[name, kind] = None
            except (dns.exception.DNSException, OSError) as error:
                raise NotAsked(f"The DNS could not be asked for {name} ({type(error).__name__}).") from error
        return self._known[name, kind]

    async def texts(self, name: str) -> tuple[str, ...]:
        """The TXT records of a name, the strings of each joined (RFC 7208, 3.3; RFC 6376, 3.6.2.2)."""
        answer = await self._ask(name, dns.rdatatype.TXT)
        found = [record for record in answer or () if isinstance(record, TXT)]
        return tuple(b"".join(record.strings).decode("ascii", "replace") for record in found)

    async def addresses(self, name: str) -> tuple[Address, ...]:
        """The addresses of a host, of both versions."""
        answers = [await self._ask(name, kind) for kind in (dns.rdatatype.A, dns.rdatatype.AAAA)]
        return tuple(ipaddress.ip_address(record.to_text()) for answer in answers for record in answer or ())

    async def exchangers(self, name: str) -> tuple[str, ...]:
        """The hosts that take mail for a domain, best first; an empty name is "no mail at all" (RFC 7505)."""
        answer = await self._ask(name, dns.rdatatype.MX)
        found = sorted(
            (record.preference, record.exchange.to_text(omit_final_dot=True).rstrip("."))
            for record in answer or ()
            if isinstance(record, MX)
        )
        return tuple(host for _, host in found)
