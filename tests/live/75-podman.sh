#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# podman and conmon of the node's release with kata-runtime as their runtime, called as users do. Each container that
# starts is a machine: tests look at many things in few of them.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

# Overlays need a file system that is none; in a live node only memory is.
P_STORE=/run/t-podman
export CONTAINERS_CONF=$P_STORE/containers.conf CONTAINERS_STORAGE_CONF=$P_STORE/storage.conf

podman_up() {
        mkdir "$P_STORE"
        mount -t tmpfs -o mode=700,size=1G t-podman "$P_STORE"
        cat >"$CONTAINERS_CONF" <<'CONF'
[containers]
log_driver = "k8s-file"
default_sysctls = ["net.ipv4.ping_group_range=0 0"]
[engine]
cgroup_manager = "systemd"
events_logger = "file"
runtime = "kata"
CONF
        printf '[storage]\ndriver = "overlay"\nrunroot = "%s/run"\ngraphroot = "%s/storage"\n' "$P_STORE" "$P_STORE" \
                >"$CONTAINERS_STORAGE_CONF"
        busybox_root "$P_STORE/root"
        mkdir -p "$P_STORE/root"/{run,var/tmp}
        chmod 1777 "$P_STORE/root"/{tmp,var/tmp}
        echo 'user:x:1000:1000::/:/bin/sh' >>"$P_STORE/root/etc/passwd"
        echo 'not a program' >"$P_STORE/root/bin/not-executable"
        # What podman would make with the first network, and leave.
        if ! mountpoint --quiet /run/netns; then
                mkdir -p /run/netns
                mount --bind /run/netns /run/netns
                mount --make-shared /run/netns
                P_NETNS=1
        fi
        tar -C "$P_STORE/root" -c . | podman import - busybox >/dev/null
        rm -r "$P_STORE/root"
        P_READY=1
}

podman_down() {
        podman system reset --force >/dev/null 2>&1 || true
        remove_mounts "$P_STORE"
        [[ ${P_NETNS:-0} == 0 ]] || umount /run/netns
}

# Whatever happens, its containers and pods are gone when a test ends.
p() {
        trap 'podman pod rm --force --all --time 0 >/dev/null; podman rm --force --all --time 0 >/dev/null' EXIT
        [[ $P_READY == 1 ]] || fail "podman can not be set up in this node: $(cat "$T_DIR/podman-up")"
}

# A machine has started when its container writes.
is_logged() {
        podman logs "$1" 2>&1 | grep -q "$2"
}

is_state() {
        [[ $(podman inspect --format '{{.State.Status}}' "$1") == "$2" ]]
}

life() {
        p
        assert_status 0 podman run --detach --name life --hostname inner --env GREETING=hello --network none busybox \
                /bin/sh -c 'echo $GREETING from $(hostname); trap "echo got TERM; exit 9" TERM; trap "echo got USR1" USR1
                        echo ready; sleep 1000 & while :; do wait; done'
        wait_for 20 "the output" is_logged life ready
        assert_contains "$(podman logs life)" 'hello from inner'
        local id pid
        id=$(podman inspect --format '{{.Id}}' life)
        pid=$(podman inspect --format '{{.State.Pid}}' life)
        assert_eq "$(cat "/proc/$pid/comm")" kata-shim
        # The machine is where podman wants the container to be.
        assert_contains "$(cat "/proc/$pid/cgroup")" "machine.slice/libpod-$id.scope"
        assert_eq "$(systemctl is-active "kata-sandbox@$id")" active
        assert_eq "$(podman inspect --format '{{.OCIRuntime}} {{.State.Running}}' life)" 'kata true'
        [[ $(readlink "/proc/$pid/ns/net") != "$(readlink /proc/self/ns/net)" ]] || fail "kata-shim is in the host's network"

        assert_status 4 podman exec life /bin/sh -c 'echo in the guest; exit 4'
        assert_contains "$RUN_OUTPUT" 'in the guest'
        # Its own kernel.
        assert_contains "$(podman exec life /bin/uname -r)" kata
        assert_eq "$(podman exec --user user --env A=b --workdir /tmp life /bin/sh -c 'echo $(id -u) $A $(pwd)')" '1000 b /tmp'
        assert_contains "$(echo from outside | podman exec --interactive life /bin/cat)" 'from outside'
        assert_status 127 podman exec life /bin/missing
        run timeout 60 script --quiet --return --command "podman exec --tty life /bin/sh -c 'tty; exit 6'" /dev/null
        assert_eq "$RUN_STATUS" 6
        assert_contains "$RUN_OUTPUT" /dev/pts/

        assert_status 0 podman kill --signal USR1 life
        wait_for 20 "the signal" is_logged life 'got USR1'
        assert_status 0 podman pause life
        assert_eq "$(podman inspect --format '{{.State.Status}}' life)" paused
        assert_status 0 podman unpause life
        # From the host, into the guest's view.
        echo copied >"$T_WORK/file"
        assert_status 0 podman cp "$T_WORK/file" life:/root/copy
        assert_eq "$(podman exec life /bin/cat /root/copy)" copied
        assert_contains "$(podman top life pid comm)" kata-shim
        assert_status 0 podman stop --time 20 life
        assert_eq "$(podman inspect --format '{{.State.ExitCode}}' life)" 9
        assert_contains "$(podman logs life)" 'got TERM'
        assert_eq "$(systemctl is-active "kata-sandbox@$id" || true)" inactive
        assert_status 0 podman rm life
}

