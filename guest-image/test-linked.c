/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the list of packages that are linked into a program. */

#include "basic/limits.h"
#include "basic/test.h"
#include "guest-image/linked.h"

TEST(good)
{
        static const char text[] = "libc6-dev|2.41-12|amd64|glibc 2.41-12\n"
                                   "libx-dev|1:2.0~rc1+b1|all|x\n";
        DpkgPackages p = {};

        ASSERT_OK(linked_packages_parse(text, strlen(text), &p, NULL));
        ASSERT_EQ(p.n, 2);
        ASSERT_STREQ(p.v[0].name, "libc6-dev");
        ASSERT_STREQ(p.v[0].version, "2.41-12");
        ASSERT_STREQ(p.v[0].architecture, "amd64");
        ASSERT_STREQ(p.v[0].source, "glibc 2.41-12");
        ASSERT_STREQ(p.v[1].version, "1:2.0~rc1+b1");
        dpkg_packages_done(&p);

        ASSERT_OK(linked_packages_parse("", 0, &p, NULL));
        ASSERT_EQ(p.n, 0);
}

TEST(bad)
{
        static const char *const texts[] = {
                "x", "a|1|amd64", "a|1|amd64|s|t", "a||amd64|s", "|1|amd64|s", "a|1|amd64|s t u",
                "a|1|amd64| s", "a|1\"|amd64|s", "a b|1|amd64|s", "a|1|amd64|s\n\nb",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_free_ char *message = NULL;
                DpkgPackages p = {};

                ASSERT_ERROR(linked_packages_parse(texts[i], strlen(texts[i]), &p, &message), EBADMSG);
                ASSERT_CONTAINS(message, "not a list of packages");
                ASSERT_EQ(p.n, 0);
        }
        ASSERT_ERROR(linked_packages_parse("a\0b", 3, NULL, NULL), EBADMSG);
}

TEST(bounds)
{
        _cleanup_free_ char *text = NULL;
        DpkgPackages p = {};
        size_t n;
        FILE *f = open_memstream(&text, &n);

        for (unsigned i = 0; i <= LINKED_PACKAGES_MAX; i++)
                fprintf(f, "p%u|1|all|s\n", i);
        fclose(f);
        ASSERT_ERROR(linked_packages_parse(text, n, &p, NULL), EFBIG);
}

/* A program of this build, without the note; and a file that is no program. */
TEST(programs_without_it)
{
        DpkgPackages p = {};

        ASSERT_OK(linked_packages_load("/proc/self/exe", &p, NULL));
        ASSERT_EQ(p.n, 0);
        ASSERT_OK(linked_packages_load("/proc/self/status", &p, NULL));
        ASSERT_EQ(p.n, 0);
        ASSERT_ERROR(linked_packages_load("/nonexistent", &p, NULL), ENOENT);
}

DEFINE_TEST_MAIN
