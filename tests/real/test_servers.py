"""Each real server does what the adapters' tests take for granted."""

from __future__ import annotations

import base64
import hmac
import json
import time

import httpx
import pytest

from publisher.testing.exchange import At, Cut, Late, Stall
from tests.real.relay import Relay
from tests.real.servers.ghost import Ghost
from tests.real.servers.wordpress import ROLES, WordPress
from tests.real.servers.wordpress_debian import DebianWordPress

NEW = {"title": "你好", "content": "<p>x</p>", "status": "publish", "slug": "ann-1"}


def wordpress_client(
    wordpress: WordPress, role: str = "editor", url: str = "", timeout: float = 20.0
) -> httpx.Client:
    """A client of the REST API that is signed in as ``role``; at ``url``, where given."""
    base = f"{url or wordpress.url}/wp-json/wp/v2"
    return httpx.Client(base_url=base, auth=wordpress.users[role], timeout=timeout, trust_env=False)


# --- WordPress ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_wordpress__knows_its_users(wordpress: WordPress, role: str) -> None:
    """Every role signs in with its application password."""
    assert wordpress.application_password(role) == wordpress.users[role][1]
    with wordpress_client(wordpress, role) as client:
        me = client.get("/users/me", params={"context": "edit"}).raise_for_status().json()
    assert me["roles"] == ["administrator" if role == "admin" else role]


@pytest.mark.parametrize(
    ("role", "status"),
    [("admin", 201), ("editor", 201), ("author", 201), ("contributor", 403), ("subscriber", 403)],
)
def test_wordpress__roles_differ(wordpress: WordPress, role: str, status: int) -> None:
    """Who may publish is WordPress's own decision; a refused post is not there."""
    with wordpress_client(wordpress, role) as client:
        assert client.post("/posts", json=NEW).status_code == status
    assert [(p.slug, p.status, p.title, p.content) for p in wordpress.posts()] == (
        [("ann-1", "publish", "你好", "<p>x</p>")] if status == 201 else []
    )


def test_wordpress__starts_each_test_empty(wordpress: WordPress) -> None:
    """A reset leaves no post, picture, plug-in or option behind; the time zone is Shanghai's."""
    with wordpress_client(wordpress) as client:
        made = client.post("/posts", json={**NEW, "status": "draft"}).raise_for_status().json()
        picture = {"Content-Type": "image/gif", "Content-Disposition": "attachment; filename=dot.gif"}
        client.post("/media", content=GIF, headers=picture).raise_for_status()
        assert made["date"] != made["date_gmt"]
        assert (len(wordpress.posts()), len(wordpress.posts("attachment"))) == (1, 1)
        wordpress.option("our_own", {"名": ["公告'\\", 1, True]})
        assert wordpress.query("return get_option('our_own');") == {"名": ["公告'\\", 1, True]}
        wordpress.closed_to_visitors(403)
        wordpress.reset()
        assert wordpress.posts() == wordpress.posts("attachment") == []
        assert wordpress.query("return get_option('our_own');") is False
        assert httpx.get(f"{wordpress.url}/wp-json/wp/v2/posts", trust_env=False).json() == []


GIF = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")


@pytest.mark.parametrize("how", ["production", "switched off"])
def test_wordpress__without_application_passwords(wordpress: WordPress, how: str) -> None:
    """Where application passwords are not taken the answer says so badly, and the index does not offer them."""
    if how == "production":
        wordpress.environment("production")
    else:
        wordpress.without_application_passwords()
    with wordpress_client(wordpress) as client:
        answer = client.get("/users/me")
        assert (answer.status_code, answer.json()["code"]) == (401, "rest_not_logged_in")
    index = httpx.get(f"{wordpress.url}/wp-json/", trust_env=False).json()
    assert "application-passwords" not in index["authentication"]


@pytest.mark.parametrize("status", [401, 403])
def test_wordpress__closed_to_visitors(wordpress: WordPress, status: int) -> None:
    """Visitors are refused with that status, and people with a password are not."""
    wordpress.closed_to_visitors(status)
    assert httpx.get(f"{wordpress.url}/wp-json/", trust_env=False).status_code == status
    with wordpress_client(wordpress) as client:
        assert client.get("/users/me").status_code == 200


