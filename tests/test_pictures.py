"""Pictures: read with care, kept without what nobody should learn, fitted to channels, placed in the text."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageCms, ImageDraw
from sqlalchemy.exc import DBAPIError

from publisher import intake
from publisher.announcement import Bilingual, Revision
from publisher.announcement import Image as Listed
from publisher.channel import PictureFormat, PictureRule, Variant
from publisher.errors import DocumentError, PublisherError
from publisher.pictures import LARGEST_FILE, fitted, keep, take
from publisher.store import Store
from tests.toy import OFFICER, Office, office, work


def photo(
    width: int = 640, height: int = 480, form: str = "JPEG", mode: str = "RGB", **options: object
) -> bytes:
    """A picture with many colours, as a camera makes it: the top is dark, the bottom light."""
    made = Image.linear_gradient("L").resize((width, height))
    bands = [made, made.transpose(Image.Transpose.FLIP_LEFT_RIGHT), made.rotate(90).resize((width, height))]
    picture = Image.merge("RGB", bands).convert(mode)
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def drawing(form: str = "PNG") -> bytes:
    """A mark with a clear ground."""
    picture = Image.new("RGBA", (400, 300), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse([50, 50, 250, 250], fill=(155, 28, 46, 255))
    out = io.BytesIO()
    picture.save(out, form)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


# --- what is kept -------------------------------------------------------------------------------------


def test_keep__without_place_time_and_camera() -> None:
    """Nothing that a camera writes beside the picture is kept: not where it was taken, when, or by whom."""
    exif = Image.Exif()
    exif[0x010F], exif[0x013B], exif[0x9003] = "CameraMaker", "Photographer", "2026:04:16 15:30:00"
    exif[0x8825] = {1: "N", 2: (30.0, 35.0, 12.0), 3: "E", 4: (104.0, 3.0, 5.0)}
    data = photo(exif=exif, comment=b"kept secret")
    assert b"CameraMaker" in data
    kept = keep(data, "a.jpg", "a.md")
    assert not any(
        word in kept.data for word in (b"CameraMaker", b"Photographer", b"2026:04", b"secret", b"Exif")
    )
    assert not opened(kept.data).getexif()


def test_keep__upright() -> None:
    """A picture that a telephone marks as lying on its side is turned, and its sizes are those of the turned one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    kept = keep(photo(640, 480, exif=exif), "a.jpg", "a.md")
    assert opened(kept.data).size == (480, 640)


def test_keep__colours_of_another_space() -> None:
    """A profile is applied and left out, so that colours look the same where profiles are not read."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kept = keep(photo(icc_profile=lab), "a.jpg", "a.md")
    assert "icc_profile" not in opened(kept.data).info
    assert keep(photo(icc_profile=b"no profile"), "a.jpg", "a.md").data.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (photo(), "JPEG"),
        (photo(form="PNG"), "JPEG"),
        (photo(form="WEBP"), "JPEG"),
        (photo(form="TIFF"), "JPEG"),
        (photo(form="BMP"), "JPEG"),
        (photo(mode="CMYK"), "JPEG"),
        (photo(mode="L"), "JPEG"),
        (drawing(), "PNG"),
        (drawing("WEBP"), "PNG"),
        (drawing("GIF"), "PNG"),
    ],
)
def test_keep__formats(data: bytes, form: str) -> None:
    """Photographs are kept as JPEG, drawings and what is see-through as PNG, whatever they came in."""
    kept = keep(data, "a", "a.md")
    assert opened(kept.data).format == form
    assert kept.sha256 == hashlib.sha256(kept.data).hexdigest()


def _moving() -> bytes:
    frames = [Image.new("L", (300, 300), shade) for shade in (0, 128, 255)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def _bomb() -> bytes:
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "none that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "none that can be read"),
        (b"%PDF-1.7", "none that can be read"),
        (photo()[:2000], "damaged"),
        (photo(form="PNG")[:1000], "damaged"),
        (photo(120, 90), "only 120 × 90"),
        (_moving(), "moves"),
        (_bomb(), "more pixels"),
    ],
    ids=["empty", "svg", "pdf", "cut jpeg", "cut png", "tiny", "moving", "bomb"],
)
def test_keep__bad_pictures_are_named(data: bytes, said: str) -> None:
    """What cannot be published is refused in one sentence that names the picture and the next step."""
    with pytest.raises(DocumentError, match=r"The picture river\.jpg") as caught:
        keep(data, "river.jpg", "visit.md")
    assert said in str(caught.value) and str(caught.value).count(". ") == 0


def test_take__missing_locked_and_too_large(lecture: Revision) -> None:
    """A picture that is not there, cannot be read or is far too large is named."""

    def fails(error: OSError) -> Callable[[str], bytes]:
        def read(name: str) -> bytes:
            raise error

        return read

    for read, said in (
        (fails(FileNotFoundError()), "not beside the document"),
        (fails(PermissionError(13, "Permission denied")), "Permission denied"),
        (lambda name: bytes(LARGEST_FILE + 1), "may have 40"),
    ):
        with pytest.raises(DocumentError, match=r"river\.jpg") as caught:
            take(lecture, read, "lecture.md")
        assert said in str(caught.value)


# --- what a channel gets ------------------------------------------------------------------------------


def _one(data: bytes, rule: PictureRule | None, revision: Revision) -> list:
    taken, kept = take(revision, lambda name: data, "a.md")
    return [p for _, p in fitted(taken, rule, {one.sha256: one.data for one in kept})]


@pytest.mark.parametrize(
    "rule",
    [
        PictureRule(),
        PictureRule(longest=300),
        PictureRule(largest=9_000),
        PictureRule(longest=100, largest=2_500),
        PictureRule(formats=(PictureFormat.PNG,)),
        PictureRule(formats=(PictureFormat.WEBP,)),
        PictureRule(longest=64, largest=900, formats=(PictureFormat.JPEG,)),
    ],
)
@pytest.mark.parametrize("data", [photo(3000, 2000), drawing()], ids=["photo", "drawing"])
def test_fitted__within_the_rule(data: bytes, rule: PictureRule, lecture: Revision) -> None:
    """Size, bytes and format are the channel's; the shape stays, and the same picture gives the same bytes."""
    (sent,) = _one(data, rule, lecture)
    picture = opened(sent.data)
    assert max(picture.size) <= rule.longest and len(sent.data) <= rule.largest
    assert PictureFormat(Image.MIME[picture.format]) is sent.format and sent.format in rule.formats
    assert (sent.width, sent.height) == picture.size
    assert sent.width / sent.height == pytest.approx(opened(data).width / opened(data).height, rel=0.05)
    assert sent == _one(data, rule, lecture)[0]
    assert sent.name == f"{hashlib.sha256(sent.data).hexdigest()[:20]}{sent.format.ending}"


