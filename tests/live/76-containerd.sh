#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# containerd's own runc shim with kata-runtime as its binary: images, tasks, further processes, signals, streams and
# terminals through ctr. containerd runs as a unit of this suite, with directories of its own and without CRI; the
# image is made here.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

RT=/usr/bin/kata-runtime
UNIT=t-containerd.service
# In memory: there overlayfs can have its upper directory, too.
DIR=/run/t-containerd
IMAGE=localhost/busybox:test
RUNC_ROOT=/run/containerd/runc/default

CTR() {
        ctr --address "$DIR/containerd.sock" "$@"
}

# CTR_RUN OPTION... IMAGE ID [COMMAND...]: a container of ours.
CTR_RUN() {
        CTR run --runc-binary "$RT" --snapshotter "${SNAPSHOTTER:-native}" "$@"
}

# add_blob FILE: prints its digest, and puts the file among the blobs.
add_blob() {
        local digest
        digest=$(sha256sum "$1" | cut -d' ' -f1)
        cp "$1" "$DIR/image/blobs/sha256/$digest"
        echo "sha256:$digest"
}

# An image of one layer, as an archive in OCI's layout.
make_image() {
        local arch layer config manifest
        arch=$(dpkg --print-architecture)
        mkdir -p "$DIR/image/blobs/sha256"
        # No program can be executed on /run of every node.
        busybox_root "$T_DIR/image-root"
        tar -C "$T_DIR/image-root" --numeric-owner -cf "$DIR/layer" .
        layer=$(add_blob "$DIR/layer")
        jq -n --arg arch "$arch" --arg layer "$layer" '{
                architecture: $arch, os: "linux", rootfs: { type: "layers", diff_ids: [$layer] },
                config: { Env: ["PATH=/bin", "FROM=image"], Cmd: ["/bin/sh", "-c", "echo command of the $FROM in $PWD"],
                          WorkingDir: "/tmp", StopSignal: "SIGUSR1" } }' >"$DIR/config"
        config=$(add_blob "$DIR/config")
        jq -n --arg config "$config" --arg layer "$layer" --argjson n "$(stat -c %s "$DIR/config")" \
                --argjson m "$(stat -c %s "$DIR/layer")" '{
                schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
                config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: $config, size: $n },
                layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: $layer, size: $m }] }' \
                >"$DIR/manifest"
        manifest=$(add_blob "$DIR/manifest")
        jq -n --arg manifest "$manifest" --arg name "$IMAGE" --arg arch "$arch" \
                --argjson n "$(stat -c %s "$DIR/manifest")" '{
                schemaVersion: 2, manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json",
                        digest: $manifest, size: $n, platform: { os: "linux", architecture: $arch },
                        annotations: { "io.containerd.image.name": $name } }] }' >"$DIR/image/index.json"
        echo '{ "imageLayoutVersion": "1.0.0" }' >"$DIR/image/oci-layout"
        tar -C "$DIR/image" -cf "$DIR/image.tar" .
}

start_containerd() {
        mkdir -p "$DIR"
        cat >"$DIR/config.toml" <<EOF
version = 2
root = "$DIR/root"
state = "$DIR/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$DIR/containerd.sock"
EOF
        systemd-run --quiet --collect --unit="$UNIT" --service-type=notify --property=KillMode=process \
                --property=TimeoutStopSec=10 containerd --config "$DIR/config.toml"
        make_image
        CTR images import --no-unpack "$DIR/image.tar"
}

end_containerd() {
        systemctl stop "$UNIT" 2>/dev/null || true
        rm -rf "$DIR" /run/containerd
}

# need_containerd ID...: it runs, has the image, and whatever happens these containers are removed in the end.
need_containerd() {
        need_program containerd
        need_program ctr
        systemctl is-active --quiet "$UNIT" || start_containerd
        printf 'default:%s\n' "$@" >>"$T_WORK/sandboxes"
        trap remove_all EXIT
}

remove_all() {
        local id
        for id in $(CTR containers list --quiet); do
                CTR tasks delete --force "$id" || true
                CTR containers delete "$id" || true
        done
        for id in $("$RT" --root "$RUNC_ROOT" list --quiet); do
                "$RT" --root "$RUNC_ROOT" delete --force "$id"
        done
}

# detached COMMAND...: what it leaves behind has none of our streams.
detached() {
        "$@" </dev/null >"$T_WORK/detached" 2>&1 || fail "'$*' ended with status $?: $(cat "$T_WORK/detached")"
}

