# Flink's cluster and the streaming job; target `pod-runner` adds the stand-in for Kubernetes.
# Build from the repository's root: docker build -f docker/flink.Dockerfile --target flink .
# BASE is any Debian with Python 3.11, its venv module and a package of OpenJDK 17; MAVEN any image with Maven.
ARG BASE=python:3.11-slim-bookworm
ARG MAVEN=maven:3.9.9-eclipse-temurin-17

FROM ${MAVEN} AS jars
COPY local_stack/setup/pom-flink.xml /build/pom.xml
RUN mvn -B -q -f /build/pom.xml dependency:copy-dependencies -DoutputDirectory=/build/jars \
    && mkdir -p /opt/flink/lib /opt/flink/plugins/s3-fs-presto \
    && mv /build/jars/flink-sql-connector-kafka-*.jar /opt/flink/lib/ \
    && mv /build/jars/flink-s3-fs-presto-*.jar /opt/flink/plugins/s3-fs-presto/

FROM ${BASE} AS environment
COPY flink_jobs/requirements.txt docker/locks/flink-build.txt /build/
# A few packages of the tree exist as source only. They are built with a setuptools that is itself hash-checked.
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /build/flink-build.txt \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --no-build-isolation -r /build/requirements.txt \
    && /opt/venv/bin/pip uninstall --yes setuptools pip \
    && rm -rf /opt/venv/lib/python3.11/site-packages/pyflink/examples

FROM ${BASE} AS pod-runner-environment
COPY docker/locks/pod-runner.txt /build/
RUN python3 -m venv /opt/pod-runner \
    && /opt/pod-runner/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /build/pod-runner.txt \
    && /opt/pod-runner/bin/pip uninstall --yes setuptools pip

FROM ${BASE} AS flink
# The JRE's package puts links into a folder that slim images lack.
RUN mkdir -p /usr/share/man/man1 \
    && apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 icache \
    && useradd --uid 10001 --gid icache --home-dir /var/lib/flink --shell /usr/sbin/nologin icache \
    && install --directory --owner=icache --group=icache --mode=0750 /var/lib/flink /var/lib/flink/conf /var/lib/flink/log \
        /var/lib/flink/run /var/lib/flink/tmp /var/lib/pods
COPY --from=environment /opt/venv /opt/venv
# Flink's lib/ is the wheel's, the Kafka connector, and flink-python in the cluster's own class path.
COPY --from=jars /opt/flink /opt/flink
RUN home=/opt/venv/lib/python3.11/site-packages/pyflink \
    && ln -s "$home"/lib/*.jar "$home"/opt/flink-python-*.jar /opt/flink/lib/ \
    && ln -s "$home" /opt/flink/home
COPY docker/healthy.py docker/flink_config.py docker/flink.yaml docker/log4j-console.properties docker/log4j-cli.properties \
    /opt/instrument-cache/docker/
COPY contracts /opt/instrument-cache/contracts
COPY instrument_cache /opt/instrument-cache/instrument_cache
COPY flink_jobs /opt/instrument-cache/flink_jobs
# The malloc settings keep Arrow's buffers for the next batch instead of giving them back and faulting them in again.
ENV PATH=/opt/venv/bin:/opt/flink/home/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/instrument-cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLINK_HOME=/opt/flink/home \
    FLINK_CONF_DIR=/var/lib/flink/conf \
    FLINK_LIB_DIR=/opt/flink/lib \
    FLINK_PLUGINS_DIR=/opt/flink/plugins \
    MALLOC_MMAP_THRESHOLD_=134217728 \
    MALLOC_TRIM_THRESHOLD_=268435456 \
    MALLOC_TOP_PAD_=67108864
WORKDIR /opt/instrument-cache
USER 10001:10001
# It completes Flink's configuration from the environment and then becomes the command.
ENTRYPOINT ["python", "/opt/instrument-cache/docker/flink_config.py"]
CMD ["jobmanager.sh", "start-foreground"]

FROM flink AS pod-runner
COPY --from=pod-runner-environment /opt/pod-runner /opt/pod-runner
COPY docker/pod_runner.py /opt/instrument-cache/docker/
COPY local_stack/__init__.py /opt/instrument-cache/local_stack/
COPY local_stack/pod_runner /opt/instrument-cache/local_stack/pod_runner
EXPOSE 8083
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-S", "docker/healthy.py", "http://127.0.0.1:8083/healthz"]
CMD ["/opt/pod-runner/bin/python", "docker/pod_runner.py"]
