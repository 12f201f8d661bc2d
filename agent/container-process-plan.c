/* SPDX-License-Identifier: Apache-2.0 */
/* Checked process configuration: see container-process-plan.h. Input comes from the host. */

#include "agent/container-process-plan.h"

#include "basic/root-path.h"
#include "basic/error.h"
#include "basic/limits.h"

#define OOM_SCORE_ADJ_LIMIT 1000

#define RLIMIT(name) [RLIMIT_##name] = "RLIMIT_" #name

static const char *const rlimit_names[] = {
        RLIMIT(AS), RLIMIT(CORE), RLIMIT(CPU), RLIMIT(DATA), RLIMIT(FSIZE), RLIMIT(LOCKS),
        RLIMIT(MEMLOCK), RLIMIT(MSGQUEUE), RLIMIT(NICE), RLIMIT(NOFILE), RLIMIT(NPROC), RLIMIT(RSS),
        RLIMIT(RTPRIO), RLIMIT(RTTIME), RLIMIT(SIGPENDING), RLIMIT(STACK),
};

int rlimit_from_name(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(rlimit_names); i++)
                if (rlimit_names[i] && streq(rlimit_names[i], name))
                        return (int) i;

        return -EINVAL;
}

void process_plan_done(ProcessPlan *plan)
{
        strv_done(&plan->args);
        strv_done(&plan->env);
        free(plan->cwd);
        free(plan->groups);
        *plan = (ProcessPlan) {};
}

const char *env_get(const Strv *env, const char *name)
{
        const char *found = NULL, *item;
        size_t n = strlen(name);

        STRV_FOREACH(item, env)
                if (strncmp(item, name, n) == 0 && item[n] == '=')
                        found = item + n + 1;

        return found;
}

static int copy_strings(Strv *strv, char *const *strings, size_t n, size_t max, const char *what,
                        char **reterr_message)
{
        if (n > max)
                return error_setf(reterr_message, -E2BIG, "process: more than %zu %s", max, what);

        for (size_t i = 0; i < n; i++) {
                int r;

                /* The kernel's own limit for one string, MAX_ARG_STRLEN. */
                if (strlen(strings[i]) >= SPEC_STRING_MAX)
                        return error_setf(reterr_message, -E2BIG, "process: %s: string too long",
                                        what);
                r = strv_add(strv, strings[i]);
                if (r < 0)
                        return r;
        }

        return 0;
}

static int parse_env(ProcessPlan *plan, const Grpc__Process *process, char **reterr_message)
{
        const char *item;
        int r;

        r = copy_strings(&plan->env, process->env, process->n_env, SPEC_ENV_MAX, "variables",
                         reterr_message);
        if (r < 0)
                return r;

        STRV_FOREACH(item, &plan->env)
                if (item[0] == '=' || !strchr(item, '='))
                        return error_setf(reterr_message, -EINVAL,
                                        "process: '%.100s' is not an environment assignment", item);

        return 0;
}

static int parse_user(ProcessPlan *plan, const Grpc__User *user, char **reterr_message)
{
        if (!user)
                return 0;

        /* -1 means "leave it" to setresuid(2), which would be the agent's root. */
        if (user->uid == UINT32_MAX || user->gid == UINT32_MAX)
                return error_setf(reterr_message, -EINVAL, "process: invalid user or group id");
        if (user->n_additionalgids > SPEC_GIDS_MAX)
                return error_setf(reterr_message, -E2BIG, "process: more than %u additional groups",
                                  SPEC_GIDS_MAX);

        plan->uid = user->uid;
        plan->gid = user->gid;
        plan->groups = new(gid_t, user->n_additionalgids);
        if (!plan->groups)
                return -ENOMEM;
        for (size_t i = 0; i < user->n_additionalgids; i++) {
                if (user->additionalgids[i] == UINT32_MAX)
                        return error_setf(reterr_message, -EINVAL, "process: invalid group id");
                plan->groups[plan->n_groups++] = user->additionalgids[i];
        }

        return 0;
}

static int parse_caps(ProcessPlan *plan, const Grpc__LinuxCapabilities *caps, char **reterr_message)
{
        CapSets *s = &plan->caps;
        int r;

        /* No capabilities object: no capabilities. */
        if (!caps)
                return 0;

        r = caps_parse(caps->bounding, caps->n_bounding, &s->bounding, reterr_message);
        if (r >= 0)
                r = caps_parse(caps->effective, caps->n_effective, &s->effective, reterr_message);
        if (r >= 0)
                r = caps_parse(caps->inheritable, caps->n_inheritable, &s->inheritable,
                                reterr_message);
        if (r >= 0)
                r = caps_parse(caps->permitted, caps->n_permitted, &s->permitted, reterr_message);
        if (r >= 0)
                r = caps_parse(caps->ambient, caps->n_ambient, &s->ambient, reterr_message);
        if (r >= 0)
                r = caps_validate(s, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "process");

        return 0;
}

