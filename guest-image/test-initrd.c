/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of the initrd builder: archives against cpio(1), order of modules against a made-up kernel, and the
 * whole against kernels that are installed here. No root.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/kernel-release.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "guest-image/cpio.h"
#include "guest-image/modules.h"
#include "guest-image/run.h"

/* --- archives --- */

static void write_archive(char *path)
{
        _cleanup_close_ int fd = mkstemp(path);
        CpioWriter w = { .fd = fd };

        ASSERT_TRUE(fd >= 0);
        ASSERT_OK(cpio_add(&w, "dir", S_IFDIR | 0755, NULL, 0));
        ASSERT_OK(cpio_add(&w, "dir/a", S_IFREG | 0644, "12345", 5));
        ASSERT_OK(cpio_add(&w, "dir/empty", S_IFREG | 0600, NULL, 0));
        ASSERT_OK(cpio_add(&w, "link", S_IFLNK | 0777, "dir/a", 5));
        ASSERT_OK(cpio_add_device(&w, "console", 0600, 5, 1));
        ASSERT_OK(cpio_finish(&w));
        ASSERT_EQ(w.size % 512, 0);
        ASSERT_EQ(lseek(fd, 0, SEEK_END), w.size);
}

TEST(cpio_bytes)
{
        char a[] = "/tmp/test-initrd-XXXXXX", b[] = "/tmp/test-initrd-XXXXXX";
        _cleanup_free_ char *ta = NULL, *tb = NULL;
        size_t na, nb;

        write_archive(a);
        write_archive(b);
        ASSERT_OK(read_file_at(AT_FDCWD, a, KIB(64), &ta, &na));
        ASSERT_OK(read_file_at(AT_FDCWD, b, KIB(64), &tb, &nb));
        ASSERT_EQ(na, nb);
        ASSERT_TRUE(memcmp(ta, tb, na) == 0);

        /* First header: inode 1, 040755, root, no time, no content, no device, name of 4 bytes. */
        ASSERT_TRUE(strncmp(ta,
                            "070701" "00000001" "000041ED" "00000000" "00000000" "00000002"
                            "00000000" "00000000" "00000000" "00000000" "00000000" "00000000"
                            "00000004" "00000000" "dir", 113) == 0);
        unlink(a);
        unlink(b);
}

TEST(cpio_program)
{
        char path[] = "/tmp/test-initrd-XXXXXX";
        _cleanup_(strv_done) Strv argv = {};
        _cleanup_free_ char *out = NULL;

        if (access("/usr/bin/cpio", X_OK) < 0 && access("/bin/cpio", X_OK) < 0) {
                fprintf(stderr, "no cpio here, not compared\n");
                return;
        }

        write_archive(path);
        ASSERT_OK(strv_add_many(&argv, "cpio", "--quiet", "-tvn", "-I", path, NULL));
        ASSERT_OK(run_capture(&argv, KIB(64), &out, NULL));
        ASSERT_CONTAINS(out, "drwxr-xr-x   2 0        0               0 Jan  1  1970 dir\n");
        ASSERT_CONTAINS(out, "-rw-r--r--   1 0        0               5 Jan  1  1970 dir/a\n");
        ASSERT_CONTAINS(out, "-rw-------   1 0        0               0 Jan  1  1970 dir/empty\n");
        ASSERT_CONTAINS(out, "lrwxrwxrwx   1 0        0               5 Jan  1  1970 link -> dir/a\n");
        ASSERT_CONTAINS(out, "crw-------   1 0        0          5,   1 Jan  1  1970 console\n");
        ASSERT_EQ(strlen(out) > 0 ? out[strlen(out) - 1] : 0, '\n');

        unsigned lines = 0;
        for (const char *p = out; *p; p++)
                lines += *p == '\n';
        ASSERT_EQ(lines, 5);
        unlink(path);
}

/* --- list of modules --- */

static void check_bad_list(const char *text, const char *part)
{
        _cleanup_(module_wishes_done) ModuleWishes w = {};
        _cleanup_free_ char *m = NULL;

        ASSERT_TRUE(module_wishes_parse("list", text, &w, &m) < 0);
        ASSERT_CONTAINS(m, part);
}

TEST(list)
{
        _cleanup_(module_wishes_done) ModuleWishes w = {};

        ASSERT_OK(module_wishes_parse("list", "# x\n\nrequired dm-verity  the root\noptional\txfs v", &w,
                                      NULL));
        ASSERT_EQ(w.n, 2);
        ASSERT_STREQ(w.v[0].name, "dm-verity");
        ASSERT_FALSE(w.v[0].optional);
        ASSERT_STREQ(w.v[1].name, "xfs");
        ASSERT_TRUE(w.v[1].optional);

        check_bad_list("", "no modules");
        check_bad_list("dm-verity x", "list:1: a line begins with");
        check_bad_list("required", "list:1: not the name");
        check_bad_list("required ../x y", "list:1: not the name");
        check_bad_list("required xfs", "list:1: module 'xfs' has no reason");
        check_bad_list("required xfs  ", "list:1: module 'xfs' has no reason");
        check_bad_list("required dm-x a\n#\noptional dm_x b", "list:3: module 'dm_x' is given already");
}

/* --- order --- */

typedef struct FakeModule {
        const char *name;
        bool builtin;
        const char *before[4], *depends[4], *after[4];
} FakeModule;

