"""Faults against the whole product: real processes, real PostgreSQL and Redis, real kill -9.

`make faults` runs all of them; `docs/reliability.md` says what they prove.
"""
