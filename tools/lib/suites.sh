# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# The suites of tools/check. A suite is a function suite_NAME; dashes of its name are underscores here.

# shellcheck source=tools/lib/suites-images.sh
. "$TOOLS/lib/suites-images.sh"

SUITES=(lint unit guest sanitize fuzz live-trixie live-bookworm vm reproduce)
FUZZ_SECONDS=${KATA_FUZZ_SECONDS:-6}
VM_SUITE_TIMEOUT=3000
REPRODUCE_LATEST=2700

suite_log() {
        REPLY=$CACHE_ROOT/logs/check-$1.log
}

# A command in the trixie tree that sees the checkout at /src.
in_source() {
        tree_get trixie
        enter --root "$REPLY" --ro "$SOURCE:/src" --chdir /src -- "$@"
}

shell_files() {
        local file
        while read -r file; do
                [[ $(head -c 64 "$SOURCE/$file" | tr -d '\0') =~ ^'#!'.*[/\ ](ba)?sh|'shellcheck shell=' ]] || continue
                printf '%s\n' "$file"
        done < <(source_files | grep -vE '^tests/fuzz/|\.(c|h|proto|md)$')
}

suite_lint() {
        local files=()
        mapfile -t files < <(shell_files)
        suite_log shellcheck
        result_command "shellcheck of ${#files[@]} files" "$REPLY" in_source shellcheck -x "${files[@]}"
        suite_log lint-layers
        result_command "includes keep to the layers" "$REPLY" "$TOOLS/lint-layers"
        result_command "lint-layers finds what is wrong" "$REPLY" "$TOOLS/lint-layers" --self-test
        suite_log lint-files
        result_command "files keep to the rules" "$REPLY" "$TOOLS/lint-files"
        result_command "lint-files finds what is wrong" "$REPLY" "$TOOLS/lint-files" --self-test
        suite_log lint-protocol
        result_command "docs/PROTOCOL.md has every method and names tests that exist" "$REPLY" "$TOOLS/lint-protocol"
        result_command "lint-protocol finds what is wrong" "$REPLY" "$TOOLS/lint-protocol" --self-test
        suite_log bench-self-test
        result_command "bench finds what has grown" "$REPLY" "$TOOLS/bench" --self-test
}

# check_meson RELEASE VARIANT: builds, runs the unit tests, counts them.
check_meson() {
        local release=$1 variant=$2 name="$1, $2" failed=$RESULT_FAILED log
        suite_log "build-$release-$variant"
        result_command "build ($name)" "$REPLY" build_compile "$release" "$variant"
        ((RESULT_FAILED == failed)) || return 0
        step "unit tests of $name"
        build_compile "$release" "$variant"
        suite_log "unit-$release-$variant"
        log=$REPLY
        rm -f "$BUILD_DIR/build/meson-logs/testlog.json"
        build_enter "$release" "$BUILD_DIR" \
                --env ASAN_OPTIONS=detect_stack_use_after_return=1 \
                --env UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 -- \
                meson test --no-rebuild --no-suite root --print-errorlogs >"$log" 2>&1 || tail -n 60 "$log" | sed 's/^/    /'
        if [[ -e $BUILD_DIR/build/meson-logs/testlog.json ]]; then
                result_meson "$name" "$BUILD_DIR/build/meson-logs/testlog.json"
        else
                result_fail "unit tests of $name did not run"
        fi
        cache_unlock "$BUILD_LOCK"
}

suite_unit() {
        check_meson trixie install
        check_meson bookworm install
}

# The build with clang as well: a third one would show no other warnings.
suite_sanitize() {
        check_meson trixie sanitize
}

