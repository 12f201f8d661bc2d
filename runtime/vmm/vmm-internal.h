/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What vmm.c and the back ends share. Owners of a Vmm include vmm.h only. */

#include "basic/limits.h"
#include "basic/strv.h"
#include "runtime/vmm/line-stream.h"
#include "runtime/vmm/spawn.h"
#include "runtime/vmm/vmm.h"

#define VMM_CONTROL_SOCKET "qmp.sock"
#define VMM_CONSOLE_SOCKET "console.sock"

/* From release to a built, paused machine: about 15 ms of work, but a loaded host is slow. */
#define VMM_READY_TIMEOUT (30 * USEC_PER_SEC)
/* A VMM that closes its control socket has this long to exit before it is killed. */
#define VMM_CLOSE_GRACE (2 * USEC_PER_SEC)

/* The supervisor's own value is lower (OOMScoreAdjust= of its unit). */
#define VMM_OOM_SCORE_ADJ 100

struct VmmCommand {
        Strv argv;
        /* path, argv, identity and standard error are filled in by vmm.c */
        SpawnParams params;
        int owned[SPAWN_FDS_MAX];       /* closed once the child has them */
        size_t n_owned;
};

void vmm_command_done(VmmCommand *command);

struct Vmm {
        const VmmOps *ops;
        void *backend;                  /* of ops */
        sd_event *event;
        VmmHandlers handlers;
        void *userdata;

        VmmPhase phase;
        VmmState state;                 /* filled at spawn or adoption */
        int run_dir_fd;

        Spawn *spawn;                   /* NULL for an adopted one */
        PidRef adopted;
        sd_event_source *exit_source;   /* of adopted */
        sd_event_source *kill_source;
        usec_t kill_deadline;
        bool stopping;                  /* vmm_stop() was called */

        LineStream *console, *stderr_stream;
        char *tail[CONSOLE_TAIL_LINES]; /* escaped; ring, the oldest at tail_next */
        unsigned tail_next;
        char *last_words;               /* escaped: why the guest gave up, from the console */
        char *last_stderr;              /* escaped */

        char *failure;                  /* why we ended it; first one wins */
        const char *late_failure;       /* becomes that when kill_deadline passes */
        char *shutdown_reason;
        bool shutdown_by_guest;
};

/* For back ends. */

/* The machine is built (launched) or found running (adopted). */
void vmm_set_ready(Vmm *vmm, bool running);
void vmm_set_running(Vmm *vmm);
void vmm_set_shutdown(Vmm *vmm, bool by_guest, const char *reason);

/* Ends the VMM at once because of text; the first text is the reason that on_exit gives. */
void vmm_fail(Vmm *vmm, const char *format, ...) _printf_(2, 3);

/*
 * The control socket is at its end. That comes with every exit, sometimes before the pidfd shows
 * it: only a VMM that still lives after VMM_CLOSE_GRACE is killed for it. text is a constant.
 */
void vmm_control_closed(Vmm *vmm, const char *text);
