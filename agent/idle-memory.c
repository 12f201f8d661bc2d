/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the program that are not in use: see idle-memory.h. */

#include "agent/idle-memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

struct IdleMemory {
        LoopSource *timer;
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

size_t idle_memory_forget(void)
{
        size_t total = 0;

        (void) malloc_trim(0);
        (void) dl_iterate_phdr(forget_object, &total);
        return total;
}

static void on_time(LoopSource *source, void *userdata)
{
        (void) loop_source_set_time(source, USEC_INFINITY);
        (void) idle_memory_forget();
}

void idle_memory_used(IdleMemory *idle)
{
        (void) loop_source_set_time(idle->timer, now_usec() + IDLE_MEMORY_USEC);
}

int idle_memory_new(IdleMemory **ret, Loop *loop)
{
        _cleanup_(idle_memory_freep) IdleMemory *idle = new0(IdleMemory, 1);
        int r;

        if (!idle)
                return -ENOMEM;
        r = loop_add_time(loop, &idle->timer, now_usec() + IDLE_MEMORY_USEC, on_time, idle);
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
