"""``make bench``: every benchmark, its figure, its reference and the ratio."""

from __future__ import annotations

import logging

import structlog

from benchmarks import composing, fan_out, help_page, ledger, rendering, worker

if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(f"{'what':<92}{'figure':>12}{'reference':>12}{'ratio':>8}", flush=True)
    for module in (help_page, rendering, composing, ledger, fan_out, worker):
        for what, figure, reference, ratio in module.measure():
            print(f"{what:<92}{figure:>12}{reference:>12}{ratio:>8.2f}", flush=True)
