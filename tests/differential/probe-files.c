/* SPDX-License-Identifier: Apache-2.0 */
/* What file systems the process has: see probe.h. */

#include "tests/differential/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MOUNTS_MAX 512

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* "a,c,b" → "a,b,c", in place. */
static void sort_list(char *list)
{
        char *items[128], copy[4096], *save = NULL;
        size_t n = 0;

        snprintf(copy, sizeof(copy), "%s", list);
        for (char *p = strtok_r(copy, ",", &save); p && n < ELEMENTSOF(items); p = strtok_r(NULL, ",", &save))
                items[n++] = p;
        qsort(items, n, sizeof(items[0]), compare);

        for (size_t i = 0; i < n; i++) {
                size_t k = strlen(items[i]);

                memcpy(list, items[i], k);
                list += k;
                if (i + 1 < n)
                        *list++ = ',';
        }
        *list = '\0';
}

static void put_mount(const char *point, unsigned again, const char *what, const char *value)
{
        char key[4200];

        if (again > 0)
                snprintf(key, sizeof(key), "mount.%s#%u.%s", point, again, what);
        else
                snprintf(key, sizeof(key), "mount.%s.%s", point, what);
        put(key, "%s", value);
}

/* proc_pid_mountinfo(5): numbers of mounts and peer groups are left out. */
static void report_mount(char *line, char **points, size_t *n_points)
{
        char *fields[6], *save = NULL, propagation[128] = "", *p, *type, *source, *super;
        unsigned again = 0;
        size_t n = 0;

        for (p = strtok_r(line, " ", &save); p && n < ELEMENTSOF(fields); p = strtok_r(NULL, " ", &save)) {
                fields[n++] = p;
                if (n == ELEMENTSOF(fields))
                        break;
        }
        if (n < ELEMENTSOF(fields))
                return;
        while ((p = strtok_r(NULL, " ", &save)) && strcmp(p, "-") != 0) {
                p[strcspn(p, ":")] = '\0';
                if (strcmp(p, "propagate_from") != 0)
                        snprintf(propagation + strlen(propagation), sizeof(propagation) - strlen(propagation),
                                 "%s%s", *propagation ? "," : "", p);
        }
        type = strtok_r(NULL, " ", &save);
        source = strtok_r(NULL, " ", &save);
        super = strtok_r(NULL, " ", &save);
        if (!type || !source || !super)
                return;

        for (size_t i = 0; i < *n_points; i++)
                again += strcmp(points[i], fields[4]) == 0;
        if (*n_points < MOUNTS_MAX)
                points[(*n_points)++] = fields[4];

        sort_list(fields[5]);
        sort_list(super);
        put_mount(fields[4], again, "root", fields[3]);
        put_mount(fields[4], again, "options", fields[5]);
        put_mount(fields[4], again, "propagation", *propagation ? propagation : "private");
        put_mount(fields[4], again, "type", type);
        put_mount(fields[4], again, "source", source);
        put_mount(fields[4], again, "super", super);
}

void report_mounts(void)
{
        static char text[262144];
        static char *points[MOUNTS_MAX];
        size_t n = 0;
        char *save = NULL;

        if (!read_text("/proc/self/mountinfo", text, sizeof(text)))
                return put("mounts", "%s", text);
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                report_mount(line, points, &n);
}

static void put_stat(const char *prefix, const char *path)
{
        char key[4200], target[256] = {};
        struct stat st;

        snprintf(key, sizeof(key), "%s.%s", prefix, path);
        if (lstat(path, &st) < 0)
                return put(key, "%s", result(-1));

        switch (st.st_mode & S_IFMT) {
        case S_IFLNK:
                if (readlink(path, target, sizeof(target) - 1) < 0)
                        snprintf(target, sizeof(target), "%s", result(-1));
                return put(key, "link %u:%u -> %s", st.st_uid, st.st_gid, target);
        case S_IFCHR:
        case S_IFBLK:
                return put(key, "%s %04o %u:%u %u:%u", S_ISCHR(st.st_mode) ? "char" : "block", st.st_mode & 07777,
                           st.st_uid, st.st_gid, major(st.st_rdev), minor(st.st_rdev));
        default:
                return put(key, "%s %04o %u:%u",
                           S_ISDIR(st.st_mode)   ? "directory"
                           : S_ISREG(st.st_mode) ? "file"
                           : S_ISFIFO(st.st_mode) ? "fifo"
                                                  : "other",
                           st.st_mode & 07777, st.st_uid, st.st_gid);
        }
}

