"""What the DNS says is asked of a real DNS server on this machine."""

from __future__ import annotations

import ipaddress

import dns.zone
import pytest

from channels.mailing import spf
from channels.mailing.lookup import Lookup, NotAsked
from channels.mailing.records import PublicKey, Sending, examine
from channels.mailing.verdict import Record, State, Verdict
from tests.dns_server import serving

KEY = PublicKey("example.org", "s1", "v=DKIM1; k=rsa; p=MIIBIjANBgkq" + "A" * 380 + "QAB")
OFFICE = Sending("example.org", "bounce.example.org", (KEY,), ("192.0.2.10",))
GOOD = {
    "SPF": 'bounce.example.org. TXT "v=spf1 ip4:192.0.2.0/28 ~all"',
    "DKIM": Record(KEY.name, "TXT", KEY.value).line,
    "DMARC": '_dmarc.example.org. TXT "v=DMARC1; p=none"',
    "MX": "bounce.example.org. MX 10 mx.example.org.\nmx.example.org. A 192.0.2.10",
}


def zone(**changed: str) -> str:
    """A zone in which all is good, but for what is changed."""
    return "\n".join((GOOD | changed).values())


async def found(text: str, sending: Sending = OFFICE) -> list[Verdict]:
    """What is found where the zone is ``text``."""
    with serving(text) as server:
        return await examine(sending, Lookup(server.resolver()))


async def about(what: str, text: str, sending: Sending = OFFICE) -> list[Verdict]:
    """The same about one thing; all else has to be good."""
    verdicts = await found(text, sending)
    assert [verdict for verdict in verdicts if verdict.about != what and verdict.state is not State.OK] == []
    return [verdict for verdict in verdicts if verdict.about == what]


async def test_records__all_good() -> None:
    """One sentence for each, and nothing to publish."""
    assert await found(zone()) == [
        Verdict("SPF", State.OK, "The SPF record of bounce.example.org lets 192.0.2.10 send."),
        Verdict("DKIM", State.OK, "The DKIM key at s1._domainkey.example.org is ours."),
        Verdict("DMARC", State.OK, "_dmarc.example.org asks for p=none."),
        Verdict(
            "DMARC",
            State.OK,
            "example.org in From is vouched for by the return path (bounce.example.org) "
            "and the DKIM key (example.org).",
        ),
        Verdict("MX", State.OK, "mx.example.org takes the mail to bounce.example.org."),
    ]


async def test_records__what_is_missing_is_told_and_mends_it() -> None:
    """Without any record each is a problem; a zone file of the records it asks for is good, but for the mail server."""
    missing = await found("example.org. A 192.0.2.1")
    assert [(verdict.about, verdict.state) for verdict in missing] == [
        (what, State.PROBLEM) for what in ("SPF", "DKIM", "DMARC", "MX")
    ]
    lines = [verdict.publish.line for verdict in missing if verdict.publish]
    mended = await found("\n".join([*lines, "the-server-of-your-bounce-mailbox. A 192.0.2.9"]))
    assert {verdict.state for verdict in mended} == {State.OK}


@pytest.mark.parametrize("value", ["v=DKIM1; p=" + "A" * 700, 'quoted "text" with a \\', "x"])
def test_record__reads_back_from_a_zone_file(value: str) -> None:
    """A TXT value in its line is cut into strings of 255 bytes and quoted so that nothing of it is lost."""
    line = Record("a.example", "TXT", value).line
    read = dns.zone.from_text(f"$TTL 1\n{line}", origin=".", relativize=False, check_origin=False)
    (record,) = read.get_rdataset("a.example.", "TXT")
    assert b"".join(record.strings).decode() == value
    assert max(map(len, record.strings)) <= 255


# --- SPF ------------------------------------------------------------------------------------------------

