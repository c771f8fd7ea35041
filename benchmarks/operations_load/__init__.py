"""One module for each operation that `benchmarks.operations` measures; each has `measure(keys, logs, status)`."""
