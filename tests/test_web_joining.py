"""The form to subscribe: nobody is subscribed without her own click, and no answer says who is on the list."""

from __future__ import annotations

import email
import email.policy
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from channels.doubles.smtp import SmtpDouble
from channels.mailing import SubscribersAdapter, SubscribersSettings
from publisher.channel import Fate, SignInFailed
from publisher.subscriber import Reading
from publisher.tokens import Purpose
from publisher.web import outbox
from publisher.web.joining import Limits
from tests.visitors import ADDRESS, Visit, parse, visiting, words


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


def link(visit: Visit) -> str:
    """The path in the letter that has just arrived."""
    letter, payload = visit.letters()[-1]
    assert letter.address == ADDRESS
    (line,) = {line for line in payload.text.splitlines() if line.startswith("http")}
    assert f'href="{line}"' in payload.html
    return line.removeprefix("http://127.0.0.1/news/")


def test_subscribe__takes_two_steps(visit: Visit) -> None:
    """Form, letter, look, click: only the click subscribes; what she agreed to is kept word for word."""
    page = visit.client.get("subscribe", params={"lang": "en"})
    consent = parse(page.text).find(".//span[@class='web-consent']")
    assert consent is not None and consent.text
    assert "Please check your e-mail" in words(visit.fill_in(name="林若兰").text)
    path = link(visit)
    ref = visit.mail.sent[0][0].ref
    for method in ("GET", "HEAD", "OPTIONS"):
        visit.client.request(method, path)
    assert visit.state(ref) == "pending"
    assert "l•••@mail.example.org" in words(visit.client.get(path).text)
    for _ in range(2):
        assert "You are subscribed" in words(visit.client.post(path).text)
    subscriber = visit.audience.of_ref(ref)
    assert subscriber is not None
    assert (subscriber.state, subscriber.reading, subscriber.name) == ("active", Reading.EN, "林若兰")
    assert (subscriber.lists, subscriber.address) == (("news",), ADDRESS)
    assert subscriber.consent.text == consent.text
    assert subscriber.consent.at is not None


