/* SPDX-License-Identifier: Apache-2.0 */
/* Which modules, in which order: see modules.h. Runs as any user, on files of the operator. */

#include "guest-image/modules.h"

#include <fcntl.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/kernel-module.h"
#include "basic/limits.h"
#include "guest-image/run.h"

void module_wishes_done(ModuleWishes *wishes)
{
        for (size_t i = 0; i < wishes->n; i++)
                free(wishes->v[i].name);
        free(wishes->v);
        *wishes = (ModuleWishes) {};
}

void module_info_done(ModuleInfo *info)
{
        free(info->name);
        free(info->path);
        strv_done(&info->before);
        strv_done(&info->depends);
        strv_done(&info->after);
        *info = (ModuleInfo) {};
}

void module_plan_done(ModulePlan *plan)
{
        for (size_t i = 0; i < plan->n; i++) {
                free(plan->v[i].name);
                free(plan->v[i].path);
        }
        free(plan->v);
        *plan = (ModulePlan) {};
}

static int add_wish(ModuleWishes *wishes, const char *name, bool optional, unsigned line)
{
        ModuleWish *grown = reallocarray(wishes->v, wishes->n + 1, sizeof(ModuleWish));
        char *copy;

        if (!grown)
                return -ENOMEM;
        wishes->v = grown;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;

        wishes->v[wishes->n++] = (ModuleWish) { .name = copy, .optional = optional, .line = line };
        return 0;
}

static int parse_wish(const char *file, unsigned number, char *line, ModuleWishes *wishes,
                      char **reterr_message)
{
        char *save = NULL, *kind = strtok_r(line, " \t", &save), *name, *reason;
        bool optional;

        if (!kind || kind[0] == '#')
                return 0;

        name = strtok_r(NULL, " \t", &save);
        reason = strtok_r(NULL, "", &save);
        optional = streq(kind, "optional");
        if (!optional && !streq(kind, "required"))
                return error_setf(reterr_message, EINVAL,
                                  "%s:%u: a line begins with required or optional", file, number);
        if (!name || !kernel_module_name_is_valid(name))
                return error_setf(reterr_message, EINVAL, "%s:%u: not the name of a module", file,
                                  number);
        if (!reason || reason[strspn(reason, " \t")] == '\0')
                return error_setf(reterr_message, EINVAL, "%s:%u: module '%s' has no reason", file,
                                  number, name);
        for (size_t i = 0; i < wishes->n; i++)
                if (kernel_module_same_name(wishes->v[i].name, name))
                        return error_setf(reterr_message, EINVAL,
                                          "%s:%u: module '%s' is given already, in line %u", file,
                                          number, name, wishes->v[i].line);
        if (wishes->n >= MODULES_MAX)
                return error_setf(reterr_message, E2BIG, "%s:%u: more than %u modules", file, number,
                                  MODULES_MAX);

        return add_wish(wishes, name, optional, number);
}

int module_wishes_parse(const char *file, const char *text, ModuleWishes *ret,
                        char **reterr_message)
{
        _cleanup_(module_wishes_done) ModuleWishes wishes = {};
        _cleanup_free_ char *copy = strdup(text);
        unsigned number = 0;
        char *rest = copy, *line;
        int r;

        if (!copy)
                return -ENOMEM;

        while ((line = strsep(&rest, "\n"))) {
                r = parse_wish(file, ++number, line, &wishes, reterr_message);
                if (r < 0)
                        return r;
        }
        if (wishes.n == 0)
                return error_setf(reterr_message, EINVAL, "%s: no modules in it", file);

        *ret = wishes;
        wishes = (ModuleWishes) {};
        return 0;
}

int module_wishes_load(const char *file, ModuleWishes *ret, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        int r = read_file_at(AT_FDCWD, file, MODULE_LIST_MAX, &text, NULL);

        if (r < 0)
                return error_setf(reterr_message, r, "list of modules '%s' can not be read: %s", file, strerror(-r));
        return module_wishes_parse(file, text, ret, reterr_message);
}

/* --- order --- */

typedef struct Planner {
        const ModuleSource *source;
        ModulePlan plan;        /* visited modules; those without a path are built in or in progress */
        ModulePlan order;
} Planner;

