/* SPDX-License-Identifier: Apache-2.0 */
/* Further content of guest images: see extra-tree.h. Runs at build time, on the operator's own files. */

#include "guest-image/extra-tree.h"

#include <dirent.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "guest-image/modules.h"

static const char *prefix(const char *root)
{
        return streq(root, "/") ? "" : root;
}

/* --- iptables --- */

#define XTABLES "xtables-nft-multi"
#define PLUGINS_MAX 512

static const char *const xtables_names[] = {
        "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore",
};

/* Where libxtables looks, which is compiled in: the library directory of the distribution. */
static const char *const plugin_directories[] = {
        "/usr/lib/x86_64-linux-gnu/xtables", "/usr/lib/aarch64-linux-gnu/xtables", "/usr/lib64/xtables",
        "/usr/lib/xtables",
};

/* ebtables and arptables have theirs in the same place. connlabel needs a library, and a file of the host's. */
static int is_plugin(const struct dirent *de)
{
        return (startswith(de->d_name, "libxt_") || startswith(de->d_name, "libipt_") ||
                startswith(de->d_name, "libip6t_")) && endswith(de->d_name, ".so") &&
               !streq(de->d_name, "libxt_connlabel.so");
}

static int add_plugins(Tree *tree, const char *root, const char *directory, char **reterr_message)
{
        _cleanup_free_ char *source_directory = NULL;
        struct dirent **entries = NULL;
        int n, r = 0;

        if (asprintf(&source_directory, "%s%s", prefix(root), directory) < 0) {
                source_directory = NULL;
                return -ENOMEM;
        }
        n = scandir(source_directory, &entries, is_plugin, alphasort);
        if (n < 0)
                return error_setf(reterr_message, errno, "'%s' can not be read: %s", source_directory,
                                  strerror(errno));
        if (n > PLUGINS_MAX)
                r = error_setf(reterr_message, E2BIG, "'%s' has more than %d plugins", source_directory, PLUGINS_MAX);

        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *path = NULL, *source = NULL;

                if (r >= 0 && (asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0 ||
                               asprintf(&source, "%s/%s", source_directory, entries[i]->d_name) < 0))
                        r = -ENOMEM;
                if (r >= 0)
                        r = tree_add_parents(tree, path);
                if (r >= 0)
                        r = tree_add(tree, path, source, NULL, 0644);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int extra_tree_iptables(Tree *tree, const char *root, char **reterr_message)
{
        _cleanup_free_ char *source = NULL;
        int r;

        if (asprintf(&source, "%s/usr/sbin/" XTABLES, prefix(root)) < 0) {
                source = NULL;
                return -ENOMEM;
        }
        if (access(source, X_OK) < 0)
                return error_setf(reterr_message, ENOENT, "'%s' is missing: install package iptables there", source);

        r = tree_add(tree, "/usr/sbin/" XTABLES, source, NULL, 0755);
        if (r >= 0)
                r = tree_add_libraries(tree, root, source, reterr_message);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(xtables_names); i++) {
                char path[64];

                snprintf(path, sizeof(path), "/usr/sbin/%s", xtables_names[i]);
                r = tree_add(tree, path, NULL, XTABLES, 0777);
        }

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(plugin_directories); i++) {
                _cleanup_free_ char *full = NULL;

                if (asprintf(&full, "%s%s", prefix(root), plugin_directories[i]) < 0) {
                        full = NULL;
                        return -ENOMEM;
                }
                if (access(full, F_OK) >= 0)
                        return add_plugins(tree, root, plugin_directories[i], reterr_message);
        }
        return r < 0 ? r : error_setf(reterr_message, ENOENT, "there are no plugins of iptables below '%s': install "
                                      "package iptables there", root);
}

/* --- modules --- */

/* Below the directory of the modules. */
static const char *relative(const KernelRelease *kernel, const char *path)
{
        const char *rest = startswith(path, kernel->modules);

        return rest && *rest == '/' ? rest + 1 : NULL;
}

