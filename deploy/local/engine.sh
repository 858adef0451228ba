#!/usr/bin/env bash
# Private container engines for tests and trials, beside each other and beside all other engines of this machine.
#
#   engine.sh up NAME [--owner PID] [--insecure-registry HOST:PORT]...   start it, print its DOCKER_HOST
#   engine.sh fetch KIND...   only install what these kinds need
#   engine.sh stop NAME    end it, keep its images and containers for the next `up`
#   engine.sh down NAME    end it and drop everything it has stored
#   engine.sh status       what is there
#   engine.sh list         the kinds
#   engine.sh clean        end all, drop all, the file systems they were started from too
#
# NAME is a kind, or KIND.LABEL for one more engine of that kind. The kinds:
#   debian   Docker of this machine, or Debian's docker.io
#   d20      Docker 20.10 (bookworm), graph driver
#   d26-gd   Docker 26.1 (trixie), graph driver            d26-c8d   the same, containerd image store
#   d28-gd   Docker 28 (sid), graph driver                 d28-c8d   the same, containerd image store
#   podman   Podman 5.4 (trixie), its Docker-compatible socket
#   podman4  Podman 4.3 (bookworm)         podman4-rootless, d20-rootless   as an ordinary user, without root's rights
#
# Each has namespaces, a socket and a data folder of its own; no bridge, no firewall rule, no system service.
# With --owner an engine ends, data and all, when that process ends, however it ends.
# Everything is under IMAGECTL_ENGINES_HOME (default: the state folder of the user). Needs root and Debian.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/local/packages.sh
source "$here/packages.sh"
# shellcheck source=deploy/local/services.sh
source "$here/services.sh"

kinds=(debian d20 d26-gd d26-c8d d28-gd d28-c8d podman podman4 podman4-rootless d20-rootless)
user=1000 # of a rootless engine, inside its root file system

usage() {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

folder_of() { # NAME
    local kind=${1%%.*}
    [[ " ${kinds[*]} " == *" $kind "* && $1 =~ ^[a-z0-9-]+(\.[A-Za-z0-9_-]+)?$ ]] ||
        fail "there is no engine '$1': it is one of ${kinds[*]}, or one of these with .LABEL"
    echo "$services/$1"
}

host_of() { echo "unix://$1/engine.sock"; } # FOLDER

suite_of() { # KIND
    case $1 in
        d20 | d20-rootless | podman4*) echo bookworm ;;
        d26-* | podman) echo trixie ;;
        d28-*) echo sid ;;
    esac
}

# Makes sure that the programs of a kind are there, and prints the root file system that holds them.
programs_of() { # KIND
    local kind=$1 suite root log=$home/install.log
    suite=$(suite_of "$kind")
    if [[ $kind == debian ]]; then
        has_docker_of_others || install_packages "$log" docker.io
        echo /
    elif [[ $kind == podman4* || $kind == *-rootless ]]; then
        root=$home/roots/rootless
        make_root "$log" "$suite" "$root" \
            docker.io,podman,netavark,runc,crun,rootlesskit,uidmap,slirp4netns,iptables,passwd,ca-certificates
        add_user "$root"
        echo "$root"
    elif [[ $suite == "$(machine_suite)" ]] && ! has_docker_of_others; then
        # shellcheck disable=SC2046  # one word for each package
        install_packages "$log" $([[ $kind == podman ]] && echo podman runc || echo docker.io)
        echo /
    else
        root=$home/roots/$suite
        make_root "$log" "$suite" "$root" "$(root_packages "$suite")"
        echo "$root"
    fi
}

add_user() { # ROOT: an ordinary user with a range of subordinate IDs, who may pass through /root to the data folder
    local file
    grep -qs "^engine:" "$1/etc/passwd" || chroot "$1" useradd --uid "$user" --create-home engine
    for file in subuid subgid; do echo "engine:100000:65536" >"$1/etc/$file"; done
    chmod 711 "$1/root"
}

machine_suite() { (
    # shellcheck source=/dev/null
    source /etc/os-release
    echo "${VERSION_CODENAME:-}"
); }

