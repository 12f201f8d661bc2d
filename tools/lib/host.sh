# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the tools need from the machine itself: root, amd64, Debian, and very few packages. All
# compilers, emulators and libraries live in trees (tree.sh), never on the host.

need_root() {
        [[ $EUID -eq 0 ]] || die "$(basename "$0") has to run as root (namespaces, debootstrap)"
        [[ $(uname -m) == x86_64 ]] || die "only x86_64 machines are supported, this is $(uname -m)"
}

# need_command COMMAND PACKAGE: installs the Debian package when the command is missing.
need_command() {
        local REPLY
        ! command -v "$1" >/dev/null || return 0
        command -v apt-get >/dev/null ||
                die "$1 is missing and this is not a Debian machine that could install $2"
        # apt waits for another apt to install, but not to read its lists.
        cache_lock host-packages
        if ! command -v "$1" >/dev/null; then
                host_install "$1" "$2"
        fi
        cache_unlock "$REPLY"
}

host_install() {
        local log=$CACHE_ROOT/logs/host-packages.log
        step "installing $2 on this machine"
        mkdir -p "${log%/*}"
        export DEBIAN_FRONTEND=noninteractive
        if [[ -z ${HOST_APT_UPDATED:-} ]]; then
                run_logged "$log" apt-get -q -o Acquire::Retries=5 update
                HOST_APT_UPDATED=1
        fi
        run_logged "$log" apt-get -q -y -o Acquire::Retries=5 -o DPkg::Lock::Timeout=120 \
                install --no-install-recommends "$2"
        hash -r
        command -v "$1" >/dev/null || die "package $2 did not bring $1"
}

host_has_systemd() {
        [[ -d /run/systemd/system ]]
}
