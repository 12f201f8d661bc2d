/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about processes: see verbs.h. */

#include <signal.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "proto/agent.pb-c.h"
#include "proto/empty.pb-c.h"
#include "runtime/agent-client/agent.h"
#include "tests/bundle-runner/bundle.h"
#include "tests/bundle-runner/launch.h"
#include "tests/bundle-runner/relay.h"
#include "tests/bundle-runner/verbs.h"

#define AGENT "grpc.AgentService"
#define UNCONST(s) ((char *) (uintptr_t) (s))

static int call(Session *s, const char *method, const ProtobufCMessage *request, char **reterr_message)
{
        int r;

        session_begin(s, NULL, NULL);
        r = ttrpc_client_call(session_client(s), AGENT, method, request, &google__protobuf__empty__descriptor,
                              CALL_TIMEOUT, session_on_reply, s);
        return session_finish(s, r, reterr_message);
}

/* Waiting. */

typedef struct Wait {
        Opened *c;
        const char *exec_id;
        int status;
} Wait;

static void take_exit(const void *message, void *userdata)
{
        const Grpc__WaitProcessResponse *response = message;
        Wait *w = userdata;

        w->status = response->status;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        Grpc__SignalProcessRequest q = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
        Wait *w = userdata;

        q.container_id = w->c->record.id;
        q.exec_id = UNCONST(w->exec_id);
        q.signal = info->ssi_signo;
        (void) ttrpc_client_call(session_client(w->c->session), AGENT, "SignalProcess", &q.base,
                                 &google__protobuf__empty__descriptor, CALL_TIMEOUT, session_ignore_reply, NULL);
        return 0;
}

