# shellcheck shell=bash disable=SC2034
# What ./run, ./check and the builders of test material share: messages, packages, the build.
# Sourced; callers set -euo pipefail. Needs no terminal, no locale and no standard input.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
# Debian's Python, whatever else stands first on the path: it is the one with the packages.
python=/usr/bin/python3

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root: $*
Run it as root once, or install sudo."
    fi
}

# Names of the packages in the sections given, of setup/packages.txt.
packages_of() {
    local section line in_section=
    while read -r line; do
        line=${line%%#*}
        case $line in
            '['*) in_section=
                  for section in "$@"; do [ "${line// /}" != "[$section]" ] || in_section=yes; done ;;
            *[!\ ]*) [ -z "$in_section" ] || echo "${line// /}" ;;
        esac
    done <"$top/setup/packages.txt"
}

missing_packages() {
    local package
    for package in $(packages_of "$@"); do
        # Other builds of nodejs bring npm along, and Debian's package of it conflicts with them.
        [ "$package" != npm ] || ! command -v npm >/dev/null || continue
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

refresh_package_lists() {
    say "refreshing the package lists"
    as_root apt-get -q -o Acquire::Retries=3 update ||
        die "apt-get update failed: is this Debian 12 with its package servers in reach?"
}

# Services must not start because a package came in: neither now nor at the next boot.
install_quietly() {
    local policy=/usr/sbin/policy-rc.d package service status=0 services=()
    for package in openssh-server powerman conman; do
        dpkg-query -W -f '${db:Status-Status}' $package 2>/dev/null | grep -qx installed ||
            services+=("${package/openssh-server/ssh}")
    done
    if [ -e $policy ]; then
        policy=
    else
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        install --no-install-recommends "$@" </dev/null || status=$?
    [ -z "$policy" ] || as_root rm -f "$policy"
    for service in "${services[@]}"; do
        [ -e "/etc/init.d/$service" ] || continue
        as_root update-rc.d "$service" disable >/dev/null 2>&1 || true
        say "the machine's own $service was installed only for its program; it is disabled"
    done
    return "$status"
}

# need SECTION...: installs what is missing of the sections; apt is left alone when nothing is.
need() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "this is not a Debian machine; Debian 12 is needed"
    say "installing ${#missing[@]} packages and what they need: ${missing[*]}"
    refresh_package_lists
    install_quietly "${missing[@]}" || die "some packages could not be installed; the lines above say which"
}

# download_package FOLDER NAME: prints the path of the .deb, which is fetched unless FOLDER has it.
download_package() {
    local folder=$1 name=$2 file
    mkdir -p "$folder"
    file=$(newest_deb "$folder" "$name")
    if [ -z "$file" ]; then
        say "downloading the package $name" >&2
        fetch_deb "$folder" "$name" || { refresh_package_lists >&2; fetch_deb "$folder" "$name"; } ||
            die "the package $name could not be downloaded"
        file=$(newest_deb "$folder" "$name")
    fi
    echo "$file"
}

newest_deb() { find "$1" -maxdepth 1 -name "$2_*.deb" | sort | tail -n 1; }

# In a folder of its own first: an interrupted download must not look like a package.
fetch_deb() {
    local partial
    partial=$(mktemp -d "$1/partial.XXXXXX")
    if (cd "$partial" && apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$2" >&2); then
        mv "$partial"/*.deb "$1/"
        rmdir "$partial"
    else
        rm -rf "$partial"
        return 1
    fi
}

# build PRESET: configures and builds one of CMakePresets.json.
build() {
    local log
    log=$(mktemp)
    say "building the preset $1"
    (cd "$top" && cmake --preset "$1" >"$log" 2>&1) || {
        cat "$log"
        die "cmake failed; the lines above say why"
    }
    rm -f "$log"
    (cd "$top" && cmake --build --preset "$1") || die "the build failed; the first error above says where"
}
