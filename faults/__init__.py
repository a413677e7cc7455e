"""Fault injection into the whole product: real processes, PostgreSQL and Redis, real kill -9.

`make faults` runs all scenarios; `docs/reliability.md` says what they prove.
"""