exit_codes() {
        p
        assert_status 3 podman run --rm --network none busybox /bin/sh -c 'exit 3'
        assert_status 126 podman run --rm --network none busybox /bin/not-executable
        assert_status 127 podman run --rm --network none busybox /bin/missing
        assert_status 0 podman run --detach --name killed --network none busybox /bin/sh -c 'echo up; sleep 1000'
        wait_for 20 "the output" is_logged killed up
        assert_status 0 podman kill --signal KILL killed
        assert_eq "$(podman wait killed)" 137
        assert_status 0 podman rm killed
        assert_status 143 podman run --rm --network none busybox /bin/sh -c 'trap "exit 143" TERM; kill -TERM $$'
        assert_status 0 podman run --rm --network none busybox /bin/true
        assert_eq "$(podman ps --all --quiet)" ''
}

terminal() {
        p
        run timeout 90 script --quiet --return --command \
                "podman run --rm --interactive --tty --network none busybox /bin/sh -c 'tty; stty size; read line; echo got \$line; exit 5'" \
                /dev/null <<<'a line'
        assert_eq "$RUN_STATUS" 5
        assert_contains "$RUN_OUTPUT" /dev/
        assert_contains "$RUN_OUTPUT" 'got a line'
}

# What the guest sees of the options.
options() {
        p
        mkdir "$T_WORK/rw" "$T_WORK/ro"
        echo content >"$T_WORK/ro/file"
        cat >"$T_WORK/seccomp.json" <<'SECCOMP'
{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}
SECCOMP
        assert_status 0 podman run --rm --network none --hostname named --user user --cap-drop ALL --read-only \
                --volume "$T_WORK/rw:/rw" --volume "$T_WORK/ro:/ro:ro" --tmpfs /scratch --ulimit nofile=123:456 \
                --security-opt "seccomp=$T_WORK/seccomp.json" --shm-size 10m --group-add 77 \
                busybox /bin/sh -c 'hostname; id; ulimit -n; cat /ro/file; grep CapEff /proc/self/status
                        touch /ro/new || echo ro is read-only; touch /new || echo root is read-only
                        echo written >/scratch/x && cat /scratch/x; df -k /dev/shm; mkdir /scratch/d || echo no mkdir; cat /etc/hosts'
        assert_contains "$RUN_OUTPUT" $'named\nuid=1000'
        assert_contains "$RUN_OUTPUT" 77
        assert_contains "$RUN_OUTPUT" $'\n123\ncontent\n'
        assert_match "$RUN_OUTPUT" 'CapEff:[[:space:]]*0000000000000000'
        assert_contains "$RUN_OUTPUT" 'ro is read-only'
        assert_contains "$RUN_OUTPUT" 'root is read-only'
        assert_contains "$RUN_OUTPUT" written
        assert_contains "$RUN_OUTPUT" 'no mkdir'
        assert_match "$RUN_OUTPUT" 'shm +10240 '
        assert_contains "$RUN_OUTPUT" localhost
        assert_status 0 podman run --rm --network none --sysctl kernel.shm_rmid_forced=1 --volume "$T_WORK/rw:/rw" --memory 128m --cpus 2 \
                busybox /bin/sh -c 'echo new >/rw/new; cat /proc/sys/kernel/shm_rmid_forced; cat /sys/fs/cgroup/memory.max; nproc'
        assert_contains "$RUN_OUTPUT" $'1\n134217728\n2'
        assert_eq "$(cat "$T_WORK/rw/new")" new
}

