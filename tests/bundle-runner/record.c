/* SPDX-License-Identifier: Apache-2.0 */
/* States of containers as files: see record.h. */

#include "tests/bundle-runner/record.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "runtime/oci/json-parse.h"

/* Annotations are most of it. */
#define STATE_FILE_MAX KIB(512)

void record_done(Record *record)
{
        free(record->id);
        free(record->version);
        free(record->bundle);
        free(record->rootfs);
        free(record->created);
        free(record->run_dir);
        free(record->cgroup);
        json_object_put(record->annotations);
        *record = (Record) {};
}

static int state_path(const char *root, const char *id, char **ret)
{
        if (asprintf(ret, "%s/%s/state.json", root, id) < 0)
                return -ENOMEM;
        return 0;
}

int record_claim(const char *root, const char *id)
{
        _cleanup_free_ char *dir = NULL;
        int r;

        r = mkdir_p(root, 0711);
        if (r < 0)
                return r;
        if (asprintf(&dir, "%s/%s", root, id) < 0)
                return -ENOMEM;
        return mkdir(dir, 0700) < 0 ? negative_errno() : 0;
}

int record_remove(const char *root, const char *id)
{
        _cleanup_free_ char *dir = NULL;

        if (asprintf(&dir, "%s/%s", root, id) < 0)
                return -ENOMEM;
        return rm_rf(dir);
}

int record_save(const char *root, const Record *record, char **reterr_message)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        const struct {
                const char *name, *value;
        } strings[] = {
                { "id", record->id },         { "ociVersion", record->version }, { "bundle", record->bundle },
                { "rootfs", record->rootfs }, { "created", record->created },    { "runDir", record->run_dir },
                { "cgroup", record->cgroup },
        };
        _cleanup_free_ char *path = NULL;
        const char *text;
        int r;

        if (!o)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                if (strings[i].value &&
                    json_object_object_add(o, strings[i].name, json_object_new_string(strings[i].value)) < 0)
                        return -ENOMEM;
        if (json_object_object_add(o, "agentPid", json_object_new_int64(record->agent_pid)) < 0 ||
            json_object_object_add(o, "agentStart", json_object_new_int64((int64_t) record->agent_start)) < 0 ||
            (record->annotations &&
             json_object_object_add(o, "annotations", json_object_get(record->annotations)) < 0))
                return -ENOMEM;

        r = state_path(root, record->id, &path);
        if (r < 0)
                return r;
        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
        if (!text)
                return -ENOMEM;
        r = write_file_atomic(path, text, strlen(text), 0600);
        return r < 0 ? error_setf(reterr_message, r, "%s: %s", path, strerror(-r)) : 0;
}

/* Missing is NULL where it may be. */
static int take_string(json_object *o, const char *name, bool needed, char **ret)
{
        json_object *value;

        if (!json_object_object_get_ex(o, name, &value))
                return needed ? -EBADMSG : 0;
        if (!json_object_is_type(value, json_type_string))
                return -EBADMSG;
        *ret = strdup(json_object_get_string(value));
        return *ret ? 0 : -ENOMEM;
}

static int take_number(json_object *o, const char *name, int64_t *ret)
{
        json_object *value;

        if (!json_object_object_get_ex(o, name, &value) || !json_object_is_type(value, json_type_int))
                return -EBADMSG;
        *ret = json_object_get_int64(value);
        return 0;
}

static int fill(Record *record, json_object *o)
{
        int64_t pid = 0, start = 0;
        json_object *annotations;
        int r;

        r = take_string(o, "id", true, &record->id);
        if (r >= 0)
                r = take_string(o, "ociVersion", true, &record->version);
        if (r >= 0)
                r = take_string(o, "bundle", true, &record->bundle);
        if (r >= 0)
                r = take_string(o, "rootfs", true, &record->rootfs);
        if (r >= 0)
                r = take_string(o, "created", true, &record->created);
        if (r >= 0)
                r = take_string(o, "runDir", true, &record->run_dir);
        if (r >= 0)
                r = take_string(o, "cgroup", false, &record->cgroup);
        if (r >= 0)
                r = take_number(o, "agentPid", &pid);
        if (r >= 0)
                r = take_number(o, "agentStart", &start);
        if (r < 0)
                return r;
        if (pid <= 1 || pid > INT32_MAX || start < 0)
                return -EBADMSG;

        record->agent_pid = (pid_t) pid;
        record->agent_start = (uint64_t) start;
        if (json_object_object_get_ex(o, "annotations", &annotations) &&
            json_object_is_type(annotations, json_type_object))
                record->annotations = json_object_get(annotations);
        return 0;
}

int record_load(const char *root, const char *id, Record *ret, char **reterr_message)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        _cleanup_(record_done) Record record = {};
        _cleanup_json_ json_object *o = NULL;
        size_t n;
        int r;

        r = state_path(root, id, &path);
        if (r < 0)
                return r;
        r = read_file_at(AT_FDCWD, path, STATE_FILE_MAX, &text, &n);
        if (r == -ENOENT || r == -ENOTDIR)
                return error_setf(reterr_message, -ENOENT, "container '%s' does not exist", id);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));

        r = json_parse_object(path, text, n, &o, reterr_message);
        if (r < 0)
                return r;
        r = fill(&record, o);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: not a state of this program", path);

        *ret = record;
        record = (Record) {};
        return 0;
}

char *record_config_path(const char *root, const char *id)
{
        char *path;

        return asprintf(&path, "%s/%s/config.json", root, id) < 0 ? NULL : path;
}

int record_save_config(const char *root, const char *id, const char *path, char **reterr_message)
{
        _cleanup_free_ char *text = NULL, *to = record_config_path(root, id);
        size_t n;
        int r;

        if (!to)
                return -ENOMEM;
        r = read_file_at(AT_FDCWD, path, OCI_CONFIG_MAX, &text, &n);
        if (r >= 0)
                r = write_file_atomic(to, text, n, 0600);
        return r < 0 ? error_setf(reterr_message, r, "copy of %s: %s", path, strerror(-r)) : 0;
}

static int is_record(const struct dirent *de)
{
        return id_is_valid(de->d_name, CONTAINER_ID_MAX);
}

int record_list(const char *root, Strv *ret)
{
        struct dirent **entries = NULL;
        int n = scandir(root, &entries, is_record, alphasort), r = 0;

        if (n < 0)
                return errno == ENOENT ? 0 : negative_errno();
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = strv_add(ret, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return r;
}
