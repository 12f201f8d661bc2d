/* SPDX-License-Identifier: Apache-2.0 */
/* kata-image build and build-debug: see build.h. Runs as any user, on the build machine's own files. */

#include "guest-image/build.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "guest-image/run.h"
#include "guest-image/tree.h"
#include "guest-image/verity.h"

/* All files carry this time: the start of 2024, as good as any and the same on every machine. */
#define IMAGE_TIMESTAMP "1704067200"

static void rm_rf_free(char **path)
{
        if (*path)
                (void) rm_rf(*path);
        free(*path);
}

/* One line a file: digest, mode, size, path, and the target of a symlink. */
static int manifest_text(const Tree *tree, char **ret)
{
        _cleanup_fclose_ FILE *f = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        f = open_memstream(&text, &n);
        if (!f)
                return -ENOMEM;

        fputs("# sha256 mode size path [-> target]\n", f);
        for (size_t i = 0; i < tree->n_files; i++) {
                const TreeFile *t = &tree->files[i];
                _cleanup_free_ char *hex = hex_encode(t->digest, DIGEST_SIZE);

                if (!hex)
                        return -ENOMEM;
                fprintf(f, "%s %04o %" PRIu64 " %s%s%s\n", t->source || t->target || t->text ? hex : "-", t->mode,
                        t->size, t->path, t->target ? " -> " : "", strempty(t->target));
        }

        if (fclose(TAKE_PTR(f)) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

/* The file system's UUID (version 8 form) from the manifest, so that equal content has equal bytes. */
static int content_uuid(const char *manifest, char ret[37])
{
        uint8_t d[DIGEST_SIZE];
        int r;

        r = digest_buffer(manifest, strlen(manifest), d);
        if (r < 0)
                return r;

        d[6] = (d[6] & 0x0f) | 0x80;
        d[8] = (d[8] & 0x3f) | 0x80;
        snprintf(ret, 37,
                 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", d[0], d[1],
                 d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14],
                 d[15]);
        return 0;
}

static int make_filesystem(const char *tree_dir, const char *image, const char *uuid,
                           char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        struct stat st;
        off_t padded;
        int r;

        r = strv_add_many(&argv, "mkfs.erofs", "--quiet", "--all-root", "-x-1", "-T", IMAGE_TIMESTAMP,
                          "-U", uuid, image, tree_dir, NULL);
        if (r >= 0)
                r = run_capture(&argv, MIB(1), NULL, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r,
                                     "erofs image can not be made (package erofs-utils)");

        if (stat(image, &st) < 0)
                return negative_errno();
        padded = (st.st_size + VERITY_BLOCK_SIZE - 1) / VERITY_BLOCK_SIZE * VERITY_BLOCK_SIZE;
        return truncate(image, padded) < 0 ? negative_errno() : 0;
}

static int publish(const char *from, const BuildOptions *options, const char *suffix, char **reterr_message)
{
        _cleanup_free_ char *to = NULL;

        if (asprintf(&to, "%s/%s.%s", options->output_dir, options->kind->name, suffix) < 0)
                return -ENOMEM;
        if (chmod(from, 0644) < 0 || rename(from, to) < 0)
                return error_setf(reterr_message, errno, "'%s' can not be written: %s", to,
                                  strerror(errno));

        log_info("Wrote %s", to);
        return 0;
}

static int plan_guest(Tree *tree, const BuildOptions *options, char **reterr_message)
{
        return tree_plan(tree, options->root, options->agent, reterr_message);
}

const ImageKind image_kind_guest = { .name = "guest", .plan = plan_guest };

int image_build(const BuildOptions *options, char **reterr_message)
{
        _cleanup_(rm_rf_free) char *work = NULL;
        _cleanup_free_ char *tree_dir = NULL, *image = NULL, *params = NULL, *manifest_path = NULL,
                            *manifest = NULL, *root_hash = NULL, *template = NULL;
        _cleanup_(tree_done) Tree tree = {};
        ImageParams p = {};
        char uuid[37];
        int r;

        r = mkdir_p(options->output_dir, 0755);
        if (r < 0)
                return error_setf(reterr_message, r, "output directory '%s' can not be made: %s",
                                  options->output_dir, strerror(-r));

        /* Beside the result, so that the rename at the end stays on one file system. */
        if (asprintf(&template, "%s/.kata-image-XXXXXX", options->output_dir) < 0)
                return -ENOMEM;
        if (!mkdtemp(template))
                return error_setf(reterr_message, errno, "'%s' is not writable: %s",
                                  options->output_dir, strerror(errno));
        work = TAKE_PTR(template);

        if (asprintf(&tree_dir, "%s/tree", work) < 0 || asprintf(&image, "%s/image", work) < 0 ||
            asprintf(&params, "%s/params", work) < 0 ||
            asprintf(&manifest_path, "%s/manifest", work) < 0)
                return -ENOMEM;
        if (mkdir(tree_dir, 0755) < 0)
                return negative_errno();

        r = options->kind->plan(&tree, options, reterr_message);
        if (r >= 0)
                r = tree_write(&tree, tree_dir, reterr_message);
        if (r >= 0)
                r = manifest_text(&tree, &manifest);
        if (r >= 0)
                r = content_uuid(manifest, uuid);
        if (r >= 0)
                r = make_filesystem(tree_dir, image, uuid, reterr_message);
        if (r >= 0)
                r = verity_append(image, &p, reterr_message);
        if (r >= 0)
                r = image_params_write(&p, params);
        if (r >= 0)
                r = write_file_atomic(manifest_path, manifest, strlen(manifest), 0644);
        if (r >= 0)
                r = publish(image, options, "img", reterr_message);
        if (r >= 0)
                r = publish(params, options, "params", reterr_message);
        if (r >= 0)
                r = publish(manifest_path, options, "manifest", reterr_message);
        if (r < 0)
                return r;

        root_hash = hex_encode(p.root_hash, DIGEST_SIZE);
        log_info("%zu files, %" PRIu64 " bytes, root hash %s", tree.n_files, p.image_size,
                 strempty(root_hash));
        return 0;
}

int image_tree(const BuildOptions *options, char **reterr_message)
{
        _cleanup_(tree_done) Tree tree = {};
        int r;

        r = options->kind->plan(&tree, options, reterr_message);
        if (r < 0)
                return r;

        r = mkdir_p(options->output_dir, 0755);
        if (r < 0)
                return error_setf(reterr_message, r, "output directory '%s' can not be made: %s",
                                  options->output_dir, strerror(-r));
        r = tree_write(&tree, options->output_dir, reterr_message);
        if (r < 0)
                return r;

        log_info("Wrote %zu files below %s", tree.n_files, options->output_dir);
        return 0;
}
