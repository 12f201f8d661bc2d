# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# What the benches of tools/bench share. A file bench.d/NAME.sh has
#   BENCH_ABOUT[NAME]   one line for --help
#   bench_NAME          measures; calls bench_value for each number
#   bench_NAME_report   prints everything that is known about them
#   bench_NAME_failed   optional: prints what helps when a value fails its check
#   BENCH_TIMED[NAME]   1 if it takes times: no limit and no baseline, and only where it is named

declare -A BENCH_ABOUT=() BENCH_TIMED=() BENCH_VALUE=() BENCH_OF=() BENCH_LABEL=() BENCH_UNIT=() BENCH_BASE=()
BENCHES=() BENCH_KEYS=()
BENCH_BASELINE=$TOOLS/bench.d/baseline
BENCH_RUNS=3 BENCH_KERNEL='' BENCH_IMAGE='' BENCH_KEEP=''

bench_load() {
        local file
        for file in "$TOOLS"/bench.d/*.sh; do
                # shellcheck source=/dev/null
                . "$file"
                BENCHES+=("$(basename "$file" .sh)")
        done
}

# bench_option NAME VALUE
bench_option() {
        case $1 in
        kernel)
                [[ -f $2/vmlinux && -f $2/vmlinux.map ]] || die "--kernel: no vmlinux and vmlinux.map in '$2'"
                BENCH_KERNEL=$(realpath "$2")
                ;;
        image)
                [[ -f $2/guest.img && -f $2/guest.params ]] ||
                        die "--image: no guest.img and guest.params in '$2'"
                BENCH_IMAGE=$(realpath "$2")
                ;;
        runs)
                [[ $2 =~ ^[1-9][0-9]?$ ]] || die "--runs: '$2' is no number from 1 to 99"
                BENCH_RUNS=$2
                ;;
        keep)
                mkdir -p "$2"
                BENCH_KEEP=$(realpath "$2")
                ;;
        esac
}

bench_kernel() {
        REPLY=$BENCH_KERNEL
        [[ -n $REPLY ]] || guest_kernel_get
}

bench_image_dir() {
        REPLY=$BENCH_IMAGE
        [[ -n $REPLY ]] || guest_image_get
}

# bench_value NAME.KEY NUMBER UNIT LABEL: a number of bench NAME.
bench_value() {
        BENCH_KEYS+=("$1")
        BENCH_VALUE[$1]=$2
        BENCH_UNIT[$1]=$3
        BENCH_LABEL[$1]=$4
        BENCH_OF[$1]=${1%%.*}
}

# 48612345 → "48.61 M", for instructions and bytes alike.
bench_million() {
        printf -v REPLY '%d.%02d M' $((($1 + 5000) / 1000000)) $((($1 + 5000) % 1000000 / 10000))
}

# Lines KEY=NUMBER into BENCH_BASE.
bench_baseline() {
        local line n=0
        while IFS= read -r line || [[ -n $line ]]; do
                n=$((n + 1))
                [[ $line != '#'* && -n $line ]] || continue
                [[ $line =~ ^([a-z0-9_.]+)=([0-9]+)$ ]] || die "$BENCH_BASELINE, line $n: not KEY=NUMBER: '$line'"
                BENCH_BASE[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
        done <"$BENCH_BASELINE"
        [[ -n ${BENCH_BASE[growth_percent]:-} ]] || die "$BENCH_BASELINE has no growth_percent"
}

bench_print_report() {
        local name
        for name; do
                "bench_${name}_report"
        done
}

bench_print_markdown() {
        local key value limit
        bench_baseline
        printf '| what | now | limit |\n|---|---|---|\n'
        for key in "${BENCH_KEYS[@]}"; do
                bench_million "${BENCH_VALUE[$key]}"
                value="$REPLY${BENCH_UNIT[$key]}"
                limit=''
                if [[ -n ${BENCH_BASE[$key.max]:-} ]]; then
                        bench_million "${BENCH_BASE[$key.max]}"
                        limit="$REPLY${BENCH_UNIT[$key]}"
                fi
                printf '| %s | %s | %s |\n' "${BENCH_LABEL[$key]}" "$value" "$limit"
        done
}

# bench_judge KEY: why the value is too large, in REPLY; empty if it is not.
bench_judge() {
        local value=${BENCH_VALUE[$1]} base=${BENCH_BASE[$1]:-} max=${BENCH_BASE[$1.max]:-}
        local percent=${BENCH_BASE[growth_percent]}
        REPLY=''
        if [[ -n $max ]] && ((value > max)); then
                REPLY="$value is over the limit of $max"
        elif [[ -n $base ]] && ((value * 100 > base * (100 + percent))); then
                REPLY="$value is more than $percent % over the baseline of $base"
        fi
}

bench_print_check() {
        local key failed=()
        bench_baseline
        for key in "${BENCH_KEYS[@]}"; do
                [[ -n ${BENCH_BASE[$key]:-}${BENCH_BASE[$key.max]:-} ]] || continue
                bench_judge "$key"
                if [[ -z $REPLY ]]; then
                        result_ok "bench $key: ${BENCH_VALUE[$key]}"
                        continue
                fi
                result_fail "bench $key: $REPLY"
                [[ " ${failed[*]} " == *" ${BENCH_OF[$key]} "* ]] || failed+=("${BENCH_OF[$key]}")
        done
        for key in "${failed[@]}"; do
                ! declare -F "bench_${key}_failed" >/dev/null || "bench_${key}_failed" | sed 's/^/    /'
        done
        ((${#failed[@]} == 0)) ||
                echo "    (if the growth is meant: tools/bench --accept, and say why in the commit)"
}

bench_print_accept() {
        local key
        bench_baseline
        for key in "${BENCH_KEYS[@]}"; do
                [[ -n ${BENCH_BASE[$key]:-} ]] || continue
                sed -i "s/^${key//./\\.}=.*/$key=${BENCH_VALUE[$key]}/" "$BENCH_BASELINE"
                echo "$key: ${BENCH_BASE[$key]} -> ${BENCH_VALUE[$key]}"
        done
}

# Shows that growth and limits are seen, and only those; needs nothing.
bench_self_test() {
        local case value base max expect faults=0
        BENCH_BASE=([growth_percent]=2)
        while read -r value base max expect; do
                BENCH_VALUE[self.x]=$value BENCH_BASE[self.x]=$base BENCH_BASE[self.x.max]=$max
                [[ $base != - ]] || unset 'BENCH_BASE[self.x]'
                [[ $max != - ]] || unset 'BENCH_BASE[self.x.max]'
                bench_judge self.x
                case=passes
                [[ -z $REPLY ]] || case=fails
                if [[ $case != "$expect" ]]; then
                        echo "value $value, baseline $base, limit $max: $case, should be: $expect"
                        faults=$((faults + 1))
                fi
        done <<'CASES'
48000000 48000000 50000000 passes
48960000 48000000 50000000 passes
48960001 48000000 50000000 fails
47000000 48000000 50000000 passes
50000000 49900000 50000000 passes
50000001 49900000 50000000 fails
12000000 - 12000000 passes
12000001 - 12000000 fails
1021 1000 - fails
CASES
        return "$((faults > 0))"
}
