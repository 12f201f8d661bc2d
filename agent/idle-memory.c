/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the program that are not in use: see idle-memory.h. */

#include "agent/idle-memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "basic/limits.h"

#define STACK_KEPT KIB(8)
#define STACK_LOOKED_AT KIB(256)

struct IdleMemory {
        LoopSource *timer;
        usec_t due;             /* USEC_INFINITY: nothing was used since the last time */
};

/* Code and constants of the program, and of its libraries where it has any. What was written to is not touched. */
static int forget_object(struct dl_phdr_info *info, size_t size, void *userdata)
{
        uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE);
        size_t *total = userdata;

        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *h = &info->dlpi_phdr[i];
                uintptr_t begin, end;

                if (h->p_type != PT_LOAD || (h->p_flags & PF_W))
                        continue;
                begin = (info->dlpi_addr + h->p_vaddr) & ~(page - 1);
                end = (info->dlpi_addr + h->p_vaddr + h->p_memsz + page - 1) & ~(page - 1);
                if (madvise((void *) begin, end - begin, MADV_DONTNEED) >= 0)
                        *total += end - begin;
        }

        return 0;
}

/* What is not mapped of the range is passed over (madvise(2), ENOMEM). */
static void forget_stack(void)
{
        uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE), here = (uintptr_t) __builtin_frame_address(0);
        uintptr_t end = (here - STACK_KEPT) & ~(page - 1);

        (void) madvise((void *) (end - STACK_LOOKED_AT), STACK_LOOKED_AT, MADV_DONTNEED);
}

size_t idle_memory_forget(void)
{
        size_t total = 0;

        (void) malloc_trim(0);
        forget_stack();
        (void) dl_iterate_phdr(forget_object, &total);
        return total;
}

static void on_time(LoopSource *source, void *userdata)
{
        IdleMemory *idle = userdata;

        idle->due = USEC_INFINITY;
        (void) loop_source_set_time(source, USEC_INFINITY);
        (void) idle_memory_forget();
}

void idle_memory_used(IdleMemory *idle)
{
        idle->due = now_usec() + IDLE_MEMORY_USEC;
        (void) loop_source_set_time(idle->timer, idle->due);
}

void idle_memory_checked(IdleMemory *idle)
{
        if (idle->due != USEC_INFINITY)
                return;
        idle->due = now_usec() + IDLE_MEMORY_CHECK_USEC;
        (void) loop_source_set_time(idle->timer, idle->due);
}

int idle_memory_new(IdleMemory **ret, Loop *loop)
{
        _cleanup_(idle_memory_freep) IdleMemory *idle = new0(IdleMemory, 1);
        int r;

        if (!idle)
                return -ENOMEM;
        idle->due = now_usec() + IDLE_MEMORY_USEC;
        r = loop_add_time(loop, &idle->timer, idle->due, on_time, idle);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(idle);
        return 0;
}

IdleMemory *idle_memory_free(IdleMemory *idle)
{
        if (!idle)
                return NULL;

        loop_source_free(idle->timer);
        free(idle);
        return NULL;
}
