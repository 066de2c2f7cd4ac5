"""The command line: runs the rounds on all processors, prints a summary, and ends with 1 if a promise was broken."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from tests.chaos.plans import plans
from tests.chaos.rounds import Bench, Plan, Verdict, scratch
from tests.chaos.verdict import DUPLICATE, LOST


def main() -> int:
    """Parses, runs, prints. Exit code 1, and a line that repeats the round, for every broken promise."""
    given = _arguments()
    folder, disk = scratch(), Path(tempfile.mkdtemp(prefix="publisher-chaos-"))
    begun = time.monotonic()
    with Bench(folder / "record", disk) as bench:
        points = bench.recorded()
    print(f"{len(points)} points between two effects; seed {given.seed}; {folder}", flush=True)
    chosen = [Plan.from_json(given.plan)] if given.plan else plans(points, given.seed, given.rounds)
    verdicts = list(_run(enumerate(chosen), folder, disk, given.jobs))
    _summarise(verdicts, given.seed, time.monotonic() - begun)
    broken = [verdict for verdict in verdicts if verdict.violations]
    if not broken:
        shutil.rmtree(folder)
        shutil.rmtree(disk)
    return int(bool(broken))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="how many; each point is struck once first")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(10**6), help="what the random rounds follow from"
    )
    parser.add_argument(
        "--plan",
        default="",
        metavar="JSON",
        help="repeat the one round that is printed with a broken promise",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="rounds at a time")
    return parser.parse_args()


def _run(chosen: Iterable[tuple[int, Plan]], folder: Path, disk: Path, jobs: int) -> Iterator[Verdict]:
    """The verdicts, as they come; a broken promise is printed at once."""
    waiting: SimpleQueue[tuple[int, Plan] | None] = SimpleQueue()
    for item in [*chosen, *[None] * jobs]:
        waiting.put(item)

    def work(bench: Bench) -> list[Verdict]:
        done = []
        while item := waiting.get():
            done.append(bench.run(item[1]))
            _tell(item[0], done[-1])
        return done

    with ExitStack() as stack, ThreadPoolExecutor(jobs) as pool:
        benches = [stack.enter_context(Bench(folder / f"job-{job}", disk)) for job in range(jobs)]
        for done in pool.map(work, benches):
            yield from done


def _tell(number: int, verdict: Verdict) -> None:
    if number % 100 == 99:
        print(f"round {number + 1}", flush=True)
    for violation in verdict.violations:
        print(f"BROKEN in round {number}: {violation.kind}: {violation.sentence}")
        print(f"  struck at {', '.join(verdict.strikes) or 'nothing'}; left in {verdict.folder}")
        print(f"  repeat it: python -m tests.chaos --plan '{verdict.plan.to_json()}'", flush=True)


def _summarise(verdicts: list[Verdict], seed: int, seconds: float) -> None:
    struck = Counter(_group(strike) for verdict in verdicts for strike in verdict.strikes)
    kinds = Counter(violation.kind for verdict in verdicts for violation in verdict.violations)
    names = {strike.partition("#")[0] for verdict in verdicts for strike in verdict.strikes}
    print(f"\n{len(verdicts)} rounds in {seconds:.0f} s, seed {seed}")
    print(f"{struck.total()} strikes at {len(names)} different points:")
    for group, count in struck.most_common():
        print(f"  {count:5}  {group}")
    faults = Counter(
        fault for verdict in verdicts for fault in (verdict.plan.mail, verdict.plan.web[0]) if fault
    )
    print(
        f"{faults.total()} faults of services: {', '.join(f'{n} {name}' for name, n in faults.most_common())}"
    )
    print(
        f"duplicates {kinds.pop(DUPLICATE, 0)}, lost {kinds.pop(LOST, 0)}, other violations {dict(kinds) or 0}"
    )
    print(f"newsletters left uncertain for a person {sum(verdict.uncertain for verdict in verdicts)}")


def _group(strike: str) -> str:
    """A point's family: what it is between."""
    if strike.endswith("paused"):
        return "stopped past its lease, then went on"
    words = strike.partition("#")[0].split()
    return (
        " ".join(islice(words, 1 if words[0].startswith("commit") else 2))
        if words[0] != "file"
        else f"file {words[-1]}"
    )


if __name__ == "__main__":
    sys.exit(main())
