/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandbox definitions: lines (conf-file.c) → fields (tables) → checks of the whole. Host side; see
 * the header for what may be wrong in them.
 */

#include "runtime/conf/sandbox-conf.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/conf/conf-file.h"
#include "runtime/conf/conf-tables.h"

#define RUN_DEFINITIONS "sandboxes"

static void container_conf_done(ContainerConf *c)
{
        free(c->name);
        free(c->bundle);
        free(c->root_directory);
        strv_done(&c->command);
        strv_done(&c->environment);
        free(c->working_directory);
}

SandboxConf *sandbox_conf_free(SandboxConf *conf)
{
        if (!conf)
                return NULL;

        for (size_t i = 0; i < conf->n_containers; i++)
                container_conf_done(&conf->containers[i]);
        free(conf->containers);
        free(conf->id);
        free(conf->path);
        free(conf->kernel_parameters);
        free(conf->kernel_modules);
        free(conf->hostname);
        free(conf->guest_directory);
        free(conf->slice);
        free(conf->scope);
        free(conf->allowed_cpus);
        free(conf->allowed_memory_nodes);
        free(conf->network_namespace);
        free(conf->policy);
        return mfree(conf);
}

const ContainerConf *sandbox_conf_find_container(const SandboxConf *conf, const char *name)
{
        for (size_t i = 0; i < conf->n_containers; i++)
                if (streq(conf->containers[i].name, name))
                        return &conf->containers[i];

        return NULL;
}

/* Where a section's keys go: set up by its header. */
typedef struct Target {
        const ConfKey *table;
        const char *section; /* name in that table */
        void *base;
} Target;

static int open_section(
                SandboxConf *conf,
                const ConfSection *section,
                Target *ret,
                char **reterr_message)
{
        const char *name;
        ContainerConf *c;

        if (streq(section->name, "Sandbox")) {
                *ret = (Target) { .table = sandbox_conf_table, .section = "Sandbox", .base = conf };
                return 0;
        }

        name = startswith(section->name, "Container");
        if (!name || (*name != '\0' && *name != ' ' && *name != '\t'))
                return error_setf(
                                reterr_message, -EINVAL,
                                "%s:%u: [%s]: unknown section; known are [Sandbox] and [Container NAME]",
                                conf->path, section->line, section->name);

        name += strspn(name, " \t");
        if (!id_is_valid(name, CONTAINER_ID_MAX))
                return error_setf(
                                reterr_message, -EINVAL,
                                "%s:%u: [%s]: a container's name has 2 to %u letters, digits, '.', '_' or '-' "
                                "and begins with a letter or digit",
                                conf->path, section->line, section->name, CONTAINER_ID_MAX);

        /* "[Container a]" and "[Container  a]" are different names for the line parser. */
        if (sandbox_conf_find_container(conf, name))
                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: [%s]: there is a container of this name, in line %u",
                                  conf->path, section->line, section->name,
                                  sandbox_conf_find_container(conf, name)->line);
        if (conf->n_containers >= CONTAINERS_MAX)
                return error_setf(reterr_message, -E2BIG, "%s:%u: [%s]: more than %u containers",
                                  conf->path, section->line, section->name, CONTAINERS_MAX);

        /* Allocated for the maximum by the caller: Target points into it. */
        c = &conf->containers[conf->n_containers];
        *c = (ContainerConf) { .line = section->line, .stop_signal = SIGTERM, .name = strdup(name) };
        if (!c->name)
                return -ENOMEM;
        conf->n_containers++;

        *ret = (Target) { .table = container_conf_table, .section = "Container", .base = c };
        return 0;
}

static int apply_entry(
                const SandboxConf *conf,
                const ConfFile *file,
                size_t i,
                const Target *target,
                char **reterr_message)
{
        const ConfEntry *e = &file->entries[i];
        const char *section = file->sections[e->section].name;
        const ConfKey *key;
        int r;

        key = conf_key_find(target->table, target->section, e->key);
        if (!key) {
                _cleanup_free_ char *known = conf_list_keys(target->table, target->section);

                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: [%s] %s=: unknown key; known are %s", conf->path, e->line,
                                  section, e->key, strempty(known));
        }

        for (size_t j = i; !key->multiple && j-- > 0 && file->entries[j].section == e->section;)
                if (streq(file->entries[j].key, e->key))
                        return error_setf(reterr_message, -EINVAL,
                                          "%s:%u: [%s] %s=: given already, in line %u", conf->path,
                                          e->line, section, e->key, file->entries[j].line);

        /* There is nothing to restore within one file: an empty value is a slip. */
        r = isempty(e->value) ? -EINVAL : conf_key_apply(key, e->value, target->base);
        if (r < 0)
                return conf_value_error(reterr_message, r, conf->path, e->line, section, key,
                                        e->value);

        return 0;
}

