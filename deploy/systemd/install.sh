#!/usr/bin/env bash
# Installs the controller as a systemd service from this source tree. May be run again at any time: an update.
#
#   install.sh [--once|--service] [--engine docker|podman] [--gitops] [--wheel FILE|--wheelhouse FOLDER] [--root FOLDER]
#   install.sh --user [--engine docker|podman] [--wheel FILE|--wheelhouse FOLDER]
#   install.sh --uninstall [--purge] [--root FOLDER|--user]
#
#   --once       a pass every hour, by a timer, instead of a service that always runs
#   --service    a service again
#   --engine     docker (default): the socket of the group docker; podman: the system's Podman
#   --gitops     policies come from git; then edit /etc/image-controller/gitops.conf
#                (an update keeps these choices)
#   --wheel      install this wheel instead of building one here
#   --wheelhouse install from a folder that deploy/wheelhouse.sh made, without a package index
#   --root       install into a file system that is not running, such as an image: nothing is started
#   --user       for the rootless engine of this user (default: podman), under systemctl --user; needs no root
#   --uninstall  remove what was installed; --purge also the settings, the policies, the ledger and its history
#
# The program goes to /opt/image-controller, settings to /etc/image-controller; neither settings nor policies that are
# there are touched. With --user they go to ~/.local/share, ~/.config and ~/.local/bin. Needs Python 3.11 or newer with
# its venv module, and a package index that pip can reach or a wheelhouse.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$(dirname "$here")")
from_git=/var/lib/image-controller-policies/current
root='' wheel='' wheelhouse='' mode='' engine='' gitops='' uninstall='' purge='' for_user=''
program=/opt/image-controller
units=(image-controller.service image-controller-once.service image-controller-once.timer
    image-controller-policies.service image-controller-policies.timer)

fail() {
    echo "${0##*/}: $1" >&2
    exit 1
}

usage() {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" >&2
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
    if [[ -z $engine && -e $to/image-controller.service.d/podman.conf ]]; then engine=podman; fi
}