static int forward_signals(Wait *w)
{
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(&set, signals[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return negative_errno();
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                int r = sd_event_add_signal(session_event(w->c->session), NULL, signals[i], on_signal, w);

                if (r < 0)
                        return r;
        }

        return 0;
}

int wait_for_exit(Opened *c, const char *exec_id, char **reterr_message)
{
        Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;
        Wait w = { .c = c, .exec_id = exec_id };
        Session *s = c->session;
        int r;

        r = forward_signals(&w);
        if (r < 0)
                return error_setf(reterr_message, r, "signals: %s", strerror(-r));

        q.container_id = c->record.id;
        q.exec_id = UNCONST(exec_id);
        session_begin(s, take_exit, &w);
        r = ttrpc_client_call(session_client(s), AGENT, "WaitProcess", &q.base,
                              &grpc__wait_process_response__descriptor, 0, session_on_reply, s);
        r = session_finish(s, r, reterr_message);
        return r < 0 ? r : w.status & 0xff;
}

/* A further process. */

static char **append(OciSpec *oci, char **v, size_t n, const char *const *more, size_t n_more)
{
        char **all = pb_arena_alloc(&oci->arena, (n + n_more + 1) * sizeof(char *));

        if (!all)
                return NULL;
        if (n > 0)
                memcpy(all, v, n * sizeof(char *));
        for (size_t i = 0; i < n_more; i++) {
                all[n + i] = oci_spec_strdup(oci, more[i]);
                if (!all[n + i])
                        return NULL;
        }
        return all;
}

/* A variable that is given replaces the container's. */
static int set_env(OciSpec *oci, Grpc__Process *p, const char *const *env, size_t n)
{
        size_t kept = 0;

        for (size_t i = 0; i < p->n_env; i++) {
                size_t name = strcspn(p->env[i], "=");
                bool replaced = false;

                for (size_t k = 0; k < n; k++)
                        replaced = replaced || (strncmp(env[k], p->env[i], name) == 0 && env[k][name] == '=');
                if (!replaced)
                        p->env[kept++] = p->env[i];
        }
        p->env = append(oci, p->env, kept, env, n);
        p->n_env = kept + n;
        return p->env ? 0 : -ENOMEM;
}

static int set_user(OciSpec *oci, Grpc__Process *p, const char *text, char **reterr_message)
{
        _cleanup_free_ char *copy = strdup(text);
        char *gid = copy ? strchr(copy, ':') : NULL;

        if (!copy)
                return -ENOMEM;
        if (gid)
                *gid++ = '\0';
        p->user = oci_spec_message(oci, &grpc__user__descriptor);
        if (!p->user)
                return -ENOMEM;
        if (parse_u32(copy, &p->user->uid) < 0 || (gid && parse_u32(gid, &p->user->gid) < 0))
                return error_setf(reterr_message, -EINVAL, "--user: expected UID or UID:GID, not '%s'", text);
        return 0;
}

/* As runc: all sets but the ambient and the inheritable one. */
static int add_caps(OciSpec *oci, Grpc__Process *p, const char *const *caps, size_t n)
{
        Grpc__LinuxCapabilities *c = p->capabilities;

        if (n == 0)
                return 0;
        if (!c)
                c = p->capabilities = oci_spec_message(oci, &grpc__linux_capabilities__descriptor);
        if (!c)
                return -ENOMEM;

        c->bounding = append(oci, c->bounding, c->n_bounding, caps, n);
        c->effective = append(oci, c->effective, c->n_effective, caps, n);
        c->permitted = append(oci, c->permitted, c->n_permitted, caps, n);
        if (!c->bounding || !c->effective || !c->permitted)
                return -ENOMEM;
        c->n_bounding += n;
        c->n_effective += n;
        c->n_permitted += n;
        return 0;
}

static int make_process(const Options *o, OciSpec *oci, Grpc__Process **ret, char **reterr_message)
{
        Grpc__Process *p = NULL;
        int r;

        r = bundle_load_process(oci, o->process, &p, reterr_message);
        if (r < 0)
                return r;
        if (p->terminal)
                return error_setf(reterr_message, -EOPNOTSUPP, "terminals are not supported by this runner");

        if (o->args) {
                size_t n = 0;

                while (o->args[n])
                        n++;
                p->args = oci_spec_strings(oci, o->args, n);
                p->n_args = n;
                if (!p->args)
                        return -ENOMEM;
        }
        if (o->cwd)
                p->cwd = oci_spec_strdup(oci, o->cwd);
        r = set_env(oci, p, o->env, o->n_env);
        if (r < 0 || !p->cwd)
                return -ENOMEM;
        p->nonewprivileges = p->nonewprivileges || o->no_new_privileges;

        r = add_caps(oci, p, o->caps, o->n_caps);
        if (r >= 0 && o->user)
                r = set_user(oci, p, o->user, reterr_message);
        if (r < 0)
                return r;
        *ret = p;
        return 0;
}

/* of_container: what the configuration says of its process, for one that is made of that. */
static int exec_in_agent(Opened *c, const char *exec_id, Grpc__Process *process, const AgentExtension *of_container,
                         const Relay *relay, char **reterr_message)
{
        AgentExtension extension = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        const AgentStdio stdio = {
                relay->ports[RELAY_STDIN], relay->ports[RELAY_STDOUT], relay->ports[RELAY_STDERR],
        };
        Session *s = c->session;
        int r;

        if (of_container) {
                extension.has_umask = of_container->has_umask;
                extension.umask = of_container->umask;
                extension.scheduler = of_container->scheduler;
                extension.io_priority = of_container->io_priority;
                extension.exec_cpu_affinity = of_container->exec_cpu_affinity;
        }
        session_begin(s, NULL, NULL);
        r = agent_exec_process(session_client(s), c->record.id, exec_id, process, &extension, &stdio, CALL_TIMEOUT,
                               session_on_reply, s);
        return session_finish(s, r, reterr_message);
}

int verb_exec(const Options *o, char **reterr_message)
{
        _cleanup_free_ char *config = NULL, *path = NULL;
        _cleanup_(opened_done) Opened c = {};
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        _cleanup_(relay_done) Relay relay = RELAY_NULL;
        Grpc__Process *process = NULL;
        char exec_id[32];
        int r, status;

        r = open_container(o, &c, reterr_message);
        if (r < 0)
                return r;
        if (!c.session || streq(c.status.name, "stopped"))
                return error_setf(reterr_message, -EINVAL, "cannot exec in a stopped container");

        config = record_config_path(o->root, o->id);
        path = agent_socket_path(&c.record);
        if (!config || !path)
                return -ENOMEM;
        r = bundle_load(c.record.bundle, config, &oci, reterr_message);
        if (r >= 0)
                r = make_process(o, oci, &process, reterr_message);
        if (r >= 0)
                r = relay_connect(&relay, path, reterr_message);
        if (r < 0)
                return r;

        snprintf(exec_id, sizeof(exec_id), "exec-%d", (int) getpid());
        r = exec_in_agent(&c, exec_id, process, o->process ? NULL : oci->extension, &relay,
                          reterr_message);
        if (r >= 0)
                r = relay_start(&relay);
        if (r < 0 || o->detach)
                return r;

        r = status = wait_for_exit(&c, exec_id, reterr_message);
        if (r >= 0)
                relay_wait(&relay);
        return r < 0 ? r : status;
}

/* The freezer. */

int verb_pause(const Options *o, char **reterr_message)
{
        Grpc__PauseContainerRequest q = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
        _cleanup_(opened_done) Opened c = {};
        int r;

        r = open_container(o, &c, reterr_message);
        if (r < 0)
                return r;
        if (!c.session || !streq(c.status.name, "running"))
                return error_setf(reterr_message, -EINVAL, "container not running");
        q.container_id = c.record.id;
        return call(c.session, "PauseContainer", &q.base, reterr_message);
}

int verb_resume(const Options *o, char **reterr_message)
{
        Grpc__ResumeContainerRequest q = GRPC__RESUME_CONTAINER_REQUEST__INIT;
        _cleanup_(opened_done) Opened c = {};
        int r;

        r = open_container(o, &c, reterr_message);
        if (r < 0)
                return r;
        if (!c.session || !streq(c.status.name, "paused"))
                return error_setf(reterr_message, -EINVAL, "container not paused");
        q.container_id = c.record.id;
        return call(c.session, "ResumeContainer", &q.base, reterr_message);
}