def test_wordpress__plain_permalinks(wordpress: WordPress) -> None:
    """The pretty address of the REST API gives a page, and the plain one answers."""
    wordpress.plain_permalinks()
    pretty = httpx.get(f"{wordpress.url}/wp-json/", trust_env=False, follow_redirects=True)
    assert pretty.headers["content-type"].startswith("text/html")
    plain = httpx.get(f"{wordpress.url}/", params={"rest_route": "/"}, trust_env=False)
    assert plain.json()["name"] == "公告测试 Test Site"


# --- The relay ----------------------------------------------------------------------------------------


def test_relay__passes_everything_on(wordpress: WordPress) -> None:
    """Sign-in, file name and bytes arrive, and status, headers and body come back."""
    relay = Relay(wordpress.url)
    try:
        with wordpress_client(wordpress, url=relay.start()) as client:
            name = {"Content-Type": "image/gif", "Content-Disposition": "attachment; filename=relayed.gif"}
            made = client.post("/media", content=GIF, headers=name)
            assert (made.status_code, made.json()["slug"]) == (201, "relayed")
            assert made.headers["location"].startswith(wordpress.url)
            listed = client.get("/posts", params={"search": "没有 & none"})
            assert (listed.json(), listed.headers["x-wp-total"]) == ([], "0")
            assert client.get("/posts/999999").status_code == 404
        assert httpx.get(made.json()["source_url"], trust_env=False).content == GIF
    finally:
        relay.stop()


def test_relay__has_addresses_of_its_own(wordpress: WordPress) -> None:
    """Where asked to, it hides the real server's address in JSON, with its escaped slashes, and in headers."""
    relay = Relay(wordpress.url, own_links=True)
    try:
        url = relay.start()
        with wordpress_client(wordpress, url=url) as client:
            made = client.post("/posts", json=NEW)
        assert made.json()["link"] == f"{url}/ann-1/"
        assert wordpress.url not in made.text and made.headers["location"].startswith(url)
    finally:
        relay.stop()


@pytest.mark.parametrize("fault", [Cut(At.ACTED), Stall(At.ACTED), Late()], ids=["cut", "stall", "late"])
def test_relay__the_server_has_acted(wordpress: WordPress, fault: Cut | Stall | Late) -> None:
    """The client hears nothing, and the post is there."""
    relay = Relay(wordpress.url)
    try:
        relay.server.inject(fault, method="POST", path="/wp-json/wp/v2/posts")
        with (
            wordpress_client(wordpress, url=relay.start(), timeout=0.5) as client,
            pytest.raises(httpx.TransportError),
        ):
            client.post("/posts", json=NEW)
        relay.server.wait_until_acted()
        assert [p.slug for p in wordpress.posts()] == ["ann-1"]
    finally:
        relay.stop()


def test_relay__the_server_has_not_acted(wordpress: WordPress) -> None:
    """A request that is cut off once it is read never reaches the real server."""
    relay = Relay(wordpress.url)
    try:
        relay.server.inject(Cut(At.READ))
        with wordpress_client(wordpress, url=relay.start()) as client, pytest.raises(httpx.TransportError):
            client.post("/posts", json=NEW)
    finally:
        relay.stop()
    assert wordpress.posts() == []


def test_relay__a_dead_server_is_told() -> None:
    """A real server that is gone is no fault of the adapter's: stopping the relay says so."""
    relay = Relay("http://127.0.0.1:9")
    with pytest.raises(httpx.TransportError):
        httpx.get(relay.start(), trust_env=False)
    with pytest.raises(RuntimeError, match=r"127\.0\.0\.1:9 gave no answer"):
        relay.stop()


# --- Debian's WordPress -------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_wordpress_debian__knows_its_users(wordpress_debian: DebianWordPress, role: str) -> None:
    """Every role signs in with its application password."""
    with wordpress_client(wordpress_debian, role) as client:
        assert client.get("/users/me").raise_for_status().json()["slug"] == role


