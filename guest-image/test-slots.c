/* SPDX-License-Identifier: Apache-2.0 */
/* Versions beside each other, in a tree of their own: switches, leftovers, what is kept and what goes. */

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "guest-image/slots.h"

typedef struct Fixture {
        char root[32], base[64], shipped[64], run[64], etc[64];
        Slots slots;
        char *message;
} Fixture;

static void in(char *ret, size_t n, const char *dir, const char *name)
{
        ASSERT_TRUE(snprintf(ret, n, "%s/%s", dir, name) < (int) n);
}

static void setup(Fixture *f)
{
        *f = (Fixture) { .slots = SLOTS_NULL };
        strcpy(f->root, "/tmp/test-slots-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(f->root));
        in(f->base, sizeof(f->base), f->root, "lib/guest");
        in(f->shipped, sizeof(f->shipped), f->root, "shipped");
        in(f->run, sizeof(f->run), f->root, "run");
        in(f->etc, sizeof(f->etc), f->root, "etc");
        ASSERT_OK(mkdir(f->shipped, 0755));

        const SlotPlaces places = { f->base, f->shipped, f->run, f->etc };
        slots_init(&f->slots, &places);
}

static void done(Fixture *f)
{
        slots_done(&f->slots);
        free(f->message);
        ASSERT_OK(rm_rf(f->root));
}

static void make_dir(const char *parent, const char *name)
{
        char path[128];

        in(path, sizeof(path), parent, name);
        ASSERT_OK(mkdir_p(path, 0755));
}

static void put(const char *dir, const char *name, const char *text)
{
        char path[160];

        ASSERT_OK(mkdir_p(dir, 0755));
        in(path, sizeof(path), dir, name);
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0644));
}

static void add_version(Fixture *f, const char *version)
{
        _cleanup_free_ char *path = slots_new_path(&f->slots, version);

        ASSERT_OK(mkdir_p(path, 0755));
        put(path, "vmlinux", "x");
        ASSERT_OK(slots_publish(&f->slots, version, NULL));
}

static void use(Fixture *f, const char *id, const char *version)
{
        _cleanup_free_ char *target = slots_path(&f->slots, version);
        char link[160];

        make_dir(f->run, id);
        ASSERT_TRUE(snprintf(link, sizeof(link), "%s/%s/guest", f->run, id) > 0);
        ASSERT_OK(symlink_atomic(target, link));
}

static void assert_links(Fixture *f, const char *current, const char *previous)
{
        _cleanup_free_ char *c = NULL, *p = NULL;

        ASSERT_OK(slots_current(&f->slots, &c, NULL));
        ASSERT_OK(slots_previous(&f->slots, &p, NULL));
        ASSERT_STREQ(c, current);
        if (previous)
                ASSERT_STREQ(p, previous);
        else
                ASSERT_NULL(p);
}

static void assert_removed(Fixture *f, const char *wanted)
{
        _cleanup_(strv_done) Strv removed = {};
        _cleanup_free_ char *text = NULL;

        ASSERT_OK(slots_collect(&f->slots, &removed, &f->message));
        text = strv_join(&removed, " ");
        ASSERT_STREQ(text, wanted);
}

TEST(nothing_there)
{
        _cleanup_(strv_done) Strv versions = {};
        Fixture f;

        setup(&f);
        assert_links(&f, SLOT_SHIPPED, NULL);
        ASSERT_OK(slots_list(&f.slots, &versions, NULL));
        ASSERT_EQ(versions.n, 0);
        ASSERT_EQ(access(f.base, F_OK), -1);
        done(&f);
}

TEST(switches)
{
        _cleanup_(strv_done) Strv versions = {};
        char path[128], target[128] = "";
        Fixture f;

        setup(&f);
        ASSERT_OK(slots_lock(&f.slots, NULL));
        add_version(&f, "6.12.2-b");
        add_version(&f, "6.12.1-a");
        ASSERT_OK(slots_switch(&f.slots, "6.12.1-a", NULL));
        assert_links(&f, "6.12.1-a", SLOT_SHIPPED);
        ASSERT_OK(slots_switch(&f.slots, "6.12.2-b", NULL));
        assert_links(&f, "6.12.2-b", "6.12.1-a");
        ASSERT_OK(slots_switch(&f.slots, "6.12.2-b", NULL));
        assert_links(&f, "6.12.2-b", "6.12.1-a");

        /* The links lead where the supervisors look. */
        in(path, sizeof(path), f.base, "current/vmlinux");
        ASSERT_OK(access(path, R_OK));
        ASSERT_OK(slots_switch(&f.slots, SLOT_SHIPPED, NULL));
        assert_links(&f, SLOT_SHIPPED, "6.12.2-b");
        in(path, sizeof(path), f.base, "current");
        ASSERT_TRUE(readlink(path, target, sizeof(target) - 1) > 0);
        ASSERT_STREQ(target, f.shipped);

        ASSERT_OK(slots_list(&f.slots, &versions, NULL));
        ASSERT_EQ(versions.n, 2);
        ASSERT_STREQ(versions.v[0], "6.12.1-a");
        done(&f);
}

