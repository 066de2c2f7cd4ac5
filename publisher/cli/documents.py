"""add, check, preview, revise."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from publisher.announcement import KEY, Finding, Revision, Severity
from publisher.channel import MediaType
from publisher.cli import output
from publisher.cli.office import beside, open_desk, person, read_file, title
from publisher.desk import Preview
from publisher.errors import UsageError


def add(arguments: argparse.Namespace) -> int:
    """Files a document; prints the id."""
    data, name = read_file(arguments.file)
    names = [part.strip() for part in arguments.channels.split(",") if part.strip()]
    with open_desk(arguments) as desk:
        key, found = desk.add(
            data,
            name,
            person(arguments),
            title=title(arguments),
            publish_at=arguments.publish_at,
            channels=names,
            beside=beside(arguments.file),
        )
    if arguments.json:
        output.as_json({"id": key, "findings": output.finding_data(found)})
        return 0
    print(key)
    _next_step(key, found)
    return 0


def _next_step(key: str, found: list[Finding]) -> None:
    output.findings(found, err=True)
    if any(finding.severity is Severity.ERROR for finding in found):
        step = f"Mend the errors, then: publisher revise {key} FILE"
        if all(f.code == "titles.missing" for f in found if f.severity is Severity.ERROR):
            step = f'Next: publisher revise {key} --title-en "..." (or --title-zh)'
    else:
        step = f"Next: publisher preview {key}, then: publisher submit {key}"
    output.console(err=True).print(step, style="bold")


def check(arguments: argparse.Namespace) -> int:
    """Findings of a document or an announcement; code 1 if there are errors."""
    with open_desk(arguments) as desk:
        if KEY.fullmatch(arguments.target):
            if arguments.title_zh or arguments.title_en:
                raise UsageError(
                    "--title-zh and --title-en go with a file; use publisher revise for an announcement."
                )
            filed = desk.show(arguments.target).filed
            revision, found = filed.revision, desk.findings(filed)
        else:
            data, name = read_file(arguments.target)
            revision, found = desk.check(data, name, title(arguments), beside(arguments.target))
    if arguments.json:
        output.as_json(_report(revision, found))
    else:
        output.findings(found)
        pairs = len(revision.passages)
        print(f"{pairs} pair{'' if pairs == 1 else 's'} of passages; {output.count(found)}.")
    return int(any(finding.severity is Severity.ERROR for finding in found))


def _report(revision: Revision, found: list[Finding]) -> dict[str, object]:
    return {
        "title": asdict(revision.title),
        "passages": [{"zh": p.zh, "en": p.en} for p in revision.passages],
        "findings": output.finding_data(found),
    }


def preview(arguments: argparse.Namespace) -> int:
    """Rendered variants with their length against the limit; with --send-to, a test of the newsletter."""
    if arguments.send_to:
        from publisher.cli import trying  # it loads the engine, which nothing else here needs

        return trying.send(arguments)
    if arguments.language:
        raise UsageError("--language is for a test that is sent; add --send-to ADDRESS.")
    with open_desk(arguments) as desk:
        previews = desk.preview(arguments.id, arguments.channel)
    if arguments.json:
        output.as_json([_preview_data(preview) for preview in previews])
        return 0
    for shown in previews:
        _print_preview(shown)
    return 0


def _preview_data(shown: Preview) -> dict[str, object]:
    variant = shown.variant
    return {
        "channel": variant.channel,
        "kind": variant.kind,
        "languages": list(variant.languages),
        "sealed": shown.sealed,
        "length": shown.length,
        "maximum": shown.maximum,
        "parts": {name: part.text for name, part in variant.parts.items()},
        "pictures": [picture.described for picture in variant.pictures],
    }


def _print_preview(shown: Preview) -> None:
    variant = shown.variant
    size = f", {shown.length} of {shown.maximum} characters" if shown.length is not None else ""
    sealed = "sealed" if shown.sealed else "not yet approved"
    out = output.console()
    out.rule(
        f"{variant.channel}: {variant.kind} ({', '.join(variant.languages)}), {sealed}{size}", align="left"
    )
    for name, part in variant.parts.items():
        if part.media_type is MediaType.TEXT:
            print(f"[{name}]\n{part.text}\n")
        else:
            print(f"[{name}] {part.media_type}, {len(part.data):,} bytes (shown whole with --json)\n")
    for picture in variant.pictures:
        shows = picture.alt.joined(variant.languages)
        print(f"[picture] {picture.width} × {picture.height}, {len(picture.data) / 1024:,.0f} kB: {shows}\n")


def revise(arguments: argparse.Namespace) -> int:
    """Files a new revision."""
    data, name = read_file(arguments.file) if arguments.file else (None, "")
    with open_desk(arguments) as desk:
        number, found = desk.revise(
            arguments.id,
            person(arguments),
            data=data,
            name=name,
            title=title(arguments),
            beside=beside(arguments.file or ""),
        )
    if arguments.json:
        output.as_json({"id": arguments.id, "revision": number, "findings": output.finding_data(found)})
        return 0
    print(f"{arguments.id} is now revision {number}.")
    _next_step(arguments.id, found)
    return 0
