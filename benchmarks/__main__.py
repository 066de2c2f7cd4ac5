"""``make bench``: every benchmark, its figure, its reference and the ratio."""

from __future__ import annotations

from benchmarks import help_page, rendering

if __name__ == "__main__":
    print(f"{'what':<62}{'figure':>14}{'reference':>14}{'ratio':>8}")
    for module in (help_page, rendering):
        for what, figure, reference, ratio in module.measure():
            print(f"{what:<62}{figure:>14}{reference:>14}{ratio:>8.2f}")
