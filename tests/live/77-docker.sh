#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Docker of the node's release with kata-runtime as one of its runtimes, called as users do. dockerd, and the containerd
# that it starts, run as a unit of this suite with directories of their own; the image is made here. Docker sets networks
# up when a container has been made: in a hook (20.10), or between create and start (26).
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

UNIT=t-docker.service
# Overlays need a file system that is none; in a live node only memory is.
DIR=/run/t-docker
GATEWAY=10.77.0.1
export DOCKER_HOST=unix://$DIR/docker.sock DOCKER_CONFIG=$DIR/client

start_dockerd() {
        systemd-run --quiet --collect --unit="$UNIT" --service-type=notify --property=KillMode=process \
                --property=TimeoutStartSec=60 --property=TimeoutStopSec=30 \
                dockerd --data-root "$DIR/data" --exec-root "$DIR/exec" --pidfile "$DIR/pid" --host "$DOCKER_HOST" \
                --config-file "$DIR/daemon.json"
}

docker_up() {
        mkdir -p "$DIR"
        mount -t tmpfs -o mode=700,size=1G t-docker "$DIR"
        nft list ruleset >"$T_DIR/rules"
        sysctl net.ipv4.ip_forward >"$T_DIR/forward"
        cat >"$DIR/daemon.json" <<JSON
{
  "runtimes": { "kata": { "path": "/usr/bin/kata-runtime" } },
  "default-runtime": "kata",
  "storage-driver": "overlay2",
  "live-restore": true,
  "bip": "$GATEWAY/24",
  "log-driver": "json-file"
}
JSON
        start_dockerd
        busybox_root "$DIR/root"
        mkdir -p "$DIR/root"/{run,var/tmp}
        chmod 1777 "$DIR/root"/{tmp,var/tmp}
        echo 'user:x:1000:1000::/:/bin/sh' >>"$DIR/root/etc/passwd"
        echo 'not a program' >"$DIR/root/bin/not-executable"
        tar -C "$DIR/root" -c . | docker import --change 'ENV FROM=image' --change 'CMD ["/bin/sh", "-c", "echo command of the $FROM"]' - busybox
        rm -r "$DIR/root"
        D_READY=1
}

# All that it leaves when it stops: a bridge, rules of the packet filter, directories of its own.
docker_down() {
        systemctl stop "$UNIT" 2>/dev/null || true
        ip link delete docker0 2>/dev/null || true
        nft flush ruleset
        nft -f "$T_DIR/rules"
        sysctl --quiet --load="$T_DIR/forward" >/dev/null
        remove_mounts "$DIR"
        rmdir /run/docker/plugins /run/docker 2>/dev/null || true
}

# Whatever happens, its containers are gone when a test ends.
d() {
        trap remove_all EXIT
        [[ $D_READY == 1 ]] || fail "Docker can not be set up in this node: $(cat "$T_DIR/docker-up")"
        systemctl is-active --quiet "$UNIT" || start_dockerd
}

remove_all() {
        local id
        for id in $(docker ps --all --quiet --no-trunc); do
                echo "moby:$id" >>"$T_WORK/sandboxes"
                docker rm --force --volumes "$id" >/dev/null || true
        done
}

is_logged() {
        docker logs "$1" 2>&1 | grep -q -- "$2"
}

inspect() {
        docker inspect --format "$1" "$2"
}

in_terminal() {
        timeout 90 script --quiet --return --command "stty rows 33 cols 77; exec $*" /dev/null
}

