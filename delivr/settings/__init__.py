"""All settings: what the operator chooses (`environment.py`), and what follows from it."""

from delivr.settings.environment import *
from delivr.settings.framework import *
from delivr.settings.signin import *
from delivr.settings.web import *
from delivr.settings.wiring import *
