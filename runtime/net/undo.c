/* SPDX-License-Identifier: Apache-2.0 */
/* Taking back what was changed in a network namespace: see undo.h. */

#include "runtime/net/undo.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/network-state.h"
#include "basic/parse.h"
#include "runtime/net/traffic.h"

#define UNDO_VERSION 1U
/* In the place of a path. */
#define NO_PATH "-"

char *net_undo_path(const char *id)
{
        char *path;

        return asprintf(&path, RUNDIR "/.network-%s", id) < 0 ? NULL : path;
}

void net_undo_done(NetUndo *undo)
{
        free(undo->path);
        *undo = (NetUndo) {};
}

/* --- the file --- */

int net_undo_save(const NetUndo *undo, const char *file)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        if (!f)
                return -ENOMEM;
        fprintf(f, "version=%u\nnamespace=%s\ndevice=%" PRIu64 "\ninode=%" PRIu64 "\n", UNDO_VERSION,
                undo->path ? undo->path : NO_PATH, undo->id.device, undo->id.inode);
        for (size_t i = 0; i < undo->n_links; i++)
                fprintf(f, "link=%" PRIu32 " %s\n", undo->links[i].index, undo->links[i].name);
        if (fclose(f) != 0)
                return -ENOMEM;
        return write_file_atomic(file, text, n, 0600);
}

static int parse_link(NetUndo *undo, char *value)
{
        const char *index = strsep(&value, " ");
        uint32_t v;

        if (undo->n_links >= ELEMENTSOF(undo->links))
                return -E2BIG;
        if (!value || parse_u32(index, &v) < 0 || v == 0 || v > INT32_MAX || isempty(value) ||
            strlen(value) >= IFNAMSIZ)
                return -EINVAL;

        undo->links[undo->n_links].index = v;
        strcpy(undo->links[undo->n_links].name, value);
        undo->n_links++;
        return 0;
}

typedef struct Loading {
        NetUndo *undo;
        bool version_seen, namespace_seen;
} Loading;

static int parse_line(const char *key, char *value, void *userdata)
{
        Loading *loading = userdata;
        NetUndo *undo = loading->undo;
        uint64_t v;

        if (streq(key, "version")) {
                loading->version_seen = parse_u64(value, &v) >= 0 && v == UNDO_VERSION;
                return loading->version_seen ? 0 : -EINVAL;
        }
        if (streq(key, "namespace")) {
                if (loading->namespace_seen || (value[0] != '/' && !streq(value, NO_PATH)))
                        return -EINVAL;
                loading->namespace_seen = true;
                if (value[0] != '/')
                        return 0;
                undo->path = strdup(value);
                return undo->path ? 0 : -ENOMEM;
        }
        if (streq(key, "device"))
                return parse_u64(value, &undo->id.device);
        if (streq(key, "inode"))
                return parse_u64(value, &undo->id.inode);
        if (streq(key, "link"))
                return parse_link(undo, value);

        return -EINVAL;
}

int net_undo_load(NetUndo *ret, const char *file, char **reterr_message)
{
        _cleanup_(net_undo_done) NetUndo undo = {};
        _cleanup_free_ char *text = NULL;
        Loading loading = { .undo = &undo };
        unsigned n;
        int r;

        r = read_file_at(AT_FDCWD, file, NET_UNDO_FILE_MAX, &text, NULL);
        if (r == -ENOENT)
                return r;
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", file, strerror(-r));

        r = parse_assignments(text, parse_line, &loading, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "%s:%u: not a line of this version's notes about a network "
                                  "namespace", file, n);
        if (!loading.version_seen || !loading.namespace_seen)
                return error_setf(reterr_message, -EINVAL, "%s: version or namespace are missing", file);

        *ret = undo;
        undo = (NetUndo) {};
        return 0;
}

/* --- in the namespace --- */

static int remove_redirections(const NetUndo *undo, int namespace_fd, char **reterr_message)
{
        _cleanup_(link_list_done) LinkList links = {};
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        int r, error = 0;

        r = namespace_sockets(namespace_fd, &netlink, NULL, 0, reterr_message);
        if (r >= 0)
                r = link_list_read(&links, &netlink, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < undo->n_links; i++) {
                const RtnlLink *link = link_list_by_index(&links, undo->links[i].index);
                _cleanup_free_ char *message = NULL;
                NetlinkRequest request;

                if (!link || !streq(link->name, undo->links[i].name))
                        continue;
                traffic_build_delete_ingress(&request, link->index);
                r = netlink_call(&netlink, &request, &message);
                /* The link has gone meanwhile, or somebody was faster, or has put something else in its place. */
                if (r < 0 && r != -ENODEV && r != -ENOENT && r != -EINVAL)
                        error = error_setf(reterr_message, r, "interface %s: removing its redirection: %s", link->name,
                                           error_text(message, r));
        }
        return error;
}

/* 0 if it is not there any more, or another one is. */
static int open_noted(const NetUndo *undo, int *ret_fd, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        NamespaceId id;
        int r;

        if (!undo->path || (access(undo->path, F_OK) < 0 && errno == ENOENT))
                return 0;
        r = namespace_open(undo->path, &fd, reterr_message);
        /* An empty file stays where a namespace was mounted; what is the host's own was never changed. */
        if (r == -EINVAL || r == -EPERM)
                return 0;
        if (r < 0)
                return r;
        r = namespace_id(fd, &id);
        if (r < 0)
                return r;
        if (id.device != undo->id.device || id.inode != undo->id.inode)
                return 0;
        *ret_fd = TAKE_FD(fd);
        return 1;
}

int net_undo(const char *file, int namespace_fd, char **reterr_message)
{
        _cleanup_(net_undo_done) NetUndo undo = {};
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *message = NULL;
        int r;

        r = net_undo_load(&undo, file, reterr_message);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;

        if (undo.n_links > 0) {
                r = namespace_fd >= 0 ? 1 : open_noted(&undo, &fd, &message);
                if (r > 0)
                        r = remove_redirections(&undo, namespace_fd >= 0 ? namespace_fd : fd, &message);
                if (r < 0)
                        return error_setf(reterr_message, r, "network namespace%s%s: %s", undo.path ? " " : "",
                                          strempty(undo.path), error_text(message, r));
        }
        return unlink(file) < 0 && errno != ENOENT ? negative_errno() : 0;
}
