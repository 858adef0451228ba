#!/usr/bin/env bash
# Root file systems of Debian that tests and trials borrow from, each made once; prints the folder of each that is named.
#
#   root.sh python     trixie with Python 3.13: the base of a container image without a registry
#   root.sh python314  sid with Python 3.14, which this Debian does not have
#   root.sh compose    trixie with Compose 2 and the Docker client
#   root.sh systemd    bookworm with systemd as its first process, to run the units on
#
# They are kept where engine.sh keeps its own, and `engine.sh clean` drops them too. Needs root and Debian.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/local/packages.sh
source "$here/packages.sh"
# shellcheck source=deploy/local/services.sh
source "$here/services.sh"

make() { # SUITE PACKAGES
    make_root "$home/install.log" "$1" "$home/roots/$name" "$2" >&2
    echo "$home/roots/$name"
}

make_named() { # NAME
    case $1 in
        python) make trixie python3,python3-venv,ca-certificates ;;
        python314) make sid python3.14,python3.14-venv,ca-certificates ;;
        compose) make trixie docker-compose,docker-cli,ca-certificates ;;
        systemd) make bookworm systemd-sysv,dbus,python3,python3-venv,git,procps,ca-certificates ;;
        *) fail "there is no root file system '$1': it is one of python python314 compose systemd" ;;
    esac
}

need_root "a root file system"
mkdir -p "$home"
exec 9>"$home/lock"
flock 9
for name in "${@:-}"; do make_named "$name"; done
