"""What holds for every page: valid, in the right language, secret addresses kept secret, at home in any folder."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from publisher.errors import PublisherError
from publisher.subscriber import Reading
from publisher.web import form, server
from publisher.web.page import masked, preferred
from tests.visitors import Visit, parse, visiting, words

PATHS = [
    "",
    "subscribe",
    "subscribe?lang=zh",
    "subscribe?lang=en",
    "subscribe?lang=xx",
    "u/x",
    "c/x",
    "nothing?lang=zh",
]


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


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accepts", ["zh-CN,zh;q=0.9,en;q=0.8", "en-GB,en", "fr", "*", ";;q=,,\x80"])
def test_page__valid_and_marked(passing: Visit, path: str, accepts: str) -> None:
    """Every page parses without an error, has one heading, and every text stands under its language."""
    answer = passing.client.get(path, headers={"Accept-Language": accepts.encode("latin-1")})
    tree = parse(answer.text)
    assert len(tree.findall(".//h1")) == 1
    assert tree.find(".//script") is None
    assert not [e for e in tree.iter() if any(name == "style" or name.startswith("on") for name in e.attrib)]
    for element in tree.iter():
        for text in (element.text or "",):
            if any("\u4e00" <= letter <= "\u9fff" for letter in text):
                assert lang_of(tree, element).startswith("zh"), text


def lang_of(tree: object, element: object) -> str:
    """The language an element stands under."""
    parents = {child: parent for parent in tree.iter() for child in parent}  # type: ignore[attr-defined]
    while element is not None:
        if found := element.get("lang"):  # type: ignore[attr-defined]
            return str(found)
        element = parents.get(element)
    return ""


@pytest.mark.parametrize("path", [*PATHS, "web.css", "healthz"])
@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
def test_answer__headers(passing: Visit, path: str, method: str) -> None:
    """Whatever is asked, the answer lets nothing run, tells no other site where it was, and is not indexed."""
    headers = passing.client.request(method, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-robots-tag"] == "noindex, nofollow"
    assert headers["x-content-type-options"] == "nosniff"
    assert ("max-age" in headers["cache-control"]) == (path == "web.css" and method == "GET")
    assert path == "web.css" or "no-store" in headers["cache-control"]
    assert "server" not in headers and "set-cookie" not in headers and "location" not in headers


@pytest.mark.parametrize("folder", ["", "news", "a/b"])
@pytest.mark.parametrize("passed_on", [True, False])
def test_folder__either_way(tmp_path: Path, folder: str, passed_on: bool) -> None:
    """Below a folder of somebody else's site, whether the proxy passes the folder on or takes it off."""
    root = f"/{folder}/" if folder else "/"
    with visiting(tmp_path, url=f"https://example.org{root}") as visit:
        before = root if passed_on else "/"
        page = parse(visit.client.get(before).text)
        style = page.find(".//link[@rel='stylesheet']")
        step = page.find(".//a[@class='web-button']")
        assert style is not None and style.get("href") == f"{root}web.css"
        assert step is not None and step.get("href") == f"{root}subscribe"
        assert visit.client.get(f"{before}subscribe").status_code == 200
        assert visit.client.get(f"{before}web.css").text.startswith("/*")
        ref = visit.subscriber().ref
        assert visit.client.post(before + visit.unsubscribe(ref)).status_code == 200
        assert visit.state(ref) == "unsubscribed"
        assert visit.client.get(f"{root}nothing").status_code == 404


@pytest.mark.parametrize(
    ("accepts", "reading"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-Hant-TW", "zh"),
        ("en-US,en;q=0.5", "en"),
        ("fr,en;q=0.3,zh;q=0.2", "en"),
        ("en;q=0,zh;q=0.001", "zh"),
        ("en;q=nonsense", "both"),
        ("fr", "both"),
        ("", "both"),
        ("*", "both"),
        (",;,q=1;", "both"),
        ("zh" * 5000, "both"),
    ],
)
def test_preferred(accepts: str, reading: str) -> None:
    """The one of our languages that the browser puts first, both where it names neither."""
    request = Request({"type": "http", "headers": [(b"accept-language", accepts.encode())]})
    assert preferred(request) == Reading(reading)


