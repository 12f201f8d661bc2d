/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Staging tree of the guest root: see tree.h. Runs as any user at build time; reads the operator's own
 * files, so what is found is trusted, but nothing outside the staging directory is written.
 */

#include "guest-image/tree.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/strv.h"
#include "guest-image/digest.h"
#include "guest-image/run.h"

#define AGENT_PATH "/usr/bin/kata-agent"
#define AGENT_SIZE_MAX MIB(64)

/* Mount points and fixed places of the agent, see agent/README.md. */
static const struct {
        const char *path;
        const char *target;     /* symlink if set, else a directory */
        unsigned mode;
} skeleton[] = {
        { "/dev", NULL, 0755 },
        { "/etc", NULL, 0755 },
        { "/opt", NULL, 0755 },
        { "/opt/kata-debug", NULL, 0755 },      /* the debug extension image, if it is attached */
        { "/proc", NULL, 0555 },
        { "/run", NULL, 0755 },
        { "/sys", NULL, 0555 },
        { "/tmp", NULL, 01777 },
        { "/usr", NULL, 0755 },
        { "/usr/bin", NULL, 0755 },
        { "/usr/lib", NULL, 0755 },
        { "/usr/lib64", NULL, 0755 },
        { "/usr/sbin", NULL, 0755 },
        { "/var", NULL, 0755 },
        { "/bin", "usr/bin", 0777 },
        { "/lib", "usr/lib", 0777 },
        { "/lib64", "usr/lib64", 0777 },
        { "/sbin", "usr/sbin", 0777 },
        { "/usr/sbin/init", "../bin/kata-agent", 0777 },
        { "/var/run", "../run", 0777 },
};

/* Empty files that the agent mounts over, because the root is read-only. */
static const char *const empty_files[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/hostname" };

void tree_done(Tree *tree)
{
        for (size_t i = 0; i < tree->n_files; i++) {
                free(tree->files[i].path);
                free(tree->files[i].source);
                free(tree->files[i].target);
                free(tree->files[i].text);
                free(tree->files[i].origin);
        }
        free(tree->files);
        *tree = (Tree) {};
}

static bool tree_has(const Tree *tree, const char *path)
{
        for (size_t i = 0; i < tree->n_files; i++)
                if (streq(tree->files[i].path, path))
                        return true;

        return false;
}

int tree_add(Tree *tree, const char *path, const char *source, const char *target, unsigned mode)
{
        TreeFile *grown, f;

        if (tree_has(tree, path))
                return 0;

        grown = reallocarray(tree->files, tree->n_files + 1, sizeof(TreeFile));
        if (!grown)
                return -ENOMEM;
        tree->files = grown;

        f = (TreeFile) {
                .path = strdup(path),
                .source = source ? strdup(source) : NULL,
                .target = target ? strdup(target) : NULL,
                .mode = mode,
        };
        if (!f.path || (source && !f.source) || (target && !f.target)) {
                free(f.path);
                free(f.source);
                free(f.target);
                return -ENOMEM;
        }

        tree->files[tree->n_files++] = f;
        return 0;
}

/* Adds a file and puts a copy of s into its member at that offset. */
static int add_with(Tree *tree, const char *path, const char *source, unsigned mode, const char *s,
                    size_t offset)
{
        char *copy;
        int r;

        if (tree_has(tree, path))
                return 0;

        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        r = tree_add(tree, path, source, NULL, mode);
        if (r < 0)
                free(copy);
        else
                *(char **) (void *) ((char *) &tree->files[tree->n_files - 1] + offset) = copy;
        return r;
}

int tree_add_text(Tree *tree, const char *path, const char *text, unsigned mode)
{
        return add_with(tree, path, NULL, mode, text, offsetof(TreeFile, text));
}

int tree_add_from(Tree *tree, const char *path, const char *root, const char *source, unsigned mode)
{
        const char *below = streq(root, "/") ? source : source + strlen(root);
        _cleanup_free_ char *origin = NULL;

        /* /lib, /lib64, /bin and /sbin are links into /usr, and packages know of either name. */
        if (asprintf(&origin, "%s%s", startswith(below, "/usr/") ? "" : "/usr", below) < 0)
                return -ENOMEM;
        return add_with(tree, path, source, mode, origin, offsetof(TreeFile, origin));
}

int tree_add_parents(Tree *tree, const char *path)
{
        _cleanup_free_ char *copy = strdup(path);
        int r;

        if (!copy)
                return -ENOMEM;

        for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
                *p = '\0';
                r = tree_add(tree, copy, NULL, NULL, 0755);
                *p = '/';
                if (r < 0)
                        return r;
        }

        return 0;
}