OTHERS = """
relay.example.net. TXT "v=spf1 ip4:192.0.2.10 -all"
strict.example.net. TXT "v=spf1 -all"
loop.example.net. TXT "v=spf1 include:loop.example.net -all"
macro.example.net. TXT "v=spf1 include:%{d}.example.net -all"
twice.example.net. TXT "v=spf1 -all"
twice.example.net. TXT "v=spf1 ~all"
mail.example.net. A 192.0.2.10
mail.example.net. AAAA 2001:db8::10
near.example.net. A 192.0.2.200
alias.example.net. CNAME mail.example.net.
pool.example.net. MX 10 mail.example.net.
deep.example.net. TXT "v=spf1 include:deep1.example.net -all"
""" + "\n".join(
    f'deep{n}.example.net. TXT "v=spf1 include:deep{n + 1}.example.net -all"' for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 ip4:192.0.2.10 -all", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 +ip4:192.0.2.11 -all", "fail"),
        ("v=spf1 -ip4:192.0.2.10 +ip4:192.0.2.0/24 -all", "fail"),
        ("v=spf1 ip4:192.0.2.11 ~all", "softfail"),
        ("v=spf1 ?all", "neutral"),
        ("v=spf1", "neutral"),
        ("V=SPF1 IP4:192.0.2.10 -ALL", "pass"),
        ("v=spf1 ip6:2001:db8::/32 -all", "fail"),
        ("v=spf1 a:mail.example.net -all", "pass"),
        ("v=spf1 a:alias.example.net -all", "pass"),
        ("v=spf1 a:near.example.net -all", "fail"),
        ("v=spf1 a:near.example.net/24 -all", "pass"),
        ("v=spf1 a:near.example.net/24//64 -all", "pass"),
        ("v=spf1 mx:pool.example.net -all", "pass"),
        ("v=spf1 a -all", "fail"),
        ("v=spf1 include:relay.example.net -all", "pass"),
        ("v=spf1 include:strict.example.net ~all", "softfail"),
        ("v=spf1 redirect=relay.example.net", "pass"),
        ("v=spf1 redirect=strict.example.net", "fail"),
        ("v=spf1 ip4:192.0.2.10 unknown=modifier exp=why.example.net -all", "pass"),
        ("v=spf1 exists:%{i}.list.example.net -all", "open"),
        ("v=spf1 ptr -all", "open"),
        ("v=spf1 exists:%{i}.list.example.net ip4:192.0.2.10 -all", "pass"),
        ("v=spf1 include:macro.example.net -all", "open"),
        ("v=spf1 redirect=%{d}.example.net", "open"),
    ],
)
async def test_spf__of_an_address(record: str, result: str) -> None:
    """A record says of 192.0.2.10 what receivers make of it (RFC 7208)."""
    with serving(
        f'office.example.org. TXT "{record}"\noffice.example.org. A 198.51.100.1\n{OTHERS}'
    ) as server:
        policy = await spf.read("office.example.org", Lookup(server.resolver()))
    assert policy.of(ipaddress.ip_address("192.0.2.10")) == result


async def test_spf__record_in_two_strings() -> None:
    """The strings of a record are joined with nothing between them, in the middle of a word, too."""
    with serving('office.example.org. TXT "v=spf1 ip4:192.0" ".2.10 -all"') as server:
        policy = await spf.read("office.example.org", Lookup(server.resolver()))
    assert policy.of(ipaddress.ip_address("192.0.2.10")) is spf.Result.PASS


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("v=spf1 ipv4:192.0.2.10 -all", '"ipv4:192.0.2.10" in the record of bounce.example.org is no mechanism of SPF'),
        ("v=spf1 ip4:192.0.2.300 -all", '"ip4:192.0.2.300" holds no address of IP version 4'),
        ("v=spf1 ip4:2001:db8::1 -all", '"ip4:2001:db8::1" holds no address of IP version 4'),
        ("v=spf1 ip4:192.0.2.0/33 -all", '"ip4:192.0.2.0/33" holds no address of IP version 4'),
        ("v=spf1 a:mail.example.net/33 -all", '"a:mail.example.net/33" has a length no address has'),
        ("v=spf1 include: -all", '"include:" in the record of bounce.example.org is no mechanism of SPF'),
        ("v=spf1 include:nodots -all", '"include:nodots" names no domain'),
        ("v=spf1 all:x -all", '"all:x" in the record of bounce.example.org is no mechanism of SPF'),
        ("v=spf1 ip4=192.0.2.1, -all", None),
        ("v=spf1 , -all", '"," in the record of bounce.example.org cannot be read'),
        ("v=spf1 include:none.example.net -all", '"include:none.example.net" leads to a domain without a record'),
        ("v=spf1 include:twice.example.net -all", "twice.example.net has 2 of them, and only one is allowed"),
        ("v=spf1 include:loop.example.net -all", "it includes loop.example.net in a circle"),
        ("v=spf1 include:deep.example.net -all",
         'it asks the DNS more than ten times, and receivers stop at "include:deep10.example.net"'),
        ("v=spf1 a:no1.example.net a:no2.example.net a:no3.example.net -all",
         "more than two of the hosts it names have no address"),
    ],
)  # fmt: skip
async def test_spf__cannot_be_used(record: str, why: str | None) -> None:
    """What receivers call a permanent error is named, with its term; what only looks like one is not."""
    (verdict,) = await about(
        "SPF",
        zone(SPF=f'bounce.example.org. TXT "{record}"\n{OTHERS}'),
        Sending("example.org", "bounce.example.org", (KEY,)),
    )
    if why is None:
        assert verdict.state is State.OK
        return
    assert verdict.state is State.PROBLEM
    assert verdict.sentence == (f"Receivers cannot use the SPF record of bounce.example.org: {why}; mend it.")


