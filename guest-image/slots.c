/* SPDX-License-Identifier: Apache-2.0 */
/* Versions beside each other: see slots.h. */

#include "guest-image/slots.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"

#define LOCK_NAME ".lock"
#define NEW_PREFIX ".new-"
#define REMOVED_PREFIX ".removed-"

const SlotPlaces slot_places_default = {
        .base = GUESTDIR,
        .shipped = DATADIR,
        .run = RUNDIR,
        .etc = PKGSYSCONFDIR,
};

static char *join(const char *a, const char *prefix, const char *b)
{
        char *path;

        return asprintf(&path, "%s/%s%s", a, prefix, b) < 0 ? NULL : path;
}

void slots_init(Slots *slots, const SlotPlaces *places)
{
        *slots = (Slots) { .places = *places, .lock_fd = -EBADF };
}

void slots_done(Slots *slots)
{
        slots->lock_fd = safe_close(slots->lock_fd);
}

char *slots_path(const Slots *slots, const char *version)
{
        return streq(version, SLOT_SHIPPED) ? strdup(slots->places.shipped)
                                            : join(slots->places.base, "", version);
}

char *slots_new_path(const Slots *slots, const char *version)
{
        return join(slots->places.base, NEW_PREFIX, version);
}

int slots_check_name(const char *version, char **reterr_message)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789.+~_-";

        if (*version && *version != '.' && *version != '-' &&
            strlen(version) <= GUEST_VERSION_NAME_MAX && !version[strspn(version, allowed)] &&
            !streq(version, "current") && !streq(version, "previous") && !streq(version, "rejected"))
                return 0;

        return error_setf(reterr_message, EINVAL, "that is not the name of a version; see kata-image list");
}

bool slots_has(const Slots *slots, const char *version)
{
        _cleanup_free_ char *path = slots_path(slots, version);
        struct stat st;

        return path && lstat(path, &st) >= 0 && S_ISDIR(st.st_mode);
}

int slots_lock(Slots *slots, char **reterr_message)
{
        _cleanup_free_ char *path = join(slots->places.base, "", LOCK_NAME);
        int fd, r;

        if (!path)
                return -ENOMEM;
        r = mkdir_p(slots->places.base, 0755);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be made: %s", slots->places.base,
                                  strerror(-r));

        fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return error_setf(reterr_message, errno, "'%s' can not be opened: %s", path,
                                  strerror(errno));
        slots->lock_fd = fd;
        if (flock(fd, LOCK_EX | LOCK_NB) >= 0)
                return 0;
        if (errno != EWOULDBLOCK)
                return error_setf(reterr_message, errno, "'%s' can not be locked: %s", path,
                                  strerror(errno));

        log_info("Waiting for another kata-image that changes the installed versions");
        do
                r = flock(fd, LOCK_EX);
        while (r < 0 && errno == EINTR);
        return r < 0 ? error_setf(reterr_message, errno, "'%s' can not be locked: %s", path,
                                  strerror(errno))
                     : 0;
}

typedef int (*entry_t)(Slots *slots, const char *name, void *userdata, char **reterr_message);

/* A directory that is not there has no entries. The list is taken first: entries may be removed. */
static int for_each_entry(Slots *slots, const char *dir, entry_t fn, void *userdata,
                          char **reterr_message)
{
        _cleanup_(strv_done) Strv names = {};
        DIR *d = opendir(dir);
        struct dirent *de;
        char *name;
        int r = 0;

        if (!d)
                return errno == ENOENT ? 0 :
                       error_setf(reterr_message, errno, "'%s' can not be read: %s", dir,
                                  strerror(errno));
        while (r >= 0 && (de = readdir(d))) {
                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                r = strv_add(&names, de->d_name);
        }
        closedir(d);

        STRV_FOREACH(name, &names) {
                if (r < 0)
                        return r;
                r = fn(slots, name, userdata, reterr_message);
        }
        return r;
}

static int clean_entry(Slots *slots, const char *name, void *userdata, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        int r;

        if (name[0] != '.' || streq(name, LOCK_NAME))
                return 0;
        path = join(slots->places.base, "", name);
        if (!path)
                return -ENOMEM;
        r = rm_rf(path);
        return r < 0 ? error_setf(reterr_message, r, "'%s' can not be removed: %s", path, strerror(-r))
                     : 0;
}

int slots_clean(Slots *slots, char **reterr_message)
{
        return for_each_entry(slots, slots->places.base, clean_entry, NULL, reterr_message);
}

