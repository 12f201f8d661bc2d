/* SPDX-License-Identifier: Apache-2.0 */
/* Unit names: what is accepted, and that a name survives the way there and back. */

#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "runtime/unit/unit-name.h"

static void check_roundtrip(const char *name, const char *service, const char *scope)
{
        _cleanup_free_ char *a = NULL, *b = NULL, *c = NULL;

        ASSERT_OK(unit_name_service(name, &a));
        ASSERT_STREQ(a, service);
        ASSERT_TRUE(unit_name_is_valid(a, ".service"));
        ASSERT_OK(unit_name_scope(name, &b));
        ASSERT_STREQ(b, scope);
        ASSERT_TRUE(unit_name_is_valid(b, ".scope"));
        ASSERT_OK(unit_name_to_sandbox(a, &c));
        ASSERT_STREQ(c, name);
}

TEST(roundtrip)
{
        check_roundtrip("web", "kata-sandbox@web.service", "kata-vm-web.scope");
        check_roundtrip("my-web_1.2", "kata-sandbox@my-web_1.2.service", "kata-vm-my-web_1.2.scope");
        check_roundtrip("k8s.io:ab12", "kata-sandbox@k8s.io:ab12.service", "kata-vm-k8s.io:ab12.scope");
}

TEST(refused)
{
        static const char *const bad[] = {
                "", "a", "-x", ".x", "a/b", "a b", "a\nb", "a\\b", "a@b", "a:b:c", ":ab", "ab:", "ns:-x",
                "..", "a\xc3\xa4", "a%b",
        };
        char longest[2 * SANDBOX_ID_MAX + 2], *unit;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                ASSERT_FALSE(sandbox_name_is_valid(bad[i]));
                ASSERT_ERROR(unit_name_service(bad[i], &unit), EINVAL);
                ASSERT_ERROR(unit_name_scope(bad[i], &unit), EINVAL);
        }
        ASSERT_FALSE(sandbox_name_is_valid(NULL));

        /* Namespace and id valid each, the unit name too long together. */
        memset(longest, 'a', sizeof(longest) - 1);
        longest[SANDBOX_ID_MAX] = ':';
        longest[sizeof(longest) - 1] = '\0';
        ASSERT_ERROR(unit_name_service(longest, &unit), EINVAL);

        ASSERT_ERROR(unit_name_to_sandbox("kata-sandbox@.service", &unit), EINVAL);
        ASSERT_ERROR(unit_name_to_sandbox("kata-sandbox@a/b.service", &unit), EINVAL);
        ASSERT_ERROR(unit_name_to_sandbox("sshd.service", &unit), EINVAL);
        ASSERT_ERROR(unit_name_to_sandbox(NULL, &unit), EINVAL);
}

TEST(any_unit)
{
        ASSERT_TRUE(unit_name_is_valid("kubepods-burstable.slice", ".slice"));
        ASSERT_FALSE(unit_name_is_valid("kubepods.slice", ".scope"));
        ASSERT_FALSE(unit_name_is_valid(".scope", ".scope"));
        ASSERT_FALSE(unit_name_is_valid("a/b.scope", ".scope"));
        ASSERT_FALSE(unit_name_is_valid("a b.scope", ".scope"));
        ASSERT_FALSE(unit_name_is_valid("@x.scope", ".scope"));
}

DEFINE_TEST_MAIN
