"""A set of three variants from the cached environment, beside plain Jinja2 over the same templates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median

from jinja2 import Environment, FileSystemLoader

from publisher import assets, intake, registry
from publisher.announcement import Language
from publisher.channel import Kind
from publisher.render import house
from publisher.render.environment import environment
from publisher.render.variant import Edition, context_of, render_all
from publisher.settings import load

_ROUNDS, _PER_ROUND = 7, 100
_ENV = """\
PUBLISHER_CHANNELS=website,newsletter,social
WEBSITE_ADAPTER=static_site
WEBSITE_FOLDER=site
WEBSITE_URL=https://news.example.org
NEWSLETTER_ADAPTER=smtp
NEWSLETTER_HOST=127.0.0.1
NEWSLETTER_SECURITY=none
NEWSLETTER_SENDER=news@example.org
NEWSLETTER_TO=members@lists.example.org
SOCIAL_ADAPTER=mastodon
SOCIAL_URL=https://social.example
SOCIAL_TOKEN=none
"""


def _seconds(work: Callable[[], object]) -> float:
    work()
    rounds = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        for _ in range(_PER_ROUND):
            work()
        rounds.append((time.perf_counter() - begun) / _PER_ROUND)
    return median(rounds)


def measure() -> Iterator[tuple[str, str, str, float]]:
    """Milliseconds a set; how much the sandbox costs; how much it saves to build the environment once."""
    values = dict(line.split("=", 1) for line in _ENV.splitlines())
    channels = registry.build(load(None, values))
    sample = Path(__file__).parent.parent / "publisher" / "demo" / "sample-event.md"
    revision = intake.read(sample.read_bytes(), sample.name).revision
    edition = Edition("2026-0001", 1, date(2026, 9, 1))

    def whole_set() -> None:
        for adapter in channels.values():
            render_all(revision, edition, adapter)

    def templates_alone(env: Environment) -> Callable[[], None]:
        loaded = [env.get_template(name) for name in ("website/post.html", "newsletter/message.html")]
        context = context_of(
            revision, edition, channels["website"].settings.layout, tuple(Language), house.load()
        )
        return lambda: [template.render(**context) for template in loaded] and None

    ours = environment()
    plain = Environment(
        loader=FileSystemLoader(assets.folders("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plain.filters.update(ours.filters)
    sandboxed, bare = _seconds(templates_alone(ours)), _seconds(templates_alone(plain))
    yield "two HTML templates, sandboxed, against plain Jinja2", _ms(sandboxed), _ms(bare), sandboxed / bare

    cached = _seconds(whole_set)
    yield (
        "all parts of three variants, against those templates alone",
        _ms(cached),
        _ms(sandboxed),
        cached / sandboxed,
    )
    kinds = {adapter.kind for adapter in channels.values()}
    assert kinds == set(Kind)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
