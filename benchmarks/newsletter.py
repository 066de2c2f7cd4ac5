"""A newsletter to many subscribers, beside smtp-source and nodemailer: ``make bench-newsletter``.

Needs Postfix's ``smtp-sink`` and ``smtp-source`` (``apt-get install postfix``), Node.js and npm. The sink is one
process that takes letters and forgets them; each client is a process of its own, whose processor time and memory are
counted from its first letter to its last. What is beside each other ran one after the other, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import SecretStr

from benchmarks import composing
from channels.mailing import MailingPayload, SubscribersAdapter, SubscribersSettings, keys
from channels.mailing.dkim import Signer
from channels.mailing.keys import Algorithm
from channels.mailing.letterhead import Letterhead
from channels.mailing.payload import build
from channels.smtp.address import mailbox
from channels.static_site import StaticSiteAdapter, StaticSiteSettings
from publisher import clock
from publisher.announcement import Language, Person
from publisher.channel import Kind, MediaType, Part, Variant
from publisher.delivery import Delivery
from publisher.desk import Desk
from publisher.engine.letters import Office
from publisher.engine.mailer import Mailer
from publisher.engine.writer import Writer
from publisher.render.links import READER, UNSUBSCRIBE
from publisher.settings import OfficeSettings, Settings
from publisher.store import Store
from publisher.subscriber import Reading, Subscriber
from publisher.tokens import Tokens

WHOLE, CONNECTIONS = 100_000, 10
_ROUNDS = 3
_GROUP = 500
_SIZE = 15_000
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_ZH = "本会将于10月12日举办公开讲座，主讲人谈河流与城市，座位有限，敬请提前报名。"
_EN = "The Association holds a public lecture on 12 October, on cities and their rivers; seats are few."
_DOCUMENT = "---\ntitle: {zh: 城市与河流, en: Cities and Rivers}\n---\n" + f"{_ZH}\n\n{_EN}\n"
_SUBJECT = "公开讲座：城市与河流 | Public Lecture: Cities and Rivers"


# --- what is sent --------------------------------------------------------------------------------------------


def texts() -> dict[str, str]:
    """The parts of a newsletter in three languages, whose letters have about 15 kB each."""
    found = {"subject": _SUBJECT}
    for ending, lines, times in (("", (_ZH, _EN), 23), ("_zh", (_ZH,), 41), ("_en", (_EN,), 49)):
        text = "\n".join(lines * times)
        page = "".join(f"<p>{line}</p>\n" for line in lines * times)
        found[f"text{ending}"] = f"{text}\n退订 / Unsubscribe\n{UNSUBSCRIBE}\n{READER}\n"
        found[f"html{ending}"] = f'{page}<p><a href="{UNSUBSCRIBE}">退订</a></p>\n<p>{READER}</p>\n'
    return found


def variant() -> Variant:
    """The same, as the core hands it over."""
    known = {**texts(), "facts": '{"language_tags": {"zh": "zh-Hans", "en": "en"}}'}
    parts = {
        name: Part(name, MediaType.HTML if "html" in name else MediaType.TEXT, text.encode())
        for name, text in known.items()
    }
    return Variant("newsletter", Kind.NEWSLETTER, "2026-0042", 1, tuple(Language), parts)


# --- the clients -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What a client did: letters a second, microseconds of processor a letter, and megabytes at its peak."""

    rate: float
    cpu: float
    memory: float


def payload(algorithms: Sequence[str], pem: str = "") -> MailingPayload:
    """The newsletter, to be signed by keys of these algorithms."""
    signers = []
    for algorithm in algorithms:
        made = pem if pem and algorithm == Algorithm.RSA else keys.generate(Algorithm(algorithm))[0]
        signers.append(Signer("example.org", f"news-{algorithm}", keys.load(made.encode(), "key")))
    letterhead = Letterhead(
        mailbox("示例协会 <news@example.org>"),
        "office@example.org",
        "bounces@news.example.org",
        "announce.example.org",
        "示例协会 | Example Association",
        signers=tuple(signers),
    )
    return build(variant(), letterhead)


def settings(port: int, connections: int = CONNECTIONS) -> SubscribersSettings:
    """A channel that sends to a server on this machine as fast as that takes it."""
    known: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "news@example.org",
    }
    return SubscribersSettings(**known, connections=connections, messages_per_connection=1_000_000)


