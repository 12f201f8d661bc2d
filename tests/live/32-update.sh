#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A new guest kernel and image: running sandboxes keep theirs, new ones get the new, a bad pair stays out,
# a kill at any point leaves a pair that works; kernel-status and update against an apt archive made here.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

GUESTS=/var/lib/kata/guest
SHIPPED=/usr/share/kata
SOURCE=linux-source-6.12
EVENT_SWITCHED=d248082803e34e94b7bd06be464b98ed
EVENT_ROLLED_BACK=2b07231f6db2422d971ad4ec3ec548b8
EVENT_TEST_FAILED=f14a9cc17e1142d19e3def5bf23ab43f
TEST_UNIT=kata-sandbox@guest-boot-test

# As it was before the test; called on the way out of each.
forget_guests() {
        rm -rf "${GUESTS:?}"/* "$GUESTS"/.[!.]*
        rm -f /run/kata/sandboxes/*.conf
}

begin() {
        trap forget_guests EXIT
        # A test that passed its deadline did not come that far.
        forget_guests
        chmod 755 "$T_DIR" "$T_WORK"
}

# make_pair NAME: the shipped pair with another content, in $T_WORK/NAME; its version is in VERSION.
make_pair() {
        mkdir "$T_WORK/$1"
        cp "$SHIPPED"/vmlinux* "$SHIPPED"/guest.* "$T_WORK/$1/"
        echo "note=$1" >>"$T_WORK/$1/vmlinux.info"
}

install_pair() {
        assert_status 0 kata-image install "$T_WORK/$1"
        VERSION=$(readlink "$GUESTS/current")
        [[ -f $GUESTS/current/vmlinux ]] || fail "current leads nowhere: $VERSION"
}

# assert_version VERSION|shipped: what new sandboxes boot, and nothing unfinished beside it.
assert_version() {
        local want=$1
        if [[ $want == shipped ]]; then
                [[ ! -e $GUESTS/current ]] || assert_eq "$(readlink "$GUESTS/current")" "$SHIPPED" current
        else
                assert_eq "$(readlink "$GUESTS/current")" "$want" current
        fi
        assert_eq "$(find "$GUESTS" -mindepth 1 -maxdepth 1 -name '.*' -not -name .lock)" "" "leftovers"
        assert_eq "$(systemctl is-active "$TEST_UNIT" || true)" inactive "state of the boot test"
        [[ ! -e /run/kata/sandboxes/guest-boot-test.conf ]] || fail "the definition of the boot test is left"
}

# --- new pairs ------------------------------------------------------------------------------------

new_pair_while_a_sandbox_runs() {
        local x
        begin
        simple_sandbox old '/bin/sleep 1000'
        start_sandbox old
        assert_journal KATA_SANDBOX_ID=old KATA_GUEST="$SHIPPED" MESSAGE_ID=c865724b6b6b46e0af6a363a3523d8b4
        assert_eq "$(readlink /run/kata/old/guest)" "$SHIPPED" reference

        # An image of other bytes, with a root hash of its own.
        make_pair x
        cp /usr/bin/kata-agent "$T_WORK/agent"
        printf '\0' >>"$T_WORK/agent"
        assert_status 0 kata-image build --output-dir "$T_WORK/x" --agent "$T_WORK/agent"
        assert_fails cmp "$T_WORK/x/guest.params" "$SHIPPED/guest.params"
        install_pair x
        x=$VERSION
        assert_journal MESSAGE_ID="$EVENT_SWITCHED" KATA_GUEST_VERSION="$x" KATA_GUEST_OTHER=shipped
        assert_version "$x"
        assert_eq "$(systemctl is-active kata-sandbox@old)" active

        simple_sandbox new '/bin/sleep 1000'
        start_sandbox new
        assert_journal KATA_SANDBOX_ID=new KATA_GUEST="$GUESTS/$x" \
                KATA_GUEST_KERNEL="$(sed -n 's/^kernel_release=//p' "$SHIPPED/vmlinux.info")"
        run kata-image list
        assert_match "$RUN_OUTPUT" "$x +[^ ]+ +current +new"
        assert_match "$RUN_OUTPUT" "shipped +[^ ]+ +previous +old"
        # The same once more is nothing to do.
        assert_status 0 kata-image install "$T_WORK/x"
        assert_contains "$RUN_OUTPUT" "in use already"

        stop_sandbox new
        stop_sandbox old
        [[ -f $GUESTS/$x/guest.img ]] || fail "the version in use is gone"
}

# A version that nothing but a sandbox uses is there as long as that, also if its supervisor died meanwhile.
files_stay_for_a_sandbox() {
        local v
        begin
        for v in v1 v2; do
                make_pair "$v"
                mkdir -p "$GUESTS"
                cp -r "$T_WORK/$v" "$GUESTS/$v"
        done
        assert_status 0 kata-image rollback v1
        simple_sandbox new '/bin/sleep 1000'
        start_sandbox new
        assert_journal KATA_SANDBOX_ID=new KATA_GUEST="$GUESTS/v1"
        kill -KILL "$(unit_property kata-sandbox@new MainPID)"
        assert_journal --within 20 KATA_SANDBOX_ID=new "MESSAGE~took over the running machine"
        assert_status 0 kata-image rollback v2
        assert_status 0 kata-image rollback shipped
        assert_journal MESSAGE_ID="$EVENT_ROLLED_BACK" KATA_GUEST_VERSION=shipped KATA_GUEST_OTHER=v2
        assert_status 0 kata-image gc
        assert_eq "$RUN_OUTPUT" ""
        [[ -f $GUESTS/v1/guest.img ]] || fail "the files of a running sandbox are gone"
        stop_sandbox new
        assert_status 0 kata-image gc
        assert_contains "$RUN_OUTPUT" "Removed guest v1"
        [[ ! -e $GUESTS/v1 ]] || fail "v1 is still there"
        # What is left is the way back.
        assert_status 0 kata-image rollback
        assert_version v2
}

pinned_sandbox() {
        begin
        make_pair x
        mkdir -p "$GUESTS"
        cp -r "$T_WORK/x" "$GUESTS/pinned"
        mkdir -p /run/kata/sandboxes
        busybox_root "$T_WORK/root"
        echo pin >>"$T_WORK/sandboxes"
        cat >/run/kata/sandboxes/pin.conf <<CONF
[Sandbox]
GuestDirectory=$GUESTS/pinned
[Container main]
RootDirectory=$T_WORK/root
Command=/bin/sleep 1000
CONF
        start_sandbox pin
        assert_journal KATA_SANDBOX_ID=pin KATA_GUEST="$GUESTS/pinned"
        assert_status 0 kata-image gc
        stop_sandbox pin
        # Its definition pins the version also while it does not run.
        assert_status 0 kata-image gc
        [[ -d $GUESTS/pinned ]] || fail "a pinned version was removed"
        rm /run/kata/sandboxes/pin.conf
        assert_status 0 kata-image gc
        [[ ! -d $GUESTS/pinned ]] || fail "an unused version was not removed"
        # The name of the directory of definitions is not one for a sandbox.
        assert_fails systemctl start kata-sandbox@sandboxes
        [[ -e /run/kata/sandboxes/.definitions ]] || fail "the directory of definitions was removed"
}

# --- bad pairs ------------------------------------------------------------------------------------

assert_refused() {
        assert_status 1 kata-image install "$T_WORK/$1"
        assert_contains "$RUN_OUTPUT" "$2"
        assert_version shipped
        assert_eq "$(find "$GUESTS" -mindepth 1 -maxdepth 1 -type d)" "" versions
}

damaged_pairs() {
        begin
        make_pair image
        printf '\377' | dd of="$T_WORK/image/guest.img" bs=1 seek=50000 conv=notrunc status=none
        assert_refused image "is corrupted"
        make_pair short
        truncate -s -1 "$T_WORK/short/vmlinux"
        assert_refused short "does not have the checksum"
        make_pair part
        rm "$T_WORK/part/guest.params"
        assert_refused part "has no guest.params"
        make_pair link
        ln -sf /etc/shadow "$T_WORK/link/guest.img"
        assert_refused link "can not be read"
        assert_no_journal MESSAGE_ID="$EVENT_SWITCHED"
        assert_no_journal _SYSTEMD_UNIT="$TEST_UNIT.service"
}

# A guest whose first process ends: the kernel panics.
pair_that_panics() {
        begin
        make_pair bad
        assert_status 0 kata-image build --output-dir "$T_WORK/bad" --agent /usr/bin/true
        assert_refused bad "failed its boot test"
        assert_contains "$RUN_OUTPUT" "panic"
        assert_journal MESSAGE_ID="$EVENT_TEST_FAILED" KATA_GUEST_OTHER=shipped "MESSAGE~shipped stays in use.*panic"
}

# The kernel that boots is not the one that its description names.
pair_with_another_release() {
        begin
        make_pair other
        sed -i 's/^kernel_release=.*/kernel_release=6.12.999-kata/' "$T_WORK/other/vmlinux.info"
        assert_refused other "container 'check' exited with status 1"
        assert_journal _SYSTEMD_UNIT="$TEST_UNIT.service" "MESSAGE~the running kernel is 6.12.*, not 6.12.999-kata"
}

