"""Calls git: bounded in time, with nothing inherited that could steer it, and never asking anybody.

What a failure means is read from git's own words, in English (``LC_ALL=C``).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from publisher.channel import DeliveryError, SignInFailed, Unavailable

# Where git, ssh and curl find their settings, keys and proxies. No GIT_*: a hook or a shell that starts the worker may
# have set them for another repository. No secrets of other channels, which the clone's hooks would see.
_KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|SSH_AUTH_SOCK|XDG_CONFIG_HOME|SSL_CERT_(FILE|DIR)|(https?|no|all)_proxy",
    re.IGNORECASE,
)
_FIXED = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "LANGUAGE": "C", "GIT_OPTIONAL_LOCKS": "0"}
# No tidying that outlives the call; and what is committed survives a power cut (git-config, core.fsync).
_QUIETLY = tuple(
    word
    for setting in ("gc.auto=0", "maintenance.auto=false", "core.quotePath=false", "core.fsync=all")
    for word in ("-c", setting)
)

REFUSED = re.compile(
    r"authentication failed|permission denied|could not read (username|password)|terminal prompts disabled|"
    r"host key verification failed|no such identity|repository '?[^\n]*'? ?not found|access denied|"
    r"returned error: 40[134]|unauthorized|forbidden|insufficient permission|read-only|dubious ownership|"
    r"protected branch|not allowed to (push|update)|write access|deploy key|branch is currently checked out|"
    r"couldn't find remote ref|no such remote|does not appear to be a git remote",
    re.IGNORECASE,
)
"""Git's words where the credential, a permission or a setting is wrong: the administrator must act."""
_USERINFO = re.compile(r"(\w[\w+.-]*://)[^/\s'\"]*@")


_Files = tuple[IO[bytes], IO[bytes], IO[bytes]]


@dataclass(frozen=True)
class Answer:
    """What one call of git left. ``code`` is ``None`` where it was stopped because it took too long."""

    code: int | None
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Its output as one line."""
        return self.out.decode(errors="replace").strip()


class Git:
    """git in one folder. ``secrets`` are struck out of everything it says."""

    def __init__(self, folder: Path, timeout: float, secrets: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.timeout = timeout
        self.secrets = secrets

    def ask(self, *words: str, given: bytes = b"", extra: Mapping[str, str] | None = None) -> Answer:
        """Runs ``git`` with these words; ``given`` is its input. Raises :class:`Unavailable` where there is no git."""
        # Files, not pipes: a program that git leaves behind may hold a pipe open for ever.
        with (
            tempfile.TemporaryFile() as source,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            source.write(given)
            source.seek(0)
            code = self._run(words, {**_environment(), **(extra or {})}, (source, out, err))
            out.seek(0)
            err.seek(0)
            return Answer(code, out.read(), self.scrubbed(err.read().decode(errors="replace")))

    def must(self, *words: str, given: bytes = b"", extra: Mapping[str, str] | None = None) -> str:
        """The output of a call that must succeed. Raises :class:`SignInFailed` or :class:`Unavailable`."""
        answer = self.ask(*words, given=given, extra=extra)
        if answer.code != 0:
            raise failure(words[0], answer)
        return answer.text

    def scrubbed(self, text: str) -> str:
        """``text`` without the secrets that addresses of remotes carry."""
        text = _USERINFO.sub(r"\1", text)
        for secret in self.secrets:
            text = text.replace(secret, "…")
        return text

    def _run(self, words: tuple[str, ...], environment: dict[str, str], files: _Files) -> int | None:
        source, out, err = files
        try:
            process = subprocess.Popen(  # noqa: S603 - a list of words, no shell
                ["git", *_QUIETLY, *words],  # noqa: S607 - the administrator's PATH says which git
                cwd=self.folder,
                env=environment,
                stdin=source,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise Unavailable(f"git cannot be started in {self.folder}: {reason}; is it installed?") from None
        late = threading.Event()
        timer = threading.Timer(self.timeout, _kill, (process, late))
        timer.daemon = True
        timer.start()
        try:
            code = process.wait()
        finally:
            timer.cancel()
            _kill_group(process.pid)  # ssh or a hook that outlives git would still push
        return None if late.is_set() else code


def failure(what: str, answer: Answer) -> DeliveryError:
    """The error for a call that failed and has certainly published nothing."""
    if answer.code is None:
        return Unavailable(f"git {what} took too long and was stopped.")
    said = words(answer.err)
    kind = SignInFailed if REFUSED.search(answer.err) else Unavailable
    return kind(f"git {what} failed: {said or f'it ended with code {answer.code}'}.")


def words(text: str) -> str:
    """What git said, in one line that is not too long; the advice it gives is left out."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line.removeprefix("remote:").strip() for line in lines if line and not line.startswith("hint:")]
    return " ".join(" ".join(filter(None, said)).split())[:400].rstrip(". ")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    return {**kept, **_FIXED}


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    if process.poll() is None:
        late.set()
        _kill_group(process.pid)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
