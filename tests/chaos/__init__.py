"""Kills the real worker between any two of its effects, starts it again, and counts what the services hold.

``python -m tests.chaos --rounds 1000 --seed 7`` runs it; ``make test-chaos ROUNDS=1000 SEED=7`` does the same.
"""
