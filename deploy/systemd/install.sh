#!/usr/bin/env bash
# Installs the controller as a systemd service from this source tree. May be run again at any time: an update. An update
# does not start what was stopped before; --once and --service do.
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
#   --uninstall  remove what was installed; --purge also the settings, drop-ins, policies, the ledger and its history
#
# The program goes to /opt/image-controller, settings to /etc/image-controller; neither settings nor policies that are
# there are touched. With --user they go to ~/.local/share, ~/.config and ~/.local/bin. Needs Python 3.11 or newer with
# its venv module, and a package index that pip can reach or a wheelhouse.
set -euo pipefail
umask 022 # the service runs as another user
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
source=$(dirname "$(dirname "$here")")
from_git=/var/lib/image-controller-policies/current
root='' wheel='' wheelhouse='' mode='' engine='' gitops='' uninstall='' purge='' for_user='' is_asked='' work=''
program=/opt/image-controller
metrics=/var/lib/prometheus/node-exporter/image-controller.prom # without a writer, an alert never ends
manager=(systemctl)
found=() # units of an earlier installation
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
    local to=$root/etc/systemd/system unit
    for unit in "${units[@]}"; do [[ ! -f $to/$unit ]] || found+=("$unit"); done # the .deb may leave a link
    is_asked=$mode
    if [[ -z $mode ]]; then
        mode=service
        [[ ! -L $to/timers.target.wants/image-controller-once.timer ]] || mode=timer
    fi
    [[ ! -e $to/image-controller-policies.service ]] || gitops=yes
    if [[ -z $engine && -e $to/image-controller.service.d/podman.conf ]]; then engine=podman; fi
}

check_group() {
    local dropin=image-controller.service.d/group.conf
    [[ $engine != podman ]] && is_running_system && ! getent group docker >/dev/null || return 0
    ! grep -qs '^SupplementaryGroups=$' "/etc/systemd/system/$dropin" || return 0
    echo "${0##*/}: there is no group 'docker': use --engine podman; or, if another group owns the engine's socket, write" >&2
    echo "    [Service]" $'\n    SupplementaryGroups=' $'\n    SupplementaryGroups=GROUP' >&2
    fail "into /etc/systemd/system/$dropin, and for --once into ${dropin/./-once.}"
}

is_of_this_installation() { [[ $(readlink "$1") == "$program/bin/imagectl" ]]; }

clean_up() { # also after an interruption, or on a full disk
    rm -rf "$work" "$root$program.new"
    [[ -e $root$program || ! -e $root$program.old ]] || mv "$root$program.old" "$root$program"
}