/*
 * The line of a key in a section, for errors found later; the section's own line if it was not
 * given.
 */
static unsigned line_of(const ConfFile *file, size_t section, const char *key)
{
        for (size_t i = 0; i < file->n_entries; i++)
                if (file->entries[i].section == section && streq(file->entries[i].key, key))
                        return file->entries[i].line;

        return file->sections[section].line;
}

static bool is_given(const ConfFile *file, size_t section, const char *key)
{
        for (size_t i = 0; i < file->n_entries; i++)
                if (file->entries[i].section == section && streq(file->entries[i].key, key))
                        return true;

        return false;
}

static int check_directory(
                const SandboxConf *conf,
                const char *root,
                const ConfFile *file,
                size_t section,
                const char *key,
                const char *path,
                char **reterr_message)
{
        _cleanup_free_ char *full = NULL;
        struct stat st;
        int r = 0;

        if (asprintf(&full, "%s%s", strempty(root), path) < 0) {
                full = NULL;
                return -ENOMEM;
        }

        if (stat(full, &st) < 0)
                r = negative_errno();
        else if (!S_ISDIR(st.st_mode))
                r = -ENOTDIR;
        if (r < 0)
                return error_setf(reterr_message, r, "%s:%u: [%s] %s=%s: %s", conf->path,
                                  line_of(file, section, key), file->sections[section].name, key,
                                  full, r == -ENOENT ? "directory does not exist" : strerror(-r));

        return 0;
}

static int check_container(
                const SandboxConf *conf,
                const char *root,
                const ConfFile *file,
                size_t section,
                const ContainerConf *c,
                char **reterr_message)
{
        static const char *const without_bundle[] = { "Command", "Environment", "WorkingDirectory",
                                                      "User",    "ReadOnly",    "Memory" };
        const char *name = file->sections[section].name;

        if (!c->bundle && !c->root_directory)
                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: [%s]: Bundle= or RootDirectory= is needed", conf->path,
                                  c->line, name);
        if (c->bundle && c->root_directory)
                return error_setf(
                                reterr_message, -EINVAL,
                                "%s:%u: [%s] RootDirectory=: not together with Bundle=, which line %u has",
                                conf->path, line_of(file, section, "RootDirectory"), name,
                                line_of(file, section, "Bundle"));

        if (c->bundle) {
                for (size_t i = 0; i < ELEMENTSOF(without_bundle); i++)
                        if (is_given(file, section, without_bundle[i]))
                                return error_setf(
                                                reterr_message, -EINVAL,
                                                "%s:%u: [%s] %s=: goes with RootDirectory= only; the bundle's "
                                                "config.json says it",
                                                conf->path,
                                                line_of(file, section, without_bundle[i]), name,
                                                without_bundle[i]);

                return check_directory(conf, root, file, section, "Bundle", c->bundle,
                                       reterr_message);
        }

        if (c->command.n == 0)
                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: [%s]: RootDirectory= needs a Command=", conf->path,
                                  c->line, name);

        return check_directory(conf, root, file, section, "RootDirectory", c->root_directory,
                               reterr_message);
}

static bool is_callers(const SandboxConf *conf, const char *root)
{
        const char *rest = startswith(conf->path, strempty(root));

        rest = rest ? startswith(rest, RUNDIR "/") : NULL;
        rest = rest ? startswith(rest, conf->id) : NULL;
        return rest && streq(rest, "/sandbox.conf");
}

static int check_whole(SandboxConf *conf, const char *root, const ConfFile *file, char **reterr_message)
{
        size_t n = 0;
        int r;

        conf->by_caller = conf->n_containers == 0 && is_callers(conf, root);
        if (conf->n_containers == 0 && !conf->by_caller)
                return error_setf(reterr_message, -EINVAL, "%s: no [Container NAME] section",
                                  conf->path);

        for (size_t i = 0; i < file->n_sections; i++) {
                if (streq(file->sections[i].name, "Sandbox") && !conf->by_caller &&
                    streq_ptr(conf->network_namespace, CONF_NETWORK_NEW))
                        return error_setf(reterr_message, -EINVAL, "%s:%u: [Sandbox] NetworkNamespace=new: for callers "
                                          "who set it up before they start a container; here, give the file of one "
                                          "that is complete", conf->path, line_of(file, i, "NetworkNamespace"));
                if (streq(file->sections[i].name, "Sandbox"))
                        continue;
                /* Sections and containers have the same order. */
                r = check_container(conf, root, file, i, &conf->containers[n++], reterr_message);
                if (r < 0)
                        return r;
        }

        return 0;
}

