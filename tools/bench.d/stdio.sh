# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# Throughput of standard streams in a live node and in a VM node (tests/live/bench-stdio.sh). What these numbers
# say about other machines depends on what is emulated: the report names it.

BENCH_ABOUT['stdio']='kB a second of standard output and input of a container, in either kind of node (takes times)'
BENCH_TIMED['stdio']=1
# MB in each direction; an emulated CPU takes its time.
declare -A BENCH_STDIO_SIZE=([live]=100 [vm]=30)

bench_stdio() {
        local node
        for node in live vm; do
                stdio_measure "$node"
        done
}

# stdio_measure NODE: values stdio.NODE.out and stdio.NODE.in.
stdio_measure() {
        local out name number command=(run)
        [[ $1 != vm ]] || command=(vm)
        step "standard streams in a $1 node"
        out=$("$TOOLS/node" "${command[@]}" -- /usr/lib/kata-tests/bench-stdio.sh "${BENCH_STDIO_SIZE[$1]}") ||
                die "the streams could not be measured: $out"
        while read -r name number; do
                case $name in
                stdout) bench_value "stdio.$1.out" "$number" ' kB/s' "standard output, $1 node" ;;
                stdin) bench_value "stdio.$1.in" "$number" ' kB/s' "standard input, $1 node" ;;
                esac
        done <<<"$out"
}

bench_stdio_report() {
        local key emulated=''
        grep -qE 'vmx|svm' /proc/cpuinfo || emulated=' (all guests, and the VM node, run on emulated CPUs here)'
        printf 'Standard streams of a container%s:\n' "$emulated"
        for key in "${BENCH_KEYS[@]}"; do
                [[ $key != stdio.* ]] || printf '  %-28s %d%s\n' "${BENCH_LABEL[$key]}" "${BENCH_VALUE[$key]}" "${BENCH_UNIT[$key]}"
        done
}
