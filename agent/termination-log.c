/* SPDX-License-Identifier: Apache-2.0 */
/* Last words of a container: see termination-log.h. */

#include "agent/termination-log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/confined-path.h"
#include "basic/root-path.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define ANNOTATION "io.kubernetes.container.terminationMessagePath"
#define REPLACEMENT "\xef\xbf\xbd"

int termination_log_plan(const Grpc__Spec *spec, TerminationLog *ret)
{
        _cleanup_(termination_log_done) TerminationLog log = {};
        _cleanup_free_ char *path = NULL;
        const char *named = NULL;

        for (size_t i = 0; i < spec->n_annotations; i++)
                if (streq(spec->annotations[i]->key, ANNOTATION))
                        named = spec->annotations[i]->value;
        if (isempty(named) || path_normalize(named, &path) < 0) {
                *ret = log;
                return 0;
        }

        /* The last mount there is the one that the container sees. */
        for (size_t i = 0; i < spec->n_mounts; i++) {
                _cleanup_free_ char *destination = NULL;

                if (path_normalize(spec->mounts[i]->destination, &destination) < 0 ||
                    !streq(destination, path))
                        continue;
                free(log.path);
                log.path = strdup(spec->mounts[i]->source);
                if (!log.path)
                        return -ENOMEM;
        }
        if (!log.path) {
                log.root = strdup(spec->root ? spec->root->path : "");
                log.path = TAKE_PTR(path);
                if (!log.root)
                        return -ENOMEM;
        }

        *ret = log;
        log = (TerminationLog) {};
        return 0;
}

void termination_log_done(TerminationLog *log)
{
        free(log->root);
        free(log->path);
        *log = (TerminationLog) {};
}

char *termination_log_text(const char *data, size_t n)
{
        char *text = malloc(n * strlen(REPLACEMENT) + 1), *p = text;

        if (!text)
                return NULL;
        for (size_t i = 0; i < n;) {
                size_t k = 1;

                while (k <= 4 && i + k <= n && !utf8_is_valid(data + i, k))
                        k++;
                if (k > 4 || i + k > n) {
                        p = mempcpy(p, REPLACEMENT, strlen(REPLACEMENT));
                        i++;
                } else {
                        p = mempcpy(p, data + i, k);
                        i += k;
                }
        }
        *p = '\0';
        return text;
}

/* O_PATH first: opening a device or a fifo of the container would do something. */
static int open_log(const TerminationLog *log)
{
        _cleanup_close_ int root_fd = -EBADF, fd = -EBADF;
        char path[32];
        struct stat st;

        if (log->root) {
                root_fd = open(log->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (root_fd < 0)
                        return negative_errno();
                fd = root_open(root_fd, log->path, O_PATH, 0);
        } else
                fd = confined_open(log->path, O_PATH);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (!S_ISREG(st.st_mode))
                return -EINVAL;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        root_fd = safe_close(root_fd);
        root_fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
        return root_fd < 0 ? negative_errno() : TAKE_FD(root_fd);
}

int termination_log_read(const TerminationLog *log, char **ret, char **reterr_message)
{
        _cleanup_close_ int fd = open_log(log);
        char data[TERMINATION_LOG_MAX];
        struct stat st;
        ssize_t n;
        char *text;

        if (fd == -EINVAL)
                return error_setf(reterr_message, fd, "the termination log %s is no regular file", log->path);
        if (fd < 0)
                return error_setf(reterr_message, fd, "the termination log %s: %s", log->path, strerror(-fd));
        if (fstat(fd, &st) < 0)
                return negative_errno();
        n = pread(fd, data, sizeof(data), st.st_size > (off_t) sizeof(data) ?
                  st.st_size - (off_t) sizeof(data) : 0);
        if (n < 0)
                return negative_errno();

        text = termination_log_text(data, (size_t) n);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}
