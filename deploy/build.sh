#!/usr/bin/env bash
# Builds the wheel and the sdist, the same bytes every time, with the build backend that deploy/build.lock names.
#
#   build.sh FOLDER       where they go; PYTHON names the interpreter, if python3 will not do
#
# Times inside are those of SOURCE_DATE_EPOCH, or a fixed date without it.
set -euo pipefail
out=$(realpath -m "${1:?usage: build.sh FOLDER}")
CDPATH='' cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
    --requirement deploy/build.lock
HATCH_QUIET=1 "$work/venv/bin/python" -m hatchling build --target sdist --target wheel --directory "$out"
