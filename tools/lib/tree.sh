# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Debian trees: one directory per release with the systemd under test, compilers and emulators. A tree
# is built once from the package lists in tools/trees and never written to afterwards.

# Changes of the recipe below that matter for its result count this up.
TREE_RECIPE=1
TREE_RELEASES=(trixie bookworm)

tree_check_release() {
        local r
        for r in "${TREE_RELEASES[@]}"; do
                [[ $r != "$1" ]] || return 0
        done
        die "unknown release '$1' (one of: ${TREE_RELEASES[*]})"
}

# tree_packages LIST...: the packages of lists in tools/trees.
tree_packages() {
        local list files=()
        for list; do
                files+=("$TOOLS/trees/$list.packages")
        done
        sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "${files[@]}" | sort -u
}

# tree_get RELEASE: the path of the tree, in REPLY.
tree_get() {
        local release=$1
        tree_check_release "$release"
        cache_key "$TREE_RECIPE" "$release" - < <(tree_packages common "$release")
        cache_get "tree-$release" "$REPLY" tree_build "$release"
}

tree_build() {
        local dir=$1 release=$2 debs=$CACHE_ROOT/debs/$2 log=$CACHE_ROOT/logs/tree-$2.log
        local keyring script packages

        : >"$log"
        mapfile -t packages < <(tree_packages common "$release")
        mkdir -p "$debs/partial"
        apt_find_mirrors
        apt_keyring "$APT_MAIN" "$release"
        keyring=$REPLY
        need_command debootstrap debootstrap
        # An older debootstrap does not know the name of a newer release, but all of them are alike.
        script=$release
        [[ -e /usr/share/debootstrap/scripts/$release ]] || script=sid

        step "debootstrap of $release (log: $log)"
        run_logged "$log" debootstrap --variant=minbase --cache-dir="$debs" \
                --keyring="$keyring" --force-check-gpg "$release" "$dir" "$APT_MAIN" "$script"

        tree_prepare "$dir"
        tree_apt_prepare "$dir" "$dir" "$release" "$keyring"
        step "installing ${#packages[@]} packages and their dependencies into $release"
        tree_apt "$release" "$log" --root "$dir" --direct -- /bin/sh -euc '
                apt-get -q update
                apt-get -q -y upgrade
                apt-get -q -y install "$@"
                apt-get -q autoclean
        ' install "${packages[@]}"
        tree_apt_finish "$dir"
        tree_finish "$dir"
        step "tree of $release is ready"
}

# tree_apt RELEASE LOG OPTIONS... -- COMMAND: enter() for a command that installs packages of a release.
tree_apt() {
        local release=$1 log=$2 binds
        shift 2
        binds=(--rw "$CACHE_ROOT/debs/$release:/var/cache/apt/archives")
        [[ ! -e /etc/hosts ]] || binds+=(--ro /etc/hosts:/etc/hosts)
        # See apt_write_conf().
        [[ ! -e $APT_HOST_CA ]] || binds+=(--ro "$APT_HOST_CA:$APT_TREE_CA")
        # Credentials that this machine's apt has for its archive are lent, not copied.
        [[ ! -e /etc/apt/auth.conf ]] || binds+=(--ro /etc/apt/auth.conf:/etc/apt/auth.conf)
        [[ ! -d /etc/apt/auth.conf.d ]] || binds+=(--ro /etc/apt/auth.conf.d:/etc/apt/auth.conf.d)
        [[ $APT_MAIN != file:* ]] || binds+=(--ro "/${APT_MAIN#file:/}:/${APT_MAIN#file:/}")
        run_logged "$log" enter --net "${binds[@]}" --env DEBIAN_FRONTEND=noninteractive "$@"
}

# tree_apt_prepare DIR TREE RELEASE KEYRING: what apt needs, written to DIR, to install packages into TREE.
tree_apt_prepare() {
        local dir=$1 tree=$2 release=$3 keyring=$4
        # No service starts while packages are installed.
        mkdir -p "$dir/usr/sbin" "$dir/etc/apt/apt.conf.d" "$dir/etc/apt/sources.list.d"
        printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
        chmod 755 "$dir/usr/sbin/policy-rc.d"
        apt_write_conf "$dir/etc/apt/apt.conf.d/00kata-tree"
        if [[ $keyring == */debian-archive-keyring.* ]]; then
                keyring=usr/share/keyrings/debian-archive-keyring.gpg
                [[ -e $tree/$keyring ]] || keyring=${keyring%.gpg}.pgp
        else
                mkdir -p "$dir/etc/apt/keyrings"
                cp "$keyring" "$dir/etc/apt/keyrings/"
                keyring=etc/apt/keyrings/${keyring##*/}
        fi
        apt_write_sources "$dir/etc/apt/sources.list.d/debian.sources" "$release" "/$keyring"
}

# tree_apt_finish DIR: takes it away again, with what apt leaves.
tree_apt_finish() {
        local dir=$1
        rm -rf "$dir/var/lib/apt/lists" "$dir/etc/resolv.conf" "$dir/etc/apt/sources.list.d/debian.sources" \
                "$dir/etc/apt/apt.conf.d/00kata-tree" "$dir/usr/sbin/policy-rc.d"
        rm -rf "${dir:?}/tmp"/* "$dir/var/log"/*.log "$dir/var/log/apt"
        mkdir -p "$dir/var/lib/apt/lists/partial"
}

# Files that have to be there before packages are installed.
tree_prepare() {
        local dir=$1
        printf '%s\n' force-unsafe-io \
                path-exclude=/usr/share/{doc,man,info,locale,lintian,bash-completion,zsh}/'*' \
                >"$dir/etc/dpkg/dpkg.cfg.d/kata-tree"
        rm -rf "${dir:?}/usr/share"/{doc,man,info,locale,lintian}/*
        # The initrd of the VM node has to fit any virtual machine.
        mkdir -p "$dir/etc/initramfs-tools/conf.d"
        printf 'MODULES=most\nCOMPRESS=zstd\nRESUME=none\n' >"$dir/etc/initramfs-tools/conf.d/kata-tree"
        rm -f "$dir/etc/apt/sources.list"
}

# What makes a tree a node: no password, no machine identity, nothing that runs by the clock.
tree_finish() {
        local dir=$1 unit
        sed -i 's/^root:[^:]*:/root::/' "$dir/etc/shadow"
        rm -f "$dir/etc/machine-id" "$dir/var/lib/dbus/machine-id"
        : >"$dir/etc/machine-id"
        echo kata-node >"$dir/etc/hostname"
        printf '127.0.0.1 localhost kata-node\n::1 localhost\n' >"$dir/etc/hosts"
        mkdir -p "$dir/var/log/journal"
        mkdir -p "$dir/etc/systemd/journald.conf.d"
        # Tests count lines: the journal must not throw any away by rate.
        printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRuntimeMaxUse=256M\n' \
                >"$dir/etc/systemd/journald.conf.d/kata-node.conf"
        rmdir "$dir/var/log/journal"
        for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
                e2scrub_reap.service fstrim.timer man-db.timer systemd-networkd-wait-online.service \
                systemd-timesyncd.service getty.target console-getty.service \
                systemd-firstboot.service; do
                ln -sf /dev/null "$dir/etc/systemd/system/$unit"
        done
}
