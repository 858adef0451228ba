#!/usr/bin/env bash
# The first process in the namespaces of a service: mounts what it needs, runs it, and reaps what it leaves behind.
#   inside.sh FOLDER ROOT COMMAND...
# ROOT is / or a root file system of its own, in which FOLDER appears under the same name. /run is empty and private,
# and nothing of the caller's environment is passed on.
set -euo pipefail
dir=$1 root=${2%/}
shift 2

if [[ -n $root ]]; then
    mount --bind "$root" "$root"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    mkdir -p "$root$dir"
    mount --bind "$dir" "$root$dir"
fi
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev/shm"
if [[ -n $root ]]; then # not chroot: in that no process may make a user namespace, as rootless engines do
    pivot_root "$root" "$root/mnt"
    cd /
    umount --lazy /mnt
fi

# shellcheck disable=SC2317  # the trap reaches it
stop_command() {
    interrupted=yes
    kill -s TERM "$command" 2>/dev/null || true
}

env --ignore-environment "PATH=$PATH" HOME=/root "$@" &
command=$!
trap stop_command TERM
interrupted=yes
while [[ -n $interrupted ]]; do # the signal ends the wait, not the command
    interrupted='' status=0
    wait "$command" || status=$?
done
exit "$status"
