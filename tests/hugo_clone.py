"""A Hugo site under git: the office's clone, its bare remote, and a way between them that can fail.

The remote is reached through git's own ssh transport, with a script in the place of ssh: it runs the remote's side on
this machine, or does what a plan says of the next connections, one line each.
"""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

ADDRESS = "ssh://git@git.example.org/site.git"
CONFIG = """\
baseURL = "https://www.example.org/"
title = "Example"
defaultContentLanguage = "zh"
defaultContentLanguageInSubdir = true
hasCJKLanguage = true
disableKinds = ["taxonomy", "term"]
[languages.zh]
weight = 1
[languages.en]
weight = 2
"""
LAYOUT = """\
<html lang="{{ .Language.Lang }}"><head><title>{{ .Title }}</title>
{{ range .AllTranslations }}<link rel="alternate" hreflang="{{ .Language.Lang }}" href="{{ .Permalink }}">{{ end }}
<meta name="description" content="{{ .Description }}"></head><body>
<time>{{ .Date.Format "2006-01-02" }}</time><main>{{ .Content }}</main><aside>{{ .Summary }}</aside></body></html>
"""
_SSH = """\
#!/bin/sh
# $1 is the host (options were asked for as "simple"), $2 the command.
plan="{base}/plan"; act=""
if [ -s "$plan" ]; then act=$(head -n 1 "$plan"); sed -i 1d "$plan"; fi
echo "$act $*" >> "{base}/asked"
while [ $# -gt 1 ]; do shift; done
case "$act" in
  deny) echo "git@git.example.org: Permission denied (publickey)." >&2; exit 255 ;;
  gone) echo "ssh: connect to host git.example.org port 22: Connection refused" >&2; exit 255 ;;
  hang) exec sleep 60 ;;
  cut-*|refuse|wait) ANNOUNCE=$act; export ANNOUNCE ;;
esac
cd "{base}" && eval "$(echo "$1" | sed "s#'/site.git'#'{base}/site.git'#")"
"""
_PRE_RECEIVE = """\
#!/bin/sh
cat > /dev/null
case "$ANNOUNCE" in
  cut-before) kill -9 $PPID ;;
  refuse) echo "pages may not say that (policy 7)" >&2; exit 1 ;;
esac
exit 0
"""
_TRANSACTION = """\
#!/bin/sh
cat > /dev/null
if [ "$1" = committed ]; then case "$ANNOUNCE" in
  cut-after) kill -9 $PPID ;;
  wait) sleep 60 ;;
esac; fi
exit 0
"""


def git(folder: Path, *words: str, **extra: str) -> str:
    """What git says, as a person would run it."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **extra}
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_site(folder: Path) -> Path:
    """A site in two languages, without git."""
    for name in ("content", "layouts/_default"):
        (folder / name).mkdir(parents=True)
    (folder / "config.toml").write_text(CONFIG)
    (folder / "content" / "about.zh.md").write_text("---\ntitle: x\n---\n")
    for name in ("single", "list"):
        (folder / "layouts" / "_default" / f"{name}.html").write_text(LAYOUT)
    return folder


class Clone:
    """``folder`` is the office's clone, ``remote`` the bare repository."""

    def __init__(self, base: Path) -> None:
        self.base, self.folder, self.remote = base, base / "site", base / "site.git"
        base.mkdir(exist_ok=True)
        self._home()
        make_site(self.folder)
        git(self.folder, "init", "-q", "-b", "main")
        git(self.folder, "add", ".")
        git(self.folder, "commit", "-qm", "The site")
        git(base, "clone", "-q", "--bare", str(self.folder), str(self.remote))
        for name, script in {"pre-receive": _PRE_RECEIVE, "reference-transaction": _TRANSACTION}.items():
            self._script(self.remote / "hooks" / name, script)
        self._script(base / "ssh", _SSH.replace("{base}", str(base)))
        git(self.folder, "remote", "add", "origin", ADDRESS)
        git(self.folder, "config", "core.sshCommand", str(base / "ssh"))
        git(self.folder, "config", "ssh.variant", "simple")
        git(self.folder, "fetch", "-q")

    def _home(self) -> None:
        """A home of its own: nobody's settings of git have a say here. Call :meth:`environment` for the worker."""
        (self.base / ".gitconfig").write_text("[user]\nname = Person\nemail = person@example.org\n")

    @staticmethod
    def _script(path: Path, text: str) -> None:
        path.write_text(textwrap.dedent(text))
        path.chmod(0o755)

    def plan(self, *acts: str) -> None:
        """What the next connections meet: ``ok``, ``deny``, ``gone``, ``cut-before``, ``cut-after``, ``refuse``, ``wait``."""
        (self.base / "plan").write_text("".join(f"{act}\n" for act in acts))

    def other(self, name: str = "other") -> Path:
        """A second clone, of a person who pushes straight to the remote."""
        if not (self.base / name).exists():
            git(self.base, "clone", "-q", str(self.remote), name)
        return self.base / name

    def push_from_elsewhere(self, path: str, text: str) -> None:
        """A person's commit at the remote."""
        folder = self.other()
        git(folder, "pull", "-q", "--rebase")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        git(folder, "add", path)
        git(folder, "commit", "-qm", f"Somebody's {path}")
        git(folder, "push", "-q")

    def tree(self, where: Path | None = None, commit: str = "main") -> list[str]:
        """The files below content/news, at the remote unless told otherwise."""
        said = git(where or self.remote, "ls-tree", "-r", "--name-only", commit, "content/news")
        return said.split()

    def commits(self, where: Path | None = None) -> list[str]:
        """The subjects of the branch's commits, the first commit left out."""
        return git(where or self.remote, "log", "--reverse", "--format=%s", "main").split("\n")[1:]