# --- kill -9 --------------------------------------------------------------------------------------

# killed_at SYSCALL N COMMAND...: the command is killed before its Nth system call of that name. Fails if it
# gets through to its end, whose status is then in KILLED_STATUS.
killed_at() {
        local call=$1 n=$2
        shift 2
        KILLED_STATUS=0
        strace -qq -o /dev/null -e "trace=$call" -e "inject=$call:signal=KILL:when=$n" "$@" || KILLED_STATUS=$?
        ((KILLED_STATUS == 137))
}

# What leaves a trace on the disk.
STEPS=(mkdir chmod fchmod fsync rename symlink unlink unlinkat rmdir)

need_strace() {
        need_program strace
        run strace -qq -o /dev/null true
        ((RUN_STATUS == 0)) || skip "no ptrace in this node"
}

install_killed_while_copying() {
        local call n steps=0
        need_strace
        begin
        make_pair x
        # Damaged, so that an install that gets through ends before the boot.
        printf '\377' | dd of="$T_WORK/x/guest.img" bs=1 seek=50000 conv=notrunc status=none
        for call in "${STEPS[@]}"; do
                n=1
                while killed_at "$call" "$n" kata-image install "$T_WORK/x"; do
                        [[ ! -e $GUESTS/current ]] || fail "killed at $call $n: there is a current version"
                        assert_eq "$(find "$GUESTS" -mindepth 1 -maxdepth 1 -type d -not -name '.*')" "" versions
                        # Only some of the times: mostly the next install finds what the one before has left.
                        if ((++steps % 5 == 0)); then
                                assert_status 0 kata-image gc
                                assert_version shipped
                        fi
                        n=$((n + 1))
                done
                assert_eq "$KILLED_STATUS" 1 "status of an install that was not killed at $call $n"
        done
        ((steps > 20)) || fail "only $steps steps"
        assert_version shipped
}

