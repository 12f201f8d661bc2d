/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the agent in test-vmm-boot: static, PID 1 of the guest, does what test.mode= on
 * the kernel command line says and tells the console about it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void say(const char *text)
{
        char line[512];
        int n = snprintf(line, sizeof(line), "guest: %s\n", text);

        if (write(1, line, (size_t) n) != n)
                _exit(9);
}

static void say_errno(const char *what)
{
        char line[256];

        snprintf(line, sizeof(line), "%s: %s", what, strerror(errno));
        say(line);
}

static void pause_ms(long ms)
{
        struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };

        (void) nanosleep(&t, NULL);
}

__attribute__((noreturn)) static void tick(void)
{
        for (unsigned i = 0;; i++) {
                char line[32];

                snprintf(line, sizeof(line), "tick %u", i);
                say(line);
                pause_ms(100);
        }
}

/* Echoes lines of the agent's serial port. */
static void echo(void)
{
        char data[256], line[300];
        int fd;

        /* The host adds ports with messages of their own, after the driver has come up. */
        for (unsigned i = 0; i < 100; i++) {
                char name[32];

                /* The first number counts virtio devices of any kind. */
                snprintf(name, sizeof(name), "/dev/vport%up1", i % 10);
                fd = open(name, O_RDWR | O_CLOEXEC);
                if (fd >= 0)
                        break;
                pause_ms(5);
        }
        if (fd < 0) {
                say_errno("vport*p1");
                return;
        }
        say("channel open");
        for (;;) {
                ssize_t n = read(fd, data, sizeof(data) - 1);

                if (n <= 0) {
                        pause_ms(20);           /* 0: nobody is connected at the host's end */
                        continue;
                }
                data[n] = '\0';
                say(data);
                snprintf(line, sizeof(line), "echo %s", data);
                if (write(fd, line, strlen(line)) < 0)
                        say_errno("write");
        }
}

/* The kernel's log from its first line; the console begins much later. */
static void dmesg(void)
{
        int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        char record[8192], *text;
        ssize_t n;

        while ((n = read(fd, record, sizeof(record) - 1)) > 0) {
                record[n] = '\0';
                record[strcspn(record, "\n")] = '\0';
                text = strchr(record, ';');
                say(text ? text + 1 : record);
                pause_ms(1);
        }
        say("end of log");
}

static void share(void)
{
        char data[64] = "";
        struct stat st;
        int fd;

        if (mount("kataShared", "/mnt", "virtiofs", MS_NOSUID | MS_NODEV, NULL) < 0) {
                say_errno("mount virtiofs");
                return;
        }
        fd = open("/mnt/hello", O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, data, sizeof(data) - 1) < 0 || close(fd) < 0)
                say_errno("hello");
        data[strcspn(data, "\n")] = '\0';
        say(data);

        fd = open("/mnt/from-guest", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0 || write(fd, "written\n", 8) != 8 || fchown(fd, 1234, 1234) < 0 ||
            close(fd) < 0)
                say_errno("from-guest");
        /* A symlink is resolved by the guest: it leads into the guest's own /etc. */
        if (stat("/mnt/link", &st) < 0)
                say_errno("link");
        else
                say("link: followed");
        if (umount("/mnt") < 0)
                say_errno("umount");
        say("share done");
}

int main(void)
{
        char cmdline[4096] = "", mode[16] = "";
        const char *p;
        int fd;

        (void) mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
        (void) mount("proc", "/proc", "proc", 0, NULL);
        fd = open("/dev/hvc0", O_RDWR);
        if (fd < 0)
                return 8;
        (void) dup2(fd, 0);
        (void) dup2(fd, 1);
        (void) dup2(fd, 2);

        fd = open("/proc/cmdline", O_RDONLY);
        if (fd < 0 || read(fd, cmdline, sizeof(cmdline) - 1) < 0)
                return 7;
        p = strstr(cmdline, "test.mode=");
        if (p)
                (void) sscanf(p, "test.mode=%15[a-z]", mode);

        say("hello");
        say(mode);
        if (strcmp(mode, "panic") == 0)
                return 1;
        if (strcmp(mode, "fatal") == 0) {
                /* As the agent does before it restarts the machine. */
                (void) !write(STDOUT_FILENO, "kata-agent: fatal: no reason\n", 29);
                pause_ms(200);
        }
        if (strcmp(mode, "tick") == 0)
                tick();
        if (strcmp(mode, "echo") == 0)
                echo();
        if (strcmp(mode, "dmesg") == 0)
                dmesg();
        if (strcmp(mode, "share") == 0)
                share();

        (void) reboot(RB_AUTOBOOT);
        return 6;
}
