"""Adapters are found by entry point; the house never names one."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher import registry, settings
from publisher.channel import Adapter, ChannelSettings, Kind
from publisher.errors import SettingsError


@pytest.mark.parametrize("name", registry.names())
def test_adapter__declares_itself(name: str) -> None:
    """Every installed adapter has a title, a kind, settings with help for each, and docstrings where it differs."""
    adapter = registry.adapter(name)
    assert issubclass(adapter, Adapter)
    assert adapter.title
    assert adapter.kind in Kind
    assert issubclass(adapter.Settings, ChannelSettings)
    assert all(field.description for field in adapter.Settings.model_fields.values())


def test_adapter__unknown() -> None:
    """A name that is not installed is refused with those that are."""
    with pytest.raises(SettingsError, match="static_site"):
        registry.adapter("fax")


def test_build__names_all_that_is_wrong(tmp_path: Path) -> None:
    """All wrong settings of all channels are said at once."""
    environ = {
        "PUBLISHER_CHANNELS": "web,mail",
        "WEB_ADAPTER": "static_site",
        "MAIL_ADAPTER": "smtp",
    }
    with pytest.raises(SettingsError) as refusal:
        registry.build(settings.load(None, environ))
    for key in ("WEB_FOLDER", "WEB_URL", "MAIL_SENDER"):
        assert f"{key} is missing" in str(refusal.value)


def test_third_party__found_as_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with an entry point is an adapter, with nothing of ours changed."""
    package = tmp_path / "carrier_pigeon.py"
    package.write_text(
        "from publisher.channel import *\n"
        "class PigeonAdapter(Adapter):\n"
        "    title = 'a pigeon'\n    kind = Kind.SUMMARY\n    Settings = ChannelSettings\n"
        "    async def check(self): return 'fed'\n"
        "    def prepare(self, variant): return Payload()\n"
        "    async def publish(self, payload, key): return Receipt(Outcome.ACCEPTED, key)\n"
    )
    info = tmp_path / "carrier_pigeon-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier-pigeon\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[publisher.adapters]\npigeon = carrier_pigeon:PigeonAdapter\n")
    monkeypatch.syspath_prepend(tmp_path)
    built = registry.build(settings.load(None, {"PUBLISHER_CHANNELS": "bird", "BIRD_ADAPTER": "pigeon"}))
    assert built["bird"].title == "a pigeon"
    assert not built["bird"].can_find


def test_incomplete_adapter__is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered but no complete adapter is refused in words."""
    (tmp_path / "half.py").write_text("class Half: pass\n")
    info = tmp_path / "half-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: half\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[publisher.adapters]\nhalf = half:Half\nnone = half:Missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name, says in (("half", "is none"), ("none", "cannot be loaded")):
        with pytest.raises(SettingsError, match=says):
            registry.adapter(name)


def test_canonical__makes_pages(tmp_path: Path) -> None:
    """A channel whose posts have no address is not the one the others link to, even where it comes first."""
    secret = "whsec_" + "A" * 44
    env = tmp_path / ".env"
    env.write_text(
        "PUBLISHER_CHANNELS=inhouse,site\n"
        f"INHOUSE_ADAPTER=webhook\nINHOUSE_URL=https://intranet.example.org/hook\nINHOUSE_SECRET={secret}\n"
        "SITE_ADAPTER=static_site\nSITE_FOLDER=site\nSITE_URL=https://www.example.org/\n"
    )
    env.chmod(0o600)
    loaded = settings.load(env, {})
    assert registry.canonical(loaded, registry.build(loaded)) == "site"


@pytest.mark.parametrize(
    ("own", "zone"),
    [
        ("", "Europe/London"),
        ("HUGO_TIMEZONE=\n", "Europe/London"),
        ("HUGO_TIMEZONE=Asia/Tokyo\n", "Asia/Tokyo"),
    ],
)
def test_build__the_office_s_zone_is_the_channel_s(tmp_path: Path, own: str, zone: str) -> None:
    """A channel that needs a zone and names none has the office's."""
    env = tmp_path / ".env"
    env.write_text(
        "PUBLISHER_CHANNELS=hugo\nPUBLISHER_TIMEZONE=Europe/London\n"
        f"HUGO_ADAPTER=hugo\nHUGO_FOLDER=site\nHUGO_URL=https://www.example.org/\n{own}"
    )
    env.chmod(0o600)
    assert registry.build(settings.load(env, {}))["hugo"].settings.timezone == zone
