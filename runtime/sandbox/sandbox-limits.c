/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of the machine on its host, which are those of its scope: set when the scope is made, changed by
 * SetUnitProperties. What the service manager has is the truth, a supervisor that takes over changes nothing.
 *
 * CPUQuota= comes once the guest has booted: a boot at a tenth of a processor would run into its deadline.
 */

#include <inttypes.h>
#include <sysexits.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "runtime/sandbox/sandbox-guest.h"
#include "runtime/sandbox/sandbox-internal.h"

int sandbox_plan_limits(Sandbox *s, char **reterr_message)
{
        s->memory_max = vm_config_memory_max(&s->config);
        if (s->conf->memory_max == 0 || s->conf->memory_max >= s->memory_max)
                return 0;

        (void) error_setf(reterr_message, -EINVAL,
                          "%s: MemoryMax=%" PRIu64 "M is less than this virtual machine may need: set it to at "
                          "least %" PRIu64 "M, or to 'machine'", s->conf->path, s->conf->memory_max / MIB(1),
                          (s->memory_max + MIB(1) - 1) / MIB(1));
        return EX_CONFIG;
}

static void set_number(ScopeLimits *limits, ScopeLimit limit, uint64_t *field, uint64_t value)
{
        if (value == 0)
                return;
        *field = value;
        limits->set |= limit;
}

static int set_list(ScopeLimits *limits, ScopeLimit limit, CpuList *field, const char *text)
{
        int r = text ? cpu_list_parse(text, field) : 0;

        if (r >= 0 && text)
                limits->set |= limit;
        return r;
}

int sandbox_first_limits(const Sandbox *s, ScopeLimits *ret)
{
        _cleanup_(scope_limits_done) ScopeLimits limits = {};
        const SandboxConf *c = s->conf;
        int r;

        set_number(&limits, SCOPE_LIMIT_CPU_WEIGHT, &limits.cpu_weight, c->cpu_weight);
        set_number(&limits, SCOPE_LIMIT_IO_WEIGHT, &limits.io_weight, c->io_weight);
        set_number(&limits, SCOPE_LIMIT_TASKS_MAX, &limits.tasks_max, c->tasks_max);
        set_number(&limits, SCOPE_LIMIT_MEMORY_MAX, &limits.memory_max,
                   c->memory_max == SANDBOX_MEMORY_MAX_MACHINE ? s->memory_max : c->memory_max);
        r = set_list(&limits, SCOPE_LIMIT_CPUS, &limits.cpus, c->allowed_cpus);
        if (r >= 0)
                r = set_list(&limits, SCOPE_LIMIT_MEMORY_NODES, &limits.memory_nodes, c->allowed_memory_nodes);
        if (r < 0)
                return r;

        *ret = limits;
        limits = (ScopeLimits) {};
        return 0;
}

/* --- changes --- */

static void on_changed(ScopeOp *op, int error, const char *message, const ScopeLimits *before, void *userdata)
{
        _cleanup_free_ char *text = message ? strdup(message) : NULL;
        _cleanup_(scope_limits_done) ScopeLimits old = {};
        Sandbox *s = userdata;

        /* Whoever is told may want the next change at once. */
        if (before && scope_limits_copy(before, &old) < 0)
                error = -ENOMEM;
        s->limits_op = scope_op_free(s->limits_op);
        s->limits_done(error, error < 0 ? error_text(text, error) : NULL, error < 0 ? NULL : &old, s->limits_userdata);
}

static int change(Sandbox *s, const ScopeLimits *limits, SandboxLimitsDone done, void *userdata,
                  char **reterr_message)
{
        _cleanup_(scope_limits_done) ScopeLimits copy = {};
        int r;

        if (s->limits_op)
                return error_setf(reterr_message, -EBUSY, "the limits of '%s' are being changed already",
                                  s->scope_name);
        r = scope_limits_copy(limits, &copy);
        if (r < 0)
                return r;
        if ((copy.set & SCOPE_LIMIT_MEMORY_MAX) && copy.memory_max == SCOPE_MEMORY_OF_MACHINE) {
                copy.memory_max = s->memory_max;
                /* The state of an older supervisor does not say: it stays as it is. */
                if (s->memory_max == 0)
                        copy.set &= ~(unsigned) SCOPE_LIMIT_MEMORY_MAX;
        }
        s->limits_done = done;
        s->limits_userdata = userdata;
        return scope_change_limits(s->bus, s->scope_name, &copy, on_changed, s, &s->limits_op, reterr_message);
}

int sandbox_set_limits(Sandbox *s, const ScopeLimits *limits, SandboxLimitsDone done, void *userdata,
                       char **reterr_message)
{
        if (!s->guest_offered)
                return error_setf(reterr_message, -ESRCH, "the sandbox is being stopped");
        return change(s, limits, done, userdata, reterr_message);
}

/* --- once the guest has booted --- */

static void on_cpu_limited(int error, const char *message, const ScopeLimits *before, void *userdata)
{
        Sandbox *s = userdata;

        if (s->phase != PHASE_STARTING_CONTAINERS)
                return;
        if (error < 0)
                sandbox_fail(s, EX_OSERR, "CPUQuota= of '%s' can not be set: %s", s->scope_name, message);
        else
                sandbox_continue_containers(s);
}

void sandbox_limit_cpu(Sandbox *s)
{
        _cleanup_free_ char *message = NULL;
        ScopeLimits limits = {};
        int r;

        set_number(&limits, SCOPE_LIMIT_CPU_QUOTA, &limits.cpu_quota, s->conf->cpu_quota);
        set_number(&limits, SCOPE_LIMIT_CPU_PERIOD, &limits.cpu_period, s->conf->cpu_quota_period);
        if (limits.set == 0) {
                sandbox_continue_containers(s);
                return;
        }
        r = change(s, &limits, on_cpu_limited, s, &message);
        if (r < 0)
                sandbox_fail(s, EX_OSERR, "CPUQuota= of '%s' can not be set: %s", s->scope_name,
                             error_text(message, r));
}