install_program() {
    local venv=$root$program commands=${1:-$root/usr/local/bin} wanted=${PYTHON:-python3} python pip text
    python=$(PATH=/usr/local/bin:/usr/bin:/bin command -v "$wanted" || command -v "$wanted") || python=$wanted
    [[ -n $for_user || ! $(readlink -f "$python") =~ ^/(home|root)/ || $python != */* ]] ||
        fail "the service cannot see $python in a home folder: name another one with PYTHON=/path/to/python3"
    "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$python is missing, older than 3.11 or lacks its venv module (Debian: apt install python3-venv)"
    [[ ! -e $commands/imagectl && ! -L $commands/imagectl ]] || is_of_this_installation "$commands/imagectl" ||
        fail "$commands/imagectl is of another installation: remove that first (pipx uninstall edge-image-controller)"
    trap clean_up EXIT
    work=$(mktemp -d)
    [[ -n $wheel ]] || wheel=$(find "${wheelhouse:-$work}" -name 'edge_image_controller-*.whl' | sort -V | tail -n 1)
    [[ -n $wheel || -z $wheelhouse ]] || fail "$wheelhouse has no wheel of the controller: make it with deploy/wheelhouse.sh"
    [[ -n $wheel ]] || PYTHON=$python bash "$source/deploy/build.sh" "$work"
    [[ -n $wheel ]] || wheel=$(echo "$work"/*.whl)
    mkdir -p "$(dirname "$venv")"
    "$python" -m venv --clear "$venv.new"
    pip=("$venv.new/bin/python" -m pip install --quiet --disable-pip-version-check)
    [[ -z $wheelhouse ]] || pip+=(--no-index --find-links "$wheelhouse")
    "${pip[@]}" --require-hashes --requirement "$source/deploy/requirements.lock"
    "${pip[@]}" --no-deps "$wheel"
    "$venv.new/bin/python" -m pip uninstall --quiet --yes --disable-pip-version-check pip setuptools 2>/dev/null
    find "$venv.new/bin" ! -name imagectl ! -name 'python*' -type f -delete
    text=$(<"$venv.new/bin/imagectl")
    echo "${text//"$venv.new/bin/"/"$program/bin/"}" >"$venv.new/bin/imagectl"
    sync --file-system "$venv.new/bin/imagectl" # else a power cut may leave a new program of empty files
    rm -rf "$venv.old"
    [[ ! -e $venv ]] || mv "$venv" "$venv.old"
    mv "$venv.new" "$venv"
    rm -rf "$venv.old"
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

run_unit() { # UNIT
    if [[ -n $is_asked || " ${found[*]} " != *" $1 "* ]]; then
        "${manager[@]}" enable --quiet "$1"
    elif [[ $("${manager[@]}" is-active "$1") == inactive ]]; then
        echo "installed; $1 did not run before and was not started. To start it: ${manager[*]} enable --now $1"
        return
    fi
    "${manager[@]}" restart "$1"
    echo "installed and started: ${manager[*]} status $1"
}

start() {
    local unit=image-controller.service other=image-controller-once.timer delivery=${gitops:+image-controller-policies.timer}
    [[ $mode == service ]] || { unit=image-controller-once.timer other=image-controller.service; }
    if ! is_running_system; then
        echo "installed; nothing was started. On the system itself: systemctl enable --now $unit${delivery:+ $delivery}"
        warn_of_timer
        return
    fi
    [[ -z $gitops ]] || systemd-sysusers /etc/sysusers.d/image-controller-policies.conf
    systemctl daemon-reload
    systemctl disable --quiet --now "$other"
    [[ $mode == timer ]] || rm -f "$metrics"
    [[ -z $gitops ]] || run_unit "$delivery"
    run_unit "$unit"
    warn_of_timer
}

uninstall() {
    local unit to=$root/etc/systemd/system
    [[ ! -e $root/usr/lib/image-controller/take-over ]] ||
        fail "the .deb, which uses the same settings and ledger, is installed: apt remove image-controller removes it
    (/usr/lib/image-controller/take-over removes what install.sh installed, and lets the .deb run)"
    if is_running_system; then
        for unit in "${units[@]}"; do systemctl disable --quiet --now "$unit" 2>/dev/null || true; done
    fi
    for unit in "${units[@]}"; do
        rm -f "$to/$unit" "$to"/*.wants/"$unit" "$to/$unit.d/podman.conf"
        [[ -z $purge ]] || rm -rf "${to:?}/$unit.d"
        [[ ! -d $to/$unit.d ]] || rmdir --ignore-fail-on-non-empty "$to/$unit.d"
    done
    ! is_of_this_installation "$root/usr/local/bin/imagectl" || rm -f "$root/usr/local/bin/imagectl"
    rm -rf "$root$program"{,.new,.old} "$root/usr/local/lib/image-controller" "$root$metrics" \
        "$root/etc/sysusers.d/image-controller-policies.conf"
    ! is_running_system || systemctl daemon-reload
    if [[ -n $purge ]]; then
        rm -rf "$root"/etc/image-controller "$root"/etc/default/image-controller \
            "$root"/var/lib/{,private/}image-controller "$root"/var/lib/image-controller-policies "$root"/run/image-controller
        ! is_running_system || userdel image-controller-policies 2>/dev/null || true
    fi
    say_uninstalled
}

say_uninstalled() {
    local rest=kept
    [[ -z $purge ]] || rest='removed too'
    echo "uninstalled; settings, drop-ins, policies and the ledger were $rest"
}

config_of_user=${XDG_CONFIG_HOME:-${HOME:-}/.config}

unit_of_user=$config_of_user/systemd/user/image-controller.service

install_for_user() {
    manager=(systemctl --user)
    [[ ! -e $unit_of_user ]] || found=(image-controller.service)
    if [[ -z $engine ]] && grep -qs '%t/docker.sock' "$unit_of_user"; then engine=docker; fi
    install_program "$HOME/.local/bin"
    install -d "$config_of_user/image-controller/policies"
    install -D -m 644 "$here/user/image-controller.service" "$unit_of_user"
    [[ $engine != docker ]] || sed -i 's|%t/podman/podman.sock|%t/docker.sock|' "$unit_of_user"
    if systemctl --user daemon-reload 2>/dev/null; then
        [[ $engine == docker ]] || systemctl --user enable --quiet --now podman.socket || true
        run_unit image-controller.service
        echo "note: it runs while you are logged in; without a login: loginctl enable-linger"
    else
        echo "installed; no service manager of this user runs. Once it does: systemctl --user enable --now image-controller"
    fi
}

uninstall_for_user() {
    systemctl --user disable --quiet --now image-controller 2>/dev/null || true
    ! is_of_this_installation "$HOME/.local/bin/imagectl" || rm -f "$HOME/.local/bin/imagectl"
    rm -rf "$unit_of_user" "$program"{,.new,.old}
    [[ -z $purge ]] || rm -rf "$unit_of_user.d" "$config_of_user/image-controller" \
        "${XDG_STATE_HOME:-$HOME/.local/state}/image-controller"
    say_uninstalled
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
            root=$(realpath "$2") && root=${root%/} && shift # / is the running system
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
    check_group
    install_program
    install_settings
    install_units
    start
fi
