#!/usr/bin/env bash
# Writes three lock files from pyproject.toml, with hashes: requirements.lock (everything), deploy/requirements.lock (run
# time only) and deploy/build.lock (what builds the wheel).
#
#   lock.sh              keeps the versions that are locked already
#   lock.sh --upgrade    takes the newest that fit
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/../.."
# shellcheck source=deploy/local/packages.sh
source deploy/local/packages.sh

uv_command() { # the one that is installed, or one in an environment of its own
    if uv --version >/dev/null 2>&1; then
        echo uv
    else
        [[ -x .venv-uv/bin/uv ]] || { python3 -m venv .venv-uv && .venv-uv/bin/python -m pip install --quiet uv; } ||
            fail "uv is needed to resolve versions and could not be installed"
        echo .venv-uv/bin/uv
    fi
}

uv=$(uv_command)
compile=("$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header "$@")
"${compile[@]}" --group dev pyproject.toml --output-file requirements.lock
"${compile[@]}" pyproject.toml --constraints requirements.lock --output-file deploy/requirements.lock
"${compile[@]}" <(sed -nE 's/^requires = \["(.*)"\]$/\1/p' pyproject.toml) --constraints requirements.lock --output-file deploy/build.lock
