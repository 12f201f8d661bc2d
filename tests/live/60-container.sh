#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What a container sees: namespaces, mounts, identity, limits; from a root directory and from a bundle.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

# output_of ID: stdout of the container, once it has said "end".
output_of() {
        assert_journal --within 30 KATA_SANDBOX_ID="$1" MESSAGE=end
        journalctl --sync
        OUTPUT=$(journal_query KATA_SANDBOX_ID="$1" KATA_COMPONENT=container | jq -r .MESSAGE)
        echo "$OUTPUT"
}

from_a_root_directory() {
        busybox_root "$T_WORK/root"
        cat >"$T_WORK/root/look" <<'SCRIPT'
echo "pid $$"
id
pwd
echo "A=$A B=$B"
hostname
ls -l /proc/self/ns | sed 's/.* \([a-z]*\) -> /\1 /'
cat /proc/self/cgroup
grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status
ulimit -n
touch /written && echo "root is writable"
ls /dev | tr '\n' ' '; echo
cat /proc/1/comm
ls /proc/kcore >/dev/null && wc -c </proc/kcore
uname -r
echo end
exec sleep 1000
SCRIPT
        write_sandbox_conf see <<CONF
[Sandbox]
Hostname=visible
[Container main]
RootDirectory=$T_WORK/root
Command=/bin/sh /look
Environment=A=1 "B=two words"
WorkingDirectory=/tmp
CONF
        start_sandbox see
        output_of see
        assert_contains "$OUTPUT" "pid 1"
        assert_contains "$OUTPUT" "uid=0(root) gid=0(root)"
        assert_contains "$OUTPUT" "/tmp"
        assert_contains "$OUTPUT" "A=1 B=two words"
        assert_contains "$OUTPUT" "visible"
        assert_contains "$OUTPUT" "0::/"
        assert_contains "$OUTPUT" "root is writable"
        assert_contains "$OUTPUT" "-kata"
        assert_match "$OUTPUT" 'null .*random .*urandom .*zero'
        assert_eq "$(test -e "$T_WORK/root/written" && echo yes)" yes "file on the host"
        stop_sandbox see
}

as_a_user_read_only() {
        busybox_root "$T_WORK/root"
        cat >"$T_WORK/root/look" <<'SCRIPT'
id -u; id -g
touch /x 2>&1
grep -E '^CapEff' /proc/self/status
echo end
exec sleep 1000
SCRIPT
        write_sandbox_conf user <<CONF
[Container main]
RootDirectory=$T_WORK/root
Command=/bin/sh /look
User=1000:1001
ReadOnly=yes
CONF
        start_sandbox user
        output_of user
        assert_contains "$OUTPUT" $'1000\n1001'
        assert_contains "$OUTPUT" "Read-only file system"
        assert_contains "$OUTPUT" "0000000000000000"
        stop_sandbox user
}

from_a_bundle() {
        local bundle=$T_WORK/bundle
        mkdir -p "$bundle" "$T_WORK/volume"
        echo "from the host" >"$T_WORK/volume/file"
        busybox_root "$bundle/rootfs"
        cat >"$bundle/rootfs/look" <<'SCRIPT'
cat /volume/file
echo changed >/volume/file
echo x >/readonly/y 2>&1 || echo "volume is read-only"
echo "limit $(ulimit -n)"
cat /sys/fs/cgroup/pids.max 2>/dev/null || echo no pids.max
cat /sys/fs/cgroup/memory.max 2>/dev/null
df -h /scratch | tail -n 1
grep NoNewPrivs /proc/self/status
cat /proc/sys/kernel/msgmax
dd if=/proc/sched_debug bs=1 count=1 2>&1 | head -n 1
echo end
exec sleep 1000
SCRIPT
        jq -n --arg volume "$T_WORK/volume" '{
                ociVersion: "1.0.2",
                process: { user: { uid: 0, gid: 0, additionalGids: [5, 6] }, cwd: "/",
                        args: ["/bin/sh", "/look"], env: ["PATH=/bin"], noNewPrivileges: true,
                        rlimits: [{ type: "RLIMIT_NOFILE", hard: 333, soft: 222 }],
                        capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] } },
                root: { path: "rootfs", readonly: false },
                hostname: "bundle",
                mounts: [
                        { destination: "/proc", type: "proc", source: "proc" },
                        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
                        { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
                        { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
                        { destination: "/scratch", type: "tmpfs", source: "tmpfs", options: ["size=4m"] },
                        { destination: "/volume", type: "bind", source: $volume, options: ["rbind", "rw"] },
                        { destination: "/readonly", type: "bind", source: $volume, options: ["bind", "ro"] }
                ],
                linux: {
                        namespaces: [{ type: "pid" }, { type: "mount" }, { type: "ipc" }, { type: "uts" }, { type: "cgroup" }],
                        resources: { pids: { limit: 77 }, memory: { limit: 67108864 } },
                        sysctl: { "kernel.msgmax": "4096" },
                        maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys"]
                } }' >"$bundle/config.json"
        write_sandbox_conf bundle <<CONF
[Container main]
Bundle=$bundle
CONF
        start_sandbox bundle
        output_of bundle
        assert_contains "$OUTPUT" "from the host"
        assert_eq "$(cat "$T_WORK/volume/file")" changed
        assert_contains "$OUTPUT" "volume is read-only"
        assert_contains "$OUTPUT" "limit 222"
        assert_contains "$OUTPUT" $'77\n'
        assert_contains "$OUTPUT" 67108864
        assert_match "$OUTPUT" 'NoNewPrivs:.*1'
        assert_contains "$OUTPUT" 4096
        stop_sandbox bundle
}

host_is_not_reachable_through_symlinks() {
        busybox_root "$T_WORK/root"
        rm -rf "$T_WORK/root/proc" "$T_WORK/root/dev"
        ln -s /etc "$T_WORK/root/proc"
        ln -s ../../../../../../dev "$T_WORK/root/dev"
        write_sandbox_conf links <<CONF
[Container main]
RootDirectory=$T_WORK/root
Command=/bin/sh -c 'ls /dev; echo end; exec sleep 1000'
CONF
        # Whether it starts or is refused: nothing outside the root directory may change.
        local before
        before=$(find /etc /dev -xdev -printf "%p %y %l %m\n" | sort | md5sum)
        run timeout "$((90 * T_SCALE))" systemctl start kata-sandbox@links
        assert_eq "$(find /etc /dev -xdev -printf "%p %y %l %m\n" | sort | md5sum)" "$before" "listing of the host"
}

share_is_sealed() {
        # The guest must not write beside the roots of its containers.
        simple_sandbox sealed '/bin/sleep 1000'
        start_sandbox sealed
        local pid
        pid=$(pgrep -f -- 'virtiofsd.*sealed' | tail -n 1)
        assert_fails nsenter -t "$pid" -m -- /bin/touch /stray
        stop_sandbox sealed
}

t "from a root directory" from_a_root_directory
t_live "as a user, read-only" as_a_user_read_only
t_live "from a bundle" from_a_bundle
t_live "symlinks in the root file system" host_is_not_reachable_through_symlinks
t "the shared directory is sealed" share_is_sealed
