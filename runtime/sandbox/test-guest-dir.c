/* SPDX-License-Identifier: Apache-2.0 */
/* Guest directories in a tree of their own: what is chosen, what is noted, what happens at a switch. */

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/sandbox/guest-dir.h"

typedef struct Fixture {
        char root[32];
        char shipped[64], updated[64], v1[64], v2[64], run[64], reference[80];
        GuestDirPlaces places;
        NodeConf *node;
        GuestDir dir;
        char *message;
} Fixture;

static void put(const char *dir, const char *name, const char *text)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0644));
}

static void setup(Fixture *f)
{
        *f = (Fixture) { .dir = GUEST_DIR_NULL };
        strcpy(f->root, "/tmp/test-guest-dir-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(f->root));
        snprintf(f->shipped, sizeof(f->shipped), "%s/shipped", f->root);
        snprintf(f->updated, sizeof(f->updated), "%s/current", f->root);
        snprintf(f->v1, sizeof(f->v1), "%s/v1", f->root);
        snprintf(f->v2, sizeof(f->v2), "%s/v2", f->root);
        snprintf(f->run, sizeof(f->run), "%s/run", f->root);
        snprintf(f->reference, sizeof(f->reference), "%s/guest", f->run);
        ASSERT_OK(mkdir(f->shipped, 0755));
        ASSERT_OK(mkdir(f->v1, 0755));
        ASSERT_OK(mkdir(f->v2, 0755));
        ASSERT_OK(mkdir(f->run, 0755));
        f->places = (GuestDirPlaces) { .updated = f->updated, .shipped = f->shipped };
        ASSERT_OK(node_conf_new(&f->node));
}

static int open_again(Fixture *f, const char *own)
{
        guest_dir_done(&f->dir);
        f->message = mfree(f->message);
        return guest_dir_open(&f->places, f->node, own, f->run, &f->dir, &f->message);
}

static void renew_node(Fixture *f)
{
        f->node = node_conf_free(f->node);
        ASSERT_OK(node_conf_new(&f->node));
}

static void done(Fixture *f)
{
        guest_dir_done(&f->dir);
        node_conf_free(f->node);
        free(f->message);
        ASSERT_OK(rm_rf(f->root));
}

static void assert_reference(const Fixture *f, const char *target)
{
        char link[128] = "";

        ASSERT_TRUE(readlink(f->reference, link, sizeof(link) - 1) > 0);
        ASSERT_STREQ(link, target);
}

static void assert_kernel_in(const Fixture *f, const char *dir)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/vmlinux", dir);
        ASSERT_STREQ(f->node->kernel, path);
        snprintf(path, sizeof(path), "%s/guest.img", dir);
        ASSERT_STREQ(f->node->image, path);
        snprintf(path, sizeof(path), "%s/guest.params", dir);
        ASSERT_STREQ(f->node->image_parameters, path);
        ASSERT_STREQ(f->dir.path, dir);
        assert_reference(f, dir);
}

TEST(choice)
{
        Fixture f;

        setup(&f);
        ASSERT_OK(open_again(&f, NULL));
        assert_kernel_in(&f, f.shipped);
        ASSERT_NULL(f.dir.kernel_release);

        /* A switch counts for the next one. */
        ASSERT_OK(symlink_atomic("v1", f.updated));
        put(f.v1, "vmlinux.info", "# text\nbuild_key=1\nkernel_release=6.12.1-kata\n");
        renew_node(&f);
        ASSERT_OK(open_again(&f, NULL));
        assert_kernel_in(&f, f.v1);
        ASSERT_STREQ(f.dir.kernel_release, "6.12.1-kata");

        f.node->guest_directory = strdup(f.v2);
        f.node->kernel = mfree(f.node->kernel);
        f.node->image = mfree(f.node->image);
        f.node->image_parameters = mfree(f.node->image_parameters);
        ASSERT_OK(open_again(&f, NULL));
        assert_kernel_in(&f, f.v2);

        /* The sandbox's directory beats both, and files that were named before. */
        ASSERT_OK(open_again(&f, f.v1));
        assert_kernel_in(&f, f.v1);
        done(&f);
}

