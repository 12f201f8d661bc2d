/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of system call filters, whose programs are run here. No root. */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/container-seccomp.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

#define S(s) ((char *) (s))

/* Classic BPF, as far as libseccomp generates it. */
static uint32_t run_filter(const struct sock_filter *f, size_t n, const struct seccomp_data *data)
{
        uint32_t a = 0, value;

        for (size_t pc = 0; pc < n; pc++) {
                const struct sock_filter *i = &f[pc];

                switch (i->code) {
                case BPF_LD | BPF_W | BPF_ABS:
                        memcpy(&a, (const char *) data + i->k, sizeof(a));
                        break;
                case BPF_ALU | BPF_AND | BPF_K:
                        a &= i->k;
                        break;
                case BPF_JMP | BPF_JA:
                        pc += i->k;
                        break;
                case BPF_RET | BPF_K:
                        return i->k;
                default:
                        switch (BPF_OP(i->code)) {
                        case BPF_JEQ:
                                value = a == i->k;
                                break;
                        case BPF_JGT:
                                value = a > i->k;
                                break;
                        case BPF_JGE:
                                value = a >= i->k;
                                break;
                        default:
                                TEST_FAIL("unknown instruction %x", i->code);
                        }
                        pc += value ? i->jt : i->jf;
                }
        }

        TEST_FAIL("fell off the end");
}

typedef struct Filter {
        Grpc__LinuxSeccomp in;
        Grpc__LinuxSyscall rule, *rules[1];
        Grpc__LinuxSeccompArg args[2], *arg_list[2];
        char *names[3];
} Filter;

static void filter_init(Filter *f, const char *default_action, const char *name, const char *action)
{
        memset(f, 0, sizeof(*f));
        f->in = (Grpc__LinuxSeccomp) GRPC__LINUX_SECCOMP__INIT;
        f->rule = (Grpc__LinuxSyscall) GRPC__LINUX_SYSCALL__INIT;
        f->in.defaultaction = S(default_action);
        f->in.syscalls = f->rules;
        f->in.n_syscalls = 1;
        f->rules[0] = &f->rule;
        f->rule.names = f->names;
        f->rule.n_names = 1;
        f->names[0] = S(name);
        f->rule.action = S(action);
        f->rule.args = f->arg_list;
        for (size_t i = 0; i < 2; i++) {
                f->args[i] = (Grpc__LinuxSeccompArg) GRPC__LINUX_SECCOMP_ARG__INIT;
                f->args[i].op = S("SCMP_CMP_EQ");
                f->arg_list[i] = &f->args[i];
        }
}

static uint32_t filter_result(Filter *f, int nr, uint64_t arg0)
{
        _cleanup_(seccomp_plan_freep) SeccompPlan *plan = NULL;
        struct sock_filter program[512];
        _cleanup_close_ int fd = ASSERT_OK(memfd_create("filter", MFD_CLOEXEC));
        struct seccomp_data data = { .nr = nr, .arch = seccomp_arch_native(), .args = { arg0 } };
        ssize_t n;

        ASSERT_OK(seccomp_plan_parse(&plan, &f->in, NULL));
        ASSERT_OK(seccomp_plan_export(plan, fd));
        n = pread(fd, program, sizeof(program), 0);
        ASSERT_TRUE(n > 0 && (size_t) n < sizeof(program));
        return run_filter(program, (size_t) n / sizeof(program[0]), &data);
}

TEST(seccomp)
{
        int mkdir_nr = seccomp_syscall_resolve_name("mkdirat");
        int personality_nr = seccomp_syscall_resolve_name("personality");
        int getpid_nr = seccomp_syscall_resolve_name("getpid");
        Filter f;

        filter_init(&f, "SCMP_ACT_ALLOW", "mkdirat", "SCMP_ACT_ERRNO");
        ASSERT_EQ(filter_result(&f, mkdir_nr, 0), SECCOMP_RET_ERRNO | EPERM);
        ASSERT_EQ(filter_result(&f, getpid_nr, 0), SECCOMP_RET_ALLOW);
        f.rule.errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
        f.rule.errnoret = ENOSYS;
        ASSERT_EQ(filter_result(&f, mkdir_nr, 0), SECCOMP_RET_ERRNO | ENOSYS);

        /* Unknown names are left out, known ones beside them stay. */
        f.names[1] = S("no_such_call");
        f.names[2] = S("getpid");
        f.rule.n_names = 3;
        ASSERT_EQ(filter_result(&f, getpid_nr, 0), SECCOMP_RET_ERRNO | ENOSYS);

        /* Docker's way to say "one of these values": two conditions on one argument. */
        filter_init(&f, "SCMP_ACT_ERRNO", "personality", "SCMP_ACT_ALLOW");
        f.rule.n_args = 2;
        f.args[0].value = 0;
        f.args[1].value = 8;
        ASSERT_EQ(filter_result(&f, personality_nr, 0), SECCOMP_RET_ALLOW);
        ASSERT_EQ(filter_result(&f, personality_nr, 8), SECCOMP_RET_ALLOW);
        ASSERT_EQ(filter_result(&f, personality_nr, 4), SECCOMP_RET_ERRNO | EPERM);

        filter_init(&f, "SCMP_ACT_ALLOW", "personality", "SCMP_ACT_KILL_PROCESS");
        f.rule.n_args = 1;
        f.args[0].op = S("SCMP_CMP_MASKED_EQ");
        f.args[0].value = 0xf0;
        f.args[0].valuetwo = 0x20;
        ASSERT_EQ(filter_result(&f, personality_nr, 0x2f), SECCOMP_RET_KILL_PROCESS);
        ASSERT_EQ(filter_result(&f, personality_nr, 0x3f), SECCOMP_RET_ALLOW);
}

