# Airflow, its DAGs and plugins, the operations, the feed, the exporter and the simulated source.
# Build from the repository's root: docker build -f docker/airflow.Dockerfile .
# BASE is any Debian with Python 3.11 and its venv module.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS environment
COPY requirements.txt docker/locks/airflow-postgres.txt /build/
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
        -r /build/requirements.txt -r /build/airflow-postgres.txt \
    && /opt/venv/bin/pip uninstall --yes pip

FROM ${BASE}
# A backup is restored into a Redis of its own before it counts.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 icache \
    && useradd --uid 10001 --gid icache --home-dir /opt/airflow --shell /usr/sbin/nologin icache \
    && install --directory --owner=icache --group=icache --mode=0750 /opt/airflow /opt/airflow/logs /var/lib/feed \
        /var/lib/simulator
COPY --from=environment /opt/venv /opt/venv
COPY docker/healthy.py docker/airflow_entrypoint.py docker/make_topics_and_bucket.py /opt/instrument-cache/docker/
COPY contracts /opt/instrument-cache/contracts
COPY instrument_cache /opt/instrument-cache/instrument_cache
COPY feed /opt/instrument-cache/feed
COPY exporter /opt/instrument-cache/exporter
COPY local_stack /opt/instrument-cache/local_stack
# The drills start a worker of it.
COPY lookup_app /opt/instrument-cache/lookup_app
COPY plugins /opt/instrument-cache/plugins
COPY dags /opt/instrument-cache/dags
# The operator's page shows the runbooks.
COPY docs /opt/instrument-cache/docs
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/instrument-cache:/opt/instrument-cache/plugins \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/instrument-cache/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/instrument-cache/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
WORKDIR /opt/instrument-cache
USER 10001:10001
# Each part of Airflow shows its health in its own way, so each service checks its own.
CMD ["airflow", "version"]
