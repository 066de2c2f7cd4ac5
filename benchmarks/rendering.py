"""A set of three variants from the cached environment, beside plain Jinja2 over the same templates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median

from jinja2 import Environment, FileSystemLoader

from channels.static_site import StaticSiteAdapter
from publisher import assets, demo, intake, registry
from publisher.announcement import Bilingual, Language
from publisher.registry import AnyAdapter
from publisher.render import house
from publisher.render.environment import _environment, environment
from publisher.render.variant import Edition, context_of, render_all
from publisher.settings import load

_ROUNDS, _PER_ROUND = 7, 100
_NAMES = ("website/post.html", "newsletter/message.mjml", "newsletter/message.txt")
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


class _Post(StaticSiteAdapter):
    """A website that takes title and body alone, as a content management system does."""

    templates = ()


def measure() -> Iterator[tuple[str, str, str, float]]:
    """What a set of three variants takes, what the sandbox costs, and what building the environment anew would."""
    values = dict(line.split("=", 1) for line in _ENV.splitlines())
    channels = registry.build(load(None, values))
    site = channels["website"]
    post = _Post("website", site.settings)
    sample = Path(demo.__file__).parent / "sample.txt"
    revision = intake.read(sample.read_bytes(), sample.name, title=Bilingual(en="A Visit")).revision
    edition = Edition("2026-0001", 1, date(2026, 9, 1))

    def set_of(*adapters: AnyAdapter) -> Callable[[], object]:
        return lambda: [render_all(revision, edition, adapter) for adapter in adapters]

    def templates_alone(env: Environment) -> Callable[[], object]:
        loaded = [env.get_template(name) for name in _NAMES]
        context = context_of(revision, edition, site.settings.layout, tuple(Language), house.load())
        return lambda: [template.render(**context) for template in loaded]

    ours = environment()
    plain = Environment(
        loader=FileSystemLoader(assets.folders("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plain.filters.update(ours.filters)
    sandboxed, bare = _seconds(templates_alone(ours)), _seconds(templates_alone(plain))
    yield "3 templates, sandboxed, against plain Jinja2", _ms(sandboxed), _ms(bare), sandboxed / bare
    three = _seconds(set_of(post, channels["newsletter"], channels["social"]))
    yield (
        "set of 3 variants (6 parts, inlined, fitted), against them",
        _ms(three),
        _ms(sandboxed),
        three / sandboxed,
    )
    whole = _seconds(set_of(*channels.values()))
    yield "with all 10 parts of the built-in site, against that set", _ms(whole), _ms(three), whole / three
    begun = time.perf_counter()
    _environment.cache_clear()
    set_of(post, channels["newsletter"], channels["social"])()
    anew = time.perf_counter() - begun
    yield "the same set with the environment built anew", _ms(anew), _ms(three), anew / three


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
