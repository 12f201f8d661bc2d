/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One sandbox from its definition to its end: the object that owns machine, agent connection, containers
 * and log relay, and drives them through the phases of phase.h. Asynchronous on an sd-event loop; one
 * sandbox a process.
 *
 * Ends exactly once with on_finished, after everything it made is gone again. Whatever goes wrong is kept
 * as one line of text and an exit status (sysexits.h for failures of ours):
 *
 *      0               stopped on request, or every container exited with 0
 *      1..255          the status of the first container that did not exit with 0
 *      EX_UNAVAILABLE  the host lacks something (QEMU, virtiofsd, a device, systemd)
 *      EX_SOFTWARE     the machine or the agent failed
 *      EX_OSERR        this host failed us (memory, mounts, processes)
 *      EX_CONFIG       configuration, definition, bundle, kernel or image are wrong or missing
 */

#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "runtime/sandbox/phase.h"

typedef struct Sandbox Sandbox;

typedef struct SandboxHandlers {
        /* One line for `systemctl status`. */
        void (*on_status)(Sandbox *s, const char *text, void *userdata);
        /* A step begins that may take this long by configuration: the service manager has to wait for it. */
        void (*on_deadline)(Sandbox *s, usec_t timeout, void *userdata);
        /* All containers run; or, in a sandbox of a caller's containers, they can be created. */
        void (*on_running)(Sandbox *s, void *userdata);
        /* The agent answered a health check. */
        void (*on_alive)(Sandbox *s, void *userdata);
        /* Nothing is left; text is NULL for an orderly end on request. */
        void (*on_finished)(Sandbox *s, int exit_status, const char *text, void *userdata);
        /* To be kept for a supervisor that takes over after a crash (sandbox_give_fd). fd may be empty. */
        void (*on_keep_fd)(Sandbox *s, const char *name, int fd, void *userdata);
        /* The agent's client is gone, and what it was asked has no answer any more. May be NULL. */
        void (*on_agent_gone)(Sandbox *s, void *userdata);
        /*
         * Sandboxes without containers of their own (SandboxConf.by_caller): whoever has them made. All are
         * needed there.
         *
         * on_guest: the guest is there, see sandbox-guest.h, and has been of an earlier supervisor if resumed is
         * set; on_running follows. Negative with a text: the sandbox fails.
         */
        int (*on_guest)(Sandbox *s, bool resumed, void *userdata, char **reterr_message);
        /* On the way down: ask all containers to end, or kill them. */
        void (*signal_containers)(Sandbox *s, bool kill, void *userdata);
        /* Are they down? Asked again after sandbox_containers_changed(). */
        bool (*containers_are_down)(Sandbox *s, void *userdata);
        /* The agent's client is gone. */
        void (*on_guest_gone)(Sandbox *s, void *userdata);
        void *userdata;
} SandboxHandlers;

/* Names of descriptors that are kept; letters and '-' only (sd_pid_notify_with_fds(3)). */
#define KEPT_VMM_STDERR "vmm-stderr"
#define KEPT_VIRTIOFSD_STDERR "virtiofsd-stderr"
/* Of NetworkNamespace=, as long as something may still come into it. */
#define KEPT_NETWORK_NAMESPACE "network-namespace"
/* The mount namespace that the shared directory is in; for whoever calls share_enter_namespace(). */
#define KEPT_MOUNT_NAMESPACE "mount-namespace"

/* run_dir: /run/kata/ID, exists (RuntimeDirectory= of the unit). */
int sandbox_new(Sandbox **ret, sd_event *event, const char *id, const char *run_dir,
                const SandboxHandlers *handlers, char **reterr_message);
Sandbox *sandbox_free(Sandbox *s);
DEFINE_CLEANUP_FUNC(Sandbox *, sandbox_free)

/* Before sandbox_start(): a descriptor that an earlier supervisor kept. Takes fd. */
void sandbox_give_fd(Sandbox *s, const char *name, int fd);

/*
 * Starts it; or takes over the machine that an earlier supervisor of the same name left running. All
 * outcomes come through the handlers.
 */
void sandbox_start(Sandbox *s);

/* Orderly stop. May be called in any phase and more than once. */
void sandbox_stop(Sandbox *s);

SandboxPhase sandbox_phase(const Sandbox *s);

/* The longest time between two answers of a healthy agent, by configuration. */
usec_t sandbox_health_window(const Sandbox *s);

const char *sandbox_id(const Sandbox *s);
