"""``make docs``: writes the settings tables of the README, the states of a delivery, and ``.env.example``."""

from __future__ import annotations

from pathlib import Path

from publisher import reference

_ROOT = Path(__file__).parent.parent


def main() -> None:
    """Rewrites what is generated, in place."""
    _rewrite(_ROOT / "README.md", "settings", reference.settings_table())
    _rewrite(_ROOT / "docs" / "deliveries.md", "states", reference.moves_table())
    (_ROOT / ".env.example").write_text(reference.env_example(), encoding="utf-8")


def _rewrite(path: Path, name: str, made: str) -> None:
    begin, end = f"<!-- {name}: made by make docs -->\n", f"<!-- /{name} -->"
    head, _, rest = path.read_text(encoding="utf-8").partition(begin)
    tail = rest.partition(end)[2]
    path.write_text(f"{head}{begin}{made}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
