/* SPDX-License-Identifier: Apache-2.0 */
/* Building and checking of images and initrds: see verbs-image.h. Needs no root. */

#include "guest-image/verbs-image.h"

#include <inttypes.h>

#include "basic/error.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "guest-image/build.h"
#include "guest-image/derive.h"
#include "guest-image/initrd.h"
#include "guest-image/report.h"
#include "guest-image/verity.h"

/* SOURCE_DATE_EPOCH, as reproducible-builds.org specifies it; 0 if it is not set. */
static int source_date(uint64_t *ret)
{
        const char *text = getenv("SOURCE_DATE_EPOCH");

        *ret = 0;
        if (!text)
                return 0;
        /* Four digits of a year in the manifest, and a time that file systems can store. */
        return parse_u64(text, ret) < 0 || *ret == 0 || *ret > UINT32_MAX ? -EINVAL : 0;
}

static int build(const ImageArgs *args, const char *verb, const char *name,
                 int (*func)(const BuildOptions *options, char **reterr_message))
{
        _cleanup_free_ char *message = NULL;
        BuildOptions options = {
                .root = args->root,
                .agent = args->agent,
                .output_dir = args->output_dir,
                .name = name,
                .private_key = args->private_key,
                .certificate = args->certificate,
                .iptables = args->with != NULL,
                .modules_list = args->modules,
                .kernel_release = args->kernel_release,
                .modules_dir = args->modules_dir,
        };
        int r;

        if (args->with && !streq(args->with, "iptables")) {
                log_error("%s: --with=%s: an image can have iptables and nothing else", verb, args->with);
                return 2;
        }
        if (!args->modules && (args->kernel_release || args->modules_dir)) {
                log_error("%s: --kernel-release and --modules-dir need --modules=FILE", verb);
                return 2;
        }
        if (!args->output_dir) {
                log_error("%s: --output-dir=DIR is required", verb);
                return 2;
        }
        if (!args->private_key != !args->certificate) {
                log_error("%s: --private-key=FILE and --certificate=FILE go together", verb);
                return 2;
        }
        if (source_date(&options.timestamp) < 0) {
                log_error("%s: SOURCE_DATE_EPOCH=%s is not a number of seconds from 1 to %u", verb,
                          getenv("SOURCE_DATE_EPOCH"), UINT32_MAX);
                return 2;
        }

        r = func(&options, &message);
        if (r < 0) {
                log_error("Image not built: %s", error_text(message, r));
                return 1;
        }

        return 0;
}

int verb_build(const ImageArgs *args)
{
        return build(args, "build", "guest", image_build);
}

int verb_build_debug(const ImageArgs *args)
{
        return build(args, "build-debug", "guest-debug", image_build_debug);
}

int verb_tree(const ImageArgs *args)
{
        return build(args, "tree", "guest", image_write_tree);
}

int verb_params(const ImageArgs *args)
{
        _cleanup_free_ char *message = NULL;
        int r;

        r = image_derive_params(args->image, args->root_hash, args->params, &message);
        if (r < 0) {
                log_error("Parameters not written: %s", error_text(message, r));
                return 1;
        }

        return 0;
}

static int set_path(char **to, const char *from)
{
        *to = from ? strdup(from) : NULL;
        return from && !*to ? -ENOMEM : 0;
}

static int load_report(const ImageArgs *args, ImageFiles *files, ImageReport *report, char **reterr_message)
{
        int r;

        r = set_path(&files->image, args->image);
        if (r >= 0)
                r = set_path(&files->params, args->params);
        if (r >= 0)
                r = set_path(&files->manifest, args->manifest);
        if (r >= 0)
                r = set_path(&files->signature, args->signature);
        if (r >= 0)
                r = set_path(&files->certificate, args->certificate);
        if (r >= 0)
                r = image_files_complete(files);
        return r < 0 ? r : image_report_load(files, report, reterr_message);
}

int verb_verify(const ImageArgs *args)
{
        _cleanup_(image_report_done) ImageReport report = {};
        _cleanup_(image_files_done) ImageFiles files = {};
        _cleanup_free_ char *message = NULL;
        VerityResult result;
        int r;

        r = load_report(args, &files, &report, &message);
        if (r >= 0)
                r = verity_check(files.image, &report.params, &result, &message);
        if (r < 0) {
                log_error("Image not verified: %s", error_text(message, r));
                return 1;
        }

        switch (result.place) {
        case VERITY_OK:
                printf("%s: %" PRIu64 " data blocks match the root hash\n", files.image,
                       report.params.data_blocks);
                if (report.has_manifest)
                        printf("%s: manifest of %zu files, as it was built\n", files.manifest,
                               report.manifest.n_files);
                if (report.signature == SIGNATURE_VALID)
                        printf("%s: signed by %s\n", files.signature, report.signer.subject);
                else
                        printf("%s: %s\n", files.signature,
                               report.signature == SIGNATURE_NONE ?
                                       "no signature" : "signature not verified without --certificate");
                return 0;
        case VERITY_BAD_ROOT:
                log_error("%s: top hash block at offset %" PRIu64
                          " does not match the root hash of %s", files.image, result.offset,
                          files.params);
                break;
        case VERITY_BAD_HASH_BLOCK:
                log_error("%s: hash block %" PRIu64 " (level %u, offset %" PRIu64 ") is corrupted",
                          files.image, result.block, result.level, result.offset);
                break;
        case VERITY_BAD_DATA_BLOCK:
                log_error("%s: data block %" PRIu64 " (offset %" PRIu64 ") is corrupted", files.image,
                          result.block, result.offset);
                break;
        }

        return 1;
}

int verb_inspect(const ImageArgs *args)
{
        _cleanup_(image_report_done) ImageReport report = {};
        _cleanup_(image_files_done) ImageFiles files = {};
        _cleanup_free_ char *message = NULL;
        int r;

        r = load_report(args, &files, &report, &message);
        if (r >= 0)
                r = args->json ? image_report_print_json(&files, &report, stdout) :
                               image_report_print(&files, &report, stdout);
        if (r < 0) {
                log_error("Image not inspected: %s", error_text(message, r));
                return 1;
        }

        return 0;
}

int verb_initrd(const ImageArgs *args)
{
        _cleanup_free_ char *message = NULL;
        const InitrdOptions options = {
                .root = args->root,
                .release = args->kernel_release,
                .modules_dir = args->modules_dir,
                .agent = args->agent,
                .modules_list = args->modules ? args->modules : DATADIR "/distribution.modules",
                .output = args->output,
        };
        int r;

        r = initrd_build(&options, &message);
        if (r < 0) {
                log_error("Initrd not built: %s", error_text(message, r));
                return 1;
        }

        return 0;
}
