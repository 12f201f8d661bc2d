/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Phases of a sandbox, in the order of a life without trouble. The table of allowed transitions is in
 * phase.c; a failure in any phase leads to one of the stopping phases, never back.
 */

#include "basic/parse.h"

typedef enum SandboxPhase {
        PHASE_PREPARING,                /* configuration, image check, bundles, shared directory */
        PHASE_SCOPE,                    /* VMM processes wait, paused, for their scope */
        PHASE_BOOTING,                  /* from the VMM's exec to the agent's READY */
        PHASE_CONNECTING,               /* agent and log connections */
        PHASE_ADOPTING,                 /* a running VM of an earlier supervisor is taken over */
        PHASE_CREATING_SANDBOX,
        PHASE_STARTING_CONTAINERS,
        PHASE_RUNNING,
        PHASE_STOPPING_CONTAINERS,
        PHASE_STOPPING_AGENT,           /* DestroySandbox until the VMM is gone */
        PHASE_STOPPING_VM,              /* without the agent: quit, then kill */
        PHASE_STOPPING_SCOPE,
        PHASE_FLUSHING,                 /* last log lines on their way to the journal */
        PHASE_DEAD,
        _PHASE_MAX,
} SandboxPhase;

const char *sandbox_phase_to_string(SandboxPhase phase);
bool sandbox_phase_may_follow(SandboxPhase from, SandboxPhase to);

static inline bool sandbox_phase_is_starting(SandboxPhase phase)
{
        return phase < PHASE_RUNNING;
}

static inline bool sandbox_phase_is_stopping(SandboxPhase phase)
{
        return phase > PHASE_RUNNING;
}

/* When each phase was entered (CLOCK_MONOTONIC, 0: never): for the report of a start. */
typedef struct PhaseTimes {
        usec_t entered[_PHASE_MAX];
} PhaseTimes;

/* "preparing 12ms, scope 5ms, …" of the phases before running; new string. */
char *phase_times_to_string(const PhaseTimes *times);