/* PT_INTERP of a little-endian ELF64 program. */
static int read_interpreter(const char *path, char **ret, char **reterr_message)
{
        _cleanup_free_ char *data = NULL;
        const Elf64_Ehdr *eh;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, AGENT_SIZE_MAX, &data, &size);
        if (r < 0)
                return error_setf(reterr_message, r, "program '%s' can not be read: %s", path,
                                  strerror(-r));

        eh = (const Elf64_Ehdr *) (const void *) data;
        if (size < sizeof(*eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 ||
            eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_phentsize != sizeof(Elf64_Phdr) ||
            eh->e_phoff > size || (size - eh->e_phoff) / sizeof(Elf64_Phdr) < eh->e_phnum)
                return error_setf(reterr_message, EINVAL, "'%s' is not a 64-bit ELF program", path);

        for (unsigned i = 0; i < eh->e_phnum; i++) {
                Elf64_Phdr ph;

                memcpy(&ph, data + eh->e_phoff + i * sizeof(ph), sizeof(ph));
                if (ph.p_type != PT_INTERP)
                        continue;
                if (ph.p_filesz < 2 || ph.p_offset > size || ph.p_filesz > size - ph.p_offset ||
                    data[ph.p_offset + ph.p_filesz - 1] != '\0' || data[ph.p_offset] != '/')
                        return error_setf(reterr_message, EINVAL,
                                          "'%s' names no usable program interpreter", path);
                *ret = strdup(data + ph.p_offset);
                return *ret ? 0 : -ENOMEM;
        }

        *ret = NULL;    /* static program */
        return 0;
}

/* Where a file that the image needs at path is on this machine: below root, symlinks followed there. */
static int locate(const char *root, const char *path, char **ret)
{
        return asprintf(ret, "%s%s", streq(root, "/") ? "" : root, path) < 0 ? -ENOMEM : 0;
}

static int library_path(const char *root, char **ret)
{
        static const char *const dirs[] = {
                "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib",
        };
        _cleanup_(strv_done) Strv v = {};
        int r;

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                _cleanup_free_ char *p = NULL;

                r = locate(root, dirs[i], &p);
                if (r >= 0 && access(p, F_OK) >= 0)
                        r = strv_consume(&v, TAKE_PTR(p));
                if (r < 0)
                        return r;
        }

        *ret = strv_join(&v, ":");
        return *ret ? 0 : -ENOMEM;
}

/* One line of the interpreter's list: "\tlibx.so.1 => /path/libx.so.1 (0x…)". */
bool tree_parse_library_line(char *line, const char **ret_name, const char **ret_place)
{
        char *arrow = strstr(line, " => "), *end;

        if (!arrow)
                return false;   /* vdso and the interpreter itself */

        *arrow = '\0';
        line += strspn(line, " \t");
        end = strstr(arrow + 4, " (");
        if (end)
                *end = '\0';
        if (line[0] == '/')
                return false;   /* the interpreter by absolute name */

        *ret_name = line;
        *ret_place = startswith(arrow + 4, "not found") ? NULL : arrow + 4;
        return true;
}

static int add_library_line(Tree *tree, const char *root, char *line, char **reterr_message)
{
        const char *name, *path;
        int r;

        if (!tree_parse_library_line(line, &name, &path))
                return 0;
        if (!path)
                return error_setf(reterr_message, ENOENT,
                                  "library '%s' that is needed is not below '%s': install it there",
                                  name, root);

        _cleanup_free_ char *source = strdup(path), *inside = NULL;
        if (!source)
                return -ENOMEM;

        /* In the image the library keeps its directory below root, under its own SONAME. */
        inside = strdup(streq(root, "/") ? path : path + strlen(root));
        if (!inside)
                return -ENOMEM;
        if (startswith(inside, "/lib/")) {
                char *usr;

                if (asprintf(&usr, "/usr%s", inside) < 0)
                        return -ENOMEM;
                free(inside);
                inside = usr;
        }

        r = tree_add_parents(tree, inside);
        return r < 0 ? r : tree_add(tree, inside, source, NULL, 0644);
}

int tree_list_libraries(const char *root, const char *program, char **ret_interpreter, char **ret_list,
                        char **reterr_message)
{
        _cleanup_free_ char *interp = NULL, *interp_source = NULL, *libs = NULL, *out = NULL;
        _cleanup_(strv_done) Strv argv = {};
        int r;

        *ret_interpreter = *ret_list = NULL;
        r = read_interpreter(program, &interp, reterr_message);
        if (r < 0 || !interp)
                return r;

        r = locate(root, interp, &interp_source);
        if (r >= 0)
                r = library_path(root, &libs);
        if (r >= 0)
                r = strv_add_many(&argv, interp_source, "--inhibit-cache", "--library-path", libs,
                                  "--list", program, NULL);
        if (r >= 0)
                r = run_capture(&argv, MIB(1), &out, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "libraries of '%s' can not be listed", program);

        *ret_interpreter = TAKE_PTR(interp_source);
        *ret_list = TAKE_PTR(out);
        return 0;
}

