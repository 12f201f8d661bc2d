/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a restarted supervisor has to know of a running VMM: key=value lines in run_dir, written
 * whole (temporary file, rename), readable by root only. Parsed as strictly as anything foreign; a
 * newer version is refused.
 */

#include <sys/types.h>

#include "basic/cleanup.h"
#include "runtime/vmm/vm-config.h"

#define VMM_STATE_VERSION 1U

typedef struct VmmState {
        char *backend;                  /* "qemu" */
        char *id;
        char *run_dir;
        pid_t pid;
        uint64_t start_time;            /* clock ticks, see pid_start_time() */
        VmTransport transport;
        uint32_t cid;                   /* 0 with the serial transport */
        bool console;
        VmAccel accel;
} VmmState;

void vmm_state_done(VmmState *state);
int vmm_state_copy(const VmmState *state, VmmState *ret);

/* New string. */
int vmm_state_format(const VmmState *state, char **ret);
int vmm_state_parse(const char *text, size_t n, VmmState *ret, char **reterr_message);

int vmm_state_save(const VmmState *state, const char *path);
/* -ENOENT if there is none. */
int vmm_state_load(const char *path, VmmState *ret, char **reterr_message);
