/* SPDX-License-Identifier: Apache-2.0 */
/* States of containers: see status.h. */

#include "tests/bundle-runner/status.h"

#include "basic/error.h"
#include "tests/bundle-runner/launch.h"
#include "proto/extension.pb-c.h"
#include "runtime/agent-client/agent.h"
#include "runtime/oci/json-parse.h"

/* The agent's words and those of the OCI specification. */
static const struct {
        const char *agent, *oci;
} state_words[] = {
        { "changing", "creating" }, { "creating", "creating" }, { "created", "created" }, { "starting", "created" },
        { "running", "running" },   { "paused", "paused" },     { "stopped", "stopped" },
};

typedef struct Search {
        const char *id;
        Status *status;
        bool found;
} Search;

static void take_list(const void *message, void *userdata)
{
        const Kata__Systemd__V1__ListContainersResponse *list = message;
        Search *search = userdata;

        for (size_t i = 0; i < list->n_containers; i++) {
                const Kata__Systemd__V1__ContainerInfo *info = list->containers[i];

                if (!streq(info->container_id, search->id))
                        continue;
                search->found = true;
                search->status->pid = (pid_t) info->pid;
                search->status->name = "stopped";
                for (size_t k = 0; k < ELEMENTSOF(state_words) && !info->exited; k++)
                        if (streq(state_words[k].agent, info->state))
                                search->status->name = state_words[k].oci;
        }
}

int status_connect(const Record *record, Session **ret, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;

        if (!agent_is_alive(record)) {
                *ret = NULL;
                return 0;
        }

        path = agent_socket_path(record);
        return path ? session_open(ret, path, reterr_message) : -ENOMEM;
}

int status_get(Session *session, const char *id, Status *ret, char **reterr_message)
{
        Search search = { .id = id, .status = ret };
        int r;

        *ret = (Status) { .name = "stopped" };
        if (!session)
                return 0;

        session_begin(session, take_list, &search);
        r = agent_list_containers(session_client(session), CALL_TIMEOUT, session_on_reply, session);
        return session_finish(session, r, reterr_message);
}

json_object *status_to_json(const Record *record, const Status *status)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        const struct {
                const char *name;
                json_object *value;
        } members[] = {
                { "ociVersion", json_object_new_string(record->version) },
                { "id", json_object_new_string(record->id) },
                { "pid", json_object_new_int64(status->pid) },
                { "status", json_object_new_string(status->name) },
                { "bundle", json_object_new_string(record->bundle) },
                { "rootfs", json_object_new_string(record->rootfs) },
                { "created", json_object_new_string(record->created) },
                { "annotations", json_object_get(record->annotations) ?: json_object_new_object() },
        };
        bool complete = o;

        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (!o || !members[i].value || json_object_object_add(o, members[i].name, members[i].value) < 0) {
                        json_object_put(members[i].value);
                        complete = false;
                }
        return complete ? TAKE_PTR(o) : NULL;
}