TEST(rejection)
{
        _cleanup_free_ char *rejected = NULL;
        Fixture f;

        setup(&f);
        ASSERT_OK(slots_lock(&f.slots, NULL));
        add_version(&f, "v1");
        add_version(&f, "v2");
        ASSERT_OK(slots_switch(&f.slots, "v1", NULL));
        ASSERT_OK(slots_reject_current(&f.slots, NULL));
        ASSERT_OK(slots_switch(&f.slots, SLOT_SHIPPED, NULL));
        ASSERT_OK(slots_rejected(&f.slots, &rejected, NULL));
        ASSERT_STREQ(rejected, "v1");
        rejected = mfree(rejected);

        /* Another one does not change that; to have it back does. */
        ASSERT_OK(slots_switch(&f.slots, "v2", NULL));
        ASSERT_OK(slots_rejected(&f.slots, &rejected, NULL));
        ASSERT_STREQ(rejected, "v1");
        rejected = mfree(rejected);
        ASSERT_OK(slots_switch(&f.slots, "v1", NULL));
        ASSERT_OK(slots_rejected(&f.slots, &rejected, NULL));
        ASSERT_NULL(rejected);
        done(&f);
}

TEST(odd_links)
{
        _cleanup_free_ char *c = NULL;
        char path[128];
        Fixture f;

        setup(&f);
        ASSERT_OK(slots_lock(&f.slots, NULL));
        in(path, sizeof(path), f.base, "current");
        ASSERT_OK(symlink("../../etc", path));
        ASSERT_ERROR(slots_current(&f.slots, &c, &f.message), EINVAL);
        ASSERT_CONTAINS(f.message, "current' was not made by kata-image");
        done(&f);
}

TEST(names)
{
        static const char *const bad[] = { "",    ".",       "..",       ".new-x",   "-x",
                                           "a/b", "current", "previous", "rejected", "a b" };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_ERROR(slots_check_name(bad[i], NULL), EINVAL);
        ASSERT_OK(slots_check_name("6.12.57-kata-0123abcd", NULL));
        ASSERT_OK(slots_check_name("6.12.57+deb13~1", NULL));
}

TEST(leftovers)
{
        char path[128];
        Fixture f;

        setup(&f);
        ASSERT_OK(slots_lock(&f.slots, NULL));
        add_version(&f, "v1");
        ASSERT_OK(slots_switch(&f.slots, "v1", NULL));
        make_dir(f.base, ".new-v2");
        make_dir(f.base, ".removed-v0");
        in(path, sizeof(path), f.base, ".current.new");
        ASSERT_OK(symlink("v2", path));

        ASSERT_OK(slots_clean(&f.slots, NULL));
        ASSERT_EQ(access(path, F_OK), -1);
        in(path, sizeof(path), f.base, ".new-v2");
        ASSERT_EQ(access(path, F_OK), -1);
        in(path, sizeof(path), f.base, ".removed-v0");
        ASSERT_EQ(access(path, F_OK), -1);
        in(path, sizeof(path), f.base, ".lock");
        ASSERT_OK(access(path, F_OK));
        ASSERT_TRUE(slots_has(&f.slots, "v1"));
        assert_links(&f, "v1", SLOT_SHIPPED);
        done(&f);
}

TEST(collection)
{
        Fixture f;
        char dir[128];
        int fd;

        setup(&f);
        ASSERT_OK(slots_lock(&f.slots, NULL));
        for (char v[] = "v1"; v[1] <= '8'; v[1]++)
                add_version(&f, v);
        ASSERT_OK(slots_switch(&f.slots, "v1", NULL));
        ASSERT_OK(slots_switch(&f.slots, "v2", NULL));

        use(&f, "web", "v3");
        make_dir(f.run, "sandboxes");
        put(f.etc, "kata.conf", "[Machine]\nMemory=1G\n");
        in(dir, sizeof(dir), f.etc, "kata.conf.d");
        put(dir, "README", "nothing about v8");
        in(dir, sizeof(dir), f.etc, "sandboxes");
        {
                _cleanup_free_ char *pinned = slots_path(&f.slots, "v4"), *text = NULL;

                ASSERT_TRUE(asprintf(&text, "[Sandbox]\nGuestDirectory=%s\n", pinned) > 0);
                put(dir, "pinned.conf", text);
        }
        in(dir, sizeof(dir), f.run, "sandboxes");
        {
                _cleanup_free_ char *pinned = slots_path(&f.slots, "v5"), *text = NULL;

                ASSERT_TRUE(asprintf(&text, "[Sandbox]\nGuestDirectory=%s\n", pinned) > 0);
                put(dir, "canary.conf", text);
        }

        /* A supervisor is opening its files: no reference yet. */
        in(dir, sizeof(dir), f.base, "v6");
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ASSERT_OK(flock(fd, LOCK_SH));

        assert_removed(&f, "v7 v8");
        close(fd);
        assert_removed(&f, "v6");
        in(dir, sizeof(dir), f.run, "web");
        ASSERT_OK(rm_rf(dir));
        assert_removed(&f, "v3");
        assert_removed(&f, "");
        assert_links(&f, "v2", "v1");
        done(&f);
}

TEST(users)
{
        _cleanup_(strv_done) Strv users = {};
        Fixture f;

        setup(&f);
        ASSERT_OK(slots_lock(&f.slots, NULL));
        add_version(&f, "v1");
        add_version(&f, "v12");
        use(&f, "web", "v1");
        use(&f, "db", "v12");
        use(&f, "old", SLOT_SHIPPED);
        ASSERT_OK(slots_users(&f.slots, "v1", &users, NULL));
        ASSERT_EQ(users.n, 1);
        ASSERT_STREQ(users.v[0], "web");
        strv_done(&users);
        users = (Strv) {};
        ASSERT_OK(slots_users(&f.slots, SLOT_SHIPPED, &users, NULL));
        ASSERT_EQ(users.n, 1);
        ASSERT_STREQ(users.v[0], "old");
        done(&f);
}

DEFINE_TEST_MAIN