TEST(files_beat_the_directory)
{
        Fixture f;

        setup(&f);
        f.node->kernel = strdup("/srv/vmlinux");
        ASSERT_OK(open_again(&f, NULL));
        ASSERT_STREQ(f.node->kernel, "/srv/vmlinux");
        ASSERT_STREQ(f.dir.path, f.shipped);

        /* None is left to take from a directory, so it may be missing. */
        ASSERT_OK(rm_rf(f.shipped));
        ASSERT_OK(unlink(f.reference));
        ASSERT_OK(open_again(&f, NULL));
        ASSERT_NULL(f.dir.path);
        ASSERT_EQ(access(f.reference, F_OK), -1);
        done(&f);
}

TEST(odd_releases_are_not_shown)
{
        static const char *const texts[] = { "kernel_release=\n", "kernel_release=a b\n",
                                             "kernel_release=a\\nb\033\n", "kernel_releas=6\n" };
        Fixture f;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                put(f.shipped, "vmlinux.info", texts[i]);
                ASSERT_OK(open_again(&f, NULL));
                ASSERT_NULL(f.dir.kernel_release);
        }
        done(&f);
}

TEST(missing)
{
        Fixture f;

        setup(&f);
        ASSERT_ERROR(open_again(&f, "/nonexistent/pair"), ENOENT);
        ASSERT_CONTAINS(f.message, "guest directory /nonexistent/pair: ");

        ASSERT_OK(symlink_atomic("gone", f.updated));
        ASSERT_ERROR(open_again(&f, NULL), ENOENT);
        ASSERT_CONTAINS(f.message, "/current leads nowhere: choose one with 'kata-image rollback'");
        ASSERT_EQ(access(f.reference, F_OK), -1);
        done(&f);
}

/* The collector holds the directory it was resolved to, then takes it away; the link points elsewhere by then. */
TEST(switch_and_removal_while_opening)
{
        int started[2], status;
        char byte = 0, aside[64];
        Fixture f;
        pid_t pid;

        setup(&f);
        snprintf(aside, sizeof(aside), "%s/.gone", f.root);
        ASSERT_OK(symlink_atomic("v1", f.updated));
        ASSERT_OK(pipe(started));

        pid = fork();
        ASSERT_TRUE(pid >= 0);
        if (pid == 0) {
                int fd = open(f.v1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (flock(fd, LOCK_EX | LOCK_NB) < 0 || write(started[1], "x", 1) != 1)
                        _exit(1);
                (void) usleep(100000);
                if (rename(f.v1, aside) < 0 || symlink_atomic("v2", f.updated) < 0)
                        _exit(2);
                _exit(0);
        }

        ASSERT_EQ(read(started[0], &byte, 1), 1);
        ASSERT_OK(open_again(&f, NULL));
        assert_kernel_in(&f, f.v2);
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        ASSERT_EQ(status, 0);
        close(started[0]);
        close(started[1]);
        done(&f);
}

/* While the files are being opened nobody may take the directory away; afterwards the reference protects it. */
TEST(lock_and_recall)
{
        GuestDir old = GUEST_DIR_NULL;
        Fixture f;
        int fd;

        setup(&f);
        ASSERT_OK(guest_dir_recall(f.run, &old));
        ASSERT_NULL(old.path);

        ASSERT_OK(open_again(&f, NULL));
        fd = open(f.shipped, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ASSERT_TRUE(fd >= 0);
        ASSERT_EQ(flock(fd, LOCK_EX | LOCK_NB), -1);
        guest_dir_unlock(&f.dir);
        ASSERT_OK(flock(fd, LOCK_EX | LOCK_NB));
        close(fd);

        ASSERT_OK(guest_dir_recall(f.run, &old));
        ASSERT_STREQ(old.path, f.shipped);
        guest_dir_done(&old);
        done(&f);
}

DEFINE_TEST_MAIN
