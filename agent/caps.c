/* SPDX-License-Identifier: Apache-2.0 */
/* Capability sets: see caps.h. Guest side. */

#include "agent/caps.h"

#include <linux/capability.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "basic/error.h"

static const char *const cap_names[] = {
        [CAP_CHOWN] = "CAP_CHOWN",
        [CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
        [CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
        [CAP_FOWNER] = "CAP_FOWNER",
        [CAP_FSETID] = "CAP_FSETID",
        [CAP_KILL] = "CAP_KILL",
        [CAP_SETGID] = "CAP_SETGID",
        [CAP_SETUID] = "CAP_SETUID",
        [CAP_SETPCAP] = "CAP_SETPCAP",
        [CAP_LINUX_IMMUTABLE] = "CAP_LINUX_IMMUTABLE",
        [CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
        [CAP_NET_BROADCAST] = "CAP_NET_BROADCAST",
        [CAP_NET_ADMIN] = "CAP_NET_ADMIN",
        [CAP_NET_RAW] = "CAP_NET_RAW",
        [CAP_IPC_LOCK] = "CAP_IPC_LOCK",
        [CAP_IPC_OWNER] = "CAP_IPC_OWNER",
        [CAP_SYS_MODULE] = "CAP_SYS_MODULE",
        [CAP_SYS_RAWIO] = "CAP_SYS_RAWIO",
        [CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
        [CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
        [CAP_SYS_PACCT] = "CAP_SYS_PACCT",
        [CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
        [CAP_SYS_BOOT] = "CAP_SYS_BOOT",
        [CAP_SYS_NICE] = "CAP_SYS_NICE",
        [CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
        [CAP_SYS_TIME] = "CAP_SYS_TIME",
        [CAP_SYS_TTY_CONFIG] = "CAP_SYS_TTY_CONFIG",
        [CAP_MKNOD] = "CAP_MKNOD",
        [CAP_LEASE] = "CAP_LEASE",
        [CAP_AUDIT_WRITE] = "CAP_AUDIT_WRITE",
        [CAP_AUDIT_CONTROL] = "CAP_AUDIT_CONTROL",
        [CAP_SETFCAP] = "CAP_SETFCAP",
        [CAP_MAC_OVERRIDE] = "CAP_MAC_OVERRIDE",
        [CAP_MAC_ADMIN] = "CAP_MAC_ADMIN",
        [CAP_SYSLOG] = "CAP_SYSLOG",
        [CAP_WAKE_ALARM] = "CAP_WAKE_ALARM",
        [CAP_BLOCK_SUSPEND] = "CAP_BLOCK_SUSPEND",
        [CAP_AUDIT_READ] = "CAP_AUDIT_READ",
        [CAP_PERFMON] = "CAP_PERFMON",
        [CAP_BPF] = "CAP_BPF",
        [CAP_CHECKPOINT_RESTORE] = "CAP_CHECKPOINT_RESTORE",
};

int cap_from_name(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(cap_names); i++)
                if (strcasecmp(cap_names[i], name) == 0)
                        return (int) i;

        return -EINVAL;
}

const char *cap_to_name(unsigned cap)
{
        return cap < ELEMENTSOF(cap_names) ? cap_names[cap] : NULL;
}

int caps_parse(char *const *names, size_t n, uint64_t *mask, char **reterr_message)
{
        for (size_t i = 0; i < n; i++) {
                int cap = cap_from_name(names[i]);

                if (cap < 0)
                        return error_setf(reterr_message, -EINVAL, "unknown capability '%s'",
                                          names[i]);
                *mask |= UINT64_C(1) << cap;
        }

        return 0;
}

static int refuse(uint64_t excess, const char *set, const char *base, char **reterr_message)
{
        if (excess == 0)
                return 0;

        return error_setf(reterr_message, -EINVAL,
                        "capability %s is in the %s set but not in the %s set",
                        cap_to_name((unsigned) __builtin_ctzll(excess)), set, base);
}

int caps_validate(const CapSets *sets, char **reterr_message)
{
        int r;

        r = refuse(sets->effective & ~sets->permitted, "effective", "permitted", reterr_message);
        if (r < 0)
                return r;

        /* The agent's inheritable set is empty: only the bounding set allows to add to it. */
        r = refuse(sets->inheritable & ~sets->bounding, "inheritable", "bounding", reterr_message);
        if (r < 0)
                return r;

        r = refuse(sets->ambient & ~sets->permitted, "ambient", "permitted", reterr_message);
        if (r < 0)
                return r;

        return refuse(sets->ambient & ~sets->inheritable, "ambient", "inheritable", reterr_message);
}

int caps_drop_bounding(const CapSets *sets)
{
        for (unsigned cap = 0; cap < 64; cap++) {
                if (sets->bounding & (UINT64_C(1) << cap))
                        continue;

                /* EINVAL: past the last capability of this kernel. */
                if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) < 0)
                        break;
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
                        return negative_errno();
        }

        return 0;
}

static int caps_set(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        for (unsigned i = 0; i < ELEMENTSOF(data); i++)
                data[i] = (struct __user_cap_data_struct) {
                        .effective = (uint32_t) (effective >> (32 * i)),
                        .permitted = (uint32_t) (permitted >> (32 * i)),
                        .inheritable = (uint32_t) (inheritable >> (32 * i)),
                };

        return syscall(SYS_capset, &header, data) < 0 ? negative_errno() : 0;
}

int caps_raise_effective(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (syscall(SYS_capget, &header, data) < 0)
                return negative_errno();

        for (unsigned i = 0; i < ELEMENTSOF(data); i++)
                data[i].effective = data[i].permitted;

        return syscall(SYS_capset, &header, data) < 0 ? negative_errno() : 0;
}

int caps_apply(const CapSets *sets)
{
        int r;

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return negative_errno();

        r = caps_set(sets->effective, sets->permitted, sets->inheritable);
        if (r < 0)
                return r;

        for (unsigned cap = 0; cap < 64; cap++)
                if (sets->ambient & (UINT64_C(1) << cap) &&
                    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
                        return negative_errno();

        return 0;
}
