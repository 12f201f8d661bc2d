/* SPDX-License-Identifier: Apache-2.0 */
/* kata-image build, build-debug and tree: see build.h. Runs as any user, on the build machine's own files. */

#include "guest-image/build.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "basic/root-signature.h"
#include "basic/strv.h"
#include "guest-image/debug-tree.h"
#include "guest-image/extra-tree.h"
#include "guest-image/layout.h"
#include "guest-image/manifest.h"
#include "guest-image/run.h"
#include "guest-image/verity.h"

/* All files carry this time: the start of 2024, as good as any and the same on every machine. */
#define IMAGE_TIMESTAMP UINT64_C(1704067200)

typedef struct Build {
        const BuildOptions *options;
        char *work;             /* directory beside the results, so that a rename is enough */
        char *manifest;         /* text */
        GuestParams params;
        uint8_t *signature;
        size_t signature_size;
        char *signature_json;
} Build;

static void build_done(Build *b)
{
        if (b->work)
                (void) rm_rf(b->work);
        free(b->work);
        free(b->manifest);
        free(b->signature);
        free(b->signature_json);
        guest_params_done(&b->params);
}

static char *in_work(const Build *b, const char *name)
{
        char *path;

        return asprintf(&path, "%s/%s", b->work, name) < 0 ? NULL : path;
}

static uint64_t timestamp(const Build *b)
{
        return b->options->timestamp ?: IMAGE_TIMESTAMP;
}

static int make_work_directory(Build *b, char **reterr_message)
{
        const char *dir = b->options->output_dir;
        _cleanup_free_ char *template = NULL;
        int r;

        r = mkdir_p(dir, 0755);
        if (r < 0)
                return error_setf(reterr_message, r, "output directory '%s' can not be made: %s", dir,
                                  strerror(-r));
        if (asprintf(&template, "%s/.kata-image-XXXXXX", dir) < 0)
                return -ENOMEM;
        if (!mkdtemp(template))
                return error_setf(reterr_message, errno, "'%s' is not writable: %s", dir,
                                  strerror(errno));

        b->work = TAKE_PTR(template);
        return 0;
}

static int make_tree(Build *b, Tree *tree, char **reterr_message)
{
        _cleanup_free_ char *dir = in_work(b, "tree"), *name = NULL;
        int r;

        if (!dir || asprintf(&name, "kata-%s-image", b->options->name) < 0)
                return -ENOMEM;
        /* Becomes the root directory: the caller's umask has no say in it. */
        if (mkdir(dir, 0700) < 0 || chmod(dir, 0755) < 0)
                return negative_errno();

        r = tree_write(tree, dir, reterr_message);
        if (r < 0)
                return r;
        return manifest_make(tree,
                             &(ManifestOptions) {
                                     .name = name,
                                     .root = b->options->root,
                                     .created = timestamp(b),
                             },
                             &b->manifest, reterr_message);
}

/* The file system alone, filled up to whole blocks. */
static int make_filesystem(Build *b, const char *path, char **reterr_message)
{
        _cleanup_free_ char *dir = in_work(b, "tree");
        _cleanup_(strv_done) Strv argv = {};
        char uuid[GUID_TEXT_SIZE];
        struct stat st;
        off_t padded;
        Guid guid;
        int r;

        if (!dir)
                return -ENOMEM;
        r = manifest_uuid(b->manifest, strlen(b->manifest), &guid);
        if (r < 0)
                return r;
        guid_text(&guid, uuid);

        r = strv_add_many(&argv, "mkfs.erofs", "--quiet", "--all-root", "-x-1", "-U", uuid, "-T", NULL);
        if (r >= 0)
                r = strv_addf(&argv, "%" PRIu64, timestamp(b));
        if (r >= 0)
                r = strv_add_many(&argv, path, dir, NULL);
        if (r >= 0)
                r = run_capture(&argv, MIB(1), NULL, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r,
                                     "erofs image can not be made (package erofs-utils)");

        if (stat(path, &st) < 0)
                return negative_errno();
        padded = (st.st_size + VERITY_BLOCK_SIZE - 1) / VERITY_BLOCK_SIZE * VERITY_BLOCK_SIZE;
        return truncate(path, padded) < 0 ? negative_errno() : 0;
}

static int sign(Build *b, const char *root_hash, char **reterr_message)
{
        _cleanup_(root_signer_done) RootSigner signer = {};
        int r;

        if (!b->options->private_key)
                return 0;

        r = root_signature_make(root_hash, b->options->private_key, b->options->certificate,
                                &b->signature, &b->signature_size, &signer, reterr_message);
        if (r < 0)
                return r;

        log_info("Signed by %s", signer.subject);
        return signature_json_format(root_hash, signer.fingerprint, b->signature, b->signature_size,
                                     &b->signature_json);
}

