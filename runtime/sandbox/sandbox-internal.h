/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The body of a sandbox, shared by the sandbox-*.c files, which are one object cut by concern:
 *
 *      sandbox.c           phases, failure and end
 *      sandbox-plan.c      configuration → machine description, specs, shared directory
 *      sandbox-start.c     scope, boot, connections
 *      sandbox-container.c the life of one container
 *      sandbox-guest.c     containers of callers, which have their life in runtime/task
 *      sandbox-stop.c      the way down
 *      sandbox-adopt.c     taking over a running machine
 *      sandbox-health.c    health checks
 *      sandbox-log.c       what goes to the journal
 *      sandbox-debug.c     Debug=yes: extension image, debug socket
 *      sandbox-network.c   NetworkNamespace=: interfaces of the host become the guest's
 *      sandbox-limits.c    what the machine may take of its host
 *      sandbox-late.c      those that come when the machine runs already
 */

#include "runtime/agent-client/agent.h"
#include "runtime/agent-client/transport.h"
#include "runtime/conf/node-conf.h"
#include "runtime/conf/sandbox-conf.h"
#include "runtime/log/events.h"
#include "runtime/log/relay.h"
#include "runtime/net/plan.h"
#include "runtime/oci/spec-load.h"
#include "runtime/sandbox/guest-dir.h"
#include "runtime/sandbox/sandbox-guest.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/sandbox/state-file.h"
#include "runtime/store/virtiofsd.h"
#include "runtime/unit/scope.h"
#include "runtime/vmm/vmm.h"

typedef struct DebugSocket DebugSocket;

typedef enum ContainerPhase {
        CONTAINER_PLANNED,
        CONTAINER_OPENING,              /* its two output streams */
        CONTAINER_CREATING,
        CONTAINER_STARTING,
        CONTAINER_RUNNING,
        CONTAINER_EXITED,
        CONTAINER_REMOVED,
        _CONTAINER_PHASE_MAX,
} ContainerPhase;

enum {
        STREAM_STDOUT,
        STREAM_STDERR,
        _STREAM_MAX,
};

typedef struct SandboxContainer SandboxContainer;
typedef struct StartWaiter StartWaiter;

/* One output stream of a container on its way through the relay. */
typedef struct ContainerStream {
        SandboxContainer *container;
        const char *name;               /* "stdout", "stderr" */
        uint32_t port;                  /* what the guest knows it by */
        bool open;                      /* the relay still reads it */
} ContainerStream;

struct SandboxContainer {
        Sandbox *sandbox;
        char *name;                     /* also its id in the guest */
        int stop_signal;
        ContainerPhase phase;
        OciSpec *spec;                  /* until it is created */
        ContainerStream streams[_STREAM_MAX];
        unsigned opening;               /* streams that are not connected yet */
        void (*on_open)(SandboxContainer *c);   /* once all are */
        bool removing;
        int status;                     /* once EXITED: code, or 128 + signal */
};

struct Sandbox {
        sd_event *event;
        char *id, *run_dir, *share_dir;
        char *service_name, *scope_name;
        SandboxHandlers handlers;

        NodeConf *node;
        SandboxConf *conf;              /* NULL after adoption */
        usec_t stop_timeout;
        GuestDir guest;                 /* locked while the plan is made */
        VmConfig config;                /* until the VMM is spawned */
        char *virtiofsd_path;
        VmAccel accel;
        VmTransport transport_kind;

        SandboxPhase phase;
        PhaseTimes times;
        bool by_caller;                 /* its containers are not in the definition */
        bool guest_offered;             /* on_guest was called */
        bool started;                   /* on_running was called */
        bool stop_requested;
        bool forced;                    /* no more questions to the agent */

        bool failed;
        int exit_status;
        char *result;                   /* why it failed */

        UnitBus *bus;
        ScopeOp *scope_op;
        bool have_scope;
        uint64_t memory_max;            /* what MemoryMax=machine is; 0: not known */
        ScopeOp *limits_op;             /* a change of the scope's limits */
        SandboxLimitsDone limits_done;  /* of that */
        void *limits_userdata;

        Vmm *vmm;
        Virtiofsd *virtiofsd;
        bool virtiofsd_gone;
        int kept_vmm_stderr, kept_virtiofsd_stderr;     /* from an earlier supervisor, until adopted */
        Transport *transport;
        TtrpcClient *agent;
        Relay *relay;
        bool log_connected;

        NetPlan *network;               /* until the guest has it; NULL: none */
        size_t network_step;            /* requests of it that were answered */
        void (*network_done)(Sandbox *s, int error, const char *text);
        int netns_fd;                   /* of NetworkNamespace=; -EBADF: none, or not kept by the one before */
        char *netns_path;               /* NULL: none, or it has no name */
        bool has_spare;                 /* an interface of the guest that nothing is attached to yet */
        NetSpare spare;
        StartWaiter *start_waiters;     /* for what is in network to be the guest's */

        char *policy;                   /* text for the agent, until it has it; NULL: none */
        bool debug;                     /* Debug=yes when the guest was booted */
        DebugSocket *debug_socket;      /* once the agent is connected */

        SandboxContainer *containers;
        size_t n_containers;

