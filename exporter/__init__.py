"""The exporter: what the stream does, as Prometheus metrics over HTTP. `python -m exporter` serves them."""
