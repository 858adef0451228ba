#!/usr/bin/env bash
# A demonstration: makes three sample images, then runs the controller on them with policies/samples.yaml until Ctrl-C.
#
# The engine is that of DOCKER_HOST, else the one on the local socket, else a private one made for this run. On an
# engine of yours only the sample images are touched, and they are gone again at the end: policies beside samples.yaml
# are not read.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/../.."
# shellcheck source=deploy/local/packages.sh
source deploy/local/packages.sh
local_socket=unix:///var/run/docker.sock
trial=$PWD/.trial
settle=5s # ten minutes by default; short, because the user waits
private=''
made=''

choose_engine() {
    if [[ -n ${DOCKER_HOST:-} ]]; then
        say "using the engine of DOCKER_HOST, $DOCKER_HOST"
    elif python3 deploy/local/ping.py "$local_socket"; then
        say "using the engine on $local_socket"
        DOCKER_HOST=$local_socket
    else
        [[ $EUID -eq 0 ]] || fail "no container engine answers you on $local_socket: set DOCKER_HOST, or be root to get a private one"
        say "no container engine answers on $local_socket, so a private one is started"
        private=debian.trial-$$
        DOCKER_HOST=$(deploy/local/engine.sh up "$private" --owner $$)
    fi
    export DOCKER_HOST
}

samples() { .venv/bin/python -m deploy.local.samples "$1"; }

finish() {
    trap - EXIT
    if [[ -n $private ]]; then
        deploy/local/engine.sh down "$private"
    elif [[ -n $made ]]; then
        samples remove
    fi
    rm -rf "$trial"
}

imagectl() { .venv/bin/imagectl "$1" "${@:2}" --ledger "$trial/ledger.db"; }

narrate() { # beside the controller: what it saw, what it did, and where to look next
    local address
    until [[ -e $trial/ledger.db ]] && imagectl get removals -o name 2>/dev/null | grep -q .; do
        kill -0 "$controller" 2>/dev/null || return 0
        sleep 0.5
    done
    echo
    say "what was removed, and why (imagectl get removals):"
    imagectl get removals
    echo
    say "what is kept, and why (imagectl plan):"
    imagectl plan "${looking[@]}"
    address=$(sed -n 's|.*metrics at \(http://[^ ]*\)/metrics.*|\1|p' "$trial/log" | head -n 1)
    echo
    say "the bytes that were freed, from $address/metrics:"
    python3 -c 'import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1]).read().decode())' "$address/metrics" |
        grep '^image_controller_reclaimed_bytes_total'
    echo
    say "the controller keeps running: status page at $address/, metrics at $address/metrics; Ctrl-C stops it"
}

stop_controller() {
    interrupted=yes
    kill -s TERM "$controller" 2>/dev/null || true
}

keep_log() { # beside the controller; Ctrl-C reaches this process too, which must read until the controller has ended
    trap '' INT
    exec tee "$trial/log" >&2
}

run_controller() { # OPTION...: until it ends; a signal is passed to it and ends the wait, which then starts again
    local status interrupted=yes was_interrupted=''
    .venv/bin/imagectl run --ledger "$trial/ledger.db" "${looking[@]}" --log-format text "$@" 2> >(keep_log) &
    controller=$!
    narrate &
    trap stop_controller INT TERM HUP
    while [[ -n $interrupted ]]; do
        interrupted='' status=0
        wait "$controller" || status=$?
        was_interrupted+=$interrupted
    done
    [[ -z $was_interrupted || $status -le 128 ]] || status=0 # the signal came before the controller could handle it
    return "$status"
}

trap finish EXIT
choose_engine
rm -rf "$trial"
mkdir -p "$trial/policies"
cp policies/samples.yaml "$trial/policies"
samples create
made=yes
looking=(--policies "$trial/policies" --docker-host "$DOCKER_HOST" --settle "$settle")
say "three sample images exist; the plan before anything is removed (imagectl plan):"
imagectl plan "${looking[@]}"
echo
say "the controller runs now (imagectl run); images that are due are removed $settle after they were first seen:"
run_controller "$@"