        sd_event_source *timer;         /* the deadline of the phase */
        sd_event_source *lost_timer;    /* agent lost: has the machine ended, too? */
        sd_event_source *health_timer;
        sd_event_source *defer;         /* work for the next turn of the loop */
        char *lost_text;
        bool lost_waited;               /* for a VMM that was ending */
        usec_t last_alive;
        bool health_pending;
};

/* sandbox.c */
void sandbox_set_phase(Sandbox *s, SandboxPhase phase);
void sandbox_status(Sandbox *s, const char *format, ...) _printf_(2, 3);
/* The first failure counts; then everything is taken down without the agent. */
void sandbox_fail(Sandbox *s, int exit_status, const char *format, ...) _printf_(3, 4);
/* Runs fn from the loop; timeout 0 disarms. One deadline a sandbox. */
void sandbox_arm_timer(Sandbox *s, usec_t timeout, sd_event_time_handler_t fn);
void sandbox_disarm_timer(Sandbox *s);
void sandbox_finish(Sandbox *s);
int sandbox_save_state(Sandbox *s);
char *sandbox_path(const Sandbox *s, const char *name);

/* sandbox-plan.c: returns an exit status of sysexits.h and a text on failure, else 0. */
int sandbox_plan(Sandbox *s, char **reterr_message);
int sandbox_load_node_conf(Sandbox *s, char **reterr_message);

/* sandbox-start.c */
void sandbox_start_machine(Sandbox *s);
/* Connects agent and log; goes on with the containers, or with sandbox_adopt_connected(). */
void sandbox_connect_agent(Sandbox *s);
int sandbox_open_transport(Sandbox *s, uint32_t cid, char **reterr_message);
const VmmHandlers *sandbox_vmm_handlers(void);
const VirtiofsdHandlers *sandbox_virtiofsd_handlers(void);
void sandbox_agent_lost(Sandbox *s, const char *text);

/* sandbox-container.c */
int sandbox_add_container(Sandbox *s, const char *name, int stop_signal, SandboxContainer **ret);
void sandbox_container_done(SandboxContainer *c);
void sandbox_start_containers(Sandbox *s);
/* Behind sandbox_limit_cpu(). */
void sandbox_continue_containers(Sandbox *s);
/* After adoption: new output streams for a container that runs. */
void sandbox_attach_container(SandboxContainer *c);
void sandbox_wait_container(SandboxContainer *c);
void sandbox_remove_container(SandboxContainer *c);
void sandbox_container_exited(SandboxContainer *c, int status);
SandboxContainer *sandbox_find_container(Sandbox *s, const char *name);

/* sandbox-guest.c: on_guest and on_running; on_guest_gone once. */
void sandbox_offer_guest(Sandbox *s, bool resumed);
void sandbox_end_guest(Sandbox *s);

/* sandbox-stop.c */
void sandbox_begin_stop(Sandbox *s);
/* Takes whatever step is next on the way down. */
void sandbox_stop_continue(Sandbox *s);
void sandbox_machine_gone(Sandbox *s);

/* sandbox-adopt.c: false if there is nothing to take over. */
bool sandbox_adopt(Sandbox *s);
void sandbox_adopt_connected(Sandbox *s);

/* sandbox-health.c */
void sandbox_start_health(Sandbox *s);
void sandbox_stop_health(Sandbox *s);

/* sandbox-debug.c: the first as sandbox_plan(). */
int sandbox_plan_debug(Sandbox *s, char **reterr_message);
void sandbox_open_debug_socket(Sandbox *s);
/* No new sessions; ends those that there are. */
void sandbox_close_debug_socket(Sandbox *s);
/* After transport_free(), which knows of streams that are being opened. */
DebugSocket *debug_socket_free(DebugSocket *socket);

/*
 * sandbox-network.c: the first as sandbox_plan(). Attach makes what the machine needs, just before it is; configure
 * goes on with the containers; undo leaves the namespace as it was, in every state, with or without one.
 */
int sandbox_plan_network(Sandbox *s, char **reterr_message);
int sandbox_attach_network(Sandbox *s, char **reterr_message);
void sandbox_configure_network(Sandbox *s);
void sandbox_undo_network(Sandbox *s);
/* For texts: the path, or that it has none. */
const char *sandbox_network_name(const Sandbox *s);
int sandbox_read_network(Sandbox *s, const NetSpare *spare, NetPlan **ret, NetSpare *ret_spare,
                         char **reterr_message);
/* Tells the agent of s->network, which is freed; done gets the outcome, from the loop or at once. */
void sandbox_tell_network(Sandbox *s, void (*done)(Sandbox *s, int error, const char *text));

/* sandbox-late.c: nobody who waits gets an answer any more. */
void sandbox_forget_starts(Sandbox *s);

/*
 * sandbox-limits.c: the first as sandbox_plan(), behind the machine's; those that the scope begins with; the rest when
 * the guest has booted, which goes on with the containers.
 */
int sandbox_plan_limits(Sandbox *s, char **reterr_message);
int sandbox_first_limits(const Sandbox *s, ScopeLimits *ret);
void sandbox_limit_cpu(Sandbox *s);

/* sandbox-log.c */
int sandbox_log_init(Sandbox *s, char **reterr_message);
