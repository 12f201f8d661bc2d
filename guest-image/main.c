/* SPDX-License-Identifier: Apache-2.0 */
/* kata-image: builds and checks the guest image. A command line tool of the operator; needs no root. */

#include <getopt.h>
#include <inttypes.h>

#include "basic/error.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "guest-image/build.h"
#include "guest-image/derive.h"
#include "guest-image/report.h"
#include "guest-image/verity.h"

#define DEFAULT_AGENT "/usr/bin/kata-agent"
#define DEFAULT_IMAGE DATADIR "/guest.img"

static const char *arg_root = "/";
static const char *arg_agent = DEFAULT_AGENT;
static const char *arg_output_dir;
static const char *arg_private_key;
static const char *arg_certificate;
static const char *arg_image = DEFAULT_IMAGE;
static const char *arg_params;
static const char *arg_manifest;
static const char *arg_signature;
static const char *arg_root_hash;
static bool arg_json;

static void help(void)
{
        printf("kata-image [OPTIONS...] COMMAND\n\n"
               "Builds and checks the guest image of kata-systemd.\n\n"
               "Commands:\n"
               "  build                 Make guest.img, guest.params and guest.spdx.json\n"
               "  build-debug           The same of guest-debug: tools for sandboxes with Debug=yes\n"
               "  tree                  Write the content of the guest image as a directory\n"
               "  params                Write the parameters of an image that another builder made\n"
               "  verify                Check an image, block by block, and the files beside it\n"
               "  inspect               Show what an image is made of\n\n"
               "Options of build, build-debug and tree:\n"
               "  --output-dir DIR      Where the files go (required)\n"
               "  --agent FILE          The guest agent, not for build-debug [" DEFAULT_AGENT "]\n"
               "  --root DIR            Take libraries and tools from below DIR [/]\n"
               "  --private-key FILE    Sign the root hash with this key (PEM), into\n"
               "                        guest.roothash.p7s and the image\n"
               "  --certificate FILE    Certificate of that key (PEM)\n\n"
               "Options of params, verify and inspect:\n"
               "  --image FILE          Image [" DEFAULT_IMAGE "]\n"
               "  --params FILE         Its parameters [beside the image: guest.params]\n"
               "  --manifest FILE       Its manifest [beside the image: guest.spdx.json]\n"
               "  --signature FILE      Its signature [beside the image: guest.roothash.p7s]\n"
               "  --certificate FILE    Demand a signature by one of these certificates (PEM)\n"
               "  --root-hash HEX       params: the root hash [from the UUIDs of the partitions]\n"
               "  --json                inspect: print JSON\n\n"
               "  -h --help             Show this help\n"
               "     --version          Show the version\n\n"
               "See kata-image(1).\n");
}

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