@pytest.mark.parametrize(
    ("address", "shown"),
    [("lin@example.org", "l***@example.org"), ("林@例子.example", "林***@例子.example"), ("a@b", "a***@b")],
)
def test_masked(address: str, shown: str) -> None:
    """The first letter and the domain."""
    assert masked(address) == shown


def test_healthz__says_nothing(passing: Visit) -> None:
    """A watch learns that it runs, and nothing else."""
    assert passing.client.get("healthz").text == "ok\n"


def test_failure__is_a_page(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away, and a slip of ours, are a page that says to come again; the log names no token."""
    ref = visit.subscriber().ref

    def away(*_: object) -> None:
        raise PublisherError("The store cannot be used: disk full.")

    def slip(*_: object) -> None:
        raise KeyError("slip")

    for fault in (away, slip):
        monkeypatch.setattr("publisher.audience.Audience.of_ref", fault)
        with capture_logs() as logs:
            answer = visit.client.post(visit.unsubscribe(ref), params={"lang": "en"})
        assert answer.status_code == 503
        assert "try again" in words(answer.text)
        assert [line["event_name"] for line in logs] == ["web.failed"]
        assert visit.unsubscribe(ref)[2:] not in str(logs)


def test_template__of_the_office(visit: Visit, tmp_path: Path) -> None:
    """An office's own words win; where its template fails, a plain sentence stands and the log says why."""
    own = tmp_path / "templates" / "web" / "consent.txt"
    own.parent.mkdir(parents=True)
    own.write_text("We send {{ house.name[code] }}.", encoding="utf-8")
    with visiting(tmp_path) as again:
        assert "We send Example Association" in words(again.client.get("subscribe?lang=en").text)
    (own.parent / "notice.html").write_text("{{ nonsense }}", encoding="utf-8")
    with visiting(tmp_path) as again, capture_logs() as logs:
        answer = again.client.get("u/x")
        assert answer.status_code == 500
        assert "try again later" in answer.text
    assert "nonsense" in str(logs)


def raw(visit: Visit, data: bytes) -> bytes:
    """What comes back for these very bytes, until the server closes."""
    with socket.create_connection((visit.client.base_url.host, visit.client.base_url.port or 80), 5) as line:
        line.sendall(data)
        received = b""
        while chunk := line.recv(4096):
            received += chunk
        return received


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\x01\x02\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 10_000, b"400"),
        (b"GET /u/\x00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"400"),
        (b"POST /u/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
    ],
)
def test_server__what_is_no_request(passing: Visit, data: bytes, status: bytes) -> None:
    """What is no HTTP is refused, and the next visitor is served."""
    assert raw(passing, data).split()[1] == status
    assert passing.client.get("healthz").status_code == 200


def test_server__body_that_does_not_come(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not end is not waited for."""
    monkeypatch.setattr(form, "_PATIENCE", 0.05)
    ref = visit.subscriber().ref
    head = f"POST /{visit.unsubscribe(ref)} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nList"
    assert raw(visit, head.encode()).split()[1] == b"408"
    assert visit.state(ref) == "active"


def test_server__head_that_does_not_come(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that never asks for anything is closed."""
    monkeypatch.setattr(server, "_LIFE", 0.05)
    assert raw(visit, b"GET / HTTP/1.1\r\nHost:") == b""


def test_server__too_many_at_once(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who only keep the line busy do not keep the others out for long, nor the worker from its connections."""
    monkeypatch.setattr(server, "_CONNECTIONS", 3)
    host, port = visit.client.base_url.host, visit.client.base_url.port
    lines = [http.client.HTTPConnection(host, port, timeout=5) for _ in range(3)]
    for line in lines:
        line.request("GET", "/healthz")
        assert line.getresponse().read() == b"ok\n"
    with pytest.raises((OSError, http.client.HTTPException)):
        extra = http.client.HTTPConnection(host, port, timeout=5)
        extra.request("GET", "/healthz")
        extra.getresponse()
    for line in lines:
        line.close()
