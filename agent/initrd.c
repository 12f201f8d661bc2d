/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as /init of an initrd: see initrd.h. Guest side, PID 1; nothing foreign runs yet. Everything
 * comes from the host: the initrd, the command line, the disk; the disk's content is what dm-verity checks.
 */

#include "agent/initrd.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/dm-device.h"
#include "agent/init.h"
#include "agent/initrd-plan.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/parse.h"

#define MODULES_LIST "/kata/modules.list"
#define MODULES_FOLDER "/kata/modules"
#define NEW_ROOT "/newroot"

/* A disk of a loaded, emulated machine appears within two seconds. */
#define DEVICE_TIMEOUT (30 * USEC_PER_SEC)

/* Into the kernel's log, and by that into the journal of the host once the agent forwards it. */
static _printf_(1, 2) void note(const char *format, ...)
{
        _cleanup_close_ int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        char text[512];
        va_list ap;
        int n;

        if (fd < 0)
                return;
        n = snprintf(text, sizeof(text), "<6>kata-agent: initrd: ");
        va_start(ap, format);
        vsnprintf(text + n, sizeof(text) - (size_t) n - 1, format, ap);
        va_end(ap);
        /* A record without a line feed is kept open for more, and not shown until the next one comes. */
        strcat(text, "\n");
        (void) !write(fd, text, strlen(text));
}

static bool is_initrd(void)
{
        struct statfs fs;

        /* The real root is on a disk, whatever files it has. */
        return statfs("/", &fs) >= 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC) &&
               access(MODULES_LIST, F_OK) >= 0;
}

/* --- steps --- */

static int step_mount(RootPlan *plan, char **reterr_message)
{
        static const struct {
                const char *type, *target;
                unsigned long flags;
        } mounts[] = {
                { "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC },
                { "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC },
                { "devtmpfs", "/dev", MS_NOSUID },
        };

        for (size_t i = 0; i < ELEMENTSOF(mounts); i++)
                /* EBUSY: the kernel has done it (CONFIG_DEVTMPFS_MOUNT with an initrd of its own). */
                if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, NULL) < 0 &&
                    errno != EBUSY)
                        return error_setf(reterr_message, errno, "%s: %s", mounts[i].target,
                                          strerror(errno));
        return 0;
}

static int step_plan(RootPlan *plan, char **reterr_message)
{
        _cleanup_free_ char *cmdline = NULL;
        size_t n;
        int r;

        r = read_file_at(AT_FDCWD, "/proc/cmdline", KERNEL_CMDLINE_MAX, &cmdline, NULL);
        if (r < 0)
                return error_setf(reterr_message, r, "/proc/cmdline: %s", strerror(-r));
        n = strlen(cmdline);
        if (n > 0 && cmdline[n - 1] == '\n')
                cmdline[n - 1] = '\0';

        return root_plan_parse(cmdline, plan, reterr_message);
}

static int load_module(const char *file)
{
        _cleanup_close_ int fd = -EBADF;
        char path[sizeof(MODULES_FOLDER) + sizeof(((InitrdModule *) NULL)->file) + 1];

        snprintf(path, sizeof(path), MODULES_FOLDER "/%s", file);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return negative_errno();

        return syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST ? negative_errno() : 0;
}

static int step_modules(RootPlan *plan, char **reterr_message)
{
        _cleanup_free_ InitrdModules *modules = new0(InitrdModules, 1);
        _cleanup_free_ char *text = NULL;
        int r;

        if (!modules)
                return -ENOMEM;
        r = read_file_at(AT_FDCWD, MODULES_LIST, MODULE_LIST_MAX, &text, NULL);
        if (r < 0)
                return error_setf(reterr_message, r, MODULES_LIST ": %s", strerror(-r));
        r = initrd_modules_parse(text, modules, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, MODULES_LIST);

        for (size_t i = 0; i < modules->n; i++) {
                r = load_module(modules->v[i].file);
                if (r < 0 && !modules->v[i].optional)
                        return error_setf(reterr_message, r, "%s: %s", modules->v[i].file,
                                          strerror(-r));
                if (r < 0)
                        note("module %s not loaded: %s", modules->v[i].file, strerror(-r));
        }

        note("%zu modules", modules->n);
        return 0;
}

