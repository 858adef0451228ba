#!/usr/bin/env bash
# Runs targets of the Makefile on a Debian on which nothing was prepared: debootstrap's minbase with make, python3 and
# ca-certificates, a copy of this tree, no git, root, in namespaces of its own. Prints one line for each target.
#
#   bare.sh [SUITE...]       default: bookworm trixie; TARGETS names the targets, default: run test
#
# Of this machine it takes the network, the name servers, the certificates that it trusts and the settings of apt and
# pip. The file system is removed afterwards, unless KEEP is set. Needs root and Debian.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
source_tree=$(dirname "$(dirname "$here")")
# shellcheck source=deploy/local/packages.sh
source "$here/packages.sh"
# shellcheck source=deploy/local/services.sh
source "$here/services.sh"

packages_of_a_newcomer=make,python3,ca-certificates
read -ra targets <<<"${TARGETS:-run test}"

make_bare_root() { # SUITE FOLDER: a new copy each time; make_root keeps what debootstrap has made
    local template=$home/roots/bare-$1 root=$2 file
    (flock 9 && make_root "$home/install.log" "$1" "$template" "$packages_of_a_newcomer" >&2) 9>"$home/lock"
    mkdir -p "${root%/*}"
    cp -a "$template" "$root"
    mkdir -p "$root/root/project"
    tar -C "$source_tree" --exclude='./.[a-z]*_cache' --exclude=./.git --exclude='./.venv*' --exclude=./.trial \
        --exclude=./.hypothesis --exclude=__pycache__ -cf - . | tar -C "$root/root/project" -xf -
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
        [[ ! -e $file ]] || cp --dereference "$file" "$root$file"
    done
    apt-config dump | grep '^Acquire::' >"$root/etc/apt/apt.conf.d/99-this-machine" || true
}

run_in() { # ROOT LOG TARGET
    local settings
    mapfile -t settings < <(env | grep -E '^(PIP_CERT|PIP_INDEX_URL|PIP_DEFAULT_TIMEOUT|SSL_CERT_FILE|[a-z]+_proxy)=' || true)
    unshare --mount --pid --ipc --fork --kill-child --propagation private bash -c "$inside" inside "$1" "$3" \
        "${settings[@]}" >"$2" 2>&1 </dev/null
}

# shellcheck disable=SC2016  # the inner bash expands it
inside='set -e
root=$1 target=$2
shift 2
mount --bind "$root" "$root"
for each in sys dev; do mount --rbind "/$each" "$root/$each"; done
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/mnt/old"
cd "$root"
pivot_root . mnt/old # not chroot: there a user namespace, which tests use, is forbidden
umount --lazy /mnt/old
cd /root/project
# After a failure the rest of the target runs too, so one run shows all failures.
run=(env --ignore-environment --default-signal=INT PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@" make --keep-going "$target")
if [ "$target" != run ]; then exec "${run[@]}"; fi
# This one runs until Ctrl-C.
setsid "${run[@]}" >/root/run.log 2>&1 &
until grep -q "Ctrl-C" /root/run.log; do
    kill -0 $! 2>/dev/null || { cat /root/run.log; exit 1; }
    sleep 1
done
kill -s INT -- "-$!"
wait $! || status=$?
cat /root/run.log
[ "${status:-0}" = 130 ] && status=0 # make itself ends with the signal
grep -q "^image_controller_reclaimed_bytes_total" /root/run.log || status=1
exit "${status:-0}"'

report() { # SUITE TARGET STATUS SECONDS ROOT
    local outcome="passed" room packages
    [[ $3 == 0 ]] || outcome="failed (exit code $3)"
    room=$(du -sxm "$5" | cut -f 1)
    packages=$(grep -c '^Status: install ok installed' "$5/var/lib/dpkg/status")
    say "Debian $1: make $2 $outcome after $(($4 / 60)) min $(($4 % 60)) s; $packages packages, $room MB in all"
}

try_suite() { # SUITE
    local suite=$1 root=$home/bare/$1.$$ target status log begin failed=''
    # shellcheck disable=SC2064  # the folder of now
    [[ -n ${KEEP:-} ]] || trap "rm -rf --one-file-system '$root'" EXIT
    make_bare_root "$suite" "$root"
    for target in "${targets[@]}"; do
        log=$home/bare/$suite-$target.log begin=$SECONDS status=0
        run_in "$root" "$log" "$target" || status=$?
        report "$suite" "$target" "$status" $((SECONDS - begin)) "$root"
        [[ $status == 0 ]] || { say "the end of $log:"; tail -n 30 "$log" >&2; failed=yes; }
    done
    [[ -z $failed ]]
}

need_root "a bare Debian"
mkdir -p "$home/bare"
(($#)) || set -- bookworm trixie
all=0
for suite in "$@"; do (try_suite "$suite") || all=1; done
exit "$all"