int tree_add_libraries(Tree *tree, const char *root, const char *program, char **reterr_message)
{
        _cleanup_free_ char *interp_source = NULL, *out = NULL, *inside = NULL;
        const char *interp;
        char *line, *save = NULL;
        int r;

        r = tree_list_libraries(root, program, &interp_source, &out, reterr_message);
        if (r < 0 || !interp_source)
                return r;

        interp = streq(root, "/") ? interp_source : interp_source + strlen(root);
        /* /lib64 is a link to usr/lib64 in the image. */
        r = asprintf(&inside, "%s%s", startswith(interp, "/lib") ? "/usr" : "", interp) < 0 ? -ENOMEM : 0;
        if (r >= 0)
                r = tree_add_parents(tree, inside);
        if (r >= 0)
                r = tree_add(tree, inside, interp_source, NULL, 0755);

        for (line = strtok_r(out, "\n", &save); r >= 0 && line; line = strtok_r(NULL, "\n", &save))
                r = add_library_line(tree, root, line, reterr_message);

        return r;
}

static int compare_files(const void *a, const void *b)
{
        return strcmp(((const TreeFile *) a)->path, ((const TreeFile *) b)->path);
}

void tree_sort(Tree *tree)
{
        qsort(tree->files, tree->n_files, sizeof(TreeFile), compare_files);
}

int tree_plan(Tree *tree, const char *root, const char *agent, char **reterr_message)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(skeleton); i++)
                r = tree_add(tree, skeleton[i].path, NULL, skeleton[i].target, skeleton[i].mode);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(empty_files); i++)
                r = tree_add(tree, empty_files[i], "/dev/null", NULL, 0644);
        if (r >= 0)
                r = tree_add(tree, AGENT_PATH, agent, NULL, 0755);
        if (r >= 0)
                r = tree_add_libraries(tree, root, agent, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < tree->n_files; i++)
                if (streq(tree->files[i].path, AGENT_PATH))
                        tree->files[i].project = true;
        tree_sort(tree);
        return 0;
}

static int digests_new(Digest **ret, Digest **ret_sha1)
{
        int r = digest_new(ret);

        return r < 0 ? r : digest_new_sha1(ret_sha1);
}

static int digests_final(Digest *digest, Digest *sha1, TreeFile *f)
{
        uint8_t sum[DIGEST_SIZE];
        int r;

        r = digest_final(digest, f->digest);
        if (r >= 0)
                r = digest_final(sha1, sum);
        if (r >= 0)
                memcpy(f->sha1, sum, sizeof(f->sha1));
        return r;
}

static int copy_file(const char *source, const char *dest, unsigned mode, TreeFile *f)
{
        _cleanup_close_ int in = -EBADF, out = -EBADF;
        _cleanup_(digest_freep) Digest *digest = NULL, *sha1 = NULL;
        uint8_t buf[16384];
        int r;

        in = open(source, O_RDONLY | O_CLOEXEC);
        if (in < 0)
                return negative_errno();
        out = open(dest, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (out < 0)
                return negative_errno();
        r = digests_new(&digest, &sha1);
        if (r < 0)
                return r;

        for (;;) {
                ssize_t k = read(in, buf, sizeof(buf));

                if (k < 0)
                        return negative_errno();
                if (k == 0)
                        break;
                r = write_full(out, buf, (size_t) k);
                if (r >= 0)
                        r = digest_update(digest, buf, (size_t) k);
                if (r >= 0)
                        r = digest_update(sha1, buf, (size_t) k);
                if (r < 0)
                        return r;
                f->size += (uint64_t) k;
        }

        if (fchmod(out, mode) < 0)
                return negative_errno();

        return digests_final(digest, sha1, f);
}

/* Of the target of a symlink, or of a text. */
static int digest_string(TreeFile *f, const char *s)
{
        _cleanup_(digest_freep) Digest *digest = NULL, *sha1 = NULL;
        int r;

        r = digests_new(&digest, &sha1);
        if (r >= 0)
                r = digest_update(digest, s, strlen(s));
        if (r >= 0)
                r = digest_update(sha1, s, strlen(s));
        return r < 0 ? r : digests_final(digest, sha1, f);
}

static int write_one(TreeFile *f, const char *dir, char **reterr_message)
{
        _cleanup_free_ char *dest = NULL;
        int r;

        if (asprintf(&dest, "%s%s", dir, f->path) < 0)
                return -ENOMEM;

        if (f->target) {
                r = symlink(f->target, dest) < 0 ? negative_errno() : 0;
                if (r >= 0)
                        r = digest_string(f, f->target);
        } else if (f->text) {
                f->size = strlen(f->text);
                r = write_file_atomic(dest, f->text, f->size, f->mode);
                if (r >= 0)
                        r = digest_string(f, f->text);
        } else if (f->source)
                r = copy_file(f->source, dest, f->mode, f);
        else {
                r = mkdir(dest, 0755) < 0 ? negative_errno() : 0;
                if (r >= 0 && chmod(dest, f->mode | 0200) < 0)
                        r = negative_errno();
        }

        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be staged from '%s': %s", f->path,
                                  f->source ? f->source : "nothing", strerror(-r));
        return 0;
}

int tree_write(Tree *tree, const char *dir, char **reterr_message)
{
        /* Sorted by path, so a directory comes before what is in it. */
        for (size_t i = 0; i < tree->n_files; i++) {
                int r = write_one(&tree->files[i], dir, reterr_message);

                if (r < 0)
                        return r;
        }

        return 0;
}
