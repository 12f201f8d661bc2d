/* SPDX-License-Identifier: Apache-2.0 */
/* Test of the shared directory in a user and mount namespace of its own; skipped where those are not allowed. */

#include <fcntl.h>
#include <sched.h>
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

        ASSERT_OK(share_open(dir, NULL));
        ASSERT_OK(share_add(dir, "web/rootfs", source, 0, NULL));
        ASSERT_OK(share_add(dir, "web-0-file", file, SHARE_READ_ONLY, NULL));
        ASSERT_ERROR(share_add(dir, "../x", source, 0, &message), EINVAL);
        ASSERT_ERROR(share_add(dir, "a//b", source, 0, &message), EINVAL);
        ASSERT_ERROR(share_add(dir, "null", "/dev/null", 0, &message), EINVAL);
        ASSERT_CONTAINS(message, "neither a directory nor a regular file");
        ASSERT_ERROR(share_add(dir, "gone", "/no/such/dir", 0, &message), ENOENT);
        ASSERT_CONTAINS(message, "'/no/such/dir' can not be shared");
        ASSERT_OK(share_seal(dir, NULL));

        /* The root is writable through its own entry, the shared directory and a read-only entry are not. */
        ASSERT_TRUE(access(inside, W_OK) == 0);
        ASSERT_ERROR(mkdir(stray, 0755) < 0 ? -errno : 0, EROFS);
        ASSERT_OK(asprintf(&name, "%s/web-0-file", dir));
        ASSERT_ERROR(open(name, O_WRONLY | O_CLOEXEC) < 0 ? -errno : 0, EROFS);
        return 0;
}

TEST(share)
{
        char top[] = "/tmp/test-share-XXXXXX";
        int status;
        pid_t pid;

        ASSERT_NOT_NULL(mkdtemp(top));
        pid = fork();
        ASSERT_TRUE(pid >= 0);
        if (pid == 0)
                _exit(check_share(top));

        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        ASSERT_OK(rm_rf(top));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
                fprintf(stderr, "skipped: no mount namespace allowed\n");
                exit(77);
        }
        ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

DEFINE_TEST_MAIN
