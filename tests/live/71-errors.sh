#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kata-runtime and runc side by side: exit status and words of errors (errors.table), form of the log, fields of the
# state. E_CASE, a regular expression, selects errors by name; E_SHOW=1 prints what both said.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/live/oci-lib.sh
. "$T_LIB/oci-lib.sh"

E_RUNTIMES=(runc kata)
# Some 120 commands, each of which may take as long as try() lets it.
T_TIMEOUT=$((T_TIMEOUT * 4))

# use runc|kata: O_RT is that one.
use() {
        E_RUNTIME=$1
        case $1 in
        runc) O_RT=(runc --root "$T_WORK/runc") ;;
        kata) O_RT=(kata-runtime) ;;
        esac
}

clean_up() {
        local runtime
        for runtime in "${E_RUNTIMES[@]}"; do
                use "$runtime"
                o_delete_all
        done
}

make_bundles() {
        local pod
        pod=$(o_pod running)
        o_bundle good 'exec sleep 1000' "$pod"
        o_bundle ends 'exit 0' "$pod"
        o_bundle three 'exit 3' "$pod"
        o_bundle suicide 'kill -TERM $$; sleep 1000' "$pod | $O_MORTAL"
        o_bundle missing '' "$pod | .process.args = [\"/bin/missing\"]"
        o_bundle nopath '' "$pod | .process.args = [\"missing\"]"
        o_bundle plain '' "$pod | .process.args = [\"/etc/passwd\"]"
        o_bundle noprocess '' "$pod | del(.process)"
        o_bundle noargs '' "$pod | .process.args = []"
        o_bundle relative '' "$pod | .process.cwd = \"tmp\""
        o_bundle noroot '' "$pod | del(.root)"
        o_bundle lostroot '' "$pod | .root.path = \"/nonexistent\""
        o_bundle twice '' "$pod | .linux.namespaces += [{type: \"mount\"}]"
        o_bundle seccomp '' "$pod | .linux.seccomp = {defaultAction: \"SCMP_ACT_FROB\"}"
        o_bundle terminal '' "$pod | .process.terminal = true"
        mkdir "$T_WORK/bundles/empty" "$T_WORK/bundles/nonsense"
        echo '{"ociVersion": ' >"$T_WORK/bundles/nonsense/config.json"
}

# The four that the table speaks of; kata-runtime has all of them in one sandbox.
make_containers() {
        local id
        for id in running created paused; do
                must "${O_RT[@]}" create --bundle "$T_WORK/bundles/good" "$id"
        done
        must "${O_RT[@]}" start running
        must "${O_RT[@]}" start paused
        must "${O_RT[@]}" pause paused
        must "${O_RT[@]}" create --bundle "$T_WORK/bundles/ends" stopped
        must "${O_RT[@]}" start stopped
        wait_for 20 "the end of a container" o_is stopped stopped
}

# attempt COMMAND: status, text and log of one runtime in E_STATUS, E_TEXT and $T_WORK/log.
attempt() {
        local words
        eval "words=($1)"
        rm -f "$T_WORK/log"
        try "${O_RT[@]}" --log "$T_WORK/log" --log-format json "${words[@]}"
        E_STATUS=$TRY_STATUS
        E_TEXT=$(cat "$T_WORK/try.err")
        # "y" is none that kata-runtime has heard of.
        case $1 in
        *' xx') try "${O_RT[@]}" delete --force xx ;;
        *' y') [[ $E_RUNTIME == kata ]] || try "${O_RT[@]}" delete --force y ;;
        esac
}