restart_and_attach() {
        p
        assert_status 0 podman run --detach --interactive --name again --network none --health-cmd '/bin/test -e /tmp/well' \
                --health-interval disable busybox /bin/sh -c 'echo begin; while read line; do echo "<$line>"; done; echo end'
        wait_for 20 "the output" is_logged again begin
        assert_fails podman healthcheck run again
        assert_status 0 podman exec again /bin/touch /tmp/well
        assert_status 0 podman healthcheck run again
        echo attached | timeout 30 podman attach --sig-proxy=false again >"$T_WORK/attached" 2>&1 || true
        wait_for 20 "the echo" is_logged again '<attached>'
        wait_for 20 "the end" is_state again exited
        assert_eq "$(podman inspect --format '{{.State.ExitCode}}' again)" 0
        assert_status 0 podman start again
        wait_for 20 "the second start" is_state again running
        assert_status 0 podman restart --time 0 again
        wait_for 20 "the third start" is_state again running
        assert_status 0 podman rm --force --time 0 again
        assert_eq "$(podman ps --all --quiet)" ''
}

limits() {
        p
        assert_status 0 podman run --detach --name limits --memory 100m --pids-limit 50 --cpu-shares 2048 --network none busybox /bin/sh -c 'echo up; sleep 1000'
        wait_for 20 "the output" is_logged limits up
        assert_eq "$(podman exec limits /bin/cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max)" $'104857600\n50'
        # Of the machine, too.
        local scope memory
        scope=libpod-$(podman inspect --format '{{.Id}}' limits).scope
        memory=$(unit_property "$scope" MemoryMax)
        ((memory > 100 << 20)) || fail "MemoryMax=$memory"
        assert_eq "$(unit_property "$scope" CPUWeight)" 174
        assert_eq "$(unit_property "$scope" CPUQuotaPerSecUSec)" infinity
        assert_status 0 podman update --memory 64m --cpus 0.5 limits
        assert_eq "$(unit_property "$scope" CPUQuotaPerSecUSec)" 500ms
        assert_eq "$(unit_property "$scope" MemoryMax)" "$memory"
        if grep -qw cpu /sys/fs/cgroup/cgroup.controllers; then
                assert_eq "$(cat "/sys/fs/cgroup/machine.slice/$scope/cpu.max")" '50000 100000'
                assert_eq "$(cat "/sys/fs/cgroup/machine.slice/$scope/cpu.weight")" 174
        fi
        assert_eq "$(podman exec limits /bin/cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max)" $'67108864\n50000 100000'
        if grep -qw memory /sys/fs/cgroup/cgroup.controllers; then
                assert_match "$(podman stats --no-stream --format '{{.Name}} {{.MemUsage}}' limits)" '^limits [0-9.]+[kM]?B'
        fi
        local pid
        pid=$(podman inspect --format '{{.State.Pid}}' limits)
        # A killed proxy takes the container with it.
        kill -KILL "$pid"
        wait_for 20 "the end" is_state limits exited
        assert_eq "$(podman inspect --format '{{.State.ExitCode}}' limits)" 137
        assert_status 0 podman rm limits
}

pods() {
        p
        mkdir "$T_WORK/infra"
        assert_status 0 podman pod create --name pod --network none --infra-image localhost/busybox --infra-command '/bin/sleep 100000'
        assert_status 0 podman run --detach --pod pod --name one busybox /bin/sh -c 'echo one; nc -l -p 7000 -e /bin/echo over localhost; sleep 1000'
        wait_for 30 "the first container" is_logged one one
        assert_status 0 podman run --pod pod --name two busybox /bin/sh -c 'i=0; until nc 127.0.0.1 7000 || [ $i -gt 50 ]; do i=$((i + 1)); sleep 0.2; done'
        assert_contains "$RUN_OUTPUT" 'over localhost'
        # In the cgroup that podman looks for.
        local id
        id=$(podman inspect --format '{{.Id}}' one)
        assert_contains "$(cat "/proc/$(podman inspect --format '{{.State.Pid}}' one)/cgroup")" "/libpod-$id.scope"
        # One machine for all of them.
        assert_eq "$(pgrep --count qemu-system)" 1
        assert_status 0 podman pod rm --force --time 0 pod
}

quadlet() {
        [[ -x /usr/lib/systemd/system-generators/podman-system-generator ]] || skip "podman of this release has no quadlet"
        p
        mkdir -p /etc/containers/systemd
        trap 'rm -rf /etc/containers/systemd; systemctl daemon-reload' EXIT
        cat >/etc/containers/systemd/quad.container <<UNIT
[Container]
Image=localhost/busybox
ContainerName=quad
Network=none
Exec=/bin/sh -c 'echo up; trap "exit 0" TERM; sleep 1000 & while :; do wait; done'
GlobalArgs=--runtime=kata
[Service]
Environment=CONTAINERS_CONF=$CONTAINERS_CONF CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF
UNIT
        systemctl daemon-reload
        assert_status 0 timeout 90 systemctl start quad.service
        assert_eq "$(systemctl is-active quad.service)" active
        assert_eq "$(podman inspect --format '{{.OCIRuntime}}' quad)" kata
        assert_contains "$(podman exec quad /bin/uname -r)" kata
        assert_status 0 timeout 60 systemctl stop quad.service
        assert_eq "$(podman ps --all --quiet)" ''
}