/* Starts from the node's values; what is put behind the node's stays empty until the file was read. */
static int new_conf(const char *path, const char *id, const NodeConf *node, SandboxConf **ret)
{
        _cleanup_sandbox_conf_ SandboxConf *conf = new0(SandboxConf, 1);

        if (!conf)
                return -ENOMEM;

        conf->memory = node->memory;
        conf->vcpus = node->vcpus;
        conf->accelerator = node->accelerator;
        conf->transport = node->transport;
        conf->stop_timeout = node->stop_timeout;
        conf->id = strdup(id);
        conf->path = strdup(path);
        conf->containers = new0(ContainerConf, CONTAINERS_MAX);
        if (!conf->id || !conf->path || !conf->containers)
                return -ENOMEM;

        *ret = TAKE_PTR(conf);
        return 0;
}

/* The node's, then the sandbox's own. */
static int put_behind(const char *nodes, const char *separator, char **field)
{
        _cleanup_free_ char *own = TAKE_PTR(*field);

        if (asprintf(field, "%s%s%s", strempty(nodes), !isempty(nodes) && own ? separator : "", strempty(own)) < 0) {
                *field = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int complete(SandboxConf *conf, const NodeConf *node)
{
        int r = put_behind(node->kernel_parameters, " ", &conf->kernel_parameters);

        if (r >= 0)
                r = put_behind(node->kernel_modules, "; ", &conf->kernel_modules);
        if (r < 0)
                return r;
        if (!conf->hostname)
                conf->hostname = strndup(conf->id, HOSTNAME_LEN_MAX);
        return conf->hostname ? 0 : -ENOMEM;
}

static int check_id(const char *id, char **reterr_message)
{
        _cleanup_free_ char *shown = NULL;

        /* The run-time directory of such a sandbox is where definitions are. */
        if (streq(id, RUN_DEFINITIONS))
                return error_setf(reterr_message, -EINVAL,
                                  "a sandbox can not have the name '%s': " RUNDIR "/%s is the "
                                  "directory of definitions", id, id);
        if (sandbox_name_is_valid(id))
                return 0;

        shown = text_escape(id, strlen(id), 80);
        return error_setf(
                        reterr_message, -EINVAL,
                        "invalid sandbox name '%s': expected 2 to %u letters, digits, '.', '_' or '-', beginning "
                        "with a letter or digit, or two such words with a ':' between them",
                        strempty(shown), SANDBOX_ID_MAX);
}

int sandbox_conf_parse(
                const char *root,
                const char *path,
                const char *text,
                size_t size,
                const char *id,
                const NodeConf *node,
                SandboxConf **ret,
                char **reterr_message)
{
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
        _cleanup_conf_file_ ConfFile *file = NULL;
        int r;

        r = check_id(id, reterr_message);
        if (r < 0)
                return r;
        r = conf_file_parse(path, text, size, &file, reterr_message);
        if (r < 0)
                return r;
        r = new_conf(path, id, node, &conf);
        if (r < 0)
                return r;

        for (size_t s = 0, e = 0; s < file->n_sections; s++) {
                Target target = {};

                r = open_section(conf, &file->sections[s], &target, reterr_message);
                if (r < 0)
                        return r;
                for (; e < file->n_entries && file->entries[e].section == s; e++) {
                        r = apply_entry(conf, file, e, &target, reterr_message);
                        if (r < 0)
                                return r;
                }
        }

        r = check_whole(conf, root, file, reterr_message);
        if (r < 0)
                return r;
        r = complete(conf, node);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(conf);
        return 0;
}

int sandbox_conf_load_file(
                const char *root,
                const char *path,
                const char *id,
                const NodeConf *node,
                SandboxConf **ret,
                char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, CONFIG_FILE_MAX, &text, &size);
        if (r == -EFBIG)
                return error_setf(reterr_message, r, "%s: larger than %zu KiB", path,
                                  CONFIG_FILE_MAX / 1024);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));

        return sandbox_conf_parse(root, path, text, size, id, node, ret, reterr_message);
}

int sandbox_conf_load(
                const char *root,
                const char *id,
                const NodeConf *node,
                SandboxConf **ret,
                char **reterr_message)
{
        const struct {
                const char *dir, *subdir, *prefix, *suffix;
        } places[] = {
                { PKGSYSCONFDIR, "sandboxes", id, ".conf" },
                { RUNDIR, RUN_DEFINITIONS, id, ".conf" },
                { RUNDIR, id, "sandbox", ".conf" },
        };
        int r;

        /* Before it becomes part of a path. */
        r = check_id(id, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s%s/%s/%s%s", strempty(root), places[i].dir, places[i].subdir,
                             places[i].prefix, places[i].suffix) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                /* Any other error than this one is that of the file that counts. */
                if (access(path, F_OK) >= 0 || errno != ENOENT)
                        return sandbox_conf_load_file(root, path, id, node, ret, reterr_message);
        }

        return error_setf(reterr_message, -ENOENT,
                          "sandbox '%s' is not defined: %s" PKGSYSCONFDIR "/sandboxes/%s.conf does "
                          "not exist", id, strempty(root), id);
}
