#!/usr/bin/env bash
# Runs the pure tests on another architecture, emulated: proves that the lock installs there without a compiler, and
# that nothing depends on the size of a word or on the machine.
#
#   arm.sh arm64|armhf [PYTEST-OPTION...]
#
# Installs qemu-user-static and binfmt-support, and makes a root file system of Debian bookworm for that architecture,
# once; `engine.sh clean` drops it. The tests run in it on a copy of this tree. Needs root and Debian.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
source=$(dirname "$(dirname "$here")")
# shellcheck source=deploy/local/packages.sh
source "$here/packages.sh"
# shellcheck source=deploy/local/services.sh
source "$here/services.sh"

# Not needed to run the tests; some have no wheel for every architecture.
left_out='ruff|mypy|mypy-extensions|import-linter|grimp|rich|librt|ast-serialize|selenium|grafana-foundation-sdk|types-.*'
pure=(tests/adapters tests/cli tests/constraint tests/daemon tests/image tests/plan tests/policy tests/test_conformance.py
    tests/test_printable.py tests/test_quantity.py)
# What those folders hold and no architecture can change, or an emulated program is too slow for: FILE REASON.
skipped=(
    "tests/cli/test_beside_agent.py it starts programs and waits 30 s for them at most"
    "tests/cli/test_completion.py it reads the scripts of three shells"
    "tests/cli/test_trouble.py it starts programs and waits 30 s for them at most"
    "tests/policy/test_schema.py it compares a JSON Schema with the reader, text by text"
)

architecture=${1:-}
case $architecture in
    arm64) interpreter=qemu-aarch64 built=() ;;
    # No wheel of PyYAML: pip builds it, without a compiler, from pure Python. `regex`, which only tests need, must be compiled.
    armhf) interpreter=qemu-arm built=(--no-binary pyyaml) left_out+='|regex|docker-image-py' ;;
    *) fail "name an architecture: arm64 or armhf" ;;
esac
shift
need_root "a root file system of another architecture"
mkdir -p "$home"
log=$home/install.log root=$home/roots/$architecture

emulate() { # the kernel hands programs of that architecture to qemu
    local at=/proc/sys/fs/binfmt_misc
    install_packages "$log" qemu-user-static binfmt-support python3-pip-whl
    [[ -e $at/register ]] || mount -t binfmt_misc binfmt_misc "$at" || fail "this kernel has no binfmt_misc"
    [[ -e $at/$interpreter ]] || update-binfmts --enable "$interpreter" || fail "$interpreter cannot be registered"
}

inside() { # COMMAND...: in the root file system, with the network and the devices of this machine, and its settings of pip
    local name keep=() enter='mount --bind "$1" "$1" && mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" &&
        mount -t tmpfs tmpfs "$1/tmp" && exec chroot "$@"'
    for name in http_proxy https_proxy no_proxy PIP_INDEX_URL PIP_CERT SSL_CERT_FILE; do
        [[ -z ${!name:-} ]] || keep+=("$name=${!name}")
    done
    env --ignore-environment PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LC_ALL=C.UTF-8 "${keep[@]}" \
        unshare --mount --propagation private bash -c "$enter" enter "$root" "$@"
}

wanted() { (echo "$left_out" "${built[@]}" && cat "$source/requirements.lock") | sha256sum | cut -d ' ' -f 1; }

fill() { # the environment, from wheels only
    local file
    [[ $(cat "$root/venv/wanted" 2>/dev/null) != "$(wanted)" ]] || return 0
    say "installing the lock on $architecture, from wheels only"
    for file in /etc/{resolv.conf,hosts,pip.conf} /etc/ssl/certs/ca-certificates.crt "${PIP_CERT:-}" "${SSL_CERT_FILE:-}"; do
        [[ ! -f $file ]] || install -D -m 644 "$file" "$root$file"
    done
    awk -v out="^($left_out)==" '/^[a-zA-Z]/ { keep = $0 !~ out } keep' "$source/requirements.lock" >"$root/requirements.lock"
    rm -rf "$root/venv"
    cp /usr/share/python-wheels/pip-*.whl "$root/pip.whl"
    run_logged "$log" inside python3 -m venv --without-pip /venv
    run_logged "$log" inside /venv/bin/python /pip.whl/pip install --quiet --disable-pip-version-check --no-compile \
        --only-binary :all: "${built[@]}" --require-hashes --requirement /requirements.lock
    python3 -m compileall -q -s "$root" -p / "$root/venv" >>"$log" 2>&1 || true # not emulated; of use if it is Python 3.11
    wanted >"$root/venv/wanted"
}

copy_tree() { # with the byte code of this machine's Python, which does not depend on the architecture
    rm -rf "$root/tree"
    mkdir "$root/tree"
    (cd "$source" && tar --exclude=./.git --exclude=./.venv --exclude='./.trial' -cf - .) |
        tar -xf - -C "$root/tree"
}

exec 9>"$home/lock.$architecture"
flock 9
emulate
# Without python3-venv: it needs ca-certificates, whose installation starts a thousand emulated programs.
make_root "$log" bookworm "$root" python3,tzdata "$architecture"
fill
copy_tree
say "$(inside uname -m), $(inside python3 --version): imagectl $(inside sh -c 'cd /tree && /venv/bin/python -m controller version')"
say "left out: tests that need root, an engine, a browser or tools, every folder but ${pure[*]}, and:"
printf '    %s\n' "${skipped[@]}" >&2
mapfile -t ignored < <(printf -- '--ignore=%s\n' "${skipped[@]%% *}")
cd /
inside sh -c 'cd /tree && exec /venv/bin/python -m pytest -p no:cacheprovider --hypothesis-profile few --timeout 0 "$@"' \
    pytest -q -m "not (needs_root or needs_engine or needs_browser or needs_tools)" -rs \
    "${ignored[@]}" "${pure[@]}" "$@"
