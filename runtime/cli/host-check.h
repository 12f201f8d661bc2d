/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Can this host run sandboxes: a list of findings, each with what to do about it. Looks, changes nothing. Some need
 * root to look (devices, files of the configuration); without it the finding says so.
 */

#include "runtime/conf/node-conf.h"

typedef enum FindingLevel {
        FINDING_OK,
        FINDING_WARNING,        /* sandboxes run, but slower, or without something */
        FINDING_FAILURE,        /* no sandbox can be started */
        _FINDING_LEVEL_MAX,
} FindingLevel;

typedef struct Finding {
        const char *name;       /* "kvm" */
        FindingLevel level;
        char *text;             /* what was found */
        char *advice;           /* what to do; NULL if nothing is */
} Finding;

typedef struct Findings {
        Finding v[24];
        size_t n;
} Findings;

const char *finding_level_to_string(FindingLevel level);

/* Places that tests point at files of their own; NULL fields: those of a host. */
typedef struct CheckPlaces {
        const char *cgroup;             /* /sys/fs/cgroup */
        const char *journal_socket;     /* /run/systemd/journal/socket */
        const char *unit;               /* the template of sandboxes */
        const char *supervisor;
} CheckPlaces;

/* Fails for lack of memory only. */
int host_check(const CheckPlaces *places, Findings *ret);
void findings_done(Findings *findings);

/* Is controller among the words of cgroup.controllers? */
bool controllers_have(const char *text, const char *controller);
