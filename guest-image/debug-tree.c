/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of the debug extension: see debug-tree.h. It is mounted in guests whose image may be of another
 * release, so the programs have their own libraries and program interpreter, which a script of the program's
 * name calls (a variable in the environment would reach the programs under trace as well). Runs at build
 * time, on the operator's own files.
 *
 * Debian's busybox prefers its own applets over programs in PATH, so interactive shells read /etc/shrc
 * (ENV=), where each tool is a function.
 *
 *      /bin/busybox    /bin/APPLET -> busybox    /bin/strace (script)    /libexec/strace    /lib/libc.so.6 ...
 */

#include "guest-image/debug-tree.h"

#include <unistd.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/strv.h"
#include "guest-image/run.h"

/* The place in the guest: agent/debug-console.h. */
#define DEBUG_MOUNT_POINT "/opt/kata-debug"

#define APPLETS_MAX 1000U
#define APPLET_NAME_MAX 64U

static const struct {
        const char *name, *package;
} tools[] = {
        { "strace", "strace" },
        { "gdbserver", "gdbserver" },
        { "ip", "iproute2" },
        { "ss", "iproute2" },
        { "tc", "iproute2" },
};

/* What a program loads by itself; left out where it is not installed. */
static const char *const extra_libraries[] = { "libthread_db.so.1" };

static int find_program(const char *root, const char *name, const char *package, char **ret,
                        char **reterr_message)
{
        static const char *const dirs[] = { "/usr/bin", "/usr/sbin", "/bin", "/sbin" };

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s%s/%s", streq(root, "/") ? "" : root, dirs[i], name) < 0)
                        return -ENOMEM;
                if (access(path, X_OK) >= 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }

        return error_setf(reterr_message, ENOENT, "'%s' is not below '%s': install package %s there", name,
                          root, package);
}

static int add_file(Tree *tree, const char *dir, const char *name, const char *root, const char *source,
                    unsigned mode)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", dir, name) < 0)
                return -ENOMEM;
        return tree_add_from(tree, path, root, source, mode);
}

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* All libraries lie in one directory, under the names that programs ask for. */
static int add_libraries(Tree *tree, char *list, const char *root, const char *program,
                         char **reterr_message)
{
        char *save = NULL;

        for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                const char *name, *place;
                int r;

                if (!tree_parse_library_line(line, &name, &place))
                        continue;
                if (!place)
                        return error_setf(reterr_message, ENOENT,
                                          "library '%s' that '%s' needs is not below '%s': install it there",
                                          name, program, root);
                r = add_file(tree, "/lib", name, root, place, 0644);
                if (r < 0)
                        return r;

                /* They belong to the C library, which is in the same directory. */
                for (size_t i = 0; startswith(name, "libc.so") && i < ELEMENTSOF(extra_libraries); i++) {
                        _cleanup_free_ char *extra = NULL;

                        if (asprintf(&extra, "%.*s%s", (int) (base_name(place) - place), place,
                                     extra_libraries[i]) < 0)
                                return -ENOMEM;
                        if (access(extra, R_OK) >= 0)
                                r = add_file(tree, "/lib", extra_libraries[i], root, extra, 0644);
                        if (r < 0)
                                return r;
                }
        }

        return 0;
}

static int add_tool(Tree *tree, const char *root, const char *name, const char *package,
                    char **reterr_message)
{
        _cleanup_free_ char *source = NULL, *interpreter = NULL, *list = NULL, *path = NULL, *script = NULL;
        int r;

        r = find_program(root, name, package, &source, reterr_message);
        if (r >= 0)
                r = tree_list_libraries(root, source, &interpreter, &list, reterr_message);
        if (r < 0)
                return r;
        if (!interpreter)
                return add_file(tree, "/bin", name, root, source, 0755);

        r = add_libraries(tree, list, root, source, reterr_message);
        if (r >= 0)
                r = add_file(tree, "/lib", base_name(interpreter), root, interpreter, 0755);
        if (r >= 0)
                r = add_file(tree, "/libexec", name, root, source, 0755);
        if (r < 0)
                return r;

        if (asprintf(&path, "/bin/%s", name) < 0 ||
            asprintf(&script,
                     "#!" DEBUG_MOUNT_POINT "/bin/sh\n"
                     "exec " DEBUG_MOUNT_POINT "/lib/%s --library-path " DEBUG_MOUNT_POINT "/lib \\\n"
                     "        --argv0 %s " DEBUG_MOUNT_POINT "/libexec/%s \"$@\"\n",
                     base_name(interpreter), name, name) < 0)
                return -ENOMEM;
        return tree_add_text(tree, path, script, 0755);
}

static int add_applet(Tree *tree, const char *name, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;

        if (strchr(name, '/') || name[0] == '.' || strlen(name) > APPLET_NAME_MAX)
                return error_setf(reterr_message, EINVAL, "busybox has an applet of a strange name");
        if (asprintf(&path, "/bin/%s", name) < 0)
                return -ENOMEM;

        return tree_add(tree, path, NULL, "busybox", 0777);
}

static int add_busybox(Tree *tree, const char *root, char **reterr_message)
{
        _cleanup_free_ char *source = NULL, *interpreter = NULL, *list = NULL, *out = NULL;
        _cleanup_(strv_done) Strv argv = {};
        char *save = NULL;
        unsigned n = 0;
        int r;

        r = find_program(root, "busybox", "busybox-static", &source, reterr_message);
        if (r >= 0)
                r = tree_list_libraries(root, source, &interpreter, &list, reterr_message);
        if (r >= 0 && interpreter)
                r = error_setf(reterr_message, EINVAL, "'%s' is not static: install package busybox-static "
                               "there", source);
        if (r >= 0)
                r = add_file(tree, "/bin", "busybox", root, source, 0755);
        if (r >= 0)
                r = strv_add_many(&argv, source, "--list", NULL);
        if (r >= 0)
                r = run_capture(&argv, KIB(64), &out, reterr_message);
        if (r < 0)
                return r;

        for (char *name = strtok_r(out, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
                if (++n > APPLETS_MAX)
                        return error_setf(reterr_message, E2BIG, "busybox has more than %u applets",
                                          APPLETS_MAX);
                r = add_applet(tree, name, reterr_message);
                if (r < 0)
                        return r;
        }

        return 0;
}

static int add_shell_functions(Tree *tree)
{
        _cleanup_fclose_ FILE *f = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        f = open_memstream(&text, &n);
        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(tools); i++)
                fprintf(f, "%s() { " DEBUG_MOUNT_POINT "/bin/%s \"$@\"; }\n", tools[i].name, tools[i].name);
        if (fclose(TAKE_PTR(f)) != 0)
                return -ENOMEM;

        return tree_add_text(tree, "/etc/shrc", text, 0644);
}

int debug_tree_plan(Tree *tree, const char *root, char **reterr_message)
{
        static const char *const dirs[] = { "/bin", "/etc", "/lib", "/libexec" };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(dirs); i++)
                r = tree_add(tree, dirs[i], NULL, NULL, 0755);
        /* Before busybox: a tool of its own wins over an applet of the same name. */
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(tools); i++)
                r = add_tool(tree, root, tools[i].name, tools[i].package, reterr_message);
        if (r >= 0)
                r = add_busybox(tree, root, reterr_message);
        if (r >= 0)
                r = add_shell_functions(tree);
        if (r < 0)
                return r;

        tree_sort(tree);
        return 0;
}