# Each target starts from its corpus in the checkout and may not crash, hang or eat memory. One target a CPU
# at a time.
suite_fuzz() {
        local failed=$RESULT_FAILED target name targets=() cpus
        suite_log build-fuzz
        result_command "build (trixie, fuzz)" "$REPLY" build_compile trixie fuzz
        ((RESULT_FAILED == failed)) || return 0
        build_compile trixie fuzz
        mapfile -t targets < <(find "$BUILD_DIR/build" -maxdepth 3 -type f -name 'fuzz-*' -perm -u+x | sort)
        cpus=$(nproc)
        step "fuzzing ${#targets[@]} targets for $FUZZ_SECONDS s each, $cpus at a time"
        local -A FUZZ_RUNNING=()
        on_exit 'for pid in "${!FUZZ_RUNNING[@]}"; do end_tree "$pid"; done'
        for target in "${targets[@]}"; do
                name=${target##*/fuzz-}
                if [[ ! -d $BUILD_DIR/src/tests/fuzz/$name ]]; then
                        result_fail "fuzz: $name has no corpus in tests/fuzz/$name"
                        continue
                fi
                if ((${#FUZZ_RUNNING[@]} >= cpus)); then
                        fuzz_wait
                fi
                suite_log "fuzz-$name"
                result_subshell fuzz_target "$target" "/src/tests/fuzz/$name" >"$REPLY" 2>&1 &
                FUZZ_RUNNING[$!]=$name
        done
        while ((${#FUZZ_RUNNING[@]} > 0)); do
                fuzz_wait
        done
        unset 'CLEANUPS[-1]'
        cache_unlock "$BUILD_LOCK"
}

fuzz_target() {
        build_enter trixie "$BUILD_DIR" -- /bin/sh -euc '
                mkdir /tmp/corpus /tmp/found
                exec "$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
                        -print_final_stats=1 -artifact_prefix=/tmp/found/ /tmp/corpus "$3"
        ' sh "/build${1#"$BUILD_DIR/build"}" "$FUZZ_SECONDS" "$2"
}

# The result of whichever target ends first.
fuzz_wait() {
        local pid rc=0
        wait -n -p pid "${!FUZZ_RUNNING[@]}" || rc=$?
        suite_log "fuzz-${FUZZ_RUNNING[$pid]}"
        result_status "fuzz: ${FUZZ_RUNNING[$pid]}" "$REPLY" "$rc"
        unset "FUZZ_RUNNING[$pid]"
}

# check_root_tests KERNEL: the tests that need root and the guest kernel.
check_root_tests() {
        local kernel=$1 log tree binds=() dev
        suite_log root-tests
        log=$REPLY
        build_compile trixie install
        tree_get trixie
        tree=$REPLY
        for dev in /dev/fuse /dev/vhost-vsock; do
                [[ ! -e $dev ]] || binds+=(--dev "$dev")
        done
        kvm_probe
        ((KVM_USABLE == 0)) || binds+=(--dev /dev/kvm --env KATA_TEST_ACCEL=kvm)
        step "tests that boot the guest kernel"
        rm -f "$BUILD_DIR/build/meson-logs/testlog.json"
        enter --root "$tree" --ro "$BUILD_DIR/src:/src" --rw "$BUILD_DIR/build:/build" --chdir /build \
                --ro "$kernel:/kernel" --env KATA_TEST_KERNEL=/kernel/vmlinux "${binds[@]}" -- \
                meson test --no-rebuild --suite root --print-errorlogs >"$log" 2>&1 ||
                tail -n 60 "$log" | sed 's/^/    /'
        if [[ -e $BUILD_DIR/build/meson-logs/testlog.json ]]; then
                result_meson "root tests" "$BUILD_DIR/build/meson-logs/testlog.json"
        else
                result_fail "root tests did not run"
        fi
        chown -R "$BUILD_UID:$BUILD_UID" "$BUILD_DIR/build/meson-logs"
        cache_unlock "$BUILD_LOCK"
}

# Kernel and image as they are built for the nodes.
suite_guest() {
        local kernel image install failed
        suite_log guest-kernel
        result_command "guest kernel builds" "$REPLY" guest_kernel_get
        ((RESULT_FAILED == 0)) || return 0
        guest_kernel_get
        kernel=$REPLY
        suite_log guest-boot
        result_command "guest kernel boots a verified root" "$REPLY" guest_boot_test "$kernel"
        suite_log guest-patches
        result_command "guest kernel patches its code as upstream does" "$REPLY" guest_patch_test "$kernel"
        check_root_tests "$kernel"
        failed=$RESULT_FAILED
        suite_log guest-image
        result_command "guest image builds" "$REPLY" guest_image_get
        ((RESULT_FAILED == failed)) || return 0
        guest_image_get
        image=$REPLY
        build_get "$GUEST_RELEASE"
        install=$REPLY
        tree_get "$GUEST_RELEASE"
        suite_log guest-verify
        result_command "guest image matches its root hash" "$REPLY" \
                guest_verify "$image" "$install"
        suite_log guest-again
        result_command "a second build of the guest image is identical" "$REPLY" \
                guest_image_again "$image" "$install"
        suite_guest_debug "$install"
        suite_guest_mkosi "$image" "$install"
        check_bench boot image
}

# The second build of the kernel stands last: it takes as many minutes as the first one, and once for each
# kernel. A check of everything that has taken long already leaves it to the next one.
suite_reproduce() {
        local kernel
        guest_kernel_get
        kernel=$REPLY
        if [[ ! -d $CACHE_ROOT/guest-kernel-again/${kernel##*/} ]] && ((SECONDS > REPRODUCE_LATEST)); then
                result_skip "a second build of the guest kernel" \
                        "more than $((REPRODUCE_LATEST / 60)) minutes have passed: run tools/check reproduce"
                return 0
        fi
        suite_log guest-kernel-again
        result_command "a second build of the guest kernel is identical" "$REPLY" guest_kernel_again "$kernel"
}

# check_bench NAME...: counts and sizes against tools/bench.d/baseline; one line each.
check_bench() {
        local log
        suite_log bench
        log=$REPLY
        step "bench $* (log: $log)"
        run_waiting setpriv --pdeathsig TERM env KATA_ELAPSED="$SECONDS" "$TOOLS/bench" --check "$@" >"$log" || true
        sed '$d' "$log"
        result_last_line bench "$log"
}

guest_verify() {
        tree_get "$GUEST_RELEASE"
        enter --root "$REPLY" --over "$2" --ro "$1:/image" -- \
                kata-image verify --image /image/guest.img
}

# By an ordinary user without loop devices, in another directory and at another time than the first build,
# with an agent of another age, another mask and another time zone.
guest_image_again() {
        tree_get "$GUEST_RELEASE"
        enter --root "$REPLY" --over "$2" --uid "$BUILD_UID" --ro "$1:/image" --env TZ=Asia/Tokyo -- \
                /bin/bash -euc '
                        umask 077
                        [[ $(id -u) != 0 && ! -w /dev/loop-control ]]
                        cp /usr/bin/kata-agent /tmp/agent
                        touch -d 2001-02-03 /tmp/agent
                        # Not in the same second as the first one.
                        until (($(date +%s) > $(stat -c %Y /image/guest.img))); do sleep 0.1; done
                        kata-image build --root / --agent /tmp/agent --output-dir /tmp/some/where/else
                        n=0
                        for file in /image/*; do
                                cmp "$file" "/tmp/some/where/else/${file##*/}"
                                [[ $(stat -c %Y "$file") != "$(stat -c %Y "/tmp/some/where/else/${file##*/}")" ]]
                                n=$((n + 1))
                        done
                        ((n == 3))
                '
}

guest_boot_test() {
        tree_get "$GUEST_RELEASE"
        enter --root "$REPLY" --ro "$SOURCE:/src" --ro "$1:/kernel" --env TMPDIR=/tmp -- \
                /src/kernel/boot-test --kernel /kernel/vmlinux --virtiofsd /usr/libexec/virtiofsd
}

guest_patch_test() {
        tree_get "$GUEST_RELEASE"
        enter --root "$REPLY" --ro "$SOURCE:/src" --ro "$1:/kernel" --env TMPDIR=/tmp -- \
                /src/kernel/patch-test --kernel /kernel/vmlinux
}

# The node goes down with this tool even if nobody can tell it.
node_lines() {
        local log=$1
        shift
        setpriv --pdeathsig TERM "$TOOLS/node" "$@" -- /usr/lib/kata-tests/run-all 2>&1 </dev/null |
                tee "$log" | grep --line-buffered -vE '^[0-9]+ passed, '
}

# check_node NAME ARGUMENTS...: the live suites in a node; their lines are shown as they come.
check_node() {
        local name=$1 log
        shift
        suite_log "$name"
        log=$REPLY
        run_waiting node_lines "$log" "$@" || true
        # What the tool itself says comes on standard error, before or after the result.
        grep -vE '^(==>|warning:) ' "$log" >"$log.results" || true
        result_last_line "$name" "$log.results"
}

suite_live_trixie() {
        check_node live-trixie --release trixie run
}

suite_live_bookworm() {
        check_node live-bookworm --release bookworm run
}

suite_vm() {
        check_node vm --timeout "$VM_SUITE_TIMEOUT" vm
}