static int list_entry(Slots *slots, const char *name, void *userdata, char **reterr_message)
{
        Strv *list = userdata;

        if (slots_check_name(name, NULL) < 0 || !slots_has(slots, name))
                return 0;
        return list->n >= GUEST_VERSIONS_MAX ? -E2BIG : strv_add(list, name);
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

int slots_list(const Slots *slots, Strv *ret, char **reterr_message)
{
        Slots *mutable = (Slots *) slots;
        int r = for_each_entry(mutable, slots->places.base, list_entry, ret, reterr_message);

        if (r >= 0 && ret->n > 0)
                qsort(ret->v, ret->n, sizeof(char *), compare_names);
        return r;
}

/* Links hold the name of a version beside them, or the path of the shipped directory. */
static int read_link(const Slots *slots, const char *link, char **ret, char **reterr_message)
{
        _cleanup_free_ char *path = join(slots->places.base, "", link);
        char target[PATH_MAX];
        ssize_t k;

        if (!path)
                return -ENOMEM;
        k = readlink(path, target, sizeof(target) - 1);
        if (k < 0) {
                *ret = NULL;
                return errno == ENOENT ? 0 :
                       error_setf(reterr_message, errno, "'%s' can not be read: %s", path,
                                  strerror(errno));
        }
        target[k] = '\0';
        if (!streq(target, slots->places.shipped) && slots_check_name(target, NULL) < 0)
                return error_setf(reterr_message, EINVAL,
                                  "'%s' was not made by kata-image: remove it", path);

        *ret = strdup(streq(target, slots->places.shipped) ? SLOT_SHIPPED : target);
        return *ret ? 0 : -ENOMEM;
}

int slots_current(const Slots *slots, char **ret, char **reterr_message)
{
        int r = read_link(slots, "current", ret, reterr_message);

        if (r >= 0 && !*ret)
                *ret = strdup(SLOT_SHIPPED);
        return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

int slots_previous(const Slots *slots, char **ret, char **reterr_message)
{
        return read_link(slots, "previous", ret, reterr_message);
}

int slots_rejected(const Slots *slots, char **ret, char **reterr_message)
{
        return read_link(slots, "rejected", ret, reterr_message);
}

typedef struct UserSearch {
        char *path;
        Strv *users;
} UserSearch;

static int user_entry(Slots *slots, const char *name, void *userdata, char **reterr_message)
{
        UserSearch *search = userdata;
        _cleanup_free_ char *link = NULL;
        char target[PATH_MAX];
        ssize_t k;

        if (asprintf(&link, "%s/%s/guest", slots->places.run, name) < 0) {
                link = NULL;
                return -ENOMEM;
        }
        k = readlink(link, target, sizeof(target) - 1);
        if (k < 0) {
                /* Not a sandbox, or one that takes nothing from a directory, or gone by now. */
                if (errno == ENOENT || errno == ENOTDIR || errno == EINVAL)
                        return 0;
                return error_setf(reterr_message, errno, "'%s' can not be read: %s", link,
                                  strerror(errno));
        }
        target[k] = '\0';
        return streq(target, search->path) ? strv_add(search->users, name) : 0;
}

int slots_users(const Slots *slots, const char *version, Strv *ret, char **reterr_message)
{
        UserSearch search = { .users = ret };
        _cleanup_free_ char *path = slots_path(slots, version), *real = NULL;

        if (!path)
                return -ENOMEM;
        /* References are without symlinks on the way. */
        real = realpath(path, NULL);
        search.path = real ? real : path;
        return for_each_entry((Slots *) slots, slots->places.run, user_entry, &search, reterr_message);
}

static int sync_base(const Slots *slots, char **reterr_message)
{
        int r = fsync_path(slots->places.base);

        return r < 0 ? error_setf(reterr_message, r, "'%s' can not be written: %s", slots->places.base,
                                  strerror(-r))
                     : 0;
}

int slots_publish(Slots *slots, const char *version, char **reterr_message)
{
        _cleanup_free_ char *from = slots_new_path(slots, version), *to = slots_path(slots, version);

        assert(slots->lock_fd >= 0);
        if (!from || !to)
                return -ENOMEM;
        if (rename(from, to) < 0)
                return error_setf(reterr_message, errno, "'%s' can not be written: %s", to,
                                  strerror(errno));
        return sync_base(slots, reterr_message);
}

static int set_link(Slots *slots, const char *link, const char *version, char **reterr_message)
{
        _cleanup_free_ char *path = join(slots->places.base, "", link);
        int r;

        if (!path)
                return -ENOMEM;
        r = symlink_atomic(streq(version, SLOT_SHIPPED) ? slots->places.shipped : version, path);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be written: %s", path, strerror(-r));
        return sync_base(slots, reterr_message);
}

int slots_reject_current(Slots *slots, char **reterr_message)
{
        _cleanup_free_ char *current = NULL;
        int r;

        assert(slots->lock_fd >= 0);
        r = slots_current(slots, &current, reterr_message);
        return r < 0 ? r : set_link(slots, "rejected", current, reterr_message);
}

static int accept_version(Slots *slots, const char *version, char **reterr_message)
{
        _cleanup_free_ char *rejected = NULL, *path = join(slots->places.base, "", "rejected");
        int r;

        if (!path)
                return -ENOMEM;
        r = slots_rejected(slots, &rejected, reterr_message);
        if (r < 0 || !rejected || !streq(rejected, version))
                return r;
        if (unlink(path) < 0)
                return error_setf(reterr_message, errno, "'%s' can not be removed: %s", path,
                                  strerror(errno));
        return 0;
}

int slots_switch(Slots *slots, const char *version, char **reterr_message)
{
        _cleanup_free_ char *current = NULL;
        int r;

        assert(slots->lock_fd >= 0);
        r = slots_current(slots, &current, reterr_message);
        if (r < 0 || streq(current, version))
                return r;

        /* In this order: killed between the two there is nothing to roll back to, and nothing to roll back. */
        r = set_link(slots, "previous", current, reterr_message);
        if (r >= 0)
                r = set_link(slots, "current", version, reterr_message);
        return r < 0 ? r : accept_version(slots, version, reterr_message);
}

/* --- garbage --- */

static int mentions(const char *dir, const char *name, const char *path)
{
        _cleanup_free_ char *file = join(dir, "", name), *text = NULL;
        size_t size;
        int r;

        if (!file)
                return -ENOMEM;
        r = read_file_at(AT_FDCWD, file, CONFIG_FILE_MAX, &text, &size);
        if (r == -ENOENT || r == -EISDIR || r == -ENOTDIR)
                return 0;
        /* What can not be read can not be told from what needs the version. */
        return r < 0 ? r : memmem(text, size, path, strlen(path)) != NULL;
}

typedef struct MentionSearch {
        const char *dir, *path;
        bool found;
} MentionSearch;

static int mention_entry(Slots *slots, const char *name, void *userdata, char **reterr_message)
{
        MentionSearch *search = userdata;
        int r;

        if (search->found || !endswith(name, ".conf"))
                return 0;
        r = mentions(search->dir, name, search->path);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s/%s' can not be read: %s", search->dir, name,
                                  strerror(-r));
        search->found = r > 0;
        return 0;
}

/* A version may be pinned; the files are searched as text, so that a comment pins as well. */
static int is_pinned(Slots *slots, const char *version, bool *ret, char **reterr_message)
{
        const struct {
                const char *parent, *name;
        } dirs[] = {
                { slots->places.etc, "" },
                { slots->places.etc, "kata.conf.d" },
                { slots->places.etc, "sandboxes" },
                { slots->places.run, "sandboxes" },
        };
        _cleanup_free_ char *path = slots_path(slots, version);

        if (!path)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                _cleanup_free_ char *dir = join(dirs[i].parent, "", dirs[i].name);
                MentionSearch search = { .dir = dir, .path = path };
                int r;

                if (!dir)
                        return -ENOMEM;
                r = for_each_entry(slots, dir, mention_entry, &search, reterr_message);
                if (r < 0)
                        return r;
                if (search.found) {
                        *ret = true;
                        return 0;
                }
        }

        *ret = false;
        return 0;
}

