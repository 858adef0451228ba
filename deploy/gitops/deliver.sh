#!/usr/bin/env bash
# Delivers a branch of a git repository into a folder, whole or not at all. One run, for a timer; needs only git.
#
#   deliver.sh [FOLDER]        FOLDER is $STATE_DIRECTORY if it is not given
#
# FOLDER/current is a symlink to a tree that is named after its commit; the controller runs with `--policies
# FOLDER/current`. It is swapped in one step when all of a new tree is on disk. If anything fails before
# that, the tree in force is kept. A replaced tree is kept for ten minutes, because a pass may be reading it.
# FOLDER/delivered has the time of the last run that succeeded.
#
# Settings, from the environment:
#   POLICIES_REPOSITORY   URL or path of the repository
#   POLICIES_BRANCH       the branch to follow; main if it is not set
#   POLICIES_PATHS        folders of the repository to deliver, with blanks between; all of it if it is not set.
#                         One that no delivered commit ever had is an error. A STOP at the top is always delivered
#   POLICIES_SIGNERS      file of the SSH keys that may sign, as in ssh-keygen(1), ALLOWED SIGNERS
#   POLICIES_GNUPGHOME    the same for OpenPGP: a GnuPG home whose keyring holds the keys that may sign
#                         (with neither of the two, signatures are not checked)
#   POLICIES_CHECK        a command that is given the new tree and refuses it by failing
#
# Exit code: 0 the branch is delivered, 1 it is not, 75 it failed before and it is too soon to try again.
set -euo pipefail
export LC_ALL=C GIT_TERMINAL_PROMPT=0
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
umask 022

