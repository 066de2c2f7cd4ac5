"""What a run came to, for a person: what was done to the workers and the services, and what became of the posts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tests.chaos.rounds import Verdict
from tests.chaos.verdict import DUPLICATE, LOST

_OTHERWISE = {"paused": "stopped past the lease, went on", "severed": "commit done, its answer lost"}
"""What was done where a worker was not killed, by the last word of the strike."""


def summary(verdicts: Sequence[Verdict], database: str, seed: int, seconds: float) -> str:
    """A table of two columns; what belongs to a line is indented below it."""
    strikes = [strike for verdict in verdicts for strike in verdict.strikes]
    kills = [strike for strike in strikes if _otherwise(strike) is None]
    done = Counter(what for what in map(_otherwise, strikes) if what)
    torn = sum(bool(verdict.plan.torn and verdict.strikes) for verdict in verdicts)
    faults = Counter(
        name for verdict in verdicts for name in (verdict.plan.mail, verdict.plan.web[0]) if name
    )
    kinds = Counter(violation.kind for verdict in verdicts for violation in verdict.violations)
    others = {kind: count for kind, count in kinds.items() if kind not in (DUPLICATE, LOST)}
    lines = [
        ("database", database),
        ("seed", seed),
        ("rounds", f"{len(verdicts)} in {seconds:.0f} s"),
        ("kills", f"{len(kills)} at {len({_name(strike) for strike in kills})} different points"),
        *_below(Counter(map(family, kills))),
        ("other strikes", done.total() + torn),
        *_below(done + Counter({"log torn after the kill": torn})),
        ("faults of services", faults.total()),
        *_below(faults),
        ("duplicates", kinds[DUPLICATE]),
        ("lost", kinds[LOST]),
        ("uncertain", f"{sum(verdict.uncertain for verdict in verdicts)} newsletters, left for a person"),
        ("other violations", sum(others.values())),
        *_below(Counter(others)),
    ]
    return "\n".join(f"{what:<34}{said}" for what, said in lines)


def family(strike: str) -> str:
    """What a kill was between."""
    words = _name(strike).split()
    if len(words) > 2 and "#" not in strike:
        return strike  # no point: told apart by when, not by where
    if words[0] == "file":
        return f"file {words[-1]}"
    return words[0] if words[0].startswith("commit") else " ".join(words[:2])


def _name(strike: str) -> str:
    """The point's, without its occurrence and what was done there."""
    return strike.partition("#")[0]


def _otherwise(strike: str) -> str | None:
    return _OTHERWISE.get(strike.rpartition(" ")[2])


def _below(counts: Counter[str]) -> Iterator[tuple[str, str]]:
    return ((f"    {name}", f"{count:>5}") for name, count in _ordered(counts) if count)


def _ordered(counts: Counter[str]) -> Iterable[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
