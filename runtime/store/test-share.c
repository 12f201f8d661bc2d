/* SPDX-License-Identifier: Apache-2.0 */
/* Test of the shared directory in a user and mount namespace of its own; skipped where those are not allowed. */

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/store/share.h"

static bool become_root_of_namespace(void)
{
        char map[64];

        if (geteuid() == 0)
                return unshare(CLONE_NEWNS) >= 0;

        snprintf(map, sizeof(map), "0 %u 1", (unsigned) geteuid());
        return unshare(CLONE_NEWUSER | CLONE_NEWNS) >= 0 &&
               write_string_file_at(AT_FDCWD, "/proc/self/uid_map", map) >= 0;
}

/* Any user of the guest may pass, whatever the umask is. */
static void expect_passage(const char *dir, const char *name)
{
        _cleanup_free_ char *path = NULL;
        struct stat st;

        ASSERT_TRUE(asprintf(&path, "%s%s", dir, name) > 0);
        ASSERT_OK(stat(path, &st));
        ASSERT_EQ(st.st_mode & 07777, 0711U);
}

/* Runs in a child, so that its mounts are gone when the parent clears up. */
static int check_share(const char *top)
{
        _cleanup_free_ char *dir = NULL, *source = NULL, *file = NULL, *inside = NULL, *message = NULL,
                            *stray = NULL, *name = NULL;

        if (!become_root_of_namespace())
                return 77;

        ASSERT_OK(share_enter_namespace());
        ASSERT_OK(asprintf(&dir, "%s/shared", top));
        ASSERT_OK(asprintf(&source, "%s/source", top));
        ASSERT_OK(asprintf(&file, "%s/source/file", top));
        ASSERT_OK(asprintf(&inside, "%s/web/rootfs/file", dir));
        ASSERT_OK(asprintf(&stray, "%s/stray", dir));
        ASSERT_OK(mkdir_p(source, 0755));
        ASSERT_OK(write_file_atomic(file, "x", 1, 0644));

        /* As the supervisor's unit has it. */
        (void) umask(0077);
        ASSERT_OK(share_open(dir, false, NULL));
        ASSERT_OK(share_add(dir, "web/rootfs", source, 0, NULL));
        ASSERT_OK(share_add(dir, "web-0-file", file, SHARE_READ_ONLY, NULL));
        ASSERT_ERROR(share_add(dir, "../x", source, 0, &message), EINVAL);
        ASSERT_ERROR(share_add(dir, "a//b", source, 0, &message), EINVAL);
        ASSERT_ERROR(share_add(dir, "null", "/dev/null", 0, &message), EINVAL);
        ASSERT_CONTAINS(message, "neither a directory nor a regular file");
        ASSERT_ERROR(share_add(dir, "gone", "/no/such/dir", 0, &message), ENOENT);
        ASSERT_CONTAINS(message, "'/no/such/dir' can not be shared");
        ASSERT_OK(share_seal(dir, NULL));
        expect_passage(dir, "");
        expect_passage(dir, "/web");

        /* The root is writable through its own entry, the shared directory and a read-only entry are not. */
        ASSERT_TRUE(access(inside, W_OK) == 0);
        ASSERT_ERROR(mkdir(stray, 0755) < 0 ? -errno : 0, EROFS);
        ASSERT_OK(asprintf(&name, "%s/web-0-file", dir));
        ASSERT_ERROR(open(name, O_WRONLY | O_CLOEXEC) < 0 ? -errno : 0, EROFS);
        return 0;
}