def test_wordpress_debian__starts_each_test_empty(wordpress_debian: DebianWordPress) -> None:
    """Posts are read from MariaDB with every character they have, and a reset leaves none."""
    text = '<p>"\\ \t é 🀄</p>\n<p>二</p>'
    with wordpress_client(wordpress_debian) as client:
        client.post("/posts", json={**NEW, "content": text}).raise_for_status()
    assert [(p.slug, p.status, p.title, p.content) for p in wordpress_debian.posts()] == [
        ("ann-1", "publish", "你好", text)
    ]
    wordpress_debian.reset()
    assert wordpress_debian.posts() == []


@pytest.mark.parametrize(("accept", "kind"), [("*/*", "text/html"), ("application/json", "application/json")])
def test_wordpress_debian__without_its_database(
    wordpress_debian: DebianWordPress, accept: str, kind: str
) -> None:
    """A site whose database is down answers 500, with a web page unless asked for JSON; then it is as before."""
    wordpress_debian.stop_database()
    try:
        with wordpress_client(wordpress_debian) as client:
            answer = client.get("/posts", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (500, kind)
    finally:
        wordpress_debian.start_database()
    assert wordpress_debian.posts() == []


# --- Ghost --------------------------------------------------------------------------------------------


def ghost_client(ghost: Ghost) -> httpx.Client:
    """A client of the admin API that is signed in with the integration's key."""
    number, secret = ghost.admin_key.split(":")
    now = int(time.time())
    head = {"alg": "HS256", "typ": "JWT", "kid": number}
    signed = ".".join(
        _base64(json.dumps(part).encode())
        for part in (head, {"iat": now, "exp": now + 300, "aud": "/admin/"})
    )
    mark = _base64(hmac.digest(bytes.fromhex(secret), signed.encode(), "sha256"))
    headers = {"Authorization": f"Ghost {signed}.{mark}", "Accept-Version": "v5.0"}
    return httpx.Client(base_url=f"{ghost.url}/ghost/api/admin", headers=headers, timeout=20, trust_env=False)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_ghost__takes_a_draft(ghost: Ghost) -> None:
    """A draft from HTML is in the database and on no page; a published post is on its page."""
    new = {"title": "公开讲座", "slug": "ann-1", "html": "<p>内容</p>", "tags": [{"name": "公告"}]}
    with ghost_client(ghost) as client:
        made = client.post("/posts/", params={"source": "html"}, json={"posts": [new]})
        assert made.status_code == 201, made.text
        assert [(p.slug, p.status, p.title, p.html) for p in ghost.posts()] == [
            ("ann-1", "draft", "公开讲座", "<p>内容</p>")
        ]
        assert httpx.get(f"{ghost.url}/ann-1/", trust_env=False).status_code == 404
        post = made.json()["posts"][0]
        changed = {"status": "published", "updated_at": post["updated_at"]}
        client.put(f"/posts/{post['id']}/", json={"posts": [changed]}).raise_for_status()
    assert "内容" in httpx.get(f"{ghost.url}/ann-1/", trust_env=False).text


def test_ghost__starts_each_test_empty(ghost: Ghost) -> None:
    """A reset while it runs leaves no post and no tag, on no page either, and the key still counts."""
    new = {
        "title": "Again",
        "slug": "ann-1",
        "html": "<p>x</p>",
        "status": "published",
        "tags": [{"name": "公告"}],
    }
    with ghost_client(ghost) as client:
        for _ in range(3):
            client.post("/posts/", params={"source": "html"}, json={"posts": [new]}).raise_for_status()
            assert [p.slug for p in ghost.posts()] == ["ann-1"]
            assert httpx.get(f"{ghost.url}/ann-1/", trust_env=False).status_code == 200
            ghost.reset()
            assert ghost.posts() == []
            assert client.get("/posts/").raise_for_status().json()["posts"] == []
            assert client.get("/tags/").raise_for_status().json()["tags"] == []