life() {
        local id pid
        d
        mkdir "$T_WORK/rw" "$T_WORK/ro"
        echo content >"$T_WORK/ro/file"
        assert_status 0 docker run --detach --name life --hostname inner --env GREETING=hello --network none \
                --volume "$T_WORK/rw:/rw" --volume "$T_WORK/ro:/ro:ro" --volume named:/named --tmpfs /scratch busybox \
                /bin/sh -c 'echo $GREETING from $(hostname); trap "echo got TERM; exit 9" TERM; trap "echo got USR1" USR1
                        cat /ro/file; echo written >/rw/file; touch /ro/no || echo read-only; touch /named/file
                        echo ready; sleep 1000 & while :; do wait; done'
        wait_for 30 "the output" is_logged life ready
        assert_eq "$(docker logs life 2>/dev/null)" $'hello from inner\ncontent\nread-only\nready'
        assert_eq "$(cat "$T_WORK/rw/file")" written
        id=$(inspect '{{.Id}}' life)
        pid=$(inspect '{{.State.Pid}}' life)
        assert_eq "$(cat "/proc/$pid/comm")" kata-shim
        assert_contains "$(cat "/proc/$pid/cgroup")" "docker-$id.scope"
        assert_eq "$(systemctl is-active "kata-sandbox@moby:$id")" active
        assert_eq "$(inspect '{{.HostConfig.Runtime}} {{.State.Status}}' life)" 'kata running'

        assert_status 4 docker exec life /bin/sh -c 'echo in the guest; exit 4'
        assert_contains "$RUN_OUTPUT" 'in the guest'
        assert_contains "$(docker exec life /bin/uname -r)" kata
        assert_eq "$(docker exec --user user --env A=b --workdir /tmp life /bin/sh -c 'echo $(id -u) $A $(pwd)')" '1000 b /tmp'
        assert_eq "$(echo from outside | docker exec --interactive life /bin/cat)" 'from outside'
        run docker exec life /bin/missing
        [[ $RUN_STATUS == 126 || $RUN_STATUS == 127 ]] || fail "status of a program that is missing: $RUN_STATUS"
        assert_contains "$RUN_OUTPUT" 'no such file or directory'
        assert_eq "$(docker exec life /bin/sh -c "ip -o link show up | awk '{ print \$2 }'")" lo: 'interfaces without a network'
        run in_terminal "docker exec --interactive --tty life /bin/sh -c 'until [ \"\$(stty size)\" = \"33 77\" ]; do sleep 0.1; done; tty; exit 6'"
        assert_eq "$RUN_STATUS" 6 'status of an exec with a terminal'
        assert_contains "$RUN_OUTPUT" /dev/pts/

        assert_status 0 docker kill --signal USR1 life
        wait_for 20 "the signal" is_logged life 'got USR1'
        assert_status 0 docker pause life
        assert_eq "$(inspect '{{.State.Status}}' life)" paused
        assert_status 0 docker unpause life
        assert_contains "$(docker top life)" kata-shim
        echo copied >"$T_WORK/file"
        assert_status 0 docker cp "$T_WORK/file" life:/root/copy
        assert_eq "$(docker exec life /bin/cat /root/copy)" copied
        assert_status 0 docker stop --time 20 life
        assert_eq "$(inspect '{{.State.Status}} {{.State.ExitCode}}' life)" 'exited 9'
        assert_contains "$(docker logs life)" 'got TERM'
        wait_for 20 "the end of the sandbox" eval "! systemctl is-active --quiet 'kata-sandbox@moby:$id'"
        # Once more, killed this time.
        assert_status 0 docker start life
        wait_for 30 "the output" eval '(($(docker logs life 2>/dev/null | grep -c ready) == 2))'
        assert_status 0 docker rm --force --volumes life
        assert_eq "$(docker ps --all --quiet)" ''
        docker volume rm named >/dev/null
}

exit_codes() {
        d
        assert_status 0 docker run --rm --network none busybox
        assert_contains "$RUN_OUTPUT" 'command of the image'
        local rc=0
        echo 'some input' | docker run --rm --interactive --network none busybox /bin/sh -c 'cat; echo to err >&2; exit 3' \
                >"$T_WORK/out" 2>"$T_WORK/err" || rc=$?
        cat "$T_WORK/out" "$T_WORK/err"
        assert_eq "$rc" 3 status
        assert_eq "$(cat "$T_WORK/out")" 'some input' 'standard output'
        assert_contains "$(cat "$T_WORK/err")" 'to err' 'standard error'
        assert_status 126 docker run --rm --network none busybox /bin/not-executable
        assert_status 127 docker run --rm --network none busybox /bin/missing
        assert_status 0 docker run --detach --name killed --network none busybox /bin/sh -c 'echo up; sleep 1000'
        wait_for 30 "the output" is_logged killed up
        assert_status 0 docker kill killed
        assert_eq "$(docker wait killed)" 137
        assert_status 0 docker rm killed
        run in_terminal "docker run --rm --interactive --tty --network none busybox /bin/sh -c 'tty; read line; echo got \$line; exit 5'" \
                <<<'a line'
        assert_eq "$RUN_STATUS" 5
        assert_contains "$RUN_OUTPUT" 'got a line'
        assert_status 125 docker run --rm --network host busybox /bin/true
        assert_match "$RUN_OUTPUT" "host's network|network namespace of the host"
        # Docker's own name for that, which it makes with the first container of this kind.
        umount "$DIR/exec/netns/default"
        assert_eq "$(docker ps --all --quiet)" ''
}

