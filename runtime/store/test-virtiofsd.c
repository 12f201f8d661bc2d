/* SPDX-License-Identifier: Apache-2.0 */
/* Golden command lines of both daemons; life of a fake one. */

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/store/virtiofsd.h"

TEST(argv_c)
{
        const VirtiofsdConfig c = {
                        .program = "/usr/lib/qemu/virtiofsd", .source = "/run/kata/web/shared"};
        const VirtiofsdConfig comma = {
                        .program = "/usr/lib/qemu/virtiofsd", .source = "/a,sandbox=none"};
        const VirtiofsdConfig relative = { .program = "/usr/lib/qemu/virtiofsd", .source = "a" };
        _cleanup_(strv_done) Strv argv = {};
        _cleanup_free_ char *joined = NULL;

        ASSERT_OK(virtiofsd_build_argv(&c, VIRTIOFSD_C, 3, &argv));
        joined = ASSERT_NOT_NULL(strv_join(&argv, " "));
        ASSERT_STREQ(joined, "/usr/lib/qemu/virtiofsd -f --fd=3 -osource=/run/kata/web/shared "
                             "-osandbox=namespace "
                             "-ocache=auto -oxattr -olog_level=warn "
                             "--rlimit-nofile=0");
        ASSERT_ERROR(virtiofsd_build_argv(&comma, VIRTIOFSD_C, 3, &argv), EINVAL);
        ASSERT_ERROR(virtiofsd_build_argv(&relative, VIRTIOFSD_C, 3, &argv), EINVAL);
}

TEST(argv_of_an_emulated_machine)
{
        const VirtiofsdConfig c = {
                        .program = "/usr/libexec/virtiofsd",
                        .source = "/run/kata/web/shared",
                        .keep_cache = true};
        _cleanup_(strv_done) Strv rust = {}, old = {};

        ASSERT_OK(virtiofsd_build_argv(&c, VIRTIOFSD_RUST, 3, &rust));
        ASSERT_TRUE(strv_contains(&rust, "--cache=always"));
        ASSERT_OK(virtiofsd_build_argv(&c, VIRTIOFSD_C, 3, &old));
        ASSERT_TRUE(strv_contains(&old, "-ocache=always"));
}

TEST(argv_rust)
{
        const VirtiofsdConfig c = {
                        .program = "/usr/libexec/virtiofsd", .source = "/run/kata/web/shared"};
        _cleanup_(strv_done) Strv argv = {};
        _cleanup_free_ char *joined = NULL;

        ASSERT_OK(virtiofsd_build_argv(&c, VIRTIOFSD_RUST, 3, &argv));
        joined = ASSERT_NOT_NULL(strv_join(&argv, " "));
        ASSERT_STREQ(joined, "/usr/libexec/virtiofsd --fd=3 --shared-dir=/run/kata/web/shared "
                             "--sandbox=namespace "
                             "--seccomp=kill --cache=auto --xattr --no-announce-submounts "
                             "--inode-file-handles=never "
                             "--log-level=warn --rlimit-nofile=0");
}

TEST(flavour)
{
        char dir[] = "/tmp/kata-test-vfs-XXXXXX", path[128], link[128];
        VirtiofsdFlavour f;

        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/qemu", dir);
        ASSERT_OK(mkdir_p(path, 0755));
        snprintf(path, sizeof(path), "%s/qemu/virtiofsd", dir);
        snprintf(link, sizeof(link), "%s/virtiofsd", dir);
        ASSERT_ERROR(virtiofsd_flavour(path, &f), ENOENT);
        ASSERT_OK(write_file_atomic(path, "", 0, 0755));
        ASSERT_OK(virtiofsd_flavour(path, &f));
        ASSERT_EQ(f, VIRTIOFSD_C);
        ASSERT_OK(symlink(path, link));
        ASSERT_OK(virtiofsd_flavour(link, &f));
        ASSERT_EQ(f, VIRTIOFSD_C);
        ASSERT_OK(unlink(link));
        ASSERT_OK(write_file_atomic(link, "", 0, 0755));
        ASSERT_OK(virtiofsd_flavour(link, &f));
        ASSERT_EQ(f, VIRTIOFSD_RUST);
        ASSERT_OK(rm_rf(dir));
}

typedef struct Seen {
        sd_event *event;
        char reason[256], line[256];
        bool exited;
} Seen;

static void on_line(Virtiofsd *v, const char *line, size_t n, void *userdata)
{
        snprintf(((Seen *) userdata)->line, sizeof(((Seen *) userdata)->line), "%s", line);
}

static void on_exit_handler(Virtiofsd *v, const char *reason, void *userdata)
{
        Seen *seen = userdata;

        seen->exited = true;
        snprintf(seen->reason, sizeof(seen->reason), "%s", reason);
}

static const VirtiofsdHandlers handlers = { .on_stderr_line = on_line, .on_exit = on_exit_handler };

static void run_to_exit(Seen *seen)
{
        for (unsigned i = 0; i < 20 && !seen->exited; i++)
                ASSERT_OK(sd_event_run(seen->event, 500000));
        ASSERT_TRUE(seen->exited);
}

