/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the program that are given up: fewer are there, and all of it still works. */

#include <fcntl.h>

#include "agent/idle-memory.h"
#include "basic/fd.h"
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

TEST(timer)
{
        IdleMemory *idle;
        Loop *loop;

        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(idle_memory_new(&idle, loop));
        idle_memory_used(idle);
        ASSERT_OK(loop_run_once(loop, 1));
        idle_memory_free(idle);
        loop_free(loop);
}

DEFINE_TEST_MAIN
