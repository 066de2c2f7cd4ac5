"""Gets what the real servers need: ``python -m tests.real.install [quick | all]``. Quick where all is there.

System packages come from apt, where this is Debian and we are root; everything else from npm, into a cache folder
outside the tree (see :mod:`tests.real.cache`). Nothing of the machine's own configuration is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.real import axe, cache, html
from tests.real.servers import ghost, wordpress

_APT = ("apt-get", "-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=3")


@dataclass(frozen=True, slots=True)
class Need:
    """Something the system must have; ``packages`` are Debian's that bring it.

    ``told`` are the answers to what they ask while they are installed, as debconf-set-selections takes them.
    """

    name: str
    there: Callable[[], bool]
    packages: tuple[str, ...]
    told: tuple[str, ...] = ()


def _program(*names: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(name) for name in names)


def _php_has(*extensions: str) -> Callable[[], bool]:
    def there() -> bool:
        if not shutil.which("php"):
            return False
        known = subprocess.run(["php", "-m"], capture_output=True, text=True).stdout.lower().split()
        return set(extensions) <= set(known)

    return there


def _file(*paths: str) -> Callable[[], bool]:
    return lambda: all(Path(path).exists() for path in paths)


def _font() -> bool:
    fonts = Path("/usr/share/fonts")
    return any(fonts.rglob("NotoSansCJK*")) or any(fonts.rglob("NotoSerifCJK*"))


QUICK = (
    Need("npm", _program("node", "npm"), ("nodejs", "npm")),
    Need(
        "PHP",
        _php_has("pdo_sqlite", "mbstring", "simplexml", "curl", "gd"),
        ("php-cli", "php-sqlite3", "php-mbstring", "php-xml", "php-curl", "php-gd"),
    ),
    Need("Hugo", _program("hugo"), ("hugo",)),
    Need("Chromium", _file("/usr/bin/chromium"), ("chromium",)),
    Need("Chinese fonts", _font, ("fonts-noto-cjk",)),
    Need("Java", _program("java"), ("default-jre-headless",)),
    Need(
        "Postfix",
        _file("/usr/sbin/postfix", "/usr/sbin/smtp-source"),
        ("postfix",),
        ("postfix postfix/main_mailer_type select No configuration",),
    ),
    Need("Dovecot", _file("/usr/sbin/dovecot", "/usr/lib/dovecot/imap"), ("dovecot-imapd",)),
    Need("OpenDKIM", _file("/usr/sbin/opendkim"), ("opendkim",)),
)
SLOW = (
    Need("MariaDB", _program("mariadbd", "mariadb-install-db"), ("mariadb-server",)),
    Need("PHP for MariaDB", _php_has("mysqli"), ("php-mysql",)),
    Need(
        "Debian's WordPress",
        _file("/usr/share/wordpress/wp-load.php", "/var/lib/wordpress/wp-content/themes/twentytwentythree"),
        ("wordpress", "wordpress-theme-twentytwentythree"),
    ),
    Need("a C++ compiler", _program("g++", "make", "python3"), ("g++", "make", "python3")),
)


def main(arguments: list[str]) -> int:
    """Installs the ``quick`` set, or ``all``; the exit code."""
    everything = arguments == ["all"]
    if arguments not in ([], ["quick"], ["all"]):
        print("Usage: python -m tests.real.install [quick | all]")
        return 2
    try:
        _step("System packages", lambda: system([*QUICK, *(SLOW if everything else ())]))
        _step("WordPress 6.5.5", wordpress.files)
        _step("Nu HTML checker", html.jar)
        _step("axe-core", axe.script)
        if everything:
            _step("Ghost " + ghost.VERSION, ghost.program)
    except cache.InstallError as error:
        print(error)
        return 1
    return 0


def system(needs: list[Need]) -> None:
    """Installs the packages of what is missing. Raises :class:`~tests.real.cache.InstallError`."""
    missing = [need for need in needs if not need.there()]
    if not missing:
        return
    names = ", ".join(need.name for need in missing)
    packages = [package for need in missing for package in need.packages]
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise cache.InstallError(
            f"Missing: {names}. As root on Debian this would install them: apt-get install {' '.join(packages)}"
        )
    silent = {"DEBIAN_FRONTEND": "noninteractive"}
    cache.run("apt-get update", [*_APT, "update", "-qq"], environment=silent)
    for answer in (answer for need in missing for answer in need.told):
        _tell(answer)
    # A machine has one mail server only: rather than to remove the one that is there, this stops.
    install = [*_APT, "install", "-y", "-qq", "--no-install-recommends", "--no-remove", *packages]
    cache.run("apt-get install", install, environment=silent)
    still = [need.name for need in missing if not need.there()]
    if still:
        raise cache.InstallError(
            f"apt-get installed its packages, and yet these are missing: {', '.join(still)}."
        )


def _tell(answer: str) -> None:
    """Answers a package's question beforehand, so that it configures nothing."""
    cache.run("debconf-set-selections", ["sh", "-c", 'echo "$1" | debconf-set-selections', "sh", answer])


def _step(name: str, do: Callable[[], object]) -> None:
    began = time.monotonic()
    do()
    print(f"{name}: ready ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
