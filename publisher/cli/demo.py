"""demo."""

from __future__ import annotations

import argparse
from pathlib import Path

from publisher.cli import output, words


def run(arguments: argparse.Namespace) -> int:
    """The whole job on this machine; code 1 if anything was not delivered."""
    from publisher import demo

    result = demo.run(Path(arguments.folder), output.console(err=arguments.json))
    if arguments.json:
        output.as_json(
            {"folder": str(result.folder), "deliveries": [words.delivery_data(d) for d in result.deliveries]}
        )
    return int(not result.complete)
