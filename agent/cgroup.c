/* SPDX-License-Identifier: Apache-2.0 */
/* A container's cgroup: see cgroup.h. Runs in the agent. */

#include "agent/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/pidref.h"

static const char *const controllers[] = { "cpu", "cpuset", "hugetlb", "io", "memory", "pids" };

int cgroup_name_from_path(const char *cgroups_path, const char *fallback, char **ret)
{
        const char *last = strempty(cgroups_path);
        size_t n = strlen(last), end;
        char *name;

        while (n > 0 && (last[n - 1] == '/' || last[n - 1] == ':'))
                n--;
        end = n;
        while (n > 0 && last[n - 1] != '/' && last[n - 1] != ':')
                n--;

        name = end > n ? strndup(last + n, end - n) : strdup(fallback);
        if (!name)
                return -ENOMEM;

        for (char *p = name; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("-_.", *p))
                        *p = '_';
        if (name[0] == '.')
                name[0] = '_';
        if (strlen(name) > NAME_MAX) {
                free(name);
                return -ENAMETOOLONG;
        }

        *ret = name;
        return 0;
}

void cgroup_done(Cgroup *cgroup)
{
        safe_close(cgroup->fd);
        safe_close(cgroup->parent_fd);
        free(cgroup->name);
        free(cgroup->path);
        *cgroup = CGROUP_NULL;
}

static int open_dir(int dir_fd, const char *name)
{
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? negative_errno() : fd;
}

static bool has_word(const char *text, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = text; (p = strstr(p, word)); p += n)
                if ((p == text || isspace((unsigned char) p[-1])) &&
                    (p[n] == '\0' || isspace((unsigned char) p[n])))
                        return true;

        return false;
}

/* Hands down what there is. A controller that cgroup v1 holds is not in the list. */
static int enable_controllers(int dir_fd)
{
        _cleanup_free_ char *available = NULL, *enabled = NULL;
        int r;

        r = read_file_at(dir_fd, "cgroup.controllers", KIB(4), &available, NULL);
        if (r < 0)
                return r;
        r = read_file_at(dir_fd, "cgroup.subtree_control", KIB(4), &enabled, NULL);
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(controllers); i++) {
                char text[32];

                if (!has_word(available, controllers[i]) || has_word(enabled, controllers[i]))
                        continue;

                /* No failure yet: cgroup_apply() notices if a limit needs the controller. */
                snprintf(text, sizeof(text), "+%s", controllers[i]);
                (void) write_string_file_at(dir_fd, "cgroup.subtree_control", text);
        }

        return 0;
}

static int make_cgroup(int parent_fd, const char *name)
{
        if (mkdirat(parent_fd, name, 0755) >= 0)
                return 0;
        if (errno != EEXIST)
                return negative_errno();

        /* Left over from a container whose processes took their time to die? */
        if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                return -EEXIST;

        return mkdirat(parent_fd, name, 0755) < 0 ? negative_errno() : 0;
}

static int write_number(int dir_fd, const char *file, unsigned value)
{
        char text[16];

        snprintf(text, sizeof(text), "%u", value);
        return write_string_file_at(dir_fd, file, text);
}

int cgroup_create(Cgroup *ret, const char *root, const char *name, char **reterr_message)
{
        _cleanup_(cgroup_done) Cgroup cgroup = CGROUP_NULL;
        _cleanup_close_ int root_fd = open_dir(AT_FDCWD, root);
        int r;

        if (root_fd < 0)
                return error_setf(reterr_message, root_fd, "cannot open cgroup '%s': %s", root,
                                  strerror(-root_fd));

        r = enable_controllers(root_fd);
        if (r >= 0 && mkdirat(root_fd, CGROUP_PARENT, 0755) < 0 && errno != EEXIST)
                r = negative_errno();
        if (r >= 0)
                r = cgroup.parent_fd = open_dir(root_fd, CGROUP_PARENT);
        if (r >= 0)
                r = enable_controllers(cgroup.parent_fd);
        if (r < 0)
                return error_setf(reterr_message, r, "cannot set up cgroup '%s/%s': %s", root,
                                  CGROUP_PARENT, strerror(-r));

        cgroup.name = strdup(name);
        if (!cgroup.name)
                return -ENOMEM;
        if (asprintf(&cgroup.path, "%s/%s/%s", root, CGROUP_PARENT, name) < 0) {
                cgroup.path = NULL;
                return -ENOMEM;
        }

        r = make_cgroup(cgroup.parent_fd, name);
        if (r < 0)
                return error_setf(reterr_message, r, "cannot make cgroup '%s': %s", name,
                                strerror(-r));

        r = cgroup.fd = open_dir(cgroup.parent_fd, name);
        if (r >= 0)
                r = write_number(cgroup.fd, "cgroup.max.depth", CGROUP_DEPTH_MAX);
        if (r >= 0)
                r = write_number(cgroup.fd, "cgroup.max.descendants", CGROUP_DESCENDANTS_MAX);
        if (r < 0) {
                (void) unlinkat(cgroup.parent_fd, name, AT_REMOVEDIR);
                return error_setf(reterr_message, r, "cannot set up cgroup '%s': %s", name,
                                strerror(-r));
        }

        *ret = cgroup;
        cgroup = CGROUP_NULL;
        return 0;
}