/* devtmpfs makes the node when the driver has found the disk; each new node wakes us up. */
static int wait_device(int inotify_fd, const char *path, usec_t deadline, char **reterr_message)
{
        while (access(path, F_OK) < 0) {
                union {
                        struct inotify_event event;
                        char bytes[4096];
                } buf;
                usec_t now = now_usec();
                int r;

                if (errno != ENOENT)
                        return error_setf(reterr_message, errno, "%s: %s", path, strerror(errno));
                if (now >= deadline)
                        return error_setf(reterr_message, ETIMEDOUT, "%s did not appear within %u s",
                                          path, (unsigned) (DEVICE_TIMEOUT / USEC_PER_SEC));
                r = fd_wait(inotify_fd, POLLIN, (int) ((deadline - now) / USEC_PER_MSEC) + 1);
                if (r < 0)
                        return error_setf(reterr_message, r, "waiting for %s: %s", path, strerror(-r));
                (void) !read(inotify_fd, &buf, sizeof(buf));
        }

        return 0;
}

static int step_disks(RootPlan *plan, char **reterr_message)
{
        _cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        usec_t deadline = now_usec() + DEVICE_TIMEOUT;
        int r;

        if (fd < 0 || inotify_add_watch(fd, "/dev", IN_CREATE) < 0)
                return error_setf(reterr_message, errno, "inotify: %s", strerror(errno));

        for (size_t i = 0; i < plan->tables.n; i++) {
                r = wait_device(fd, plan->tables.v[i].data, deadline, reterr_message);
                if (r >= 0)
                        r = wait_device(fd, plan->tables.v[i].hash, deadline, reterr_message);
                if (r < 0)
                        return r;
        }

        return 0;
}

static int step_verity(RootPlan *plan, char **reterr_message)
{
        _cleanup_close_ int fd = dm_control_open(reterr_message);
        bool found = false;
        int r;

        if (fd < 0)
                return fd;

        for (size_t i = 0; i < plan->tables.n; i++) {
                unsigned minor;

                r = dm_device_create(fd, &plan->tables.v[i], &minor, reterr_message);
                if (r < 0)
                        return r;
                found = found || minor == plan->minor;
        }

        /* What is mounted has been set up here, from a table with a root hash. */
        if (!found)
                return error_setf(reterr_message, ENODEV,
                                  "root=/dev/dm-%u is none of the devices of dm-mod.create=",
                                  plan->minor);
        return 0;
}

static int step_root(RootPlan *plan, char **reterr_message)
{
        char device[32];

        snprintf(device, sizeof(device), "/dev/dm-%u", plan->minor);
        if (mount(device, NEW_ROOT, plan->type, MS_RDONLY, NULL) < 0)
                return error_setf(reterr_message, errno, "%s (%s): %s", device, plan->type,
                                  strerror(errno));

        note("root is %s", device);
        return 0;
}

/* The files of the initrd are memory; what can not be removed stays, and costs nothing else. */
static void empty_initrd(void)
{
        DIR *d = opendir("/");
        struct dirent *de;

        if (!d)
                return;
        while ((de = readdir(d))) {
                char path[sizeof(de->d_name) + 2];

                if (streq(de->d_name, ".") || streq(de->d_name, "..") ||
                    streq(de->d_name, &NEW_ROOT[1]))
                        continue;
                snprintf(path, sizeof(path), "/%s", de->d_name);
                (void) rm_rf(path);
        }
        closedir(d);
}

static int step_switch(RootPlan *plan, char **reterr_message)
{
        static const char *const mounted[] = { "/proc", "/sys", "/dev" };

        /* The agent mounts its own, as on a root that the kernel mounted. */
        for (size_t i = 0; i < ELEMENTSOF(mounted); i++)
                if (umount2(mounted[i], MNT_DETACH) < 0)
                        return error_setf(reterr_message, errno, "unmounting %s: %s", mounted[i],
                                          strerror(errno));
        empty_initrd();

        /* Not pivot_root(): the kernel does not let go of its first root. */
        if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
            chdir("/") < 0)
                return error_setf(reterr_message, errno, "%s", strerror(errno));

        execl(plan->init, plan->init, (char *) NULL);
        return error_setf(reterr_message, errno, "%s: %s", plan->init, strerror(errno));
}

void initrd_run(void)
{
        static const struct {
                const char *what;
                int (*run)(RootPlan *plan, char **reterr_message);
        } steps[] = {
                { "mounting", step_mount },
                { "settings", step_plan },
                { "loading modules", step_modules },
                { "waiting for disks", step_disks },
                { "dm-verity", step_verity },
                { "mounting the root", step_root },
                { "switching to the root", step_switch },
        };
        static RootPlan plan;
        char *message = NULL;

        if (!is_initrd())
                return;

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                int r = steps[i].run(&plan, &message);

                if (r < 0) {
                        (void) error_prefixf(&message, r, "initrd: %s", steps[i].what);
                        init_die(error_text(message, r));
                }
        }
}
