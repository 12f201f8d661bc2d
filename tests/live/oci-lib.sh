# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Bundles and containers for the suites of the OCI command line; sourced behind lib.sh. O_RT is the runtime, with the
# options that go before every command. Containers made here are deleted when the test ends.

O_RT=(kata-runtime)

# o_bundle NAME COMMAND [JQ-FILTER]: a bundle below $T_WORK whose program is /bin/sh -c COMMAND, without a terminal.
# All of a test have the same root directory. No resources: a node without cgroup controllers has none to give.
o_bundle() {
        local dir=$T_WORK/bundles/$1
        [[ -d $T_WORK/rootfs ]] || busybox_root "$T_WORK/rootfs"
        mkdir -p "$dir"
        [[ -e $T_WORK/spec/config.json ]] || kata-runtime spec --bundle "$(mkdir -p "$T_WORK/spec" && echo "$T_WORK/spec")"
        jq --arg command "$2" --arg rootfs "$T_WORK/rootfs" ".process.terminal = false
                | .process.args = [\"/bin/sh\", \"-c\", \$command] | .root = {path: \$rootfs, readonly: false}
                | del(.linux.resources) | ${3:-.}" "$T_WORK/spec/config.json" >"$dir/config.json"
}

# o_pod ID: a filter that puts a container into the sandbox of another.
o_pod() {
        printf '.annotations["io.kubernetes.cri-o.SandboxID"] = "%s"' "$1"
}

# A filter: the program is not process 1 of a namespace, which its own signals do not kill.
# shellcheck disable=SC2034
O_MORTAL='.linux.namespaces |= map(select(.type != "pid"))'

# try COMMAND...: its status in TRY_STATUS, what it wrote in $T_WORK/try.out and try.err. Files, since what it leaves
# behind may keep its standard streams.
try() {
        TRY_STATUS=0
        timeout "$((100 * T_SCALE))" "$@" </dev/null >"$T_WORK/try.out" 2>"$T_WORK/try.err" || TRY_STATUS=$?
}

# must COMMAND...: try() that has to succeed.
must() {
        try "$@"
        ((TRY_STATUS == 0)) || fail "'$*' ended with status $TRY_STATUS: $(cat "$T_WORK/try.err")"
}

o_status() {
        "${O_RT[@]}" state "$1" | jq -r .status
}

o_is() {
        [[ $(o_status "$1") == "$2" ]]
}

# o_delete_all: whatever there is. Of a pod the one that has the others' sandbox goes last or first, either works.
o_delete_all() {
        local id
        for id in $("${O_RT[@]}" list --quiet); do
                "${O_RT[@]}" delete --force "$id" || true
        done
}
