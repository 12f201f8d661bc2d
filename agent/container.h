/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One container in the guest: an OCI spec turned into namespaces, mounts, a cgroup and a process.
 * Life cycle: container_create() → (on_created) → container_start() → (on_started) → on_exit →
 * container_remove(). All slow work happens in the forked child; nothing here blocks the loop.
 *
 * Trust: the spec comes from the host, which owns the VM; the root file system and everything in it is
 * the tenant's and hostile (symlinks, fifos, exchanged directories), see container-rootfs.h.
 */

#include "agent/cgroup.h"
#include "agent/loop.h"
#include "proto/extension.pb-c.h"
#include "proto/oci.pb-c.h"

typedef struct Container Container;

typedef enum ContainerState {
        CONTAINER_CREATING,     /* the child sets itself up */
        CONTAINER_CREATED,      /* waits for start before exec */
        CONTAINER_STARTING,     /* released, exec not yet confirmed */
        CONTAINER_RUNNING,
        CONTAINER_STOPPED,      /* init exited and was reaped */
        _CONTAINER_STATE_MAX,
} ContainerState;

/* Ignored for a process with a terminal. */
typedef struct ContainerIo {
        int stdin_fd, stdout_fd, stderr_fd;     /* the container's ends; -EBADF: /dev/null */
} ContainerIo;

/* Where a container is made, and what it shares with others. */
typedef struct ContainerPlace {
        const char *cgroup_root;        /* cgroup v2 directory below which CGROUP_PARENT is */
        int pid_fd;             /* pid namespace that it has to be in, or -EBADF */
        /*
         * Namespaces in place of own ones, or -EBADF; not for a container that sets sysctls of them or has a
         * host name other than hostname.
         */
        int ipc_fd, uts_fd;
        const char *hostname;   /* of uts_fd */
        const char *guest_hooks;        /* directory, or NULL; see container-hooks.h */
        /* What the spec has no fields for, or NULL; not referenced after container_create(). */
        const Kata__Systemd__V1__SpecExtension *extension;
} ContainerPlace;

#define CONTAINER_PLACE_NULL(root) \
        ((ContainerPlace) { .cgroup_root = (root), .pid_fd = -EBADF, .ipc_fd = -EBADF, .uts_fd = -EBADF })

typedef struct ContainerHandlers {
        /* The master of the terminal that process.terminal asks for, before on_created. Takes fd. */
        void (*on_terminal)(Container *c, int fd, void *userdata);
        /* error 0: created. Otherwise -errno with a one-line message, and the container is STOPPED. */
        void (*on_created)(Container *c, int error, const char *message, void *userdata);
        /* error 0: the workload runs (exec succeeded). */
        void (*on_started)(Container *c, int error, const char *message, void *userdata);
        /*
         * status: exit code, or 128 + signal. Fires once for a container that was created, also if
         * it died before it was started; not after an error of on_started.
         */
        void (*on_exit)(Container *c, int status, void *userdata);
        /*
         * The last call, from the loop, after container_remove(): error 0 once no process, cgroup
         * or mount is left, else what is. c is freed when it returns.
         */
        void (*on_removed)(Container *c, int error, const char *message, void *userdata);
        void *userdata;
} ContainerHandlers;

/* NULL handlers are skipped. Each handler may call container_remove(). */

/*
 * Validates the whole spec before it acts (plan, then act): a feature that is asked for and not built
 * is refused with -EOPNOTSUPP and its name. The descriptors of io stay the caller's; the child has
 * copies. spec is not referenced after the call. Returns at once; on_created follows from the loop,
 * also for a program that does not exist (-ENOENT, 127 for a shell) or must not run (-EACCES, 126).
 */
int container_create(Container **ret, Loop *loop, const ContainerPlace *place, const char *id,
                     const Grpc__Spec *spec, const ContainerIo *io,
                     const ContainerHandlers *handlers, char **reterr_message);

/* -EBUSY unless CREATED. */
int container_start(Container *c, char **reterr_message);

/*
 * Sends sig to the init process, or with all to every process of the container's cgroup (SIGKILL uses
 * cgroup.kill). -ESRCH when nothing is left. As in Kata, SIGTERM for an init (pid 1 of its namespace)
 * that has no handler becomes SIGKILL, because the kernel would drop it.
 */
int container_signal(Container *c, int sig, bool all, char **reterr_message);

/*
 * Kills what is left, and returns: no handler but on_removed fires any more. The loop then waits for
 * the processes to die, removes the cgroup, calls on_removed and frees c. Mounts go with processes.
 * -EALREADY the second time.
 */
int container_remove(Container *c, char **reterr_message);

/* What a further process needs to be one of this container, see container-exec.h. */
typedef struct ContainerJoin {
        Loop *loop;
        const char *id;
        int init_fd;            /* pidfd: whose namespaces */
        pid_t init_pid;         /* the same, not reaped before this is given up */
        int root_fd;            /* the root directory in there */
        uint64_t namespaces;    /* CLONE_NEW* for setns(2) */
        const struct IdMap *uid_map, *gid_map;  /* with CLONE_NEWUSER, else NULL */
        int cgroup_fd;
        const struct SeccompPlan *seccomp;      /* NULL: none */
        bool has_personality;                   /* that of every process in there */
        unsigned long personality;
} ContainerJoin;

/* Borrowed from c. -EBUSY before it is created, while it is paused, and when it has stopped. */
int container_get_join(const Container *c, ContainerJoin *ret, char **reterr_message);

const char *container_id(const Container *c);
ContainerState container_state(const Container *c);
const char *container_state_to_string(ContainerState state);
pid_t container_init_pid(const Container *c);   /* as the agent sees it; 0 when not running */

/* Its cgroup, which exists from container_create() until after container_remove(). */
const Cgroup *container_cgroup(const Container *c);

/*
 * Other limits for a container that exists, in three steps: a plan that checks everything and changes
 * nothing; the device rules, exchanged in one step, here; the files of the cgroup, which may wait for the
 * kernel and so belong into a worker (the plan knows the cgroup by path). Where the last one fails,
 * container_update_undo() brings the device rules back, the files have been put back already.
 *
 * What resources does not mention stays. Device rules are replaced as a whole if there are any. A swap
 * limit without a memory limit counts from the one in force. extension: files of the cgroup by their names
 * (unified), written behind the others; NULL for none, and anything else in it is refused.
 */
typedef struct ContainerUpdate ContainerUpdate;

int container_update_plan(ContainerUpdate **ret, const Container *c, const Grpc__LinuxResources *resources,
                          const Kata__Systemd__V1__SpecExtension *extension, char **reterr_message);
int container_update_devices(Container *c, ContainerUpdate *update, char **reterr_message);
int container_update_files(const ContainerUpdate *update, char **reterr_message);
int container_update_undo(Container *c, ContainerUpdate *update);
ContainerUpdate *container_update_free(ContainerUpdate *update);
DEFINE_CLEANUP_FUNC(ContainerUpdate *, container_update_free)