static const FakeModule fake[] = {
        { "virtio_pci", .builtin = true },
        { "dm_mod" },
        { "dm_bufio", .depends = { "dm_mod" } },
        { "reed_solomon" },
        { "dm_verity", .before = { "sha256", "absent" },
          .depends = { "reed_solomon", "dm_mod", "dm_bufio" } },
        { "sha256" },
        { "libcrc32c", .before = { "crc32c" } },
        { "crc32c", .builtin = true },
        { "erofs", .depends = { "libcrc32c" } },
        { "xfs", .depends = { "libcrc32c" } },
        { "front", .after = { "back", "absent" } },
        { "back", .before = { "front" } },
        { "broken", .depends = { "absent" } },
};

static int add_all(Strv *names, const char *const *v)
{
        for (size_t i = 0; i < 4 && v[i]; i++)
                ASSERT_OK(strv_add(names, v[i]));
        return 0;
}

static int fake_lookup(void *userdata, const char *name, ModuleInfo *ret)
{
        char plain[64];

        snprintf(plain, sizeof(plain), "%s", streq(name, "an-alias") ? "xfs" : name);
        for (char *p = plain; *p; p++)
                if (*p == '-')
                        *p = '_';

        for (size_t i = 0; i < ELEMENTSOF(fake); i++) {
                const FakeModule *f = &fake[i];

                if (!streq(f->name, plain))
                        continue;
                *ret = (ModuleInfo) { .name = strdup(f->name), .builtin = f->builtin };
                if (f->builtin)
                        return 0;
                ASSERT_OK(asprintf(&ret->path, "/m/%s.ko", f->name));
                add_all(&ret->before, f->before);
                add_all(&ret->depends, f->depends);
                return add_all(&ret->after, f->after);
        }

        return -ENOENT;
}

static void check_order(const char *list, const char *wanted)
{
        const ModuleSource source = { .lookup = fake_lookup };
        _cleanup_(module_wishes_done) ModuleWishes w = {};
        _cleanup_(module_plan_done) ModulePlan plan = {};
        _cleanup_(strv_done) Strv names = {};
        _cleanup_free_ char *text = NULL, *m = NULL;

        ASSERT_OK(module_wishes_parse("list", list, &w, NULL));
        if (module_plan_make(&w, &source, "6.1", &plan, &m) < 0)
                TEST_FAIL("%s", m);
        for (size_t i = 0; i < plan.n; i++)
                ASSERT_OK(strv_addf(&names, "%s%s", plan.v[i].name, plan.v[i].optional ? "?" : ""));
        text = strv_join(&names, " ");
        ASSERT_STREQ(text, wanted);
}

TEST(order)
{
        check_order("required virtio_pci x", "");
        check_order("required virtio_pci x\nrequired dm-verity x",
                    "sha256? reed_solomon dm_mod dm_bufio dm_verity");
        check_order("optional xfs x\nrequired erofs x", "libcrc32c xfs? erofs");
        check_order("required an-alias x\noptional xfs x", "libcrc32c xfs");
        check_order("optional absent x\nrequired dm-bufio x", "dm_mod dm_bufio");
        check_order("optional broken x\nrequired dm-mod x", "dm_mod");

        /* Soft dependencies in a circle. */
        check_order("required front x", "front back?");
        check_order("required back x", "front? back");
}

TEST(missing)
{
        const ModuleSource source = { .lookup = fake_lookup };
        _cleanup_(module_wishes_done) ModuleWishes w = {};
        _cleanup_(module_plan_done) ModulePlan plan = {};
        _cleanup_free_ char *m = NULL;

        ASSERT_OK(module_wishes_parse("list", "required xfs x\nrequired absent x", &w, NULL));
        ASSERT_ERROR(module_plan_make(&w, &source, "6.1", &plan, &m), ENOENT);
        ASSERT_CONTAINS(m, "kernel 6.1 has no module 'absent'");
}

/* --- an installed kernel --- */

static size_t position(const ModulePlan *plan, const char *name)
{
        for (size_t i = 0; i < plan->n; i++)
                if (streq(plan->v[i].name, name))
                        return i;

        return SIZE_MAX;
}

TEST(installed_kernel)
{
        _cleanup_(module_directory_freep) ModuleDirectory *d = NULL;
        _cleanup_(module_wishes_done) ModuleWishes w = {};
        _cleanup_(module_plan_done) ModulePlan plan = {};
        _cleanup_(kernel_release_done) KernelRelease k = {};
        _cleanup_free_ char *data = NULL, *m = NULL;
        ModuleSource source;
        size_t size, verity;

        if (kernel_release_find(NULL, NULL, &k, &m) < 0) {
                fprintf(stderr, "%s; not tested\n", m);
                return;
        }

        ASSERT_OK(module_wishes_parse("list", "required dm-verity x\nrequired ext4 x\noptional nonesuch x",
                                      &w, NULL));
        ASSERT_OK(module_directory_open(k.modules, &d, NULL));
        source = module_directory_source(d);
        ASSERT_OK(module_plan_make(&w, &source, k.release, &plan, NULL));
        verity = position(&plan, "dm_verity");
        if (verity == SIZE_MAX)
                return;         /* built in */

        if (position(&plan, "dm_mod") != SIZE_MAX)
                ASSERT_TRUE(position(&plan, "dm_mod") < verity);
        ASSERT_OK(module_read(plan.v[verity].path, &data, &size, NULL));
        ASSERT_TRUE(size > 1024 && memcmp(data, "\177ELF", 4) == 0);
}

TEST(no_index)
{
        char dir[] = "/tmp/test-initrd-XXXXXX";
        _cleanup_free_ char *m = NULL;
        ModuleDirectory *d;

        ASSERT_NOT_NULL(mkdtemp(dir));
        ASSERT_TRUE(module_directory_open(dir, &d, &m) < 0);
        ASSERT_CONTAINS(m, "run depmod");
        ASSERT_OK(rm_rf(dir));
}

DEFINE_TEST_MAIN
