"""Envguard against its peers and floors, side by side: programs that print ratios, not tests.

``python -m tests.benchmarks [NAME...]`` runs all areas, or those named. Every table runs its
contenders in turn, round after round, so that whatever else the machine does hits all of them
alike; only ratios of one table mean something. What an area needs (wheels, environments, images)
is made once in a scratch folder and kept for the next run.
"""
