# shellcheck shell=bash
# Small Linux systems of our own, the demo ISO's and tests/nested's: Debian's kernel and busybox,
# taken out of their packages (nothing is installed), and an initramfs. Sourced after common.sh.

# The kernel that the metapackage stands for; its own name changes with each ABI.
kernel_of_lists() {
    apt-cache depends linux-image-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*-amd64\)$/\1/p' | head -n 1
}

# unpack_linux CACHE FOLDER: downloads into CACHE unless it is there, unpacks into FOLDER.
# Sets busybox (a program), release (the kernel's) and vmlinuz.
unpack_linux() {
    local cache=$1 folder=$2 kernel
    kernel=$(kernel_of_lists)
    if [ -z "$kernel" ]; then
        refresh_package_lists
        kernel=$(kernel_of_lists)
        [ -n "$kernel" ] || die "no linux-image-amd64 in the package lists: see apt-cache policy linux-image-amd64"
    fi
    say "unpacking $kernel and busybox-static"
    rm -rf "$folder" && mkdir -p "$folder"
    dpkg-deb -x "$(download_package "$cache" "$kernel")" "$folder"
    dpkg-deb -x "$(download_package "$cache" busybox-static)" "$folder"
    busybox=$(find "$folder" -path '*bin/busybox' -type f)
    release=$(basename "$folder"/lib/modules/*)
    vmlinuz=$folder/boot/vmlinuz-$release
    "$busybox" depmod -b "$folder" "$release" 2>/dev/null
}

# fill_initramfs FROM TO MODULE...: busybox with all its names, and modules with what they need.
fill_initramfs() {
    local from=$1 to=$2 applet
    shift 2
    mkdir -p "$to"/{bin,sbin,dev,proc,sys,root,tmp}
    cp "$busybox" "$to/bin/busybox"
    for applet in $("$busybox" --list); do
        [ -e "$to/bin/$applet" ] || ln -s busybox "$to/bin/$applet"
    done
    copy_modules "$from/lib/modules/$release" "$to/lib/modules/$release" "$@"
    "$busybox" depmod -b "$to" "$release" 2>/dev/null
}

copy_modules() {
    local from=$1 to=$2 module line path
    shift 2
    mkdir -p "$to"
    for module in "$@"; do
        line=$(grep -E "(^|/)${module//[-_]/[-_]}\.ko:" "$from/modules.dep" | tr -d :) ||
            die "the kernel package has no module $module"
        for path in $line; do
            mkdir -p "$to/$(dirname "$path")"
            cp "$from/$path" "$to/$path"
        done
    done
}

# pack_initramfs FOLDER: the archive, compressed, to standard output; the same in every build.
pack_initramfs() { (cd "$1" && find . | sort | cpio -o -H newc -R 0:0 --quiet) | gzip -9n; }
