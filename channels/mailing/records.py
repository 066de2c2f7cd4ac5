"""What the DNS must say before a newsletter can go out, looked at, with the exact records to publish.

Receivers believe a newsletter that is allowed by SPF (RFC 7208) at the domain of its return path, signed by DKIM
(RFC 6376) with a key they find, and whose From is of the same domain as one of the two (DMARC, RFC 7489); its bounce
domain has to take mail. ``checkdmarc`` writes a report about a whole domain, and is not used: it neither compares a
published key with ours nor says whether an address may send, it waits for the network without asyncio, and brings
twenty more packages.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass

from channels.mailing import dmarc, spf
from channels.mailing.lookup import Address, Lookup, NotAsked
from channels.mailing.verdict import Record, State, Verdict, problem, tags


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of ours as it should be published: ``value`` is the TXT record, ``v=DKIM1; k=rsa; p=...``."""

    domain: str
    selector: str
    value: str

    @property
    def name(self) -> str:
        """Where it is published."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class Sending:
    """How an office sends: the domains of From and of the return path, its keys, and whence its mail leaves.

    ``hosts`` are addresses or names of the servers that hand the mail to its readers' servers; empty where that is not
    known, as with a provider. Domains are in ASCII.
    """

    sender: str
    bounces: str
    keys: tuple[PublicKey, ...] = ()
    hosts: tuple[str, ...] = ()


async def examine(sending: Sending, lookup: Lookup | None = None) -> list[Verdict]:
    """All that was found, in the order SPF, DKIM, DMARC, MX. Never raises for what the DNS says or does not say."""
    asked = lookup or Lookup()
    looks = [
        _guarded("SPF", _spf(sending, asked)),
        *(_guarded("DKIM", _key(key, asked)) for key in sending.keys),
        _guarded(
            "DMARC", dmarc.look(sending.sender, sending.bounces, [key.domain for key in sending.keys], asked)
        ),
        _guarded("MX", _exchangers(sending.bounces, asked)),
    ]
    return [verdict for found in await asyncio.gather(*looks) for verdict in found]


async def _guarded(about: str, look: Awaitable[Iterable[Verdict]]) -> Iterable[Verdict]:
    try:
        return await look
    except NotAsked as error:
        return [Verdict(about, State.UNKNOWN, str(error))]


# --- SPF: may this server send for the return path? -------------------------------------------------------


async def _spf(sending: Sending, lookup: Lookup) -> list[Verdict]:
    domain = sending.bounces
    try:
        policy = await spf.read(domain, lookup)
    except spf.NoRecord:
        allowed = " ".join(_term(host) for host in sending.hosts) or "include:THE-NAME-YOUR-PROVIDER-TELLS"
        record = Record(domain, "TXT", f"v=spf1 {allowed} ~all")
        return [problem("SPF", f"{domain} has no SPF record; publish one.", record)]
    except spf.SpfError as error:
        return [problem("SPF", f"Receivers cannot use the SPF record of {domain}: {error}; mend it.")]
    if policy.lets_anybody:
        return [problem("SPF", f"The SPF record of {domain} lets the whole world send; end it with ~all.")]
    if not sending.hosts:
        sentence = (
            f"The SPF record of {domain} can be read; whether it names your mail server, your provider knows."
        )
        return [Verdict("SPF", State.OK, sentence)]
    return [await _host(policy, host, lookup) for host in sending.hosts]


async def _host(policy: spf.Policy, host: str, lookup: Lookup) -> Verdict:
    addresses = await _addresses(host, lookup)
    if not addresses:
        return problem("SPF", f"{host} has no address, so that SPF cannot allow it; correct its name.")
    said = {policy.of(address) for address in addresses}
    if said == {spf.Result.PASS}:
        return Verdict("SPF", State.OK, f"The SPF record of {policy.domain} lets {host} send.")
    if said <= {spf.Result.PASS, spf.Result.OPEN}:
        sentence = (
            f"Whether the SPF record of {policy.domain} lets {host} send depends on the single message."
        )
        return Verdict("SPF", State.UNKNOWN, sentence)
    words = ", ".join(sorted(said - {spf.Result.PASS, spf.Result.OPEN}))
    sentence = f"The SPF record of {policy.domain} does not let {host} send ({words}); add it."
    return problem("SPF", sentence, Record(policy.domain, "TXT", _with(policy.record, host)))


async def _addresses(host: str, lookup: Lookup) -> tuple[Address, ...]:
    try:
        return (ipaddress.ip_address(host),)
    except ValueError:
        return await lookup.addresses(host)


def _term(host: str) -> str:
    """The mechanism that names a server."""
    try:
        return f"ip{ipaddress.ip_address(host).version}:{host}"
    except ValueError:
        return f"a:{host}"


def _with(record: str, host: str) -> str:
    """An SPF record that names ``host``, too, before what it says of all the others."""
    terms = record.split()
    last = (at for at, term in enumerate(terms) if re.fullmatch(r"[+?~-]?all|redirect=.*", term, re.I))
    terms.insert(next(last, len(terms)), _term(host))
    return " ".join(terms)


# --- DKIM: is our key where receivers look for it? --------------------------------------------------------


async def _key(key: PublicKey, lookup: Lookup) -> list[Verdict]:
    found = await lookup.texts(key.name)
    record = Record(key.name, "TXT", key.value)
    if not found:
        return [problem("DKIM", f"There is no DKIM key at {key.name}; publish it.", record)]
    if len(found) > 1:
        sentence = f"There are {len(found)} records at {key.name}, and one is allowed; leave this one only."
        return [problem("DKIM", sentence, record)]
    there, ours = tags(found[0]), tags(key.value)
    wrong = _wrong_key(there, ours)
    if wrong:
        return [problem("DKIM", f"The DKIM key at {key.name} {wrong}; publish ours.", record)]
    return [Verdict("DKIM", State.OK, f"The DKIM key at {key.name} is ours.")]


def _wrong_key(there: dict[str, str], ours: dict[str, str]) -> str:
    """What is wrong with a published key; empty where nothing is (RFC 6376, 3.6.1)."""
    if there.get("v", "DKIM1") != "DKIM1" or "p" not in there:
        return "cannot be read"
    if not there["p"]:
        return "is revoked"
    if (there["p"], there.get("k", "rsa")) != (ours.get("p"), ours.get("k", "rsa")):
        return "is another one"
    flags = there.get("t", "").split(":")
    return "is only for testing (t=y), and receivers may ignore it" if "y" in flags else ""


# --- MX: do reports about undeliverable letters come back? ------------------------------------------------


async def _exchangers(domain: str, lookup: Lookup) -> list[Verdict]:
    hosts = await lookup.exchangers(domain)
    if not hosts:
        implicit = bool(await lookup.addresses(domain))
        why = "only an address of its own, which some servers do not take for one" if implicit else "none"
        sentence = f"{domain} needs an MX record for reports about undeliverable letters, and has {why}; publish one."
        return [problem("MX", sentence, Record(domain, "MX", "10 THE-SERVER-OF-YOUR-BOUNCE-MAILBOX."))]
    if hosts == ("",):
        return [problem("MX", f"{domain} says that it takes no mail at all; reports could not come back.")]
    if dead := [host for host in hosts if not await lookup.addresses(host)]:
        return [
            problem("MX", f"The mail server {dead[0]} of {domain} has no address; correct the MX record.")
        ]
    return [Verdict("MX", State.OK, f"{hosts[0]} takes the mail to {domain}.")]
