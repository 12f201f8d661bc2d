/* SPDX-License-Identifier: Apache-2.0 */
/* Weights, and lists of processors. */

#include "basic/cgroup-weight.h"
#include "basic/cpu-list.h"
#include "basic/test.h"

TEST(weights)
{
        /* Values of the formula, computed elsewhere. */
        static const struct {
                uint64_t shares, weight;
        } cases[] = {
                        {0, 0},
                        {1, 1},
                        {2, 1},
                        {3, 2},
                        {10, 4},
                        {100, 17},
                        {512, 59},
                        {1024, 100},
                        {2048, 174},
                        {4096, 303},
                        {100000, 4340},
                        {262144, 10000},
                        {UINT64_MAX, 10000},
        };
        uint64_t last = 0;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                ASSERT_EQ(cgroup_weight_from_shares(cases[i].shares), cases[i].weight);
        for (uint64_t shares = 1; shares < 270000; shares += 97) {
                uint64_t weight = cgroup_weight_from_shares(shares);

                ASSERT_TRUE(weight >= last && weight <= 10000);
                last = weight;
        }

        ASSERT_EQ(cgroup_io_weight(0), 0);
        ASSERT_EQ(cgroup_io_weight(10), 1);
        ASSERT_EQ(cgroup_io_weight(1000), 10000);
        ASSERT_EQ(cgroup_io_weight(5000), 10000);
}

static void expect_list(const char *text, const char *hex, const char *again)
{
        _cleanup_(cpu_list_done) CpuList list = {};
        _cleanup_free_ char *found = NULL, *back = NULL;

        ASSERT_OK(cpu_list_parse(text, &list));
        found = hex_encode(list.bits, list.n);
        ASSERT_STREQ(found, hex);
        back = ASSERT_NOT_NULL(cpu_list_to_text(&list));
        ASSERT_STREQ(back, again);
}

TEST(cpu_lists)
{
        static const char *const bad[] = {
                "", ",", "0,", ",0", "-", "-1", "1-", "3-1", "0 1", "a", "0x1", "8192", "1-8192",
                "99999999999999999999", "0-1-2", "0,,1", "0\n", " 0", "+1", "1-+2", "0:1",
        };

        expect_list("0", "01", "0");
        expect_list("0-3,7", "8f", "0-3,7");
        expect_list("8", "0001", "8");
        expect_list("15,0-0", "0180", "0,15");
        expect_list("3,1-2,2", "0e", "1-3");
        expect_list("7,8,6", "c001", "6-8");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                CpuList list = {};

                ASSERT_ERROR(cpu_list_parse(bad[i], &list), EINVAL);
                ASSERT_NULL(list.bits);
        }
        {
                _cleanup_(cpu_list_done) CpuList list = {};

                ASSERT_OK(cpu_list_parse("8191", &list));
                ASSERT_EQ(list.n, 1024);
        }
}

TEST(cpu_list_copies)
{
        _cleanup_(cpu_list_done) CpuList list = {}, copy = {}, none = {};

        ASSERT_OK(cpu_list_parse("9", &list));
        ASSERT_OK(cpu_list_set(&copy, list.bits, list.n));
        ASSERT_EQ(copy.n, 2);
        ASSERT_EQ(copy.bits[1], 2);
        ASSERT_OK(cpu_list_set(&none, NULL, 0));
        ASSERT_EQ(none.n, 0);
        ASSERT_ERROR(cpu_list_set(&none, list.bits, 1025), E2BIG);
}

DEFINE_TEST_MAIN