/* Names in order; fewer than 64 are kept. */
static size_t list(const char *dir, char names[][256], size_t max)
{
        struct dirent **entries = NULL;
        int n = scandir(dir, &entries, NULL, alphasort);
        size_t k = 0;

        for (int i = 0; i < n; i++) {
                if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0 && k < max)
                        snprintf(names[k++], 256, "%s", entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return k;
}

static void report_devices(const char *dir, unsigned depth)
{
        char names[64][256], path[512];
        size_t n = list(dir, names, ELEMENTSOF(names));

        for (size_t i = 0; i < n; i++) {
                struct stat st;

                snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
                put_stat("dev", path);
                if (depth > 0 && lstat(path, &st) >= 0 && S_ISDIR(st.st_mode))
                        report_devices(path, depth - 1);
        }
}

static void report_opening(void)
{
        static const char *const devices[] = {
                "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/ptmx",
        };

        for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
                int fd = open(devices[i], O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
                char key[64];

                snprintf(key, sizeof(key), "open.rw.%s", devices[i]);
                put(key, "%s", result(fd));
                if (fd >= 0)
                        close(fd);
        }
}

static void report_directory(const char *path)
{
        char names[64][256], all[8192] = "", key[4200];
        size_t n = list(path, names, ELEMENTSOF(names)), used = 0;

        for (size_t i = 0; i < n && used < sizeof(all) - 300; i++)
                used += (size_t) snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? " " : "", names[i]);
        snprintf(key, sizeof(key), "file.%s.entries", path);
        put(key, "%s", all);
}

/* Paths that somebody asks about, one a line of /paths: owner, mode, content, whether it could be written. */
static void report_paths(void)
{
        static char paths[16384];
        char *save = NULL;

        if (!read_text("/paths", paths, sizeof(paths)))
                return;

        for (char *path = strtok_r(paths, "\n", &save); path; path = strtok_r(NULL, "\n", &save)) {
                char key[4200], text[128];
                struct stat st;

                put_stat("file", path);
                if (stat(path, &st) < 0)
                        continue;
                snprintf(key, sizeof(key), "file.%s.write", path);
                put(key, "%s", result(faccessat(AT_FDCWD, path, W_OK, AT_EACCESS)));
                if (S_ISDIR(st.st_mode))
                        report_directory(path);
                if (S_ISREG(st.st_mode)) {
                        snprintf(key, sizeof(key), "file.%s.content", path);
                        read_text(path, text, sizeof(text));
                        put(key, "%s", text);
                }
        }
}

static void report_sysctls(void)
{
        static const char *const names[] = {
                "kernel/domainname", "kernel/hostname", "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni",
                "kernel/sem", "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
                "fs/mqueue/msg_max", "fs/mqueue/queues_max", "net/ipv4/ip_forward",
                "net/ipv4/ip_unprivileged_port_start", "net/ipv4/ping_group_range", "net/core/somaxconn",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[128], key[128], text[256];

                snprintf(path, sizeof(path), "/proc/sys/%s", names[i]);
                snprintf(key, sizeof(key), "sysctl.%s", names[i]);
                read_text(path, text, sizeof(text));
                put(key, "%s", text);
        }
}

static void report_cgroup(void)
{
        static const char *const names[] = {
                "cgroup.type", "cgroup.freeze", "cgroup.max.depth", "cgroup.max.descendants",
                "cgroup.subtree_control", "memory.max", "memory.high", "memory.low", "memory.min",
                "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max", "cpu.max.burst", "cpu.weight",
                "cpu.idle", "cpuset.cpus", "cpuset.mems", "io.max", "io.weight", "io.bfq.weight",
                "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "rdma.max", "misc.max",
        };

        if (access("/sys/fs/cgroup/cgroup.procs", F_OK) < 0)
                return put("cgroup.mounted", "%s", result(-1));
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[128], text[512];

                snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", names[i]);
                read_text(path, text, sizeof(text));
                put(names[i], "%s", text);
        }
}

static void report_kernel_files(void)
{
        static const char *const paths[] = {
                "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/kcore",
                "/proc/keys", "/proc/timer_list", "/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys",
                "/sys/fs/cgroup", "/dev", "/dev/shm", "/dev/mqueue", "/dev/pts", "/",
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                char key[64];

                put_stat("kernel", paths[i]);
                snprintf(key, sizeof(key), "kernel.%s.write", paths[i]);
                put(key, "%s", result(faccessat(AT_FDCWD, paths[i], W_OK, AT_EACCESS)));
        }
}

void report_files(void)
{
        report_devices("/dev", 2);
        report_opening();
        report_paths();
        report_kernel_files();
        report_sysctls();
        report_cgroup();
}