def test_fitted__see_through_becomes_white_in_jpeg(lecture: Revision) -> None:
    """Where only JPEG is taken, what is see-through is white and not black."""
    (sent,) = _one(drawing(), PictureRule(formats=(PictureFormat.JPEG,)), lecture)
    assert opened(sent.data).getpixel((2, 2)) == (255, 255, 255)


def test_fitted__none(lecture: Revision) -> None:
    """A channel that takes no pictures gets none, and one whose file was never looked at is left out."""
    assert _one(photo(), None, lecture) == []
    assert fitted(lecture, PictureRule(), {}) == ()


# --- where they stand ---------------------------------------------------------------------------------

_HEAD = "---\ntitle: {zh: 一题, en: A Title}\nimages:\n" + "".join(
    f"  - {{file: {name}.jpg, alt: {{zh: 图{name}, en: Picture {name}}}}}\n" for name in "abc"
)


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ("甲。\n\nOne.\n\n乙。\n\nTwo.", {"a": -1, "b": -1, "c": -1}),
        ("甲。\n\nOne.\n\n![](b.jpg)\n\n乙。\n\nTwo.", {"a": -1, "b": 0, "c": -1}),
        ("甲。\n\n![](b.jpg)\n\nOne.\n\n乙。\n\nTwo.\n\n![x](c.jpg)", {"a": -1, "b": 0, "c": 1}),
        ("甲。\n\n![图](b.jpg)\n\nOne.\n\n![a picture](b.jpg)\n\n乙。\n\nTwo.", {"a": -1, "b": 0, "c": -1}),
        ("![](c.jpg)\n\n甲。\n\nOne.\n\n乙。\n\nTwo.", {"c": -1, "a": -1, "b": -1}),
    ],
)
def test_placing__after_its_passage(body: str, places: dict[str, int]) -> None:
    """A picture stands after the pair it follows; above all text it leads, in both languages' text it counts once."""
    revision = intake.read(f"{_HEAD}---\n{body}\n".encode(), "a.md", beside=_beside).revision
    assert {image.file[0]: image.after for image in revision.images} == places
    assert [image.file[0] for image in revision.images] == list(places)


# --- kept, sealed, sent -------------------------------------------------------------------------------

_DOCUMENT = f"{_HEAD}---\n甲甲甲。\n\nOne and one.\n"


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    return office(store, tmp_path / "home")


def _beside(name: str) -> bytes:
    return photo(600 + 10 * ord(name[0]), 400)


def test_store__once_and_for_good(bureau: Office) -> None:
    """The same picture of two announcements is kept once, and its bytes cannot be changed or deleted."""
    for _ in range(2):
        bureau.desk.add(_DOCUMENT.encode(), "a.md", OFFICER, beside=_beside)
    with bureau.store._engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pictures").scalar() == 3
    for statement in ("UPDATE pictures SET data = data", "DELETE FROM pictures"):
        with bureau.store._engine.begin() as connection, pytest.raises(DBAPIError):
            connection.exec_driver_sql(statement)


