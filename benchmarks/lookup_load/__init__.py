"""What `benchmarks.lookup` measures with: the load generator, the data, the servers that are compared."""