static int build(const char *verb, const char *name,
                 int (*func)(const BuildOptions *options, char **reterr_message))
{
        _cleanup_free_ char *message = NULL;
        BuildOptions options = {
                .root = arg_root,
                .agent = arg_agent,
                .output_dir = arg_output_dir,
                .name = name,
                .private_key = arg_private_key,
                .certificate = arg_certificate,
        };
        int r;

        if (!arg_output_dir) {
                log_error("%s: --output-dir=DIR is required", verb);
                return 2;
        }
        if (!arg_private_key != !arg_certificate) {
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

static int verb_build(void)
{
        return build("build", "guest", image_build);
}

static int verb_build_debug(void)
{
        return build("build-debug", "guest-debug", image_build_debug);
}

static int verb_tree(void)
{
        return build("tree", "guest", image_write_tree);
}

static int verb_params(void)
{
        _cleanup_free_ char *message = NULL;
        int r;

        r = image_derive_params(arg_image, arg_root_hash, arg_params, &message);
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

static int load_report(ImageFiles *files, ImageReport *report, char **reterr_message)
{
        int r;

        r = set_path(&files->image, arg_image);
        if (r >= 0)
                r = set_path(&files->params, arg_params);
        if (r >= 0)
                r = set_path(&files->manifest, arg_manifest);
        if (r >= 0)
                r = set_path(&files->signature, arg_signature);
        if (r >= 0)
                r = set_path(&files->certificate, arg_certificate);
        if (r >= 0)
                r = image_files_complete(files);
        return r < 0 ? r : image_report_load(files, report, reterr_message);
}

static int verb_verify(void)
{
        _cleanup_(image_report_done) ImageReport report = {};
        _cleanup_(image_files_done) ImageFiles files = {};
        _cleanup_free_ char *message = NULL;
        VerityResult result;
        int r;

        r = load_report(&files, &report, &message);
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

static int verb_inspect(void)
{
        _cleanup_(image_report_done) ImageReport report = {};
        _cleanup_(image_files_done) ImageFiles files = {};
        _cleanup_free_ char *message = NULL;
        int r;

        r = load_report(&files, &report, &message);
        if (r >= 0)
                r = arg_json ? image_report_print_json(&files, &report, stdout) :
                               image_report_print(&files, &report, stdout);
        if (r < 0) {
                log_error("Image not inspected: %s", error_text(message, r));
                return 1;
        }

        return 0;
}

enum {
        ARG_VERSION = 0x100,
        ARG_JSON,
        _ARG_PATHS,
        ARG_ROOT = _ARG_PATHS,
        ARG_AGENT,
        ARG_OUTPUT_DIR,
        ARG_PRIVATE_KEY,
        ARG_CERTIFICATE,
        ARG_IMAGE,
        ARG_PARAMS,
        ARG_MANIFEST,
        ARG_SIGNATURE,
        ARG_ROOT_HASH,
        _ARG_END,
};

/* Bits of the verbs that an option belongs to. */
enum {
        BUILD = 1,
        VERIFY = 2,
        INSPECT = 4,
        BUILD_DEBUG = 8,
        TREE = 16,
        PARAMS = 32,
        _ALL = 63,
};

static const struct {
        const char *name;
        unsigned bit;
        int (*run)(void);
} verbs[] = {
        { "build", BUILD, verb_build },
        { "build-debug", BUILD_DEBUG, verb_build_debug },
        { "tree", TREE, verb_tree },
        { "params", PARAMS, verb_params },
        { "verify", VERIFY, verb_verify },
        { "inspect", INSPECT, verb_inspect },
};

static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, ARG_VERSION },
        { "json", no_argument, NULL, ARG_JSON },
        { "root", required_argument, NULL, ARG_ROOT },
        { "agent", required_argument, NULL, ARG_AGENT },
        { "output-dir", required_argument, NULL, ARG_OUTPUT_DIR },
        { "private-key", required_argument, NULL, ARG_PRIVATE_KEY },
        { "certificate", required_argument, NULL, ARG_CERTIFICATE },
        { "image", required_argument, NULL, ARG_IMAGE },
        { "params", required_argument, NULL, ARG_PARAMS },
        { "manifest", required_argument, NULL, ARG_MANIFEST },
        { "signature", required_argument, NULL, ARG_SIGNATURE },
        { "root-hash", required_argument, NULL, ARG_ROOT_HASH },
        {}
};

static const struct {
        const char **value;
        unsigned verbs;
} path_options[_ARG_END - _ARG_PATHS] = {
        [ARG_ROOT - _ARG_PATHS] = { &arg_root, BUILD | BUILD_DEBUG | TREE },
        [ARG_AGENT - _ARG_PATHS] = { &arg_agent, BUILD | TREE },
        [ARG_OUTPUT_DIR - _ARG_PATHS] = { &arg_output_dir, BUILD | BUILD_DEBUG | TREE },
        [ARG_PRIVATE_KEY - _ARG_PATHS] = { &arg_private_key, BUILD | BUILD_DEBUG },
        [ARG_CERTIFICATE - _ARG_PATHS] = { &arg_certificate, BUILD | BUILD_DEBUG | VERIFY | INSPECT },
        [ARG_IMAGE - _ARG_PATHS] = { &arg_image, VERIFY | INSPECT | PARAMS },
        [ARG_PARAMS - _ARG_PATHS] = { &arg_params, VERIFY | INSPECT | PARAMS },
        [ARG_MANIFEST - _ARG_PATHS] = { &arg_manifest, VERIFY | INSPECT },
        [ARG_SIGNATURE - _ARG_PATHS] = { &arg_signature, VERIFY | INSPECT },
        [ARG_ROOT_HASH - _ARG_PATHS] = { &arg_root_hash, PARAMS },
};

int main(int argc, char *argv[])
{
        unsigned allowed = _ALL;
        int c, index = 0;
        const char *last_limit = NULL;

        while ((c = getopt_long(argc, argv, "h", long_options, &index)) >= 0) {
                unsigned bits = _ALL;

                if (c == 'h') {
                        help();
                        return 0;
                } else if (c == ARG_VERSION) {
                        puts("kata-image " PROJECT_VERSION);
                        return 0;
                } else if (c == ARG_JSON) {
                        arg_json = true;
                        bits = INSPECT;
                } else if (c >= _ARG_PATHS && c < _ARG_END) {
                        *path_options[c - _ARG_PATHS].value = optarg;
                        bits = path_options[c - _ARG_PATHS].verbs;
                } else
                        return 2;

                if ((allowed & bits) != allowed)
                        last_limit = long_options[index].name;
                allowed &= bits;
        }

        if (argc - optind != 1) {
                log_error("Exactly one command is needed: build, build-debug, tree, params, verify or "
                          "inspect; see kata-image --help");
                return 2;
        }

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                if (!streq(argv[optind], verbs[i].name))
                        continue;
                if (!(verbs[i].bit & allowed)) {
                        log_error("%s: --%s is not an option of it; see kata-image --help",
                                  verbs[i].name, last_limit);
                        return 2;
                }
                return verbs[i].run();
        }

        log_error("Unknown command '%s': build, build-debug, tree, params, verify or inspect; "
                  "see kata-image --help", argv[optind]);
        return 2;
}
