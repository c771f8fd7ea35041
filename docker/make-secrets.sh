#!/bin/sh
# Makes the secrets that docker-compose.yaml uses, each a file; those that are there stay as they are.
# Usage: docker/make-secrets.sh [FOLDER]   (default: $ICACHE_SECRETS_DIR, else .icache-compose/secrets)
#
# The folder is closed to others. The files in it are not: compose mounts each with the owner and mode that it has here,
# and the containers run as users of their own.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-${ICACHE_SECRETS_DIR:-.icache-compose/secrets}}

umask 077
mkdir -p "$folder"
chmod 700 "$folder"
printf '*\n' >"$folder/.gitignore"

# 24 random bytes in base64, written as URLs and configuration files take them.
token() { head -c "${1:-24}" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }

secret() { # NAME VALUE: keeps VALUE unless there is one
    [ -s "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"
    chmod 644 "$folder/$1"
}
value() { cat "$folder/$1"; }

for name in redis_password airflow_jwt_secret airflow_api_secret s3_access_key s3_secret_key s3_second_access_key s3_second_secret_key \
    source_token pod_runner_token postgres_password; do
    secret "$name" "$(token)"
done
secret airflow_password "$(token 12)"
secret airflow_fernet_key "$(token 32)"
secret backup_signing_key "$(token 32)"
secret redis_url "redis://:$(value redis_password)@redis:16379/0"
secret airflow_database_url "postgresql+psycopg2://airflow:$(value postgres_password)@postgres:5432/airflow"
echo "The secrets are in $folder. Airflow's login: admin / $(value airflow_password)"