static int plan_add(ModulePlan *plan, const char *name, const char *path, bool optional)
{
        Module *grown, m = { .optional = optional };

        if (plan->n >= MODULES_MAX)
                return -E2BIG;
        grown = reallocarray(plan->v, plan->n + 1, sizeof(Module));
        if (!grown)
                return -ENOMEM;
        plan->v = grown;

        m.name = strdup(name);
        m.path = path ? strdup(path) : NULL;
        if (!m.name || (path && !m.path)) {
                free(m.name);
                free(m.path);
                return -ENOMEM;
        }

        plan->v[plan->n++] = m;
        return 0;
}

static Module *plan_find(ModulePlan *plan, const char *name)
{
        for (size_t i = 0; i < plan->n; i++)
                if (kernel_module_same_name(plan->v[i].name, name))
                        return &plan->v[i];

        return NULL;
}

static int visit(Planner *p, const char *name, bool optional);

/* soft: what does not exist is left out. */
static int visit_all(Planner *p, const Strv *names, bool optional, bool soft)
{
        for (size_t i = 0; i < names->n; i++) {
                int r = visit(p, names->v[i], optional);

                if (r < 0 && !(soft && r == -ENOENT))
                        return r;
        }

        return 0;
}

/*
 * Depth first. A module that is seen again because something required needs it passes that on to its own
 * dependencies; each module changes from optional to required once at most, so this ends.
 */
static int visit(Planner *p, const char *name, bool optional)
{
        _cleanup_(module_info_done) ModuleInfo info = {};
        Module *seen, *ordered;
        int r;

        r = p->source->lookup(p->source->userdata, name, &info);
        if (r < 0)
                return r;

        seen = plan_find(&p->plan, info.name);
        if (seen) {
                if (!seen->optional || optional)
                        return 0;
                seen->optional = false;
                ordered = plan_find(&p->order, info.name);
                if (ordered)
                        ordered->optional = false;
                return visit_all(p, &info.depends, false, false);
        }

        r = plan_add(&p->plan, info.name, NULL, optional);
        if (r < 0 || info.builtin)
                return r;

        r = visit_all(p, &info.before, true, true);
        if (r >= 0)
                r = visit_all(p, &info.depends, optional, false);
        if (r >= 0)
                r = plan_add(&p->order, info.name, info.path,
                             plan_find(&p->plan, info.name)->optional);
        if (r >= 0)
                r = visit_all(p, &info.after, true, true);

        return r;
}

int module_plan_make(const ModuleWishes *wishes, const ModuleSource *source, const char *kernel,
                     ModulePlan *ret, char **reterr_message)
{
        Planner p = { .source = source };
        int r = 0;

        for (size_t i = 0; i < wishes->n; i++) {
                const ModuleWish *w = &wishes->v[i];

                r = visit(&p, w->name, w->optional);
                if (r == -ENOENT && w->optional)
                        r = 0;
                if (r == -ENOENT)
                        error_setf(reterr_message, r,
                                   "kernel %s has no module '%s' and not built it in", kernel,
                                   w->name);
                else if (r < 0)
                        error_setf(reterr_message, r, "module '%s' of kernel %s: %s", w->name, kernel,
                                   r == -E2BIG ? "too many modules" : strerror(-r));
                if (r < 0)
                        break;
        }

        module_plan_done(&p.plan);
        if (r < 0) {
                module_plan_done(&p.order);
                return r;
        }

        *ret = p.order;
        return 0;
}

/* --- content --- */

static const struct {
        const char *suffix, *program, *package;
} compressions[] = {
        { ".xz", "xz", "xz-utils" },
        { ".zst", "zstd", "zstd" },
        { ".gz", "gzip", "gzip" },
};

int module_read(const char *path, char **ret, size_t *ret_size, char **reterr_message)
{
        int r;

        for (size_t i = 0; i < ELEMENTSOF(compressions); i++) {
                _cleanup_(strv_done) Strv argv = {};

                if (!endswith(path, compressions[i].suffix))
                        continue;
                r = strv_add_many(&argv, compressions[i].program, "-dc", "--", path, NULL);
                if (r >= 0)
                        r = run_capture_data(&argv, MODULE_FILE_MAX, ret, ret_size, reterr_message);
                return r < 0 ? error_prefixf(reterr_message, r,
                                             "module '%s' can not be decompressed (package %s)", path,
                                             compressions[i].package)
                             : 0;
        }

        r = read_file_at(AT_FDCWD, path, MODULE_FILE_MAX, ret, ret_size);
        return r < 0 ? error_setf(reterr_message, r, "module '%s' can not be read: %s", path,
                                  strerror(-r))
                     : 0;
}