task_is() {
        [[ $(CTR tasks list | awk -v id="$1" '$1 == id { print $3 }') == "$2" ]]
}

task_pid() {
        CTR tasks list | awk -v id="$1" '$1 == id { print $2 }'
}

# remove ID STATUS: the task, which has ended with that status, and its container.
remove() {
        wait_for 20 "the end of $1" task_is "$1" STOPPED
        # ctr 1.6 ends with the status of the task, 1.7 tells of it.
        run CTR tasks delete "$1"
        [[ $RUN_STATUS == "$2" || $RUN_OUTPUT == *"non-zero exit code $2"* ]] ||
                fail "'ctr tasks delete $1' does not say $2"
        assert_status 0 CTR containers delete "$1"
}

in_terminal() {
        # Not as a function: script has a shell of its own.
        script --quiet --return --command "stty rows 33 cols 77; exec ctr --address $DIR/containerd.sock $*" /dev/null
}

foreground() {
        need_containerd fg1 fg2 fg3
        assert_status 0 CTR_RUN --rm "$IMAGE" fg1
        assert_contains "$RUN_OUTPUT" 'command of the image in /tmp'
        local rc=0
        # Not before the task is there: ctr forgets to tell of an end of the input that comes before it.
        { wait_for 60 'fg2' task_is fg2 RUNNING && echo 'some input'; } | CTR_RUN --rm "$IMAGE" fg2 /bin/sh -c 'cat; echo to err >&2; exit 7' \
                >"$T_WORK/out" 2>"$T_WORK/err" || rc=$?
        cat "$T_WORK/out" "$T_WORK/err"
        assert_eq "$rc" 7 status
        assert_eq "$(cat "$T_WORK/out")" 'some input' 'standard output'
        assert_contains "$(cat "$T_WORK/err")" 'to err' 'standard error'
        assert_status 1 CTR_RUN --rm "$IMAGE" fg3 /bin/missing
        assert_match "$RUN_OUTPUT" 'no such file or directory|executable file not found'
        assert_eq "$(CTR containers list --quiet)" ''
        assert_eq "$("$RT" --root "$RUNC_ROOT" list --quiet)" ''
}

# A root directory of the host instead of an image; and a terminal.
own_root() {
        need_containerd root1
        busybox_root "$T_WORK/root"
        echo 'of the host' >"$T_WORK/root/root/in"
        local rc=0
        in_terminal run --runc-binary "$RT" --rootfs --tty --rm "$T_WORK/root" root1 /bin/sh -c \
                "'until [ \"\$(stty size)\" = \"33 77\" ]; do sleep 0.1; done; tty; cat /root/in; exit 4'" \
                </dev/null >"$T_WORK/out" 2>&1 || rc=$?
        cat "$T_WORK/out"
        assert_eq "$rc" 4 status
        assert_contains "$(cat "$T_WORK/out")" /dev/pts/0
        assert_contains "$(cat "$T_WORK/out")" 'of the host'
}

# exec_status STATUS ID EXEC-ID COMMAND...
exec_status() {
        local want=$1 id=$2 exec_id=$3
        shift 3
        assert_status "$want" CTR tasks exec --exec-id "$exec_id" "$id" "$@"
}

ends_exec() {
        local id=$1 exec_id=$2 sig=$3 status=$4
        detached CTR tasks exec --detach --exec-id "$exec_id" "$id" /bin/sleep 7654
        assert_status 0 CTR tasks kill --exec-id "$exec_id" --signal "$sig" "$id"
        wait_for 20 "the end of $exec_id" exec_deleted "$id" "$exec_id" "$status"
}

exec_deleted() {
        local rc=0
        CTR tasks delete --exec-id "$2" "$1" || rc=$?
        ((rc == $3))
}

no_sleep_is_left() {
        CTR tasks exec --exec-id "look$RANDOM" d1 /bin/sh -c '! ps | grep "[s]leep 7654"'
}