static int make_image(Build *b, char **reterr_message)
{
        _cleanup_free_ char *range_path = in_work(b, "range"), *path = in_work(b, "img"),
                            *root_hash = NULL;
        GuestParams range;
        int r;

        if (!range_path || !path)
                return -ENOMEM;

        r = make_filesystem(b, range_path, reterr_message);
        if (r >= 0)
                r = verity_append(range_path, &range, reterr_message);
        if (r < 0)
                return r;

        root_hash = hex_encode(range.root_hash, VERITY_DIGEST_SIZE);
        if (!root_hash)
                return -ENOMEM;
        r = sign(b, root_hash, reterr_message);
        if (r >= 0)
                r = layout_write(range_path, &range, b->signature_json, path, &b->params,
                                 reterr_message);
        if (r >= 0)
                r = digest_buffer(b->manifest, strlen(b->manifest), b->params.manifest_sha256);
        if (r < 0)
                return r;

        b->params.has_manifest = true;
        memcpy(b->params.root_hash_hex, root_hash, sizeof(b->params.root_hash_hex));
        return 0;
}

static int write_rest(Build *b)
{
        _cleanup_free_ char *params = in_work(b, "params"), *manifest = in_work(b, "spdx.json"),
                            *signature = in_work(b, "roothash.p7s"), *text = NULL;
        int r;

        if (!params || !manifest || !signature)
                return -ENOMEM;

        r = guest_params_format(&b->params, &text);
        if (r >= 0)
                r = write_file_atomic(params, text, strlen(text), 0644);
        if (r >= 0)
                r = write_file_atomic(manifest, b->manifest, strlen(b->manifest), 0644);
        if (r >= 0 && b->signature)
                r = write_file_atomic(signature, b->signature, b->signature_size, 0644);
        return r;
}

static int publish(const Build *b, const char *suffix, bool exists, char **reterr_message)
{
        _cleanup_free_ char *from = in_work(b, suffix), *to = NULL;

        if (!from || asprintf(&to, "%s/%s.%s", b->options->output_dir, b->options->name, suffix) < 0)
                return -ENOMEM;
        if (!exists)
                return unlink(to) < 0 && errno != ENOENT ?
                               error_setf(reterr_message, errno, "old '%s' can not be removed: %s", to,
                                          strerror(errno)) : 0;
        if (chmod(from, 0644) < 0 || rename(from, to) < 0)
                return error_setf(reterr_message, errno, "'%s' can not be written: %s", to,
                                  strerror(errno));

        log_info("Wrote %s", to);
        return 0;
}

int image_build_tree(Tree *tree, const BuildOptions *options, char **reterr_message)
{
        _cleanup_(build_done) Build b = { .options = options };
        int r;

        if (!options->private_key != !options->certificate)
                return error_setf(reterr_message, EINVAL,
                                  "a signature needs both private key and certificate");

        r = make_work_directory(&b, reterr_message);
        if (r >= 0)
                r = make_tree(&b, tree, reterr_message);
        if (r >= 0)
                r = make_image(&b, reterr_message);
        if (r >= 0)
                r = write_rest(&b);
        if (r >= 0)
                r = publish(&b, "img", true, reterr_message);
        if (r >= 0)
                r = publish(&b, "params", true, reterr_message);
        if (r >= 0)
                r = publish(&b, "spdx.json", true, reterr_message);
        if (r >= 0)
                r = publish(&b, "roothash.p7s", b.signature, reterr_message);
        if (r < 0)
                return r;

        log_info("%zu files, %" PRIu64 " bytes, root hash %s", tree->n_files, b.params.image_size,
                 b.params.root_hash_hex);
        return 0;
}

static int plan_guest(Tree *tree, const BuildOptions *options, char **reterr_message)
{
        int r = tree_plan(tree, options->root, options->agent, reterr_message);

        if (r >= 0 && options->iptables)
                r = extra_tree_iptables(tree, options->root, reterr_message);
        if (r >= 0 && options->modules_list)
                r = extra_tree_modules(tree, options, reterr_message);
        if (r >= 0)
                tree_sort(tree);
        return r;
}

int image_build(const BuildOptions *options, char **reterr_message)
{
        _cleanup_(tree_done) Tree tree = {};
        int r;

        r = plan_guest(&tree, options, reterr_message);
        return r < 0 ? r : image_build_tree(&tree, options, reterr_message);
}

int image_build_debug(const BuildOptions *options, char **reterr_message)
{
        _cleanup_(tree_done) Tree tree = {};
        int r;

        r = debug_tree_plan(&tree, options->root, reterr_message);
        return r < 0 ? r : image_build_tree(&tree, options, reterr_message);
}

int image_write_tree(const BuildOptions *options, char **reterr_message)
{
        _cleanup_(tree_done) Tree tree = {};
        int r;

        r = plan_guest(&tree, options, reterr_message);
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
