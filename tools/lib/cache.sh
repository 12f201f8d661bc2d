# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The content-addressed cache of the tools. An entry is a directory KIND/KEY whose key is a hash of
# everything that went into it; it is built aside and renamed into place, so an entry that exists is
# whole. Concurrent runs wait for each other per kind. A run holds a shared lock on every entry that
# it uses, and pruning only takes entries that nobody holds.

CACHE_ROOT=${KATA_CACHE:-/var/cache/kata-systemd}
CACHE_KEEP=2
CACHE_BUILD_DEADLINE=5400

cache_init() {
        # Overlay options are separated by these characters.
        [[ $CACHE_ROOT != *[:,\\\ ]* && $CACHE_ROOT == /* ]] ||
                die "KATA_CACHE must be an absolute path without ':', ',', '\\' or spaces"
        mkdir -p "$CACHE_ROOT"/{tmp,locks,logs,mnt}
        export KATA_CACHE=$CACHE_ROOT
}

# Hash of the arguments and, with "-", of standard input.
cache_key() {
        local arg
        REPLY=$({
                for arg; do
                        if [[ $arg == - ]]; then cat; else printf '%s\n' "$arg"; fi
                done
        } | sha256sum)
        REPLY=${REPLY:0:20}
}

# Takes the exclusive lock NAME; the descriptor is in REPLY and is released with cache_unlock.
cache_lock() {
        local fd
        exec {fd}>>"$CACHE_ROOT/locks/$1"
        if ! flock --nonblock "$fd"; then
                step "waiting for another run that holds $1"
                flock --timeout "$CACHE_BUILD_DEADLINE" "$fd" || die "gave up waiting for lock $1"
        fi
        REPLY=$fd
}

cache_unlock() {
        local fd=$1
        exec {fd}>&-
}

# The shared lock of an entry lives as long as this process and the children that inherit it.
cache_hold() {
        local fd
        exec {fd}>>"$CACHE_ROOT/locks/$1.$2"
        flock --shared --timeout 600 "$fd" || die "cannot lock cache entry $1/$2"
        touch "$CACHE_ROOT/$1/$2"
}

# cache_get KIND KEY FUNCTION [ARGS...]: the path of the entry, in REPLY. On a miss FUNCTION is called
# with an empty directory as its first argument, and has to fill it or fail.
cache_get() {
        local kind=$1 key=$2 dir=$CACHE_ROOT/$1/$2 tmp fd
        shift 2
        if [[ -d $dir ]]; then
                cache_hold "$kind" "$key"
                REPLY=$dir
                return 0
        fi
        cache_lock "$kind"
        fd=$REPLY
        if [[ ! -d $dir ]]; then
                mkdir -p "$CACHE_ROOT/$kind"
                tmp=$(mktemp -d "$CACHE_ROOT/tmp/$kind.XXXXXXXX")
                chmod 755 "$tmp"
                on_exit "rm -rf --one-file-system '$tmp'"
                "$1" "$tmp" "${@:2}" || die "building cache entry $kind failed"
                unset 'CLEANUPS[-1]'
                mv -T "$tmp" "$dir"
        fi
        cache_hold "$kind" "$key"
        cache_prune "$kind" "$key"
        cache_unlock "$fd"
        REPLY=$dir
}

# Removes the oldest entries of a kind beyond CACHE_KEEP. The caller holds the lock of the kind.
cache_prune() {
        local kind=$1 current=$2 n=0 entry
        while read -r entry; do
                n=$((n + 1))
                ((n > CACHE_KEEP)) || continue
                [[ $entry != "$current" ]] || continue
                (
                        exec 9>>"$CACHE_ROOT/locks/$kind.$entry"
                        flock --nonblock 9 || exit 0
                        mv -T "$CACHE_ROOT/$kind/$entry" "$CACHE_ROOT/tmp/old.$kind.$entry"
                        rm -rf --one-file-system "$CACHE_ROOT/tmp/old.$kind.$entry"
                        rm -f "$CACHE_ROOT/locks/$kind.$entry"
                )
        done < <(ls -1t "$CACHE_ROOT/$kind")
}
