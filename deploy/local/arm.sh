#!/usr/bin/env bash
# Runs the pure tests on another architecture, emulated: proves that the lock installs there without a compiler, and
# that nothing depends on the size of a word or on the machine.
#
#   arm.sh arm64|armhf [PYTEST-OPTION...]
#
# Installs qemu-user-static and binfmt-support, and makes a root file system of Debian bookworm for that architecture,
# once; `engine.sh clean` drops it. The tests run in it on a copy of this tree. Needs root and Debian.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$(dirname "$here")")
# shellcheck source=deploy/local/packages.sh
source "$here/packages.sh"
# shellcheck source=deploy/local/services.sh
source "$here/services.sh"

# Not needed to run the tests; some have no wheel for every architecture.
left_out='ruff|mypy|mypy-extensions|import-linter|grimp|rich|librt|selenium|types-.*'
pure=(tests/constraint tests/image tests/plan tests/policy tests/test_quantity.py tests/test_printable.py)

architecture=${1:-}
case $architecture in
    arm64) interpreter=qemu-aarch64 ;;
    armhf) interpreter=qemu-arm ;;
    *) fail "name an architecture: arm64 or armhf" ;;
esac
shift
need_root "a root file system of another architecture"
mkdir -p "$home"
log=$home/install.log root=$home/roots/$architecture

emulate() { # the kernel hands programs of that architecture to qemu
    local at=/proc/sys/fs/binfmt_misc
    install_packages "$log" qemu-user-static binfmt-support
    [[ -e $at/register ]] || mount -t binfmt_misc binfmt_misc "$at" || fail "this kernel has no binfmt_misc"
    [[ -e $at/$interpreter ]] || update-binfmts --enable "$interpreter" || fail "$interpreter cannot be registered"
}

inside() { # COMMAND...: in the root file system, with the network of this machine and its settings of pip
    local name keep=()
    for name in http_proxy https_proxy no_proxy PIP_INDEX_URL PIP_CERT SSL_CERT_FILE; do
        [[ -z ${!name:-} ]] || keep+=("$name=${!name}")
    done
    env --ignore-environment PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LC_ALL=C.UTF-8 "${keep[@]}" chroot "$root" "$@"
}

wanted() { cat "$source/requirements.lock" "$0" | sha256sum | cut -d ' ' -f 1; }

fill() { # the environment, from wheels only
    local file
    [[ $(cat "$root/venv/wanted" 2>/dev/null) != "$(wanted)" ]] || return 0
    say "installing the lock on $architecture, from wheels only"
    for file in /etc/{resolv.conf,hosts,pip.conf} /etc/ssl/certs/ca-certificates.crt "${PIP_CERT:-}" "${SSL_CERT_FILE:-}"; do
        [[ ! -f $file ]] || install -D -m 644 "$file" "$root$file"
    done
    awk -v out="^($left_out)==" '/^[a-zA-Z]/ { keep = $0 !~ out } keep' "$source/requirements.lock" >"$root/requirements.lock"
    rm -rf "$root/venv"
    run_logged "$log" inside python3 -m venv /venv
    run_logged "$log" inside /venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: \
        --require-hashes --requirement /requirements.lock
    wanted >"$root/venv/wanted"
}

copy_tree() {
    rm -rf "$root/tree"
    mkdir "$root/tree"
    (cd "$source" && tar --exclude=./.git --exclude=./.venv --exclude='__pycache__' --exclude='./.trial' -cf - .) |
        tar -xf - -C "$root/tree"
}

exec 9>"$home/lock.$architecture"
flock 9
emulate
# Without ca-certificates, whose installation starts a thousand emulated programs.
make_root "$log" bookworm "$root" python3,python3-venv,tzdata "$architecture"
fill
copy_tree
say "$(inside uname -m), $(inside python3 --version): imagectl $(inside sh -c 'cd /tree && /venv/bin/python -m controller version')"
cd /
inside sh -c 'cd /tree && exec /venv/bin/python -m pytest -p no:cacheprovider --hypothesis-profile quick --timeout 0 "$@"' \
    pytest -q -m "not (needs_root or needs_engine or needs_browser or needs_tools)" "${pure[@]}" "$@"
