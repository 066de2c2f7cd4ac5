"""The pages at the end of a subscription: only a POST ends it, every POST does, and a mistake can be taken back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from publisher.subscriber import Reading
from publisher.tokens import Purpose
from publisher.web.leaving import Regrets
from tests.visitors import ADDRESS, Visit, parse, visiting, words

ONE_CLICK = "List-Unsubscribe=One-Click"
MULTIPART = '--xyz\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--xyz--\r\n'


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    """A visitor."""
    with visiting(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """A visitor whom nothing is to come of: many tests share her."""
    with visiting(tmp_path_factory.mktemp("office")) as made:
        yield made


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "PROPFIND"])
def test_look__changes_nothing(passing: Visit, method: str) -> None:
    """What a scanner does with a link, by whatever method but POST, ends no subscription."""
    ref = passing.subscriber(f"{secrets.token_hex(4)}@example.org").ref
    for path in (
        passing.unsubscribe(ref),
        f"{passing.unsubscribe(ref)}/undo",
        f"{passing.unsubscribe(ref)}?List-Unsubscribe=One-Click",
    ):
        assert passing.client.request(method, path).status_code in (200, 405)
    assert passing.state(ref) == "active"


@pytest.mark.parametrize(
    ("kind", "body", "how"),
    [
        ("application/x-www-form-urlencoded", ONE_CLICK, "one-click"),
        ("multipart/form-data; boundary=xyz", MULTIPART, "one-click"),
        ("application/x-www-form-urlencoded", "", "page"),
        ("application/json", '{"a": 1}', "page"),
        ("multipart/form-data", "no boundary", "page"),
        ("multipart/form-data; boundary=xyz", "--xyz\r\n", "page"),
        ("text/plain\x80", "\x00\x01", "page"),
        ("", "%00%ff=%fe&&&;;;===", "page"),
    ],
)
def test_one_click__ends_the_subscription(passing: Visit, kind: str, body: str, how: str) -> None:
    """A POST ends the subscription at once, with no cookie and no redirect, however its body is written."""
    ref = passing.subscriber(f"{secrets.token_hex(4)}@example.org").ref
    headers = {"Content-Type": kind.encode("latin-1"), "User-Agent": "Mail/1.0"}
    with capture_logs() as logs:
        answer = passing.client.post(passing.unsubscribe(ref), content=body.encode(), headers=headers)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert passing.state(ref) == "unsubscribed"
    (told,) = [line for line in logs if line["event_name"] == "subscriber.left"]
    assert (told["how"], told["mailing"], told["ref"]) == (how, 7, ref)


def test_one_click__chunked(visit: Visit) -> None:
    """A body without a length is read too."""
    ref = visit.subscriber().ref
    body = iter([b"List-Unsub", b"scribe=One-Click"])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert visit.client.post(visit.unsubscribe(ref), content=body, headers=headers).status_code == 200
    assert visit.state(ref) == "unsubscribed"


def test_leave__again_and_again(visit: Visit) -> None:
    """Whoever has left can leave again, from any newsletter; the page says that it is done."""
    ref = visit.subscriber(reading=Reading.EN).ref
    for mailing in (1, 1, 2**32 - 1):
        answer = visit.client.post(visit.unsubscribe(ref, mailing), content=ONE_CLICK)
        assert answer.status_code == 200
        assert "You are unsubscribed" in words(answer.text)
    assert "You are unsubscribed" in words(visit.client.get(visit.unsubscribe(ref, 5)).text)


def test_leave__unknown_subscriber(passing: Visit) -> None:
    """A link of ours to somebody whose data has been deleted says that it is done."""
    for method in ("GET", "POST"):
        answer = passing.client.request(
            method, passing.unsubscribe("0123456789abcdef"), params={"lang": "en"}
        )
        assert answer.status_code == 200
        assert "not on our list any more" in words(answer.text)
        assert parse(answer.text).find(".//button") is None


@pytest.mark.parametrize(
    "token",
    [
        "x", "0123456789abcdef-0-00000000000000000000", "%00", "%E9%80%80", "..%2F..%2Fetc", "a" * 2000, "%0d%0aX:y",
        "<script>", "0123456789abcdef-0-", "'%20OR%201=1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_leave__no_token_of_ours(passing: Visit, token: str, method: str) -> None:
    """A broken or forged link gets a page that says what to do."""
    answer = passing.client.request(method, f"u/{token}", params={"lang": "en"})
    assert answer.status_code == 404
    parse(answer.text)
    if "%2F" not in token:
        assert "office@example.org" in words(answer.text)


def test_leave__token_for_another_purpose(visit: Visit) -> None:
    """A return address or a link to confirm ends no subscription."""
    ref = visit.subscriber().ref
    for purpose in (Purpose.BOUNCE, Purpose.CONFIRM):
        token = visit.tokens.sign(purpose, ref, 7)
        assert visit.client.post(f"u/{token}", content=ONE_CLICK).status_code == 404
    assert visit.state(ref) == "active"


@pytest.mark.parametrize("behind", [".", ",", ")", "%3E", "%E3%80%82", "%20", "="])
def test_leave__link_with_something_behind(passing: Visit, behind: str) -> None:
    """A link that a mail program took a punctuation mark into still works, in capitals too."""
    ref = passing.subscriber(f"{secrets.token_hex(4)}@example.org").ref
    path = passing.unsubscribe(ref)
    assert passing.client.post("u/" + path[2:].upper() + behind, content=ONE_CLICK).status_code == 200
    assert passing.state(ref) == "unsubscribed"


def test_button__leads_out_and_back(visit: Visit) -> None:
    """The page's own button ends the subscription, the next one takes it back, each once."""
    ref = visit.subscriber(reading=Reading.EN).ref
    page = visit.client.get(visit.unsubscribe(ref))
    assert "l***@mail.example.org" in words(page.text)
    assert ADDRESS not in page.text
    left = visit.client.post(action(page.text))
    assert visit.state(ref) == "unsubscribed"
    back = visit.client.post(action(left.text))
    assert "subscribed again" in words(back.text)
    assert visit.state(ref) == "active"
    visit.client.post(action(page.text))
    visit.client.post(action(left.text))
    assert visit.state(ref) == "active"


