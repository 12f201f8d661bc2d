/* SPDX-License-Identifier: Apache-2.0 */
/* Plan of the initial agent: see initrd-plan.h. Guest side, before the root is mounted. */

#include "agent/initrd-plan.h"

#include "agent/cmdline.h"
#include "basic/error.h"

static int parse_root(const char *value, unsigned *ret)
{
        const char *number = startswith(value, "/dev/dm-");
        uint32_t v;

        if (!number || parse_u32(number, &v) < 0)
                return -EINVAL;
        *ret = v;
        return 0;
}

static int parse_type(const char *value, char *ret, size_t max)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789";
        size_t n = strlen(value);

        if (n == 0 || n >= max || value[strspn(value, allowed)] != '\0')
                return -EINVAL;
        memcpy(ret, value, n + 1);
        return 0;
}

static int parse_init(const char *value, char *ret, size_t max)
{
        size_t n = strlen(value);

        if (value[0] != '/' || n >= max)
                return -EINVAL;
        memcpy(ret, value, n + 1);
        return 0;
}

int root_plan_parse(const char *cmdline, RootPlan *ret, char **reterr_message)
{
        const char *root = NULL, *type = NULL, *tables = NULL, *init = ROOT_INIT_DEFAULT;
        _cleanup_free_ RootPlan *plan = new0(RootPlan, 1);
        _cleanup_free_ char *copy = NULL;
        char *p, *word;
        int r;

        if (!plan)
                return -ENOMEM;
        if (strnlen(cmdline, KERNEL_CMDLINE_MAX + 1) > KERNEL_CMDLINE_MAX)
                return error_setf(reterr_message, E2BIG, "kernel command line: longer than %u bytes",
                                  KERNEL_CMDLINE_MAX);
        copy = strdup(cmdline);
        if (!copy)
                return -ENOMEM;

        /* The last one wins, as in the kernel. */
        for (p = copy; (word = cmdline_next_word(&p)) && !streq(word, "--");) {
                const char *value;

                if ((value = startswith(word, "root=")))
                        root = value;
                else if ((value = startswith(word, "rootfstype=")))
                        type = value;
                else if ((value = startswith(word, "init=")))
                        init = value;
                else if ((value = startswith(word, "dm-mod.create=")))
                        tables = value;
        }

        if (!tables)
                return error_setf(reterr_message, EINVAL,
                                  "kernel command line: dm-mod.create= is missing, there is no "
                                  "verified root");
        if (!root || parse_root(root, &plan->minor) < 0)
                return error_setf(reterr_message, EINVAL, "kernel command line: root= is not /dev/dm-N");
        if (!type || parse_type(type, plan->type, sizeof(plan->type)) < 0)
                return error_setf(reterr_message, EINVAL,
                                  "kernel command line: rootfstype= is not the name of a file system");
        if (parse_init(init, plan->init, sizeof(plan->init)) < 0)
                return error_setf(reterr_message, EINVAL,
                                  "kernel command line: init= is not an absolute path, or too long");
        r = dm_tables_parse(tables, &plan->tables, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "kernel command line: dm-mod.create=");

        *ret = *plan;
        return 0;
}

static int parse_module(char *line, InitrdModule *m)
{
        char *file = strchr(line, ' ');

        if (!file)
                return -EINVAL;
        *file++ = '\0';

        m->optional = streq(line, "optional");
        if ((!m->optional && !streq(line, "required")) || *file == '\0' || *file == '.' ||
            strpbrk(file, "/ ") || strlen(file) >= sizeof(m->file))
                return -EINVAL;

        memcpy(m->file, file, strlen(file) + 1);
        return 0;
}

int initrd_modules_parse(const char *text, InitrdModules *ret, char **reterr_message)
{
        _cleanup_free_ InitrdModules *modules = new0(InitrdModules, 1);
        _cleanup_free_ char *copy = strdup(text);
        unsigned number = 0;
        char *rest = copy, *line;

        if (!modules || !copy)
                return -ENOMEM;

        while ((line = strsep(&rest, "\n"))) {
                number++;
                if (*line == '\0')
                        continue;
                if (modules->n >= MODULES_MAX)
                        return error_setf(reterr_message, E2BIG, "more than %u modules", MODULES_MAX);
                if (parse_module(line, &modules->v[modules->n]) < 0)
                        return error_setf(reterr_message, EINVAL,
                                          "line %u is not \"required|optional FILE\"", number);
                modules->n++;
        }

        *ret = *modules;
        return 0;
}