def _client(port: int, count: int, algorithms: Sequence[str]) -> Result:
    """Our side of a run, in this process: what a worker does for a delivery, ledger and journal included."""
    with tempfile.TemporaryDirectory() as folder, closing(Store.open(Path(folder))) as store:
        adapter = SubscribersAdapter("newsletter", settings(port))
        _fill(store, count)
        delivery = _claimed(store, adapter)
        writer = Writer(store)
        office = Office(
            Path(folder) / "mailings", "https://news.example.org/", Tokens([SecretStr("5ec7" * 16)])
        )
        mailer = Mailer(store, writer, office, _patiently, lease=timedelta(seconds=5))
        what = payload(algorithms)
        begun, used = time.perf_counter(), _used()
        move, _ = asyncio.run(mailer.run(delivery, adapter, what))
        seconds, spent = time.perf_counter() - begun, _used() - used
        writer.close()
    assert move.reason == f"{count:,} sent", move.reason
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Result(count / seconds, spent / count * 1e6, peak)


async def _patiently(work: Callable[[], Awaitable[Any]], keys: list[str]) -> Any:
    return await work()


def _fill(store: Store, count: int) -> None:
    """So many active subscribers, a third of each language."""
    readings, group = tuple(Reading), 10_000
    for first in range(1, count + 1, group):
        addresses = [f"reader.{number}@example.com" for number in range(first, min(first + group, count + 1))]
        rows = [
            Subscriber(address, address, "周以宁", readings[at % 3]) for at, address in enumerate(addresses)
        ]
        with store.write() as tx:
            for at in range(0, len(rows), _GROUP):
                tx.subscribers.add(rows[at : at + _GROUP], clock.now())


def _claimed(store: Store, adapter: SubscribersAdapter) -> Delivery:
    """The delivery of an approved newsletter, claimed as a worker claims it."""
    site = StaticSiteAdapter(
        "site", StaticSiteSettings.model_validate({"folder": Path("site"), "url": "https://example.org/"})
    )
    channels = {"site": site, "newsletter": adapter}
    desk = Desk(Settings(OfficeSettings(), {}, Path(".env")), store, channels)
    officer, approver = Person("Lin", ""), Person("Chen", "")
    key, _ = desk.add(_DOCUMENT.encode(), "river.md", officer)
    desk.submit(key, officer)
    desk.approve(key, approver)
    with store.write() as tx:
        filed, now = tx.announcements.get(key), clock.now()
        seal = tx.seals.of(filed.revision_id)
        assert seal is not None
        (number, sealed) = next(one for one in tx.seals.variants(seal.id) if one[1].channel == "newsletter")
        tx.deliveries.plan(sealed, number, "newsletter", canonical=False, due_at=now, not_after=None)
        (delivery,) = tx.deliveries.claim("benchmark", clock.now(), timedelta(seconds=5), 1)
    return delivery


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def ours(port: int, count: int, *algorithms: str) -> Result:
    """A mailing in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.newsletter", "--client", str(port), str(count), *algorithms]
    return Result(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def smtp_source(port: int, count: int) -> Result:
    """Postfix's own load generator, in C: ready-made messages, connections used again."""
    command = ["smtp-source", "-d", "-s", str(CONNECTIONS), "-l", str(_SIZE), "-m", str(count)]
    command += ["-f", "news@example.org", "-t", "reader@example.com", f"127.0.0.1:{port}"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "PATH": _PATH})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    seconds = time.perf_counter() - begun
    return Result(count / seconds, (usage.ru_utime + usage.ru_stime) / count * 1e6, usage.ru_maxrss / 1024)


_NODE = """
const fs = require('fs'), nodemailer = require('nodemailer');
const {port, count, connections, texts, pem, unsubscribe, reader} = JSON.parse(fs.readFileSync(process.argv[2]));
const pool = {host: '127.0.0.1', port, pool: true, maxConnections: connections, maxMessages: Infinity, ignoreTLS: true};
if (pem) pool.dkim = {domainName: 'example.org', keySelector: 'news', privateKey: pem};
const transport = nodemailer.createTransport(pool);
const put = (text, link, address) => text.replaceAll(unsubscribe, link).replaceAll(reader, address);
function message(number) {
  const ending = ['_zh', '_en', ''][number % 3], ref = number.toString(16).padStart(16, '0');
  const link = `https://news.example.org/u/${ref}-1f-0123456789abcdef0123`, address = `reader.${number}@example.com`;
  return {
    from: {name: '示例协会', address: 'news@example.org'}, replyTo: 'office@example.org',
    to: {name: '周以宁', address}, subject: texts.subject, messageId: `<2026-0042.r1.newsletter.${ref}@example.org>`,
    envelope: {from: `bounces+b-${ref}@news.example.org`, to: address},
    headers: {'List-Id': '<announce.example.org>', 'List-Unsubscribe': `<${link}>`,
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click', 'Auto-Submitted': 'auto-generated'},
    text: put(texts['text' + ending], link, address), html: put(texts['html' + ending], link, address),
    textEncoding: 'base64', encoding: 'base64',
  };
}
let next = 0;
async function worker() { while (next < count) await transport.sendMail(message(++next)); }
const begun = process.hrtime.bigint(), used = process.cpuUsage();
Promise.all(Array.from({length: connections * 2}, worker)).then(() => {
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9, spent = process.cpuUsage(used);
  console.log(JSON.stringify({rate: count / seconds, cpu: (spent.user + spent.system) / count,
    memory: process.resourceUsage().maxRSS / 1024}));
  transport.close();
});
"""