def test_undo__only_after_leaving(visit: Visit) -> None:
    """Without having left a short time ago, the way back is a new subscription."""
    ref = visit.subscriber(reading=Reading.EN).ref
    visit.audience.unsubscribe(ref, how="mail", detail="")
    answer = visit.client.post(f"{visit.unsubscribe(ref)}/undo")
    assert "Please subscribe again" in words(answer.text)
    assert visit.state(ref) == "unsubscribed"


def test_undo__not_for_somebody_else(visit: Visit) -> None:
    """One person's mistake brings nobody else back."""
    one, other = visit.subscriber(), visit.subscriber("chen@example.org")
    visit.audience.unsubscribe(other.ref, how="mail", detail="")
    visit.client.post(visit.unsubscribe(one.ref))
    visit.client.post(f"{visit.unsubscribe(other.ref)}/undo")
    assert visit.state(other.ref) == "unsubscribed"


def test_regrets__pass() -> None:
    """Half an hour later nobody has just left."""
    time = [0.0]
    regrets = Regrets(lambda: time[0])
    regrets.add("a")
    time[0] = 29 * 60
    assert regrets.has("a")
    time[0] = 31 * 60
    assert not regrets.has("a")
    assert not regrets.has("b")


@pytest.mark.parametrize(
    ("reading", "accepts", "tags"),
    [
        (Reading.ZH, "en", ["zh-Hans"]),
        (Reading.EN, "zh-CN", ["en"]),
        (Reading.BOTH, "en", ["zh-Hans", "en"]),
    ],
)
def test_page__in_the_subscribers_language(
    passing: Visit, reading: Reading, accepts: str, tags: list[str]
) -> None:
    """A subscriber is spoken to in the language of her newsletter, whatever her browser says."""
    ref = passing.subscriber(f"{secrets.token_hex(4)}@example.org", reading).ref
    for method in ("GET", "POST", "GET"):
        text = passing.client.request(
            method, passing.unsubscribe(ref), headers={"Accept-Language": accepts}
        ).text
        tree = parse(text)
        assert tree.get("lang") == tags[0]
        assert [span.get("lang") for span in tree.findall(".//h1/span")] == tags


def test_leave__leaves_no_trace_in_the_log(visit: Visit, caplog: pytest.LogCaptureFixture) -> None:
    """Neither an address nor a token is logged."""
    subscriber = visit.subscriber()
    path = visit.unsubscribe(subscriber.ref)
    with capture_logs() as logs:
        for method in ("GET", "POST", "GET", "POST"):
            visit.client.request(method, path)
        visit.client.post(f"{path}/undo")
    said = f"{logs}{[r.getMessage() for r in caplog.records if not r.name.startswith('http')]}"
    assert "subscriber.left" in said
    assert ADDRESS not in said
    assert path[2:] not in said


def action(text: str) -> str:
    """Where the page's form posts to, as this visitor reaches it."""
    form = parse(text).find(".//form")
    assert form is not None
    return str(form.get("action"))
