#!/usr/bin/env bash
# Installs Chromium, Prometheus and node_exporter from Debian for the tests of the page, the metrics and the manifests.
# None is started here, nor at boot. Does nothing when they are already installed.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/local/packages.sh
source "$here/packages.sh"
# shellcheck source=deploy/local/services.sh
source "$here/services.sh"

programs=(prometheus promtool prometheus-node-exporter chromium chromedriver openssl zsh fish git ssh-keygen gpg unshare systemd-analyze dpkg-deb lintian)

is_complete() {
    local program
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null || return 1
    done
}

is_complete && exit 0
mkdir -p "$home"
install_packages "$home/install.log" prometheus prometheus-node-exporter chromium chromium-driver fonts-dejavu-core openssl zsh fish \
    git openssh-client gnupg util-linux systemd dpkg lintian
is_complete || fail "not all of ${programs[*]} came with Debian's packages"
