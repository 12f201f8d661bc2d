/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of the kernel for a sandbox: see kernel-modules.h. */

#include "agent/kernel-modules.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/kernel-module.h"
#include "basic/limits.h"
#include "basic/strv.h"

/* linux/module.h; headers before 5.17 do not have it. */
#define COMPRESSED_FILE 4

static int check_one(const Grpc__KernelModule *m, char **reterr_message)
{
        if (!kernel_module_name_is_valid(m->name))
                return error_setf(reterr_message, EINVAL, "kernel module '%.100s': not the name of a module", m->name);
        if (m->n_parameters > MODULE_PARAMETERS_MAX)
                return error_setf(reterr_message, E2BIG, "kernel module %s: more than %u parameters", m->name,
                                  MODULE_PARAMETERS_MAX);

        for (size_t i = 0; i < m->n_parameters; i++)
                if (!kernel_module_parameter_is_valid(m->parameters[i]))
                        return error_setf(reterr_message, EINVAL, "kernel module %s: '%.100s' is no parameter "
                                          "NAME=VALUE", m->name, m->parameters[i]);
        return 0;
}

int kernel_modules_check(Grpc__KernelModule *const *modules, size_t n, char **reterr_message)
{
        if (n > KERNEL_MODULES_MAX)
                return error_setf(reterr_message, E2BIG, "more than %u kernel modules", KERNEL_MODULES_MAX);

        for (size_t i = 0; i < n; i++) {
                int r = check_one(modules[i], reterr_message);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- index --- */

/* "kernel/fs/x_y.ko.xz" is the file of x-y. */
static bool is_file_of(const char *path, size_t n, const char *name)
{
        const char *slash = memrchr(path, '/', n), *start = slash ? slash + 1 : path, *end;
        char stem[MODULE_NAME_MAX + 1];

        n -= (size_t) (start - path);
        end = memmem(start, n, ".ko", 3);
        if (!end || (size_t) (end - start) >= sizeof(stem) ||
            ((size_t) (end - start) + 3 < n && end[3] != '.'))
                return false;
        memcpy(stem, start, (size_t) (end - start));
        stem[end - start] = '\0';
        return kernel_module_same_name(stem, name);
}

static int add_path(Strv *paths, const char *path, size_t n)
{
        _cleanup_free_ char *copy = strndup(path, n);

        if (!copy)
                return -ENOMEM;
        if (*copy == '/' || strstr(copy, ".."))
                return -EINVAL;
        return paths->n >= MODULES_MAX ? -E2BIG : strv_add(paths, copy);
}

int kernel_modules_find(const char *index, const char *name, Strv *ret)
{
        _cleanup_(strv_done) Strv paths = {};
        const char *line, *end, *colon;
        int r = 0;

        for (line = index;; line = end + 1) {
                end = strchrnul(line, '\n');
                colon = memchr(line, ':', (size_t) (end - line)) ?: end;
                if (is_file_of(line, (size_t) (colon - line), name))
                        break;
                if (*end == '\0')
                        return -ENOENT;
        }

        /* The last one has to be first. */
        for (const char *p = end; r >= 0 && p > colon + 1;) {
                const char *start = p;

                while (start > colon + 1 && start[-1] != ' ')
                        start--;
                if (start < p)
                        r = add_path(&paths, start, (size_t) (p - start));
                p = start > colon + 1 ? start - 1 : start;
        }
        if (r >= 0)
                r = add_path(&paths, line, (size_t) (colon - line));
        if (r < 0)
                return r;

        *ret = paths;
        paths = (Strv) {};
        return 0;
}

/* --- one kernel --- */

typedef struct Kernel {
        const KernelModulesPlace *place;
        char directory[PATH_MAX];       /* of its modules */
        char *index;                    /* modules.dep; NULL: not read yet, or none */
        char *builtin;                  /* modules.builtin, the same */
} Kernel;

static void kernel_done(Kernel *k)
{
        free(k->index);
        free(k->builtin);
}

static int kernel_open(Kernel *k, const KernelModulesPlace *place)
{
        struct utsname name;

        k->place = place;
        if (!place->release && uname(&name) < 0)
                return negative_errno();
        return snprintf(k->directory, sizeof(k->directory), "%s/usr/lib/modules/%s", place->root,
                        place->release ? place->release : name.release) >= (int) sizeof(k->directory) ? -ENAMETOOLONG
                                                                                                      : 0;
}

/* *text stays NULL if there is no such file. */
static int read_index(const Kernel *k, const char *name, char **text)
{
        char path[PATH_MAX + 32];
        int r;

        if (*text)
                return 0;
        snprintf(path, sizeof(path), "%s/%s", k->directory, name);
        r = read_file_at(AT_FDCWD, path, MODULE_INDEX_MAX, text, NULL);
        return r == -ENOENT ? 0 : r;
}

static bool has_directory(const Kernel *k, const char *name)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/sys/module/%s", k->place->root, name);
        return access(path, F_OK) >= 0;
}

static int is_builtin(Kernel *k, const char *name)
{
        _cleanup_(strv_done) Strv paths = {};
        int r = read_index(k, "modules.builtin", &k->builtin);

        if (r < 0 || !k->builtin)
                return r;
        r = kernel_modules_find(k->builtin, name, &paths);
        return r < 0 ? r == -ENOENT ? 0 : r : 1;
}

/* --- parameters of what is there --- */

static int set_parameter(const Kernel *k, const char *module, const char *parameter, char **reterr_message)
{
        size_t n = strcspn(parameter, "=");
        _cleanup_free_ char *name = strndup(parameter, n);
        char path[PATH_MAX];
        int r;

        if (!name)
                return -ENOMEM;
        for (char *p = name; *p; p++)
                if (*p == '-')
                        *p = '_';
        if (snprintf(path, sizeof(path), "%s/sys/module/%s/parameters/%s", k->place->root, module, name) >=
            (int) sizeof(path))
                return -ENAMETOOLONG;

        /* A name alone switches something on. */
        r = write_string_file_at(AT_FDCWD, path, parameter[n] ? parameter + n + 1 : "Y");
        if (r == -ENOENT || r == -EACCES || r == -EPERM)
                return error_setf(reterr_message, EBUSY, "kernel module %s: the kernel has it already, and its "
                                  "parameter %s can not be changed any more", module, name);
        if (r < 0)
                return error_setf(reterr_message, r, "kernel module %s: parameter '%s': %s", module, parameter,
                                  strerror(-r));
        return 0;
}

static int set_parameters(const Kernel *k, const char *name, const Grpc__KernelModule *m, char **reterr_message)
{
        for (size_t i = 0; i < m->n_parameters; i++) {
                int r = set_parameter(k, name, m->parameters[i], reterr_message);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- loading --- */

static int load_file(const Kernel *k, const char *path, const char *parameters, const char *module,
                     char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        char full[PATH_MAX * 2];
        int r;

        if (snprintf(full, sizeof(full), "%s/%s", k->directory, path) >= (int) sizeof(full))
                return -ENAMETOOLONG;
        fd = open(full, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                r = negative_errno();
        else
                r = k->place->load(fd, parameters, endswith(path, ".ko") ? 0 : COMPRESSED_FILE);
        return r < 0 && r != -EEXIST ? error_setf(reterr_message, r, "kernel module %s: %s%s%s: %s", module, path,
                                                  *parameters ? " with " : "", parameters, strerror(-r)) : 0;
}

static char *join_parameters(const Grpc__KernelModule *m)
{
        _cleanup_(strv_done) Strv v = {};

        for (size_t i = 0; i < m->n_parameters; i++)
                if (strv_add(&v, m->parameters[i]) < 0)
                        return NULL;
        return strv_join(&v, " ");
}

static int load_one(Kernel *k, const Grpc__KernelModule *m, char **reterr_message)
{
        char name[MODULE_NAME_MAX + 1], modules[PATH_MAX];
        _cleanup_free_ char *parameters = NULL;
        _cleanup_(strv_done) Strv paths = {};
        int r;

        /* As the kernel writes it. */
        snprintf(name, sizeof(name), "%s", m->name);
        for (char *p = name; *p; p++)
                if (*p == '-')
                        *p = '_';

        r = has_directory(k, name) ? 1 : is_builtin(k, name);
        if (r > 0)
                return set_parameters(k, name, m, reterr_message);
        if (r < 0)
                return error_setf(reterr_message, r, "%s/modules.builtin: %s", k->directory, strerror(-r));

        snprintf(modules, sizeof(modules), "%s/proc/modules", k->place->root);
        if (access(modules, F_OK) < 0)
                return error_setf(reterr_message, EBUSY, "kernel module %s: the guest kernel has no loadable modules, "
                                  "and it does not show that this one is built in (/sys/module/%s)", name, name);
        r = read_index(k, "modules.dep", &k->index);
        if (r >= 0)
                r = k->index ? kernel_modules_find(k->index, name, &paths) : -ENOENT;
        if (r == -ENOENT && k->index)
                return error_setf(reterr_message, EBUSY, "kernel module %s: %s of the guest image does not have it",
                                  name, k->directory);
        if (r == -ENOENT)
                return error_setf(reterr_message, EBUSY, "kernel module %s: the guest image has no modules of this "
                                  "kernel (%s); kata-image build --modules puts them there", name, k->directory);
        if (r < 0)
                return error_setf(reterr_message, r, "%s/modules.dep: %s", k->directory, strerror(-r));
        parameters = join_parameters(m);
        if (!parameters)
                return -ENOMEM;

        for (size_t i = 0; r >= 0 && i < paths.n; i++)
                r = load_file(k, paths.v[i], i + 1 < paths.n ? "" : parameters, name, reterr_message);
        return r;
}

static int load(int fd, const char *parameters, int flags)
{
        return syscall(SYS_finit_module, fd, parameters, flags) < 0 ? negative_errno() : 0;
}

int kernel_modules_load(const KernelModulesPlace *place, Grpc__KernelModule *const *modules, size_t n,
                        char **reterr_message)
{
        static const KernelModulesPlace guest = { "", NULL, load };
        _cleanup_(kernel_done) Kernel kernel = {};
        int r = kernel_open(&kernel, place ? place : &guest);

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = load_one(&kernel, modules[i], reterr_message);
        return r;
}
