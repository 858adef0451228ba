#!/usr/bin/env bash
# A private image registry on loopback, for tests that push and pull.
#
#   registry.sh up PORT [--owner PID]   start it (Debian's docker-registry), print its HOST:PORT
#   registry.sh down PORT               end it and drop everything it has stored
#
# Docker takes a registry on 127.0.0.1 without TLS by itself; for Podman see `engine.sh up --insecure-registry`.
# With --owner it ends, data and all, when that process ends. Needs root and Debian.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/local/packages.sh
source "$here/packages.sh"
# shellcheck source=deploy/local/services.sh
source "$here/services.sh"

usage() {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

write_configuration() { # ADDRESS FOLDER
    cat >"$2/config.yml" <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $2/data}, delete: {enabled: true}}
http: {addr: $1}
YAML
}

up() { # PORT OWNER
    local address=127.0.0.1:$1 dir=$services/registry.$1
    if ! is_running "$dir"; then
        need_root "the private registry"
        drop_orphans
        command -v docker-registry >/dev/null || install_packages "$home/install.log" docker-registry
        mkdir -p "$dir"
        write_configuration "$address" "$dir"
        start_service "$dir" "$2" / docker-registry serve "$dir/config.yml"
        await "the registry on $address" "$dir" python3 "$here/ping.py" "http://$address/v2/"
    fi
    echo "$address"
}

case "${1:-} ${3:-} $#" in
    "up  2") mkdir -p "$home" && (flock 9 && up "$2" none) 9>"$home/lock" ;;
    "up --owner 4") mkdir -p "$home" && (flock 9 && up "$2" "$4") 9>"$home/lock" ;;
    "down  2") drop_service "$services/registry.$2" ;;
    *) usage ;;
esac
