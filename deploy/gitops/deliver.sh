#!/usr/bin/env bash
# Delivers a branch of a git repository into a folder, whole or not at all. One run, for a timer; needs only git.
#
#   deliver.sh [FOLDER]        FOLDER is $STATE_DIRECTORY if it is not given
#
# FOLDER/current is a symlink to a tree that is named after its commit; the controller runs with `--policies
# FOLDER/current`. It is swapped in one step when all of a new tree is on disk. If anything fails before
# that, the tree in force is kept. A replaced tree is kept for ten minutes, because a pass may be reading it.
#
# Settings, from the environment:
#   POLICIES_REPOSITORY   URL or path of the repository
#   POLICIES_BRANCH       the branch to follow; main if it is not set
#   POLICIES_PATHS        folders of the repository to deliver, with blanks between; all of it if it is not set
#   POLICIES_SIGNERS      file of the SSH keys that may sign, as in ssh-keygen(1), ALLOWED SIGNERS
#   POLICIES_GNUPGHOME    the same for OpenPGP: a GnuPG home whose keyring holds the keys that may sign
#                         (with neither of the two, signatures are not looked at)
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

say() { echo "${0##*/}: $*" >&2; }

fail() {
    say "$1; ${2:-what was delivered before stays in force}"
    exit 1
}

git_here() {
    git --git-dir=repository.git -c core.hooksPath=/dev/null -c gc.autoDetach=false \
        -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=60 "$@"
}

# ── after a failure: 1 minute, doubling up to half an hour, by the uptime, which no clock can fake ───────────────────

uptime_seconds() { sed 's/\..*//' /proc/uptime; }

boot() { cat /proc/sys/kernel/random/boot_id; }

read_trouble() { # a file that a power cut has spoilt counts as none, and so does one of other settings
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

fetch() { # prints the commit
    [[ -d repository.git ]] || git init --quiet --bare repository.git
    git_here fetch --quiet --force --no-tags --depth=1 "$POLICIES_REPOSITORY" "refs/heads/$branch:refs/heads/fetched" ||
        fail "branch $branch of $(without_password "$POLICIES_REPOSITORY") cannot be fetched"
    git_here rev-parse --verify --quiet 'refs/heads/fetched^{commit}'
}

without_password() { sed -E 's|//[^/@]*@|//|' <<<"$1"; }

is_delivered() { # COMMIT
    local tree
    tree=$(readlink current) && [[ ${tree##*/} == "$1" ]] && cmp --quiet "${tree%%/*}/settings" <(settings)
}

verify() { # COMMIT
    local trust=()
    if [[ -n ${POLICIES_SIGNERS:-} ]]; then # of SSH keys, only one that the file names is trusted fully
        trust=(-c "gpg.ssh.allowedSignersFile=$POLICIES_SIGNERS" -c gpg.minTrustLevel=fully)
    elif [[ -z ${POLICIES_GNUPGHOME:-} ]]; then
        return 0
    fi
    GNUPGHOME=${POLICIES_GNUPGHOME:-/nonexistent} git_here "${trust[@]}" verify-commit "$1" ||
        fail "commit $1 bears no signature of a key that may sign"
}

unpack() { # COMMIT FOLDER: the files of the wanted paths; a path that the commit does not have is an empty one
    local index=$PWD/${2%%/*}/index
    mkdir "$2"
    settings >"${2%%/*}/settings"
    GIT_INDEX_FILE=$index git_here read-tree "$1"
    git_here ls-tree -r -z --name-only --full-tree "$1" -- "${paths[@]}" |
        GIT_INDEX_FILE=$index git_here --work-tree=. checkout-index --quiet -z --stdin --prefix="$PWD/$2/"
    rm -f "$index"
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
    local commit
    commit=$(fetch)
    if ! is_delivered "$commit"; then
        verify "$commit"
        tree=$(mktemp -d tree.XXXXXXXX)
        chmod 755 "$tree"
        unpack "$commit" "$tree/$commit"
        check "$tree/$commit"
        swap "$tree/$commit"
        say "delivered commit $commit of branch $branch"
    fi
    drop_old_trees
}

folder=${1:-${STATE_DIRECTORY:-}}
[[ -n $folder && -n ${POLICIES_REPOSITORY:-} ]] || {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" | sed '$d' >&2
    exit 2
}
cd "$folder" || fail "$folder is no folder to deliver into" "make it first"
exec 9>lock
flock --nonblock 9 || {
    say "another delivery is at work"
    exit 0
}
wait_out_failures
tree=''
trap 'outcome=$?; drop_undelivered; remember_outcome $outcome' EXIT
deliver
