/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same operations against the running service manager, as root: a scope around two sleeping children,
 * found again, its limits changed, signalled, stopped; a name that is taken. Leaves
 * nothing behind. Exits 77 where systemd does not run.
 */

#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "basic/test.h"
#include "runtime/unit/scope.h"

static sd_event *event;
static UnitBus *bus;
static bool done;
static int error;
static char *message;
static size_t n_seen;
static bool seen_active, seen_exists;
static char scope_name[64];
static ScopeLimits limits_before;

static void on_done(ScopeOp *op, int e, const char *m, void *userdata)
{
        done = true;
        error = e;
        free(message);
        message = m ? strdup(m) : NULL;
}

static void on_adopted(ScopeOp *op, int e, const char *m, const ScopeInfo *info, void *userdata)
{
        on_done(op, e, m, userdata);
        seen_exists = info && info->exists;
        seen_active = info && info->active;
        n_seen = info ? info->n_pids : 0;
        if (seen_active)
                ASSERT_CONTAINS(info->control_group, scope_name);
}

static int run(void)
{
        while (!done)
                ASSERT_OK(sd_event_run(event, UINT64_MAX));
        done = false;
        if (error < 0)
                fprintf(stderr, "   -> %s\n", message);
        return error;
}

static PidRef spawn(void)
{
        PidRef ref = PIDREF_NULL;
        pid_t pid = fork();

        ASSERT_OK(pid);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        ASSERT_OK(pidref_set(&ref, pid));
        return ref;
}

static void reap(PidRef *ref)
{
        ASSERT_EQ(waitpid(ref->pid, NULL, 0), ref->pid);
        pidref_done(ref);
}

static int start(const PidRef *pids, size_t n, const char *name)
{
        static const UnitDevice devices[] = { { "/dev/null", "rw" } };
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;

        ASSERT_OK(scope_start(bus, &(ScopeParams) {
                .name = name,
                .description = "test of the scope operations",
                .slice = "kata.slice",
                .service = "kata-sandbox@live-test.service",
                .pids = pids, .n_pids = n,
                .devices = devices, .n_devices = 1,
                .oom_policy = "continue",
                .limits = &(ScopeLimits) {
                        .set = SCOPE_LIMIT_TASKS_MAX | SCOPE_LIMIT_MEMORY_MAX, .tasks_max = 64, .memory_max = 256 << 20,
                },
                .timeout_stop = 2 * USEC_PER_SEC,
        }, on_done, NULL, &op, NULL));
        return run();
}

static int adopt(void)
{
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;

        ASSERT_OK(scope_adopt(bus, scope_name, on_adopted, NULL, &op, NULL));
        return run();
}

static void on_limits(ScopeOp *op, int e, const char *m, const ScopeLimits *before, void *userdata)
{
        on_done(op, e, m, userdata);
        if (before)
                ASSERT_OK(scope_limits_copy(before, &limits_before));
}

static int change(const ScopeLimits *limits)
{
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;

        ASSERT_OK(scope_change_limits(bus, scope_name, limits, on_limits, NULL, &op, NULL));
        return run();
}

/* Set, read back, and back to what was: with all properties that there are. */
static void change_limits(void)
{
        static uint8_t first[] = { 1 };
        const ScopeLimits all = {
                .set = UINT_MAX, .cpu_weight = 39, .cpu_quota = 1500000, .cpu_period = 50000, .io_weight = 55,
                .memory_max = UINT64_C(1) << 30, .tasks_max = 77, .cpus = { first, 1 }, .memory_nodes = { first, 1 },
        };
        _cleanup_(scope_limits_done) ScopeLimits original = {};

        ASSERT_EQ(change(&all), 0);
        ASSERT_EQ(limits_before.memory_max, 256 << 20);
        ASSERT_EQ(limits_before.tasks_max, 64);
        ASSERT_EQ(limits_before.cpu_weight, UINT64_MAX);
        ASSERT_EQ(limits_before.cpus.n, 0);
        ASSERT_OK(scope_limits_copy(&limits_before, &original));
        ASSERT_EQ(change(&original), 0);
        ASSERT_EQ(limits_before.cpu_weight, 39);
        ASSERT_EQ(limits_before.cpu_quota, 1500000);
        ASSERT_EQ(limits_before.cpu_period, 50000);
        ASSERT_EQ(limits_before.io_weight, 55);
        ASSERT_EQ(limits_before.memory_max, UINT64_C(1) << 30);
        ASSERT_EQ(limits_before.cpus.bits[0], 1);
        ASSERT_EQ(limits_before.memory_nodes.bits[0], 1);
        ASSERT_EQ(change(&original), 0);
        ASSERT_EQ(limits_before.cpu_weight, UINT64_MAX);
        ASSERT_EQ(limits_before.cpu_quota, UINT64_MAX);
        ASSERT_EQ(limits_before.memory_nodes.n, 0);
        scope_limits_done(&limits_before);
}

