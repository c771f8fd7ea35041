# The lookup service: REST, the change stream and gRPC, one image for the three processes. Build from the repository's root: docker build -f docker/lookup.Dockerfile .
# BASE is any Debian with Python 3.11 and its venv module.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS environment
COPY lookup_app/requirements.txt /build/
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /build/requirements.txt \
    && /opt/venv/bin/pip uninstall --yes setuptools pip

FROM ${BASE}
RUN groupadd --gid 10001 icache && useradd --uid 10001 --gid icache --no-create-home --shell /usr/sbin/nologin icache
COPY --from=environment /opt/venv /opt/venv
COPY docker/healthy.py /opt/instrument-cache/docker/
COPY contracts /opt/instrument-cache/contracts
COPY instrument_cache /opt/instrument-cache/instrument_cache
COPY lookup_app /opt/instrument-cache/lookup_app
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/instrument-cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/instrument-cache
USER 10001:10001
EXPOSE 8000 8001 8002 8003
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-S", "docker/healthy.py", "http://127.0.0.1:8000/healthz"]
# The others are `python -m lookup_app.changes` and `python -m lookup_app.rpc`.
CMD ["python", "-m", "lookup_app", "--host", "0.0.0.0", "--port", "8000"]
