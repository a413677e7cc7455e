"""Python runs this first where its folder is on PYTHONPATH: the process's clock is then wrong by
DELIVR_CLOCK_OFF seconds, as that of a machine without time synchronisation."""

import os
from datetime import UTC, datetime, timedelta

import time_machine

off = timedelta(seconds=float(os.environ["DELIVR_CLOCK_OFF"]))
time_machine.travel(datetime.now(UTC) + off, tick=True).start()
