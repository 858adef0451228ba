#!/usr/bin/env bash
# Runs one command as a service in mount and process namespaces of its own, so that it ends with all it has started.
#   supervise.sh FOLDER OWNER ROOT COMMAND...
# FOLDER/lock is held while this process lives, whose number is in FOLDER/pid, and FOLDER/processes while any process
# of the command does. TERM ends the command in good order, USR1 at once.
# OWNER is a process or `none`: when that process ends, the command ends at once and FOLDER is removed.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
dir=$1 owner=$2
shift 2

signal_command() { # SIGNAL: to the first process inside; the kernel ends the others with it
    local first
    first=$(cat "/proc/$inside/task/$inside/children" 2>/dev/null) || true
    [[ -z $first ]] || kill -s "$1" "${first%% *}" 2>/dev/null || true
}

exec 8>"$dir/lock"
flock --timeout 5 8 || exit 0
echo $$ >"$dir/pid"
exec 7>"$dir/processes" # inherited by all that is started here; the processes of a killed forerunner may still be ending
flock 7

# Killed itself, it takes the command along: each process dies with its parent.
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --propagation private \
    bash "$here/inside.sh" "$dir" "$@" 8>&- &
inside=$!
trap 'signal_command TERM' TERM
trap 'signal_command KILL' USR1

watch=''
if [[ $owner != none ]]; then
    setpriv --pdeathsig KILL tail --pid="$owner" --sleep-interval=0.5 --follow /dev/null 7>&- 8>&- &
    watch=$!
fi

orphaned=''
while kill -0 "$inside" 2>/dev/null; do
    wait -n "$inside" ${watch:+"$watch"} || true # until one of them ends, or a signal comes
    if [[ -n $watch ]] && ! kill -0 "$watch" 2>/dev/null; then
        orphaned=yes watch=''
        signal_command KILL
    fi
done
[[ -z $watch ]] || kill "$watch"
if [[ -n $orphaned ]]; then
    # shellcheck source=deploy/local/services.sh
    source "$here/services.sh"
    remove_traces "$dir"
fi