# judge NAME STATUS WORDS: what is wrong about the last attempt, a line each.
judge() {
        local said
        said=$(printf '%s: %s said (%s) %s' "$1" "$E_RUNTIME" "$E_STATUS" "$E_TEXT")
        [[ -z ${E_SHOW:-} ]] || echo "$said"
        ((E_STATUS == $2)) || echo "WRONG status, not $2: $said"
        if [[ $3 == '^$' ]]; then
                [[ $E_RUNTIME == runc || -z $E_TEXT ]] || echo "WRONG, should be silent: $said"
                return 0
        fi
        grep -qiE -- "$3" <<<"$E_TEXT" || echo "WRONG words, not '$3': $said"
        # runc writes warnings as well.
        if ! jq -se --arg words "$3" 'map(select(.level == "error"))
                        | length == 1 and (.[0].msg | test($words; "i")) and (.[0].time | test("^\\d{4}-.*T.*"))' \
                        "$T_WORK/log" >/dev/null ||
                [[ $E_RUNTIME == kata && $(jq -s length "$T_WORK/log") != 1 ]]; then
                echo "WRONG log: $said: $(cat "$T_WORK/log" 2>&1)"
        fi
}

trim() {
        local text=$1
        text=${text#"${text%%[![:space:]]*}"}
        printf '%s' "${text%"${text##*[![:space:]]}"}"
}

errors_are_the_same() {
        local line columns name runtime n=0 wrong=0 verdict
        # shellcheck disable=SC2034  # in the table
        local B=$T_WORK/bundles
        while IFS= read -r line; do
                [[ -n $line && $line != '#'* ]] || continue
                columns=()
                while [[ $line == *' ;; '* ]]; do
                        columns+=("$(trim "${line%%' ;; '*}")")
                        line=${line#*' ;; '}
                done
                columns+=("$(trim "$line")")
                ((${#columns[@]} == 4 || ${#columns[@]} == 7)) || fail "errors.table: '${columns[*]}'"
                name=${columns[0]}
                [[ $name =~ ${E_CASE:-} ]] || continue
                n=$((n + 1))
                for runtime in "${E_RUNTIMES[@]}"; do
                        use "$runtime"
                        attempt "${columns[1]}"
                        if [[ $runtime == kata && ${#columns[@]} == 7 ]]; then
                                verdict=$(judge "$name" "${columns[4]}" "${columns[5]}")
                        else
                                verdict=$(judge "$name" "${columns[2]}" "${columns[3]}")
                        fi
                        [[ -z $verdict ]] || printf '%s\n' "$verdict"
                        [[ $verdict != *WRONG* ]] || wrong=$((wrong + 1))
                done
        done <"$T_LIB/errors.table"
        echo "$n errors tried"
        ((wrong == 0)) || fail "$wrong answers are wrong"
        [[ -n ${E_CASE:-} ]] || ((n >= 25)) || fail "there are only $n errors in the table"
}

# Of runc ociVersion is what it knows, not what the bundle says, and owner is empty here and filled by list.
states_have_the_same_fields() {
        local id runtime fields=''
        for id in created running paused stopped; do
                for runtime in "${E_RUNTIMES[@]}"; do
                        use "$runtime"
                        must "${O_RT[@]}" state "$id"
                        assert_eq "$(jq -r .status "$T_WORK/try.out")" "$id" "status of $id with $runtime"
                        if [[ $runtime == runc ]]; then
                                fields=$(jq -c 'map_values(type)' <(jq -S . "$T_WORK/try.out"))
                                jq -c 'del(.created, .pid, .ociVersion, .owner)' -S "$T_WORK/try.out" >"$T_WORK/state"
                        else
                                assert_eq "$(jq -c 'map_values(type)' <(jq -S . "$T_WORK/try.out"))" "$fields" "fields of $id"
                                assert_eq "$(jq -c 'del(.created, .pid, .ociVersion, .owner)' -S "$T_WORK/try.out")" "$(cat "$T_WORK/state")" \
                                        "state of $id"
                                assert_eq "$(jq '.pid > 0' "$T_WORK/try.out")" "$([[ $id == stopped ]] && echo false || echo true)"
                                date --date="$(jq -r .created "$T_WORK/try.out")" >/dev/null
                        fi
                done
        done
}

same_as_runc() {
        need_program runc
        make_bundles
        trap clean_up EXIT
        local runtime
        for runtime in "${E_RUNTIMES[@]}"; do
                use "$runtime"
                make_containers
        done
        states_have_the_same_fields
        errors_are_the_same
}

t_live "errors and states are those of runc" same_as_runc
