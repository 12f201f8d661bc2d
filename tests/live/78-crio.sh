#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# CRI-O with kata-runtime as the runtime of its pods, called by crictl as kubelet calls it. Debian has neither of them:
# the suite needs crio, pinns and crictl in the node, from wherever they come, and the CNI plugins of Debian
# (containernetworking-plugins). CRI-O runs as a unit of this suite with directories of its own.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

UNIT=t-crio.service
# Overlays need a file system that is none; in a live node only memory is.
DIR=/run/t-crio
BRIDGE=t78
ADDRESSES=10.79.0
export CONTAINER_RUNTIME_ENDPOINT=unix://$DIR/crio.sock IMAGE_SERVICE_ENDPOINT=unix://$DIR/crio.sock

write_configuration() {
        mkdir -p "$DIR"/{conf.d,net.d,hooks,pods}
        cat >"$DIR/crio.conf" <<CONF
[crio]
root = "$DIR/storage"
runroot = "$DIR/run"
storage_driver = "overlay"
log_dir = "$DIR/log"
version_file = "$DIR/version"
version_file_persist = ""
clean_shutdown_file = "$DIR/clean"
[crio.api]
listen = "$DIR/crio.sock"
stream_address = "127.0.0.1"
stream_port = "0"
[crio.runtime]
default_runtime = "kata"
cgroup_manager = "systemd"
container_exits_dir = "$DIR/exits"
container_attach_socket_dir = "$DIR/attach"
namespaces_dir = "$DIR/ns"
hooks_dir = ["$DIR/hooks"]
apparmor_profile = "unconfined"
[crio.runtime.runtimes.kata]
runtime_path = "/usr/bin/kata-runtime"
runtime_type = "oci"
runtime_root = "/run/t-crio-root"
monitor_path = "/usr/bin/conmon"
monitor_cgroup = "system.slice"
[crio.image]
pause_image = "localhost/busybox:latest"
pause_command = "/bin/pause"
signature_policy = "$DIR/policy.json"
[crio.network]
network_dir = "$DIR/net.d"
plugin_dirs = ["/usr/lib/cni"]
[crio.nri]
enable_nri = false
CONF
        echo '{ "default": [ { "type": "insecureAcceptAnything" } ] }' >"$DIR/policy.json"
        cat >"$DIR/net.d/10-bridge.conflist" <<JSON
{ "cniVersion": "0.4.0", "name": "t78", "plugins": [ { "type": "bridge", "bridge": "$BRIDGE", "isGateway": true,
  "ipam": { "type": "host-local", "dataDir": "$DIR/ipam", "routes": [ { "dst": "0.0.0.0/0" } ],
            "ranges": [ [ { "subnet": "$ADDRESSES.0/24" } ] ] } } ] }
JSON
}

crio_up() {
        mkdir -p "$DIR"
        mount -t tmpfs -o mode=700,size=1G t-crio "$DIR"
        write_configuration
        busybox_root "$DIR/root"
        mkdir -p "$DIR/root"/{run,var/tmp}
        echo 'user:x:1000:1000::/:/bin/sh' >>"$DIR/root/etc/passwd"
        printf '#!/bin/sh\ntrap "exit 0" TERM\nwhile :; do sleep 1; done\n' >"$DIR/root/bin/pause"
        chmod 755 "$DIR/root/bin/pause"
        # The same store as CRI-O's, made by the engine that can make images.
        tar -C "$DIR/root" -c . | podman --root "$DIR/storage" --runroot "$DIR/run" --storage-driver overlay \
                import - localhost/busybox:latest
        rm -r "$DIR/root"
        systemd-run --quiet --collect --unit="$UNIT" --service-type=notify --property=KillMode=process \
                --property=TimeoutStartSec=60 --property=TimeoutStopSec=30 \
                crio --config "$DIR/crio.conf" --config-dir "$DIR/conf.d"
        wait_for 30 "CRI-O" crictl version
        C_READY=1
}

crio_down() {
        systemctl stop "$UNIT" 2>/dev/null || true
        ip link delete "$BRIDGE" 2>/dev/null || true
        remove_mounts "$DIR"
        rm -rf /var/lib/cni
}

# Whatever happens, its pods are gone when a test ends.
c() {
        trap remove_all EXIT
        [[ $C_READY == 1 ]] || fail "CRI-O can not be set up in this node: $(cat "$T_DIR/crio-up")"
}

remove_all() {
        local id
        for id in $(crictl pods --quiet --no-trunc); do
                echo "t-crio-root:$id" >>"$T_WORK/sandboxes"
        done
        crictl rmp --force --all >/dev/null || true
        # The plugin leaves it.
        ip link delete "$BRIDGE" 2>/dev/null || true
}

