/* SPDX-License-Identifier: Apache-2.0 */
/* kata-image initrd: see initrd.h. Runs as any user, on the building machine's own files. */

#include "guest-image/initrd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "guest-image/cpio.h"
#include "guest-image/modules.h"
#include "guest-image/tree.h"

#define INIT_TARGET "usr/bin/kata-agent"
#define MODULES_FOLDER "kata/modules"
#define MODULES_LIST "kata/modules.list"

typedef struct Initrd {
        KernelRelease kernel;
        ModulePlan modules;
        Tree tree;
        char *output;
        FILE *inputs;           /* text of OUTPUT.inputs */
        char *inputs_text;
        size_t inputs_size;
} Initrd;

static void initrd_done(Initrd *i)
{
        kernel_release_done(&i->kernel);
        module_plan_done(&i->modules);
        tree_done(&i->tree);
        free(i->output);
        if (i->inputs)
                fclose(i->inputs);
        free(i->inputs_text);
}

/* Size and time are enough to see a change, and cheap enough to be looked at before every boot. */
static int note_input(Initrd *i, const char *path)
{
        char full[PATH_MAX];
        struct stat st;

        if (!realpath(path, full) || stat(full, &st) < 0)
                return negative_errno();
        if (strchr(full, '\n'))
                return -EINVAL;

        fprintf(i->inputs, "input=%" PRIu64 " %" PRId64 ".%09ld %s\n", (uint64_t) st.st_size,
                (int64_t) st.st_mtim.tv_sec, st.st_mtim.tv_nsec, full);
        return 0;
}

static int plan_modules(Initrd *i, const InitrdOptions *o, char **reterr_message)
{
        _cleanup_(module_directory_freep) ModuleDirectory *d = NULL;
        _cleanup_(module_wishes_done) ModuleWishes wishes = {};
        _cleanup_free_ char *index = NULL;
        ModuleSource source;
        int r;

        r = module_wishes_load(o->modules_list, &wishes, reterr_message);
        if (r >= 0)
                r = module_directory_open(i->kernel.modules, &d, reterr_message);
        if (r < 0)
                return r;

        source = module_directory_source(d);
        r = module_plan_make(&wishes, &source, i->kernel.release, &i->modules, reterr_message);
        if (r < 0)
                return r;

        if (asprintf(&index, "%s/modules.dep.bin", i->kernel.modules) < 0)
                return -ENOMEM;
        r = note_input(i, o->modules_list);
        return r < 0 ? r : note_input(i, index);
}

static int note_inputs(Initrd *i)
{
        int r = 0;

        for (size_t k = 0; r >= 0 && k < i->tree.n_files; k++)
                if (i->tree.files[k].source && !streq(i->tree.files[k].source, "/dev/null"))
                        r = note_input(i, i->tree.files[k].source);
        for (size_t k = 0; r >= 0 && k < i->modules.n; k++)
                r = note_input(i, i->modules.v[k].path);

        return r;
}

/* --- the archive --- */

static int write_tree_file(CpioWriter *w, const TreeFile *f, char **reterr_message)
{
        _cleanup_free_ char *data = NULL;
        const char *name = f->path + 1;
        size_t size;
        int r;

        if (f->target)
                return cpio_add(w, name, S_IFLNK | 0777, f->target, strlen(f->target));
        if (!f->source)
                return cpio_add(w, name, S_IFDIR | f->mode, NULL, 0);

        r = read_file_at(AT_FDCWD, f->source, MODULE_FILE_MAX, &data, &size);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be read: %s", f->source,
                                  strerror(-r));
        return cpio_add(w, name, S_IFREG | f->mode, data, size);
}

/* The list comes last: it needs the names of the files. */
static int write_modules(CpioWriter *w, const ModulePlan *plan, char **reterr_message)
{
        _cleanup_free_ char *list = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t list_size;
        int r;

        f = open_memstream(&list, &list_size);
        if (!f)
                return -ENOMEM;

        for (size_t i = 0; i < plan->n; i++) {
                _cleanup_free_ char *data = NULL;
                char name[128];
                size_t size;

                r = module_read(plan->v[i].path, &data, &size, reterr_message);
                if (r < 0)
                        return r;
                snprintf(name, sizeof(name), MODULES_FOLDER "/%03zu-%.*s.ko", i,
                         (int) MODULE_NAME_MAX, plan->v[i].name);
                r = cpio_add(w, name, S_IFREG | 0644, data, size);
                if (r < 0)
                        return r;
                fprintf(f, "%s %s\n", plan->v[i].optional ? "optional" : "required",
                        name + sizeof(MODULES_FOLDER));
        }

        if (fclose(TAKE_PTR(f)) != 0)
                return -ENOMEM;
        return cpio_add(w, MODULES_LIST, S_IFREG | 0644, list, list_size);
}

