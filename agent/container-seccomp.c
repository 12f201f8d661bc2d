/* SPDX-License-Identifier: Apache-2.0 */
/* OCI system call filters: see container-seccomp.h. Input comes from the host. */

#include "agent/container-seccomp.h"

#include <seccomp.h>

#include "basic/error.h"
#include "basic/limits.h"

#define ARGS_MAX 6U
#define ARCHITECTURES_MAX 24U

typedef struct SeccompRule {
        int syscall;
        uint32_t action;
        unsigned n_args;
        struct scmp_arg_cmp args[ARGS_MAX];
} SeccompRule;

struct SeccompPlan {
        uint32_t default_action;
        bool log, spec_allow;
        uint32_t architectures[ARCHITECTURES_MAX];
        size_t n_architectures;
        SeccompRule *rules;
        size_t n_rules, n_allocated;
};

/* Value: the action without its data. SCMP_ACT_NOTIFY needs a listener outside and is not built. */
static const struct {
        const char *name;
        uint32_t action;
        bool has_errno;
} actions[] = {
        { "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, false },
        { "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false },
        { "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false },
        { "SCMP_ACT_TRAP", SCMP_ACT_TRAP, false },
        { "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true },
        { "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true },
        { "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false },
        { "SCMP_ACT_LOG", SCMP_ACT_LOG, false },
};

static const struct {
        const char *name;
        uint32_t arch;
} architectures[] = {
        { "SCMP_ARCH_X86", SCMP_ARCH_X86 },
        { "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
        { "SCMP_ARCH_X32", SCMP_ARCH_X32 },
        { "SCMP_ARCH_ARM", SCMP_ARCH_ARM },
        { "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
        { "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS },
        { "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
        { "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 },
        { "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
        { "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 },
        { "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
        { "SCMP_ARCH_PPC", SCMP_ARCH_PPC },
        { "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 },
        { "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
        { "SCMP_ARCH_S390", SCMP_ARCH_S390 },
        { "SCMP_ARCH_S390X", SCMP_ARCH_S390X },
        { "SCMP_ARCH_PARISC", SCMP_ARCH_PARISC },
        { "SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64 },
        { "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64 },
        /* libseccomp 2.6 */
#ifdef SCMP_ARCH_LOONGARCH64
        { "SCMP_ARCH_LOONGARCH64", SCMP_ARCH_LOONGARCH64 },
#endif
#ifdef SCMP_ARCH_M68K
        { "SCMP_ARCH_M68K", SCMP_ARCH_M68K },
#endif
#ifdef SCMP_ARCH_SH
        { "SCMP_ARCH_SH", SCMP_ARCH_SH },
#endif
#ifdef SCMP_ARCH_SHEB
        { "SCMP_ARCH_SHEB", SCMP_ARCH_SHEB },
#endif
};

static const struct {
        const char *name;
        enum scmp_compare op;
} operators[] = {
        { "SCMP_CMP_NE", SCMP_CMP_NE },
        { "SCMP_CMP_LT", SCMP_CMP_LT },
        { "SCMP_CMP_LE", SCMP_CMP_LE },
        { "SCMP_CMP_EQ", SCMP_CMP_EQ },
        { "SCMP_CMP_GE", SCMP_CMP_GE },
        { "SCMP_CMP_GT", SCMP_CMP_GT },
        { "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

SeccompPlan *seccomp_plan_free(SeccompPlan *plan)
{
        if (!plan)
                return NULL;

        free(plan->rules);
        free(plan);
        return NULL;
}

size_t seccomp_plan_rules(const SeccompPlan *plan)
{
        return plan->n_rules;
}

/* errno_value < 0: not given, then EPERM as in runc. */
static int parse_action(const char *name, int64_t errno_value, uint32_t *ret, char **reterr_message)
{
        for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
                if (!streq(actions[i].name, name))
                        continue;
                if (!actions[i].has_errno)
                        *ret = actions[i].action;
                else {
                        if (errno_value > 4095)
                                return error_setf(reterr_message, -ERANGE,
                                                  "seccomp: errno %lld is out of range",
                                                  (long long) errno_value);
                        *ret = actions[i].action |
                               (uint32_t) (errno_value < 0 ? EPERM : errno_value);
                }
                return 0;
        }

        if (streq(name, "SCMP_ACT_NOTIFY"))
                return error_setf(reterr_message, -EOPNOTSUPP,
                                  "seccomp: %s is not supported (nobody listens in the guest)", name);

        return error_setf(reterr_message, -EINVAL, "seccomp: unknown action '%.50s'", name);
}

static int parse_flags(SeccompPlan *plan, const Grpc__LinuxSeccomp *in, char **reterr_message)
{
        for (size_t i = 0; i < in->n_flags; i++) {
                const char *flag = in->flags[i];

                if (streq(flag, "SECCOMP_FILTER_FLAG_LOG"))
                        plan->log = true;
                else if (streq(flag, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"))
                        plan->spec_allow = true;
                /* One thread: nothing to sync. */
                else if (!streq(flag, "SECCOMP_FILTER_FLAG_TSYNC"))
                        return error_setf(reterr_message, -EOPNOTSUPP,
                                          "seccomp: flag '%.50s' is not supported", flag);
        }

        return 0;
}

static int parse_architectures(SeccompPlan *plan, const Grpc__LinuxSeccomp *in,
                               char **reterr_message)
{
        for (size_t i = 0; i < in->n_architectures; i++) {
                uint32_t arch = 0;

                for (size_t k = 0; k < ELEMENTSOF(architectures) && arch == 0; k++)
                        if (streq(architectures[k].name, in->architectures[i]))
                                arch = architectures[k].arch;
                if (arch == 0)
                        return error_setf(reterr_message, -EINVAL,
                                        "seccomp: unknown architecture '%.50s'",
                                        in->architectures[i]);
                if (plan->n_architectures == ARCHITECTURES_MAX)
                        return error_setf(reterr_message, -E2BIG,
                                          "seccomp: too many architectures");
                plan->architectures[plan->n_architectures++] = arch;
        }

        return 0;
}

static int parse_arg(struct scmp_arg_cmp *ret, const Grpc__LinuxSeccompArg *in,
                     char **reterr_message)
{
        if (in->index >= ARGS_MAX)
                return error_setf(reterr_message, -EINVAL, "seccomp: argument index out of range");

        for (size_t i = 0; i < ELEMENTSOF(operators); i++)
                if (streq(operators[i].name, in->op)) {
                        *ret = (struct scmp_arg_cmp) {
                                .arg = (unsigned) in->index,
                                .op = operators[i].op,
                                .datum_a = in->value,
                                .datum_b = in->valuetwo,
                        };
                        return 0;
                }

        return error_setf(reterr_message, -EINVAL, "seccomp: unknown operator '%.50s'", in->op);
}

static int add_rule(SeccompPlan *plan, const SeccompRule *rule)
{
        if (plan->n_rules == plan->n_allocated) {
                size_t n = plan->n_allocated > 0 ? plan->n_allocated * 2 : 64;
                SeccompRule *grown = reallocarray(plan->rules, n, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                plan->rules = grown;
                plan->n_allocated = n;
        }

        plan->rules[plan->n_rules++] = *rule;
        return 0;
}

static int parse_syscall(SeccompPlan *plan, const Grpc__LinuxSyscall *in, char **reterr_message)
{
        bool given = in->errno_ret_case == GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
        struct scmp_arg_cmp args[ARGS_MAX];
        bool alternatives = false;
        uint32_t action;
        unsigned seen = 0;
        int r;

        r = parse_action(in->action, given ? (int64_t) in->errnoret : -1, &action, reterr_message);
        if (r < 0)
                return r;
        if (in->n_names == 0)
                return error_setf(reterr_message, -EINVAL,
                                  "seccomp: rule without system call names");
        if (in->n_args > ARGS_MAX)
                return error_setf(reterr_message, -E2BIG,
                                "seccomp: more than %u argument conditions", ARGS_MAX);

        /*
         * Conditions on one argument exclude each other as often as not, and libseccomp does not
         * take two of them in one rule: as in runc each then is a rule of its own, so that they are
         * ORed.
         */
        for (size_t i = 0; i < in->n_args; i++) {
                r = parse_arg(&args[i], in->args[i], reterr_message);
                if (r < 0)
                        return r;
                alternatives = alternatives || seen & 1U << args[i].arg;
                seen |= 1U << args[i].arg;
        }

        /* libseccomp refuses rules that say what the default says. */
        if (action == plan->default_action)
                return 0;

        for (size_t i = 0; i < in->n_names; i++) {
                SeccompRule rule = { .action = action };

                rule.syscall = seccomp_syscall_resolve_name(in->names[i]);
                if (rule.syscall == __NR_SCMP_ERROR)
                        continue;

                if (alternatives) {
                        rule.n_args = 1;
                        for (size_t k = 0; k < in->n_args && r >= 0; k++) {
                                rule.args[0] = args[k];
                                r = add_rule(plan, &rule);
                        }
                } else {
                        rule.n_args = (unsigned) in->n_args;
                        memcpy(rule.args, args, sizeof(args[0]) * in->n_args);
                        r = add_rule(plan, &rule);
                }
                if (r < 0)
                        return r;
        }

        return 0;
}

int seccomp_plan_parse(SeccompPlan **ret, const Grpc__LinuxSeccomp *in, char **reterr_message)
{
        _cleanup_(seccomp_plan_freep) SeccompPlan *plan = new0(SeccompPlan, 1);
        size_t names = 0;
        int r;

        if (!plan)
                return -ENOMEM;

        r = parse_action(in->defaultaction, -1, &plan->default_action, reterr_message);
        if (r >= 0)
                r = parse_flags(plan, in, reterr_message);
        if (r >= 0)
                r = parse_architectures(plan, in, reterr_message);
        if (r < 0)
                return r;

        if (in->n_syscalls > SPEC_SYSCALL_RULES_MAX)
                return error_setf(reterr_message, -E2BIG, "seccomp: more than %u rules",
                                  SPEC_SYSCALL_RULES_MAX);
        for (size_t i = 0; i < in->n_syscalls; i++) {
                names += in->syscalls[i]->n_names;
                if (names > SPEC_SYSCALL_NAMES_MAX)
                        return error_setf(reterr_message, -E2BIG,
                                        "seccomp: more than %u system calls",
                                        SPEC_SYSCALL_NAMES_MAX);
                r = parse_syscall(plan, in->syscalls[i], reterr_message);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(plan);
        return 0;
}

static void filter_releasep(scmp_filter_ctx *ctx)
{
        if (*ctx)
                seccomp_release(*ctx);
}

static int build(const SeccompPlan *plan, scmp_filter_ctx *ret, char **reterr_message)
{
        _cleanup_(filter_releasep) scmp_filter_ctx ctx = seccomp_init(plan->default_action);
        int r = 0;

        if (!ctx)
                return -ENOMEM;

        for (size_t i = 0; i < plan->n_architectures && r >= 0; i++) {
                r = seccomp_arch_add(ctx, plan->architectures[i]);
                r = r == -EEXIST ? 0 : r;
        }
        /* no_new_privs is the configuration's decision, not the library's. */
        if (r >= 0)
                r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
        if (r >= 0 && plan->log)
                r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
        if (r >= 0 && plan->spec_allow)
                r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
        if (r < 0)
                return error_setf(reterr_message, r, "seccomp: cannot set up the filter: %s",
                                  strerror(-r));

        for (size_t i = 0; i < plan->n_rules; i++) {
                const SeccompRule *rule = &plan->rules[i];

                r = seccomp_rule_add_array(ctx, rule->action, rule->syscall, rule->n_args,
                                           rule->args);
                if (r < 0 && r != -EEXIST)
                        return error_setf(reterr_message, r, "seccomp: rule %zu is refused: %s", i,
                                          strerror(-r));
        }

        *ret = TAKE_PTR(ctx);
        return 0;
}

int seccomp_plan_load(const SeccompPlan *plan, char **reterr_message)
{
        scmp_filter_ctx ctx;
        int r;

        r = build(plan, &ctx, reterr_message);
        if (r < 0)
                return r;

        /* Not released: the filter may forbid what free() needs, and exec is next anyway. */
        r = seccomp_load(ctx);
        if (r < 0)
                return error_setf(reterr_message, r, "seccomp: the kernel refuses the filter: %s",
                                  strerror(-r));

        return 0;
}

int seccomp_plan_export(const SeccompPlan *plan, int fd)
{
        _cleanup_(filter_releasep) scmp_filter_ctx ctx = NULL;
        int r;

        r = build(plan, &ctx, NULL);
        if (r < 0)
                return r;

        return seccomp_export_bpf(ctx, fd);
}