# pod NAME [JQ-FILTER]: runs a pod, its ID in POD.
pod() {
        jq -n --arg name "$1" --arg dir "$DIR/pods" '{
                metadata: { name: $name, uid: $name, namespace: "default", attempt: 1 }, hostname: "inner",
                log_directory: $dir, dns_config: { servers: ["10.79.0.1"], searches: ["test"] },
                port_mappings: [], linux: { cgroup_parent: "t78.slice", security_context: {
                        namespace_options: { network: 0, pid: 1, ipc: 0 } } } } | '"${2:-.}" >"$T_WORK/$1.json"
        assert_status 0 crictl runp --cancel-timeout 60s "$T_WORK/$1.json"
        POD=$(tail -n 1 <<<"$RUN_OUTPUT")
}

# container POD-NAME NAME COMMAND [JQ-FILTER]: makes one in the pod and starts it; its ID in CONTAINER.
container() {
        jq -n --arg name "$2" --arg command "$3" '{
                metadata: { name: $name }, image: { image: "localhost/busybox:latest" }, log_path: ($name + ".log"),
                command: ["/bin/sh", "-c", $command], linux: { security_context: {
                        namespace_options: { network: 0, pid: 1, ipc: 0 } } } } | '"${4:-.}" >"$T_WORK/$2.json"
        assert_status 0 crictl create --no-pull "$POD" "$T_WORK/$2.json" "$T_WORK/$1.json"
        CONTAINER=$(tail -n 1 <<<"$RUN_OUTPUT")
        assert_status 0 crictl start "$CONTAINER"
}

is_logged() {
        crictl logs "$1" 2>&1 | grep -q -- "$2"
}

is_state() {
        [[ $(crictl inspect --output json "$1" | jq -r .status.state) == "$2" ]]
}

ipc_of() {
        crictl exec --sync "$1" /bin/readlink /proc/self/ns/ipc 2>/dev/null
}

answers_by_localhost() {
        crictl exec --sync "$1" /bin/sh -c 'nc 127.0.0.1 80 </dev/null' | grep hello
}

pods() {
        local first second pid address
        c
        pod p1
        assert_eq "$(systemctl is-active "kata-sandbox@t-crio-root:$POD")" active
        mkdir "$T_WORK/volume"
        echo content >"$T_WORK/volume/file"
        container p1 web 'echo $GREETING from $(hostname); cat /volume/file; trap "echo got TERM; exit 9" TERM
                echo ready; sleep 1000 & while :; do wait; done' \
                ".envs = [{ key: \"GREETING\", value: \"hello\" }] |
                 .mounts = [{ container_path: \"/volume\", host_path: \"$T_WORK/volume\", readonly: true }]"
        first=$CONTAINER
        wait_for 30 "the output" is_logged "$first" ready
        assert_contains "$(crictl logs "$first")" $'hello from inner\ncontent\nready'
        pid=$(crictl inspect --output json "$first" | jq .info.pid)
        assert_eq "$(cat "/proc/$pid/comm")" kata-shim

        assert_status 0 crictl exec --sync "$first" /bin/sh -c 'echo in the guest; uname -r'
        assert_contains "$RUN_OUTPUT" 'in the guest'
        assert_contains "$RUN_OUTPUT" kata
        run crictl exec --sync "$first" /bin/sh -c 'exit 4'
        [[ $RUN_STATUS != 0 ]] || fail "status of a failed command"
        assert_contains "$RUN_OUTPUT" 'exited with 4'
        assert_eq "$(echo from outside | crictl exec --interactive "$first" /bin/cat)" 'from outside'
        assert_contains "$(crictl exec --sync "$first" /bin/cat /etc/resolv.conf)" 'nameserver 10.79.0.1'

        # Another one in the same machine reaches it by localhost, and the host by the bridge.
        container p1 other 'echo hello from the guest | nc -l -p 80'
        second=$CONTAINER
        assert_eq "$(ipc_of "$first")" "$(ipc_of "$second")" 'namespace of interprocess communication'
        wait_for 30 "an answer by localhost" answers_by_localhost "$first"
        wait_for 30 "its end" is_state "$second" CONTAINER_EXITED
        assert_eq "$(crictl inspect --output json "$second" | jq .status.exitCode)" 0
        assert_eq "$(systemctl list-units --plain --no-legend 'kata-sandbox@t-crio-root*' | wc -l)" 1 'machines'
        address=$(crictl inspectp --output json "$POD" | jq -r .status.network.ip)
        wait_for 20 "an answer to a ping" busybox ping -c 1 -W 2 "$address"

        assert_status 0 crictl stop --timeout 20 "$first"
        assert_eq "$(crictl inspect --output json "$first" | jq .status.exitCode)" 9
        assert_contains "$(crictl logs "$first")" 'got TERM'
        assert_status 0 crictl rm "$first" "$second"
        assert_status 0 crictl stopp "$POD"
        assert_status 0 crictl rmp "$POD"
        assert_eq "$(crictl pods --quiet)" ''
}

need_crio() {
        need_program crio
        need_program pinns
        need_program crictl
        [[ -x /usr/lib/cni/bridge ]] || skip "this node has no /usr/lib/cni/bridge"
}

if (need_crio) 2>/dev/null; then
        C_READY=0
        crio_up >"$T_DIR/crio-up" 2>&1 || true
        mkdir -p "$DIR"
        t "pods" pods
        crio_down
else
        t "CRI-O" need_crio
fi
