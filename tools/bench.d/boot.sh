# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# Instructions of a guest: from the reset of the machine to the first one of process 1, and from there to
# the agent's READY=1. Machine and plugin: tests/bench.

BENCH_ABOUT['boot']='guest instructions from VM entry to process 1 and on to the ready agent'
# Seconds on an idle machine. The end of a guest that hangs, nothing that is measured.
BENCH_BOOT_TIMEOUT=5min

bench_boot() {
        local work kernel image tree run
        bench_kernel
        kernel=$REPLY
        bench_image_dir
        image=$REPLY
        work=$(mktemp -d "$CACHE_ROOT/tmp/bench.XXXXXXXX")
        on_exit "rm -rf --one-file-system '$work'"
        mkdir "$work/bin" "$work/out"
        build_compile "$GUEST_RELEASE" install
        cp "$BUILD_DIR/build/tests/bench/boot-rig" "$BUILD_DIR/build/tests/bench/bench-count.so" "$work/bin/"
        cache_unlock "$BUILD_LOCK"
        chmod 755 "$work"
        chown "$BUILD_UID:$BUILD_UID" "$work/out"
        tree_get "$GUEST_RELEASE"
        tree=$REPLY
        step "counting $BENCH_RUNS boots"
        for ((run = 1; run <= BENCH_RUNS; run++)); do
                run_waiting enter --root "$tree" --uid "$BUILD_UID" --ro "$work/bin:/bench" \
                        --ro "$kernel:/kernel" --ro "$image:/image" --rw "$work/out:/out" -- \
                        /bench/boot-rig --vmm=/usr/bin/qemu-system-x86_64 --kernel=/kernel/vmlinux \
                        --image=/image/guest.img --params=/image/guest.params \
                        --console="/out/console.$run" --timeout="$BENCH_BOOT_TIMEOUT" \
                        --plugin="/bench/bench-count.so,map=/kernel/vmlinux.map,out=/out/run.$run" \
                        >"$work/log" 2>&1 && grep -q '^agent ' "$work/out/run.$run" || boot_died "$work" "$run"
        done
        [[ -z $BENCH_KEEP ]] || cp "$work/out"/* "$BENCH_KEEP/"
        BENCH_BOOT_DIR=$work/out
        boot_smallest
        bench_value boot.pid1 "$BENCH_BOOT_PID1" ' instructions' 'guest: VM entry → process 1 on the verified root'
        bench_value boot.agent "$BENCH_BOOT_AGENT" ' instructions' 'guest: process 1 → agent ready'
}

# The guest that was not ready in time, or ended before: everything that is known about it.
boot_died() {
        local last
        tail -n 20 "$1/out/console.$2" "$1/log" >&2 || true
        last=$(sed -n 's/^last //p' "$1/out/run.$2") || true
        die "boot $2 ended before the agent was ready${last:+; it came to $last}"
}

# The smallest counts, and the run that has the smaller sum.
boot_smallest() {
        local run pid1 agent best=0
        BENCH_BOOT_PID1=0 BENCH_BOOT_AGENT=0 BENCH_BOOT_PID1_MAX=0 BENCH_BOOT_AGENT_MAX=0
        for ((run = 1; run <= BENCH_RUNS; run++)); do
                pid1=$(awk '$1 == "boot" { print $2 }' "$BENCH_BOOT_DIR/run.$run")
                agent=$(awk '$1 == "agent" { print $2 }' "$BENCH_BOOT_DIR/run.$run")
                ((run > 1 && BENCH_BOOT_PID1 <= pid1)) || BENCH_BOOT_PID1=$pid1
                ((run > 1 && BENCH_BOOT_AGENT <= agent)) || BENCH_BOOT_AGENT=$agent
                ((BENCH_BOOT_PID1_MAX >= pid1)) || BENCH_BOOT_PID1_MAX=$pid1
                ((BENCH_BOOT_AGENT_MAX >= agent)) || BENCH_BOOT_AGENT_MAX=$agent
                if ((run == 1 || pid1 + agent < best)); then
                        best=$((pid1 + agent))
                        BENCH_BOOT_RUN=$BENCH_BOOT_DIR/run.$run
                fi
        done
}

# boot_table N AWK-PROGRAM: the lines "number text" that the program makes of the report, largest first.
boot_table() {
        awk "$2" "$BENCH_BOOT_RUN" | sort -k1,1nr -k2 | awk -v n="$1" '
                NR <= n { number = $1; sub(/^[^ ]* /, ""); printf "  %10.3f M  %s\n", number / 1e6, $0; next }
                { rest += $1; count++ }
                END { if (count) printf "  %10.3f M  (%d more)\n", rest / 1e6, count }'
}

boot_phases() {
        echo "Phases up to process 1 (from the entry of an init function to that of the next):"
        boot_table "$1" '$1 == "phase" { print $3, $2 }'
}

boot_symbols() {
        boot_table 20 '$1 == "symbol" && $2 == "'"$1"'" { print $4, $3 " (" $5 " calls)" }'
}

# Functions of the second stage by what they work for. Names of 6.12; one that is gone moves its cost into
# the rest, nothing else.
boot_groups() {
        boot_table 99 '
                function group(name) {
                        if (name ~ /sha256|verity|dm_bufio|bufio/) return "dm-verity and SHA-256"
                        if (name ~ /erofs|z_erofs/) return "erofs"
                        if (name ~ /^(virt|vring|vp_|vm_|blk|bio|submit_bio|__blk|dm_|scsi|bdev)/) return "block layer, device mapper, virtio"
                        if (name ~ /cgroup|cgrp|css_|cpuset|kernfs/) return "cgroup and kernfs"
                        if (name ~ /(^|_)(mem|str)(set|cpy|move|cmp|len|chr|ncpy|copy)|clear_page|copy_page|copy_user|rep_(movs|stos)/) return "memory copies"
                        if (name ~ /fault|filemap|vma|mmap|pte|pmd|page|folio|mas_|anon_|tlb|lru|memcg|rmap/) return "memory management"
                        if (name ~ /(path|dentry|inode|mount|mnt|vfs|lookup|open|nd_|super|fs_|d_|file|fget|fput|walk|namei)/) return "file systems, mounts"
                        if (name ~ /slab|kmem|kmalloc|kfree/) return "allocator"
                        if (name ~ /sched|irq|timer|rcu|tick|hrtimer|clock|wake|idle|pick_|enqueue|dequeue|switch|softirq|time/) return "scheduler, interrupts, timers"
                        return "other"
                }
                $1 == "symbol" && $2 == "agent" { sum[group($3)] += $4 }
                $1 == "user" { sum["user mode (loader, libraries, agent)"] = $2 }
                END { for (g in sum) print sum[g], g }'
}

boot_line() {
        bench_million "$2"
        printf '%-28s %12d  (%s; spread of %d runs: %d)\n' "$1" "$2" "$REPLY" "$BENCH_RUNS" $(($3 - $2))
}

bench_boot_report() {
        boot_line 'VM entry → process 1' "$BENCH_BOOT_PID1" "$BENCH_BOOT_PID1_MAX"
        boot_line 'process 1 → agent ready' "$BENCH_BOOT_AGENT" "$BENCH_BOOT_AGENT_MAX"
        awk '
                $1 == "open" { printf "  of these until the agent opens its port %d\n", $2 }
                $1 == "user" { printf "  of these in user mode %d\n", $2 }
                $1 == "repeat" { printf "repetitions of string instructions, not counted: %s %d\n", $2, $3 }
                $1 == "symbol" && $2 == "agent" && $3 ~ /^(asm_exc_page_fault|do_syscall_64|verity_map|submit_bio_noacct|erofs_read_folio)$/ {
                        calls[$3] = $5 }
                END { for (c in calls) printf "  calls of %s %d\n", c, calls[c] }
        ' "$BENCH_BOOT_RUN"
        echo
        boot_phases 20
        echo
        echo "Kernel functions up to process 1:"
        boot_symbols boot
        echo
        echo "Process 1 to agent ready, by purpose:"
        boot_groups
        echo
        echo "Process 1 to agent ready, kernel functions:"
        boot_symbols agent
        echo
}

bench_boot_failed() {
        boot_phases 10
        echo "Process 1 to agent ready, by purpose:"
        boot_groups
}