two_at_once() {
        need_containerd d1 d2
        CTR events >"$T_WORK/events" &
        local events=$! pid rc=0
        SNAPSHOTTER=overlayfs detached CTR_RUN --detach --log-uri "file://$T_WORK/log1" "$IMAGE" d1 \
                /bin/sh -c 'trap "echo got it; exit 9" USR1; echo ready; sleep 1000 & while :; do wait; done'
        detached CTR_RUN --detach --log-uri "file://$T_WORK/log2" "$IMAGE" d2 /bin/sleep 1000
        task_is d1 RUNNING && task_is d2 RUNNING || fail "tasks: $(CTR tasks list)"

        # What the shim knows as the container is a process of ours, its child.
        pid=$(task_pid d1)
        assert_eq "$(cat "/proc/$pid/comm")" kata-shim
        assert_eq "$(cat "/proc/$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")/comm")" containerd-shim
        assert_status 0 CTR tasks ps d1
        assert_contains "$RUN_OUTPUT" "$pid"
        wait_for 20 output grep -q ready "$T_WORK/log1"

        exec_status 5 d1 e1 /bin/sh -c 'id -u; echo $FROM; exit 5'
        assert_contains "$RUN_OUTPUT" $'0\nimage'
        assert_status 0 CTR tasks exec --exec-id e2 --user 1000:1001 --cwd /root d1 /bin/sh -c 'id -u; id -g; pwd'
        assert_contains "$RUN_OUTPUT" $'1000\n1001\n/root'
        assert_eq "$(head -c 200000 /dev/zero | CTR tasks exec --exec-id e3 d1 /bin/wc -c | tr -d ' ')" 200000
        assert_fails CTR tasks exec --exec-id e4 d1 /bin/missing
        assert_match "$RUN_OUTPUT" 'no such file or directory|executable file not found'
        in_terminal tasks exec --tty --exec-id e5 d1 /bin/sh -c \
                "'until [ \"\$(stty size)\" = \"33 77\" ]; do sleep 0.1; done; tty; exit 6'" \
                </dev/null >"$T_WORK/out" 2>&1 || rc=$?
        cat "$T_WORK/out"
        assert_eq "$rc" 6 'status of an exec with a terminal'
        assert_contains "$(cat "$T_WORK/out")" /dev/pts/

        # The shim sends signals for these to the process of the host: SIGKILL is noticed by the supervisor.
        ends_exec d1 e6 SIGTERM 143
        ends_exec d1 e7 SIGKILL 137
        wait_for 20 'the process in the guest to end' no_sleep_is_left

        assert_status 0 CTR tasks pause d1
        task_is d1 PAUSED || fail "tasks: $(CTR tasks list)"
        assert_fails CTR tasks exec --exec-id e8 d1 /bin/true
        assert_status 0 CTR tasks resume d1
        task_is d1 RUNNING || fail "tasks: $(CTR tasks list)"
        assert_status 0 CTR tasks metrics d1
        assert_contains "$RUN_OUTPUT" d1

        # The image's stop signal, and another one for the other container.
        assert_fails CTR tasks delete d1
        assert_status 0 CTR tasks kill d1
        assert_status 0 CTR tasks kill --signal SIGKILL d2
        remove d1 9
        remove d2 137
        assert_eq "$(cat "$T_WORK/log1")" $'ready\ngot it'
        kill "$events"
        assert_eq "$(grep -c '/tasks/exit .*"container_id":"d1","id":"d1"' "$T_WORK/events")" 1 'exits told of d1'
        assert_eq "$(grep -c '/tasks/exit .*"container_id":"d1","id":"e7"' "$T_WORK/events")" 1 'exits told of e7'
}

# containerd comes back and finds its tasks; and a shim that is killed takes its container along.
restarts() {
        need_containerd r1
        detached CTR_RUN --detach --log-uri "file://$T_WORK/log" "$IMAGE" r1 /bin/sleep 1000
        local pid parent
        pid=$(task_pid r1)
        systemctl restart "$UNIT"
        task_is r1 RUNNING || fail "tasks: $(CTR tasks list)"
        assert_eq "$(task_pid r1)" "$pid"
        exec_status 3 r1 e1 /bin/sh -c 'exit 3'
        parent=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")
        assert_eq "$(cat "/proc/$parent/comm")" containerd-shim
        kill -KILL "$parent"
        wait_for 30 "kata-shim to end" [ ! -e "/proc/$pid" ]
        wait_for 30 "the container to be deleted" [ ! -e "$RUNC_ROOT/r1" ]
        assert_status 0 CTR containers delete r1
}

t_live "exit codes and streams of ctr run" foreground
t_live "a root directory of the host, a terminal" own_root
t "two containers: processes, signals, freezing, numbers" two_at_once
t_live "containerd is restarted, its shim is killed" restarts
end_containerd