@pytest.mark.parametrize(
    ("record", "host", "mended"),
    [
        ("v=spf1 -all", "192.0.2.10", "v=spf1 ip4:192.0.2.10 -all"),
        ("v=spf1 mx ~all", "2001:db8::10", "v=spf1 mx ip6:2001:db8::10 ~all"),
        ("v=spf1 redirect=strict.example.net", "mail.example.net",
         "v=spf1 a:mail.example.net redirect=strict.example.net"),
        ("v=spf1 mx", "198.51.100.7", "v=spf1 mx ip4:198.51.100.7"),
    ],
)  # fmt: skip
async def test_spf__does_not_name_our_server(record: str, host: str, mended: str) -> None:
    """The record to publish is theirs with our server in it, and is good."""
    sending = Sending("example.org", "bounce.example.org", (KEY,), (host,))
    changed = zone(SPF=f'bounce.example.org. TXT "{record}"\n{OTHERS}', MX=GOOD["MX"].replace(".10", ".77"))
    (verdict,) = await about("SPF", changed, sending)
    assert verdict.state is State.PROBLEM
    assert host in verdict.sentence
    assert verdict.publish == Record("bounce.example.org", "TXT", mended)
    changed = zone(SPF=f"{verdict.publish.line}\n{OTHERS}", MX=GOOD["MX"].replace(".10", ".77"))
    (verdict,) = await about("SPF", changed, sending)
    assert verdict.state is State.OK


@pytest.mark.parametrize(
    ("spf", "hosts", "state", "sentence"),
    [
        ("v=spf1 +all", ("192.0.2.10",), "problem",
         "The SPF record of bounce.example.org lets the whole world send; end it with ~all."),
        ("v=spf1 exists:%{i}.x.example -all", ("192.0.2.10",), "unknown",
         "Whether the SPF record of bounce.example.org lets 192.0.2.10 send depends on the single message."),
        ("v=spf1 -all", ("none.example.net",), "problem",
         "none.example.net has no address, so that SPF cannot allow it; correct its name."),
        ("v=spf1 ip4:192.0.2.10 -all", ("mail.example.net",), "problem",
         "The SPF record of bounce.example.org does not let mail.example.net send (fail); add it."),
        ("v=spf1 a:mail.example.net -all", (), "ok",
         "The SPF record of bounce.example.org can be read; whether it names your mail server, your provider knows."),
    ],
)  # fmt: skip
async def test_spf__verdict(spf: str, hosts: tuple[str, ...], state: str, sentence: str) -> None:
    """Each case has its own sentence; a server with two addresses must be allowed with both."""
    sending = Sending("example.org", "bounce.example.org", (KEY,), hosts)
    (verdict,) = await about("SPF", zone(SPF=f'bounce.example.org. TXT "{spf}"\n{OTHERS}'), sending)
    assert (verdict.state, verdict.sentence) == (state, sentence)


