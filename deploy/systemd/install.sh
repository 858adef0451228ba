#!/usr/bin/env bash
# Installs the controller as a systemd service from this source tree. May be run again at any time: an update.
#
#   install.sh [--once|--service] [--gitops] [--wheel FILE] [--root FOLDER]
#   install.sh --uninstall [--purge] [--root FOLDER]
#
#   --once       a pass every hour, by a timer, instead of a service that always runs
#   --service    a service again
#   --gitops     policies come from git; then edit /etc/image-controller/gitops.conf
#                (an update keeps what was chosen before)
#   --wheel      install this wheel instead of building one here
#   --root       install into a file system that is not running, such as an image: nothing is started
#   --uninstall  remove what was installed; --purge also the settings, the policies, the ledger and its history
#
# The program goes to /opt/image-controller, settings to /etc/image-controller; neither settings nor policies that are
# there are touched. Needs root, Python 3.11 or newer with its venv module, and a package index that pip can reach.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$(dirname "$here")")
from_git=/var/lib/image-controller-policies/current
root='' wheel='' mode='' gitops='' uninstall='' purge=''
units=(image-controller.service image-controller-once.service image-controller-once.timer
    image-controller-policies.service image-controller-policies.timer)

fail() {
    echo "${0##*/}: $1" >&2
    exit 1
}

usage() {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" | sed '$d' >&2
    exit 2
}

is_running_system() { [[ -z $root && -d /run/systemd/system ]]; }

keep_choices() {
    local to=$root/etc/systemd/system
    if [[ -z $mode ]]; then
        mode=service
        [[ ! -e $to/timers.target.wants/image-controller-once.timer ]] || mode=timer
    fi
    [[ ! -e $to/image-controller-policies.service ]] || gitops=yes
}

install_program() {
    local venv=$root/opt/image-controller python work
    python=${PYTHON:-$(PATH=/usr/local/bin:/usr/bin:/bin command -v python3)} || python=python3
    [[ $(readlink -f "$python") != /home/* && $(readlink -f "$python") != /root/* ]] ||
        fail "the service cannot see $python in a home folder: name another one with PYTHON=/path/to/python3"
    "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$python is older than 3.11 or lacks its venv module (Debian: apt install python3-venv)"
    work=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder of now
    trap "rm -rf '$work'" EXIT
    [[ -n $wheel ]] || PYTHON=$python "$source/deploy/build.sh" "$work" >/dev/null
    [[ -n $wheel ]] || wheel=$(echo "$work"/*.whl)
    "$python" -m venv --clear "$venv.new"
    "$venv.new/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --requirement "$source/deploy/requirements.lock"
    "$venv.new/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$wheel"
    "$venv.new/bin/python" -m pip uninstall --quiet --yes --disable-pip-version-check pip setuptools 2>/dev/null
    find "$venv.new/bin" ! -name imagectl ! -name 'python*' -type f -delete
    sed -i "1s|^#!.*|#!/opt/image-controller/bin/python|" "$venv.new/bin/imagectl"
    rm -rf "$venv"
    mv "$venv.new" "$venv"
    install -d "$root/usr/local/bin"
    ln -sfn /opt/image-controller/bin/imagectl "$root/usr/local/bin/imagectl"
}

install_settings() {
    local to=$root/etc/image-controller
    install -d "$to/policies"
    if [[ ! -e $to/config.toml ]]; then
        install -m 644 "$here/config.toml" "$to"
        [[ -z $gitops ]] || sed -i "s|^policies = .*|policies = \"$from_git\"|" "$to/config.toml"
    fi
    [[ -n $gitops ]] || return 0
    [[ -e $to/gitops.conf ]] || install -m 600 "$source/deploy/gitops/gitops.conf" "$to"
    grep -qF "\"$from_git\"" "$to/config.toml" ||
        echo "${0##*/}: to take policies from git, set in $to/config.toml: policies = \"$from_git\"" >&2
}

install_units() {
    local to=$root/etc/systemd/system
    install -d "$to"
    install -m 644 "$here"/*.service "$here"/*.timer "$to"
    [[ -n $gitops ]] || return 0
    install -m 644 "$source"/deploy/gitops/*.service "$source"/deploy/gitops/*.timer "$to"
    install -D "$source/deploy/gitops/deliver.sh" "$root/usr/local/lib/image-controller/deliver.sh"
    install -D -m 644 "$source/deploy/gitops/sysusers.conf" "$root/etc/sysusers.d/image-controller-policies.conf"
}

start() {
    local unit=image-controller.service other=image-controller-once.timer
    [[ $mode == service ]] || { unit=image-controller-once.timer other=image-controller.service; }
    if ! is_running_system; then
        echo "installed; nothing was started. On the system itself: systemctl enable --now $unit"
        return
    fi
    [[ -z $gitops ]] || systemd-sysusers /etc/sysusers.d/image-controller-policies.conf
    getent group docker >/dev/null || fail "there is no group 'docker': set SupplementaryGroups= in the unit to the group that owns the engine's socket"
    systemctl daemon-reload
    systemctl disable --quiet --now "$other"
    [[ -z $gitops ]] || systemctl enable --quiet --now image-controller-policies.timer
    systemctl enable --quiet "$unit"
    systemctl restart "$unit"
    echo "installed and started: systemctl status $unit"
}

uninstall() {
    local unit to=$root/etc/systemd/system
    if is_running_system; then
        for unit in "${units[@]}"; do systemctl disable --quiet --now "$unit" 2>/dev/null || true; done
    fi
    for unit in "${units[@]}"; do rm -rf "${to:?}/$unit" "${to:?}/$unit.d"; done
    rm -rf "$root"/opt/image-controller{,.new} "$root"/usr/local/{bin/imagectl,lib/image-controller} \
        "$root/etc/sysusers.d/image-controller-policies.conf"
    ! is_running_system || systemctl daemon-reload
    if [[ -n $purge ]]; then
        rm -rf "$root"/etc/image-controller "$root"/etc/default/image-controller \
            "$root"/var/lib/{,private/}image-controller "$root"/var/lib/image-controller-policies
        ! is_running_system || userdel image-controller-policies 2>/dev/null || true
    fi
    echo "uninstalled${purge:+, with everything it has kept}"
}

while (($#)); do
    case $1 in
        --once) mode=timer ;;
        --service) mode=service ;;
        --gitops) gitops=yes ;;
        --wheel) wheel=$(realpath "${2:?}") && shift ;;
        --root) root=$(realpath "${2:?}") && shift ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        *) usage ;;
    esac
    shift
done
[[ $EUID -eq 0 ]] || fail "this needs root"
[[ -z $purge || -n $uninstall ]] || usage
if [[ -n $uninstall ]]; then
    uninstall
else
    keep_choices
    install_program
    install_settings
    install_units
    start
fi
