/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: see verbs.h. */

#include "tests/bundle-runner/verbs.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "tests/bundle-runner/bundle.h"
#include "tests/bundle-runner/launch.h"
#include "tests/bundle-runner/relay.h"
#include "runtime/agent-client/agent.h"
#include "runtime/oci/json-parse.h"
#include "tests/bundle-runner/status.h"

/* Hooks run inside of these; one of them may take an hour. */
#define HOOKS_TIMEOUT (3700 * USEC_PER_SEC)
#define REMOVE_TIMEOUT (60 * USEC_PER_SEC)

void opened_done(Opened *o)
{
        session_free(o->session);
        record_done(&o->record);
        *o = (Opened) {};
}

int open_container(const Options *o, Opened *ret, char **reterr_message)
{
        int r;

        r = record_load(o->root, o->id, &ret->record, reterr_message);
        if (r >= 0)
                r = status_connect(&ret->record, &ret->session, reterr_message);
        if (r >= 0)
                r = status_get(ret->session, o->id, &ret->status, reterr_message);
        return r;
}

/* Making one. */

static int fill_annotations(Record *record, const Grpc__Spec *spec)
{
        record->annotations = json_object_new_object();
        if (!record->annotations)
                return -ENOMEM;
        for (size_t i = 0; i < spec->n_annotations; i++)
                if (json_object_object_add(record->annotations, spec->annotations[i]->key,
                                           json_object_new_string(spec->annotations[i]->value)) < 0)
                        return -ENOMEM;
        return 0;
}

