/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what the initial agent takes from command line and initrd. */

#include "agent/initrd-plan.h"
#include "basic/test.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PARAMS "1 /dev/vda /dev/vda 4096 4096 100 100 sha256 " HASH " aa 1 panic_on_corruption"
#define VERITY "verity " PARAMS
#define ROOT_DEVICE "vroot,,,ro,0 800 " VERITY
#define OTHER_DEVICE "debug,uu-id,3,ro,0 16 verity 1 /dev/vdb /dev/vdc 4096 4096 2 2 sha256 " HASH " aa"

static void check_bad(const char *text, const char *part)
{
        static DmTables tables;
        _cleanup_free_ char *m = NULL;

        ASSERT_TRUE(dm_tables_parse(text, &tables, &m) < 0);
        ASSERT_CONTAINS(m, part);
}

TEST(tables)
{
        static DmTables t;

        ASSERT_OK(dm_tables_parse(ROOT_DEVICE, &t, NULL));
        ASSERT_EQ(t.n, 1);
        ASSERT_STREQ(t.v[0].name, "vroot");
        ASSERT_STREQ(t.v[0].uuid, "");
        ASSERT_EQ(t.v[0].minor, -1);
        ASSERT_EQ(t.v[0].sectors, 800);
        ASSERT_STREQ(t.v[0].params, PARAMS);
        ASSERT_STREQ(t.v[0].data, "/dev/vda");

        ASSERT_OK(dm_tables_parse(ROOT_DEVICE "; " OTHER_DEVICE, &t, NULL));
        ASSERT_EQ(t.n, 2);
        ASSERT_STREQ(t.v[1].name, "debug");
        ASSERT_STREQ(t.v[1].uuid, "uu-id");
        ASSERT_EQ(t.v[1].minor, 3);
        ASSERT_STREQ(t.v[1].data, "/dev/vdb");
        ASSERT_STREQ(t.v[1].hash, "/dev/vdc");
}

TEST(bad_tables)
{
        char longest[KERNEL_CMDLINE_MAX + 2];

        check_bad("", "less than five fields");
        check_bad(ROOT_DEVICE ";", "less than five fields");
        check_bad("vroot,,ro,0 8 " VERITY, "less than five fields");
        check_bad(",,,ro,0 8 " VERITY, "name of a device");
        check_bad("a/b,,,ro,0 8 " VERITY, "name of a device");
        check_bad("vroot,,x,ro,0 8 " VERITY, "minor is not valid");
        check_bad("vroot,,1048576,ro,0 8 " VERITY, "minor is not valid");
        check_bad("vroot,,,rw,0 8 " VERITY, "'vroot' is not read-only");
        check_bad("vroot,,,,0 8 " VERITY, "'vroot' is not read-only");
        check_bad("vroot,,,ro,", "table is cut off");
        check_bad("vroot,,,ro,0 8", "table is cut off");
        check_bad("vroot,,,ro,1 8 " VERITY, "sectors");
        check_bad("vroot,,,ro,0 0 " VERITY, "sectors");
        check_bad("vroot,,,ro,0 99999999999999999999 " VERITY, "sectors");
        check_bad("vroot,,,ro,0 8 linear /dev/vda 0", "only target that is set up here is verity");
        check_bad("vroot,,,ro,0 8 " VERITY ",8 8 linear /dev/vda 0", "more than one table");
        check_bad("vroot,,,ro,0 8 verity 1 /dev/vda", "cut off");
        check_bad("vroot,,,ro,0 8 verity 0 /dev/vda /dev/vda 4096", "hash type");
        check_bad("vroot,,,ro,0 8 verity 1 vda /dev/vda 4096", "files of /dev");
        check_bad("vroot,,,ro,0 8 verity 1 /dev/../x /dev/vda 4096", "files of /dev");
        check_bad("vroot,,,ro,0 8 verity 1 /dev/vda /dev/ 4096", "files of /dev");
        check_bad("vroot\n,,,ro,0 8 " VERITY, "printable");
        check_bad(ROOT_DEVICE ";" ROOT_DEVICE, "'vroot' is given twice");

        memset(longest, 'x', sizeof(longest));
        longest[sizeof(longest) - 1] = '\0';
        check_bad(longest, "printable");
}