install_killed_around_the_boot() {
        local n pid
        need_strace
        begin
        make_pair x
        # While the sandbox boots.
        kata-image install "$T_WORK/x" &
        pid=$!
        wait_for 20 "the boot test" systemctl is-active "kata-vm-guest-boot-test.scope"
        kill -KILL "$pid"
        wait "$pid" || true
        [[ ! -e $GUESTS/current ]] || fail "there is a current version"
        assert_status 0 kata-image gc
        assert_version shipped

        # Its renames: definition of the test, name of the version, previous, current. What is between the
        # last two has a test of its own below.
        for n in 2 4; do
                killed_at rename "$n" kata-image install "$T_WORK/x" || fail "only $n renames"
                [[ ! -e $GUESTS/current ]] || fail "killed at rename $n: there is a current version"
                assert_status 0 kata-image gc
                assert_version shipped
        done
}

rollback_and_gc_killed() {
        local call n steps=0
        need_strace
        begin
        for n in 1 2 3 4; do
                make_pair "p$n"
                cp -r "$T_WORK/p$n" "$GUESTS/v$n"
        done
        ln -s v1 "$GUESTS/current"
        for call in "${STEPS[@]}"; do
                n=1
                while killed_at "$call" "$n" kata-image rollback v2; do
                        [[ $(readlink "$GUESTS/current") == v[12] && -f $GUESTS/current/vmlinux ]] ||
                                fail "killed at $call $n: current is $(readlink "$GUESTS/current")"
                        # Back to where it began.
                        assert_status 0 kata-image rollback v1
                        assert_version v1
                        n=$((n + 1)) steps=$((steps + 1))
                done
                assert_eq "$KILLED_STATUS" 0 "status of a rollback that was not killed at $call $n"
                assert_version v2
                assert_status 0 kata-image rollback v1
        done
        ((steps > 8)) || fail "only $steps steps of a rollback"

        steps=0
        for call in "${STEPS[@]}"; do
                n=1
                while killed_at "$call" "$n" kata-image gc; do
                        [[ -f $GUESTS/v1/vmlinux && -f $GUESTS/v2/vmlinux ]] ||
                                fail "killed at $call $n: too much is gone"
                        n=$((n + 1)) steps=$((steps + 1))
                        ((n < 100)) || fail "no end"
                done
                assert_eq "$KILLED_STATUS" 0 "status of a gc that was not killed at $call $n"
                # For the next kind of call.
                [[ -d $GUESTS/v3 ]] || cp -r "$T_WORK/p3" "$GUESTS/v3"
        done
        ((steps > 5)) || fail "only $steps steps of a gc"
        assert_status 0 kata-image gc
        assert_version v1
        assert_eq "$(cd "$GUESTS" && echo v*)" "v1 v2" "versions"
}

