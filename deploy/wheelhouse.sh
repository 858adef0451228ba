#!/usr/bin/env bash
# Collects all that install.sh needs on a host without a package index: the wheels of deploy/requirements.lock, each
# checked by its hash, and the controller's own.
#
#   wheelhouse.sh FOLDER [PIP OPTION...]
#
# Without options the wheels are for this machine. For another one, with pip's own options:
#
#   wheelhouse.sh FOLDER --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 --python-version 3.13
#
# On the host: deploy/systemd/install.sh --wheelhouse FOLDER. A .deb (make deb) needs neither and fits every architecture.
set -euo pipefail
[[ $# -ge 1 && $1 != -* ]] || {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
folder=$(realpath -m "$1")
shift
CDPATH='' cd "$(dirname "$0")/.."
mkdir -p "$folder"
bash deploy/build.sh "$folder"
rm -f "$folder"/*.tar.gz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip download --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
    --requirement deploy/requirements.lock --dest "$folder" "$@"
echo "wheelhouse.sh: $(find "$folder" -name '*.whl' | wc -l) wheels are in $folder"
