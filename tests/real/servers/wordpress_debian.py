"""A second real WordPress: the one Debian ships (6.1 on Debian 12), on a MariaDB of its own.

PUBLISHER_REAL_WORDPRESS names the unpacked folder of another release to use instead; Debian's themes are put beside its
own, since a release without one shows an empty page.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.real.process import Process
from tests.real.servers.wordpress import WordPress

_PROGRAM, _CONTENT = Path("/usr/share/wordpress"), Path("/var/lib/wordpress/wp-content")
_OTHER = os.environ.get("PUBLISHER_REAL_WORDPRESS", "")


class DebianWordPress(WordPress):
    """As :class:`~tests.real.servers.wordpress.WordPress`; ``stop_database`` shows what a site without one answers."""

    version = "other" if _OTHER else "debian"

    def _unpack(self) -> None:
        if _OTHER:
            shutil.copytree(_OTHER, self.root)
            shutil.copytree(_CONTENT / "themes", self.root / "wp-content" / "themes", dirs_exist_ok=True)
            return
        # Debian links into other packages; the site needs files of its own.
        shutil.copytree(_PROGRAM, self.root, symlinks=False, ignore_dangling_symlinks=True,
                        ignore=lambda folder, _: ["wp-content"] if Path(folder) == _PROGRAM else [])  # fmt: skip
        shutil.copytree(_CONTENT, self.root / "wp-content", symlinks=False, ignore_dangling_symlinks=True)

    def _start_database(self) -> None:
        data, runs = self.folder / "db", self.folder / "run"
        user: list[str] = []
        for folder in (data, runs):
            folder.mkdir()
            if os.getuid() == 0:  # the server refuses to run as root
                owner = pwd.getpwnam("mysql")
                os.chown(folder, owner.pw_uid, owner.pw_gid)
                user = ["--user=mysql"]
        self._user, self._data = user, data
        _run("mariadb-install-db", "--no-defaults", *user, f"--datadir={data}", "--skip-test-db",
             "--auth-root-authentication-method=normal")  # fmt: skip
        self.start_database()
        self._sql(
            "CREATE DATABASE wp; CREATE USER wp@localhost IDENTIFIED BY 'wp'; GRANT ALL ON wp.* TO wp@localhost",
            "",
        )

    def start_database(self) -> None:
        """Starts MariaDB, on a socket only."""
        command = [
            "mariadbd", "--no-defaults", *self._user, f"--datadir={self._data}", f"--socket={self._socket()}",
            f"--pid-file={self.folder}/run/db.pid", "--skip-networking", "--skip-log-bin", "--performance-schema=OFF",
            "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", "--character-set-server=utf8mb4",
        ]  # fmt: skip
        self._server = Process(command, self.folder / "db.log")
        self._processes.append(self._server)
        ping = ["mariadb-admin", "--no-defaults", "-uroot", f"--socket={self._socket()}", "ping"]
        self._server.wait_until(lambda: not subprocess.run(ping, capture_output=True).returncode)

    def stop_database(self) -> None:
        """Stops MariaDB; the site stays up without it until :meth:`start_database`."""
        self._server.stop()

    def snapshot(self) -> None:
        dump = _run("mariadb-dump", "--no-defaults", "-uroot", f"--socket={self._socket()}", "wp")
        (self.folder / "snapshot.sql").write_text(dump, encoding="utf-8")

    def _restore(self) -> None:
        self._sql(
            "SET foreign_key_checks = 0;\n" + (self.folder / "snapshot.sql").read_text(encoding="utf-8")
        )

    def _rows(self, statement: str) -> list[Sequence[Any]]:
        columns = statement.partition(" FROM ")[0].removeprefix("SELECT ")
        rest = statement.partition(" FROM ")[2]
        # JSON carries what the client's own output escapes.
        return [
            json.loads(row) for row in self._sql(f"SELECT JSON_ARRAY({columns}) FROM {rest}").splitlines()
        ]

    def _sql(self, statements: str, database: str = "wp") -> str:
        client = ["mariadb", "--no-defaults", "-uroot", f"--socket={self._socket()}", "--batch", "--raw",
                  "--skip-column-names", "--default-character-set=utf8mb4", *filter(None, [database])]  # fmt: skip
        return _run(*client, given=statements)

    def _db_host(self) -> str:
        return f"localhost:{self._socket()}"

    def _socket(self) -> Path:
        return self.folder / "run" / "db.sock"


def _run(*command: str, given: str = "") -> str:
    """What the command says. Waits without a limit: with one, a case of the conformance kit would see it sleep."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")
    return done.stdout
