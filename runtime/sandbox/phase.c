/* SPDX-License-Identifier: Apache-2.0 */
/* Phases of a sandbox: see phase.h. */

#include "runtime/sandbox/phase.h"

#include <inttypes.h>

#define BIT(p) (UINT32_C(1) << (p))
#define STOPPING (BIT(PHASE_STOPPING_CONTAINERS) | BIT(PHASE_STOPPING_AGENT) |                     \
                  BIT(PHASE_STOPPING_VM) | BIT(PHASE_STOPPING_SCOPE) | BIT(PHASE_FLUSHING) |       \
                  BIT(PHASE_DEAD))

static const struct {
        const char *name;
        uint32_t next;
} phases[_PHASE_MAX] = {
        [PHASE_PREPARING] = { "preparing", BIT(PHASE_SCOPE) | BIT(PHASE_ADOPTING) | STOPPING },
        [PHASE_SCOPE] = { "scope", BIT(PHASE_BOOTING) | STOPPING },
        [PHASE_BOOTING] = { "booting", BIT(PHASE_CONNECTING) | STOPPING },
        [PHASE_CONNECTING] = { "connecting", BIT(PHASE_CREATING_SANDBOX) | STOPPING },
        [PHASE_ADOPTING] = { "adopting", BIT(PHASE_RUNNING) | BIT(PHASE_PREPARING) | STOPPING },
        [PHASE_CREATING_SANDBOX] = { "creating-sandbox", BIT(PHASE_STARTING_CONTAINERS) | STOPPING },
        [PHASE_STARTING_CONTAINERS] = { "starting-containers", BIT(PHASE_RUNNING) | STOPPING },
        [PHASE_RUNNING] = { "running", STOPPING },
        [PHASE_STOPPING_CONTAINERS] = { "stopping-containers",
                                        STOPPING & ~BIT(PHASE_STOPPING_CONTAINERS) },
        [PHASE_STOPPING_AGENT] = { "stopping-agent", BIT(PHASE_STOPPING_VM) |
                                   BIT(PHASE_STOPPING_SCOPE) | BIT(PHASE_FLUSHING) | BIT(PHASE_DEAD) },
        [PHASE_STOPPING_VM] = { "stopping-vm", BIT(PHASE_STOPPING_SCOPE) | BIT(PHASE_FLUSHING) |
                                BIT(PHASE_DEAD) },
        [PHASE_STOPPING_SCOPE] = { "stopping-scope", BIT(PHASE_FLUSHING) | BIT(PHASE_DEAD) },
        [PHASE_FLUSHING] = { "flushing", BIT(PHASE_DEAD) },
        [PHASE_DEAD] = { "dead", 0 },
};

const char *sandbox_phase_to_string(SandboxPhase phase)
{
        return (unsigned) phase < _PHASE_MAX ? phases[phase].name : "unknown";
}

bool sandbox_phase_may_follow(SandboxPhase from, SandboxPhase to)
{
        return (unsigned) from < _PHASE_MAX && (phases[from].next & BIT(to));
}

char *phase_times_to_string(const PhaseTimes *times)
{
        _cleanup_free_ char *text = NULL;
        usec_t start = 0, end = times->entered[PHASE_RUNNING];
        FILE *f;
        size_t n;

        f = open_memstream(&text, &n);
        if (!f)
                return NULL;

        for (SandboxPhase p = 0; p < PHASE_RUNNING; p++) {
                usec_t begin = times->entered[p], next = 0;

                if (begin == 0)
                        continue;
                if (start == 0)
                        start = begin;
                for (SandboxPhase q = p + 1; q <= PHASE_RUNNING && next == 0; q++)
                        next = times->entered[q];
                if (next >= begin)
                        fprintf(f, "%s%s %" PRIu64 "ms", begin == start ? "" : ", ",
                                sandbox_phase_to_string(p), (next - begin) / USEC_PER_MSEC);
        }
        if (start > 0 && end >= start)
                fprintf(f, "; total %" PRIu64 "ms", (end - start) / USEC_PER_MSEC);

        if (fclose(f) != 0)
                return NULL;
        return TAKE_PTR(text);
}
