"""The tests: unit, contract (each twin and each real server), integration, e2e and faults."""