# --- source packages ------------------------------------------------------------------------------

# apt_world DIR: an apt of its own for programs that get APT_CONFIG=DIR/apt.conf: one archive, nothing else.
apt_world() {
        local w=$1
        mkdir -p "$w"/{repo,state/lists/partial,cache/archives/partial}
        : >"$w/status"
        : >"$w/repo/Packages"
        echo "deb [trusted=yes] file:$w/repo ./" >"$w/sources.list"
        cat >"$w/apt.conf" <<CONF
Dir::State "$w/state";
Dir::State::status "$w/status";
Dir::Cache "$w/cache";
Dir::Etc::sourcelist "$w/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "root";
CONF
        export APT_CONFIG=$w/apt.conf
}

# add_source VERSION TEXT: linux-source-6.12 of that version, whose file lib/a.c has TEXT as its second line.
add_source() {
        local version=$1 text=$2 w=${APT_CONFIG%/*} tree deb
        tree=$w/$SOURCE
        deb=$w/repo/${SOURCE}_$version.deb
        rm -rf "$tree" "$w/deb"
        mkdir -p "$tree/lib" "$w/deb/DEBIAN" "$w/deb/usr/src"
        printf 'VERSION = 6\nPATCHLEVEL = 12\n' >"$tree/Makefile"
        printf 'one\n%s\nthree\n' "$text" >"$tree/lib/a.c"
        tar -C "$w" -czf "$w/deb/usr/src/$SOURCE.tar.gz" "$SOURCE"
        cat >"$w/deb/DEBIAN/control" <<CONTROL
Package: $SOURCE
Version: $version
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: a source for a test
CONTROL
        dpkg-deb --build --root-owner-group "$w/deb" "$deb" >/dev/null
        {
                dpkg-deb --field "$deb"
                echo "Filename: ./${deb##*/}"
                echo "Size: $(stat -c %s "$deb")"
                echo "SHA256: $(sha256sum "$deb" | cut -d' ' -f1)"
                echo
        } >>"$w/repo/Packages"
        apt-get -q update
}

make_patches() {
        mkdir -p "$1/patches"
        printf 'Why: a test.\n--- a/lib/a.c\n+++ b/lib/a.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n' \
                >"$1/patches/0001-two.patch"
        printf -- '--- a/lib/a.c\n+++ b/lib/a.c\n@@ -1,3 +1,3 @@\n one\n-2\n+second\n three\n' \
                >"$1/patches/0002-builds-on-it.patch"
}