# --- DKIM -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([], "There is no DKIM key at s1._domainkey.example.org; publish it."),
        ([KEY.value, KEY.value.replace("A", "B", 1)],
         "There are 2 records at s1._domainkey.example.org, and one is allowed; leave this one only."),
        (["v=DKIM1; k=rsa; p="], "The DKIM key at s1._domainkey.example.org is revoked; publish ours."),
        (["v=DKIM2; p=abc"], "The DKIM key at s1._domainkey.example.org cannot be read; publish ours."),
        (["nothing"], "The DKIM key at s1._domainkey.example.org cannot be read; publish ours."),
        ([KEY.value[:-1]], "The DKIM key at s1._domainkey.example.org is another one; publish ours."),
        ([KEY.value.replace("rsa", "ed25519")],
         "The DKIM key at s1._domainkey.example.org is another one; publish ours."),
        ([f"{KEY.value}; t=y"],
         "The DKIM key at s1._domainkey.example.org is only for testing (t=y), and receivers may ignore it; publish ours."),
        ([KEY.value.replace("; ", ";").replace("A" * 9, "A A" + "A" * 7, 1)], ""),
        ([KEY.value.replace("v=DKIM1; k=rsa; ", "")], ""),
    ],
)  # fmt: skip
async def test_dkim__key(values: list[str], sentence: str) -> None:
    """Ours, written in any way DKIM allows, is good; every other is named, and ours is the record to publish."""
    lines = "\n".join(Record(KEY.name, "TXT", value).line for value in values)
    (verdict,) = await about("DKIM", zone(DKIM=lines))
    assert verdict.state is (State.PROBLEM if sentence else State.OK)
    if sentence:
        assert (verdict.sentence, verdict.publish) == (sentence, Record(KEY.name, "TXT", KEY.value))


async def test_dkim__through_an_alias_and_over_tcp() -> None:
    """A provider's key behind a CNAME, too long for UDP, is read."""
    key = PublicKey("example.org", "s1", "v=DKIM1; k=rsa; p=" + "A" * 700)
    line = Record("s1.provider.example", "TXT", key.value).line
    changed = zone(DKIM=f"{key.name}. CNAME s1.provider.example.\n{line}")
    sending = Sending("example.org", "bounce.example.org", (key,), ("192.0.2.10",))
    (verdict,) = await about("DKIM", changed, sending)
    assert verdict.state is State.OK


# --- DMARC ----------------------------------------------------------------------------------------------


def dmarc(name: str, *values: str) -> str:
    """DMARC records at a name."""
    return "\n".join(f'_dmarc.{name}. TXT "{value}"' for value in values)


SOUND = "v=DMARC1; p=none"


@pytest.mark.parametrize(
    ("records", "sender", "bounces", "signer", "states"),
    [
        (dmarc("example.org", SOUND), "example.org", "bounce.example.org", "", "ok ok"),
        (dmarc("example.org", SOUND), "example.org", "provider.example", "", "ok problem"),
        (dmarc("example.org", SOUND), "example.org", "provider.example", "example.org", "ok ok"),
        (dmarc("example.org", SOUND), "example.org", "provider.example", "provider.example", "ok problem"),
        (dmarc("example.org", f"{SOUND}; aspf=s"), "example.org", "bounce.example.org", "", "ok problem"),
        (dmarc("example.org", f"{SOUND}; aspf=s"), "example.org", "example.org", "", "ok ok"),
        (dmarc("example.org", f"{SOUND}; adkim=s"), "example.org", "provider.example", "mail.example.org", "ok problem"),
        (dmarc("example.org", f"{SOUND}; adkim=r"), "example.org", "provider.example", "mail.example.org", "ok ok"),
        (dmarc("example.org", SOUND), "news.example.org", "bounce.example.org", "", "ok ok"),
        (dmarc("news.example.org", SOUND), "news.example.org", "bounce.example.org", "", "ok unknown"),
        (dmarc("news.example.org", SOUND), "news.example.org", "example.org", "", "ok ok"),
        (dmarc("example.org", "v=DMARC1; p=reject; sp=none"), "news.example.org", "example.org", "", "ok ok"),
        (dmarc("example.org", "v=DMARC1;p=quarantine ; rua=mailto:a@example.org"), "example.org", "example.org", "", "ok ok"),
        (dmarc("example.org", SOUND, SOUND + "; aspf=s"), "example.org", "example.org", "", "problem"),
        (dmarc("example.org", "v=DMARC1"), "example.org", "example.org", "", "problem"),
        (dmarc("example.org", "v=DMARC1; p=maybe"), "example.org", "example.org", "", "problem"),
        (dmarc("example.org", "p=none; v=DMARC1"), "example.org", "example.org", "", "problem"),
        (dmarc("example.org", "something else"), "example.org", "example.org", "", "problem"),
        (dmarc("org", SOUND), "example.org", "example.org", "", "problem"),
    ],
)  # fmt: skip
async def test_dmarc__alignment(records: str, sender: str, bounces: str, signer: str, states: str) -> None:
    """From must be of the domain of the return path or of a signature, as strictly as the record asks."""
    keys = (PublicKey(signer, "s1", KEY.value),) if signer else ()
    verdicts = await found(records, Sending(sender, bounces, keys))
    assert [verdict.state for verdict in verdicts if verdict.about == "DMARC"] == states.split()


