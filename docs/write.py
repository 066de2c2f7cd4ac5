"""``make docs``: writes the settings tables of the README, and ``.env.example``."""

from __future__ import annotations

from pathlib import Path

from publisher import reference

_ROOT = Path(__file__).parent.parent
_BEGIN, _END = "<!-- settings: made by make docs -->\n", "<!-- /settings -->"


def main() -> None:
    """Rewrites what is generated, in place."""
    readme = _ROOT / "README.md"
    head, _, rest = readme.read_text(encoding="utf-8").partition(_BEGIN)
    tail = rest.partition(_END)[2]
    readme.write_text(f"{head}{_BEGIN}{reference.settings_table()}\n{_END}{tail}", encoding="utf-8")
    (_ROOT / ".env.example").write_text(reference.env_example(), encoding="utf-8")


if __name__ == "__main__":
    main()
