/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of kernel/boot-test: looks at the booted kernel the way the guest agent will use it and
 * prints one "check NAME VALUE" line for each fact on the console. Runs inside a throw-away guest;
 * linked statically, without the project's libraries, so that it tests the kernel and nothing else.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef __NR_landlock_create_ruleset
#define __NR_landlock_create_ruleset 444
#endif

/*
 * As in linux/posix_acl_xattr.h: version 2, user::rw-, user:1000:rw-, group::r--, mask::rw-,
 * other::r--.
 */
static const unsigned char ACL[] = {
        2, 0, 0, 0,
        1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
        2, 0, 6, 0, 0xe8, 0x03, 0, 0,
        4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
        16, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
        32, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
};

static void report(const char *name, int r) {
        printf("check %s %s\n", name, r < 0 ? strerror(-r) : "ok");
}

static int mount_errno(const char *source, const char *target, const char *type, const char *data) {
        return mount(source, target, type, 0, data) < 0 ? -errno : 0;
}

/* First line of a small file, without the newline; "-" if there is none. */
static void report_line(const char *name, const char *path) {
        char line[4096] = "";
        FILE *f;

        f = fopen(path, "re");
        if (f && fgets(line, sizeof(line), f))
                line[strcspn(line, "\n")] = 0;
        if (f)
                fclose(f);
        printf("check %s %s\n", name, line[0] ? line : "-");
}

/* Device number and type of the file system mounted on /. */
static void report_root(void) {
        char line[4096], mount_point[256], device[32], type[32], link[64], target[256];
        const char *name;
        ssize_t n;
        FILE *f;

        f = fopen("/proc/self/mountinfo", "re");
        if (!f)
                return;
        while (fgets(line, sizeof(line), f)) {
                const char *dash = strstr(line, " - ");

                if (sscanf(line, "%*s %*s %31s %*s %255s", device, mount_point) != 2 ||
                    strcmp(mount_point, "/") != 0 || !dash || sscanf(dash, " - %31s", type) != 1)
                        continue;
                snprintf(link, sizeof(link), "/sys/dev/block/%s", device);
                n = readlink(link, target, sizeof(target) - 1);
                target[n < 0 ? 0 : n] = 0;
                name = strrchr(target, '/');
                printf("check root %s %s\n", type, name ? name + 1 : "-");
        }
        fclose(f);
}