has_docker_of_others() { # one that is not Debian's, which must not be replaced
    command -v dockerd >/dev/null && ! is_installed docker.io
}

root_packages() { # SUITE
    case $1 in
        trixie) echo docker.io,podman,runc,ca-certificates ;;
        *) echo docker.io,ca-certificates ;;
    esac
}

json_list() { # WORD...
    local word list=
    for word in "$@"; do list+="${list:+, }\"$word\""; done
    echo "[$list]"
}

write_docker_configuration() { # NAME FOLDER ROOT REGISTRY...
    local name=$1 dir=$2 root=$3
    shift 3
    cat >"$dir/daemon.json" <<JSON
{
  "data-root": "$dir/data", "exec-root": "/run/docker", "pidfile": "/run/docker.pid",
  "hosts": ["$(host_of "$dir")"], "insecure-registries": $(json_list "$@"),
  "bridge": "none", "iptables": false, "ip6tables": false, "ip-forward": false, "ip-masq": false,
  $(docker_identity "$dir" "$root")"exec-opts": ["native.cgroupdriver=cgroupfs"], "cgroup-parent": "/imagectl/$name",
  "features": $(docker_features "${name%%.*}")
}
JSON
}

docker_identity() { # FOLDER ROOT: Docker 20.10 takes its ID from a key of the whole machine unless configured
    [[ $(chroot "$2" dockerd --version) != *"version 20."* ]] || printf '"deprecated-key-path": "%s/key.json", ' "$1"
}

docker_features() { # KIND: the image store, which `debian` takes as it is
    case $1 in
        *-c8d) echo '{"containerd-snapshotter": true}' ;;
        *-gd) echo '{"containerd-snapshotter": false}' ;;
        *) echo '{}' ;;
    esac
}

write_rootless_docker_configuration() { # FOLDER REGISTRY...
    local dir=$1
    shift
    cat >"$dir/daemon.json" <<JSON
{
  "data-root": "$dir/data", "hosts": ["$(host_of "$dir")"], "insecure-registries": $(json_list "$@"),
  "deprecated-key-path": "$dir/key.json", "bridge": "none", "iptables": false, "ip-forward": false, "ip-masq": false
}
JSON
}

write_podman_configuration() { # FOLDER REGISTRY...
    local dir=$1 registry
    shift
    printf '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >"$dir/containers.conf"
    echo 'unqualified-search-registries = []' >"$dir/registries.conf"
    for registry in "$@"; do
        printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$registry" >>"$dir/registries.conf"
    done
}

start_engine() { # NAME FOLDER ROOT OWNER REGISTRY...
    local name=$1 dir=$2 root=$3 owner=$4
    rm -f "$dir/engine.sock"
    if [[ ${name%%.*} == *-rootless ]]; then
        start_rootless_engine "$@"
        return
    fi
    shift 4
    if [[ $name == podman* ]]; then
        write_podman_configuration "$dir" "$@"
        start_service "$dir" "$owner" "$root" \
            env "CONTAINERS_CONF=$dir/containers.conf" "CONTAINERS_REGISTRIES_CONF=$dir/registries.conf" \
            podman --root "$dir/data" --runroot /run/podman --tmpdir /run/podman/tmp \
            system service --time=0 "$(host_of "$dir")"
    else
        write_docker_configuration "$name" "$dir" "$root" "$@"
        start_service "$dir" "$owner" "$root" dockerd --config-file "$dir/daemon.json"
    fi
}

# Runs its arguments as the user: USER COMMAND...
as_user='
    export HOME=/home/engine XDG_RUNTIME_DIR=/run/user/$1 USER=engine PATH=/usr/sbin:/usr/bin:/sbin:/bin
    install -d -m 700 -o "$1" -g "$1" "$XDG_RUNTIME_DIR"
    exec setpriv --reuid "$1" --regid "$1" --init-groups "${@:2}"'

