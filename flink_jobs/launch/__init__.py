"""How a version of the job comes to run and goes: releases, the wanted state, upgrades. `submit.py` calls it."""
