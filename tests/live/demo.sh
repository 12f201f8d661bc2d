#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The part of tools/demo that runs in the node (or on a host with --on-host): starts a sandbox with
# systemctl, shows what systemd and the journal know about it, stops it and proves that nothing is left.
set -euo pipefail

SANDBOX=demo
UNIT=kata-sandbox@$SANDBOX
CONF=/etc/kata/sandboxes/$SANDBOX.conf
ROOT=/var/lib/kata-demo/root
STOP=${KATA_DEMO_TAIL_SECONDS:-3}
export SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 LC_ALL=C.UTF-8
here=$(cd "$(dirname "$0")" && pwd)
leak_check=$here/leak-check
[[ -x $leak_check ]] || leak_check=$here/../common/leak-check
work=$(mktemp -d /var/tmp/demo.XXXXXX)

if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

title() {
        printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

show() {
        printf '%s$ %s%s\n' "$bold" "$*" "$plain"
        "$@" || true
}

now_ms() {
        echo $((${EPOCHREALTIME/./} / 1000))
}

clean_up() {
        local rc=$?
        systemctl stop "$UNIT" 2>/dev/null || true
        systemctl reset-failed "$UNIT" 2>/dev/null || true
        rm -rf "$CONF" "${ROOT%/*}" "$work"
        exit "$rc"
}

give_up() {
        title "The demonstration failed: $*"
        systemctl status --full --lines=0 "$UNIT" || true
        journalctl --unit="$UNIT" --since="@$since" --no-hostname --lines=60 || true
        exit 1
}

# first_entry FIELD=VALUE...: the first matching journal entry of the sandbox, all fields; waits for it.
first_entry() {
        local deadline=$((SECONDS + 20)) entry
        while :; do
                entry=$(journalctl --unit="$UNIT" --since="@$since" --output=verbose "$@" 2>/dev/null |
                        awk '/^[^ ]/ { n++ } n == 1')
                [[ -z $entry ]] || break
                ((SECONDS < deadline)) || give_up "the journal has no entry with $*"
                sleep 0.2
        done
        grep -E '^[^ ]|^    (MESSAGE|PRIORITY|SYSLOG_IDENTIFIER|KATA_[A-Z_]*|CONTAINER_[A-Z_]*|_SYSTEMD_UNIT|_PID|_COMM)=' <<<"$entry"
}

make_root() {
        local applet
        mkdir -p "$ROOT"/{bin,dev,etc,proc,sys,tmp}
        cp /bin/busybox "$ROOT/bin/"
        for applet in $(/bin/busybox --list); do
                [[ $applet == busybox ]] || ln -sf busybox "$ROOT/bin/$applet"
        done
        echo 'root:x:0:0:root:/:/bin/sh' >"$ROOT/etc/passwd"
}

write_conf() {
        mkdir -p "${CONF%/*}"
        cat >"$CONF" <<CONF
[Sandbox]
Memory=256M
VCPUs=1

[Container hello]
RootDirectory=$ROOT
Command=/bin/sh -c "echo hello from \$(uname -sr), I am pid \$\$ of my own kernel; while sleep 1; do echo tick; done"
CONF
}

since=$(date +%s)
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[[ ! -e $CONF ]] || { trap - EXIT; echo "error: $CONF exists, this would overwrite it" >&2; exit 1; }

title "This node: $(systemctl --version | head -n 1), $(. /etc/os-release && echo "$PRETTY_NAME"), KVM $([[ -c /dev/kvm ]] && echo yes || echo 'no, emulated CPU')"
"$leak_check" baseline "$work/baseline"
make_root
write_conf

title "A sandbox is one file"
show cat "$CONF"

title "and is started like any service"
began=$(now_ms)
printf '%s$ systemctl start %s%s\n' "$bold" "$UNIT" "$plain"
systemctl start "$UNIT" || give_up "systemctl start $UNIT did not succeed"
started=$(now_ms)
sleep "$STOP"

title "systemd sees a service"
show systemctl status --no-pager --full --lines=8 "$UNIT"

title "and the virtual machine alone in its own scope"
show systemd-cgls --no-pager --unit kata.slice
vmm_only=$(find /sys/fs/cgroup/kata.slice -path "*kata-vm-$SANDBOX.scope*" -name cgroup.procs -exec cat {} + 2>/dev/null |
        while read -r pid; do cat "/proc/$pid/comm" 2>/dev/null || true; done | sort -u | tr '\n' ' ')
echo "Processes in kata-vm-$SANDBOX.scope: ${vmm_only:-none}"
[[ $vmm_only =~ ^(virtiofsd |qemu-system[^ ]* )+$ ]] || give_up "the virtual machine is not alone in its scope"

title "The journal has the guest's kernel,"
first_entry KATA_SANDBOX_ID="$SANDBOX" KATA_COMPONENT=kernel
title "its agent,"
first_entry KATA_SANDBOX_ID="$SANDBOX" KATA_COMPONENT=agent
title "and what the container says"
first_entry KATA_SANDBOX_ID="$SANDBOX" KATA_COMPONENT=container

title "Life of the sandbox, seconds since the start"
journalctl --since="@$since" --output=json SYSLOG_IDENTIFIER=kata-sandboxd KATA_SANDBOX_ID="$SANDBOX" |
        jq -r --argjson began "$began" \
                '"\(((.__REALTIME_TIMESTAMP | tonumber) / 1000 - $began) / 1000 | . * 1000 | round / 1000)\t\(.MESSAGE)"' |
        awk -F '\t' '{ printf "%8.3f  %s\n", $1, $2 }'

title "It is stopped like any service"
stopping=$(now_ms)
printf '%s$ systemctl stop %s%s\n' "$bold" "$UNIT" "$plain"
systemctl stop "$UNIT" || give_up "systemctl stop $UNIT did not succeed"
stopped=$(now_ms)
[[ $(systemctl show --value --property=Result "$UNIT") == success ]] || give_up "the unit failed"

title "Nothing is left of it"
rm -rf "$CONF" "${ROOT%/*}"
"$leak_check" compare "$work/baseline" || give_up "something is left, see above"
echo "no unit, scope, cgroup, mount, process, socket or file"

title "Times"
awk -v a="$began" -v b="$started" -v c="$stopping" -v d="$stopped" 'BEGIN {
        printf "  start until the container runs  %6.2f s\n", (b - a) / 1000
        printf "  stop until nothing is left      %6.2f s\n", (d - c) / 1000
}'