/* A shell script in the place of the daemon. */
static Virtiofsd *start(const char *dir, const char *script, Seen *seen, int *ret_fd)
{
        char program[128];
        const VirtiofsdConfig c = { .program = program, .source = dir, .run_dir = dir };
        Virtiofsd *v = NULL;

        *seen = (Seen) {};
        ASSERT_OK(sd_event_new(&seen->event));
        snprintf(program, sizeof(program), "%s/daemon", dir);
        ASSERT_OK(write_file_atomic(program, script, strlen(script), 0755));
        ASSERT_OK(virtiofsd_spawn(seen->event, &c, &handlers, seen, &v, ret_fd, NULL));
        return v;
}

TEST(life)
{
        char dir[] = "/tmp/kata-test-vfs-XXXXXX", name[128];
        _cleanup_(virtiofsd_freep) Virtiofsd *v = NULL;
        _cleanup_free_ char *message = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t start_time;
        int listening = 0;
        socklen_t size = sizeof(listening);
        Seen seen;

        ASSERT_NOT_NULL(mkdtemp(dir));
        v = start(dir, "#!/bin/sh\necho trouble >&2; exit 4\n", &seen, &fd);
        snprintf(name, sizeof(name), "%s/virtiofsd.sock", dir);
        ASSERT_EQ(access(name, F_OK), -1);
        ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size));
        ASSERT_EQ(listening, 0);
        ASSERT_OK(pid_start_time(virtiofsd_pid(v)->pid, &start_time));
        ASSERT_EQ(virtiofsd_start_time(v), start_time);
        ASSERT_OK(virtiofsd_launch(v));
        run_to_exit(&seen);
        ASSERT_STREQ(seen.line, "trouble");
        ASSERT_STREQ(seen.reason, "virtiofsd exited with status 4: trouble");
        ASSERT_ERROR(virtiofsd_kill(v, SIGKILL), ESRCH);
        sd_event_unref(seen.event);
        ASSERT_OK(rm_rf(dir));
}

/* Not confined, so it must be refused; and adoption tells by the start time. */
TEST(unconfined_and_adopted)
{
        char dir[] = "/tmp/kata-test-vfs-XXXXXX";
        _cleanup_(virtiofsd_freep) Virtiofsd *v = NULL, *adopted = NULL;
        _cleanup_free_ char *message = NULL;
        _cleanup_close_ int fd = -EBADF;
        Seen seen, other = {};

        ASSERT_NOT_NULL(mkdtemp(dir));
        v = start(dir, "#!/bin/sh\necho up >&2\nread x <&3\nsleep 10\n", &seen, &fd);
        ASSERT_OK(virtiofsd_launch(v));
        for (unsigned i = 0; i < 20 && !seen.line[0]; i++)
                ASSERT_OK(sd_event_run(seen.event, 100000));
        ASSERT_ERROR(virtiofsd_verify(v, &message), EPERM);
        ASSERT_CONTAINS(message, "without a seccomp filter");

        message = mfree(message);
        ASSERT_ERROR(virtiofsd_adopt(seen.event, virtiofsd_pid(v)->pid, virtiofsd_start_time(v) + 1,
                                     -EBADF, &handlers, &other, &adopted, &message),
                        ESRCH);
        ASSERT_CONTAINS(message, "is gone");
        ASSERT_OK(virtiofsd_adopt(seen.event, virtiofsd_pid(v)->pid, virtiofsd_start_time(v),
                        -EBADF, &handlers, &other, &adopted, NULL));
        ASSERT_OK(virtiofsd_kill(adopted, SIGKILL));
        other.event = seen.event;
        run_to_exit(&seen);
        run_to_exit(&other);
        ASSERT_CONTAINS(seen.reason, "was killed by signal KILL");
        ASSERT_CONTAINS(other.reason, "virtiofsd has gone");
        sd_event_unref(seen.event);
        ASSERT_OK(rm_rf(dir));
}

TEST(missing)
{
        const VirtiofsdConfig no_program = { "/nonexistent/virtiofsd", "/tmp", "/tmp" },
                              no_source = { "/bin/true", "/nonexistent", "/tmp" },
                              no_dir = { "/bin/true", "/dev/null", "/tmp" };
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_free_ char *message = NULL;
        Virtiofsd *v = NULL;
        int fd;

        ASSERT_OK(sd_event_new(&event));
        ASSERT_ERROR(virtiofsd_spawn(event, &no_program, &handlers, NULL, &v, &fd, &message),
                        ENOENT);
        ASSERT_CONTAINS(message, "/nonexistent/virtiofsd can not be executed");
        ASSERT_ERROR(virtiofsd_spawn(event, &no_source, &handlers, NULL, &v, &fd, &message),
                        ENOENT);
        ASSERT_CONTAINS(message, "shared directory /nonexistent");
        ASSERT_ERROR(virtiofsd_spawn(event, &no_dir, &handlers, NULL, &v, &fd, &message), ENOTDIR);
}

DEFINE_TEST_MAIN
