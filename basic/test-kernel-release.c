/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of names, order and search of installed kernels, in a directory of their own. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/kernel-release.h"
#include "basic/test.h"

static void make(const char *root, const char *path)
{
        _cleanup_free_ char *full = NULL, *dir = NULL;

        ASSERT_OK(asprintf(&full, "%s/%s", root, path));
        dir = strdup(full);
        *strrchr(dir, '/') = '\0';
        ASSERT_OK(mkdir_p(dir, 0755));
        ASSERT_OK(write_file_atomic(full, "x", 1, 0644));
}

static void check_newest(const char *root, const char *release, const char *image)
{
        _cleanup_(kernel_release_done) KernelRelease k = {};

        ASSERT_OK(kernel_release_find(root, NULL, &k, NULL));
        ASSERT_STREQ(k.release, release);
        ASSERT_STREQ(k.image + strlen(root), image);
}

TEST(order)
{
        static const char *const rising[] = {
                "5.10.0-9-cloud-amd64", "5.10.0-36-amd64", "6.1.0-9-amd64", "6.1.0-40-amd64",
                "6.1.0-40-cloud-amd64", "6.9-amd64", "6.12.9+deb13-cloud-amd64",
                "6.12.57+deb13-rt-amd64", "6.12.57+deb13-amd64", "6.12.57+deb13-cloud-amd64",
                "6.12.100+deb13-amd64", "6.13-rc2-amd64", "6.13-rc10-cloud-amd64",
                "6.13~rc11-amd64", "6.13-amd64",
        };

        for (size_t i = 0; i < ELEMENTSOF(rising); i++)
                for (size_t j = 0; j < ELEMENTSOF(rising); j++) {
                        int r = kernel_release_compare(rising[i], rising[j]);

                        if ((r < 0) != (i < j) || (r > 0) != (i > j))
                                TEST_FAIL("%s and %s: %d", rising[i], rising[j], r);
                }
}

TEST(names)
{
        char longest[80];

        ASSERT_TRUE(kernel_release_is_valid("6.12.57+deb13-cloud-amd64"));
        ASSERT_FALSE(kernel_release_is_valid(""));
        ASSERT_FALSE(kernel_release_is_valid(".."));
        ASSERT_FALSE(kernel_release_is_valid("6.1/../x"));
        ASSERT_FALSE(kernel_release_is_valid("6.1 x"));
        ASSERT_FALSE(kernel_release_is_valid("-6.1"));
        memset(longest, '6', sizeof(longest));
        longest[64] = '\0';
        ASSERT_TRUE(kernel_release_is_valid(longest));
        longest[64] = '6';
        longest[65] = '\0';
        ASSERT_FALSE(kernel_release_is_valid(longest));
}

TEST(search)
{
        _cleanup_(kernel_release_done) KernelRelease k = {};
        char root[] = "/tmp/test-kernel-release-XXXXXX";
        _cleanup_free_ char *m = NULL;

        ASSERT_NOT_NULL(mkdtemp(root));
        ASSERT_ERROR(kernel_release_find(root, NULL, &k, &m), ENOENT);
        ASSERT_CONTAINS(m, "install linux-image-cloud-amd64");

        make(root, "boot/vmlinuz-6.1.0-9-amd64");
        make(root, "usr/lib/modules/6.1.0-9-amd64/modules.dep.bin");
        check_newest(root, "6.1.0-9-amd64", "/boot/vmlinuz-6.1.0-9-amd64");

        /* A cloud flavour of the same version, in a tree without merged /usr. */
        make(root, "boot/vmlinuz-6.1.0-9-cloud-amd64");
        make(root, "lib/modules/6.1.0-9-cloud-amd64/modules.dep.bin");
        check_newest(root, "6.1.0-9-cloud-amd64", "/boot/vmlinuz-6.1.0-9-cloud-amd64");

        /* Newer, but without modules or without image: not taken. */
        make(root, "boot/vmlinuz-6.2-amd64");
        make(root, "usr/lib/modules/6.3-amd64/modules.dep.bin");
        make(root, "usr/lib/modules/6.4-amd64/leftover");
        check_newest(root, "6.1.0-9-cloud-amd64", "/boot/vmlinuz-6.1.0-9-cloud-amd64");

        /* Image beside the modules. */
        make(root, "usr/lib/modules/6.3-amd64/vmlinuz");
        check_newest(root, "6.3-amd64", "/usr/lib/modules/6.3-amd64/vmlinuz");

        ASSERT_OK(kernel_release_find(root, "6.1.0-9-amd64", &k, NULL));
        ASSERT_STREQ(k.release, "6.1.0-9-amd64");
        ASSERT_CONTAINS(k.modules, "/usr/lib/modules/6.1.0-9-amd64");
        kernel_release_done(&k);

        ASSERT_ERROR(kernel_release_find(root, "6.2-amd64", &k, &m), ENOENT);
        ASSERT_CONTAINS(m, "kernel 6.2-amd64 has no modules");
        ASSERT_ERROR(kernel_release_find(root, "6.4-amd64", &k, &m), ENOENT);
        ASSERT_CONTAINS(m, "kernel 6.4-amd64 has no image");
        ASSERT_ERROR(kernel_release_find(root, "../x", &k, &m), EINVAL);
        ASSERT_CONTAINS(m, "no kernel release");

        ASSERT_OK(rm_rf(root));
}

DEFINE_TEST_MAIN
