# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Mount helpers for code that already runs in a private mount namespace (enter-inner, node-inner).

# mount_overlay WORK WRITE TREE [LAYER...]: an overlay; its path is in REPLY. Later layers lie on top of earlier
# ones. Writes go to WRITE/root, with WRITE/work for the file system's own use, or to memory if WRITE is empty.
mount_overlay() {
        local work=$1 write=$2 lower=$3 layer
        shift 3
        for layer; do
                lower=$layer:$lower
        done
        mount -t tmpfs -o mode=755,size=75% tmpfs "$work"
        mkdir "$work/top"
        write=${write:-$work}
        mkdir -p "$write/root" "$write/work"
        mount -t overlay -o "lowerdir=$lower,upperdir=$write/root,workdir=$write/work" overlay "$work/top"
        REPLY=$work/top
}

# mount_bind ro|rw SOURCE TARGET: makes the target as needed.
mount_bind() {
        if [[ ! -e $3 ]]; then
                if [[ -d $2 ]]; then
                        mkdir -p "$3"
                else
                        mkdir -p "${3%/*}"
                        : >"$3"
                fi
        fi
        mount --bind "$2" "$3"
        [[ $1 != ro ]] || mount -o remount,bind,ro "$3"
}

# A /dev with what every program expects, plus device nodes of the host.
mount_dev() {
        local top=$1 node
        shift
        mount -t tmpfs -o nosuid,mode=755 tmpfs "$top/dev"
        for node in /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty "$@"; do
                [[ -e $node ]] || continue
                mkdir -p "$top${node%/*}"
                : >"$top$node"
                mount --bind "$node" "$top$node"
        done
        mkdir "$top/dev/pts" "$top/dev/shm"
        mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$top/dev/pts"
        mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$top/dev/shm"
        ln -s pts/ptmx "$top/dev/ptmx"
        ln -s /proc/self/fd "$top/dev/fd"
        ln -s fd/0 "$top/dev/stdin"
        ln -s fd/1 "$top/dev/stdout"
        ln -s fd/2 "$top/dev/stderr"
}
