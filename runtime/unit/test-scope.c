/* SPDX-License-Identifier: Apache-2.0 */
/* Scope operations against a service manager on a socketpair: properties, fallbacks, results, breaks. */

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/test.h"
#include "runtime/unit/fake-manager.h"
#include "runtime/unit/scope.h"

typedef struct World {
        sd_event *event;
        FakeManager fake;
        UnitBus *bus;
        char proc[64];
        PidRef child;
        /* Outcome of the last operation. */
        bool done;
        int error;
        char *message;
        ScopeInfo info;
        ScopeLimits before;
} World;

static void world_set_cgroup(World *w, const char *text)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/%d", w->proc, (int) w->child.pid);
        ASSERT_OK(mkdir_p(path, 0700));
        strcat(path, "/cgroup");
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0600));
}

static void world_init(World *w, bool message_bus)
{
        pid_t pid;

        *w = (World) { .child = PIDREF_NULL };
        pid = fork();
        ASSERT_OK(pid);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        ASSERT_OK(pidref_set(&w->child, pid));
        strcpy(w->proc, "/tmp/test-scope-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(w->proc));
        world_set_cgroup(w, "1:name=systemd:/\n0::/kata.slice/kata-vm-web.scope\n");

        ASSERT_OK(sd_event_new(&w->event));
        fake_manager_init(&w->fake, w->event);
        ASSERT_OK(unit_bus_open(w->event, fake_manager_connect, &w->fake, message_bus, &w->bus, NULL));
        unit_bus_set_proc_root(w->bus, w->proc);
}

static void world_done(World *w)
{
        unit_bus_unref(w->bus);
        fake_manager_done(&w->fake);
        sd_event_unref(w->event);
        ASSERT_OK(pidref_kill(&w->child, SIGKILL));
        waitpid(w->child.pid, NULL, 0);
        pidref_done(&w->child);
        ASSERT_OK(rm_rf(w->proc));
        free(w->message);
        free(w->info.active_state);
        free(w->info.control_group);
        free(w->info.pids);
        scope_limits_done(&w->before);
}

#define _cleanup_world_ _cleanup_(world_done)

static void on_done(ScopeOp *op, int error, const char *message, void *userdata)
{
        World *w = userdata;

        ASSERT_FALSE(w->done);
        ASSERT_TRUE((error < 0) == (message != NULL));
        w->done = true;
        w->error = error;
        free(w->message);
        w->message = message ? strdup(message) : NULL;
}

static void on_adopted(ScopeOp *op, int error, const char *message, const ScopeInfo *info, void *userdata)
{
        World *w = userdata;

        on_done(op, error, message, userdata);
        if (!info)
                return;
        w->info = *info;
        w->info.active_state = info->active_state ? strdup(info->active_state) : NULL;
        w->info.control_group = info->control_group ? strdup(info->control_group) : NULL;
        w->info.pids = new(pid_t, info->n_pids);
        for (size_t i = 0; i < info->n_pids; i++)
                w->info.pids[i] = info->pids[i];
}

static int world_run(World *w)
{
        while (!w->done)
                ASSERT_OK(sd_event_run(w->event, 5 * USEC_PER_SEC));
        w->done = false;
        return w->error;
}

static ScopeOp *world_begin(World *w, usec_t timeout)
{
        static const UnitDevice devices[] = { { "/dev/kvm", "rw" }, { "/dev/net/tun", "rw" } };
        static uint8_t processors[] = { 0x8f };
        const ScopeLimits limits = {
                .set = SCOPE_LIMIT_CPU_WEIGHT | SCOPE_LIMIT_CPUS | SCOPE_LIMIT_MEMORY_MAX | SCOPE_LIMIT_TASKS_MAX,
                .cpu_weight = 39, .cpus = { processors, 1 }, .memory_max = 1 << 30, .tasks_max = 512,
        };
        ScopeOp *op;

        ASSERT_OK(scope_start(w->bus, &(ScopeParams) {
                .name = "kata-vm-web.scope",
                .description = "VM of sandbox web",
                .service = "kata-sandbox@web.service",
                .pids = &w->child, .n_pids = 1,
                .devices = devices, .n_devices = ELEMENTSOF(devices),
                .oom_policy = "continue",
                .limits = &limits,
                .timeout_stop = 10 * USEC_PER_SEC,
                .timeout = timeout,
        }, on_done, w, &op, NULL));
        return op;
}

static int world_start(World *w)
{
        _cleanup_(scope_op_freep) _unused_ ScopeOp *op = world_begin(w, 0);

        return world_run(w);
}

/* Every property we send, with its D-Bus type. A change here is a change of the interface. */
static const char golden[] =
        "StartTransientUnit kata-vm-web.scope fail\n"
        "  Description s \"VM of sandbox web\"\n"
        "  Slice s \"kata.slice\"\n"
        "  PartOf as [ \"kata-sandbox@web.service\" ]\n"
        "  Before as [ \"kata-sandbox@web.service\" ]\n"
        "  CollectMode s \"inactive-or-failed\"\n"
        "  AddRef b true\n"
        "  Delegate b true\n"
        "  SendSIGHUP b false\n"
        "  OOMPolicy s \"continue\"\n"
        "  CPUWeight t 39\n"
        "  AllowedCPUs ay [ 8f ]\n"
        "  MemoryMax t 1073741824\n"
        "  TasksMax t 512\n"
        "  TimeoutStopUSec t 10000000\n"
        "  DeviceAllow a(ss) [ [ \"/dev/kvm\" \"rw\" ] [ \"/dev/net/tun\" \"rw\" ] ]\n"
        "  DevicePolicy s \"closed\"\n"
        "  PIDFDs ah [ * ]\n"
        "Get ActiveState\n";

TEST(start_golden)
{
        _cleanup_world_ World w;

        /* Told that this is a message bus: sd-bus does not mind, and AddRef is in the list. */
        world_init(&w, true);
        ASSERT_EQ(world_start(&w), 0);
        ASSERT_STREQ(w.fake.record, golden);
        ASSERT_NULL(strstr(w.fake.record, "After"));
}

TEST(start_falls_back)
{
        _cleanup_world_ World w;

        world_init(&w, false);
        w.fake.refuse[0] = "PIDFDs";
        w.fake.refuse[1] = "OOMPolicy";
        ASSERT_EQ(world_start(&w), 0);
        ASSERT_EQ(w.fake.n_starts, 3);
        ASSERT_CONTAINS(w.fake.record, "  PIDs au [ * ]\nGet ActiveState\n");
        ASSERT_NULL(strstr(w.fake.record, "AddRef"));
        ASSERT_EQ(unit_bus_features(w.bus), 0);

        /* Remembered for this connection. */
        free(w.fake.unit);
        w.fake.unit = NULL;
        ASSERT_EQ(world_start(&w), 0);
        ASSERT_EQ(w.fake.n_starts, 4);
}

TEST(start_property_really_refused)
{
        _cleanup_world_ World w;

        world_init(&w, false);
        w.fake.refuse[0] = "Slice";
        ASSERT_EQ(world_start(&w), -EROFS);
        ASSERT_CONTAINS(w.message, "Cannot set property Slice");
        ASSERT_EQ(w.fake.n_starts, 1);
}

TEST(start_signal_races)
{
        _cleanup_world_ World w;

        world_init(&w, false);
        w.fake.signal_first = true;
        w.fake.foreign_signals = true;
        ASSERT_EQ(world_start(&w), 0);
}

TEST(start_delayed)
{
        _cleanup_world_ World w;

        world_init(&w, false);
        w.fake.job_delay = 20 * USEC_PER_MSEC;
        w.fake.foreign_signals = true;
        ASSERT_EQ(world_start(&w), 0);
}

TEST(start_results)
{
        static const struct {
                const char *result;
                int error;
                const char *text;
        } table[] = {
                { "failed", -EIO, "see the unit's status" },
                { "timeout", -ETIME, "timed out in the service manager" },
                { "canceled", -ECANCELED, "cancelled by another job" },
                { "dependency", -EIO, "a unit it depends on failed" },
                { "frozen", -EBUSY, "thaw" },
                { "something-new", -EIO, "does not know" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_world_ World w;

                world_init(&w, false);
                w.fake.job_result = table[i].result;
                ASSERT_EQ(world_start(&w), table[i].error);
                ASSERT_CONTAINS(w.message, table[i].text);
                ASSERT_CONTAINS(w.message, "kata-vm-web.scope");
        }
}

TEST(start_exists)
{
        _cleanup_world_ World w;

        world_init(&w, false);
        w.fake.unit = strdup("kata-vm-web.scope");
        ASSERT_EQ(world_start(&w), -EEXIST);
        ASSERT_CONTAINS(w.message, "exists already");
}

TEST(start_not_active)
{
        _cleanup_world_ World w;

        world_init(&w, false);
        w.fake.active_state = "inactive";
        ASSERT_EQ(world_start(&w), -ESTALE);
        ASSERT_CONTAINS(w.message, "'inactive' right after its start");
}

TEST(start_wrong_cgroup)
{
        static const char *const wrong[] = {
                "0::/kata.slice/kata-vm-web.scope2\n",
                "0::/kata.slice/akata-vm-web.scope\n",
                "0::/\n",
                "2:cpu:/kata-vm-web.scope\n",
                "",
        };
        static const char *const right[] = {
                "0::/kata-vm-web.scope\n",
                "0::/x.slice/kata-vm-web.scope/vcpu\n",
                "4:memory:/\n1:name=systemd:/x.slice/kata-vm-web.scope\n0::/\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                _cleanup_world_ World w;

                world_init(&w, false);
                world_set_cgroup(&w, wrong[i]);
                ASSERT_EQ(world_start(&w), -ESTALE);
                ASSERT_CONTAINS(w.message, "not in the scope's cgroup");
        }
        for (size_t i = 0; i < ELEMENTSOF(right); i++) {
                _cleanup_world_ World w;

                world_init(&w, false);
                world_set_cgroup(&w, right[i]);
                ASSERT_EQ(world_start(&w), 0);
        }
}

TEST(start_process_gone)
{
        _cleanup_world_ World w;

        world_init(&w, false);
        ASSERT_OK(rm_rf(w.proc));
        ASSERT_EQ(world_start(&w), -ESRCH);
        ASSERT_CONTAINS(w.message, "is gone");
}

TEST(start_deadline)
{
        _cleanup_world_ World w;
        _cleanup_(scope_op_freep) ScopeOp *queued = NULL, *silent = NULL;

        world_init(&w, false);
        w.fake.job_delay = USEC_INFINITY;
        queued = world_begin(&w, 30 * USEC_PER_MSEC);
        ASSERT_EQ(world_run(&w), -ETIMEDOUT);
        ASSERT_CONTAINS(w.message, "did not end in time");
        while (!strstr(w.fake.record, "CancelJob"))
                ASSERT_OK(sd_event_run(w.event, USEC_PER_SEC));

        w.fake.mute = true;
        silent = world_begin(&w, 30 * USEC_PER_MSEC);
        ASSERT_EQ(world_run(&w), -ETIMEDOUT);
        ASSERT_CONTAINS(w.message, "no answer from the service manager");
}

TEST(start_denied)
{
        _cleanup_world_ World w;

        world_init(&w, false);
        w.fake.error_name = SD_BUS_ERROR_ACCESS_DENIED;
        w.fake.error_text = "Rejected send message";
        ASSERT_EQ(world_start(&w), -EACCES);
        ASSERT_CONTAINS(w.message, "Rejected send message");
}

TEST(cancelled_operation_is_silent)
{
        _cleanup_world_ World w;

        world_init(&w, false);
        scope_op_free(world_begin(&w, 0));
        for (unsigned i = 0; i < 10; i++)
                ASSERT_OK(sd_event_run(w.event, 1000));
        ASSERT_FALSE(w.done);
}

/* The bus goes away with the call unanswered: an error, and the next call connects anew. */
TEST(break_during_call)
{
        _cleanup_world_ World w;
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;

        world_init(&w, false);
        w.fake.mute = true;
        op = world_begin(&w, 0);
        ASSERT_OK(sd_event_run(w.event, 1000));
        fake_manager_disconnect(&w.fake);
        ASSERT_TRUE(world_run(&w) < 0);

        w.fake.mute = false;
        while (sd_event_run(w.event, 0) > 0)
                ;
        ASSERT_EQ(world_start(&w), 0);
        ASSERT_EQ(w.fake.n_connections, 2);
}

/* The bus goes away with the job queued; the job ends meanwhile, or still runs. */
TEST(break_during_job)
{
        for (unsigned still_runs = 0; still_runs < 2; still_runs++) {
                _cleanup_world_ World w;
                _cleanup_(scope_op_freep) ScopeOp *op = NULL;

                world_init(&w, false);
                w.fake.job_delay = USEC_INFINITY;
                op = world_begin(&w, 0);
                while (w.fake.job == 0)
                        ASSERT_OK(sd_event_run(w.event, USEC_PER_SEC));
                while (sd_event_run(w.event, 0) > 0)
                        ;
                fake_manager_disconnect(&w.fake);
                if (!still_runs)
                        fake_manager_end_job(&w.fake, "done");

                while (!strstr(w.fake.record, "GetJob"))
                        ASSERT_OK(sd_event_run(w.event, USEC_PER_SEC));
                ASSERT_TRUE(strstr(w.fake.record, "Subscribe") < strstr(w.fake.record, "GetJob"));
                if (still_runs)
                        fake_manager_end_job(&w.fake, "done");
                ASSERT_EQ(world_run(&w), 0);
                ASSERT_EQ(w.fake.n_connections, 2);
        }
}

TEST(connection_refused)
{
        _cleanup_world_ World w;
        _cleanup_free_ char *message = NULL;
        ScopeOp *op;

        world_init(&w, false);
        fake_manager_disconnect(&w.fake);
        w.fake.refuse_connection = true;
        while (sd_event_run(w.event, 0) > 0)
                ;
        ASSERT_ERROR(scope_kill(w.bus, "kata-vm-web.scope", 9, on_done, &w, &op, &message), ECONNREFUSED);
        ASSERT_CONTAINS(message, "can not be reached");
}

TEST(adopt)
{
        _cleanup_world_ World w;
        _cleanup_(scope_op_freep) ScopeOp *none = NULL, *some = NULL;

        world_init(&w, true);
        ASSERT_OK(scope_adopt(w.bus, "kata-vm-web.scope", on_adopted, &w, &none, NULL));
        ASSERT_EQ(world_run(&w), 0);
        ASSERT_FALSE(w.info.exists);
        free(w.info.pids);

        w.fake.unit = strdup("kata-vm-web.scope");
        w.fake.control_group = "/kata.slice/kata-vm-web.scope";
        w.fake.pid = 4711;
        ASSERT_OK(scope_adopt(w.bus, "kata-vm-web.scope", on_adopted, &w, &some, NULL));
        ASSERT_EQ(world_run(&w), 0);
        ASSERT_TRUE(w.info.exists && w.info.active);
        ASSERT_STREQ(w.info.active_state, "active");
        ASSERT_STREQ(w.info.control_group, "/kata.slice/kata-vm-web.scope");
        ASSERT_EQ(w.info.n_pids, 1);
        ASSERT_EQ(w.info.pids[0], 4711);
        while (!strstr(w.fake.record, "RefUnit"))
                ASSERT_OK(sd_event_run(w.event, USEC_PER_SEC));
}

static void on_limits(ScopeOp *op, int error, const char *message, const ScopeLimits *before, void *userdata)
{
        World *w = userdata;

        on_done(op, error, message, userdata);
        ASSERT_TRUE((error < 0) == (before == NULL));
        if (before)
                ASSERT_OK(scope_limits_copy(before, &w->before));
}

static int change(World *w, const ScopeLimits *limits)
{
        _cleanup_(scope_op_freep) _unused_ ScopeOp *op = NULL;

        ASSERT_OK(scope_change_limits(w->bus, "kata-vm-web.scope", limits, on_limits, w, &op, NULL));
        return world_run(w);
}

/* What comes back is what was, and nothing but what was changed. */
TEST(limits)
{
        static uint8_t processors[] = { 3 };
        const ScopeLimits limits = {
                .set = SCOPE_LIMIT_CPU_WEIGHT | SCOPE_LIMIT_CPU_PERIOD | SCOPE_LIMIT_CPU_QUOTA | SCOPE_LIMIT_CPUS |
                       SCOPE_LIMIT_MEMORY_NODES | SCOPE_LIMIT_IO_WEIGHT,
                .cpu_weight = 100, .cpu_period = 50000, .cpu_quota = 1500000, .cpus = { processors, 1 },
                .io_weight = UINT64_MAX,
        };
        _cleanup_(scope_limits_done) ScopeLimits first = {};
        _cleanup_world_ World w;
        ScopeOp *none;

        world_init(&w, false);
        ASSERT_ERROR(scope_change_limits(w.bus, "kata-vm-web.scope", &(ScopeLimits) {}, on_limits, &w, &none, NULL),
                     EINVAL);
        ASSERT_EQ(change(&w, &limits), -ESRCH);
        w.fake.unit = strdup("kata-vm-web.scope");
        free(w.fake.record);
        w.fake.record = strdup("");
        ASSERT_EQ(change(&w, &limits), 0);
        ASSERT_STREQ(w.fake.record,
                     "GetAll org.freedesktop.systemd1.Scope\n"
                     "SetUnitProperties kata-vm-web.scope true\n"
                     "  CPUWeight t 100\n"
                     "  CPUQuotaPeriodUSec t 50000\n"
                     "  CPUQuotaPerSecUSec t 1500000\n"
                     "  AllowedCPUs ay [ 03 ]\n"
                     "  AllowedMemoryNodes ay [ ]\n"
                     "  IOWeight t 18446744073709551615\n");
        /* The fake one has neither a period nor memory nodes, and a MemoryMax= that was not changed. */
        ASSERT_EQ(w.before.set,
                  SCOPE_LIMIT_CPU_WEIGHT | SCOPE_LIMIT_CPU_QUOTA | SCOPE_LIMIT_CPUS | SCOPE_LIMIT_IO_WEIGHT);
        ASSERT_EQ(w.before.cpu_weight, UINT64_MAX);
        ASSERT_EQ(w.before.cpu_quota, 250000);
        ASSERT_EQ(w.before.cpus.n, 2);
        ASSERT_EQ(w.before.cpus.bits[1], 1);
        ASSERT_EQ(w.before.io_weight, 55);

        ASSERT_OK(scope_limits_copy(&w.before, &first));
        ASSERT_EQ(change(&w, &first), 0);
        ASSERT_CONTAINS(w.fake.record, "true\n  CPUWeight t 18446744073709551615\n  CPUQuotaPerSecUSec t 250000\n"
                        "  AllowedCPUs ay [ 00 01 ]\n  IOWeight t 55\n");

        w.fake.refuse[0] = "IOWeight";
        ASSERT_EQ(change(&w, &limits), -EROFS);
        ASSERT_CONTAINS(w.message, "limits can not be set");
        ASSERT_CONTAINS(w.message, "IOWeight");
}

TEST(stop)
{
        _cleanup_world_ World w;
        _cleanup_(scope_op_freep) ScopeOp *missing = NULL, *there = NULL, *fails = NULL;

        world_init(&w, true);
        ASSERT_OK(scope_stop(w.bus, "kata-vm-web.scope", 0, on_done, &w, &missing, NULL));
        ASSERT_EQ(world_run(&w), 0);

        w.fake.unit = strdup("kata-vm-web.scope");
        ASSERT_OK(scope_stop(w.bus, "kata-vm-web.scope", 0, on_done, &w, &there, NULL));
        ASSERT_EQ(world_run(&w), 0);
        ASSERT_CONTAINS(w.fake.record, "UnrefUnit");
        ASSERT_CONTAINS(w.fake.record, "StopUnit kata-vm-web.scope ignore-dependencies\n");

        w.fake.job_result = "timeout";
        ASSERT_OK(scope_stop(w.bus, "kata-vm-web.scope", 0, on_done, &w, &fails, NULL));
        ASSERT_EQ(world_run(&w), -ETIME);
        ASSERT_CONTAINS(w.message, "could not be stopped");
}

/* The job may be the one that systemd itself has queued: it is not ours to cancel. */
TEST(stop_deadline)
{
        _cleanup_world_ World w;
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;

        world_init(&w, false);
        w.fake.unit = strdup("kata-vm-web.scope");
        w.fake.job_delay = USEC_INFINITY;
        ASSERT_OK(scope_stop(w.bus, "kata-vm-web.scope", 20 * USEC_PER_MSEC, on_done, &w, &op, NULL));
        ASSERT_EQ(world_run(&w), -ETIMEDOUT);
        while (sd_event_run(w.event, 0) > 0)
                ;
        ASSERT_NULL(strstr(w.fake.record, "CancelJob"));
}

/* References are counted; once stopped none may be left, or the name stays taken. */
TEST(stop_drops_all_references)
{
        _cleanup_world_ World w;
        _cleanup_(scope_op_freep) ScopeOp *adopted = NULL, *stopped = NULL;

        world_init(&w, true);
        ASSERT_EQ(world_start(&w), 0);
        ASSERT_OK(scope_adopt(w.bus, "kata-vm-web.scope", on_adopted, &w, &adopted, NULL));
        ASSERT_EQ(world_run(&w), 0);
        ASSERT_OK(scope_stop(w.bus, "kata-vm-web.scope", 0, on_done, &w, &stopped, NULL));
        ASSERT_EQ(world_run(&w), 0);
        ASSERT_EQ(w.fake.n_refs, 0);
        ASSERT_CONTAINS(w.fake.record, "UnrefUnit\nUnrefUnit\nUnrefUnit\n");
}

TEST(kill)
{
        _cleanup_world_ World w;
        _cleanup_(scope_op_freep) ScopeOp *missing = NULL, *there = NULL;
        ScopeOp *op;

        world_init(&w, false);
        ASSERT_OK(scope_kill(w.bus, "kata-vm-web.scope", SIGTERM, on_done, &w, &missing, NULL));
        ASSERT_EQ(world_run(&w), -ESRCH);

        w.fake.unit = strdup("kata-vm-web.scope");
        ASSERT_OK(scope_kill(w.bus, "kata-vm-web.scope", SIGTERM, on_done, &w, &there, NULL));
        ASSERT_EQ(world_run(&w), 0);
        ASSERT_CONTAINS(w.fake.record, "KillUnit kata-vm-web.scope all 15\n");

        ASSERT_ERROR(scope_kill(w.bus, "kata-vm-web.scope", 0, on_done, &w, &op, NULL), EINVAL);
        ASSERT_ERROR(scope_kill(w.bus, "../x.scope", 9, on_done, &w, &op, NULL), EINVAL);
}

TEST(no_systemd)
{
        _cleanup_free_ char *message = NULL;
        sd_event *event;
        UnitBus *bus;

        if (access("/run/systemd/system", F_OK) >= 0)
                return;
        ASSERT_OK(sd_event_new(&event));
        ASSERT_ERROR(unit_bus_open_system(event, &bus, &message), EHOSTDOWN);
        ASSERT_CONTAINS(message, "does not run systemd");
        sd_event_unref(event);
}

DEFINE_TEST_MAIN
