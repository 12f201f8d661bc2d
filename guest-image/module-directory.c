/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules of an installed kernel through libkmod: see modules.h. Only files below the directory of the
 * modules decide: modprobe's configuration on the building machine (blacklists, aliases) is about that
 * machine and not about guests.
 */

#include <libgen.h>
#include <libkmod.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "guest-image/modules.h"

struct ModuleDirectory {
        struct kmod_ctx *ctx;
};

int module_kernel_find(const char *root, const char *release, const char *modules_dir, KernelRelease *ret,
                       char **reterr_message)
{
        _cleanup_(kernel_release_done) KernelRelease kernel = {};
        _cleanup_free_ char *copy = NULL;
        const char *name;

        if (!modules_dir)
                return kernel_release_find(root, release, ret, reterr_message);

        /* The release is the name of the directory, as everywhere below /usr/lib/modules. */
        copy = strdup(modules_dir);
        if (!copy)
                return -ENOMEM;
        name = release ? release : basename(copy);
        if (!kernel_release_is_valid(name))
                return error_setf(reterr_message, EINVAL,
                                  "'%s' is no kernel release: give one with --kernel-release", name);

        kernel.release = strdup(name);
        kernel.modules = strdup(modules_dir);
        if (!kernel.release || !kernel.modules)
                return -ENOMEM;
        *ret = kernel;
        kernel = (KernelRelease) {};
        return 0;
}

int module_directory_open(const char *path, ModuleDirectory **ret, char **reterr_message)
{
        static const char *const no_config[] = { NULL };
        _cleanup_(module_directory_freep) ModuleDirectory *d = new0(ModuleDirectory, 1);
        _cleanup_free_ char *dep = NULL;
        int r;

        if (!d)
                return -ENOMEM;
        if (asprintf(&dep, "%s/modules.dep.bin", path) < 0)
                return -ENOMEM;

        d->ctx = kmod_new(path, no_config);
        if (!d->ctx)
                return -ENOMEM;
        kmod_set_log_priority(d->ctx, 0);

        /* Without indexes libkmod knows no module at all, and says that each does not exist. */
        r = kmod_load_resources(d->ctx);
        if (r < 0)
                return error_setf(reterr_message, r, "index of the modules in '%s' can not be read (%s): "
                                  "run depmod", path, strerror(-r));

        *ret = TAKE_PTR(d);
        return 0;
}

ModuleDirectory *module_directory_free(ModuleDirectory *d)
{
        if (d) {
                kmod_unref(d->ctx);
                free(d);
        }
        return NULL;
}

static int add_names(struct kmod_list *list, Strv *names)
{
        struct kmod_list *l;
        int r = 0;

        kmod_list_foreach(l, list) {
                struct kmod_module *m = kmod_module_get_module(l);

                if (r >= 0)
                        r = names->n < MODULES_MAX ? strv_add(names, kmod_module_get_name(m)) : -E2BIG;
                kmod_module_unref(m);
        }

        return r;
}

static int describe(struct kmod_module *m, ModuleInfo *info)
{
        struct kmod_list *depends, *before = NULL, *after = NULL;
        const char *path;
        int r;

        info->name = strdup(kmod_module_get_name(m));
        if (!info->name)
                return -ENOMEM;

        /* Only "built in" is of interest: the rest is the state of the kernel that runs here. */
        info->builtin = kmod_module_get_initstate(m) == KMOD_MODULE_BUILTIN;
        if (info->builtin)
                return 0;

        path = kmod_module_get_path(m);
        if (!path)
                return -ENOENT;
        info->path = strdup(path);
        if (!info->path)
                return -ENOMEM;

        r = kmod_module_get_softdeps(m, &before, &after);
        if (r < 0)
                return r;
        r = add_names(before, &info->before);
        if (r >= 0)
                r = add_names(after, &info->after);
        kmod_module_unref_list(before);
        kmod_module_unref_list(after);
        if (r < 0)
                return r;

        depends = kmod_module_get_dependencies(m);
        r = add_names(depends, &info->depends);
        kmod_module_unref_list(depends);
        return r;
}

static int lookup(void *userdata, const char *name, ModuleInfo *ret)
{
        ModuleDirectory *d = userdata;
        _cleanup_(module_info_done) ModuleInfo info = {};
        struct kmod_list *list = NULL;
        struct kmod_module *m;
        int r;

        r = kmod_module_new_from_lookup(d->ctx, name, &list);
        if (r < 0)
                return r;
        if (!list)
                return -ENOENT;

        /* An alias may fit several; modprobe without configuration takes them in this order too. */
        m = kmod_module_get_module(list);
        r = describe(m, &info);
        kmod_module_unref(m);
        kmod_module_unref_list(list);
        if (r < 0)
                return r;

        *ret = info;
        info = (ModuleInfo) {};
        return 0;
}

ModuleSource module_directory_source(ModuleDirectory *d)
{
        return (ModuleSource) { .lookup = lookup, .userdata = d };
}