kernel_status() {
        local have
        begin
        export KATA_CACHE=$T_WORK/cache
        have=$(sed -n "s/^source_package=$SOURCE //p" "$SHIPPED/vmlinux.info")
        apt_world "$T_WORK/apt"
        make_patches "$T_WORK/kernel"
        assert_status 1 kata-image kernel-status --kernel-dir "$T_WORK/kernel"
        assert_contains "$RUN_OUTPUT" "apt does not offer $SOURCE"

        add_source 6.12.1-1 two
        assert_status 0 kata-image kernel-status --kernel-dir "$T_WORK/kernel"
        assert_contains "$RUN_OUTPUT" "up to date: $have in use, apt offers the older 6.12.1-1"
        add_source "$have" two
        assert_status 0 kata-image kernel-status --kernel-dir "$T_WORK/kernel"
        assert_eq "$RUN_OUTPUT" "up to date: $have" "status"
        [[ ! -d $T_WORK/cache/source ]] || fail "a source was downloaded for nothing"

        add_source 6.12.900-1 two
        assert_status 10 kata-image kernel-status --kernel-dir "$T_WORK/kernel"
        assert_contains "$RUN_OUTPUT" "6.12.900-1 available ($have in use): run kata-image update"
        # The second time it is in the cache.
        assert_status 10 kata-image kernel-status --kernel-dir "$T_WORK/kernel"
        assert_eq "$RUN_OUTPUT" "6.12.900-1 available ($have in use): run kata-image update" "status"

        add_source 6.12.901-1 deux
        assert_status 11 kata-image kernel-status --kernel-dir "$T_WORK/kernel"
        assert_contains "$RUN_OUTPUT" "6.12.901-1 available ($have in use), but patch 0001-two.patch does not apply: "
        assert_eq "$(ls "$T_WORK/cache/source")" 6.12.901-1 "sources in the cache"
        # An update would do the same, and stops there.
        assert_status 11 kata-image update --kernel-dir "$T_WORK/kernel"
        assert_contains "$RUN_OUTPUT" "Guest not updated: 6.12.901-1 available"

        # Offered, but not there.
        add_source 6.12.902-1 two
        rm "$T_WORK"/apt/repo/*902*.deb
        assert_status 10 kata-image kernel-status --kernel-dir "$T_WORK/kernel"
        assert_contains "$RUN_OUTPUT" "the patches could not be tried"
        assert_version shipped
}

# The kernel build is real up to its cache, which has the answer: a kernel takes more minutes than a test has.
preload_kernel() {
        local kernel_dir=$1 tarball=$2 key
        key=$("$kernel_dir/build" --print-key --source "$tarball")
        mkdir -p "$KATA_CACHE/kernel/$key"
        cp "$SHIPPED"/vmlinux* "$KATA_CACHE/kernel/$key/"
        sed -i 's/^source_package=.*/source_package=unpackaged/' "$KATA_CACHE/kernel/$key/vmlinux.info"
        chmod -R go+rX "$KATA_CACHE"
}

# update_world: apt, build scripts without patches and a cache where the confined unit can see them.
update_world() {
        W=/srv/t-update
        trap 'forget_guests; rm -rf "$W" /var/cache/kata /run/systemd/system/kata-image-update.service.d; systemctl daemon-reload' EXIT
        chmod 755 "$T_DIR" "$T_WORK"
        mkdir -p "$W"
        apt_world "$W/apt"
        cp -r /usr/lib/kata/kernel "$W/kernel"
        rm -rf "$W/kernel/patches"
        add_source 6.12.900-1 two
        export KATA_CACHE=/var/cache/kata
        mkdir -p "$KATA_CACHE"
}

