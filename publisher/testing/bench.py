"""The bench an adapter is tested on: what a suite says of its service, and what is watched in every case.

Needs pytest, which only a test run has; nothing of the product imports this module.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import inspect
import io
import logging
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import pytest

from publisher.channel import (
    Adapter,
    AlreadyThere,
    DeliveryError,
    OutcomeUnknown,
    Receipt,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
    Unsupported,
    Variant,
)
from publisher.testing import sample

T = TypeVar("T")
AnyAdapter = Adapter[Any, Any]

PATIENCE, HASTE = 10.0, 0.3
"""How long an adapter waits for its service, in seconds: where it answers, and where it falls silent."""
_LONGEST = 20.0
"""Seconds after which a call that has not come back fails its case."""
NAMED = (Unsupported, Rejected, SignInFailed, Throttled, Unavailable, OutcomeUnknown, AlreadyThere)
"""All that may come out of an adapter."""


class Step(StrEnum):
    """What an adapter is asked to do when trouble comes."""

    CHECK = "check"
    PUBLISH = "publish"
    FIND = "find"
    UPDATE = "update"
    RETRACT = "retract"


class Trouble(StrEnum):
    """What can go wrong on any service, whatever it speaks."""

    UNAVAILABLE = "unavailable"
    """It certainly does nothing: nobody listens, the disk is full."""
    REJECTED = "rejected"
    """It reads the content and refuses it."""
    SIGN_IN_REFUSED = "sign-in refused"
    """It does not know us, or does not let us."""
    THROTTLED = "throttled"
    """It asks to wait."""
    LOST_BEFORE = "lost before acting"
    """It breaks off with the request in its hands, and has done nothing."""
    LOST_AFTER = "lost after acting"
    """It does what was asked, and breaks off before it says so."""
    SILENT = "silent after acting"
    """It does what was asked, and says nothing more."""
    LATE = "acting late"
    """It says nothing, and does what was asked once we have given up waiting."""


MEANS: Mapping[Trouble, type[DeliveryError]] = {
    Trouble.UNAVAILABLE: Unavailable,
    Trouble.REJECTED: Rejected,
    Trouble.SIGN_IN_REFUSED: SignInFailed,
    Trouble.THROTTLED: Throttled,
    Trouble.LOST_BEFORE: OutcomeUnknown,
    Trouble.LOST_AFTER: OutcomeUnknown,
    Trouble.SILENT: OutcomeUnknown,
    Trouble.LATE: OutcomeUnknown,
}
"""The error each trouble must end in, for a request that may change something."""
ACTED = frozenset({Trouble.LOST_AFTER, Trouble.SILENT, Trouble.LATE})
"""The troubles after which the service has done what was asked, or does it yet."""
_QUIET = frozenset({Trouble.SILENT, Trouble.LATE})
"""The troubles that last until we give up."""


def must(holds: object, otherwise: str) -> None:
    """Fails the case with the sentence ``otherwise``, which says what the adapter did. Also under ``python -O``."""
    if not holds:
        raise AssertionError(otherwise)


def case(check: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Makes an async method a test: an empty service, a loop of its own, and all that is watched looked through.

    The method gets no fixtures; pytest-asyncio is not needed.
    """

    @functools.wraps(check)
    def run(self: Bench, tmp_path: Path, **values: object) -> None:
        self.start(tmp_path)
        try:
            asyncio.run(self.watched(check(self, **values)))
        finally:
            self.stop()

    shown = inspect.signature(check)
    first, *others = shown.parameters.values()
    folder = inspect.Parameter("tmp_path", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = shown.replace(parameters=[first, folder, *others])  # type: ignore[attr-defined]
    return run


class Bench(ABC):
    """The holes a suite fills, and the ways its cases call an adapter."""

    keyed: ClassVar[bool] = False
    """Whether the service knows our key: a second publication with it makes no second post."""
    prepares: ClassVar[bool] = False
    """Whether other requests come before the one that makes or changes a post; a connection that fails in one of them
    has published nothing, so that :class:`Unavailable` is right there too."""
    troubles: ClassVar[frozenset[Trouble]] = frozenset(Trouble)
    """What can happen on this service; cases about other troubles are skipped."""
    secrets: tuple[str, ...] = ()
    """What the adapter must never show; may be set by :meth:`start`."""

    @abstractmethod
    def start(self, folder: Path) -> None:
        """Starts the service, or its double, without any post; ``folder`` is empty and its own."""

    @abstractmethod
    def stop(self) -> None:
        """Ends what :meth:`start` began. Also called where a trouble has ended it before."""

    @abstractmethod
    def adapter(self, patience: float) -> AnyAdapter:
        """A new adapter that is connected to the service and waits at most ``patience`` seconds for it."""

    @abstractmethod
    def count(self) -> int:
        """How many posts people can see on the service now."""

    @abstractmethod
    def inject(self, trouble: Trouble, step: Step) -> None:
        """The next ``step`` meets ``trouble``, once."""

    def asked(self) -> int | None:
        """How often the service was asked to make a post; ``None`` where that cannot be known."""
        return None

    def settle(self) -> None:
        """Returns once the service has done what it was last asked; for services that outlive a time-out."""
        return

    def variant(self, adapter: AnyAdapter, number: int = 1) -> Variant:
        """Revision ``number`` as this channel gets it; ours is a lecture."""
        return sample.variants(adapter, number)[0]

    # --- For the cases -------------------------------------------------------------------------------

    def connect(self, trouble: Trouble | None = None, *, hasty: bool = False) -> AnyAdapter:
        """An adapter that is closed at the end of the case; with little patience for a silent service."""
        adapter = self.adapter(HASTE if hasty or trouble in _QUIET else PATIENCE)
        self._made.append(adapter)
        self._seen += [repr(adapter), repr(adapter.settings), repr(vars(adapter))]
        return adapter

    async def answered(self, answer: Awaitable[T]) -> T:
        """What an adapter answers, in time. Raises the named errors; anything else fails the case."""
        limit = asyncio.timeout(_LONGEST)
        try:
            async with limit:
                found = await answer
        except DeliveryError as error:
            self._seen += [*traceback.format_exception(error), repr(error), repr(vars(error))]
            must(isinstance(error, NAMED), f"{type(error).__name__} is none of the named errors.")
            must(str(error).strip(), f"{type(error).__name__} says nothing a person could read.")
            raise
        except Exception as error:
            must(not limit.expired(), f"The adapter had not come back after {_LONGEST:g} seconds.")
            raise AssertionError(
                f"{type(error).__name__} came out of the adapter, which is no named error."
            ) from error
        self._seen += [repr(found), found.raw if isinstance(found, Receipt) else ""]
        return found

    async def receipt(self, answer: Awaitable[Receipt]) -> Receipt:
        """The receipt that must come."""
        try:
            found = await self.answered(answer)
        except DeliveryError as error:
            raise AssertionError(f"Expected a receipt, but {type(error).__name__} came: {error}") from error
        must(isinstance(found, Receipt), f"The adapter answered {found!r}, which is no receipt.")
        return found

    async def refusal(self, answer: Awaitable[object], *expected: type[DeliveryError]) -> DeliveryError:
        """The error that must come: one of ``expected``."""
        names = " or ".join(error.__name__ for error in expected)
        try:
            found = await self.answered(answer)
        except DeliveryError as error:
            must(isinstance(error, expected), f"Expected {names}, but {type(error).__name__} came: {error}")
            return error
        raise AssertionError(f"Expected {names}, but the adapter answered {found!r}.")

    def skip_unless(self, possible: object, why: str) -> None:
        """Skips the case where the service cannot have it."""
        if not possible:
            pytest.skip(why)

    def must_have_asked_once(self) -> None:
        """Fails where more than one request asked to make a post: an adapter never retries."""
        asked = self.asked()
        must(
            asked is None or asked <= 1,
            f"The adapter asked {asked} times to make the post; it must ask once.",
        )

    async def watched(self, check: Awaitable[None]) -> None:
        """Runs a case; then nothing that could be seen may hold a secret, and nothing may have slept."""
        self._made: list[AnyAdapter] = []
        self._seen: list[str] = []
        said = io.StringIO()
        with _logged() as lines, _awake() as sleeps, redirect_stdout(said), redirect_stderr(said):
            try:
                await check
            finally:
                for adapter in self._made:
                    await adapter.close()
        must(not sleeps, f"The adapter slept ({sleeps}); waiting is the worker's business.")
        everything = "\n".join([*self._seen, *lines, said.getvalue()]).lower()
        for secret in self.secrets:
            shown = any(form.lower() in everything for form in _forms(secret))
            must(not shown, "A secret is in a log, an output, an error, a receipt or a repr.")


def _forms(secret: str) -> set[str]:
    """A secret as it is, percent-encoded, and inside base64, where its place in a group of three matters."""
    forms = {secret, quote(secret, safe="")}
    data = secret.encode()
    for shift in range(3):
        begin, end = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
        forms.add(base64.b64encode(bytes(shift) + data)[begin:end].decode())
    return forms


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Every log record of the process, at its most talkative."""
    lines: list[str] = []
    handler = logging.Handler(logging.NOTSET)
    formatter = logging.Formatter("%(name)s %(message)s")
    handler.emit = lambda record: lines.append(formatter.format(record))  # type: ignore[method-assign]
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


@contextmanager
def _awake() -> Iterator[list[float]]:
    """The sleeps of this loop and of its threads, in seconds; they end at once. The service's own are left alone."""
    sleeps: list[float] = []
    loop, thread = asyncio.get_running_loop(), threading.current_thread()
    sleep_in_loop, sleep_in_thread = asyncio.sleep, time.sleep

    async def in_loop(delay: float, result: Any = None) -> Any:
        if delay > 0 and asyncio.get_running_loop() is loop:
            sleeps.append(delay)
            delay = 0
        return await sleep_in_loop(delay, result)

    def in_thread(delay: float) -> None:
        current = threading.current_thread()
        if current is thread or current.name.startswith("asyncio_"):
            sleeps.append(delay)
        else:
            sleep_in_thread(delay)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", in_loop)
        patch.setattr(time, "sleep", in_thread)
        yield sleeps
