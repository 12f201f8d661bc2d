#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The same bundles under crun and under the agent's container engine (through bundle-runner): a probe inside says
# what it finds, and both reports have to be the same but for what tests/differential/known lists with a reason.
# D_CASE, a regular expression, selects bundles by name; D_SHOW=1 prints both reports of each; D_REPORT and D_REFUSED
# name files that get differences, and what both refused.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

D_DATA=$T_LIB/differential
[[ -d $D_DATA ]] || D_DATA=$T_LIB/../differential
D_PROGRAMS=/usr/libexec/kata-tests
D_RELEASE=$(. /etc/os-release && echo "$VERSION_CODENAME")
D_NODE=${KATA_NODE:-live}
D_CGROUP=/sys/fs/cgroup/differential

# --- the table ----------------------------------------------------------------------------------

declare -A D_CASES_OF D_FILTER D_WORDS D_PATHS D_COMMANDS D_INPUT D_NEEDS
D_GROUPS=()

read_cases() {
        local line group='' name=''
        while IFS= read -r line; do
                case $line in
                '' | '#'*) ;;
                '['*']')
                        group=${line:1:-1}
                        D_GROUPS+=("$group")
                        D_CASES_OF[$group]=''
                        ;;
                '        > '*) D_WORDS[$name]=${line:10} ;;
                '        @ '*) D_PATHS[$name]=${line:10} ;;
                '        ! '*) D_COMMANDS[$name]+="${line:10}"$'\n' ;;
                '        < '*) D_INPUT[$name]=${line:10} ;;
                '        ? '*) D_NEEDS[$name]=${line:10} ;;
                '        '*) D_FILTER[$name]+=" | ${line:8}" ;;
                *)
                        name=$line
                        [[ -n $group && $name =~ ^[a-z0-9-]+$ ]] || { echo "cases: bad line '$line'"; exit 1; }
                        D_CASES_OF[$group]+=" $name"
                        ;;
                esac
        done <"$D_DATA/cases"
}

# Entries of the table of known differences as far as they are meant for this node: D_KNOWN_CASES and so on.
D_KNOWN_CASES=() D_KNOWN_KEYS=()

