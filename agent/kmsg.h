/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * /dev/kmsg → log ring. Format: Documentation/ABI/testing/dev-kmsg, one record a read():
 *      PRIO,SEQ,USEC,FLAGS[,more];TEXT\n[ KEY=VALUE\n]…
 * PRIO = facility * 8 + level. The kernel writes bytes outside printable ASCII, and the backslash, as \xHH.
 * A reader that was overtaken gets EPIPE and goes on with the oldest record; the sequence numbers say how
 * many it missed. Text may come from a workload (a process name, a USB string), so it is foreign.
 */

#include "agent/log-ring.h"
#include "agent/loop.h"

typedef struct KmsgRecord {
        unsigned level, facility;
        uint64_t seq;
        usec_t usec;
        const char *text;       /* into the parsed buffer, unescaped in place */
        size_t text_len;
} KmsgRecord;

/* buf is changed (escapes). -EBADMSG for anything that is not a record. */
int kmsg_parse(char *buf, size_t n, KmsgRecord *ret);

typedef struct Kmsg Kmsg;

/*
 * Takes fd (non-blocking) on success. From the first kmsg_resume() on the loop reads it while the ring has
 * room; until then the kernel's own buffer keeps everything.
 */
int kmsg_new(Kmsg **ret, Loop *loop, LogRing *log, int *fd);
Kmsg *kmsg_free(Kmsg *kmsg);
DEFINE_CLEANUP_FUNC(Kmsg *, kmsg_free)

/* There is somebody to read for, or the ring has room again. Accepts NULL. */
void kmsg_resume(Kmsg *kmsg);