def test_store__a_picture_that_was_changed(bureau: Office) -> None:
    """A picture whose bytes are not those of its hash is not used, and the sentence says what to do."""
    key, _ = bureau.desk.add(_DOCUMENT.encode(), "a.md", OFFICER, beside=_beside)
    _forge(bureau)
    with pytest.raises(PublisherError, match="missing or has been changed"):
        bureau.desk.submit(key, OFFICER)


def _forge(bureau: Office) -> None:
    """Other bytes in the place of every picture, the guards of the database taken away first."""
    with bureau.store._engine.begin() as connection:
        lite = connection.dialect.name == "sqlite"
        connection.exec_driver_sql(
            "DROP TRIGGER pictures_kept_0" if lite else "ALTER TABLE pictures DISABLE TRIGGER pictures_kept"
        )
        forged = "CAST('forged' AS BLOB)" if lite else "'forged'::bytea"
        connection.exec_driver_sql(f"UPDATE pictures SET data = {forged}")


def test_add__a_missing_picture_files_nothing(bureau: Office) -> None:
    """Without one of its pictures a document is not filed, and a document without a folder has none."""
    with pytest.raises(DocumentError, match="not beside the document"):
        bureau.desk.add(_DOCUMENT.encode(), "a.md", OFFICER)
    assert bureau.desk.all() == []


def test_seal__pictures_are_signed(bureau: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was approved goes out byte for byte, whatever happens to the file, the rule and the library."""
    site = bureau.desk.channels["site"]
    rule = [PictureRule(longest=320)]
    capabilities = type(site).capabilities.fget
    assert capabilities
    monkeypatch.setattr(
        type(site), "capabilities", property(lambda self: replace(capabilities(self), pictures=rule[0]))
    )
    key, _ = bureau.desk.add(_DOCUMENT.encode(), "a.md", OFFICER, beside=_beside)
    shown = _sent(bureau, key)
    bureau.approve(key)
    rule[0] = PictureRule(longest=64)
    assert _sent(bureau, key) == shown and len(shown) == 3
    assert {max(picture.width, picture.height) for picture in shown} == {320}
    assert [picture.alt for picture in shown] == [Bilingual(f"图{n}", f"Picture {n}") for n in "abc"]


def _illustrated(bureau: Office, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """The website takes pictures; what it is asked to send, in order."""
    site = type(bureau.desk.channels["site"])
    capabilities, prepare = site.capabilities.fget, site.prepare
    asked: list[tuple] = []
    monkeypatch.setattr(
        site,
        "capabilities",
        property(lambda self: replace(capabilities(self), pictures=PictureRule(longest=320))),
    )
    monkeypatch.setattr(site, "prepare", lambda self, v: (asked.append(v.pictures), prepare(self, v))[1])
    return asked


async def test_seal__the_worker_sends_the_signed_pictures(
    bureau: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the adapter is given at the hour is what was shown to the approver, byte for byte."""
    asked = _illustrated(bureau, monkeypatch)
    key, _ = bureau.desk.add(_DOCUMENT.encode(), "a.md", OFFICER, beside=_beside)
    shown = _sent(bureau, key)
    bureau.approve(key)
    bureau.desk.schedule(key, "now", OFFICER)
    asked.clear()
    await work(bureau)
    assert asked[0] == shown and len(shown) == 3
    assert len(bureau.service.texts("site")) == 1


async def test_seal__a_forged_picture_is_not_sent(bureau: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that was changed in the store after the approval, below the program, is noticed and not sent."""
    _illustrated(bureau, monkeypatch)
    key, _ = bureau.desk.add(_DOCUMENT.encode(), "a.md", OFFICER, beside=_beside)
    bureau.approve(key)
    bureau.desk.schedule(key, "now", OFFICER)
    _forge(bureau)
    await work(bureau)
    assert bureau.service.texts("site") == [] and bureau.states(key)["site"] == "failed"


def _sent(bureau: Office, key: str) -> tuple:
    found: Variant = next(p.variant for p in bureau.desk.preview(key) if p.variant.channel == "site")
    return found.pictures


def test_check__channels_without_pictures(bureau: Office) -> None:
    """A note names the channels on which the text goes out alone."""
    _, found = bureau.desk.check(_DOCUMENT.encode(), "a.md", beside=_beside)
    (note,) = [f for f in found if f.code == "images.unpublished"]
    assert note.message == "site, note show no pictures; the text goes out there alone."


def test_revision__from_before_pictures_were_kept() -> None:
    """A revision that was stored without hashes and places is read, and says the same."""
    old = '{"event":null,"images":[{"alt":{"en":"A","zh":"甲"},"file":"a.jpg"}],"markup":"text","organisations":[],"passages":[],"summary":{"en":"","zh":""},"tags":{"en":[],"zh":[]},"title":{"en":"T","zh":"题"}}'
    assert Revision.from_json(old).images == (Listed("a.jpg", Bilingual("甲", "A")),)