read_known() {
        local cases keys reason condition
        while read -r cases keys reason; do
                [[ -n $cases && $cases != '#'* ]] || continue
                [[ -n $reason ]] || { echo "known: '$cases $keys' has no reason"; exit 1; }
                condition=
                if [[ $cases == *%* ]]; then
                        condition=${cases##*%}
                        cases=${cases%\%*}
                fi
                case $condition in
                '' | "$D_RELEASE" | "$D_NODE") ;;
                /*) [[ -e $condition ]] || continue ;;
                '!'/*) [[ ! -e ${condition:1} ]] || continue ;;
                *) continue ;;
                esac
                D_KNOWN_CASES+=("$cases")
                D_KNOWN_KEYS+=("$keys")
        done <"$D_DATA/known"
}

# --- one bundle -----------------------------------------------------------------------------------

remove_bundle() {
        # Commands of the table may have mounted something.
        local point
        while read -r point; do
                umount "$point"
        done < <(findmnt -n -r -o TARGET | grep "^$1/" | sort -r || true)
        rm -rf "$1"
}

# make_bundle NAME DIR: the same in each run, so that paths do not differ.
make_bundle() {
        local name=$1 dir=$2 ns
        remove_bundle "$dir"
        mkdir -p "$dir/rootfs"/{dev,etc,proc,root,sys}
        mkdir -m 1777 "$dir/rootfs/tmp"
        cp "$D_PROGRAMS/differential-probe" "$dir/rootfs/probe"
        echo 'root:x:0:0:root:/root:/bin/sh' >"$dir/rootfs/etc/passwd"
        for ns in cgroup ipc mnt net pid time user uts; do
                echo "$ns $(readlink "/proc/self/ns/$ns")"
        done >"$dir/rootfs/host-ns"
        tr ' ' '\n' <<<"${D_PATHS[$name]:-}" >"$dir/rootfs/paths"
        # A shell of its own: in this one a failure would go unnoticed, see t().
        (cd "$dir" && bash -euc "${D_COMMANDS[$name]:-:}") || return 1
        jq --arg name "$name" --arg dir "$dir" --arg words "${D_WORDS[$name]:-}" -f <(
                cat "$D_DATA/helpers.jq"
                # shellcheck disable=SC2016
                echo '.linux.cgroupsPath |= sub("NAME"; $name)
                        | if $words != "" then args($words | split(" ")) else . end'"${D_FILTER[$name]:-}"'
                        | .mounts |= map(if .type == "bind" and (.source | startswith("/") | not)
                                then .source = $dir + "/" + .source else . end)'
        ) "$D_DATA/base.json" >"$dir/config.json"
}

# run_bundle NAME OUT COMMAND...: its standard streams are pipes, or /dev/null for the input. OUT.raw, OUT.err and
# OUT.status are what comes of it.
run_bundle() {
        local name=$1 out=$2 input=/dev/null
        shift 2
        if [[ -n ${D_INPUT[$name]+x} ]]; then
                printf '%s\n' "${D_INPUT[$name]}" >"$out.input"
                input=$out.input
        fi
        if [[ $input == /dev/null ]]; then
                { { rc=0; ("$@") </dev/null 2>&3 3>&- || rc=$?; echo "$rc" >"$out.status"; } |
                        cat >"$out.raw"; } 3>&1 | cat >"$out.err"
        else
                # A pipe, as the output: the streams are looked at.
                # shellcheck disable=SC2002
                { { rc=0; cat "$input" | ("$@") 2>&3 3>&- || rc=$?; echo "$rc" >"$out.status"; } |
                        cat >"$out.raw"; } 3>&1 | cat >"$out.err"
        fi
        {
                # A key may come twice.
                awk '{ key = $1; value = substr($0, length($1) + 2); n = seen[key]++
                        print key (n ? "#" n : "") " " value }' "$out.raw"
                sed -n 's/^warn /stderr /p' "$out.err"
                echo "exit $(cat "$out.status")"
                if [[ -s $out.raw ]]; then echo "started yes"; else echo "started no"; fi
        } >"$out"
}

# Lines "KEY<tab>VALUE<tab>VALUE" where two reports differ. If one of them is no report at all, that is the difference.
differences() {
        awk -v OFS='\t' '
                FNR == NR { a[$1] = substr($0, length($1) + 2); keys[$1]; next }
                { b[$1] = substr($0, length($1) + 2); keys[$1] }
                END {
                        for (k in keys) {
                                if (a["started"] != b["started"] && k != "started" && k != "exit")
                                        continue
                                va = k in a ? a[k] : "(missing)"
                                vb = k in b ? b[k] : "(missing)"
                                if (va != vb)
                                        print k, va, vb
                        }
                }' "$1" "$2" | sort
}

# is_known NAME KEY: notes which entry it is.
is_known() {
        local i found=1
        for ((i = 0; i < ${#D_KNOWN_CASES[@]}; i++)); do
                # shellcheck disable=SC2053
                if [[ $1 == ${D_KNOWN_CASES[i]} && $2 == ${D_KNOWN_KEYS[i]} ]]; then
                        echo "$i" >>"$T_DIR/known-used"
                        found=0
                fi
        done
        return "$found"
}

# crun_run DIR NAME: live nodes have a read-only /proc/sys, which crun would write sysctls to.
crun_run() {
        local command=(timeout 30 crun --cgroup-manager=cgroupfs --root "$T_WORK/crun-root" run --bundle "$1" "$2")
        if [[ -w /proc/sys/kernel/msgmax ]]; then
                exec "${command[@]}"
        fi
        # shellcheck disable=SC2016
        exec unshare --mount --propagation unchanged -- \
                sh -c 'mount -o bind,remount,rw /proc/sys; exec "$@"' sh "${command[@]}"
}

our_run() {
        exec timeout 30 "$D_PROGRAMS/bundle-runner" --root "$T_WORK/our-root" run --bundle "$1" "$2"
}

# compare_case NAME: false if there is a difference that nobody knows.
compare_case() {
        local name=$1 dir=$T_WORK/bundle key crun ours left bad=0
        echo "$name" >>"$T_DIR/cases-run"
        make_bundle "$name" "$dir" || { echo "$name: the bundle can not be made"; return 1; }
        run_bundle "$name" "$T_WORK/crun" crun_run "$dir" "$name"
        make_bundle "$name" "$dir" || return 1
        run_bundle "$name" "$T_WORK/ours" our_run "$dir" "$name"
        remove_bundle "$dir"
        if [[ -n ${D_SHOW:-} ]]; then
                printf '=== %s\n' "$name"
                paste -d '\n' "$T_WORK/crun.err" "$T_WORK/ours.err"
                cat "$T_WORK/crun" "$T_WORK/ours"
        fi
        if grep -qx 'started no' "$T_WORK/crun" && grep -qx 'started no' "$T_WORK/ours"; then
                printf '%s: refused by both: %s | %s\n' "$name" "$(tail -n 1 "$T_WORK/crun.err")" \
                        "$(tail -n 1 "$T_WORK/ours.err")" >>"${D_REFUSED:-/dev/null}"
        fi
        while IFS=$'\t' read -r key crun ours; do
                ! is_known "$name" "$key" || continue
                printf '%s: %s is\n        %s\n        %s\n' "$name" "$key" "$crun" "$ours" |
                        tee -a "${D_REPORT:-/dev/null}"
                bad=1
        done < <(differences "$T_WORK/crun" "$T_WORK/ours")
        if ((bad)); then
                printf '%s: they said\n        %s\n        %s\n' "$name" "$(tail -n 1 "$T_WORK/crun.err")" \
                        "$(tail -n 1 "$T_WORK/ours.err")" | tee -a "${D_REPORT:-/dev/null}"
        fi
        # What a runtime leaves behind is found by the leak check of the suite, but for this.
        left=$(find "$T_WORK/crun-root" "$T_WORK/our-root" -mindepth 1 -maxdepth 1 -not -name '.*' 2>/dev/null || true)
        if [[ -n $left ]]; then
                echo "$name: a container is left: $left"
                bad=1
        fi
        return "$bad"
}

has_controllers() {
        local controller
        for controller; do
                grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || return 1
        done
}

# That of Debian 12 knows no scheduler, I/O priority, time offsets and more, and differs from later ones as well.
need_crun() {
        local version
        need_program crun
        version=$(crun --version | sed -n 's/^crun version //p')
        printf '1.21\n%s\n' "$version" | sort -C -V || skip "crun $version is older than 1.21"
}

compare_group() {
        local name failed=() ran=0 missing=
        need_crun
        # Users of a namespace of their own have to get to the bundle.
        chmod 755 "$T_DIR" "$T_WORK"
        for name in ${D_CASES_OF[$D_GROUP]}; do
                [[ $name =~ ${D_CASE:-} ]] || continue
                # shellcheck disable=SC2086
                if ! has_controllers ${D_NEEDS[$name]:-}; then
                        missing=${D_NEEDS[$name]}
                        continue
                fi
                ran=$((ran + 1))
                compare_case "$name" || failed+=("$name")
        done
        find "$D_CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null || true
        ((ran > 0)) || skip "no bundle of this group can run here${missing:+ (no controller $missing)}"
        echo "$ran bundles"
        [[ ! -e /tmp/differential-escape ]] || fail "a mount point was made outside of a root directory"
        ((${#failed[@]} == 0)) || fail "${#failed[@]} of $ran bundles differ: ${failed[*]}"
}

# An entry that is not needed any more would hide the next difference.
known_differences_are_there() {
        local i name stale=0
        [[ -z ${D_CASE:-}${T_ONLY:-} ]] || skip "not all bundles were run"
        [[ -e $T_DIR/cases-run ]] || skip "no bundle was run"
        touch "$T_DIR/known-used"
        for ((i = 0; i < ${#D_KNOWN_CASES[@]}; i++)); do
                ! grep -qx "$i" "$T_DIR/known-used" || continue
                while read -r name; do
                        # shellcheck disable=SC2053
                        if [[ $name == ${D_KNOWN_CASES[i]} ]]; then
                                echo "not a difference any more: ${D_KNOWN_CASES[i]} ${D_KNOWN_KEYS[i]}"
                                stale=1
                                break
                        fi
                done <"$T_DIR/cases-run"
        done
        ((stale == 0)) || fail "entries of the table of known differences are out of date"
}

# --- the runner itself ----------------------------------------------------------------------------

runner() {
        "$D_PROGRAMS/bundle-runner" --root "$T_WORK/root" "$@"
}

# state_is ID STATUS
state_is() {
        [[ $(runner state "$1" | jq -r .status) == "$2" ]]
}

runner_life_cycle() {
        local dir=$T_WORK/bundle pid
        D_WORDS[life]='say up sleep 1000'
        make_bundle life "$dir"
        runner create --bundle "$dir" --pid-file "$T_WORK/pid" life >"$T_WORK/out"
        assert_eq "$(runner state life | jq -r '"\(.id) \(.status) \(.pid) \(.bundle)"')" \
                "life created $(cat "$T_WORK/pid") $dir" "state"
        pid=$(cat "$T_WORK/pid")
        assert_match "$(readlink "/proc/$pid/ns/pid")" '^pid:'
        [[ $(readlink "/proc/$pid/ns/pid") != "$(readlink /proc/self/ns/pid)" ]] || fail "process $pid is not the container's"
        assert_fails runner create --bundle "$dir" life
        assert_contains "$RUN_OUTPUT" "container with id exists: life"
        assert_fails runner delete life
        assert_contains "$RUN_OUTPUT" "cannot delete container life that is not stopped: created"
        runner start life
        wait_for 5 "output" grep -q 'say up' "$T_WORK/out"
        assert_fails runner start life
        assert_contains "$RUN_OUTPUT" "cannot start an already running container"
        assert_eq "$(runner exec life /probe say inside)" "say inside"
        assert_status 3 runner exec life /probe exit 3
        runner pause life
        state_is life paused || fail "not paused"
        runner resume life
        assert_eq "$(runner list --quiet)" life
        runner kill life KILL
        wait_for 5 "the end" state_is life stopped
        assert_fails runner kill life
        assert_contains "$RUN_OUTPUT" "container not running"
        assert_fails runner start life
        assert_contains "$RUN_OUTPUT" "cannot start a container that has stopped"
        runner delete life
        assert_status 1 runner state life
        assert_contains "$RUN_OUTPUT" "container 'life' does not exist"
        assert_status 0 runner delete --force life
        assert_status 3 runner checkpoint life
        remove_bundle "$dir"
}

read_cases
read_known
t_live "the runner's commands" runner_life_cycle
for D_GROUP in "${D_GROUPS[@]}"; do
        # Controllers are real in VM nodes only.
        if [[ $D_GROUP == resources ]]; then
                t "bundles: $D_GROUP" compare_group
        else
                t_live "bundles: $D_GROUP" compare_group
        fi
done
t "the known differences" known_differences_are_there