static int add_module(Tree *tree, const KernelRelease *kernel, const Module *m, char **reterr_message)
{
        const char *below = relative(kernel, m->path);
        _cleanup_free_ char *path = NULL;
        int r;

        if (!below)
                return error_setf(reterr_message, EINVAL, "module '%s' is not below '%s'", m->path, kernel->modules);
        if (asprintf(&path, "/usr/lib/modules/%s/%s", kernel->release, below) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        /* As it is: the kernel of a distribution that compresses its modules unpacks them as well. */
        r = tree_add_parents(tree, path);
        return r < 0 ? r : tree_add(tree, path, m->path, NULL, 0644);
}

/* The line of one module: what is loaded before it, the last one first. */
static int write_line(FILE *f, const KernelRelease *kernel, const ModuleSource *source, const Module *m,
                      char **reterr_message)
{
        ModuleWish wish = { .name = m->name, .optional = m->optional };
        const ModuleWishes wishes = { .v = &wish, .n = 1 };
        _cleanup_(module_plan_done) ModulePlan plan = {};
        size_t own = 0;
        int r;

        r = module_plan_make(&wishes, source, kernel->release, &plan, reterr_message);
        if (r < 0)
                return r;
        while (own < plan.n && !streq(plan.v[own].path, m->path))
                own++;

        fprintf(f, "%s:", strempty(relative(kernel, m->path)));
        while (own-- > 0) {
                const char *below = relative(kernel, plan.v[own].path);

                if (below)
                        fprintf(f, " %s", below);
        }
        fputc('\n', f);
        return 0;
}

static int add_index(Tree *tree, const KernelRelease *kernel, const ModuleSource *source, const ModulePlan *plan,
                     char **reterr_message)
{
        _cleanup_free_ char *text = NULL, *path = NULL, *builtin = NULL, *builtin_path = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;
        int r = 0;

        f = open_memstream(&text, &n);
        if (!f)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < plan->n; i++)
                r = write_line(f, kernel, source, &plan->v[i], reterr_message);
        if (fclose(TAKE_PTR(f)) != 0 || r < 0)
                return r < 0 ? r : -ENOMEM;

        if (asprintf(&path, "/usr/lib/modules/%s/modules.dep", kernel->release) < 0)
                return path = NULL, -ENOMEM;
        r = tree_add_text(tree, path, text, 0644);
        if (r < 0)
                return r;
        if (asprintf(&builtin, "%s/modules.builtin", kernel->modules) < 0)
                return builtin = NULL, -ENOMEM;
        if (access(builtin, R_OK) < 0)
                return 0;
        if (asprintf(&builtin_path, "/usr/lib/modules/%s/modules.builtin", kernel->release) < 0)
                return builtin_path = NULL, -ENOMEM;
        return tree_add(tree, builtin_path, builtin, NULL, 0644);
}

int extra_tree_modules(Tree *tree, const BuildOptions *options, char **reterr_message)
{
        _cleanup_(module_directory_freep) ModuleDirectory *directory = NULL;
        _cleanup_(module_wishes_done) ModuleWishes wishes = {};
        _cleanup_(kernel_release_done) KernelRelease kernel = {};
        _cleanup_(module_plan_done) ModulePlan plan = {};
        ModuleSource source;
        int r;

        r = module_wishes_load(options->modules_list, &wishes, reterr_message);
        if (r >= 0)
                r = module_kernel_find(options->root, options->kernel_release, options->modules_dir, &kernel,
                                       reterr_message);
        if (r >= 0)
                r = module_directory_open(kernel.modules, &directory, reterr_message);
        if (r < 0)
                return r;

        source = module_directory_source(directory);
        r = module_plan_make(&wishes, &source, kernel.release, &plan, reterr_message);
        for (size_t i = 0; r >= 0 && i < plan.n; i++)
                r = add_module(tree, &kernel, &plan.v[i], reterr_message);
        return r < 0 ? r : add_index(tree, &kernel, &source, &plan, reterr_message);
}
