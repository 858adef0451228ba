#!/usr/bin/env bash
# Builds image-controller_VERSION_all.deb, the same bytes every time. It holds its Python dependencies, those of
# deploy/requirements.lock, each checked by its hash and without compiled code: one package for every architecture.
#
#   build.sh FOLDER       where it goes; PYTHON names the interpreter, if python3 will not do
#
# Needs dpkg-deb and a package index that pip can reach. Times inside are those of SOURCE_DATE_EPOCH, or a fixed date.
set -euo pipefail
out=$(realpath -m "${1:?usage: build.sh FOLDER}")
CDPATH='' cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8 TZ=UTC SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1580601600} PYTHONDONTWRITEBYTECODE=1
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
library=$root/usr/lib/image-controller
share=$root/usr/share/image-controller
documents=$root/usr/share/doc/image-controller

collect_wheels() { # pure ones where possible; PyYAML and others exist only with a compiled part
    local pip=("$work/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes
        --only-binary :all: --python-version 3.11 --platform manylinux2014_x86_64 --platform any --dest "$work/wheels")
    "${PYTHON:-python3}" -m venv "$work/venv"
    awk -v work="$work" '/^[a-z]/ { file = work (/^pyyaml==/ ? "/mixed.lock" : /win32/ ? "/left-out" : "/pure.lock") }
        { print > file }' deploy/requirements.lock
    "${pip[@]}" --implementation py --abi none --requirement "$work/pure.lock"
    "${pip[@]}" --implementation cp --abi cp311 --requirement "$work/mixed.lock"
    bash deploy/build.sh "$work/wheels"
    rm -f "$work"/wheels/*.tar.gz
}

install_library() {
    mkdir -p "$library" "$documents" "$root/usr/bin"
    "${PYTHON:-python3}" deploy/local/vendor.py "$work/wheels" "$library" "$documents/copyright"
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' controller/__init__.py)
    install -m 755 deploy/deb/imagectl "$root/usr/bin/imagectl"
    install -m 755 deploy/gitops/deliver.sh deploy/deb/take-over "$library"
}

install_units() { # those of deploy/systemd, with the places and the user of a package
    local units=$root/usr/lib/systemd/system user_units=$root/usr/lib/systemd/user unit
    mkdir -p "$units" "$user_units"
    for unit in deploy/systemd/*.service deploy/systemd/*.timer deploy/gitops/*.service deploy/gitops/*.timer; do
        sed -e 's|/usr/local/bin/|/usr/bin/|; s|/usr/local/lib/|/usr/lib/|; /^DynamicUser=yes$/d' "$unit" >"$units/${unit##*/}"
    done
    sed -e 's|%h/.local/bin/|/usr/bin/|' deploy/systemd/user/image-controller.service >"$user_units/image-controller.service"
}

install_settings_and_samples() {
    mkdir -p "$root/etc/image-controller/policies" "$share"/{grafana,prometheus}
    install -m 644 deploy/systemd/config.toml deploy/systemd/podman.conf deploy/gitops/gitops.conf manifests/nmp.schema.json "$share"
    install -m 644 manifests/grafana/*.json "$share/grafana"
    install -m 644 manifests/prometheus/*.yaml "$share/prometheus"
    cp -r manifests/policies "$share/policies"
    sed -i 's|/usr/local/bin/imagectl|/usr/bin/imagectl|' "$share/gitops.conf"
}

install_documentation() {
    local date shell completions=$root/usr/share
    date=$(date --date "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)
    mkdir -p "$completions"/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d,man/man1}
    PYTHONPATH=$library:$PWD "${PYTHON:-python3}" -m deploy.local.manual "$date" >"$completions/man/man1/imagectl.1"
    for shell in bash zsh fish; do
        PYTHONPATH=$library "${PYTHON:-python3}" -m controller completion "$shell" >"$work/$shell"
    done
    install -m 644 "$work/bash" "$completions/bash-completion/completions/imagectl"
    install -m 644 "$work/zsh" "$completions/zsh/vendor-completions/_imagectl"
    install -m 644 "$work/fish" "$completions/fish/vendor_completions.d/imagectl.fish"
    install -m 644 CHANGELOG.md "$documents/CHANGELOG.md"
    printf 'image-controller (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- %s  %s\n' "$version" \
        "$(sed -n 's/^Maintainer: //p' deploy/deb/control)" "$(date --date "@$SOURCE_DATE_EPOCH" --rfc-email)" >"$documents/changelog"
    gzip --best --no-name "$documents"/{CHANGELOG.md,changelog} "$completions/man/man1/imagectl.1"
}

write_control() {
    local size
    mkdir -p "$root/DEBIAN"
    size=$(du --apparent-size -sk "$root" | cut -f 1)
    sed -e "s/@VERSION@/$version/; s/@SIZE@/$((size / 100 * 100))/" deploy/deb/control >"$root/DEBIAN/control"
    install -m 755 deploy/deb/postinst deploy/deb/prerm deploy/deb/postrm "$root/DEBIAN"
    (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
}

version=''
collect_wheels
install_library
install_units
install_settings_and_samples
install_documentation
write_control
chmod -R u=rwX,go=rX "$root"
find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$out/image-controller_${version}_all.deb" >/dev/null
echo "$out/image-controller_${version}_all.deb"
