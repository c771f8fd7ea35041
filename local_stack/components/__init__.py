"""The parts of the laptop stack: how each real server is prepared, started and seen to be ready."""