says_hello() {
        [[ $(timeout 5 busybox nc "$@" </dev/null) == 'hello from the guest' ]]
}

reachable() {
        busybox ping -c 1 -W 2 "$1"
}

# The bridge, and a published port: what Docker sets up comes when the machine runs already.
bridge_network() {
        local address mac
        d
        assert_status 0 docker run --detach --name bridged --publish 127.0.0.1:8124:80 busybox /bin/sh -c \
                'ip -4 address show eth0; ping -c 1 -w 30 $(ip route | sed -n "s/^default via \([0-9.]*\).*/\1/p")
                        echo set up; while :; do echo hello from the guest | nc -l -p 80; done'
        wait_for 40 "the answer to a ping" is_logged bridged '1 packets received'
        address=$(inspect '{{.NetworkSettings.Networks.bridge.IPAddress}}' bridged)
        mac=$(inspect '{{.NetworkSettings.Networks.bridge.MacAddress}}' bridged)
        assert_contains "$(docker logs bridged)" "inet $address/24"
        assert_contains "$(docker exec bridged /bin/cat /sys/class/net/eth0/address)" "$mac"
        assert_contains "$(docker exec bridged /bin/ip route)" "default via $GATEWAY dev eth0"
        wait_for 20 "an answer to a ping" reachable "$address"
        wait_for 20 "the port" says_hello "$address" 80
        wait_for 20 "the published port" says_hello 127.0.0.1 8124

        # Another one reaches it by the bridge.
        assert_status 0 docker run --rm busybox /bin/sh -c "nc $address 80"
        assert_contains "$RUN_OUTPUT" 'hello from the guest'
        # A network of one's own comes in the place of the bridge.
        assert_status 0 docker network create --subnet 10.78.0.0/24 t77
        assert_status 0 docker run --rm --network t77 --ip 10.78.0.9 busybox /bin/sh -c 'ip -4 address show eth0; ping -c 1 -w 30 10.78.0.1'
        assert_contains "$RUN_OUTPUT" 'inet 10.78.0.9/24'
        assert_status 0 docker network rm t77
        assert_status 0 docker rm --force bridged
}

# dockerd comes back and finds its containers; in the end it removes all of them.
restarts() {
        local pid
        d
        assert_status 0 docker run --detach --name r1 busybox /bin/sh -c 'while :; do echo hello from the guest | nc -l -p 80; done'
        pid=$(inspect '{{.State.Pid}}' r1)
        systemctl restart "$UNIT"
        assert_eq "$(inspect '{{.State.Status}} {{.State.Pid}}' r1)" "running $pid"
        assert_status 3 docker exec r1 /bin/sh -c 'exit 3'
        wait_for 20 "the port" says_hello "$(inspect '{{.NetworkSettings.Networks.bridge.IPAddress}}' r1)" 80
        # A supervisor that is killed is none of Docker's business.
        kill -KILL "$(unit_property "kata-sandbox@moby:$(inspect '{{.Id}}' r1)" MainPID)"
        wait_for 20 "the new supervisor" docker exec r1 /bin/true
        assert_status 0 docker stop --time 1 r1
        assert_eq "$(inspect '{{.State.ExitCode}}' r1)" 137
        assert_status 0 docker rm r1
}

if command -v dockerd >/dev/null; then
        D_READY=0
        # The first network namespace makes a mount point of its directory, which stays.
        docker_up >"$T_DIR/docker-up" 2>&1 || true
        mkdir -p "$DIR"
        t "life of a container" life
        t_live "exit codes, streams and a terminal" exit_codes
        t_live "the bridge, and a published port" bridge_network
        t_live "dockerd is restarted" restarts
        docker_down
else
        need_docker() { need_program dockerd; }
        t "Docker" need_docker
fi
