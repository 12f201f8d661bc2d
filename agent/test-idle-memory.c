/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the program that are given up: fewer are there, and all of it still works. */

#include <fcntl.h>

#include "agent/idle-memory.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

static unsigned long mapped_kib(void)
{
        _cleanup_free_ char *text = NULL;

        ASSERT_OK(read_file_at(AT_FDCWD, "/proc/self/status", 16384, &text, NULL));
        return strtoul(ASSERT_NOT_NULL(strstr(text, "RssFile:")) + strlen("RssFile:"), NULL, 10);
}

TEST(forget)
{
        unsigned long before = mapped_kib(), after;

        ASSERT_TRUE(idle_memory_forget() > 0);
        after = mapped_kib();
        if (after >= before)
                TEST_FAIL("%lu KiB before, %lu KiB after", before, after);
        /* With nothing in between to be given up. */
        ASSERT_TRUE(idle_memory_forget() > 0);
        ASSERT_TRUE(mapped_kib() < before);
}

static __attribute__((noinline)) size_t deep(size_t n)
{
        volatile uint8_t room[KIB(64)];

        for (size_t i = 0; i < sizeof(room); i += 1024)
                room[i] = (uint8_t) n;
        return room[n];
}

static unsigned long stack_kib(void)
{
        _cleanup_free_ char *text = NULL;
        const char *stack;

        ASSERT_OK(read_file_at(AT_FDCWD, "/proc/self/smaps", MIB(1), &text, NULL));
        stack = ASSERT_NOT_NULL(strstr(text, "[stack]"));
        return strtoul(ASSERT_NOT_NULL(strstr(stack, "Rss:")) + strlen("Rss:"), NULL, 10);
}

/* What was below stays usable. */
TEST(stack)
{
        unsigned long before, after;

        ASSERT_EQ(deep(1024), 0U);
        before = stack_kib();
        /* A sanitizer has put it somewhere else. */
        if (before < 64)
                return;
        (void) idle_memory_forget();
        after = stack_kib();
        if (after + 48 > before)
                TEST_FAIL("%lu KiB before, %lu KiB after", before, after);
        ASSERT_EQ(deep(2048), 0U);
}

TEST(timer)
{
        IdleMemory *idle;
        Loop *loop;

        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(idle_memory_new(&idle, loop));
        idle_memory_used(idle);
        idle_memory_checked(idle);
        ASSERT_OK(loop_run_once(loop, 1));
        idle_memory_free(idle);
        loop_free(loop);
}

DEFINE_TEST_MAIN