/* In the namespace of somebody who serves the directory, as virtiofsd does. */
static pid_t start_server(const char *dir, const char *file, int told_fd, int ask_fd)
{
        pid_t pid = fork();
        char byte;

        ASSERT_TRUE(pid >= 0);
        if (pid > 0)
                return pid;
        if (share_enter_namespace() < 0 || mount(dir, dir, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(dir) < 0 ||
            write(told_fd, "x", 1) != 1)
                _exit(1);
        /* There after the first question, gone after the second. */
        if (read(ask_fd, &byte, 1) != 1 || access(file, W_OK) < 0 || write(told_fd, "x", 1) != 1)
                _exit(2);
        if (read(ask_fd, &byte, 1) != 1 || access(file, F_OK) >= 0)
                _exit(3);
        _exit(0);
}

static int check_live(const char *top)
{
        _cleanup_free_ char *dir = NULL, *source = NULL, *file = NULL, *stray = NULL, *message = NULL, *parent = NULL;
        int told[2], ask[2], status;
        _cleanup_close_ int ns = -EBADF, other = -EBADF, theirs = -EBADF;
        _cleanup_free_ char *theirs_file = NULL, *text = NULL, *there = NULL, *there_file = NULL;
        char byte;
        pid_t pid;

        if (!become_root_of_namespace())
                return 77;

        ASSERT_OK(share_enter_namespace());
        ASSERT_OK(asprintf(&dir, "%s/live", top));
        ASSERT_OK(asprintf(&source, "%s/live-source", top));
        ASSERT_OK(asprintf(&file, "%s/live-source/file", top));
        ASSERT_OK(asprintf(&stray, "%s/stray", dir));
        ASSERT_OK(asprintf(&parent, "%s/web.1", dir));
        ASSERT_OK(mkdir_p(source, 0755));
        ASSERT_OK(write_file_atomic(file, "x", 1, 0644));

        (void) umask(0077);
        ASSERT_OK(share_open(dir, true, NULL));
        ASSERT_OK(share_seal(dir, NULL));
        ASSERT_OK(pipe2(told, O_CLOEXEC));
        ASSERT_OK(pipe2(ask, O_CLOEXEC));
        pid = start_server(dir, "web.1/rootfs/file", told[1], ask[0]);
        ASSERT_EQ(read(told[0], &byte, 1), 1);

        ASSERT_OK(share_add_live(dir, "web.1/rootfs", source, 0, -EBADF, NULL));
        ASSERT_OK(share_add_live(dir, "web.1-0-file", file, SHARE_READ_ONLY, -EBADF, NULL));
        ASSERT_ERROR(share_add_live(dir, "web.1/rootfs", source, 0, -EBADF, &message), EEXIST);
        ASSERT_ERROR(share_add_live(dir, "../x", source, 0, -EBADF, &message), EINVAL);
        ASSERT_ERROR(share_add_live(dir, "x", "/no/such/dir", 0, -EBADF, &message), ENOENT);
        ASSERT_CONTAINS(message, "'/no/such/dir' can not be shared");
        ASSERT_ERROR(mkdir(stray, 0755) < 0 ? -errno : 0, EROFS);
        expect_passage(dir, "");
        expect_passage(dir, "/web.1");
        ASSERT_EQ(write(ask[1], "x", 1), 1);
        ASSERT_EQ(read(told[0], &byte, 1), 1);

        ASSERT_OK(share_remove(dir, "web.1/rootfs"));
        ASSERT_OK(share_remove(dir, "web.1-0-file"));
        ASSERT_OK(share_remove(dir, "web.1/rootfs"));
        ASSERT_ERROR(access(parent, F_OK) < 0 ? -errno : 0, ENOENT);
        ASSERT_OK(access(file, F_OK));
        ASSERT_EQ(write(ask[1], "x", 1), 1);
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        ASSERT_EQ(status, 0);

        /* A successor: nothing works in a namespace of its own, all in the kept one. */
        ASSERT_OK(share_keep_namespace(&ns));
        ASSERT_OK(umount2(dir, MNT_DETACH));
        ASSERT_ERROR(share_add_live(dir, "web.2/rootfs", source, 0, -EBADF, &message), ENOTCONN);
        ASSERT_CONTAINS(message, "belongs to a supervisor that is gone");
        ASSERT_OK(share_remove(dir, "web.2/rootfs"));
        ASSERT_OK(share_return_to_namespace(ns));

        /* What somebody has mounted elsewhere in a place that is private there. */
        ASSERT_OK(asprintf(&there, "%s/theirs", top));
        ASSERT_OK(asprintf(&there_file, "%s/theirs/file", top));
        ASSERT_OK(mkdir_p(there, 0755));
        ASSERT_OK(write_file_atomic(there_file, "theirs", 6, 0644));
        ASSERT_OK(share_open(dir, true, NULL));
        ASSERT_OK(share_seal(dir, NULL));
        ASSERT_OK(share_keep_namespace(&other));
        ASSERT_OK(share_enter_namespace());
        ASSERT_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
        ASSERT_OK(share_keep_namespace(&theirs));
        ASSERT_OK(mount(there, source, NULL, MS_BIND, NULL));
        ASSERT_OK(share_return_to_namespace(other));
        ASSERT_OK(share_add_live(dir, "web.3/rootfs", source, 0, theirs, NULL));
        ASSERT_ERROR(share_add_live(dir, "web.4/rootfs", "/no/such/dir", 0, theirs, NULL), ENOENT);
        ASSERT_OK(asprintf(&theirs_file, "%s/web.3/rootfs/file", dir));
        ASSERT_OK(read_file_at(AT_FDCWD, theirs_file, 100, &text, NULL));
        ASSERT_STREQ(text, "theirs");
        ASSERT_OK(share_remove(dir, "web.3/rootfs"));
        return 0;
}

static void run_check(int (*check)(const char *top))
{
        char top[] = "/tmp/test-share-XXXXXX";
        int status;
        pid_t pid;

        ASSERT_NOT_NULL(mkdtemp(top));
        pid = fork();
        ASSERT_TRUE(pid >= 0);
        if (pid == 0)
                _exit(check(top));

        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        ASSERT_OK(rm_rf(top));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
                fprintf(stderr, "skipped: no mount namespace allowed\n");
                exit(77);
        }
        ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(share)
{
        run_check(check_share);
}

TEST(live)
{
        run_check(check_live);
}

DEFINE_TEST_MAIN