static rlim_t rlimit_value(uint64_t value)
{
        return value == UINT64_MAX ? RLIM_INFINITY : (rlim_t) value;
}

static int parse_rlimits(ProcessPlan *plan, const Grpc__Process *process, char **reterr_message)
{
        for (size_t i = 0; i < process->n_rlimits; i++) {
                const Grpc__POSIXRlimit *in = process->rlimits[i];
                int resource = rlimit_from_name(in->type);

                if (resource < 0)
                        return error_setf(reterr_message, -EINVAL, "process: unknown limit '%.50s'",
                                          in->type);
                for (size_t k = 0; k < plan->n_rlimits; k++)
                        if (plan->rlimits[k].resource == resource)
                                return error_setf(reterr_message, -EINVAL,
                                                "process: %s is given twice", in->type);
                if (in->soft > in->hard)
                        return error_setf(reterr_message, -EINVAL,
                                        "process: %s has a soft limit above the hard one",
                                        in->type);

                plan->rlimits[plan->n_rlimits++] = (RlimitEntry) {
                        .resource = resource,
                        .name = rlimit_names[resource],
                        .limit = {
                                .rlim_cur = rlimit_value(in->soft),
                                .rlim_max = rlimit_value(in->hard),
                        },
                };
        }

        return 0;
}

static int refuse_unsupported(const Grpc__Process *process, char **reterr_message)
{
        const char *what = !isempty(process->apparmorprofile) ? "apparmorProfile"
                           : !isempty(process->selinuxlabel)  ? "selinuxLabel"
                                                              : NULL;

        return what ? error_setf(reterr_message, -EOPNOTSUPP, "process: %s is not supported", what)
                    : 0;
}

/* Without a terminal a size says nothing, and is not looked at. */
static int parse_terminal(ProcessPlan *plan, const Grpc__Process *process, char **reterr_message)
{
        const Grpc__Box *size = process->consolesize;

        plan->terminal = process->terminal;
        if (!plan->terminal || !size)
                return 0;
        if (size->height > UINT16_MAX || size->width > UINT16_MAX)
                return error_setf(reterr_message, -ERANGE, "process: consoleSize %ux%u is too large",
                                  size->width, size->height);

        plan->rows = (uint16_t) size->height;
        plan->columns = (uint16_t) size->width;
        return 0;
}

int process_plan_parse(ProcessPlan *ret, const Grpc__Process *process, char **reterr_message)
{
        _cleanup_(process_plan_done) ProcessPlan plan = {};
        int r;

        if (!process)
                return error_setf(reterr_message, -EINVAL, "configuration has no process");

        r = refuse_unsupported(process, reterr_message);
        if (r >= 0)
                r = copy_strings(&plan.args, process->args, process->n_args, CONTAINER_ARGS_MAX,
                                 "arguments", reterr_message);
        if (r < 0)
                return r;
        if (plan.args.n == 0 || isempty(plan.args.v[0]))
                return error_setf(reterr_message, -EINVAL, "process: no program to run");

        r = path_normalize(process->cwd, &plan.cwd);
        if (r < 0)
                return error_setf(reterr_message, r,
                                "process: cwd '%.200s' is not a valid absolute path",
                                strempty(process->cwd));

        if (process->oomscoreadj < -OOM_SCORE_ADJ_LIMIT ||
                        process->oomscoreadj > OOM_SCORE_ADJ_LIMIT)
                return error_setf(reterr_message, -ERANGE, "process: oomScoreAdj is out of range");
        plan.oom_score_adj = (int) process->oomscoreadj;
        plan.no_new_privileges = process->nonewprivileges;

        r = parse_env(&plan, process, reterr_message);
        if (r >= 0)
                r = parse_terminal(&plan, process, reterr_message);
        if (r >= 0)
                r = parse_user(&plan, process->user, reterr_message);
        if (r >= 0)
                r = parse_caps(&plan, process->capabilities, reterr_message);
        if (r >= 0)
                r = parse_rlimits(&plan, process, reterr_message);
        if (r < 0)
                return r;

        *ret = plan;
        plan = (ProcessPlan) {};
        return 0;
}
