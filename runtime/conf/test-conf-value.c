/* SPDX-License-Identifier: Apache-2.0 */
#include "basic/test.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/strv.h"
#include "runtime/conf/conf-value.h"

static const char *const words[] = { "red", "green", NULL };

TEST(word)
{
        const ConfKey k = { .words = words };
        unsigned v = 7;

        ASSERT_OK(conf_parse_word(&k, "green", &v));
        ASSERT_EQ(v, 1);
        ASSERT_ERROR(conf_parse_word(&k, "Green", &v), EINVAL);
        ASSERT_EQ(v, 1);
}

TEST(path)
{
        static const char *const bad[] = {
                "x", "./x", "/a/../b", "/..", "/a\nb", "/a/..", "/\xff"
        };
        _cleanup_free_ char *v = NULL;
        const ConfKey k = {};

        ASSERT_OK(conf_parse_path(&k, "/srv/..x/y..", &v));
        ASSERT_STREQ(v, "/srv/..x/y..");
        ASSERT_OK(conf_parse_path(&k, "/", &v));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_ERROR(conf_parse_path(&k, bad[i], &v), EINVAL);
        ASSERT_STREQ(v, "/");
}

TEST(names)
{
        static const char *const bad_hosts[] = { "-a",  "a-",  "a..b", ".a",   "a.",
                                                 "a_b", "a b", "a.-b", "a-.b", "\xc3\xa4" };
        static const char *const bad_users[] = { "1a", "-a", "a b", "a:b", "a/b", "" };
        _cleanup_free_ char *v = NULL;
        const ConfKey k = {};
        char name[80];

        ASSERT_OK(conf_parse_hostname(&k, "web-1.example", &v));
        for (size_t i = 0; i < ELEMENTSOF(bad_hosts); i++)
                ASSERT_ERROR(conf_parse_hostname(&k, bad_hosts[i], &v), EINVAL);
        memset(name, 'a', 65);
        name[65] = '\0';
        ASSERT_ERROR(conf_parse_hostname(&k, name, &v), ERANGE);
        name[64] = '\0';
        ASSERT_OK(conf_parse_hostname(&k, name, &v));

        ASSERT_OK(conf_parse_user_name(&k, "_kata-vm", &v));
        for (size_t i = 0; i < ELEMENTSOF(bad_users); i++)
                ASSERT_ERROR(conf_parse_user_name(&k, bad_users[i], &v), EINVAL);
}

TEST(numbers)
{
        const ConfKey memory = { .min = MIB(64), .max = MIB(1024) }, count = { .min = 1, .max = 8 };
        uint64_t m = 0;
        uint32_t n = 0;

        ASSERT_OK(conf_parse_memory(&memory, "128M", &m));
        ASSERT_EQ(m, MIB(128));
        ASSERT_ERROR(conf_parse_memory(&memory, "63M", &m), ERANGE);
        ASSERT_ERROR(conf_parse_memory(&memory, "2G", &m), ERANGE);
        ASSERT_ERROR(conf_parse_memory(&memory, "134217729", &m), ERANGE);
        ASSERT_TRUE(conf_parse_memory(&memory, "12X", &m) < 0);
        ASSERT_TRUE(conf_parse_memory(&memory, "-1", &m) < 0);

        ASSERT_OK(conf_parse_u32(&count, "8", &n));
        ASSERT_ERROR(conf_parse_u32(&count, "9", &n), ERANGE);
        ASSERT_ERROR(conf_parse_u32(&count, "0", &n), ERANGE);
        ASSERT_EQ(n, 8);
}

TEST(signals)
{
        static const char *const bad[] = { "0",        "65",      "SIG",   "SIGSIGTERM", "term",
                                           "RTMIN+31", "RTMIN-1", "SIG15", "RTMINx" };
        const ConfKey k = {};
        int v = 0;

        ASSERT_OK(conf_parse_signal(&k, "TERM", &v));
        ASSERT_EQ(v, 15);
        ASSERT_OK(conf_parse_signal(&k, "SIGQUIT", &v));
        ASSERT_EQ(v, 3);
        ASSERT_OK(conf_parse_signal(&k, "64", &v));
        ASSERT_EQ(v, 64);
        ASSERT_OK(conf_parse_signal(&k, "SIGRTMIN+3", &v));
        ASSERT_EQ(v, 37);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_ERROR(conf_parse_signal(&k, bad[i], &v), EINVAL);
}

TEST(words)
{
        const ConfKey k = {};
        Strv v = {};

        ASSERT_OK(conf_parse_words(&k, "/bin/sh -c 'echo \"a # b\"; x=1' ''", &v));
        ASSERT_EQ(v.n, 4);
        ASSERT_STREQ(v.v[2], "echo \"a # b\"; x=1");
        ASSERT_STREQ(v.v[3], "");
        ASSERT_ERROR(conf_parse_words(&k, "'open", &v), EINVAL);
        ASSERT_ERROR(conf_parse_words(&k, "'' a", &v), EINVAL);
        ASSERT_EQ(v.n, 4);
        strv_done(&v);
}

TEST(environment)
{
        const ConfKey k = {};
        Strv v = {};

        ASSERT_OK(conf_parse_environment(&k, "A=1 'B=x y' C=", &v));
        ASSERT_OK(conf_parse_environment(&k, "A=2 AA=3 D=e=f", &v));
        ASSERT_EQ(v.n, 5);
        ASSERT_STREQ(v.v[0], "A=2");
        ASSERT_STREQ(v.v[1], "B=x y");
        ASSERT_STREQ(v.v[3], "AA=3");
        ASSERT_STREQ(v.v[4], "D=e=f");
        ASSERT_ERROR(conf_parse_environment(&k, "E=1 novalue", &v), EINVAL);
        ASSERT_ERROR(conf_parse_environment(&k, "=x", &v), EINVAL);
        ASSERT_EQ(v.n, 5);
        strv_done(&v);
}

TEST(user_ids)
{
        const ConfKey k = {};
        uint32_t v[2] = {};

        ASSERT_OK(conf_parse_user_ids(&k, "1000", v));
        ASSERT_EQ(v[1], 1000);
        ASSERT_OK(conf_parse_user_ids(&k, "1000:33", v));
        ASSERT_EQ(v[0], 1000);
        ASSERT_EQ(v[1], 33);
        ASSERT_ERROR(conf_parse_user_ids(&k, "1000:", v), EINVAL);
        ASSERT_ERROR(conf_parse_user_ids(&k, "4294967295", v), EINVAL);
        ASSERT_ERROR(conf_parse_user_ids(&k, "www-data", v), EINVAL);
}

DEFINE_TEST_MAIN
