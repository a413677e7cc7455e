"""Python runs this first if its folder is on PYTHONPATH: it shifts the process's clock by
DELIVR_CLOCK_OFF seconds, as on a machine without time synchronisation."""

import os
from datetime import UTC, datetime, timedelta

import time_machine

off = timedelta(seconds=float(os.environ["DELIVR_CLOCK_OFF"]))
time_machine.travel(datetime.now(UTC) + off, tick=True).start()
