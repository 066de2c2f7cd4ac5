"""``make bench``: every benchmark, its figure, its reference and the ratio."""

from __future__ import annotations

import logging

import structlog

from benchmarks import help_page, ledger, rendering

if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(f"{'what':<66}{'figure':>14}{'reference':>14}{'ratio':>8}")
    for module in (help_page, rendering, ledger):
        for what, figure, reference, ratio in module.measure():
            print(f"{what:<66}{figure:>14}{reference:>14}{ratio:>8.2f}")
