/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Everything a sandbox says, on its way to the journal under the unit of the supervisor:
 *
 *      records of the log port   kata-kernel, kata-agent     KATA_COMPONENT=kernel, agent
 *      output of a container     its name                    KATA_COMPONENT=container, KATA_STREAM=
 *      guest console             kata-console                KATA_COMPONENT=console
 *      VMM and virtiofsd         qemu, virtiofsd             KATA_COMPONENT=vmm, virtiofsd
 *      life-cycle events         kata-sandboxd               KATA_COMPONENT=supervisor (events.h)
 *
 * stdout gets PRIORITY=6, stderr PRIORITY=3, as Docker's and Podman's journald drivers do.
 *
 * Streams stop being read while the journal is slow, so a guest that floods waits in its own VM. What the
 * journal took is acknowledged to the guest (agent/ring-stream.h), so that a crash of the supervisor loses
 * nothing. A rate limit may drop lines, each output stream, the log port, and console with VMM and virtiofsd
 * on their own, so that a container that floods hides nobody else; drops are counted and said, as entries
 * with KATA_DROPPED=.
 */

#include <systemd/sd-event.h>

#include "runtime/log/journal-sender.h"
#include "runtime/log/ratelimit.h"

typedef struct Relay Relay;

typedef struct RelayParams {
        const char *sandbox_id;
        const char *unit;               /* of the supervisor, for its own entries; NULL: journald knows */
        usec_t rate_interval;           /* 0: no limit */
        uint64_t rate_burst;            /* 0: no limit */
        const char *journal_path;       /* NULL: the system's journal */
} RelayParams;

/* The stream has ended, and the journal has what it said. May free the relay. */
typedef void (*RelayEndHandler)(void *userdata);

int relay_new(Relay **ret, sd_event *event, const RelayParams *params);
/* Streams that are still open are closed; what was not read stays with the guest. */
Relay *relay_free(Relay *relay);
DEFINE_CLEANUP_FUNC(Relay *, relay_free)

/* Take fd (a socket) on success. stream: "stdout" or "stderr". on_end may be NULL. */
int relay_add_output(Relay *relay, int fd, const char *container, const char *stream,
                     RelayEndHandler on_end, void *userdata);
int relay_add_records(Relay *relay, int fd, RelayEndHandler on_end, void *userdata);

/* on_end of streams with this userdata is not called any more, for an object that goes away. */
void relay_forget(Relay *relay, void *userdata);

/* Lines that others have read. source: "qemu", "virtiofsd". */
void relay_console_line(Relay *relay, const void *line, size_t n);
void relay_program_line(Relay *relay, const char *source, const void *line, size_t n);

/*
 * For events.c: an entry of the supervisor itself; no rate limit. It names the unit as OBJECT_SYSTEMD_UNIT=, which
 * `journalctl -u` takes from root: journald looks for the sender's unit when it reads the entry, and a supervisor
 * that has ended by then, because its sandbox could not start, has none any more (systemd 257). The second takes the
 * content of entry. */
void relay_begin_event(Relay *relay, JournalEntry *entry, int priority);
void relay_send_event(Relay *relay, JournalEntry *entry);

/* on_idle is called once, when all streams have ended and the journal has everything. */
void relay_flush(Relay *relay, RelayEndHandler on_idle, void *userdata);