class Nodemailer:
    """nodemailer's pool, which composes the same texts; installed into a folder that goes away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), "nodemailer"]
        subprocess.run(npm, check=True, stdout=subprocess.DEVNULL)
        (folder / "send.js").write_text(_NODE, encoding="utf-8")

    def __call__(self, port: int, count: int, pem: str = "") -> Result:
        """One run; with ``pem`` every message is signed."""
        order = {"port": port, "count": count, "connections": CONNECTIONS, "texts": texts(), "pem": pem}
        (self._folder / "order.json").write_text(
            json.dumps({**order, "unsubscribe": UNSUBSCRIBE, "reader": READER})
        )
        run = subprocess.run(
            ["node", "send.js", "order.json"], cwd=self._folder, check=True, stdout=subprocess.PIPE
        )
        return Result(**json.loads(run.stdout))


@contextmanager
def sink() -> Iterator[int]:
    """The port of a server that takes everything."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = shutil.which("smtp-sink", path=_PATH)
    if not program:
        sys.exit("smtp-sink is missing; install it with: apt-get install postfix")
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, *user, f"127.0.0.1:{port}", "1000"])
    try:
        _await(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _await(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


# --- the table --------------------------------------------------------------------------------------------------


def measure(whole: int, rounds: int) -> Iterator[tuple[str, Result]]:
    """Every figure as it is there, and at last the ratios, each the median of its rounds."""
    pem = keys.generate(Algorithm.RSA)[0]
    found: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as folder, sink() as port:
        nodemailer = Nodemailer(Path(folder))
        runs = {
            "smtp-source": lambda: smtp_source(port, whole // 5),
            "unsigned": lambda: ours(port, whole // 5),
            "nodemailer, unsigned": lambda: nodemailer(port, max(whole // 50, 100)),
            "Ed25519": lambda: ours(port, whole // 10, "ed25519"),
            "RSA-2048": lambda: ours(port, whole // 20, "rsa"),
            "nodemailer, RSA-2048": lambda: nodemailer(port, max(whole // 100, 100), pem),
        }
        for _ in range(rounds):
            for what, run in runs.items():
                found.setdefault(what, []).append(run())
                yield what, found[what][-1]
        for count in (whole // 100, whole):
            yield f"unsigned, {count:,} subscribers", ours(port, count)
    for what, beside, goal in (
        ("unsigned", "smtp-source", 0.6),
        ("unsigned", "nodemailer, unsigned", 8.0),
        ("RSA-2048", "nodemailer, RSA-2048", 8.0),
    ):
        ratio = median(a.rate / b.rate for a, b in zip(found[what], found[beside], strict=True))
        print(f"{what} against {beside}: {ratio:.2f} (at least {goal:g})", flush=True)


def main() -> None:
    """Prints the table; ``--client`` is one run of ours."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", nargs="+")
    parser.add_argument("--subscribers", type=int, default=WHOLE)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    given = parser.parse_args()
    if given.client:
        port, count, *algorithms = given.client
        print(json.dumps(asdict(_client(int(port), int(count), algorithms))))
        return
    print(f"{'what':<92}{'figure':>12}{'reference':>12}{'ratio':>8}", flush=True)
    for name, figure, reference, ratio in composing.measure():
        print(f"{name:<92}{figure:>12}{reference:>12}{ratio:>8.2f}", flush=True)
    print()
    print(f"{'client':<28}{'letters/s':>12}{'CPU µs/letter':>16}{'peak MB':>10}", flush=True)
    for what, one in measure(given.subscribers, given.rounds):
        print(f"{what:<28}{one.rate:>12,.0f}{one.cpu:>16,.0f}{one.memory:>10,.0f}", flush=True)


if __name__ == "__main__":
    main()