TEST(too_many_tables)
{
        char text[2048];
        size_t n = 0;

        for (unsigned i = 0; i <= DM_DEVICES_MAX; i++)
                n += (size_t) snprintf(text + n, sizeof(text) - n,
                                       "%sd%u,,,ro,0 8 verity 1 /dev/vda /dev/vda 4096", i ? ";" : "", i);
        check_bad(text, "more than 8 devices");
}

static void check_bad_root(const char *cmdline, const char *part)
{
        static RootPlan plan;
        _cleanup_free_ char *m = NULL;

        ASSERT_TRUE(root_plan_parse(cmdline, &plan, &m) < 0);
        ASSERT_CONTAINS(m, part);
}

TEST(root)
{
        static RootPlan plan;

        ASSERT_OK(root_plan_parse("root=/dev/sda root=/dev/dm-0 ro rootfstype=erofs rdinit=/init "
                                  "dm-mod.create=\"" ROOT_DEVICE "\" panic=-1 -- root=/dev/vda",
                                  &plan, NULL));
        ASSERT_EQ(plan.minor, 0);
        ASSERT_STREQ(plan.type, "erofs");
        ASSERT_STREQ(plan.init, "/usr/bin/kata-agent");
        ASSERT_EQ(plan.tables.n, 1);

        ASSERT_OK(root_plan_parse("root=/dev/dm-0 rootfstype=erofs init=/bin/sh dm-mod.create=\""
                                  ROOT_DEVICE "\"", &plan, NULL));
        ASSERT_STREQ(plan.init, "/bin/sh");

        check_bad_root("root=/dev/dm-0 rootfstype=erofs", "dm-mod.create= is missing");
        check_bad_root("root=/dev/dm-0 rootfstype=erofs init=sh dm-mod.create=\"" ROOT_DEVICE "\"",
                       "init= is not an absolute path");
        check_bad_root("rootfstype=erofs dm-mod.create=\"" ROOT_DEVICE "\"", "root= is not /dev/dm-N");
        check_bad_root("root=/dev/vda rootfstype=erofs dm-mod.create=\"" ROOT_DEVICE "\"",
                       "root= is not /dev/dm-N");
        check_bad_root("root=/dev/dm-0 dm-mod.create=\"" ROOT_DEVICE "\"", "rootfstype=");
        check_bad_root("root=/dev/dm-0 rootfstype=../x dm-mod.create=\"" ROOT_DEVICE "\"", "rootfstype=");
        check_bad_root("root=/dev/dm-0 rootfstype=erofs dm-mod.create=vroot",
                       "dm-mod.create=: a device has less than five fields");
}

TEST(modules)
{
        static InitrdModules m;
        _cleanup_free_ char *error = NULL;

        ASSERT_OK(initrd_modules_parse("", &m, NULL));
        ASSERT_EQ(m.n, 0);
        ASSERT_OK(initrd_modules_parse("required 000-dm_mod.ko\noptional 001-xfs.ko\n", &m, NULL));
        ASSERT_EQ(m.n, 2);
        ASSERT_STREQ(m.v[0].file, "000-dm_mod.ko");
        ASSERT_FALSE(m.v[0].optional);
        ASSERT_TRUE(m.v[1].optional);

        ASSERT_ERROR(initrd_modules_parse("required a.ko\nrequired ../b.ko", &m, &error), EINVAL);
        ASSERT_CONTAINS(error, "line 2");
        ASSERT_ERROR(initrd_modules_parse("required", &m, NULL), EINVAL);
        ASSERT_ERROR(initrd_modules_parse("required ", &m, NULL), EINVAL);
        ASSERT_ERROR(initrd_modules_parse("wanted a.ko", &m, NULL), EINVAL);
        ASSERT_ERROR(initrd_modules_parse("required a.ko b", &m, NULL), EINVAL);
        ASSERT_ERROR(initrd_modules_parse("required "
                                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                          "aaaaaaaaaaaaaaaaaaaaaaaa", &m, NULL), EINVAL);
}

DEFINE_TEST_MAIN
