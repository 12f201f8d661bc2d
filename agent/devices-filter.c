/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules as a BPF program: see devices.h. Runs in the agent, before the container exists. */

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/devices.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"

/* The start, the end, and at most eight instructions for a rule. */
#define INSNS_FIXED 9U
#define INSNS_RULE_MAX 8U
#define LOAD_ATTEMPTS_MAX 8U

enum {
        REG_RESULT = BPF_REG_0,
        REG_CONTEXT = BPF_REG_1,
        REG_TYPE = BPF_REG_2,
        REG_ACCESS = BPF_REG_3,         /* what is asked for and not yet granted */
        REG_MAJOR = BPF_REG_4,
        REG_MINOR = BPF_REG_5,
};

typedef struct Program {
        struct bpf_insn *insns;
        size_t n;
} Program;

static void emit(Program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
        p->insns[p->n++] = (struct bpf_insn) {
                .code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm,
        };
}

static void emit_load(Program *p, uint8_t dst, size_t offset)
{
        emit(p, BPF_LDX | BPF_MEM | BPF_W, dst, REG_CONTEXT, (int16_t) offset, 0);
}

static void emit_return(Program *p, int32_t value)
{
        emit(p, BPF_ALU64 | BPF_MOV | BPF_K, REG_RESULT, 0, 0, value);
        emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_rule(Program *p, const DeviceRule *rule)
{
        size_t jumps[3], n_jumps = 0;

        if (rule->type != 'a') {
                jumps[n_jumps++] = p->n;
                emit(p, BPF_JMP | BPF_JNE | BPF_K, REG_TYPE, 0, 0,
                     rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
        }
        if (rule->major != DEVICE_ANY) {
                jumps[n_jumps++] = p->n;
                emit(p, BPF_JMP | BPF_JNE | BPF_K, REG_MAJOR, 0, 0, (int32_t) rule->major);
        }
        if (rule->minor != DEVICE_ANY) {
                jumps[n_jumps++] = p->n;
                emit(p, BPF_JMP | BPF_JNE | BPF_K, REG_MINOR, 0, 0, (int32_t) rule->minor);
        }

        if (rule->allow) {
                emit(p, BPF_ALU64 | BPF_AND | BPF_K, REG_ACCESS, 0, 0, (int32_t) ~rule->access);
                emit(p, BPF_JMP | BPF_JNE | BPF_K, REG_ACCESS, 0, 2, 0);
                emit_return(p, 1);
        } else {
                emit(p, BPF_JMP | BPF_JSET | BPF_K, REG_ACCESS, 0, 1, (int32_t) rule->access);
                emit(p, BPF_JMP | BPF_JA, 0, 0, 2, 0);
                emit_return(p, 0);
        }

        /* Another device: on to the next rule. */
        for (size_t i = 0; i < n_jumps; i++)
                p->insns[jumps[i]].off = (int16_t) (p->n - jumps[i] - 1);
}

int device_filter_build(const DeviceRule *rules, size_t n, struct bpf_insn **ret, size_t *ret_n)
{
        Program p = {};
        bool final = false;

        if (n > SPEC_DEVICE_RULES_MAX + 64)
                return -E2BIG;

        p.insns = new0(struct bpf_insn, INSNS_FIXED + n * INSNS_RULE_MAX);
        if (!p.insns)
                return -ENOMEM;

        /* access_type: access in the upper half, type in the lower one */
        emit_load(&p, REG_TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
        emit(&p, BPF_ALU64 | BPF_MOV | BPF_X, REG_ACCESS, REG_TYPE, 0, 0);
        emit(&p, BPF_ALU64 | BPF_AND | BPF_K, REG_TYPE, 0, 0, 0xFFFF);
        emit(&p, BPF_ALU64 | BPF_RSH | BPF_K, REG_ACCESS, 0, 0, 16);
        emit_load(&p, REG_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
        emit_load(&p, REG_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));

        /* A rule for everything ends it; the verifier refuses code that nothing reaches. */
        for (size_t i = n; i > 0 && !final; i--) {
                const DeviceRule *rule = &rules[i - 1];

                final = rule->type == 'a' && rule->major == DEVICE_ANY &&
                        rule->minor == DEVICE_ANY &&
                        rule->access == (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ |
                                                        BPF_DEVCG_ACC_WRITE);
                if (final)
                        emit_return(&p, rule->allow);
                else
                        emit_rule(&p, rule);
        }
        if (!final)
                emit_return(&p, 0);

        *ret = p.insns;
        *ret_n = p.n;
        return 0;
}

static int bpf_call(int cmd, union bpf_attr *attr)
{
        int r = (int) syscall(SYS_bpf, cmd, attr, sizeof(*attr));

        return r < 0 ? negative_errno() : r;
}

static int attach(int cgroup_fd, int prog_fd, int old_fd)
{
        union bpf_attr attr;

        memset(&attr, 0, sizeof(attr));
        attr.target_fd = (uint32_t) cgroup_fd;
        attr.attach_bpf_fd = (uint32_t) prog_fd;
        attr.attach_type = BPF_CGROUP_DEVICE;
        /* The tenant may add filters of its own further down; all of them must agree. */
        attr.attach_flags = BPF_F_ALLOW_MULTI;
        if (old_fd >= 0) {
                attr.attach_flags |= BPF_F_REPLACE;
                attr.replace_bpf_fd = (uint32_t) old_fd;
        }

        return bpf_call(BPF_PROG_ATTACH, &attr);
}

/*
 * The verifier gives up with EAGAIN when a signal is pending (kernel 4.20), and SIGCHLD comes whenever a process of
 * another container ends. Kept back, signals can not do that; what else wakes a task (freezer, debugger) is over at
 * the next attempt.
 */
static int load(union bpf_attr *attr)
{
        sigset_t all, before;
        int fd = -EAGAIN;

        sigfillset(&all);
        if (sigprocmask(SIG_SETMASK, &all, &before) < 0)
                return negative_errno();
        for (unsigned i = 0; fd == -EAGAIN && i < LOAD_ATTEMPTS_MAX; i++)
                fd = bpf_call(BPF_PROG_LOAD, attr);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return fd;
}

int device_filter_attach(int cgroup_fd, const struct bpf_insn *insns, size_t n, int old_fd,
                         char **reterr_message)
{
        _cleanup_close_ int prog_fd = -EBADF;
        union bpf_attr attr;
        int r;

        memset(&attr, 0, sizeof(attr));
        attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
        attr.insn_cnt = (uint32_t) n;
        attr.insns = (uint64_t) (uintptr_t) insns;
        /* No helper is called, so the licence does not matter to the kernel. */
        attr.license = (uint64_t) (uintptr_t) "Apache-2.0";
        memcpy(attr.prog_name, "kata_devices", sizeof("kata_devices"));

        prog_fd = load(&attr);
        if (prog_fd < 0)
                return error_setf(reterr_message, prog_fd, "cannot load the device filter: %s",
                                  strerror(-prog_fd));

        r = attach(cgroup_fd, prog_fd, old_fd);
        if (r < 0)
                return error_setf(reterr_message, r, "cannot attach the device filter: %s",
                                strerror(-r));

        return TAKE_FD(prog_fd);
}

int device_filter_restore(int cgroup_fd, int prog_fd, int current_fd)
{
        return attach(cgroup_fd, prog_fd, current_fd);
}
