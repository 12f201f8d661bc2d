/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: what is read, what is refused, what a pattern means. */

#include "basic/limits.h"
#include "basic/policy.h"
#include "basic/test.h"

static Policy *parse(const char *text)
{
        _cleanup_free_ char *message = NULL;
        Policy *policy = NULL;

        if (policy_parse(text, strlen(text), &policy, &message) < 0)
                TEST_FAIL("'%s' is refused: %s", text, message ? message : "?");
        return policy;
}

static bool permits(const Policy *policy, PolicyKind kind, const char *a, const char *b, const char *c)
{
        const char *const words[POLICY_WORDS_MAX] = { a, b, c };

        return policy_permits(policy, kind, words);
}

TEST(patterns)
{
        static const struct {
                const char *pattern, *s;
                bool matches;
        } cases[] = {
                { "", "", true },          { "", "a", false },         { "a", "", false },
                { "abc", "abc", true },    { "abc", "abcd", false },   { "abcd", "abc", false },
                { "*", "", true },         { "*", "a/b/c", true },     { "**", "x", true },
                { "a*", "a", true },       { "a*", "ba", false },      { "*a", "bca", true },
                { "*a", "ab", false },     { "a*b*c", "a1b2b3c", true }, { "a*b*c", "a1c2b", false },
                { "?", "", false },        { "?", "x", true },         { "a?c", "abc", true },
                { "a\\*c", "a*c", true },  { "a\\*c", "abc", false },  { "\\?", "?", true },
                { "\\?", "x", false },     { "a\\", "a\\", true },     { "\\\\", "\\", true },
                { "*\\*", "ab*", true },   { "*\\*", "abc", false },   { "*aab", "aaab", true },
                { "PATH=/*", "PATH=/bin:/usr/bin", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (pattern_matches(cases[i].pattern, cases[i].s) != cases[i].matches)
                        TEST_FAIL("pattern '%s' and '%s'", cases[i].pattern, cases[i].s);
}

/* What takes a matcher that tries all ways for every '*' longer than the universe has. */
TEST(patterns_take_bounded_time)
{
        char s[4096], pattern[201];

        memset(s, 'a', sizeof(s) - 1);
        s[sizeof(s) - 1] = '\0';
        for (size_t i = 0; i + 1 < sizeof(pattern); i += 2)
                memcpy(pattern + i, "a*", 2);
        pattern[sizeof(pattern) - 2] = 'b';
        pattern[sizeof(pattern) - 1] = '\0';
        ASSERT_TRUE(!pattern_matches(pattern, s));
}

TEST(kinds)
{
        _cleanup_(policy_freep) Policy *p = parse(
                "# comment\n"
                "\n"
                "[Policy]\n"
                "Allow = Create* StartContainer\r\n"
                "Allow=\tSetPolicy\n"
                "; another\n"
                "Mount=proc proc /proc\n"
                "Mount=bind /run/kata-containers/shared/* /data/*\n"
                "Environment=PATH=*\n"
                "Environment=GREETING=hello world\n"
                "Image=registry.example/*\n");

        ASSERT_TRUE(permits(p, POLICY_ALLOW, "CreateSandbox", NULL, NULL));
        ASSERT_TRUE(permits(p, POLICY_ALLOW, "SetPolicy", NULL, NULL));
        ASSERT_TRUE(!permits(p, POLICY_ALLOW, "ExecProcess", NULL, NULL));
        ASSERT_TRUE(permits(p, POLICY_MOUNT, "proc", "proc", "/proc"));
        ASSERT_TRUE(!permits(p, POLICY_MOUNT, "proc", "proc", "/etc"));
        ASSERT_TRUE(permits(p, POLICY_MOUNT, "bind", "/run/kata-containers/shared/x", "/data/y"));
        ASSERT_TRUE(permits(p, POLICY_ENVIRONMENT, "GREETING=hello world", NULL, NULL));
        ASSERT_TRUE(!permits(p, POLICY_ENVIRONMENT, "GREETING=hello", NULL, NULL));
        ASSERT_TRUE(!permits(p, POLICY_ENVIRONMENT, "LD_PRELOAD=/x", NULL, NULL));
        ASSERT_TRUE(permits(p, POLICY_IMAGE, "registry.example/a:1", NULL, NULL));
        ASSERT_TRUE(!permits(p, POLICY_IMAGE, "docker.io/a", NULL, NULL));
        /* Not in the text: not restricted. */
        ASSERT_TRUE(permits(p, POLICY_STORAGE, "virtio-fs", "x", "/y"));
}

TEST(empty_lists)
{
        _cleanup_(policy_freep) Policy *none = parse("[Policy]"), *empty = parse("[Policy]\nMount=\nEnvironment=\n");

        /* Whoever writes a policy says what is allowed. */
        ASSERT_TRUE(!permits(none, POLICY_ALLOW, "CreateSandbox", NULL, NULL));
        ASSERT_TRUE(permits(none, POLICY_MOUNT, "a", "b", "c"));
        ASSERT_TRUE(!permits(empty, POLICY_MOUNT, "a", "b", "c"));
        ASSERT_TRUE(!permits(empty, POLICY_ENVIRONMENT, "A=b", NULL, NULL));
}

static void refuse(const char *text, size_t n, int error, const char *part)
{
        _cleanup_free_ char *message = NULL;
        Policy *policy = NULL;

        ASSERT_EQ(policy_parse(text, n, &policy, &message), error);
        ASSERT_NULL(policy);
        ASSERT_CONTAINS(message, part);
}

TEST(refused)
{
        static const struct {
                const char *text, *part;
        } cases[] = {
                { "", "empty" },
                { "# only a comment\n", "empty" },
                { "package agent_policy\n", "line 1: a policy begins with" },
                { "\nAllow=*\n", "line 2: a policy begins with" },
                { "[Policy]\nAllow\n", "line 2: no '='" },
                { "[Policy]\n\nDeny=*\n", "line 3: unknown key 'Deny'" },
                { "[Policy]\nMount=proc proc\n", "line 2: Mount= wants TYPE SOURCE DESTINATION" },
                { "[Policy]\nMount=a b c d\n", "line 2: Mount= wants" },
                { "[Policy]\nStorage=x\n", "line 2: Storage= wants DRIVER SOURCE MOUNTPOINT" },
                { "[Policy]\n[Other]\n", "line 2: no '='" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                refuse(cases[i].text, strlen(cases[i].text), -EINVAL, cases[i].part);
        refuse("[Policy]\nAllow=a\0b", 18, -EINVAL, "UTF-8");
        refuse("[Policy]\nAllow=\xff\n", 17, -EINVAL, "UTF-8");
}

TEST(bounds)
{
        _cleanup_free_ char *text = malloc(POLICY_SIZE_MAX + 1);
        size_t n;

        ASSERT_NOT_NULL(text);
        memset(text, '\n', POLICY_SIZE_MAX + 1);
        refuse(text, POLICY_SIZE_MAX + 1, -E2BIG, "64 KiB");

        n = (size_t) sprintf(text, "[Policy]\nAllow=");
        for (unsigned i = 0; i <= POLICY_RULES_MAX; i++)
                n += (size_t) sprintf(text + n, "a ");
        refuse(text, n, -E2BIG, "line 2: more than 1024 patterns for Allow=");
        text[n - 2] = ' ';
        policy_free(parse(text));
}

DEFINE_TEST_MAIN
