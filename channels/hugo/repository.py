"""The clone: what a commit has of a post, and one commit with exactly these files.

Commits are made from a private index on top of a known commit, so that nothing of what people have staged, changed or
committed beside us gets into them, and the next push carries only ours.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from channels.hugo.git import REFUSED, Answer, Git, failure, words
from publisher.channel import DeliveryError, OutcomeUnknown, Rejected, SignInFailed, Unavailable

Changes = Mapping[str, bytes | None]
"""Files by their path relative to the site's folder; ``None`` takes a file away."""

_RACE = re.compile(
    r"fetch first|non-fast-forward|stale info|cannot lock ref|failed to (update|lock)|incorrect old value|"
    r"reference already exists",
    re.IGNORECASE,
)
_UNREACHED = re.compile(
    r"could not resolve (host|hostname|proxy)|connection (refused|timed out)|failed to connect|"
    r"network is unreachable|no route to host|unpacker error|unpack failed",
    re.IGNORECASE,
)
_REJECTED = re.compile(r"^!\t[^\t]*\t(.*)$", re.MULTILINE)


class Raced(Exception):
    """Somebody else pushed first."""


class Repository:
    """The git repository that ``folder``, the site's, is in. Raises the named errors; SignInFailed where it is none."""

    def __init__(
        self, folder: Path, timeout: float, remote: str, branch: str, author: tuple[str, str]
    ) -> None:
        self.folder, self.remote, self.author = folder, remote, author
        self.git = Git(folder, timeout)
        if not folder.is_dir():
            raise SignInFailed(f"The folder {folder} does not exist; clone the site there.")
        found = self.git.ask("rev-parse", "--is-inside-work-tree", "--show-prefix", "--absolute-git-dir")
        lines = found.out.decode(errors="replace").split("\n")
        if found.code != 0 or lines[0] != "true":
            raise SignInFailed(
                f"{folder} is no clone of a git repository: {words(found.err) or 'it has no work tree'}."
            )
        self.prefix, self.place = lines[1], Path(lines[2])
        self.git.secrets = self._secrets()
        self.branch = branch or self.checked_out()
        self.tracking = f"refs/remotes/{remote}/{self.branch}"

    def _secrets(self) -> tuple[str, ...]:
        """What stands before the ``@`` of addresses, whole and in pieces."""
        said = self.git.ask("config", "--get-regexp", r"^(remote\..*\.(push)?url|url\..*)$").out.decode(
            errors="replace"
        )
        found: set[str] = set()
        for address in re.findall(r"\w[\w+.-]*://[^\s/]*@", said):
            split = urlsplit(address)
            found |= {split.netloc.rpartition("@")[0], split.password or ""}
            if split.scheme.startswith("http") and not split.password:
                found.add(split.username or "")
        return tuple(sorted((secret for secret in found if len(secret) > 3), key=len, reverse=True))

    def checked_out(self) -> str:
        """The branch that is checked out. Raises :class:`SignInFailed` where none is."""
        answer = self.git.ask("symbolic-ref", "--quiet", "--short", "HEAD")
        if answer.code != 0:
            raise SignInFailed(
                f"No branch is checked out in {self.folder}; run git switch there, or finish what is under way."
            )
        return answer.text

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Waits until no other process of ours works in this clone."""
        path = self.place / "publisher.lock"
        try:
            handle = path.open("a")
        except OSError as error:
            raise SignInFailed(f"{path} cannot be written: {(error.strerror or '').lower()}.") from None
        with handle:
            # Released by the system when the process ends, however it ends.
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    # --- What is there --------------------------------------------------------------------------------

    def head(self) -> str:
        """The commit at the tip of our branch, which must be checked out and not amid a merge."""
        if self.checked_out() != self.branch:
            raise SignInFailed(
                f"The branch {self.branch} is not checked out in {self.folder}; run git switch {self.branch} there."
            )
        for name, what in {
            "MERGE_HEAD": "a merge",
            "CHERRY_PICK_HEAD": "a cherry-pick",
            "REVERT_HEAD": "a revert",
        }.items():
            if (self.place / name).exists():
                raise Unavailable(f"{self.folder} is in the middle of {what}; finish it or give it up.")
        return self._commit(f"refs/heads/{self.branch}")

    def tip(self) -> str:
        """The commit at the tip of the remote's branch, as of now."""
        if self.git.ask("remote", "get-url", self.remote).code != 0:
            raise SignInFailed(
                f"{self.folder} has no remote called {self.remote}; add it, or name another one."
            )
        self.git.must("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", self.remote,
                      f"+refs/heads/{self.branch}:{self.tracking}")  # fmt: skip
        return self._commit(self.tracking)

    def _commit(self, name: str) -> str:
        answer = self.git.ask("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if answer.code != 0:
            raise SignInFailed(f"The branch {self.branch} has no commit yet; make the first one by hand.")
        return answer.text

    def files(self, commit: str, folders: tuple[str, ...]) -> dict[str, bytes]:
        """The files directly in ``folders`` as of ``commit``, as a work tree would have them."""
        listed = self.git.ask(
            "ls-tree", "-z", "--name-only", commit, "--", *(f"{folder}/" for folder in folders)
        )
        if listed.code != 0:
            raise failure("ls-tree", listed)
        found: dict[str, bytes] = {}
        for path in filter(None, listed.out.decode(errors="surrogateescape").split("\0")):
            answer = self.git.ask("cat-file", "--filters", f"{commit}:{self.prefix}{path}")
            if answer.code == 0:  # a folder has no bytes
                found[path] = answer.out
        return found

    # --- What is made ---------------------------------------------------------------------------------

    def commit(self, parent: str, changes: Changes, message: str) -> str:
        """A commit on top of ``parent`` with these changes alone; ``parent`` itself where they change nothing.

        Nothing points to it yet.
        """
        entries = self._entries(changes, len(parent))
        with tempfile.TemporaryDirectory(prefix="publisher-", dir=self.place) as folder:
            private = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.git.must("read-tree", parent, extra=private)
            self.git.must("update-index", "-z", "--index-info", given=entries, extra=private)
            tree = self.git.must("write-tree", extra=private)
        if tree == self.git.must("rev-parse", f"{parent}^{{tree}}"):
            return parent
        signed = ["-S"] if self.git.ask("config", "--type=bool", "commit.gpgsign").text == "true" else []
        name, address = self.author
        person = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                  for what, value in {"NAME": name, "EMAIL": address}.items()}  # fmt: skip
        return self.git.must("commit-tree", tree, "-p", parent, *signed, given=message.encode(), extra=person)

    def _entries(self, changes: Changes, digits: int) -> bytes:
        lines: list[bytes] = []
        for path, data in changes.items():
            where = f"{self.prefix}{path}"
            if data is None:
                lines.append(b"0 " + b"0" * digits + b"\t" + os.fsencode(where) + b"\0")
            else:
                # --path: the site's own filters, such as Git LFS, apply as to any file of its people.
                blob = self.git.must("hash-object", "-w", "--stdin", f"--path={where}", given=data)
                lines.append(f"100644 {blob}\t".encode() + os.fsencode(where) + b"\0")
        return b"".join(lines)

    def advance(self, commit: str, old: str, changes: Changes) -> None:
        """Moves the branch that is checked out from ``old`` to ``commit``; the work tree has the files already.

        The index comes first: were it left behind, a person's next commit would take our files away again.
        """
        self.git.must("update-index", "-z", "--index-info", given=self._entries(changes, len(old)))
        self.git.must("update-ref", "-m", "publisher: announcement", f"refs/heads/{self.branch}", commit, old)

    def follow(self, commit: str) -> None:
        """Brings the work tree to ``commit`` where that is a plain step forward and touches nothing of people's."""
        if self.git.ask("symbolic-ref", "--quiet", "HEAD").text == f"refs/heads/{self.branch}":
            # Where it cannot, people have work of their own here; the remote has ours, and that is what counts.
            self.git.ask("merge", "--ff-only", "--quiet", commit)

    # --- What is sent ---------------------------------------------------------------------------------

    def push(self, commit: str) -> None:
        """Asks the remote to take ``commit`` as the tip of the branch; never by force.

        Raises :class:`Raced` where somebody was first, :class:`Rejected` or :class:`SignInFailed` where it said no,
        :class:`Unavailable` where it was not reached, and :class:`OutcomeUnknown` where it did not say.
        """
        answer = self.git.ask("-c", "push.followTags=false", "push", "--porcelain", "--no-recurse-submodules",
                              self.remote, f"{commit}:refs/heads/{self.branch}")  # fmt: skip
        if answer.code != 0:
            raise self._refusal(answer)

    def _refusal(self, answer: Answer) -> Exception:
        told = _REJECTED.search(answer.out.decode(errors="replace"))
        said = self.git.scrubbed(" ".join(filter(None, (words(answer.err), told[1] if told else ""))))
        if told is None:
            if answer.code is None or not (REFUSED.search(said) or _UNREACHED.search(said)):
                return OutcomeUnknown(
                    f"The connection to {self.remote} was lost while pushing: {said or 'no answer came'}."
                )
            return failure("push", answer)
        if REFUSED.search(said):
            return SignInFailed(f"{self.remote} does not let us push to {self.branch}: {said}.")
        if _RACE.search(told[1]):
            return Raced()
        kind: type[DeliveryError] = Unavailable if _UNREACHED.search(said) else Rejected
        return kind(f"{self.remote} did not take the commit: {said}.")

    def rehearse(self) -> None:
        """Asks the remote whether it would take a push, without one. Raises as :meth:`push` does."""
        answer = self.git.ask("push", "--porcelain", "--dry-run", "--no-verify", self.remote,
                              f"{self.tracking}:refs/heads/{self.branch}")  # fmt: skip
        if answer.code != 0:
            raise failure("push", answer)
