/* SPDX-License-Identifier: Apache-2.0 */
/* Containers of the command line: see container-store.h. The files are root's, still read with care. */

#include "runtime/cli/container-store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/oci/json-parse.h"

#define RECORD_MAX KIB(256)
#define REMOVE_TRIES 100U
#define REMOVE_STEP_USEC 10000U

void store_entry_done(StoreEntry *entry)
{
        entry->fd = safe_close(entry->fd);
        entry->path = mfree(entry->path);
}

static int entry_path(const char *root, const char *id, char **ret, char **reterr_message)
{
        if (!id_is_valid(id, CONTAINER_ID_MAX)) {
                _cleanup_free_ char *shown = text_escape(id, strlen(id), 80);

                return error_setf(reterr_message, -EINVAL, "'%s' is no container ID: 2 to %u letters, digits, '.', "
                                  "'_' and '-', the first a letter or digit", strempty(shown),
                                  CONTAINER_ID_MAX);
        }
        if (asprintf(ret, "%s/%s", root, id) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

static bool is_still_there(const char *path, int fd)
{
        struct stat a, b;

        return lstat(path, &a) >= 0 && fstat(fd, &b) >= 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* 0, -ENOENT, or another error. */
static int open_locked(const char *path, int *ret)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return negative_errno();
        while (flock(fd, LOCK_EX) < 0)
                if (errno != EINTR)
                        return negative_errno();
        if (!is_still_there(path, fd))
                return -ENOENT;
        *ret = TAKE_FD(fd);
        return 0;
}

int store_create(const char *root, const char *id, StoreEntry *ret, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        int fd = -EBADF, r;

        r = entry_path(root, id, &path, reterr_message);
        if (r < 0)
                return r;
        r = mkdir_p(root, 0700);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", root, strerror(-r));
        if (mkdir(path, 0700) < 0) {
                r = negative_errno();
                return r == -EEXIST ? error_setf(reterr_message, r, "container with given ID already exists: %s", id)
                                    : error_setf(reterr_message, r, "%s: %s", path, strerror(-r));
        }
        r = open_locked(path, &fd);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));

        *ret = (StoreEntry) { .fd = fd, .path = TAKE_PTR(path) };
        return 0;
}

int store_open(const char *root, const char *id, StoreEntry *ret, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        int fd = -EBADF, r;

        r = entry_path(root, id, &path, reterr_message);
        if (r < 0)
                return r;
        r = open_locked(path, &fd);
        if (r == -ENOENT)
                return error_setf(reterr_message, r, "container \"%s\" does not exist", id);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));

        *ret = (StoreEntry) { .fd = fd, .path = TAKE_PTR(path) };
        return 0;
}

