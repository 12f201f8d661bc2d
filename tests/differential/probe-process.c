/* SPDX-License-Identifier: Apache-2.0 */
/* What the process is: see probe.h. */

#include "tests/differential/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

static void report_status(void)
{
        static const char *const wanted[] = {
                "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "CapInh", "CapPrm", "CapEff",
                "CapBnd", "CapAmb", "SigBlk", "SigIgn", "SigCgt", "Umask", "Cpus_allowed_list",
                "Mems_allowed_list", "Threads", "CoreDumping", "THP_enabled", "Speculation_Store_Bypass",
        };
        static char text[16384];
        char *save = NULL;

        if (!read_text("/proc/self/status", text, sizeof(text)))
                return put("status", "%s", text);

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *value = strchr(line, ':'), key[64];

                if (!value)
                        continue;
                *value++ = '\0';
                value += strspn(value, "\t ");
                for (char *p = value; *p; p++)
                        if (*p == '\t')
                                *p = ' ';
                for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                        if (strcmp(wanted[i], line) == 0) {
                                snprintf(key, sizeof(key), "status.%s", line);
                                put(key, "%s", value);
                        }
        }
}

#define LIMIT(name) { #name, RLIMIT_##name }

static void report_limits(void)
{
        static const struct {
                const char *name;
                int resource;
        } limits[] = {
                LIMIT(AS), LIMIT(CORE), LIMIT(CPU), LIMIT(DATA), LIMIT(FSIZE), LIMIT(LOCKS), LIMIT(MEMLOCK),
                LIMIT(MSGQUEUE), LIMIT(NICE), LIMIT(NOFILE), LIMIT(NPROC), LIMIT(RSS), LIMIT(RTPRIO),
                LIMIT(RTTIME), LIMIT(SIGPENDING), LIMIT(STACK),
        };

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                struct rlimit l = {};
                char key[32];

                snprintf(key, sizeof(key), "limit.%s", limits[i].name);
                if (getrlimit((__rlimit_resource_t) limits[i].resource, &l) < 0)
                        put(key, "%s", result(-1));
                else
                        put(key, "%lld %lld", (long long) l.rlim_cur, (long long) l.rlim_max);
        }
}

/* As in linux/sched/types.h, which can not be included together with the one of libc. */
struct attributes {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t util_min, util_max;
};

static void report_scheduling(void)
{
        struct attributes a = { .size = sizeof(a) };
        char text[64];

        if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0)
                put("scheduler", "%s", result(-1));
        else
                put("scheduler", "policy=%u flags=%llu nice=%d priority=%u", a.policy, (unsigned long long) a.flags,
                    a.nice, a.priority);
        put("ioprio", "%ld", syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0));
        put("personality", "%#x", (unsigned) personality(0xffffffff));
        read_text("/proc/self/oom_score_adj", text, sizeof(text));
        put("oom_score_adj", "%s", text);
        read_text("/proc/self/coredump_filter", text, sizeof(text));
        put("coredump_filter", "%s", text);
}

static void report_prctl(void)
{
        static const struct {
                const char *name;
                int option;
        } options[] = {
                { "dumpable", PR_GET_DUMPABLE },     { "securebits", PR_GET_SECUREBITS },
                { "keepcaps", PR_GET_KEEPCAPS },     { "timerslack", PR_GET_TIMERSLACK },
                { "thp_disable", PR_GET_THP_DISABLE }, { "mce_kill", PR_MCE_KILL_GET },
        };
        int value = -1;

        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                char key[32];
                int r = prctl(options[i].option, 0, 0, 0, 0);

                snprintf(key, sizeof(key), "prctl.%s", options[i].name);
                if (r < 0)
                        put(key, "%s", result(-1));
                else
                        put(key, "%d", r);
        }
        if (prctl(PR_GET_PDEATHSIG, &value, 0, 0, 0) >= 0)
                put("prctl.pdeathsig", "%d", value);
        if (prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0) >= 0)
                put("prctl.subreaper", "%d", value);
}

/* Numbers differ from run to run; whether they are those of an init process and a session leader does not. */
static void report_ids(void)
{
        pid_t pid = getpid(), ppid = getppid();

        put("pid", "%s", pid == 1 ? "1" : "other");
        put("ppid", "%s", ppid == 0 ? "0" : "other");
        put("session", "%s", getsid(0) == pid ? "leader" : "member");
        put("group", "%s", getpgrp() == pid ? "leader" : "member");
}

/* /host-ns has a line "NAME LINK" for each namespace of whoever runs the suite. */
static void report_namespaces(void)
{
        static const char *const names[] = {
                "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts",
        };
        static char host[4096];
        bool known = read_text("/host-ns", host, sizeof(host));

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[64], key[32], link[64] = {}, line[128];

                snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
                snprintf(key, sizeof(key), "ns.%s", names[i]);
                if (readlink(path, link, sizeof(link) - 1) < 0) {
                        put(key, "%s", result(-1));
                        continue;
                }
                snprintf(line, sizeof(line), "%s %s", names[i], link);
                put(key, "%s", !known ? "unknown" : strstr(host, line) ? "host" : "own");
        }
}

static void report_proc_files(void)
{
        static const char *const names[] = {
                "uid_map", "gid_map", "setgroups", "timens_offsets", "cgroup", "comm", "cpuset",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[64], text[4096];

                snprintf(path, sizeof(path), "/proc/self/%s", names[i]);
                read_text(path, text, sizeof(text));
                /* Columns are as wide as the numbers were once. */
                for (char *p = text; *p;)
                        if (p[0] == ' ' && p[1] == ' ')
                                memmove(p, p + 1, strlen(p));
                        else
                                p++;
                put(names[i], "%s", text);
        }
}

static void report_environment(void)
{
        char cwd[4096], exe[4096] = {}, key[32];
        struct utsname u;

        for (unsigned i = 0; environ[i]; i++) {
                snprintf(key, sizeof(key), "env.%02u", i);
                put(key, "%s", environ[i]);
        }
        put("cwd", "%s", getcwd(cwd, sizeof(cwd)) ? cwd : result(-1));
        put("exe", "%s", readlink("/proc/self/exe", exe, sizeof(exe) - 1) >= 0 ? exe : result(-1));
        if (uname(&u) >= 0) {
                put("uts.nodename", "%s", u.nodename);
                put("uts.domainname", "%s", u.domainname);
                put("uts.machine", "%s", u.machine);
        }
}

static const char *type_name(mode_t mode)
{
        return S_ISFIFO(mode)   ? "pipe"
               : S_ISSOCK(mode) ? "socket"
               : S_ISCHR(mode)  ? "char"
               : S_ISREG(mode)  ? "file"
               : S_ISDIR(mode)  ? "directory"
                                : "other";
}

static void report_descriptors(void)
{
        /* Not by /proc: the directory would be one of them. */
        for (int fd = 0; fd < 1024; fd++) {
                int flags = fcntl(fd, F_GETFL), own = fcntl(fd, F_GETFD);
                struct stat st;
                char key[32];

                if (flags < 0 || fstat(fd, &st) < 0)
                        continue;
                snprintf(key, sizeof(key), "fd.%d", fd);
                put(key, "%s access=%d nonblock=%d cloexec=%d uid=%u", type_name(st.st_mode), flags & O_ACCMODE,
                    !!(flags & O_NONBLOCK), !!(own & FD_CLOEXEC), st.st_uid);
        }
}

void report_process(void)
{
        report_descriptors();
        report_status();
        report_limits();
        report_scheduling();
        report_prctl();
        report_ids();
        report_namespaces();
        report_proc_files();
        report_environment();
}
