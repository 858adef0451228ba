#!/usr/bin/env bash
# Makes .venv exactly as requirements.lock says, with this project in it; does nothing when it is already so.
#
#   environment.sh        PYTHON names the interpreter, if the first one that is new enough will not do
#
# Takes uv where it is installed and plain venv and pip where not. Packages come from the package index that pip is set
# up for, each checked by its hash. Where a Debian lacks the venv module and this is root, its package is installed.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/../.."
# shellcheck source=deploy/local/packages.sh
source deploy/local/packages.sh
venv=$PWD/.venv
log=$venv/environment.log

# The caller may be inside another environment; it is ignored.
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH
export PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_DISABLE_PIP_VERSION_CHECK=1

find_python() {
    local candidate names=${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}
    for candidate in $names; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer here (looked for $names): install one, or name it with PYTHON=/path/to/python"
}

has_uv() { uv --version >/dev/null 2>&1; }

wanted() { # what the environment depends on, as one hash
    cat requirements.lock pyproject.toml deploy/local/environment.sh <(echo "$PWD") | sha256sum | cut -d ' ' -f 1
}

is_whole() { "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

can_be_filled() { is_whole && { has_uv || "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; }

create_venv() {
    local python
    python=$(find_python)
    rm -rf "${venv:?}"/{bin,include,lib,lib64,pyvenv.cfg}
    if has_uv; then
        run_logged "$log" uv venv --quiet --allow-existing --python "$python" "$venv"
    else
        "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv_module "$python"
        run_logged "$log" "$python" -m venv "$venv"
    fi
}

install_venv_module() { # PYTHON
    local package
    package=$("$1" -c 'import sys; print("python{}.{}-venv".format(*sys.version_info))')
    [[ $EUID -eq 0 && -x $(command -v apt-get) ]] || fail "the venv module of $1 is missing: install $package, or uv, first"
    install_packages "$log" "$package"
}

fill_venv() {
    if has_uv; then
        run_logged "$log" uv pip sync --quiet --python "$venv/bin/python" --require-hashes requirements.lock
        run_logged "$log" uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
    else
        run_logged "$log" "$venv/bin/python" -m pip install --quiet --require-hashes --requirement requirements.lock
        run_logged "$log" "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
    fi
}

make_environment() {
    [[ $(cat "$venv/made-from" 2>/dev/null) != "$(wanted)" ]] || ! is_whole || return 0
    say "making .venv from requirements.lock"
    rm -f "$venv/made-from"
    if ! can_be_filled; then create_venv; fi
    fill_venv
    wanted >"$venv/made-from"
}

mkdir -p "$venv" 2>/dev/null || true
[[ -w $venv ]] || fail "$venv cannot be written"
(flock 9 && make_environment) 9>"$venv/lock"