async def test_dmarc__sentences() -> None:
    """It names the domains, and says how to bring them together."""
    verdicts = await found(dmarc("example.org", SOUND), Sending("example.org", "provider.example"))
    assert [verdict.sentence for verdict in verdicts if verdict.about == "DMARC"] == [
        "_dmarc.example.org asks for p=none.",
        "Nothing vouches for example.org in From: use the same domain for it and for the return path "
        "(provider.example), or sign for it.",
    ]
    (missing,) = [verdict for verdict in await found("", Sending("x.cn", "x.cn")) if verdict.about == "DMARC"]
    assert missing.publish == Record("_dmarc.x.cn", "TXT", "v=DMARC1; p=none")


# --- MX -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ("", "bounce.example.org needs an MX record for reports about undeliverable letters, and has none; publish one."),
        ("bounce.example.org. A 192.0.2.1",
         "bounce.example.org needs an MX record for reports about undeliverable letters, and has only an address of its "
         "own, which some servers do not take for one; publish one."),
        ("bounce.example.org. MX 0 .", "bounce.example.org says that it takes no mail at all; reports could not come back."),
        ("bounce.example.org. MX 5 mx.example.org.\nbounce.example.org. MX 1 gone.example.org.\nmx.example.org. A 192.0.2.1",
         "The mail server gone.example.org of bounce.example.org has no address; correct the MX record."),
    ],
)  # fmt: skip
async def test_mx__problems(records: str, sentence: str) -> None:
    """Reports have to come back."""
    (verdict,) = await about("MX", zone(MX=records))
    assert (verdict.state, verdict.sentence) == (State.PROBLEM, sentence)


async def test_mx__best_first() -> None:
    """The server that is named is the one with the lowest number."""
    hosts = "bounce.example.org. MX 10 b.example.org.\nbounce.example.org. MX 9 a.example.org."
    (verdict,) = await about(
        "MX", zone(MX=f"{hosts}\na.example.org. AAAA 2001:db8::1\nb.example.org. A 192.0.2.1")
    )
    assert verdict.sentence == "a.example.org takes the mail to bounce.example.org."


# --- Where the DNS cannot be asked ------------------------------------------------------------------------


async def test_dns__is_broken_for_one_name() -> None:
    """Where one domain's servers fail, that one is unknown and all the others are known."""
    with serving(zone(), broken=("_domainkey.example.org",)) as server:
        verdicts = await examine(OFFICE, Lookup(server.resolver()))
    assert [verdict.state for verdict in verdicts] == ["ok", "unknown", "ok", "ok", "ok"]
    assert verdicts[1].sentence == (
        "The DNS could not be asked for s1._domainkey.example.org (NoNameservers)."
    )


async def test_dns__does_not_answer() -> None:
    """Without a network each is unknown, and that takes as long as one question."""
    with serving(zone(), silent=("org",)) as server:
        verdicts = await examine(OFFICE, Lookup(server.resolver(lifetime=0.2)))
        assert len(server.asked) >= 4
    assert [verdict.state for verdict in verdicts] == [State.UNKNOWN] * 4


async def test_dns__nobody_listens() -> None:
    """A server that is not there is no answer either."""
    with serving("") as server:
        resolver = server.resolver(lifetime=0.5)
    with pytest.raises(NotAsked):
        await Lookup(resolver).texts("example.org")


async def test_dns__asked_once() -> None:
    """Nothing is asked a second time within one look."""
    with serving(zone()) as server:
        lookup = Lookup(server.resolver())
        await examine(OFFICE, lookup)
        await examine(OFFICE, lookup)
    assert len(server.asked) == len(set(server.asked))
