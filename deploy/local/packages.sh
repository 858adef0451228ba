# shellcheck shell=bash
# Sourced by the scripts beside it: Debian packages for tests and trials, installed without starting what they hold,
# and root file systems of other Debian suites. Needs root; the mirror is the one this machine already uses.

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # which `su` alone leaves out
export LC_ALL=C.UTF-8
installed_list=${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/edge-image-controller/packages # by these scripts

fail() { # one line for people, then an optional tail of a log
    echo "${0##*/}: $1" >&2
    [[ -z ${2:-} ]] || tail -n 5 "$2" | sed 's/^/    /' >&2
    exit 1
}

say() { echo "${0##*/}: $*" >&2; }

need_root() { # WHAT FOR
    [[ $EUID -eq 0 ]] || fail "$1 needs root"
}

run_logged() { # LOG COMMAND...: quiet when it works
    local log=$1
    shift
    DEBIAN_FRONTEND=noninteractive "$@" >>"$log" 2>&1 </dev/null || fail "'$*' failed; the end of $log:" "$log"
}

installed_packages() { dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^ii *//p' | sort; }

is_installed() { # PACKAGE; no pipe that `grep -q` ends early
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]
}

install_packages() { # LOG PACKAGE...: no service of a new package is started, now or at boot; none that was there is touched
    local log=$1 before missing
    shift
    command -v apt-get >/dev/null || fail "$* must be installed first (this is not Debian, so it is not done for you)"
    before=$(installed_packages)
    missing=$(comm -13 <(echo "$before") <(printf '%s\n' "$@" | sort))
    [[ -n $missing ]] || return 0
    need_root "installing $*"
    say "installing $*, once"
    mkdir -p "$(dirname "$installed_list")"
    forbid_service_starts
    run_logged "$log" apt-get update
    run_logged "$log" apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends --no-remove "$@"
    comm -13 <(echo "$before") <(installed_packages) | tee -a "$installed_list" | silence_services
}

forbid_service_starts() { # for as long as this process lives; an existing policy is kept
    local policy=/usr/sbin/policy-rc.d
    [[ ! -e $policy ]] || return 0
    printf '#!/bin/sh\n[ ! -d /proc/%s ] || exit 101\n' "$$" >"$policy"
    chmod 755 "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

silence_services() { # the packages on standard input: their services neither run nor start at boot
    local package unit
    while read -r package; do
        for unit in $(dpkg-query -L "$package" | sed -nE 's#^.*/systemd/system/([^/@]+\.(service|socket|timer))$#\1#p'); do
            find /etc/systemd/system -path "*.wants/$unit" -delete 2>/dev/null || true
            [[ ! -d /run/systemd/system ]] || systemctl --quiet stop "$unit" || true
        done
        for unit in $(dpkg-query -L "$package" | sed -n 's|^/etc/init.d/||p'); do
            update-rc.d "$unit" disable >/dev/null 2>&1 || true
        done
    done
}

debian_mirror() { # LOG: for sources in any format; apt knows it after it has read the lists
    local find=(apt-get indextargets --format "\$(REPO_URI)" 'Identifier: Packages' 'Origin: Debian' 'Label: Debian')
    [[ -n $("${find[@]}") ]] || run_logged "$1" apt-get update
    "${find[@]}" | sed -n 1p
}

make_root() { # LOG SUITE FOLDER PACKAGE,PACKAGE [ARCHITECTURE]: a root file system with these packages, once
    local log=$1 suite=$2 root=$3 packages=$4 architecture=${5:-} mirror http_proxy=${http_proxy:-} keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ ! -d $root ]] || return 0
    need_root "a root file system of Debian $suite"
    install_packages "$log" debootstrap debian-archive-keyring
    mirror=$(debian_mirror "$log")
    [[ -n $mirror ]] || fail "there is no Debian mirror among the apt sources of this machine"
    eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    say "making a root file system of Debian $suite with $packages, once; this takes a minute or two"
    rm -rf "$root.part"
    mkdir -p "$root.part"
    http_proxy=$http_proxy run_logged "$log" debootstrap --variant=minbase --force-check-gpg --keyring="$keyring" --include="$packages" \
        ${architecture:+--arch="$architecture"} "$suite" "$root.part" "$mirror"
    mv "$root.part" "$root"
}
