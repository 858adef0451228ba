# shellcheck shell=bash
# Sourced by the scripts beside it: a service is a folder with a lock (held while it runs), the pid of its supervisor
# and its log. A reboot or a kill -9 frees the lock, so nothing stale counts as a running service.

home=${IMAGECTL_ENGINES_HOME:-${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/edge-image-controller/engines}
services=$home/running

is_running() { [[ -e $1/lock ]] && ! flock --shared --nonblock "$1/lock" true; } # FOLDER

start_service() { # FOLDER OWNER ROOT COMMAND...: see supervise.sh
    local dir=$1
    echo "$2" >"$dir/owner"
    : >"$dir/log"
    setsid bash "$(dirname "${BASH_SOURCE[0]}")/supervise.sh" "$@" >>"$dir/log" 2>&1 </dev/null 9>&- &
    until is_running "$dir" || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
}

await() { # WHAT FOLDER COMMAND...: until the command succeeds; a minute at most, and no longer than the service lives
    local what=$1 dir=$2 deadline=$((SECONDS + 60))
    shift 2
    until "$@"; do
        ((SECONDS < deadline)) || fail "$what does not answer after a minute; the end of $dir/log:" "$dir/log"
        is_running "$dir" || fail "$what has ended at once; the end of $dir/log:" "$dir/log"
        sleep 0.05
    done
}

stop_service() { # FOLDER: with SIGTERM; its data is kept
    signal_service "$1" TERM
}

drop_service() { # FOLDER: at once, and everything it has stored
    signal_service "$1" USR1
    [[ ! -e $1/processes ]] || flock --timeout 60 "$1/processes" true || fail "processes of ${1##*/} do not end"
    remove_traces "$1"
}

drop_orphans() { # what was left when an owner and the supervisor died together, as at a power cut
    local dir owner
    for dir in "$services"/*/; do
        owner=$(cat "$dir/owner" 2>/dev/null || echo none)
        if [[ $owner != none ]] && ! kill -0 "$owner" 2>/dev/null && ! is_running "$dir"; then drop_service "${dir%/}"; fi
    done
}

remove_traces() { # FOLDER: of a service that has ended; Podman has its containers' control groups at a place of its own
    local container groups=(-path "*/imagectl/${1##*/}*" -o -name imagectl)
    for container in "$1"/data/overlay-containers/*/; do groups+=(-o -name "libpod-*$(basename "$container")"); done
    find /sys/fs/cgroup -depth -type d \( "${groups[@]}" \) -exec rmdir {} + 2>/dev/null || true
    rm -rf "$1"
}

signal_service() { # FOLDER SIGNAL: and waits until it is gone
    is_running "$1" || return 0
    kill -s "$2" "$(cat "$1/pid")" 2>/dev/null || true
    flock --timeout 60 "$1/lock" true || fail "${1##*/} has not ended in a minute; the end of $1/log:" "$1/log"
}