readonly longest_wait_seconds=1800 kept_minutes=10
branch=${POLICIES_BRANCH:-main}
read -ra paths <<<"${POLICIES_PATHS:-}"
filter=() # of a large repository, only the files that are delivered
delivered=()
((${#paths[@]} == 0)) || filter=(--filter=blob:none) delivered=("${paths[@]}" STOP)

say() { echo "${0##*/}: $*" >&2; }

fail() {
    say "$1; ${2:-the last delivery remains in force}"
    exit 1
}

git_in() { # CLONE COMMAND...: the URL is never an option, and not written into the clone, as it may hold a password
    git --git-dir="$1" -c "remote.origin.url=$POLICIES_REPOSITORY" -c core.hooksPath=/dev/null -c gc.autoDetach=false \
        -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=60 "${@:2}"
}

# ── after a failure: 1 minute, doubling up to half an hour, by the uptime, which no clock can fake ───────────────────

uptime_seconds() { sed 's/\..*//' /proc/uptime; }

boot() { cat /proc/sys/kernel/random/boot_id; }

read_trouble() { # a file damaged by a power cut counts as none, and so does one of other settings
    local failed_settings=''
    failures=0 failed_boot='' try_at=0
    [[ ! -e trouble ]] || read -r failures failed_boot try_at failed_settings <trouble || true
    [[ $failures =~ ^[1-9][0-9]{0,8}$ && $try_at =~ ^(0|[1-9][0-9]{0,11})$ && $failed_settings == "$(settings)" ]] ||
        failures=0 failed_boot='' try_at=0
}

wait_out_failures() {
    read_trouble
    if [[ $failed_boot == "$(boot)" ]] && (($(uptime_seconds) < try_at)); then
        say "failed $failures times; the next try is in $((try_at - $(uptime_seconds))) s"
        exit 75
    fi
}

remember_outcome() { # EXIT_CODE
    if (($1 == 0)); then
        rm -f trouble
    elif (($1 != 75)); then
        read_trouble
        failures=$((failures + 1))
        local wait=$((failures > 5 ? longest_wait_seconds : 60 << (failures - 1)))
        echo "$failures $(boot) $(($(uptime_seconds) + wait)) $(settings)" >trouble
    fi
}

# ── one delivery ─────────────────────────────────────────────────────────────────────────────────────────────────────

settings() { # what a tree was made with: after a change the same commit is delivered again; a hash, as the URL may hold a password
    printf '%s\n' "$POLICIES_REPOSITORY" "$branch" "${POLICIES_PATHS:-}" \
        "${POLICIES_SIGNERS:-}" "${POLICIES_GNUPGHOME:-}" "${POLICIES_CHECK:-}" | sha256sum | cut -d ' ' -f 1
}

fetch() { # CLONE: prints the commit
    [[ -d $1 ]] || git init --quiet --bare "$1" || return
    mkdir -p "$1/info" || return
    # The bytes on disk are those of the commit, also with a .gitattributes.
    echo '* -text !eol -ident -filter !working-tree-encoding' >"$1/info/attributes"
    git_in "$1" fetch --quiet --force --no-tags --depth=1 "${filter[@]}" -- origin "refs/heads/$branch:refs/heads/fetched" &&
        git_in "$1" rev-parse --verify --quiet 'refs/heads/fetched^{commit}'
}

# The clone is only a cache, which a killed fetch or a power cut may have broken: after a failure it is made again, once.
obtain() { # CLONE: fetches, verifies and unpacks, unless the commit is delivered already; sets commit and tree
    commit=$(fetch "$1") || return
    is_delivered "$commit" && return
    verify "$1" "$commit"
    check_paths "$1" "$commit" || return
    name_submodules "$1" "$commit"
    tree=$(mktemp -d tree.XXXXXXXX) && chmod 755 "$tree" && unpack "$1" "$commit" "$tree/$commit"
}

obtain_again() {
    say "the fetch failed; trying again with a new clone"
    rm -rf repository.new "${tree:-repository.new}"
    tree=''
    obtain repository.new || fail "branch $branch of $(without_password "$POLICIES_REPOSITORY") cannot be fetched and unpacked"
    rm -rf repository.git
    mv repository.new repository.git
}

without_password() { sed -E 's|//[^/@]*@|//|' <<<"$1"; }

is_delivered() { # COMMIT
    local tree
    tree=$(readlink current) && [[ ${tree##*/} == "$1" ]] && cmp --quiet "${tree%%/*}/settings" <(settings)
}

verify() { # CLONE COMMIT
    local trust=()
    if [[ -n ${POLICIES_SIGNERS:-} ]]; then # of SSH keys, only one that the file names is trusted fully
        trust=(-c "gpg.ssh.allowedSignersFile=$POLICIES_SIGNERS" -c gpg.minTrustLevel=fully)
    elif [[ -z ${POLICIES_GNUPGHOME:-} ]]; then
        return 0
    fi
    GNUPGHOME=${POLICIES_GNUPGHOME:-/nonexistent} git_in "$1" "${trust[@]}" verify-commit "$2" ||
        fail "commit $2 has no signature of a key that may sign"
}

# A path that no delivered commit ever had is a typing error; one that an earlier one had was emptied on purpose.
check_paths() { # CLONE COMMIT
    local path entry
    for path in "${paths[@]}"; do
        entry=$(git_in "$1" ls-tree --full-tree "$2" -- "${path%/}") || return
        [[ -n $entry ]] || was_delivered "$path" ||
            fail "commit $2 has no path $path, and no delivered commit had it (check POLICIES_PATHS)"
    done
}

name_submodules() { # CLONE COMMIT: their files are in other repositories, which are not fetched
    git_in "$1" ls-tree -r --full-tree "$2" -- "${paths[@]}" | sed -n 's/^160000 [^\t]*\t//p' |
        while read -r path; do say "the git submodule $path is not delivered"; done
}

origin() { printf '%s\n' "$POLICIES_REPOSITORY" "$branch" | sha256sum | cut -d ' ' -f 1; }

was_delivered() { # PATH
    [[ -e paths ]] && grep --quiet --line-regexp --fixed-strings -- "$(origin) ${1%/}" paths
}

remember_paths() {
    local path
    for path in "${paths[@]}"; do
        was_delivered "$path" || echo "$(origin) ${path%/}" >>paths
    done
}

unpack() { # CLONE COMMIT FOLDER: the files of the wanted paths; a path that the commit does not have is an empty one
    local index=$PWD/${3%%/*}/index
    mkdir "$3" && settings >"${3%%/*}/settings" || return
    prefetch "$1" "$2" || return
    GIT_INDEX_FILE=$index git_in "$1" read-tree "$2" || return
    git_in "$1" ls-tree -r -z --name-only --full-tree "$2" -- "${delivered[@]}" |
        GIT_INDEX_FILE=$index git_in "$1" --work-tree=. checkout-index --quiet -z --stdin --prefix="$PWD/$3/" || return
    rm -f "$index"
}

prefetch() { # CLONE COMMIT: all missing files in one request; git itself requests them one by one
    local missing
    missing=$(git_in "$1" rev-list --objects --missing=print --max-count=1 "$2" -- "${delivered[@]}" | sed -n 's/^?//p') || return
    [[ -z $missing ]] || git_in "$1" -c fetch.negotiationAlgorithm=noop fetch --quiet --no-tags --no-write-fetch-head \
        --recurse-submodules=no "${filter[@]}" --stdin origin <<<"$missing"
}

check() { # FOLDER
    [[ -z ${POLICIES_CHECK:-} ]] || bash -c "$POLICIES_CHECK \"\$1\"" check "$PWD/$1" >&2 ||
        fail "commit ${1##*/} does not pass the check ($POLICIES_CHECK)"
}

swap() { # FOLDER
    local old
    sync --file-system "$1" # else a power cut may leave the new link and empty files behind it
    if old=$(readlink current); then touch "${old%%/*}"; fi # the time from which it is kept on
    ln -sfn "$1" next
    mv -T next current
}

drop_old_trees() {
    local tree
    tree=$(readlink current)
    find . -maxdepth 1 -name 'tree.*' ! -name "${tree%%/*}" -mmin "+$kept_minutes" -exec rm -rf {} +
}

drop_undelivered() { # what was refused, or cut short
    [[ -z $tree || $(readlink current || true) == "$tree/"* ]] || rm -rf "$tree"
}

deliver() {
    obtain repository.git || obtain_again
    if [[ -n $tree ]]; then
        check "$tree/$commit"
        swap "$tree/$commit"
        remember_paths
        say "delivered commit $commit of branch $branch"
    fi
    touch delivered # the time of the last success, whether or not there was something new
    drop_old_trees
}

folder=${1:-${STATE_DIRECTORY:-}}
[[ -n $folder && -n ${POLICIES_REPOSITORY:-} ]] || {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
cd "$folder" || fail "$folder is no folder to deliver into" "make it first"
exec 9>lock
flock --nonblock 9 || {
    say "another delivery is at work"
    exit 0
}
wait_out_failures
tree='' commit=''
trap 'outcome=$?; drop_undelivered; remember_outcome $outcome' EXIT
deliver