static int fill_record(Record *record, const Options *o, const OciSpec *oci)
{
        time_t now = time(NULL);
        char created[32];
        struct tm tm;

        if (!gmtime_r(&now, &tm) || strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                return -EINVAL;
        record->id = strdup(o->id);
        record->version = strdup(oci->spec->version);
        record->bundle = strdup(oci->bundle);
        record->rootfs = strdup(oci->spec->root->path);
        record->created = strdup(created);
        if (!record->id || !record->version || !record->bundle || !record->rootfs || !record->created)
                return -ENOMEM;
        return fill_annotations(record, oci->spec);
}

static int create_in_agent(Session *s, const char *id, const OciSpec *oci, const Relay *relay, char **reterr_message)
{
        const AgentStdio stdio = {
                relay->ports[RELAY_STDIN], relay->ports[RELAY_STDOUT], relay->ports[RELAY_STDERR],
        };
        int r;

        session_begin(s, NULL, NULL);
        r = agent_create_sandbox(session_client(s), id, "", false, NULL, CALL_TIMEOUT, session_on_reply, s);
        r = session_finish(s, r, reterr_message);
        if (r < 0)
                return r;

        session_begin(s, NULL, NULL);
        r = agent_create_container(session_client(s), id, oci->spec, oci->extension, &stdio, HOOKS_TIMEOUT,
                                   session_on_reply, s);
        return session_finish(s, r, reterr_message);
}

static int write_pid_file(const char *path, pid_t pid, char **reterr_message)
{
        char text[16];
        int r;

        if (!path)
                return 0;
        snprintf(text, sizeof(text), "%d", (int) pid);
        r = write_file_atomic(path, text, strlen(text), 0644);
        return r < 0 ? error_setf(reterr_message, r, "%s: %s", path, strerror(-r)) : 0;
}

static int save_config(const Options *o, const OciSpec *oci, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;

        if (o->config)
                return record_save_config(o->root, o->id, o->config, reterr_message);
        if (asprintf(&path, "%s/config.json", oci->bundle) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return record_save_config(o->root, o->id, path, reterr_message);
}

static int create_with(const Options *o, const OciSpec *oci, Opened *c, Relay *relay, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = agent_launch(&c->record, o->agent, reterr_message);
        if (r < 0)
                return r;

        path = agent_socket_path(&c->record);
        r = path ? session_open(&c->session, path, reterr_message) : -ENOMEM;
        if (r >= 0)
                r = relay_connect(relay, path, reterr_message);
        if (r >= 0)
                r = create_in_agent(c->session, o->id, oci, relay, reterr_message);
        if (r >= 0)
                r = status_get(c->session, o->id, &c->status, reterr_message);
        if (r >= 0)
                r = record_save(o->root, &c->record, reterr_message);
        if (r >= 0)
                r = save_config(o, oci, reterr_message);
        if (r >= 0)
                r = write_pid_file(o->pid_file, c->status.pid, reterr_message);
        if (r >= 0)
                r = relay_start(relay);
        if (r < 0)
                (void) agent_end(&c->record, NULL);
        return r;
}

static int create(const Options *o, Opened *ret, Relay *relay, char **reterr_message)
{
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        const char *note;
        int r;

        r = bundle_load(o->bundle, o->config, &oci, reterr_message);
        if (r < 0)
                return r;
        STRV_FOREACH(note, &oci->notes)
                fprintf(stderr, "bundle-runner: warning: %s\n", note);

        r = fill_record(&ret->record, o, oci);
        if (r >= 0)
                r = record_claim(o->root, o->id);
        if (r == -EEXIST)
                return error_setf(reterr_message, r, "container with id exists: %s", o->id);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", o->root, strerror(-r));

        r = create_with(o, oci, ret, relay, reterr_message);
        if (r < 0)
                (void) record_remove(o->root, o->id);
        return r;
}

int verb_create(const Options *o, char **reterr_message)
{
        _cleanup_(opened_done) Opened c = {};
        _cleanup_(relay_done) Relay relay = RELAY_NULL;

        return create(o, &c, &relay, reterr_message);
}

/* Starting and ending. */

static int start(Opened *c, char **reterr_message)
{
        int r;

        session_begin(c->session, NULL, NULL);
        r = agent_start_container(session_client(c->session), c->record.id, HOOKS_TIMEOUT, session_on_reply,
                                  c->session);
        return session_finish(c->session, r, reterr_message);
}

int verb_start(const Options *o, char **reterr_message)
{
        _cleanup_(opened_done) Opened c = {};
        int r;

        r = open_container(o, &c, reterr_message);
        if (r < 0)
                return r;
        if (streq(c.status.name, "stopped"))
                return error_setf(reterr_message, -EINVAL, "cannot start a container that has stopped");
        if (!streq(c.status.name, "created"))
                return error_setf(reterr_message, -EINVAL, "cannot start an already running container");
        return start(&c, reterr_message);
}

int verb_kill(const Options *o, char **reterr_message)
{
        _cleanup_(opened_done) Opened c = {};
        int r;

        r = open_container(o, &c, reterr_message);
        if (r < 0)
                return r;
        if (!c.session || streq(c.status.name, "stopped"))
                return error_setf(reterr_message, -ESRCH, "container not running");

        session_begin(c.session, NULL, NULL);
        r = agent_signal_process(session_client(c.session), o->id, o->all ? "" : NULL, o->signal, CALL_TIMEOUT,
                                 session_on_reply, c.session);
        return session_finish(c.session, r, reterr_message);
}

/* The rest goes even if the container can not be taken apart. */
static int delete_container(const Options *o, Opened *c, char **reterr_message)
{
        _cleanup_free_ char *message = NULL;
        int r = 0, k;

        if (c->session) {
                session_begin(c->session, NULL, NULL);
                r = agent_remove_container(session_client(c->session), o->id, REMOVE_TIMEOUT, session_on_reply,
                                           c->session);
                r = session_finish(c->session, r, reterr_message);
                c->session = session_free(c->session);
        }
        k = agent_end(&c->record, &message);
        if (k < 0 && r >= 0)
                r = error_setf(reterr_message, k, "%s", error_text(message, k));
        k = record_remove(o->root, o->id);
        if (k < 0 && r >= 0)
                r = error_setf(reterr_message, k, "%s/%s: %s", o->root, o->id, strerror(-k));
        return r;
}

int verb_delete(const Options *o, char **reterr_message)
{
        _cleanup_(opened_done) Opened c = {};
        int r;

        r = open_container(o, &c, reterr_message);
        if (r == -ENOENT && o->force) {
                /* Perhaps a creation that was killed. */
                (void) record_remove(o->root, o->id);
                return 0;
        }
        if (r < 0)
                return r;
        if (!o->force && !streq(c.status.name, "stopped"))
                return error_setf(reterr_message, -EBUSY, "cannot delete container %s that is not stopped: %s",
                                  o->id, c.status.name);
        return delete_container(o, &c, reterr_message);
}

/* In the foreground. */

int verb_run(const Options *o, char **reterr_message)
{
        _cleanup_(opened_done) Opened c = {};
        _cleanup_(relay_done) Relay relay = RELAY_NULL;
        int r, k, status = 0;

        r = create(o, &c, &relay, reterr_message);
        if (r < 0)
                return r;
        r = start(&c, reterr_message);
        if (r >= 0 && o->detach)
                return 0;
        if (r >= 0)
                r = status = wait_for_exit(&c, o->id, reterr_message);
        if (r >= 0)
                relay_wait(&relay);
        if (r >= 0 && o->keep)
                return status;

        k = delete_container(o, &c, r < 0 ? NULL : reterr_message);
        return r < 0 ? r : k < 0 ? k : status;
}

/* Looking. */

static int get_json(const Options *o, json_object **ret, char **reterr_message)
{
        _cleanup_(opened_done) Opened c = {};
        int r;

        r = open_container(o, &c, reterr_message);
        if (r < 0)
                return r;
        *ret = status_to_json(&c.record, &c.status);
        return *ret ? 0 : -ENOMEM;
}

int verb_state(const Options *o, char **reterr_message)
{
        _cleanup_json_ json_object *json = NULL;
        int r;

        r = get_json(o, &json, reterr_message);
        if (r < 0)
                return r;
        puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        return 0;
}

static const char *member(json_object *o, const char *name)
{
        return json_object_get_string(json_object_object_get(o, name));
}

int verb_list(const Options *o, char **reterr_message)
{
        _cleanup_json_ json_object *all = json_object_new_array();
        _cleanup_(strv_done) Strv ids = {};
        const char *id;
        int r;

        if (!all)
                return -ENOMEM;
        r = record_list(o->root, &ids);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", o->root, strerror(-r));

        if (!o->quiet && !o->json)
                printf("%-24s %-8s %-10s %-40s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
        STRV_FOREACH(id, &ids) {
                json_object *json = NULL;
                Options one = *o;

                one.id = id;
                /* One may be gone meanwhile. */
                if (get_json(&one, &json, NULL) < 0)
                        continue;
                if (o->quiet)
                        puts(id);
                else if (!o->json)
                        printf("%-24s %-8s %-10s %-40s %s\n", id, member(json, "pid"), member(json, "status"),
                               member(json, "bundle"), member(json, "created"));
                if (json_object_array_add(all, json) < 0) {
                        json_object_put(json);
                        return -ENOMEM;
                }
        }
        if (o->json && !o->quiet)
                puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        return 0;
}