static int stop(void)
{
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;

        ASSERT_OK(scope_stop(bus, scope_name, 10 * USEC_PER_SEC, on_done, NULL, &op, NULL));
        return run();
}

static int kill_all(int sig)
{
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;

        ASSERT_OK(scope_kill(bus, scope_name, sig, on_done, NULL, &op, NULL));
        return run();
}

int main(void)
{
        _cleanup_free_ char *text = NULL;
        PidRef pids[2], third;
        usec_t begin;
        int r;

        if (sd_booted() <= 0 || geteuid() != 0) {
                fprintf(stderr, "skipped: needs root and a running systemd\n");
                return 77;
        }

        snprintf(scope_name, sizeof(scope_name), "kata-vm-live-test-%d.scope", (int) getpid());
        ASSERT_OK(sd_event_new(&event));
        r = unit_bus_open_system(event, &bus, &text);
        if (r < 0)
                TEST_FAIL("%s", text);

        fprintf(stderr, "/* nothing there yet */\n");
        ASSERT_EQ(adopt(), 0);
        ASSERT_FALSE(seen_exists);
        ASSERT_EQ(stop(), 0);
        ASSERT_EQ(kill_all(SIGTERM), -ESRCH);

        fprintf(stderr, "/* start */\n");
        pids[0] = spawn();
        pids[1] = spawn();
        begin = now_usec();
        ASSERT_EQ(start(pids, 2, scope_name), 0);
        fprintf(stderr, "   started in %llu us, pidfds %s, oom policy %s\n",
                (unsigned long long) (now_usec() - begin),
                unit_bus_features(bus) & UNIT_FEATURE_PIDFDS ? "yes" : "no",
                unit_bus_features(bus) & UNIT_FEATURE_OOM_POLICY ? "yes" : "no");

        fprintf(stderr, "/* adopt */\n");
        ASSERT_EQ(adopt(), 0);
        ASSERT_TRUE(seen_exists && seen_active);
        ASSERT_EQ(n_seen, 2);

        fprintf(stderr, "/* limits */\n");
        change_limits();

        fprintf(stderr, "/* name is taken */\n");
        third = spawn();
        ASSERT_EQ(start(&third, 1, scope_name), -EEXIST);
        ASSERT_OK(pidref_kill(&third, SIGKILL));
        reap(&third);

        fprintf(stderr, "/* a dead process can not be put into a scope */\n");
        third = spawn();
        ASSERT_OK(pidref_kill(&third, SIGKILL));
        ASSERT_EQ(waitpid(third.pid, NULL, 0), third.pid);
        ASSERT_TRUE(start(&third, 1, "kata-vm-live-test-dead.scope") < 0);
        pidref_done(&third);

        fprintf(stderr, "/* stop */\n");
        ASSERT_EQ(stop(), 0);
        reap(pids + 0);
        reap(pids + 1);
        ASSERT_EQ(adopt(), 0);
        ASSERT_FALSE(seen_exists && seen_active);

        fprintf(stderr, "/* same name again, ended by a signal */\n");
        pids[0] = spawn();
        ASSERT_EQ(start(pids, 1, scope_name), 0);
        ASSERT_EQ(kill_all(SIGKILL), 0);
        reap(pids + 0);
        ASSERT_EQ(stop(), 0);

        unit_bus_unref(bus);
        sd_event_unref(event);
        free(message);
        fprintf(stderr, "1 tests passed\n");
        return 0;
}