update_by_the_unit() {
        local v1
        update_world
        preload_kernel "$W/kernel" "$W/apt/deb/usr/src/$SOURCE.tar.gz"
        mkdir -p /run/systemd/system/kata-image-update.service.d
        cat >/run/systemd/system/kata-image-update.service.d/test.conf <<CONF
[Unit]
ConditionACPower=
[Service]
Environment=APT_CONFIG=$W/apt/apt.conf
ExecStart=
ExecStart=/usr/bin/kata-image update --kernel-dir $W/kernel
ExecStart=/usr/bin/kata-image gc
CONF
        systemctl daemon-reload
        run systemctl start kata-image-update.service
        ((RUN_STATUS == 0)) || fail "$(journalctl -u kata-image-update --output=cat)"
        v1=$(readlink "$GUESTS/current")
        assert_version "$v1"
        assert_journal MESSAGE_ID="$EVENT_SWITCHED" _SYSTEMD_UNIT=kata-image-update.service
        assert_eq "$(sed -n 's/^source_package=//p' "$GUESTS/current/vmlinux.info")" "$SOURCE 6.12.900-1"
        assert_eq "$(find "$GUESTS/$v1" -not -user root)" "" "files that are not root's"
        assert_status 0 kata-image kernel-status --kernel-dir "$W/kernel"
        assert_eq "$RUN_OUTPUT" "up to date: 6.12.900-1"

        # The second run has nothing to do, and says so.
        assert_status 0 systemctl start kata-image-update.service
        assert_eq "$(readlink "$GUESTS/current")" "$v1"
        assert_journal _SYSTEMD_UNIT=kata-image-update.service "MESSAGE~is in use already"

        # What was rolled back does not come back by itself.
        assert_status 0 kata-image rollback
        assert_status 0 kata-image update --kernel-dir "$W/kernel"
        assert_contains "$RUN_OUTPUT" "was rolled back and is not installed again"
        assert_version shipped
        assert_eq "$(find /var/cache/kata -mindepth 1 -maxdepth 1 -name '.*')" "" "leftovers in the cache"
}

# A source that can not be compiled, and a build that is not installed.
update_that_fails() {
        update_world
        assert_status 1 kata-image update --kernel-dir "$W/kernel"
        assert_contains "$RUN_OUTPUT" "the kernel was not built"
        assert_version shipped
        assert_eq "$(find /var/cache/kata -mindepth 1 -maxdepth 1 -name '.*')" "" "leftovers in the cache"

        preload_kernel "$W/kernel" "$W/apt/deb/usr/src/$SOURCE.tar.gz"
        assert_status 0 kata-image update --kernel-dir "$W/kernel" --output-dir "$W/out"
        assert_eq "$(stat -c %U "$W/out/guest.img" "$W/out/vmlinux" | sort -u)" kata-build "who built"
        assert_version shipped
        # Anybody may build, root installs.
        run setpriv --reuid=nobody --regid=nogroup --clear-groups env KATA_CACHE="$W/nobody" \
                kata-image update --kernel-dir "$W/kernel"
        assert_eq "$RUN_STATUS" 1
        assert_contains "$RUN_OUTPUT" "only root can change what sandboxes boot"
}

wrong_calls() {
        assert_status 2 kata-image install
        assert_status 2 kata-image rollback a b
        assert_status 2 kata-image gc now
        begin
        assert_status 1 kata-image rollback
        assert_contains "$RUN_OUTPUT" "there is no previous version"
        assert_status 1 kata-image rollback no-such
        assert_contains "$RUN_OUTPUT" "does not exist"
        assert_status 1 kata-image rollback ../x
        assert_status 1 kata-image install /nonexistent
        assert_status 0 kata-image list
}

t_live "a new pair while a sandbox runs" new_pair_while_a_sandbox_runs
t_live "the files of a running sandbox stay" files_stay_for_a_sandbox
t_live "a sandbox with a guest of its own" pinned_sandbox
t_live "damaged pairs are refused" damaged_pairs
t_live "a guest that panics is not installed" pair_that_panics
t_live "a kernel of another release is not installed" pair_with_another_release
t_live "install killed at each step of the copy" install_killed_while_copying
t_live "install killed around the boot test" install_killed_around_the_boot
t_live "rollback and gc killed at each step" rollback_and_gc_killed
t_live "kernel-status says what to do" kernel_status
t_live "update by the confined unit" update_by_the_unit
t_live "an update that fails" update_that_fails
t_live "wrong calls" wrong_calls
