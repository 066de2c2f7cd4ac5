"""Documentation that can be wrong is held to the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.write import guides
from publisher import __version__, reference, registry
from publisher.alerts.cause import LATE
from publisher.cli.main import parser
from publisher.delivery import Patience
from publisher.engine.deliverer import SLOW
from publisher.engine.embedded import EmbeddedEngine

ROOT = Path(__file__).parent.parent


def test_readme__settings_tables() -> None:
    """The settings tables of the README are those the code makes; ``make docs`` writes them."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    written = readme.partition("<!-- settings: made by make docs -->\n")[2].partition("<!-- /settings -->")[0]
    assert written.strip() == reference.settings_table()


def test_readme__channels() -> None:
    """What the README says of each service is what the page of its adapter says; ``make docs`` writes it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    written = readme.partition("<!-- channels: made by make docs -->\n")[2].partition("<!-- /channels -->")[0]
    assert written.strip() == guides()


@pytest.mark.parametrize("name", registry.names())
def test_channels__settings_exist(name: str) -> None:
    """Every setting that the page of an adapter sets or names can be set."""
    text = (ROOT / "docs" / "channels" / f"{name}.md").read_text(encoding="utf-8")
    prefixes = re.findall(r"^ *([A-Z_]+)_ADAPTER=", text, re.MULTILINE)
    assert prefixes, "The page shows no settings."
    known = {field.upper() for field in registry.adapter(name).Settings.model_fields} | {"ADAPTER"}
    pattern = rf"\b(?:{'|'.join(set(prefixes))})_([A-Z][A-Z_]+)\b"
    assert set(re.findall(pattern, text)) <= known


def test_templates__each_is_documented() -> None:
    """docs/templates.md names every template."""
    text = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
    parts = {
        "article.html",
        "words.html",
        "frame.html",
        "index.html",
    }  # what the others are put together from
    files = [p for p in (ROOT / "templates").rglob("*.*") if p.name not in parts]
    assert [str(p) for p in files if p.name not in text] == []


def test_deliveries__states() -> None:
    """The states and moves in docs/deliveries.md are those of the code; ``make docs`` writes them."""
    text = (ROOT / "docs" / "deliveries.md").read_text(encoding="utf-8")
    written = text.partition("<!-- states: made by make docs -->\n")[2].partition("<!-- /states -->")[0]
    assert written.strip() == reference.moves_table()


def test_deliveries__figures() -> None:
    """The hours and minutes that docs/deliveries.md names are those the program keeps."""
    text = " ".join((ROOT / "docs" / "deliveries.md").read_text(encoding="utf-8").split())
    patience = Patience()
    for figure in (
        f"{patience.first.seconds} seconds",
        f"{patience.longest.seconds // 3600} hour",
        f"{patience.attempts} attempts",
        f"{int(patience.total.total_seconds()) // 3600} hours",
        f"{patience.asked.seconds // 3600} hours at a time",
        f"every {SLOW.seconds // 60} minutes",
        f"{EmbeddedEngine.__init__.__kwdefaults__['lease'].seconds} seconds",
        f"more than {LATE.seconds // 60} minutes",
    ):
        assert figure in text, figure


def test_env_example__is_made_from_the_code() -> None:
    """``.env.example`` names every setting of every adapter; ``make docs`` writes it."""
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == reference.env_example()


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CHANGELOG.md",
        "docs/templates.md",
        "docs/deliveries.md",
        "docs/bounces.md",
        "docs/serve.md",
        ".env.example",
        *(f"docs/channels/{name}.md" for name in registry.names()),
    ],
)
def test_docs__name_only_commands_that_exist(name: str) -> None:
    """Every ``publisher COMMAND`` in the documentation can be typed."""
    text = (ROOT / name).read_text(encoding="utf-8")
    actions = parser()._subparsers._group_actions  # type: ignore[union-attr]
    commands = set(actions[0].choices)  # type: ignore[arg-type]
    named = set(re.findall(r"(?:`|^\$? ?|make\w* |: )publisher ([a-z]+)", text, flags=re.MULTILINE))
    assert named <= commands


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/templates.md",
        "docs/deliveries.md",
        "docs/bounces.md",
        "docs/serve.md",
        *(f"docs/channels/{name}.md" for name in registry.names()),
    ],
)
def test_docs__links_lead_somewhere(name: str) -> None:
    """Every relative link in the documentation names a file that is there."""
    text = re.sub(r"`[^`\n]+`", "", (ROOT / name).read_text(encoding="utf-8"))
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / name).parent.joinpath(target).exists(), target


def test_changelog__has_this_version() -> None:
    """The changelog speaks of the version the program says it is."""
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_locks__have_hashes_and_no_address() -> None:
    """Both locks pin every package with hashes, and name no index."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert "index-url" not in text
        pinned = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert all("==" in line for line in pinned)
        assert text.count("--hash=sha256:") >= len(pinned)


def test_templates__context_is_documented(visit, edition) -> None:
    """Everything a template may use is in docs/templates.md."""
    from publisher.announcement import Language
    from publisher.channel import Layout
    from publisher.render import house
    from publisher.render.variant import context_of

    documented = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
    context = context_of(visit, edition, Layout.PAIRED, tuple(Language), house.load())
    missing = [name for name in context if f"`{name}" not in documented]
    assert missing == []
