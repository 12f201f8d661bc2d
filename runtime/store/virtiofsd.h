/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One virtiofsd: shares a host directory with one machine. Host side; the daemon runs as root,
 * since it creates files for any user of the guest, and it parses what the guest sends: so it is
 * started confined (own mount, pid and network namespace, pivot_root into the directory, seccomp,
 * few capabilities), and there is no option to start it otherwise. It ends by itself when the VMM
 * closes its connection.
 *
 *      virtiofsd_spawn, [scope, together with the VMM], virtiofsd_launch, vmm_launch,
 *      virtiofsd_verify once the VMM is ready, …, on_exit, virtiofsd_free
 */

#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "basic/pidref.h"
#include "basic/strv.h"

typedef enum VirtiofsdFlavour {
        VIRTIOFSD_C,            /* of QEMU up to 7.2 (Debian 12): -o options */
        VIRTIOFSD_RUST,         /* the separate project (Debian 13) */
} VirtiofsdFlavour;

typedef struct VirtiofsdConfig {
        const char *program;    /* absolute */
        const char *source;     /* directory to share, absolute */
        const char *run_dir;    /* where the socket lives for the moment between bind and connect */
        /*
         * The guest keeps what it has read of a file over an open(). Needed where the CPU is emulated: by
         * default Linux drops a file's pages at each open() and reads them again into other pages. The
         * daemon writes those from outside of QEMU, which does not notice that code it has translated is
         * gone (seen with QEMU 10.0: programs run into code of another place and crash). The price: the
         * guest does not see what the host changes in a file it knows.
         */
        bool keep_cache;
} VirtiofsdConfig;

typedef struct Virtiofsd Virtiofsd;

typedef struct VirtiofsdHandlers {
        void (*on_stderr_line)(Virtiofsd *v, const char *line, size_t n, void *userdata);
        /* The process has gone; reason is one line, never NULL. May free. */
        void (*on_exit)(Virtiofsd *v, const char *reason, void *userdata);
} VirtiofsdHandlers;

/* By what the name resolves to: Debian 12 has the C one at /usr/lib/qemu/virtiofsd. */
int virtiofsd_flavour(const char *program, VirtiofsdFlavour *ret);

/*
 * socket_fd: number of the listening socket in the daemon. -EINVAL for a source the option syntax
 * can not carry.
 */
int virtiofsd_build_argv(
                const VirtiofsdConfig *config, VirtiofsdFlavour flavour, int socket_fd, Strv *ret);

/*
 * Forks the paused daemon. *ret_vmm_fd is the connected socket for VmConfig.share_fd; nobody else
 * can connect, the name is gone already.
 */
int virtiofsd_spawn(sd_event *event, const VirtiofsdConfig *config,
                const VirtiofsdHandlers *handlers, void *userdata, Virtiofsd **ret, int *ret_vmm_fd,
                char **reterr_message);

/*
 * Takes over a daemon that another process started; see vmm_adopt(). Takes stderr_fd (may be
 * -EBADF) on success.
 */
int virtiofsd_adopt(sd_event *event, pid_t pid, uint64_t start_time, int stderr_fd,
                    const VirtiofsdHandlers *handlers, void *userdata, Virtiofsd **ret,
                    char **reterr_message);

/* A paused daemon is killed, a launched one is left alone. */
Virtiofsd *virtiofsd_free(Virtiofsd *v);
DEFINE_CLEANUP_FUNC(Virtiofsd *, virtiofsd_free)

int virtiofsd_launch(Virtiofsd *v);

/*
 * Looks at the daemon in /proc: every process of it that serves must have a seccomp filter and a
 * mount namespace of its own. -EPERM with a text if not: then the machine must not run. Meaningful
 * once the VMM has talked to it.
 */
int virtiofsd_verify(const Virtiofsd *v, char **reterr_message);

int virtiofsd_kill(Virtiofsd *v, int sig);
const PidRef *virtiofsd_pid(const Virtiofsd *v);
uint64_t virtiofsd_start_time(const Virtiofsd *v);
int virtiofsd_stderr_fd(const Virtiofsd *v);
