"""The conformance kit for services that speak HTTP: every way an exchange can fail, and what it must end in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from typing import ClassVar

import pytest

from publisher import clock
from publisher.channel import (
    AlreadyThere,
    DeliveryError,
    OutcomeUnknown,
    Receipt,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
)
from publisher.testing.bench import NAMED, AnyAdapter, Step, Trouble, case, must
from publisher.testing.conformance import KEY, AdapterConformance
from publisher.testing.exchange import (
    Answer,
    At,
    Cut,
    Echo,
    Endless,
    Fault,
    Late,
    Raw,
    Request,
    Response,
    Stall,
    Trickle,
    Truncated,
    Where,
)
from publisher.testing.loopback import LoopbackServer

Errors = tuple[type[DeliveryError], ...]

_PACE = 0.01
"""Seconds between the bytes of an answer that takes its time: each comes soon, the whole one too late."""
LOST: tuple[Fault, ...] = (
    Cut(At.ACTED),
    Cut(At.ACTED, Where.MIDDLE),
    Stall(At.ACTED),
    Truncated(20),
    Truncated(0),
    Trickle(_PACE),
    Endless(),
)
"""The service has acted, and its answer is lost."""
ACTED: tuple[Fault, ...] = (
    *LOST,
    *(Cut(At.ACTED, where) for where in Where if where not in (Where.NOWHERE, Where.MIDDLE)),
    *(Cut(At.ACTED, where, reset=True) for where in (Where.NOWHERE, Where.HEADERS, Where.MIDDLE)),
    *(Stall(At.ACTED, where) for where in (Where.STATUS, Where.HEADERS, Where.MIDDLE)),
    Trickle(_PACE, Where.NOWHERE),
)
"""The same at every kind of place in the answer, which matters most for a post."""
_PAGE = Answer(Response.html("<h1>An error has occurred</h1>"))
_NO_ANSWERS = (
    Response(200),
    *(Response(200, data) for data in (b"[]", b"{}", b"null", b'{"id": {}, "url": 7}', b"[" * 99_999)),
    Response(200, b"not packed", {"Content-Encoding": "gzip"}),
)
_NEVER_FINAL = Raw(b"", more=b"HTTP/1.1 100 Continue\r\n\r\n" * 99)
"""A server that asks for ever to go on."""
NOT_ACTED: tuple[Fault, ...] = (
    *(fault(at) for at in (At.CONNECTED, At.READ) for fault in (Cut, Stall)),
    Raw(b"garbage\r\n\r\n"),
    Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
    Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}"),
    Raw(b"HTTP/1.1 200 OK\r\n", more=b"X-More: and more\r\n" * 99),
    _NEVER_FINAL,
    _PAGE,
    *map(Answer, _NO_ANSWERS),
)
"""The service has not acted, and what it says does not tell: an error page with status 200 among them."""
UNREADABLE: tuple[Fault, ...] = (
    *(Cut(At.CONNECTED), Cut(At.READ), Stall(At.READ), Truncated(9), Endless(), _PAGE, Answer(Response(200))),
    *(Cut(At.ACTED, where) for where in (Where.STATUS, Where.HEADERS, Where.MIDDLE, Where.LAST)),
    *(Cut(At.ACTED, Where.MIDDLE, reset=True), Stall(At.ACTED, Where.MIDDLE), Raw(b"HTTP/1.1 2")),
    Answer(Response(200, b"[" * 99_999)),
    *(Answer(Response.json({"error": "x"}, status)) for status in (500, 503)),
)
"""Answers to a question that are no answer."""
_REFUSED, _WAIT, _DOUBT = (SignInFailed,), (Throttled,), (OutcomeUnknown,)
MEANING: Mapping[int, Errors] = {
    400: (Rejected,), 401: _REFUSED, 403: _REFUSED, 404: (Rejected, SignInFailed, OutcomeUnknown), 408: _DOUBT,
    409: (Rejected, AlreadyThere, OutcomeUnknown), 413: (Rejected,), 422: (Rejected,), 429: _WAIT,
    500: _DOUBT, 502: _DOUBT, 503: (OutcomeUnknown, Throttled), 504: _DOUBT,
}  # fmt: skip
"""What a status may end in, where the request may change something."""
REDIRECTS = (301, 302, 303, 307, 308)
LONGEST_WAIT = timedelta(days=1)
"""However long a service asks to wait, a delivery cannot wait for more."""
_A_WHILE = timedelta(seconds=120)


def _meant(request: Request, method: str, path: str) -> bool:
    return request.method == method and request.path.startswith(path)


def _is_early(fault: Fault) -> bool:
    """Whether the connection fails before the request is read."""
    return isinstance(fault, Cut | Stall) and fault.at is At.CONNECTED


def _is_silent(fault: Fault) -> bool:
    """Whether only our own patience ends it."""
    return isinstance(fault, Stall | Late | Trickle | Endless) or fault == _NEVER_FINAL


WAITS: Mapping[str, str] = {
    "seconds": "120", "zero": "0", "negative": "-120", "fraction": "1.5", "days": "2592000", "a lifetime": "9" * 11,
    "absurd": "9" * 99, "garbage": "soon", "empty": "",
}  # fmt: skip
"""What Retry-After may say besides a date."""


def _retry_after(form: str) -> Mapping[str, str]:
    dates = {"date": _A_WHILE, "past date": -_A_WHILE, "far date": timedelta(days=40_000)}
    if form in dates:
        return {"Retry-After": format_datetime(clock.now() + dates[form], usegmt=True)}
    return {"Retry-After": WAITS[form]} if form in WAITS else {}


def _short(value: object) -> str:
    return repr(value)[:60]


class HttpConformance(AdapterConformance):
    """The cases of :class:`AdapterConformance`, and those of HTTP.

    ``server`` is the loopback server the service runs on; set it, and ``secrets``, in ``start``.
    """

    server: LoopbackServer
    creates: ClassVar[tuple[str, str]] = ("POST", "")
    """Method, and beginning of the path, of the request that makes a post."""
    updates: ClassVar[tuple[str, str]] = ("PUT", "")
    retracts: ClassVar[tuple[str, str]] = ("DELETE", "")
    meaning: ClassVar[Mapping[int, Errors]] = MEANING
    """Override it for a service whose documentation gives a status another meaning."""

    @abstractmethod
    def count(self) -> int:
        """How many posts people can see on the service now."""

    def asked(self) -> int:
        """How many requests asked to make a post."""
        return sum(_meant(one, *self.creates) for one in tuple(self.server.requests))

    def settle(self) -> None:
        """Returns once the request that makes a post has been worked on."""
        method, path = self.creates
        self.server.wait_until_acted(method=method, path=path)

    def inject(self, trouble: Trouble, step: Step) -> None:
        """The trouble, as HTTP has it."""
        if trouble is Trouble.UNAVAILABLE:
            self.server.stop()
            return
        self.fail(_FAULTS[trouble], step)

    def fail(self, fault: Fault, step: Step, times: int = 1) -> None:
        """The next ``times`` requests that do ``step`` meet ``fault``."""
        asking = {Step.PUBLISH: self.creates, Step.UPDATE: self.updates, Step.RETRACT: self.retracts}
        method, path = ("", "") if _is_early(fault) else asking.get(step, ("GET", ""))
        self.server.inject(fault, method=method, path=path, times=times)

    # --- Publish -------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fault", ACTED, ids=_short)
    @case
    async def test_http_publish__answer_lost(self, fault: Fault) -> None:
        """Where the answer to a post is lost, the outcome is unknown, the post is found, and there is one."""
        await self._doubtful(fault, acted=True)

    @pytest.mark.parametrize("fault", NOT_ACTED, ids=_short)
    @case
    async def test_http_publish__answer_says_nothing(self, fault: Fault) -> None:
        """What could have been published is an unknown outcome, an error page with status 200 included."""
        await self._doubtful(fault, acted=False)

    @pytest.mark.parametrize("status", MEANING)
    @case
    async def test_http_publish__status(self, status: int) -> None:
        """Each refusal is named for what happens next, after one request, and nothing is posted."""
        adapter = self.connect()
        self.fail(Answer(Response.json({"error": "Not today"}, status)), Step.PUBLISH)
        await self.refusal(adapter.publish(self._payload(adapter), KEY), *self.meaning[status])
        must(self.asked() == 1, f"After one {status} the service was asked {self.asked()} times.")
        must(self.count() == 0, f"After a {status} the service has {self.count()} posts.")

    @pytest.mark.parametrize("status", [401, 403, 413, 422, 429, 500, 502])
    @case
    async def test_http_publish__status_with_a_page(self, status: int) -> None:
        """A web page instead of the service's own words changes no meaning."""
        adapter = self.connect()
        self.fail(Answer(Response.html("<h1>nginx</h1>", status)), Step.PUBLISH)
        await self.refusal(adapter.publish(self._payload(adapter), KEY), *self.meaning[status])

    @pytest.mark.parametrize("form", [*WAITS, "date", "past date", "far date", "none"])
    @case
    async def test_http_publish__asked_to_wait(self, form: str) -> None:
        """The wait is read from Retry-After where that says one, within bounds; nobody waits inside the adapter."""
        adapter = self.connect()
        self.fail(Answer(Response.json({"error": "Too many"}, 429, _retry_after(form))), Step.PUBLISH)
        error = await self.refusal(adapter.publish(self._payload(adapter), KEY), Throttled)
        told = error.retry_after if isinstance(error, Throttled) else None
        if form in ("seconds", "date"):
            near = told is not None and abs(told - _A_WHILE) < timedelta(seconds=10)
            must(near, f"Retry-After said 120 seconds ({form}), and the adapter says {told}.")
        bounded = told is None or timedelta() <= told <= LONGEST_WAIT
        must(bounded, f"The adapter says to wait {told} ({form}).")
        must(self.asked() == 1, f"Asked to wait, the adapter asked {self.asked()} times.")

    @pytest.mark.parametrize("form", ["seconds", "date", "negative", "garbage"])
    @case
    async def test_http_publish__busy(self, form: str) -> None:
        """A 503 that says how long to wait is waited for, or nobody knows; it is no reason to ask again at once."""
        adapter = self.connect()
        self.fail(Answer(Response.json({"error": "Busy"}, 503, _retry_after(form))), Step.PUBLISH)
        await self.refusal(adapter.publish(self._payload(adapter), KEY), *self.meaning[503])
        must(self.asked() == 1, f"Answered 503, the adapter asked {self.asked()} times.")

    # --- Check ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fault", UNREADABLE, ids=_short)
    @case
    async def test_http_check__trouble_is_no_answer(self, fault: Fault) -> None:
        """A service that cannot be understood is not one that lets us in."""
        adapter = self.connect(hasty=_is_silent(fault))
        self.fail(fault, Step.CHECK)
        await self.refusal(adapter.check(), *NAMED)

    # --- Find ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fault", UNREADABLE, ids=_short)
    @case
    async def test_http_find__trouble_is_no_answer(self, fault: Fault) -> None:
        """An answer that cannot be read never means that the post is not there."""
        patient = self.connect()
        self.skip_unless(patient.can_find, "The service cannot be asked.")
        payload = self._payload(patient)
        await self.receipt(patient.publish(payload, KEY))
        adapter = self.connect(hasty=_is_silent(fault))
        self.fail(fault, Step.FIND)
        await self.refusal(adapter.find(KEY, payload), Unavailable, Throttled, OutcomeUnknown)

    # --- Update and retract --------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "fault", [*LOST, *(fault for fault in NOT_ACTED if fault != _NEVER_FINAL)], ids=_short
    )
    @pytest.mark.parametrize("step", [Step.UPDATE, Step.RETRACT])
    @case
    async def test_http_change__answer_lost(self, step: Step, fault: Fault) -> None:
        """An update or a retraction without a readable answer is unknown, and a repetition completes it."""
        patient = self.connect()
        self._need_change(patient, step)
        made = await self.receipt(patient.publish(self._payload(patient), KEY))
        adapter = self.connect(hasty=_is_silent(fault))
        self.fail(fault, step)
        await self.refusal(self.change(adapter, step, made), *self._doubt(fault))
        await self.receipt(self.change(patient, step, made))
        left = int(step is not Step.RETRACT)
        must(self.count() == left, f"After a repeated {step} the service has {self.count()} posts.")

    @pytest.mark.parametrize("status", [status for status in MEANING if status != 404])
    @pytest.mark.parametrize("step", [Step.UPDATE, Step.RETRACT])
    @case
    async def test_http_change__status(self, step: Step, status: int) -> None:
        """Each refusal of an update or a retraction is named as one of a post; 404 is the service's own matter."""
        adapter = self.connect()
        self._need_change(adapter, step)
        made = await self.receipt(adapter.publish(self._payload(adapter), KEY))
        before = self._sent(step)
        self.fail(Answer(Response.json({"error": "Not today"}, status)), step)
        await self.refusal(self.change(adapter, step, made), *self.meaning[status])
        sent = self._sent(step) - before
        must(sent == 1, f"After one {status} the adapter sent {sent} requests.")
        must(self.count() == 1, f"After a refused {step} the service has {self.count()} posts.")

    # --- Another host --------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", REDIRECTS)
    @pytest.mark.parametrize("step", [Step.CHECK, Step.PUBLISH, Step.FIND, Step.UPDATE, Step.RETRACT])
    @case
    async def test_http_redirect__is_not_followed(self, step: Step, status: int) -> None:
        """Another host hears nothing, and so gets no token, wherever a redirect points."""
        adapter = self.connect()
        call = await self._step(adapter, step)
        other = LoopbackServer(_listen)
        moved = Response(status, headers={"Location": f"{other.start()}/somewhere"})
        try:
            self.fail(Answer(moved), step, times=2)
            await self.refusal(call(), *NAMED)
        finally:
            other.stop()
        must(not other.requests, "The adapter followed a redirect to another host.")

    # --- Secrets -------------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 422, 429, 500])
    @case
    async def test_http_secret__is_not_repeated(self, status: int) -> None:
        """A service that repeats our secret in an answer does not bring it into an error or a log."""
        adapter = self.connect()
        secret = " ".join(self.secrets)
        headers = {"Location": f"https://{'.'.join(self.secrets)}.example/?token={secret}", "X-Echo": secret}
        self.fail(Answer(Response.json({"error": f"Bearer {secret}"}, status, headers)), Step.PUBLISH)
        await self.refusal(adapter.publish(self._payload(adapter), KEY), *NAMED)

    @pytest.mark.parametrize("step", [Step.CHECK, Step.PUBLISH, Step.FIND, Step.UPDATE, Step.RETRACT])
    @case
    async def test_http_secret__in_a_right_answer(self, step: Step) -> None:
        """A service that repeats our secret where all went well does not bring it into a receipt."""
        adapter = self.connect()
        call = await self._step(adapter, step)
        if step is Step.FIND:
            await self.receipt(adapter.publish(self._payload(adapter), KEY))
        self.fail(Echo(" ".join(self.secrets)), step)
        must(await self.answered(call()), f"{step} of a right answer gave nothing.")

    # --- The ways the cases share --------------------------------------------------------------------

    async def _doubtful(self, fault: Fault, *, acted: bool) -> None:
        adapter = self.connect(hasty=_is_silent(fault))
        payload = self._payload(adapter)
        self.fail(fault, Step.PUBLISH)
        await self.refusal(adapter.publish(payload, KEY), *self._doubt(fault))
        await self.must_be_reconciled(adapter, payload, acted=acted)

    def _doubt(self, fault: Fault) -> Errors:
        """What a fault ends in that leaves open whether the service has acted."""
        return (OutcomeUnknown, Unavailable) if self.prepares and _is_early(fault) else _DOUBT

    def _sent(self, step: Step) -> int:
        """How many requests asked to change a post."""
        method, path = self.updates if step is Step.UPDATE else self.retracts
        return sum(_meant(one, method, path) for one in tuple(self.server.requests))

    async def _step(self, adapter: AnyAdapter, step: Step) -> Callable[[], Awaitable[object]]:
        """What does ``step``, once what it needs is there; skips the case where the service cannot do it."""
        payload = self._payload(adapter)
        if step is Step.CHECK:
            return adapter.check
        if step is Step.PUBLISH:
            return partial(adapter.publish, payload, KEY)
        if step is Step.FIND:
            self.skip_unless(adapter.can_find, "The service cannot be asked.")
            return partial(adapter.find, KEY, payload)
        self._need_change(adapter, step)
        made: Receipt = await self.receipt(adapter.publish(payload, KEY))
        return partial(self.change, adapter, step, made)


async def _listen(request: Request) -> Response:
    """What another host would answer: everything one could wish for."""
    return Response.json({"id": "1", "url": "https://elsewhere.example/1"})


_FAULTS: Mapping[Trouble, Fault] = {
    Trouble.REJECTED: Answer(Response.json({"error": "Not this text"}, 422)),
    Trouble.SIGN_IN_REFUSED: Answer(Response.json({"error": "Who are you?"}, 401)),
    Trouble.THROTTLED: Answer(Response.json({"error": "Too many"}, 429)),
    Trouble.LOST_BEFORE: Cut(At.READ),
    Trouble.LOST_AFTER: Cut(At.ACTED),
    Trouble.SILENT: Stall(At.ACTED),
    Trouble.LATE: Late(),
}