hooks() {
        p
        mkdir "$T_WORK/hooks.d"
        local kind
        for kind in prestart createRuntime poststart poststop; do
                cat >"$T_WORK/$kind" <<HOOK
#!/bin/sh
jq -c '{status, pid}' >$T_WORK/$kind.state
echo $kind >>$T_WORK/order
HOOK
                chmod 755 "$T_WORK/$kind"
                jq -n --arg path "$T_WORK/$kind" --arg kind "$kind" '{version: "1.0.0", hook: {path: $path, env: ["PATH=/usr/bin:/bin"]}, when: {always: true}, stages: [$kind]}' \
                        >"$T_WORK/hooks.d/$kind.json"
        done
        assert_status 0 podman --hooks-dir "$T_WORK/hooks.d" run --rm --network none busybox /bin/true
        # podman 5 makes createRuntime hooks of prestart hooks and sorts them by name.
        assert_match "$(tr '\n' ' ' <"$T_WORK/order")" '^(prestart createRuntime|createRuntime prestart) poststart poststop $'
        assert_match "$(cat "$T_WORK/createRuntime.state")" '"creating","pid":[1-9]'
        assert_match "$(cat "$T_WORK/poststart.state")" '"running","pid":[1-9]'
        assert_match "$(cat "$T_WORK/poststop.state")" '"stopped"'
}

says_hello() {
        [[ $(timeout 5 busybox nc 127.0.0.1 "$1" </dev/null) == 'hello from the guest' ]]
}

# The engine sets a network namespace up, the guest has what is in there.
bridge_network() {
        p
        assert_status 0 podman run --detach --name bridged --cap-add NET_RAW --publish 127.0.0.1:8123:80 busybox /bin/sh -c \
                'ip -4 address show eth0; ping -c 1 -w 30 $(ip route | sed -n "s/^default via \([0-9.]*\).*/\1/p")
                        while :; do echo hello from the guest | nc -l -p 80; done'
        wait_for 40 "the answer to a ping" is_logged bridged '1 packets received'
        assert_match "$(podman logs bridged)" 'inet 10[.]88[.]'
        wait_for 20 "the published port" says_hello 8123
        assert_status 0 podman rm --force --time 0 bridged
}

# With a user namespace podman makes no network namespace: it sets up that of the container's process, after create.
user_namespace() {
        local pid
        p
        # The network is that of the machine: its sysctls, raw sockets and low ports are not for a user namespace.
        sed 's/^default_sysctls.*/default_sysctls = []/' "$CONTAINERS_CONF" >"$T_WORK/containers.conf"
        # podman unmounts /sys/kernel in a namespace of its own, which is a mount point in live nodes, and busy.
        CONTAINERS_CONF=$T_WORK/containers.conf assert_status 0 unshare --mount --propagation unchanged /bin/bash -c \
                'mount --make-rprivate /sys; umount --recursive --lazy /sys/kernel || true; exec "$@"' bash \
                podman run --detach --name mapped --uidmap 0:100000:65536 --gidmap 0:100000:65536 \
                --publish 127.0.0.1:8124:8080 busybox /bin/sh -c \
                'cat /proc/self/uid_map; ip -4 address show eth0
                        while :; do echo hello from the guest | nc -l -p 8080; done'
        wait_for 40 "the address" is_logged mapped 'inet 10[.]88[.]'
        assert_match "$(podman logs mapped)" '0 +100000 +65536'
        pid=$(podman inspect --format '{{.State.Pid}}' mapped)
        assert_contains "$(nsenter --net="/proc/$pid/ns/net" ip -o link)" kata0
        wait_for 20 "the published port" says_hello 8124
        assert_status 0 podman rm --force --time 0 mapped
}

host_network() {
        p
        assert_fails podman run --rm --network host busybox /bin/true
        assert_contains "$RUN_OUTPUT" "host's network"
}

if command -v podman >/dev/null; then
        P_READY=0
        podman_up >"$T_DIR/podman-up" 2>&1 || true
        [[ $P_READY == 1 ]] || mkdir -p "$P_STORE"
        t "life of a container" life
        t_live "exit codes" exit_codes
        t_live "a terminal" terminal
        t_live "options" options
        t_live "attach, restart, health, stats" restart_and_attach
        t "limits, and a proxy that is killed" limits
        t_live "a pod is one machine" pods
        t_live "a quadlet unit" quadlet
        t_live "hooks of the host" hooks
        t_live "a bridge network with a published port" bridge_network
        t_live "a user namespace, and a bridge network" user_namespace
        t_live "the host's network is refused" host_network
        podman_down
else
        need_podman() { need_program podman; }
        t "podman" need_podman
fi