start_rootless_engine() { # NAME FOLDER ROOT OWNER REGISTRY...
    local name=$1 dir=$2 root=$3 owner=$4
    shift 4
    local as=(bash -c "$as_user" bash "$user")
    chown "$user:$user" "$dir"
    if [[ $name == podman* ]]; then
        write_podman_configuration "$dir" "$@"
        start_service "$dir" "$owner" "$root" "${as[@]}" \
            env "CONTAINERS_CONF=$dir/containers.conf" "CONTAINERS_REGISTRIES_CONF=$dir/registries.conf" \
            podman --root "$dir/data" --runroot "/run/user/$user/containers" \
            system service --time=0 "$(host_of "$dir")"
    else
        write_rootless_docker_configuration "$dir" "$@"
        # A network of its own, empty: /dev/net/tun need not be open to users, and in a network that it does not own
        # Docker cannot return from the network of a container.
        mkdir -p "$dir/bin"
        printf '#!/bin/sh\nexec unshare --net /usr/sbin/dockerd "$@"\n' >"$dir/bin/dockerd"
        chmod 755 "$dir/bin/dockerd"
        start_service "$dir" "$owner" "$root" "${as[@]}" env "PATH=$dir/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
            DOCKERD_ROOTLESS_ROOTLESSKIT_NET=host DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=none \
            /usr/share/docker.io/contrib/dockerd-rootless.sh --config-file "$dir/daemon.json"
    fi
}

up() { # NAME OWNER REGISTRY...
    local name=$1 owner=$2 dir root
    shift 2
    dir=$(folder_of "$name")
    if ! is_running "$dir"; then
        drop_orphans
        ((${#dir} < 90)) || fail "$dir is too long for a socket: set IMAGECTL_ENGINES_HOME to a shorter path"
        root=$(programs_of "${name%%.*}")
        mkdir -p "$dir"
        start_engine "$name" "$dir" "$root" "$owner" "$@"
        await "$name" "$dir" python3 "$here/ping.py" "$(host_of "$dir")"
    fi
    host_of "$dir"
}

fetch() { # KIND...
    local kind
    for kind in "$@"; do
        folder_of "$kind" >/dev/null
        (flock 9 && programs_of "$kind" >/dev/null) 9>"$home/lock"
    done
}

parse_up() { # NAME OPTION...
    local name=${1:?} owner=none registries=()
    shift
    while (($#)); do
        case $1 in
            --owner) owner=${2:?} ;;
            --insecure-registry) registries+=("${2:?}") ;;
            *) usage ;;
        esac
        shift 2
    done
    (flock 9 && up "$name" "$owner" "${registries[@]}") 9>"$home/lock"
}

status() {
    local dir
    for dir in "$services"/*/; do
        [[ -d $dir ]] || continue
        dir=${dir%/}
        if is_running "$dir"; then echo "${dir##*/} running $dir"; else echo "${dir##*/} stopped $dir"; fi
    done
}

tell_packages() { # that the scripts here have installed; the list is kept, because they remain installed
    local names kilobytes
    [[ -s $installed_list ]] || return 0
    names=$(comm -12 <(sort -u "$installed_list") <(installed_packages))
    [[ -n $names ]] || return 0
    # shellcheck disable=SC2086  # one word for each package
    kilobytes=$(dpkg-query -W -f '${Installed-Size}\n' $names | awk '{ sum += $1 } END { print sum }')
    say "$(wc -w <<<"$names") Debian packages are left installed ($((kilobytes / 1024)) MB); the list is $installed_list"
    say "to remove them too: apt-get purge \$(cat $installed_list)"
}

clean() {
    local dir
    for dir in "$services"/*/; do [[ ! -d $dir ]] || drop_service "${dir%/}"; done
    tell_packages
    rm -rf "$services" "$home"/{roots,bare,install.log,lock}
    rmdir "$home" 2>/dev/null || true
}

make_home() {
    need_root "a private container engine"
    mkdir -p "$home"
}

case ${1:-} in
    up) (($# >= 2)) || usage; make_home; parse_up "${@:2}" ;;
    fetch) (($# >= 2)) || usage; make_home; fetch "${@:2}" ;;
    stop) (($# == 2)) || usage; stop_service "$(folder_of "$2")" ;;
    down) (($# == 2)) || usage; drop_service "$(folder_of "$2")" ;;
    status) status ;;
    list) printf '%s\n' "${kinds[@]}" ;;
    clean) clean ;;
    *) usage ;;
esac
