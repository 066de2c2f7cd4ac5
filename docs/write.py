"""``make docs``: writes what the README says of settings and channels, the states of a delivery, ``.env.example``."""

from __future__ import annotations

import re
from pathlib import Path

from publisher import reference, registry

_ROOT = Path(__file__).parent.parent


def main() -> None:
    """Rewrites what is generated, in place."""
    _rewrite(_ROOT / "README.md", "channels", guides())
    _rewrite(_ROOT / "README.md", "settings", reference.settings_table())
    _rewrite(_ROOT / "docs" / "deliveries.md", "states", reference.moves_table())
    (_ROOT / ".env.example").write_text(reference.env_example(), encoding="utf-8")


def guides() -> str:
    """What an administrator does on the side of each service, from the page of its adapter in ``docs/channels``."""
    return "\n\n".join(_guide(name) for name in registry.names())


def _guide(name: str) -> str:
    text = (_ROOT / "docs" / "channels" / f"{name}.md").read_text(encoding="utf-8")
    steps, rights = (_section(text, title) for title in ("Setting it up", "Rights, and what each is for"))
    page = f"More on [docs/channels/{name}.md](docs/channels/{name}.md)."
    return (
        f"<details><summary><b>{name}</b>: {registry.adapter(name).title}</summary>\n\n"
        f"{steps}\n\n**Rights, and what each is for**\n\n{rights}\n\n{page}\n\n</details>"
    )


def _section(text: str, title: str) -> str:
    """What stands below the heading ``title``; headings within become bold lines."""
    below = text.partition(f"\n## {title}\n")[2]
    if not below:
        raise ValueError(f"A page in docs/channels has no heading {title!r}.")
    section = re.split(r"^## ", below, maxsplit=1, flags=re.MULTILINE)[0].strip()
    return re.sub(r"^#{3,} (.+)$", r"**\1**", section, flags=re.MULTILINE)


def _rewrite(path: Path, name: str, made: str) -> None:
    begin, end = f"<!-- {name}: made by make docs -->\n", f"<!-- /{name} -->"
    head, _, rest = path.read_text(encoding="utf-8").partition(begin)
    tail = rest.partition(end)[2]
    path.write_text(f"{head}{begin}{made}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
