"""What the gateway promises when its surroundings fail, each promise with a number.

`python -m tests.faults.report` runs the faults of the table in docs/reliability.md and writes it.
"""
