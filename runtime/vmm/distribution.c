/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel of the distribution and its initrd: see distribution.h. Host side, reads files of root. */

#include "runtime/vmm/distribution.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

void distribution_kernel_done(DistributionKernel *d)
{
        kernel_release_done(&d->kernel);
        free(d->initrd);
        *d = (DistributionKernel) {};
}

typedef struct Inputs {
        bool version, release, size;    /* seen */
        size_t n_inputs;
        char *changed;                  /* first input that is not as it was */
} Inputs;

static void inputs_done(Inputs *in)
{
        free(in->changed);
}

static int read_version(const DistributionKernel *d, Inputs *in, char *value)
{
        in->version = streq(value, "1");
        return in->version ? 0 : -EOPNOTSUPP;
}

static int read_release(const DistributionKernel *d, Inputs *in, char *value)
{
        in->release = streq(value, d->kernel.release);
        return in->release ? 0 : -EINVAL;
}

static int read_size(const DistributionKernel *d, Inputs *in, char *value)
{
        struct stat st;
        uint64_t size;
        int r;

        r = parse_u64(value, &size);
        if (r < 0)
                return r;
        if (stat(d->initrd, &st) < 0)
                return negative_errno();
        in->size = true;
        if ((uint64_t) st.st_size != size && !in->changed)
                in->changed = strdup(d->initrd);
        return 0;
}

/* "SIZE SECONDS.NANOSECONDS PATH" */
static int read_input(const DistributionKernel *d, Inputs *in, char *value)
{
        char *time = strchr(value, ' '), *path = time ? strchr(time + 1, ' ') : NULL, now[64];
        struct stat st;
        uint64_t size;
        int r;

        if (!path || path[1] != '/')
                return -EINVAL;
        *time++ = *path++ = '\0';
        r = parse_u64(value, &size);
        if (r < 0)
                return r;

        in->n_inputs++;
        if (in->changed)
                return 0;
        if (stat(path, &st) >= 0) {
                snprintf(now, sizeof(now), "%" PRId64 ".%09ld", (int64_t) st.st_mtim.tv_sec,
                         st.st_mtim.tv_nsec);
                if ((uint64_t) st.st_size == size && streq(now, time))
                        return 0;
        }

        in->changed = strdup(path);
        return in->changed ? 0 : -ENOMEM;
}

static const struct {
        const char *key;
        int (*read)(const DistributionKernel *d, Inputs *in, char *value);
} keys[] = {
        { "version=", read_version },
        { "release=", read_release },
        { "input=", read_input },
        { "size=", read_size },
};

static int read_line(const DistributionKernel *d, Inputs *in, char *line)
{
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (startswith(line, keys[i].key))
                        return keys[i].read(d, in, line + strlen(keys[i].key));

        return -EINVAL;
}

static int refuse(const DistributionKernel *d, int error, const char *what, const char *why,
                  char **reterr_message)
{
        return error_setf(reterr_message, error,
                          "initrd %s for kernel %s %s%s: run kata-image initrd --kernel-release %s",
                          d->initrd, d->kernel.release, what, strempty(why), d->kernel.release);
}

static int check_inputs(const DistributionKernel *d, char **reterr_message)
{
        _cleanup_free_ char *path = NULL, *text = NULL, *why = NULL;
        _cleanup_(inputs_done) Inputs in = {};
        char *rest, *line;
        int r = 0;

        if (access(d->initrd, F_OK) < 0)
                return refuse(d, errno, errno == ENOENT ? "is missing" : "can not be looked at: ",
                              errno == ENOENT ? NULL : strerror(errno), reterr_message);
        if (asprintf(&path, "%s.inputs", d->initrd) < 0)
                return -ENOMEM;

        r = read_file_at(AT_FDCWD, path, INITRD_INPUTS_MAX, &text, NULL);
        for (rest = text; r >= 0 && (line = strsep(&rest, "\n"));)
                if (*line)
                        r = read_line(d, &in, line);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !in.version || !in.release || !in.size || in.n_inputs == 0)
                return refuse(d, ESTALE, "is of unknown origin, its list of inputs is not usable", NULL,
                              reterr_message);
        if (!in.changed)
                return 0;

        if (asprintf(&why, "%s has changed since", in.changed) < 0)
                return -ENOMEM;
        return refuse(d, ESTALE, "is out of date, ", why, reterr_message);
}

int distribution_kernel_find(const char *root, const char *initrd_dir, const char *release,
                             DistributionKernel *ret, char **reterr_message)
{
        _cleanup_(distribution_kernel_done) DistributionKernel d = {};
        int r;

        r = kernel_release_find(root, release, &d.kernel, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "Kernel=distribution");
        if (asprintf(&d.initrd, "%s/%s.img", initrd_dir, d.kernel.release) < 0) {
                d.initrd = NULL;
                return -ENOMEM;
        }

        r = check_inputs(&d, reterr_message);
        if (r < 0)
                return r;

        *ret = d;
        d = (DistributionKernel) {};
        return 0;
}