#define ASSERT_FILTER_REFUSED(f, error, text)                                                      \
        ({                                                                                         \
                _cleanup_free_ char *_m_ = NULL;                                                   \
                SeccompPlan *_p_;                                                                  \
                ASSERT_ERROR(seccomp_plan_parse(&_p_, &(f)->in, &_m_), error);                     \
                ASSERT_CONTAINS(_m_, text);                                                        \
        })

/* Each operator, with a value below, at and above the one that is compared with. */
TEST(seccomp_operators)
{
        static const struct {
                const char *op;
                bool below, equal, above;
        } cases[] = {
                { "SCMP_CMP_NE", true, false, true },  { "SCMP_CMP_LT", true, false, false },
                { "SCMP_CMP_LE", true, true, false },  { "SCMP_CMP_EQ", false, true, false },
                { "SCMP_CMP_GE", false, true, true },  { "SCMP_CMP_GT", false, false, true },
        };
        int nr = seccomp_syscall_resolve_name("personality");

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Filter f;

                filter_init(&f, "SCMP_ACT_ALLOW", "personality", "SCMP_ACT_TRAP");
                f.rule.n_args = 1;
                f.args[0].op = S(cases[i].op);
                f.args[0].value = 8;
                ASSERT_EQ(filter_result(&f, nr, 7) == SECCOMP_RET_TRAP, cases[i].below);
                ASSERT_EQ(filter_result(&f, nr, 8) == SECCOMP_RET_TRAP, cases[i].equal);
                ASSERT_EQ(filter_result(&f, nr, 9) == SECCOMP_RET_TRAP, cases[i].above);
        }
}

TEST(seccomp_actions)
{
        static const struct {
                const char *action;
                uint32_t result;
        } cases[] = {
                { "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD },
                { "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD },
                { "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS },
                { "SCMP_ACT_TRAP", SECCOMP_RET_TRAP },
                { "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO | EPERM },
                { "SCMP_ACT_TRACE", SECCOMP_RET_TRACE | EPERM },
                { "SCMP_ACT_LOG", SECCOMP_RET_LOG },
        };
        int nr = seccomp_syscall_resolve_name("getpid");

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Filter f;

                filter_init(&f, "SCMP_ACT_ALLOW", "getpid", cases[i].action);
                ASSERT_EQ(filter_result(&f, nr, 0), cases[i].result);
        }
}

TEST(seccomp_refused)
{
        Filter f;

        filter_init(&f, "SCMP_ACT_MAYBE", "getpid", "SCMP_ACT_ALLOW");
        ASSERT_FILTER_REFUSED(&f, EINVAL, "SCMP_ACT_MAYBE");
        filter_init(&f, "SCMP_ACT_ALLOW", "getpid", "SCMP_ACT_NOTIFY");
        ASSERT_FILTER_REFUSED(&f, EOPNOTSUPP, "SCMP_ACT_NOTIFY is not supported (nobody listens");
        filter_init(&f, "SCMP_ACT_ALLOW", "getpid", "SCMP_ACT_ERRNO");
        f.rule.n_names = 0;
        ASSERT_FILTER_REFUSED(&f, EINVAL, "names");
        filter_init(&f, "SCMP_ACT_ALLOW", "getpid", "SCMP_ACT_ERRNO");
        f.rule.n_args = 1;
        f.args[0].index = 6;
        ASSERT_FILTER_REFUSED(&f, EINVAL, "index");
        f.args[0].index = 0;
        f.args[0].op = S("SCMP_CMP_LIKE");
        ASSERT_FILTER_REFUSED(&f, EINVAL, "SCMP_CMP_LIKE");
        filter_init(&f, "SCMP_ACT_ALLOW", "getpid", "SCMP_ACT_ERRNO");
        f.names[1] = S("SCMP_ARCH_Z80");
        f.in.architectures = f.names + 1;
        f.in.n_architectures = 1;
        ASSERT_FILTER_REFUSED(&f, EINVAL, "SCMP_ARCH_Z80");
        filter_init(&f, "SCMP_ACT_ALLOW", "getpid", "SCMP_ACT_ERRNO");
        f.names[1] = S("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
        f.in.flags = f.names + 1;
        f.in.n_flags = 1;
        ASSERT_FILTER_REFUSED(&f, EOPNOTSUPP, "WAIT_KILLABLE");
}

DEFINE_TEST_MAIN