/* 1: removed; 0: in use. */
static int collect(Slots *slots, const char *version, char **reterr_message)
{
        _cleanup_free_ char *path = slots_path(slots, version),
                            *aside = join(slots->places.base, REMOVED_PREFIX, version);
        _cleanup_(strv_done) Strv users = {};
        _cleanup_close_ int fd = -EBADF;
        bool pinned;
        int r;

        if (!path || !aside)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_setf(reterr_message, errno, "'%s' can not be opened: %s", path,
                                  strerror(errno));
        /* A supervisor holds it while it opens the files; one that comes later finds the directory gone. */
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? 0 :
                       error_setf(reterr_message, errno, "'%s' can not be locked: %s", path,
                                  strerror(errno));

        r = slots_users(slots, version, &users, reterr_message);
        if (r >= 0)
                r = is_pinned(slots, version, &pinned, reterr_message);
        if (r < 0)
                return r;
        if (users.n > 0 || pinned)
                return 0;

        if (rename(path, aside) < 0)
                return error_setf(reterr_message, errno, "'%s' can not be removed: %s", path,
                                  strerror(errno));
        fd = safe_close(fd);
        r = rm_rf(aside);
        return r < 0 ? error_setf(reterr_message, r, "'%s' can not be removed: %s", aside, strerror(-r))
                     : 1;
}

int slots_collect(Slots *slots, Strv *removed, char **reterr_message)
{
        _cleanup_free_ char *current = NULL, *previous = NULL;
        _cleanup_(strv_done) Strv versions = {};
        char *version;
        int r;

        assert(slots->lock_fd >= 0);
        r = slots_current(slots, &current, reterr_message);
        if (r >= 0)
                r = slots_previous(slots, &previous, reterr_message);
        if (r >= 0)
                r = slots_list(slots, &versions, reterr_message);
        if (r < 0)
                return r;

        STRV_FOREACH(version, &versions) {
                if (streq(version, current) || (previous && streq(version, previous)))
                        continue;
                r = collect(slots, version, reterr_message);
                if (r > 0)
                        r = strv_add(removed, version);
                if (r < 0)
                        return r;
        }
        return 0;
}
