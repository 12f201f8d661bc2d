/* SPDX-License-Identifier: Apache-2.0 */
/* kata-image: builds and checks the guest image. A command line tool of the operator; needs no root. */

#include <getopt.h>
#include <inttypes.h>

#include "basic/error.h"
#include "basic/log.h"
#include "guest-image/build.h"
#include "guest-image/initrd.h"
#include "guest-image/verity.h"

#define DEFAULT_AGENT "/usr/bin/kata-agent"
#define DEFAULT_IMAGE DATADIR "/guest.img"
#define DEFAULT_PARAMS DATADIR "/guest.params"
#define DEFAULT_MODULES DATADIR "/distribution.modules"

static const char *arg_root = "/";
static const char *arg_agent = DEFAULT_AGENT;
static const char *arg_output_dir;
static const char *arg_image = DEFAULT_IMAGE;
static const char *arg_params = DEFAULT_PARAMS;
static const char *arg_kernel_release;
static const char *arg_modules_dir;
static const char *arg_modules = DEFAULT_MODULES;
static const char *arg_output;

static void help(void)
{
        printf("kata-image [OPTIONS...] build|verify|initrd\n\n"
               "Builds and checks the guest image of kata-systemd.\n\n"
               "Commands:\n"
               "  build                 Make guest.img, guest.params and guest.manifest\n"
               "  verify                Check an image against its parameters, block by block\n"
               "  initrd                Make the initrd for a kernel of the distribution\n\n"
               "Options of build:\n"
               "  --output-dir DIR      Where the three files go (required)\n"
               "  --agent FILE          The guest agent [" DEFAULT_AGENT "]\n"
               "  --root DIR            Take the agent's libraries from below DIR [/]\n\n"
               "Options of verify:\n"
               "  --image FILE          Image to check [" DEFAULT_IMAGE "]\n"
               "  --params FILE         Its parameters [" DEFAULT_PARAMS "]\n\n"
               "Options of initrd (and --agent, --root as above):\n"
               "  --kernel-release R    The kernel, by its release [the newest installed]\n"
               "  --modules-dir DIR     Its modules [/usr/lib/modules/R]\n"
               "  --modules FILE        Which modules [" DEFAULT_MODULES "]\n"
               "  --output FILE         Where the initrd goes [" INITRDDIR "/R.img]\n\n"
               "  -h --help             Show this help\n"
               "     --version          Show the version\n\n"
               "See kata-image(1).\n");
}

static int verb_build(void)
{
        _cleanup_free_ char *message = NULL;
        BuildOptions options = {
                .root = arg_root,
                .agent = arg_agent,
                .output_dir = arg_output_dir,
        };
        int r;

        if (!arg_output_dir) {
                log_error("build: --output-dir=DIR is required");
                return 2;
        }

        r = image_build(&options, &message);
        if (r < 0) {
                log_error("Image not built: %s", error_text(message, r));
                return 1;
        }

        return 0;
}

static int verb_verify(void)
{
        _cleanup_free_ char *message = NULL;
        ImageParams p;
        VerityResult result;
        int r;

        r = image_params_read(&p, arg_params, &message);
        if (r >= 0)
                r = verity_check(arg_image, &p, &result, &message);
        if (r < 0) {
                log_error("Image not verified: %s", error_text(message, r));
                return 1;
        }

        switch (result.place) {
        case VERITY_OK:
                printf("%s: %" PRIu64 " data blocks match the root hash\n", arg_image, p.data_blocks);
                return 0;
        case VERITY_BAD_ROOT:
                log_error("%s: top hash block at offset %" PRIu64
                          " does not match the root hash of %s", arg_image, result.offset, arg_params);
                break;
        case VERITY_BAD_HASH_BLOCK:
                log_error("%s: hash block %" PRIu64 " (level %u, offset %" PRIu64 ") is corrupted",
                          arg_image, result.block, result.level, result.offset);
                break;
        case VERITY_BAD_DATA_BLOCK:
                log_error("%s: data block %" PRIu64 " (offset %" PRIu64 ") is corrupted", arg_image,
                          result.block, result.offset);
                break;
        }

        return 1;
}

static int verb_initrd(void)
{
        _cleanup_free_ char *message = NULL;
        const InitrdOptions options = {
                .root = arg_root,
                .release = arg_kernel_release,
                .modules_dir = arg_modules_dir,
                .agent = arg_agent,
                .modules_list = arg_modules,
                .output = arg_output,
        };
        int r;

        r = initrd_build(&options, &message);
        if (r < 0) {
                log_error("Initrd not built: %s", error_text(message, r));
                return 1;
        }

        return 0;
}

static const struct {
        const char *name;
        int (*run)(void);
} verbs[] = {
        { "build", verb_build },
        { "verify", verb_verify },
        { "initrd", verb_initrd },
};

int main(int argc, char *argv[])
{
        enum {
                ARG_VERSION = 0x100,
                ARG_ROOT,
                ARG_AGENT,
                ARG_OUTPUT_DIR,
                ARG_IMAGE,
                ARG_PARAMS,
                ARG_KERNEL_RELEASE,
                ARG_MODULES_DIR,
                ARG_MODULES,
                ARG_OUTPUT,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "root", required_argument, NULL, ARG_ROOT },
                { "agent", required_argument, NULL, ARG_AGENT },
                { "output-dir", required_argument, NULL, ARG_OUTPUT_DIR },
                { "image", required_argument, NULL, ARG_IMAGE },
                { "params", required_argument, NULL, ARG_PARAMS },
                { "kernel-release", required_argument, NULL, ARG_KERNEL_RELEASE },
                { "modules-dir", required_argument, NULL, ARG_MODULES_DIR },
                { "modules", required_argument, NULL, ARG_MODULES },
                { "output", required_argument, NULL, ARG_OUTPUT },
                {}
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case ARG_VERSION:
                        puts("kata-image " PROJECT_VERSION);
                        return 0;
                case ARG_ROOT:
                        arg_root = optarg;
                        break;
                case ARG_AGENT:
                        arg_agent = optarg;
                        break;
                case ARG_OUTPUT_DIR:
                        arg_output_dir = optarg;
                        break;
                case ARG_IMAGE:
                        arg_image = optarg;
                        break;
                case ARG_PARAMS:
                        arg_params = optarg;
                        break;
                case ARG_KERNEL_RELEASE:
                        arg_kernel_release = optarg;
                        break;
                case ARG_MODULES_DIR:
                        arg_modules_dir = optarg;
                        break;
                case ARG_MODULES:
                        arg_modules = optarg;
                        break;
                case ARG_OUTPUT:
                        arg_output = optarg;
                        break;
                default:
                        return 2;
                }

        if (argc - optind != 1) {
                log_error("Exactly one command is needed: build, verify or initrd; see kata-image --help");
                return 2;
        }

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(argv[optind], verbs[i].name))
                        return verbs[i].run();

        log_error("Unknown command '%s': build, verify or initrd; see kata-image --help", argv[optind]);
        return 2;
}