/* A kata-shim whose create was killed may be making FIFOs there right now; it notices, and removes them. */
int store_remove(StoreEntry *entry, char **reterr_message)
{
        int r = rm_rf(entry->path);

        for (unsigned i = 0; r == -ENOTEMPTY && i < REMOVE_TRIES; i++) {
                (void) usleep(REMOVE_STEP_USEC);
                r = rm_rf(entry->path);
        }
        if (r < 0)
                (void) error_setf(reterr_message, r, "%s: %s", entry->path, strerror(-r));
        store_entry_done(entry);
        return r;
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

int store_list(const char *root, Strv *ret, char **reterr_message)
{
        DIR *d = opendir(root);
        int r = 0;

        if (!d) {
                r = negative_errno();
                return r == -ENOENT ? 0 : error_setf(reterr_message, r, "%s: %s", root, strerror(-r));
        }
        for (struct dirent *e = readdir(d); e && r >= 0; e = readdir(d))
                if (id_is_valid(e->d_name, CONTAINER_ID_MAX))
                        r = strv_add(ret, e->d_name);
        closedir(d);
        if (r >= 0 && ret->n > 1)
                qsort(ret->v, ret->n, sizeof(*ret->v), compare);
        return r;
}

/* --- records --- */

void record_done(ContainerRecord *r)
{
        free(r->id);
        free(r->oci_version);
        free(r->bundle);
        free(r->rootfs);
        free(r->sandbox);
        free(r->scope);
        json_object_put(r->annotations);
        json_object_put(r->hooks);
        *r = (ContainerRecord) {};
}

/* Where the strings and numbers of a record are, for both directions. */
static const struct {
        const char *name;
        size_t offset;
        bool optional;
} strings[] = {
        { "id", offsetof(ContainerRecord, id) },
        { "ociVersion", offsetof(ContainerRecord, oci_version) },
        { "bundle", offsetof(ContainerRecord, bundle) },
        { "rootfs", offsetof(ContainerRecord, rootfs) },
        { "sandbox", offsetof(ContainerRecord, sandbox) },
        { "scope", offsetof(ContainerRecord, scope), true },
};

int record_save(const StoreEntry *entry, const ContainerRecord *record, char **reterr_message)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        _cleanup_free_ char *path = NULL;
        const char *text;
        int r;

        if (!o || asprintf(&path, "%s/%s", entry->path, RECORD_FILE) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        for (size_t i = 0; i < ELEMENTSOF(strings); i++) {
                const char *value = *(char *const *) (const void *) ((const char *) record + strings[i].offset);

                if (!value && strings[i].optional)
                        continue;
                json_object_object_add(o, strings[i].name, json_object_new_string(value));
        }
        json_object_object_add(o, "pid", json_object_new_int((int) record->pid));
        json_object_object_add(o, "pidStart", json_object_new_int64((int64_t) record->pid_start));
        json_object_object_add(o, "created", json_object_new_int64((int64_t) record->created));
        json_object_object_add(o, "uid", json_object_new_int64(record->uid));
        json_object_object_add(o, "terminal", json_object_new_boolean(record->terminal));
        json_object_object_add(o, "ownsSandbox", json_object_new_boolean(record->owns_sandbox));
        json_object_object_add(o, "alone", json_object_new_boolean(record->alone));
        if (record->annotations)
                json_object_object_add(o, "annotations", json_object_get(record->annotations));
        if (record->hooks)
                json_object_object_add(o, "hooks", json_object_get(record->hooks));

        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        if (!text)
                return -ENOMEM;
        r = write_file_atomic(path, text, strlen(text), 0600);
        return r < 0 ? error_setf(reterr_message, r, "%s: %s", path, strerror(-r)) : 0;
}

static int take_strings(json_object *o, ContainerRecord *record)
{
        for (size_t i = 0; i < ELEMENTSOF(strings); i++) {
                char **field = (char **) (void *) ((char *) record + strings[i].offset);
                json_object *value;
                bool there = json_object_object_get_ex(o, strings[i].name, &value);

                if (!there && strings[i].optional)
                        continue;
                if (!there || !json_object_is_type(value, json_type_string))
                        return -EBADMSG;
                *field = strdup(json_object_get_string(value));
                if (!*field)
                        return -ENOMEM;
        }
        return 0;
}

static int64_t take_number(json_object *o, const char *name)
{
        json_object *value;

        return json_object_object_get_ex(o, name, &value) ? json_object_get_int64(value) : 0;
}

static json_object *take_object(json_object *o, const char *name)
{
        json_object *value;

        return json_object_object_get_ex(o, name, &value) && json_object_is_type(value, json_type_object) ?
               json_object_get(value) : NULL;
}

static bool take_bool(json_object *o, const char *name)
{
        json_object *value;

        return json_object_object_get_ex(o, name, &value) && json_object_get_boolean(value);
}

int record_load(const StoreEntry *entry, ContainerRecord *ret, char **reterr_message)
{
        _cleanup_(record_done) ContainerRecord record = {};
        _cleanup_json_ json_object *o = NULL;
        _cleanup_free_ char *text = NULL, *path = NULL;
        int64_t pid;
        size_t n;
        int r;

        if (asprintf(&path, "%s/%s", entry->path, RECORD_FILE) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = read_file_at(entry->fd, RECORD_FILE, RECORD_MAX, &text, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));
        r = json_parse_object(path, text, n, &o, reterr_message);
        if (r >= 0)
                r = take_strings(o, &record);
        pid = r >= 0 ? take_number(o, "pid") : 0;
        if (pid < 0 || pid > INT32_MAX)
                r = -EBADMSG;
        if (r == -EBADMSG)
                return error_setf(reterr_message, r, "%s is damaged; delete the container with --force", path);
        if (r < 0)
                return r;

        record.pid = (pid_t) pid;
        record.pid_start = (uint64_t) take_number(o, "pidStart");
        record.created = (usec_t) take_number(o, "created");
        record.uid = (uint32_t) take_number(o, "uid");
        record.terminal = take_bool(o, "terminal");
        record.owns_sandbox = take_bool(o, "ownsSandbox");
        record.alone = take_bool(o, "alone");
        record.annotations = take_object(o, "annotations");
        record.hooks = take_object(o, "hooks");
        *ret = record;
        record = (ContainerRecord) {};
        return 0;
}