static int write_archive(int fd, const Initrd *i, uint64_t *ret_size, char **reterr_message)
{
        CpioWriter w = { .fd = fd };
        int r = 0;

        /* Sorted by path, so a directory comes before what is in it. */
        for (size_t k = 0; r >= 0 && k < i->tree.n_files; k++)
                r = write_tree_file(&w, &i->tree.files[k], reterr_message);

        /* The kernel opens it for /init before there is a devtmpfs. */
        if (r >= 0)
                r = cpio_add_device(&w, "dev/console", 0600, 5, 1);
        if (r >= 0)
                r = cpio_add(&w, "init", S_IFLNK | 0777, INIT_TARGET, strlen(INIT_TARGET));
        if (r >= 0)
                r = cpio_add(&w, "kata", S_IFDIR | 0755, NULL, 0);
        if (r >= 0)
                r = cpio_add(&w, MODULES_FOLDER, S_IFDIR | 0755, NULL, 0);
        if (r >= 0)
                r = write_modules(&w, &i->modules, reterr_message);
        if (r >= 0)
                r = cpio_add(&w, "newroot", S_IFDIR | 0755, NULL, 0);
        if (r >= 0)
                r = cpio_finish(&w);

        *ret_size = w.size;
        return r;
}

static int default_output(Initrd *i, const InitrdOptions *o)
{
        if (o->output)
                i->output = strdup(o->output);
        else if (asprintf(&i->output, INITRDDIR "/%s.img", i->kernel.release) < 0)
                i->output = NULL;

        return i->output ? 0 : -ENOMEM;
}

static int make_parent(const char *path)
{
        _cleanup_free_ char *copy = strdup(path);

        return copy ? mkdir_p(dirname(copy), 0755) : -ENOMEM;
}

static int publish(Initrd *i, char **reterr_message)
{
        _cleanup_free_ char *temporary = NULL, *inputs = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t size;
        int r;

        r = make_parent(i->output);
        if (r < 0)
                return error_setf(reterr_message, r, "directory of '%s' can not be made: %s",
                                  i->output, strerror(-r));
        if (asprintf(&temporary, "%s.XXXXXX", i->output) < 0 ||
            asprintf(&inputs, "%s.inputs", i->output) < 0)
                return -ENOMEM;

        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return error_setf(reterr_message, errno, "'%s' can not be written: %s", i->output,
                                  strerror(errno));

        /* 0644: the VMM opens it again, as its own user, through the descriptor it gets. */
        r = write_archive(fd, i, &size, reterr_message);
        if (r >= 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0 || rename(temporary, i->output) < 0))
                r = error_setf(reterr_message, errno, "'%s' can not be written: %s", i->output,
                               strerror(errno));
        if (r < 0) {
                (void) unlink(temporary);
                return r;
        }

        fprintf(i->inputs, "size=%" PRIu64 "\n", size);
        if (fclose(TAKE_PTR(i->inputs)) != 0)
                return -ENOMEM;
        if (i->inputs_size > INITRD_INPUTS_MAX)
                return error_setf(reterr_message, E2BIG, "'%s': too many inputs", inputs);
        r = write_file_atomic(inputs, i->inputs_text, i->inputs_size, 0644);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be written: %s", inputs,
                                  strerror(-r));

        log_info("Wrote %s for kernel %s: %zu modules, %" PRIu64 " bytes", i->output,
                 i->kernel.release, i->modules.n, size);
        return 0;
}

int initrd_build(const InitrdOptions *options, char **reterr_message)
{
        _cleanup_(initrd_done) Initrd i = {};
        int r;

        r = module_kernel_find(options->root, options->release, options->modules_dir, &i.kernel, reterr_message);
        if (r >= 0)
                r = default_output(&i, options);
        if (r < 0)
                return r;

        i.inputs = open_memstream(&i.inputs_text, &i.inputs_size);
        if (!i.inputs)
                return -ENOMEM;
        fprintf(i.inputs, "version=1\nrelease=%s\n", i.kernel.release);

        r = plan_modules(&i, options, reterr_message);
        if (r >= 0)
                r = tree_plan(&i.tree, options->root, options->agent, reterr_message);
        if (r >= 0)
                r = note_inputs(&i);
        return r < 0 ? r : publish(&i, reterr_message);
}
