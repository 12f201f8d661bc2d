/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe ACTION...: see probe.h. Actions run one after the other:
 *
 *      report                  everything
 *      exit N                  ends
 *      signal N                sends itself a signal
 *      crash                   reads address 0
 *      call NAME               tries a system call
 *      open FLAGS PATH         r, w or rw
 *      mknod TYPE MAJOR MINOR  makes /dev/node-TYPE-MAJOR-MINOR and opens it
 *      write PATH              creates a file
 *      input                   copies standard input
 *      say TEXT, warn TEXT     on the standard streams
 *      sleep N
 */

#include "tests/differential/probe.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

void put(const char *key, const char *format, ...)
{
        char value[8192];
        va_list ap;

        va_start(ap, format);
        vsnprintf(value, sizeof(value), format, ap);
        va_end(ap);

        for (const char *p = key; *p; p++)
                if (isspace((unsigned char) *p) || iscntrl((unsigned char) *p))
                        printf("\\%03o", (unsigned char) *p);
                else
                        putchar(*p);
        putchar(' ');
        for (const char *p = value; *p; p++)
                if (iscntrl((unsigned char) *p))
                        printf("\\%03o", (unsigned char) *p);
                else
                        putchar(*p);
        putchar('\n');
        fflush(stdout);
}

const char *result(long r)
{
        return r < 0 ? strerrorname_np(errno) : "ok";
}

bool read_text(const char *path, char *buf, size_t size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        size_t n = 0;
        ssize_t k = -1;

        if (fd >= 0) {
                while (n < size - 1 && (k = read(fd, buf + n, size - 1 - n)) > 0)
                        n += (size_t) k;
                close(fd);
        }
        if (fd < 0 || k < 0) {
                snprintf(buf, size, "%s", result(-1));
                return false;
        }

        buf[n] = '\0';
        while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\0'))
                buf[--n] = '\0';
        return true;
}

static long call(const char *name)
{
        struct utsname u;
        char buf[4096];

        if (strcmp(name, "getcwd") == 0)
                return syscall(SYS_getcwd, buf, sizeof(buf));
        if (strcmp(name, "uname") == 0)
                return uname(&u);
        if (strcmp(name, "mkdirat") == 0)
                return mkdirat(AT_FDCWD, "/tmp/made", 0700);
        if (strcmp(name, "chmod") == 0)
                return fchmodat(AT_FDCWD, "/tmp", 01777, 0);
        if (strcmp(name, "unshare-user") == 0)
                return unshare(CLONE_NEWUSER);
        if (strcmp(name, "unshare-mount") == 0)
                return unshare(CLONE_NEWNS);
        if (strcmp(name, "personality-32") == 0)
                return personality(PER_LINUX32);
        if (strcmp(name, "personality-get") == 0)
                return personality(0xffffffff);
        if (strcmp(name, "traceme") == 0)
                return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        if (strcmp(name, "mount") == 0)
                return mount("none", "/tmp", "tmpfs", 0, NULL);
        if (strcmp(name, "chroot") == 0)
                return chroot("/");
        if (strcmp(name, "socket-inet") == 0)
                return socket(AF_INET, SOCK_STREAM, 0);
        if (strcmp(name, "socket-netlink") == 0)
                return socket(AF_NETLINK, SOCK_RAW, 0);
        if (strcmp(name, "sethostname") == 0)
                return sethostname("other", 5);
        if (strcmp(name, "setuid") == 0)
                return setuid(1234);
        if (strcmp(name, "nice") == 0)
                return syscall(SYS_setpriority, 0, 0, -5);

        errno = ENOSYS;
        return -1;
}

static void do_open(const char *flags, const char *path)
{
        int mode = strcmp(flags, "rw") == 0 ? O_RDWR : strcmp(flags, "w") == 0 ? O_WRONLY : O_RDONLY;
        int fd = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        char key[256];

        snprintf(key, sizeof(key), "open.%s.%s", flags, path);
        put(key, "%s", result(fd));
        if (fd >= 0)
                close(fd);
}

static void do_mknod(const char *type, const char *major, const char *minor)
{
        mode_t format = type[0] == 'b' ? S_IFBLK : S_IFCHR;
        char path[128], key[160];

        snprintf(path, sizeof(path), "/dev/node-%s-%s-%s", type, major, minor);
        snprintf(key, sizeof(key), "mknod.%s.%s.%s", type, major, minor);
        put(key, "%s", result(mknod(path, format | 0666, makedev((unsigned) atoi(major), (unsigned) atoi(minor)))));
        do_open("r", path);
        do_open("w", path);
        (void) unlink(path);
}

static void do_write(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        long r = fd < 0 ? -1 : write(fd, "x", 1);
        char key[256];

        snprintf(key, sizeof(key), "write.%s", path);
        put(key, "%s", result(r));
        if (fd >= 0)
                close(fd);
}

static void do_input(void)
{
        char buf[4096];
        size_t n = 0;
        ssize_t k;

        while (n < sizeof(buf) - 1 && (k = read(STDIN_FILENO, buf + n, sizeof(buf) - 1 - n)) > 0)
                n += (size_t) k;
        buf[n] = '\0';
        put("input", "%s", buf);
}

/* How many of argv it has taken; does not return if it is malformed. */
static int act(int argc, char *argv[])
{
        const char *action = argv[0];
        char key[64];

        if (strcmp(action, "report") == 0) {
                report_process();
                report_mounts();
                report_files();
                return 1;
        }
        if (strcmp(action, "crash") == 0)
                return *(volatile int *) (uintptr_t) (argc - argc);
        if (strcmp(action, "input") == 0) {
                do_input();
                return 1;
        }
        if (argc >= 2 && strcmp(action, "exit") == 0)
                exit(atoi(argv[1]));
        if (argc >= 2 && strcmp(action, "signal") == 0) {
                put("signal", "%s", result(kill(getpid(), atoi(argv[1]))));
                return 2;
        }
        if (argc >= 2 && strcmp(action, "call") == 0) {
                snprintf(key, sizeof(key), "call.%s", argv[1]);
                put(key, "%s", result(call(argv[1])));
                return 2;
        }
        if (argc >= 2 && strcmp(action, "write") == 0) {
                do_write(argv[1]);
                return 2;
        }
        if (argc >= 2 && strcmp(action, "say") == 0) {
                put("say", "%s", argv[1]);
                return 2;
        }
        if (argc >= 2 && strcmp(action, "warn") == 0) {
                fprintf(stderr, "warn %s\n", argv[1]);
                return 2;
        }
        if (argc >= 2 && strcmp(action, "sleep") == 0) {
                sleep((unsigned) atoi(argv[1]));
                return 2;
        }
        if (argc >= 3 && strcmp(action, "open") == 0) {
                do_open(argv[1], argv[2]);
                return 3;
        }
        if (argc >= 4 && strcmp(action, "mknod") == 0) {
                do_mknod(argv[1], argv[2], argv[3]);
                return 4;
        }

        fprintf(stderr, "probe: malformed action '%s'\n", action);
        exit(99);
}

int main(int argc, char *argv[])
{
        for (int i = 1; i < argc;)
                i += act(argc - i, argv + i);
        return 0;
}
