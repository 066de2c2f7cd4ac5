"""The command line: runs the rounds on all processors, prints a summary, and ends with 1 if a promise was broken."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

from tests.chaos.databases import KINDS, SQLITE, address
from tests.chaos.plans import plans
from tests.chaos.rounds import Bench, Plan, Verdict, scratch
from tests.chaos.summary import summary


def main() -> int:
    """Parses, runs, prints. Exit code 1, and a line that repeats the round, for every broken promise."""
    given = _arguments()
    folder, disk = scratch(), Path(tempfile.mkdtemp(prefix="publisher-chaos-"))
    begun = time.monotonic()
    with address(given.database) as server:
        with Bench(folder / "record", disk, server) as bench:
            points = bench.recorded()
        print(f"{len(points)} points between two effects; seed {given.seed}; {folder}", flush=True)
        chosen = (
            [Plan.from_json(given.plan)]
            if given.plan
            else plans(points, given.seed, given.rounds, given.database)
        )
        verdicts = list(_run(enumerate(chosen), folder, disk, server, given))
    print("\n" + summary(verdicts, given.database, given.seed, time.monotonic() - begun))
    broken = [verdict for verdict in verdicts if verdict.violations]
    if not broken:
        shutil.rmtree(folder)
        shutil.rmtree(disk)
    return int(bool(broken))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=300, help="how many; two of three strike a point of their own"
    )
    parser.add_argument(
        "--seed", type=int, default=random.randrange(10**6), help="what the random rounds follow from"
    )
    parser.add_argument(
        "--plan",
        default="",
        metavar="JSON",
        help="repeat the one round that is printed with a broken promise",
    )
    parser.add_argument("--database", choices=KINDS, default=SQLITE, help="where the ledger lies")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="rounds at a time")
    return parser.parse_args()


def _run(
    chosen: Iterable[tuple[int, Plan]], folder: Path, disk: Path, server: str, given: argparse.Namespace
) -> Iterator[Verdict]:
    """The verdicts, as they come; a broken promise is printed at once."""
    waiting: SimpleQueue[tuple[int, Plan] | None] = SimpleQueue()
    for item in [*chosen, *[None] * given.jobs]:
        waiting.put(item)

    def work(bench: Bench) -> list[Verdict]:
        done = []
        while item := waiting.get():
            done.append(bench.run(item[1]))
            _tell(item[0], done[-1], given.database)
        return done

    with ExitStack() as stack, ThreadPoolExecutor(given.jobs) as pool:
        benches = [
            stack.enter_context(Bench(folder / f"job-{job}", disk, server)) for job in range(given.jobs)
        ]
        for done in pool.map(work, benches):
            yield from done


def _tell(number: int, verdict: Verdict, database: str) -> None:
    if number % 100 == 99:
        print(f"round {number + 1}", flush=True)
    for violation in verdict.violations:
        print(f"BROKEN in round {number}: {violation.kind}: {violation.sentence}")
        print(f"  struck at {', '.join(verdict.strikes) or 'nothing'}; left in {verdict.folder}")
        for told in verdict.ledger:
            print(f"  {told.key}: {told.state}; its log is {', '.join(told.log)}")
        plan = verdict.plan.to_json()
        print(f"  repeat it: python -m tests.chaos --database {database} --plan '{plan}'", flush=True)


if __name__ == "__main__":
    sys.exit(main())