def test_subscribe__same_answer_for_everybody(visit: Visit) -> None:
    """New, asked before, subscribed, unsubscribed, a program: the answer is the same to the byte."""
    subscribed, gone = visit.subscriber("one@example.org"), visit.subscriber("two@example.org")
    visit.audience.unsubscribe(gone.ref, how="page", detail="")
    addresses = [ADDRESS, ADDRESS, subscribed.address, gone.address]
    answers = [visit.fill_in(address=address) for address in addresses] + [
        visit.fill_in(website="spam.example")
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert visit.state(subscribed.ref) == "active"
    assert visit.state(gone.ref) != "active"


def test_subscribe__takes_the_same_time(tmp_path: Path) -> None:
    """An answer that needs no letter takes no less time than is set."""
    with visiting(tmp_path, even=0.3) as visit:
        visit.subscriber()
        begun = time.monotonic()
        visit.fill_in()
        assert time.monotonic() - begun >= 0.3


def test_subscribe__program_gets_no_letter(visit: Visit) -> None:
    """A form whose hidden field is filled in is not acted upon."""
    visit.fill_in(website="https://spam.example")
    visit.fill_in(address="next@example.org")
    assert [one.address for one, _ in visit.letters()] == ["next@example.org"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"address": ""}, "address is not complete"),
        ({"address": "nobody"}, "address is not complete"),
        ({"address": "a@"}, "address is not complete"),
        ({"address": "a@b@c.example"}, "address is not complete"),
        ({"address": "a b@example.org"}, "address is not complete"),
        ({"address": "a@example.org, b@example.org"}, "address is not complete"),
        ({"address": "a@exa mple.org"}, "address is not complete"),
        ({"address": "a@example.org\r\nBcc: b@example.org"}, "address is not complete"),
        ({"address": f"{'a' * 300}@example.org"}, "address is not complete"),
        ({"name": "n" * 101}, "too long"),
        ({"consent": ""}, "tick the box"),
        ({"consent": "yes"}, "tick the box"),
    ],
)
def test_subscribe__mends(passing: Visit, typed: dict[str, str], says: str) -> None:
    """What cannot be taken is said at its field; what was typed is still there, and nobody gets a letter."""
    answer = passing.fill_in(**typed)
    assert answer.status_code == 400
    assert says in words(answer.text)
    tree = parse(answer.text)
    assert len(tree.findall(".//*[@aria-invalid]")) == 1
    kept = tree.find(".//input[@id='address']")
    assert kept is not None
    assert kept.get("value") == " ".join(typed.get("address", ADDRESS).split())
    assert passing.mail.sent == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"address=%00%00&name=%ff%fe"),
        ("application/x-www-form-urlencoded", b"\x00" * 9000),
        ("application/x-www-form-urlencoded", b"a=1&" * 4000),
        ("multipart/form-data; boundary=" + "x" * 500, b"--" + b"x" * 500),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" * 200),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="address"; filename="a"\r\n\r\n\x00\r\n--x--'),
        ("application/json", b'{"address": "a@example.org"}'),
        ("text/html; charset=utf-16", b"\xff\xfea\x00"),
    ],
)  # fmt: skip
def test_subscribe__whatever_comes(passing: Visit, kind: str, body: bytes) -> None:
    """What no form of ours sends is answered with the form."""
    answer = passing.client.post("subscribe", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    parse(answer.text)
    assert passing.mail.sent == []


def test_subscribe__control_characters(visit: Visit) -> None:
    """No line break and no control character gets into a name."""
    visit.fill_in(name="Lin\r\nBcc: x\x00\x1b[31m\u2028\x85Y")
    letter, _ = visit.letters()[-1]
    assert letter.name == "Lin Bcc: x [31m Y"


@pytest.mark.parametrize("path", ["subscribe", "u/x", "c/x", "u/{token}"])
def test_post__too_large(passing: Visit, path: str) -> None:
    """A body of more than we would ever read is refused, with its length or without."""
    ref = passing.subscriber(f"{secrets.token_hex(4)}@example.org").ref
    path = path.format(token=passing.unsubscribe(ref)[2:])
    bodies: list[bytes | Iterator[bytes]] = [b"a" * 20_000, iter([b"a" * 1000] * 20)]
    for body in bodies:
        answer = passing.client.post(path, content=body)
        assert answer.status_code == (404 if path.endswith("/x") else 413)
    assert passing.state(ref) == "active"


def test_consent__other_words(visit: Visit, tmp_path: Path) -> None:
    """Nobody agrees to words that were changed after she had read them."""
    page = parse(visit.client.get("subscribe", params={"lang": "en"}).text)
    mark = page.find(".//input[@name='consent']")
    assert mark is not None
    assert visit.fill_in(lang="zh", consent=str(mark.get("value"))).status_code == 400
    assert visit.mail.sent == []


def test_limits__one_address(tmp_path: Path) -> None:
    """Nobody's mailbox is filled: the answer stays the same, the letters stop."""
    with visiting(tmp_path, limits=Limits(address=2, client=100)) as visit:
        answers = [
            visit.fill_in(address=address)
            for address in (ADDRESS, ADDRESS.upper(), f"Lin <{ADDRESS}>", ADDRESS)
        ]
        visit.fill_in(address="last@example.org")
        assert len({answer.text for answer in answers}) == 1
        assert [one.address.lower() for one, _ in visit.letters(3)] == [ADDRESS, ADDRESS, "last@example.org"]


def test_limits__one_client(tmp_path: Path) -> None:
    """A client that a trusted proxy names is stopped after so many forms; others, and those who leave, are not."""
    with visiting(tmp_path, trusted="127.0.0.1", limits=Limits(client=2)) as visit:
        ref = visit.subscriber("old@example.org").ref

        def answer(number: int, client: str) -> int:
            visit.client.headers["X-Forwarded-For"] = client
            return visit.fill_in(address=f"a{number}@example.org").status_code

        seen = [answer(number, "203.0.113.9") for number in range(4)]
        forged = answer(5, "198.51.100.1, 203.0.113.9")
        assert (seen, forged) == ([200, 200, 429, 429], 429)
        assert [answer(6, "2001:db8::1"), answer(7, "2001:db8::2"), answer(8, "2001:db8::3")] == [
            200,
            200,
            429,
        ]
        assert answer(9, "203.0.113.10") == 200
        visit.client.headers["X-Forwarded-For"] = "203.0.113.9"
        assert visit.client.post(visit.unsubscribe(ref)).status_code == 200


def test_limits__proxy_that_is_not_trusted(tmp_path: Path) -> None:
    """What a visitor says of herself counts for nothing, and a proxy that is not trusted shuts nobody out."""
    with visiting(tmp_path, limits=Limits(client=1)) as visit:
        visit.client.headers["X-Forwarded-For"] = "203.0.113.9"
        assert [visit.fill_in(address=f"a{n}@example.org").status_code for n in range(3)] == [200] * 3


def test_limits__in_all(tmp_path: Path) -> None:
    """However many addresses and clients there are, only so many letters go out."""
    with visiting(tmp_path, limits=Limits(total=2)) as visit, capture_logs() as logs:
        for number in range(4):
            assert visit.fill_in(address=f"a{number}@example.org").status_code == 200
    assert len([line for line in logs if line["event_name"] == "web.limited"]) == 2


@pytest.mark.parametrize("token", ["x", "0123456789abcdef-0-00000000000000000000", "%00"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_confirm__no_token_of_ours(passing: Visit, token: str, method: str) -> None:
    """A broken or forged link confirms nothing, and its page says what to do."""
    answer = passing.client.request(method, f"c/{token}", params={"lang": "en"})
    assert answer.status_code == 404
    assert "office@example.org" in words(answer.text)


def test_confirm__token_for_another_purpose(visit: Visit) -> None:
    """The link at the end of a newsletter confirms nothing."""
    asked = visit.audience.request(ADDRESS, "", Reading.EN, ("news",), how="test", text="yes")
    assert asked is not None
    token = visit.tokens.sign(Purpose.UNSUBSCRIBE, asked.ref)
    assert visit.client.post(f"c/{token}").status_code == 404
    assert visit.state(asked.ref) == "pending"


def test_confirm__after_leaving(visit: Visit) -> None:
    """Whoever has left comes back by asking and confirming: neither by asking alone, nor by an old letter."""
    visit.fill_in()
    old = link(visit)
    visit.client.post(old)
    ref = visit.mail.sent[0][0].ref
    visit.client.post(visit.unsubscribe(ref))
    for method in ("GET", "POST"):
        assert "no longer valid" in words(visit.client.request(method, old).text)
    assert visit.state(ref) == "unsubscribed"
    visit.fill_in()
    visit.letters(2)
    assert visit.state(ref) == "pending"
    assert "You are subscribed" in words(visit.client.post(link(visit)).text)
    assert visit.state(ref) == "active"


def test_confirm__unknown_subscriber(visit: Visit) -> None:
    """A link to somebody whose data has been deleted leads to the form."""
    token = visit.tokens.sign(Purpose.CONFIRM, "0123456789abcdef")
    for method in ("GET", "POST"):
        assert "no longer valid" in words(visit.client.request(method, f"c/{token}?lang=en").text)


def test_letter__leads_out_too(visit: Visit) -> None:
    """The letter carries the address that ends it all, and its own return address."""
    visit.fill_in()
    letter, payload = visit.letters()[-1]
    named = visit.tokens.read(Purpose.UNSUBSCRIBE, letter.token)
    assert named is not None and named.ref == letter.ref
    assert letter.unsubscribe == f"http://127.0.0.1/news/u/{letter.token}"
    assert visit.tokens.read(Purpose.BOUNCE, letter.bounce) is not None
    assert "Example Association" in payload.subject
    parse(payload.html)


def test_letter__by_a_real_mail_server(tmp_path: Path) -> None:
    """The newsletter's own adapter takes the letter as it takes a newsletter, with a Message-ID for each."""
    double = SmtpDouble(str(tmp_path / "double"))
    settings = {key.lower(): value for key, value in double.start().items() if key != "TO"}
    adapter = SubscribersAdapter("letters", SubscribersSettings.model_validate(settings), tmp_path)
    try:
        with visiting(tmp_path, channel=adapter) as visit:
            for lang in ("zh", "both"):
                visit.fill_in(lang)
            for _ in range(100):
                if len(received := double.received()) == 2:
                    break
                time.sleep(0.05)  # the mail server is another thread, and says nothing
            files = [line.rpartition("(")[2].rstrip(")") for line in received]
            mails = [
                email.message_from_bytes(Path(f).read_bytes(), policy=email.policy.default) for f in files
            ]
            text = mails[1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
            (path,) = {
                line.removeprefix("http://127.0.0.1/news/")
                for line in text.splitlines()
                if line.startswith("http://127.0.0.1/news/")
            }
            assert "You are subscribed" in words(visit.client.post(path).text)
    finally:
        double.stop()
    assert len({mail["Message-ID"] for mail in mails}) == 2
    assert mails[0]["Subject"] == "请确认订阅：示例国际交流协会"
    assert mails[1]["To"] == ADDRESS
    assert "news/u/" in mails[1]["List-Unsubscribe"]


def test_letter__tried_again(visit: Visit) -> None:
    """A mail server that puts a stranger off gets the letter again; the log names no address."""
    visit.mail.faults = [lambda: Fate.DEFERRED, lambda: Fate.UNSENT]
    with capture_logs() as logs:
        visit.fill_in()
        visit.letters()
    assert ADDRESS not in str(logs)
    assert [line["event_name"] for line in logs].count("confirmation.failed") == 2


def test_letter__cannot_be_sent(visit: Visit) -> None:
    """A channel that is not signed in costs a letter and nothing else; the log says why, and to nobody whom."""

    def fail() -> Fate:
        raise SignInFailed(f"The password was refused for {ADDRESS}.")

    visit.mail.faults = [fail, lambda: Fate.REFUSED]
    with capture_logs() as logs:
        for _ in range(2):
            assert visit.fill_in().status_code == 200
        visit.fill_in(address="next@example.org")
        visit.letters()
    failed = [line for line in logs if line["event_name"] == "confirmation.failed"]
    assert [line["error"] for line in failed] == ["SignInFailed", "DeliveryError"]
    assert "password was refused for ***" in failed[0]["reason"]
    assert ADDRESS not in str(logs)


def test_subscribe__without_a_channel_that_mails(tmp_path: Path) -> None:
    """An office that mails to nobody offers no form, says how else, and lets people leave."""
    with visiting(tmp_path, mailing=False) as visit:
        for method in ("GET", "POST"):
            answer = visit.client.request(method, "subscribe", params={"lang": "en"})
            assert answer.status_code == 404
            assert "office@example.org" in words(answer.text)
        ref = visit.subscriber().ref
        visit.client.post(visit.unsubscribe(ref))
        assert visit.state(ref) == "unsubscribed"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits between two tries."""
    monkeypatch.setattr(outbox, "AGAIN", tuple(wait * 0 for wait in outbox.AGAIN))