/* Names of all virtio-serial ports; says hello on every named one, as there is no udev. */
static void report_ports(void) {
        struct dirent *de;
        DIR *d;

        d = opendir("/sys/class/virtio-ports");
        if (!d) {
                report("ports", -errno);
                return;
        }
        while ((de = readdir(d))) {
                char path[300], name[128] = "";
                struct stat st;
                FILE *f;
                int fd;

                if (de->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", de->d_name);
                f = fopen(path, "re");
                if (f && fgets(name, sizeof(name), f))
                        name[strcspn(name, "\n")] = 0;
                if (f)
                        fclose(f);
                snprintf(path, sizeof(path), "/dev/%s", de->d_name);
                printf("check port %s %s %s\n", de->d_name, name[0] ? name : "-",
                       stat(path, &st) == 0 && S_ISCHR(st.st_mode) ? "node" : "no-node");
                if (!name[0])
                        continue;
                fd = open(path, O_RDWR|O_CLOEXEC|O_NONBLOCK);
                if (fd >= 0 && dprintf(fd, "hello from %s\n", name) > 0)
                        printf("check port-write %s ok\n", name);
                else
                        printf("check port-write %s %s\n", name, strerror(errno));
                if (fd >= 0)
                        close(fd);
        }
        closedir(d);
}

static void report_disks(void) {
        struct dirent *de;
        DIR *d;

        d = opendir("/sys/block");
        while (d && (de = readdir(d)))
                if (de->d_name[0] != '.') {
                        char path[300], name[64];

                        snprintf(path, sizeof(path), "/sys/block/%s/serial", de->d_name);
                        snprintf(name, sizeof(name), "disk %.32s", de->d_name);
                        report_line(name, path);
                }
        if (d)
                closedir(d);
}

/* Reads the whole file: every block of it passes dm-verity. */
static void report_payload(void) {
        static char buffer[65536];
        size_t total = 0;
        ssize_t n;
        int fd;

        fd = open("/payload", O_RDONLY|O_CLOEXEC);
        while (fd >= 0 && (n = read(fd, buffer, sizeof(buffer))) > 0)
                total += n;
        if (fd < 0 || n < 0)
                report("payload", -errno);
        else
                printf("check payload %zu\n", total);
        if (fd >= 0)
                close(fd);
}

/* Kernel messages of level warning and above, also those from before hvc0 existed. */
static void report_kernel_log(void) {
        static char buffer[1 << 18];
        char *line, *save = NULL;
        int n;

        n = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, buffer, sizeof(buffer) - 1);
        if (n < 0) {
                report("kernel-log", -errno);
                return;
        }
        buffer[n] = 0;
        for (line = strtok_r(buffer, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                if (line[0] == '<' && line[1] >= '0' && line[1] <= '4' && line[2] == '>')
                        printf("kernel-log %s\n", line);
}

static int try_open(const char *path, int flags) {
        int fd;

        fd = open(path, flags|O_CLOEXEC);
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

static int try_namespaces(void) {
        const int flags = CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWNET|CLONE_NEWIPC|
                          CLONE_NEWUTS|CLONE_NEWCGROUP|CLONE_NEWTIME;
        int status;
        pid_t pid;

        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(unshare(flags) < 0 ? errno : 0);
        if (waitpid(pid, &status, 0) < 0)
                return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

/* A device program as container runtimes attach it: "return 1". */
static int try_cgroup_bpf(void) {
        struct bpf_insn code[] = {
                { .code = BPF_ALU64|BPF_MOV|BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
                { .code = BPF_JMP|BPF_EXIT },
        };
        union bpf_attr attr;
        int r = 0, program, group;

        memset(&attr, 0, sizeof(attr));
        attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
        attr.insns = (unsigned long) code;
        attr.insn_cnt = 2;
        attr.license = (unsigned long) "Apache-2.0";
        program = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
        if (program < 0)
                return -errno;
        if (mkdir("/sys/fs/cgroup/test", 0755) < 0)
                return -errno;
        group = open("/sys/fs/cgroup/test", O_RDONLY|O_DIRECTORY|O_CLOEXEC);
        memset(&attr, 0, sizeof(attr));
        attr.target_fd = group;
        attr.attach_bpf_fd = program;
        attr.attach_type = BPF_CGROUP_DEVICE;
        if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
                r = -errno;
        close(program);
        close(group);
        return r;
}

static int try_acl(const char *path) {
        int fd, r = 0;

        fd = open(path, O_CREAT|O_RDWR|O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        if (fsetxattr(fd, "system.posix_acl_access", ACL, sizeof(ACL), 0) < 0)
                r = -errno;
        close(fd);
        return r;
}

/* The agent's port must not be reachable from inside: connecting to a local CID has to fail. */
static void report_vsock(void) {
        struct sockaddr_vm address = {
                .svm_family = AF_VSOCK,
                .svm_cid = VMADDR_CID_ANY,
                .svm_port = 1024,
        };
        int listener, fd, r;

        listener = socket(AF_VSOCK, SOCK_STREAM|SOCK_CLOEXEC, 0);
        if (listener < 0) {
                report("vsock", -errno);
                return;
        }
        r = bind(listener, (struct sockaddr*) &address, sizeof(address));
        if (r >= 0)
                r = listen(listener, 1);
        report("vsock", r < 0 ? -errno : 0);
        fd = socket(AF_VSOCK, SOCK_STREAM|SOCK_CLOEXEC, 0);
        address.svm_cid = VMADDR_CID_LOCAL;
        r = connect(fd, (struct sockaddr*) &address, sizeof(address));
        report("vsock-loopback", r < 0 ? -errno : 0);
        close(fd);
        close(listener);
}

static void report_virtiofs(const char *tag) {
        int fd, r;

        r = mount_errno(tag, "/mnt", "virtiofs", NULL);
        report("virtiofs", r);
        if (r < 0)
                return;
        report_line("virtiofs-read", "/mnt/from-host");
        fd = open("/mnt/from-guest", O_CREAT|O_WRONLY|O_TRUNC|O_CLOEXEC, 0644);
        report("virtiofs-write", fd < 0 || dprintf(fd, "written in the guest\n") < 0 ? -errno : 0);
        if (fd >= 0)
                close(fd);
        umount2("/mnt", 0);
}

/* Nobody wakes a sleeper without a timer that ticks. */
static int try_sleep(void) {
        struct timespec start, end, duration = { .tv_nsec = 30000000 };

        clock_gettime(CLOCK_MONOTONIC, &start);
        if (nanosleep(&duration, NULL) < 0)
                return -errno;
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_nsec += (end.tv_sec - start.tv_sec) * 1000000000L;
        return end.tv_nsec - start.tv_nsec < duration.tv_nsec ? -ETIME : 0;
}

/* Parameters of modules that are built in: how many there are, and some that have to be there. */
static void report_parameters(void) {
        static const char *const names[] = { "kernel/parameters/panic", "printk/parameters/time",
                                             "scsi_mod/parameters/scan",
                                             "dm_verity/parameters/prefetch_cluster" };
        char path[512];
        struct dirent *module, *file;
        DIR *modules, *files;
        int n = 0;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                snprintf(path, sizeof(path), "/sys/module/%s", names[i]);
                if (access(path, F_OK) < 0)
                        printf("check parameter-missing %s\n", names[i]);
        }
        modules = opendir("/sys/module");
        while (modules && (module = readdir(modules))) {
                snprintf(path, sizeof(path), "/sys/module/%s/parameters", module->d_name);
                files = module->d_name[0] == '.' ? NULL : opendir(path);
                while (files && (file = readdir(files)))
                        n += file->d_name[0] != '.';
                if (files)
                        closedir(files);
        }
        if (modules)
                closedir(modules);
        printf("check parameters %d\n", n);
}

int main(int argc, char *argv[]) {
        const char *tag = getenv("virtiofs"), *action = getenv("action");
        struct utsname u;
        int fd;

        setvbuf(stdout, NULL, _IOLBF, 0);
        uname(&u);
        printf("check pid1 %d\n", (int) getpid());
        printf("check release %s\n", u.release);
        report("proc", mount_errno("proc", "/proc", "proc", NULL));
        report("sysfs", mount_errno("sysfs", "/sys", "sysfs", NULL));
        report("devtmpfs", mount_errno("dev", "/dev", "devtmpfs", NULL));
        report("tmpfs", mount_errno("tmp", "/tmp", "tmpfs", NULL));
        report("cgroup2", mount_errno("cgroup2", "/sys/fs/cgroup", "cgroup2", NULL));
        mkdir("/dev/pts", 0755);
        report("devpts", mount_errno("devpts", "/dev/pts", "devpts", "ptmxmode=0666"));
        mkdir("/dev/mqueue", 0755);
        report("mqueue", mount_errno("mqueue", "/dev/mqueue", "mqueue", NULL));

        report_root();
        report_disks();
        report_ports();
        report_line("cgroup-controllers", "/sys/fs/cgroup/cgroup.controllers");
        report_line("clocksource",
                    "/sys/devices/system/clocksource/clocksource0/current_clocksource");
        report_line("psi", "/proc/pressure/memory");
        report("namespaces", try_namespaces());
        report("cgroup-bpf", try_cgroup_bpf());
        report("tmpfs-acl", try_acl("/tmp/acl"));
        printf("check landlock %ld\n", syscall(__NR_landlock_create_ruleset, NULL, 0, 1));
        mkdir("/tmp/l", 0755);
        mkdir("/tmp/u", 0755);
        mkdir("/tmp/w", 0755);
        mkdir("/tmp/m", 0755);
        report("overlay", mount_errno("overlay", "/tmp/m", "overlay",
                                      "lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w"));
        report("ptmx", try_open("/dev/ptmx", O_RDWR));
        report("hwrng", try_open("/dev/hwrng", O_RDONLY));
        report_vsock();
        report("sleep", try_sleep());
        report_parameters();
        report_line("uptime", "/proc/uptime");
        report_line("tainted", "/proc/sys/kernel/tainted");
        report_kernel_log();
        if (tag)
                report_virtiofs(tag);
        report_payload();

        printf("check end %s\n", action ? action : "reboot");
        if (action && strcmp(action, "sysrq") == 0) {
                fd = open("/proc/sysrq-trigger", O_WRONLY|O_CLOEXEC);
                if (fd < 0 || write(fd, "c", 1) < 0)
                        report("sysrq", -errno);
        }
        if (action && strcmp(action, "exit") == 0)
                return 0;
        if (action && strcmp(action, "poweroff") == 0)
                reboot(RB_POWER_OFF);
        sync();
        reboot(RB_AUTOBOOT);
        return 1;
}