install_program() {
    local venv=$root$program commands=${1:-$root/usr/local/bin} python work pip
    python=${PYTHON:-$(PATH=/usr/local/bin:/usr/bin:/bin command -v python3)} || python=python3
    [[ -n $for_user || $(readlink -f "$python") != /home/* && $(readlink -f "$python") != /root/* ]] ||
        fail "the service cannot see $python in a home folder: name another one with PYTHON=/path/to/python3"
    "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$python is older than 3.11 or lacks its venv module (Debian: apt install python3-venv)"
    work=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder of now
    trap "rm -rf '$work'" EXIT
    [[ -n $wheel ]] || wheel=$(find "${wheelhouse:-$work}" -name 'edge_image_controller-*.whl' | sort -V | tail -n 1)
    [[ -n $wheel || -z $wheelhouse ]] || fail "$wheelhouse has no wheel of the controller: make it with deploy/wheelhouse.sh"
    [[ -n $wheel ]] || PYTHON=$python "$source/deploy/build.sh" "$work"
    [[ -n $wheel ]] || wheel=$(echo "$work"/*.whl)
    mkdir -p "$(dirname "$venv")"
    "$python" -m venv --clear "$venv.new"
    pip=("$venv.new/bin/python" -m pip install --quiet --disable-pip-version-check)
    [[ -z $wheelhouse ]] || pip+=(--no-index --find-links "$wheelhouse")
    "${pip[@]}" --require-hashes --requirement "$source/deploy/requirements.lock"
    "${pip[@]}" --no-deps "$wheel"
    "$venv.new/bin/python" -m pip uninstall --quiet --yes --disable-pip-version-check pip setuptools 2>/dev/null
    find "$venv.new/bin" ! -name imagectl ! -name 'python*' -type f -delete
    sed -i "1s|^#!.*|#!$program/bin/python|" "$venv.new/bin/imagectl"
    rm -rf "$venv"
    mv "$venv.new" "$venv"
    install -d "$commands"
    ln -sfn "$program/bin/imagectl" "$commands/imagectl"
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
    local to=$root/etc/systemd/system unit
    install -d "$to"
    install -m 644 "$here"/*.service "$here"/*.timer "$to"
    for unit in image-controller image-controller-once; do
        rm -f "$to/$unit.service.d/podman.conf"
        [[ $engine != podman ]] || install -D -m 644 "$here/podman.conf" "$to/$unit.service.d/podman.conf"
    done
    [[ -n $gitops ]] || return 0
    install -m 644 "$source"/deploy/gitops/*.service "$source"/deploy/gitops/*.timer "$to"
    install -D "$source/deploy/gitops/deliver.sh" "$root/usr/local/lib/image-controller/deliver.sh"
    install -D -m 644 "$source/deploy/gitops/sysusers.conf" "$root/etc/sysusers.d/image-controller-policies.conf"
}

warn_of_timer() {
    [[ $mode == timer ]] || return 0
    echo "note: no idle time counts over a reboot. A host that is on for an hour at a time needs the service: --service"
}

start() {
    local unit=image-controller.service other=image-controller-once.timer
    [[ $mode == service ]] || { unit=image-controller-once.timer other=image-controller.service; }
    if ! is_running_system; then
        echo "installed; nothing was started. On the system itself: systemctl enable --now $unit"
        warn_of_timer
        return
    fi
    [[ -z $gitops ]] || systemd-sysusers /etc/sysusers.d/image-controller-policies.conf
    [[ $engine == podman ]] || getent group docker >/dev/null ||
        fail "there is no group 'docker': use --engine podman, or set SupplementaryGroups= in the unit to the group that owns the engine's socket"
    systemctl daemon-reload
    systemctl disable --quiet --now "$other"
    [[ -z $gitops ]] || systemctl enable --quiet --now image-controller-policies.timer
    systemctl enable --quiet "$unit"
    systemctl restart "$unit"
    echo "installed and started: systemctl status $unit"
    warn_of_timer
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
            "$root"/var/lib/{,private/}image-controller "$root"/var/lib/image-controller-policies "$root"/run/image-controller
        ! is_running_system || userdel image-controller-policies 2>/dev/null || true
    fi
    echo "uninstalled${purge:+, with the settings, the policies and the ledger}"
}

config_of_user=${XDG_CONFIG_HOME:-${HOME:-}/.config}

install_for_user() {
    local settings=$config_of_user/image-controller unit=$config_of_user/systemd/user/image-controller.service
    install_program "$HOME/.local/bin"
    install -d "$settings/policies"
    install -D -m 644 "$here/user/image-controller.service" "$unit"
    [[ $engine != docker ]] || sed -i 's|%t/podman/podman.sock|%t/docker.sock|' "$unit"
    if systemctl --user daemon-reload 2>/dev/null; then
        [[ $engine == docker ]] || systemctl --user enable --quiet --now podman.socket || true
        systemctl --user enable --quiet image-controller
        systemctl --user restart image-controller
        echo "installed and started: systemctl --user status image-controller (without a login: loginctl enable-linger)"
    else
        echo "installed; no service manager of this user runs. Once it does: systemctl --user enable --now image-controller"
    fi
}

uninstall_for_user() {
    systemctl --user disable --quiet --now image-controller 2>/dev/null || true
    rm -rf "$config_of_user/systemd/user/image-controller.service" "$program" "$program.new" "$HOME/.local/bin/imagectl"
    [[ -z $purge ]] || rm -rf "$config_of_user/image-controller" "${XDG_STATE_HOME:-$HOME/.local/state}/image-controller"
    echo "uninstalled${purge:+, with the settings, the policies and the ledger}"
}

while (($#)); do
    case $1 in
        --once) mode=timer ;;
        --service) mode=service ;;
        --gitops) gitops=yes ;;
        --engine)
            [[ ${2:-} =~ ^(docker|podman)$ ]] || usage
            engine=$2 && shift
            ;;
        --wheel) wheel=$(realpath "${2:?}") && shift ;;
        --wheelhouse)
            [[ -d ${2:?} ]] || fail "--wheelhouse $2: not a directory (make it with deploy/wheelhouse.sh)"
            wheelhouse=$(realpath "$2") && shift
            ;;
        --root)
            [[ -d ${2:?} ]] || fail "--root $2: not a directory (create it or choose another)"
            root=$(realpath "$2") && shift
            ;;
        --user) for_user=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        *) usage ;;
    esac
    shift
done
[[ -z $purge || -n $uninstall ]] || usage
[[ -z $for_user || -z $root$mode$gitops ]] || usage
if [[ -n $for_user ]]; then
    program=${XDG_DATA_HOME:-$HOME/.local/share}/image-controller
    if [[ -n $uninstall ]]; then uninstall_for_user; else install_for_user; fi
    exit
fi
[[ $EUID -eq 0 ]] || fail "this needs root, or --user for a rootless engine"
if [[ -n $uninstall ]]; then
    uninstall
else
    keep_choices
    install_program
    install_settings
    install_units
    start
fi
