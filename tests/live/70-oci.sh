#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kata-runtime as an OCI runtime: create, start, state, kill, delete, exec, run and the rest, called as its
# callers do.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

RT=kata-runtime

# detached COMMAND...: for what leaves a process behind that has our standard streams.
detached() {
        "$@" </dev/null >"$T_WORK/detached.out" 2>"$T_WORK/detached.err" ||
                fail "'$*' ended with status $?: $(cat "$T_WORK/detached.err")"
}

# bundle NAME COMMAND [JQ-FILTER]: a bundle below $T_WORK.
bundle() {
        local dir=$T_WORK/$1
        mkdir -p "$dir"
        busybox_root "$dir/rootfs"
        (cd "$dir" && "$RT" spec)
        jq --arg command "$2" ".process.terminal = false | .process.args = [\"/bin/sh\", \"-c\", \$command]
                | .root.readonly = false | ${3:-.}" "$dir/config.json" >"$dir/new"
        mv "$dir/new" "$dir/config.json"
        # Whatever happens, it is deleted in the end.
        echo "$1" >>"$T_WORK/sandboxes"
        trap delete_all EXIT
}

delete_all() {
        local config
        for config in "$T_WORK"/*/config.json; do
                "$RT" delete --force "$(basename "$(dirname "$config")")"
        done
}

status_of() {
        "$RT" state "$1" | jq -r .status
}

is_status() {
        [[ $(status_of "$1") == "$2" ]]
}

# The shim is reaped by whoever the runtime's parent is; here that is this shell.
life() {
        bundle oci1 'echo out; echo err >&2; cat; exit 7'
        assert_status 1 "$RT" state oci1
        assert_contains "$RUN_OUTPUT" 'container "oci1" does not exist'
        mkfifo "$T_WORK/in"
        exec 7<>"$T_WORK/in"
        "$RT" create --bundle "$T_WORK/oci1" --pid-file "$T_WORK/pid" oci1 <"$T_WORK/in" >"$T_WORK/out" 2>"$T_WORK/err"
        local pid
        pid=$(cat "$T_WORK/pid")
        assert_eq "$(cat "/proc/$pid/comm")" kata-shim
        assert_contains "$(cat "/proc/$pid/cgroup")" kata-vm-oci1.scope
        assert_eq "$(status_of oci1)" created
        assert_eq "$("$RT" state oci1 | jq -r '[.pid, .bundle] | @tsv')" "$pid"$'\t'"$T_WORK/oci1"
        assert_status 1 "$RT" create --bundle "$T_WORK/oci1" oci1
        assert_contains "$RUN_OUTPUT" 'already exists'
        assert_status 0 "$RT" start oci1
        assert_status 1 "$RT" start oci1
        echo 'some input' >&7
        wait_for 20 "the echo" grep -q 'some input' "$T_WORK/out"
        assert_status 1 "$RT" delete oci1
        assert_contains "$RUN_OUTPUT" 'cannot delete container oci1 that is not stopped: running'
        assert_contains "$("$RT" list)" oci1
        assert_eq "$("$RT" ps --format json oci1)" "[$pid]"
        exec 7>&-
        wait_for 20 "the end" is_status oci1 stopped
        # By then all that it has written is here.
        assert_eq "$(cat "$T_WORK/out")" $'out\nsome input'
        assert_contains "$(cat "$T_WORK/err")" err
        wait_for 10 "the shim to end" [ ! -e "/proc/$pid" ]
        assert_status 1 "$RT" kill oci1 TERM
        assert_contains "$RUN_OUTPUT" 'container not running'
        assert_status 0 "$RT" delete oci1
        assert_status 1 "$RT" delete oci1
        assert_status 0 "$RT" delete --force oci1
        [[ $(systemctl is-active kata-sandbox@oci1) != active ]] || fail "the sandbox still runs"
}

exit_codes() {
        bundle oci2 'exit 3'
        assert_status 3 "$RT" run --bundle "$T_WORK/oci2" oci2
        jq '.process.args = ["/bin/missing"]' "$T_WORK/oci2/config.json" >"$T_WORK/new"
        mv "$T_WORK/new" "$T_WORK/oci2/config.json"
        assert_fails "$RT" --log "$T_WORK/log" --log-format json run --bundle "$T_WORK/oci2" oci2
        assert_match "$(jq -r .msg "$T_WORK/log")" 'no such file or directory|executable file not found'
        assert_eq "$(jq -s length "$T_WORK/log")" 1
        assert_eq "$("$RT" list --quiet)" ''
        # An input that has ended before there is a container to read it.
        jq '.process.args = ["/bin/cat"]' "$T_WORK/oci2/config.json" >"$T_WORK/new"
        mv "$T_WORK/new" "$T_WORK/oci2/config.json"
        assert_eq "$(echo early | "$RT" run --bundle "$T_WORK/oci2" oci2)" early
}

execs() {
        bundle oci3 'exec sleep 1000'
        detached "$RT" run --detach --bundle "$T_WORK/oci3" oci3
        assert_status 5 "$RT" exec oci3 /bin/sh -c 'echo hello; exit 5'
        assert_contains "$RUN_OUTPUT" hello
        assert_status 0 "$RT" exec --user 1000:1001 --env A=b --cwd /tmp oci3 /bin/sh -c 'id -u; id -g; echo $A; pwd'
        assert_contains "$RUN_OUTPUT" $'1000\n1001\nb\n/tmp'
        assert_status 255 "$RT" exec oci3 /bin/missing
        assert_status 255 "$RT" exec nobody /bin/true
        echo 'cat >/tmp/got; wc -c </tmp/got' >"$T_WORK/script"
        head -c 300000 /dev/urandom >"$T_WORK/data"
        "$RT" exec oci3 /bin/sh -c 'cat | wc -c' <"$T_WORK/data" >"$T_WORK/count"
        assert_eq "$(tr -d ' ' <"$T_WORK/count")" 300000
        jq -n '{cwd: "/", args: ["/bin/sleep", "1000"], env: ["PATH=/bin"], user: {uid: 0, gid: 0}}' >"$T_WORK/process"
        detached "$RT" exec --process "$T_WORK/process" --detach --pid-file "$T_WORK/pid" oci3
        kill -TERM "$(cat "$T_WORK/pid")"
        wait_for 20 "the exec to end" [ ! -e "/proc/$(cat "$T_WORK/pid")" ]
        assert_status 0 "$RT" pause oci3
        assert_eq "$(status_of oci3)" paused
        assert_status 255 "$RT" exec oci3 /bin/true
        assert_status 0 "$RT" resume oci3
        assert_status 0 "$RT" update --memory 64M --pids-limit 50 oci3
        assert_status 0 "$RT" kill oci3 KILL
        wait_for 20 "the end" is_status oci3 stopped
        assert_status 0 "$RT" delete oci3
}

forced() {
        bundle oci4 'trap "" TERM; while :; do sleep 1; done'
        detached "$RT" run --detach --bundle "$T_WORK/oci4" oci4
        kill -KILL "$(unit_property kata-vm-oci4.scope MainPID 2>/dev/null || true)" 2>/dev/null || true
        assert_status 0 "$RT" delete --force oci4
        assert_status 1 "$RT" state oci4
}

# Whose root is nobody in the guest's own user namespace.
user_namespace() {
        bundle oci5 'id -u; cat /proc/self/uid_map; touch /mine; stat -c %u /mine /proc/1' '.linux.namespaces += [{ type: "user" }]
                | .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
                | .linux.gidMappings = .linux.uidMappings'
        chown -R 100000:100000 "$T_WORK/oci5/rootfs"
        assert_status 0 "$RT" run --bundle "$T_WORK/oci5" oci5
        assert_match "$RUN_OUTPUT" $'^0\n +0 +100000 +65536\n0\n0$'
        assert_eq "$(stat -c %u "$T_WORK/oci5/rootfs/mine")" 100000 'owner on the host'
        # An id-mapped volume, by the mappings of the namespace. The daemon of Debian 12 does not offer them.
        mkdir "$T_WORK/volume"
        touch "$T_WORK/volume/five"
        chown 5:6 "$T_WORK/volume/five"
        jq --arg volume "$T_WORK/volume" '.process.args = ["/bin/sh", "-c", "touch /volume/new; stat -c %u:%g /volume/*"]
                | .mounts += [{ destination: "/volume", type: "bind", source: $volume, options: ["rbind", "idmap"] }]' \
                "$T_WORK/oci5/config.json" >"$T_WORK/new"
        mv "$T_WORK/new" "$T_WORK/oci5/config.json"
        if [[ -e /usr/libexec/virtiofsd ]]; then
                assert_status 0 "$RT" run --bundle "$T_WORK/oci5" oci5
                assert_eq "$RUN_OUTPUT" $'5:6\n0:0'
                assert_eq "$(stat -c %u "$T_WORK/volume/new")" 0 'owner on the host'
        else
                assert_fails "$RT" run --bundle "$T_WORK/oci5" oci5
                assert_match "$RUN_OUTPUT" "mount '/volume': id map of .* no id-mapped mounts of the file system \\(virtiofs"
        fi
}

# What Kata's messages have no field for and the agent's extension has.
properties() {
        local words
        # shellcheck disable=SC2016
        words='echo umask $(umask) domain $(cat /proc/sys/kernel/domainname) machine $(uname -m)
                echo policy $(cut -d" " -f41 /proc/$$/stat) nice $(cut -d" " -f19 /proc/$$/stat) io $(ionice -p $$)
                read up rest </proc/uptime; echo up $((${up%.*} > 10000000)) high $(cat /sys/fs/cgroup/memory.high)'
        bundle oci6 "$words; exec sleep 1000" '.process.user.umask = 23 | .domainname = "example.org"
                | .linux.personality = { domain: "LINUX32" } | .process.scheduler = { policy: "SCHED_BATCH", nice: 5 }
                | .process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 }
                | .linux.namespaces += [{ type: "time" }] | .linux.timeOffsets.boottime = { secs: 10000000, nanosecs: 0 }
                | .linux.resources.unified = { "memory.high": "50003968", "cpuset.cpus": "0-63" }'
        "$RT" run --detach --bundle "$T_WORK/oci6" oci6 </dev/null >"$T_WORK/out" 2>"$T_WORK/err" ||
                fail "not started: $(cat "$T_WORK/err")"
        wait_for 20 "its words" grep -q '^up' "$T_WORK/out"
        assert_match "$(cat "$T_WORK/out")" 'umask 0027 domain example.org machine i686'
        assert_match "$(cat "$T_WORK/out")" 'policy 3 nice 5 io best-effort: prio 6'
        assert_match "$(cat "$T_WORK/out")" 'up 1 high 50003968'
        # A further process is made of the same configuration; one with words of its own has what they say.
        assert_status 0 "$RT" exec oci6 /bin/sh -c "$words"
        assert_match "$RUN_OUTPUT" 'umask 0027 domain example.org machine i686'
        assert_match "$RUN_OUTPUT" 'policy 3 nice 5 io best-effort: prio 6'
        assert_match "$RUN_OUTPUT" 'up 1 high'
        jq -n --arg words "$words" '{cwd: "/", args: ["/bin/sh", "-c", $words], env: ["PATH=/bin"], scheduler: {policy: "SCHED_IDLE"},
                user: {uid: 0, gid: 0, umask: 63}}' >"$T_WORK/process"
        assert_status 0 "$RT" exec --process "$T_WORK/process" oci6
        assert_match "$RUN_OUTPUT" 'umask 0077 domain example.org machine i686'
        assert_match "$RUN_OUTPUT" 'policy 5 '
        # Processors are the guest's.
        jq -n '{cwd: "/", args: ["/bin/grep", "Cpus_allowed_list", "/proc/self/status"], user: {uid: 0, gid: 0},
                execCPUAffinity: {initial: "0", final: "0"}}' >"$T_WORK/process"
        assert_status 0 "$RT" exec --process "$T_WORK/process" oci6
        assert_match "$RUN_OUTPUT" 'Cpus_allowed_list:[[:space:]]0$'
        jq '.execCPUAffinity.final = "700"' "$T_WORK/process" >"$T_WORK/new"
        assert_fails "$RT" exec --process "$T_WORK/new" oci6
        assert_contains "$RUN_OUTPUT" "execCPUAffinity: no processor of the list is the container's"
        jq -n '{unified: {"memory.high": "60002304"}}' >"$T_WORK/resources"
        assert_status 0 "$RT" update --resources "$T_WORK/resources" oci6
        assert_status 0 "$RT" exec oci6 /bin/cat /sys/fs/cgroup/memory.high
        assert_contains "$RUN_OUTPUT" 60002304
        jq -n '{unified: {"cgroup.procs": "1"}}' >"$T_WORK/resources"
        assert_fails "$RT" update --resources "$T_WORK/resources" oci6
        assert_contains "$RUN_OUTPUT" "'cgroup.procs' is no file of a controller"
        assert_status 0 "$RT" delete --force oci6
}

# A sandbox of that name that the command line has not made is not its to stop, whatever it is asked.
touches_nothing() {
        local id=$1
        assert_status 1 "$RT" create --bundle "$T_WORK/$id" "$id"
        assert_contains "$RUN_OUTPUT" "a sandbox '$id' $2"
        assert_status 1 "$RT" run --bundle "$T_WORK/$id" "$id"
        local verb
        for verb in state start kill pause delete; do
                assert_status 1 "$RT" "$verb" "$id"
                assert_contains "$RUN_OUTPUT" "container \"$id\" does not exist"
        done
        assert_status 0 "$RT" delete --force "$id"
        [[ ! -e /run/kata-runtime/$id && ! -e /run/kata-runtime/.sandbox-$id ]] || fail "something is left of $id"
}

of_others() {
        bundle oci6 'exit 0'
        bundle oci7 'exit 0'
        # Defined, but not running.
        trap 'rm -f /run/kata/sandboxes/oci7.conf; delete_all' EXIT
        simple_sandbox oci7 '/bin/sleep 1000'
        mv "$SANDBOX_CONF_DIR/oci7.conf" /run/kata/sandboxes/oci7.conf
        touches_nothing oci7 "is defined by this host's operator in /run/kata/sandboxes/oci7.conf"
        [[ ! -e /run/kata/oci7 ]] || fail "something was made for oci7"

        # Running: the operator's, then a pod of another root, then one of a caller that is not ours.
        simple_sandbox oci6 '/bin/sleep 1000'
        start_sandbox oci6
        local pid
        pid=$(unit_property kata-sandbox@oci6 MainPID)
        touches_nothing oci6 "is defined by this host's operator in /etc/kata/sandboxes/oci6.conf"
        jq '.annotations["io.kubernetes.cri-o.SandboxID"] = "oci6"' "$T_WORK/oci7/config.json" >"$T_WORK/new"
        mv "$T_WORK/new" "$T_WORK/oci7/config.json"
        rm /run/kata/sandboxes/oci7.conf
        assert_status 1 "$RT" create --bundle "$T_WORK/oci7" oci7
        assert_contains "$RUN_OUTPUT" "a sandbox 'oci6' is defined by this host's operator"
        assert_eq "$(unit_property kata-sandbox@oci6 MainPID)" "$pid" 'the supervisor'
        assert_eq "$(systemctl is-active kata-sandbox@oci6 kata-vm-oci6.scope)" $'active\nactive'
        stop_sandbox oci6
        rm "$SANDBOX_CONF_DIR/oci6.conf"

        mkdir -m 700 /run/kata/oci6
        printf '[Sandbox]\n' >/run/kata/oci6/sandbox.conf
        touches_nothing oci6 "is another caller's"
        rm -r /run/kata/oci6

        # Of two roots with the same last component the sandboxes have the same names.
        local one="$T_WORK/a/rr" two="$T_WORK/b/rr"
        mkdir -p "$one" "$two"
        echo rr:oci6 >>"$T_WORK/sandboxes"
        jq '.process.args = ["/bin/sleep", "1000"]' "$T_WORK/oci6/config.json" >"$T_WORK/new"
        mv "$T_WORK/new" "$T_WORK/oci6/config.json"
        detached "$RT" --root "$one" create --bundle "$T_WORK/oci6" oci6
        assert_eq "$(readlink /run/kata/rr:oci6/owner)" "$one"
        assert_status 1 "$RT" --root "$two" create --bundle "$T_WORK/oci6" oci6
        assert_contains "$RUN_OUTPUT" "a sandbox 'rr:oci6' belongs to containers of --root $one"
        assert_status 0 "$RT" --root "$two" delete --force oci6
        assert_eq "$("$RT" --root "$one" state oci6 | jq -r .status)" created
        assert_status 0 "$RT" --root "$one" delete --force oci6
        [[ ! -e /run/kata/rr:oci6 ]] || fail "the directory of the sandbox is left"
}

# limit PROPERTY VALUE: of the machine's scope.
limit() {
        assert_eq "$(unit_property "$SCOPE" "$1")" "$2" "$1 of $SCOPE"
}

# in_cgroup FILE VALUE: the same as the kernel has it, where it has the controller.
in_cgroup() {
        local file
        grep -qw "${1%%.*}" /sys/fs/cgroup/cgroup.controllers || return 0
        file=/sys/fs/cgroup$(unit_property "$SCOPE" ControlGroup)/$1
        assert_eq "$(cat "$file")" "$2" "$file"
}

in_guest() {
        assert_eq "$("$RT" exec oci8 /bin/cat "/sys/fs/cgroup/$1")" "$2" "$1 in the guest"
}

limits() {
        bundle oci8 'exec sleep 1000' '.linux.resources = { memory: { limit: 67108864 }, pids: { limit: 100 },
                cpu: { shares: 2048, quota: 200000, period: 100000, cpus: "0", mems: "0" }, blockIO: { weight: 500 } }'
        detached "$RT" run --detach --bundle "$T_WORK/oci8" oci8
        local SCOPE=kata-vm-oci8.scope memory pid
        limit CPUWeight 174
        limit CPUQuotaPerSecUSec 2s
        limit AllowedCPUs 0
        limit AllowedMemoryNodes 0
        limit IOWeight 4950
        # What the guest has, and more than its VMM is going to need.
        memory=$(unit_property "$SCOPE" MemoryMax)
        ((memory > 640 << 20 && memory < 4096 << 20)) || fail "MemoryMax=$memory"
        in_cgroup cpu.weight 174
        in_cgroup cpu.max '200000 100000'
        in_cgroup memory.max "$memory"
        in_cgroup cpuset.cpus 0
        in_guest cpu.max '200000 100000'
        in_guest memory.max 67108864
        in_guest pids.max 100

        assert_status 0 "$RT" update --cpu-shares 1024 --cpu-quota 50000 --cpu-period 100000 --memory 32M oci8
        limit CPUWeight 100
        limit CPUQuotaPerSecUSec 500ms
        limit MemoryMax "$memory"
        limit AllowedCPUs 0
        in_cgroup cpu.weight 100
        in_cgroup cpu.max '50000 100000'
        in_guest cpu.weight 100
        in_guest memory.max 33554432

        # The guest refuses one of them: the scope is put back.
        assert_status 1 "$RT" update --cpu-shares 4096 --memory-swap 1M oci8
        assert_contains "$RUN_OUTPUT" 'the guest does not take the limits'
        assert_contains "$RUN_OUTPUT" 'those of the scope are as before'
        limit CPUWeight 100
        in_cgroup cpu.weight 100
        assert_status 1 "$RT" update --cpuset-cpus 3-1 oci8
        assert_contains "$RUN_OUTPUT" "linux.resources.cpu.cpus: '3-1' is no list"

        # Another supervisor.
        pid=$(unit_property kata-sandbox@oci8 MainPID)
        kill -KILL "$pid"
        wait_for 30 "another supervisor" supervised_by_another "$pid"
        limit CPUQuotaPerSecUSec 500ms
        limit MemoryMax "$memory"
        assert_status 0 "$RT" update --cpu-quota=-1 --memory=-1 oci8
        limit CPUQuotaPerSecUSec infinity
        limit MemoryMax infinity
        limit CPUWeight 100
        in_cgroup cpu.max 'max 100000'
        assert_status 0 "$RT" update --memory 64M oci8
        limit MemoryMax "$memory"
        assert_status 0 "$RT" delete --force oci8
}

supervised_by_another() {
        local pid
        pid=$(unit_property kata-sandbox@oci8 MainPID)
        [[ $pid != "$1" && $(systemctl is-active kata-sandbox@oci8) == active ]] && "$RT" state oci8 | grep -q running
}

# Each further container has the scope that its caller asks for, and limits in the guest alone.
scopes_of_a_pod() {
        local resources='.linux.resources = { cpu: { shares: 2048 } }' c2 SCOPE=oci-pod1.scope
        c2=".annotations[\"io.kubernetes.cri-o.SandboxID\"] = \"pod1\" | $resources
                | .linux.cgroupsPath = \"machine.slice:oci:c2\""
        bundle pod1 'exec sleep 1000' ".annotations[\"io.kubernetes.cri-o.SandboxID\"] = \"pod1\"
                | .linux.cgroupsPath = \"machine.slice:oci:pod1\" | $resources"
        bundle c2 'exec sleep 1000' "$c2"
        bundle c3 'exec sleep 1000' "$c2"
        detached "$RT" --systemd-cgroup run --detach --bundle "$T_WORK/pod1" pod1
        detached "$RT" --systemd-cgroup run --detach --bundle "$T_WORK/c2" --pid-file "$T_WORK/pid" c2
        assert_contains "$(cat "/proc/$("$RT" state pod1 | jq .pid)/cgroup")" /machine.slice/oci-pod1.scope
        assert_contains "$(cat "/proc/$(cat "$T_WORK/pid")/cgroup")" /machine.slice/oci-c2.scope
        limit CPUWeight '[not set]'
        assert_status 0 "$RT" update --cpu-shares 1024 c2
        limit CPUWeight '[not set]'
        assert_eq "$("$RT" exec c2 /bin/cat /sys/fs/cgroup/cpu.weight)" 100
        jq -n '{cwd: "/", args: ["/bin/sleep", "1000"], env: ["PATH=/bin"], user: {uid: 0, gid: 0}}' >"$T_WORK/process"
        detached "$RT" exec --process "$T_WORK/process" --detach --pid-file "$T_WORK/pid" c2
        assert_contains "$(cat "/proc/$(cat "$T_WORK/pid")/cgroup")" /machine.slice/oci-c2.scope

        # The name is taken: nothing of the one that has it is touched.
        assert_status 1 "$RT" --systemd-cgroup create --bundle "$T_WORK/c3" c3
        assert_contains "$RUN_OUTPUT" 'linux.cgroupsPath: oci-c2.scope exists already'
        assert_status 1 "$RT" state c3
        assert_eq "$(status_of c2)" running

        assert_status 0 "$RT" delete --force c2
        [[ $(systemctl is-active oci-c2.scope) == inactive ]] || fail "the scope is left"
        # At once: callers restart containers.
        detached "$RT" --systemd-cgroup create --bundle "$T_WORK/c2" c2
        assert_status 0 "$RT" start c2
        assert_status 0 "$RT" kill c2 KILL
        wait_for 20 "the end" is_status c2 stopped
        assert_status 0 "$RT" delete c2
        [[ $(systemctl is-active oci-c2.scope) == inactive ]] || fail "the scope is left"
        assert_status 0 "$RT" delete --force pod1
}

t "life of a container" life
t_live "exit codes and errors of run" exit_codes
t "further processes" execs
t_live "delete --force" forced
t_live "a user namespace" user_namespace
t_live "properties of the agent's extension" properties
t_live "sandboxes of others" of_others
t "limits of the machine" limits
t_live "scopes of a pod" scopes_of_a_pod