int cgroup_apply(const Cgroup *cgroup, const CgroupSettings *settings, char **reterr_message)
{
        for (size_t i = 0; i < settings->n; i++) {
                const CgroupSetting *s = &settings->items[i];
                int r = write_string_file_at(cgroup->fd, s->file, s->value);

                if (r == -ENOENT) {
                        if (s->optional)
                                continue;
                        return error_setf(reterr_message, -EOPNOTSUPP,
                                          "the guest kernel has no '%s' for this cgroup", s->file);
                }
                if (r < 0)
                        return error_setf(reterr_message, r, "cannot set %s to '%s': %s", s->file,
                                          s->value, strerror(-r));
        }

        return 0;
}

int cgroup_kill(const Cgroup *cgroup)
{
        return write_string_file_at(cgroup->fd, "cgroup.kill", "1");
}

/* Calls handle(dir_fd, name, userdata) for each nested cgroup until an error. */
typedef int (*ChildHandler)(int dir_fd, const char *name, unsigned depth, void *userdata);

static int for_each_child(int dir_fd, unsigned depth, ChildHandler handle, void *userdata)
{
        int fd = open_dir(dir_fd, "."), r = 0;
        DIR *d;

        if (fd < 0)
                return fd;
        d = fdopendir(fd);
        if (!d) {
                r = negative_errno();
                safe_close(fd);
                return r;
        }

        while (r >= 0) {
                struct dirent *de = readdir(d);

                if (!de)
                        break;
                if (de->d_type != DT_DIR || streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                r = depth > CGROUP_DEPTH_MAX ? -ELOOP : handle(dir_fd, de->d_name, depth, userdata);
        }

        closedir(d);
        return r;
}

static int remove_child(int dir_fd, const char *name, unsigned depth, void *userdata)
{
        _cleanup_close_ int fd = open_dir(dir_fd, name);
        int r;

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;

        r = for_each_child(fd, depth + 1, remove_child, userdata);
        if (r < 0)
                return r;

        return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? negative_errno() : 0;
}

int cgroup_remove(const Cgroup *cgroup)
{
        return remove_child(cgroup->parent_fd, cgroup->name, 0, NULL);
}

typedef struct SignalContext {
        int sig;
        unsigned sent;
} SignalContext;

static int signal_processes(int fd, SignalContext *c)
{
        _cleanup_free_ char *text = NULL;
        char *save = NULL;
        int r;

        r = read_file_at(fd, "cgroup.procs", CGROUP_PROCS_MAX, &text, NULL);
        if (r == -ENODEV || r == -ENOENT || r == -EOPNOTSUPP)
                return 0; /* removed meanwhile, or threaded: its processes are listed further up */
        if (r < 0)
                return r;

        for (char *p = strtok_r(text, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
                _cleanup_(pidref_done) PidRef ref = PIDREF_NULL;
                uint32_t pid;

                /*
                 * 0 is a process of another pid namespace. A pid that was recycled since the list
                 * was read would be a process of another container: the pidfd keeps that window to
                 * the few microseconds between the list and this line.
                 */
                if (parse_u32(p, &pid) < 0 || pid == 0 || pidref_set(&ref, (pid_t) pid) < 0)
                        continue;
                if (pidref_kill(&ref, c->sig) >= 0)
                        c->sent++;
        }

        return 0;
}

static int signal_child(int dir_fd, const char *name, unsigned depth, void *userdata)
{
        _cleanup_close_ int fd = open_dir(dir_fd, name);
        int r;

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;

        r = signal_processes(fd, userdata);
        if (r < 0)
                return r;

        return for_each_child(fd, depth + 1, signal_child, userdata);
}

int cgroup_signal(const Cgroup *cgroup, int sig)
{
        SignalContext c = { .sig = sig };
        int r = signal_child(cgroup->parent_fd, cgroup->name, 0, &c);

        if (r < 0)
                return r;

        return c.sent > 0 ? 0 : -ESRCH;
}

int cgroup_read_key(const Cgroup *cgroup, const char *file, const char *key, uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        size_t n = strlen(key);
        char *save = NULL;
        int r;

        r = read_file_at(cgroup->fd, file, KIB(4), &text, NULL);
        if (r < 0)
                return r;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                if (strncmp(line, key, n) == 0 && line[n] == ' ')
                        return parse_u64(line + n + 1, ret);

        return -ENODATA;
}
