/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-image: builds and checks the guest image, and keeps the guest of this host up to date. A command
 * line tool of the operator; what only builds or checks needs no root.
 */

#include <getopt.h>

#include "basic/log.h"
#include "guest-image/update.h"
#include "guest-image/verbs-guest.h"
#include "guest-image/verbs-image.h"

#define DEFAULT_AGENT "/usr/bin/kata-agent"
#define DEFAULT_IMAGE DATADIR "/guest.img"
#define DEFAULT_MODULES DATADIR "/distribution.modules"        /* of initrd */

static ImageArgs args = {
        .root = "/",
        .agent = DEFAULT_AGENT,
        .image = DEFAULT_IMAGE,
        .kernel_dir = KERNEL_DIR,
};

static void help(void)
{
        printf("kata-image [OPTIONS...] COMMAND\n\n"
               "Builds and checks the guest image of kata-systemd, and keeps the guest up to date.\n\n"
               "Commands:\n"
               "  build                 Make guest.img, guest.params and guest.spdx.json\n"
               "  build-debug           The same of guest-debug: tools for sandboxes with Debug=yes\n"
               "  tree                  Write the content of the guest image as a directory\n"
               "  params                Write the parameters of an image that another builder made\n"
               "  verify                Check an image, block by block, and the files beside it\n"
               "  inspect               Show what an image is made of\n"
               "  initrd                Make the initrd for a kernel of the distribution\n"
               "  kernel-status         Is the guest kernel up to date, and what is to do if not\n"
               "  update                Build kernel and image from source, test and install them\n"
               "  install DIR           Test and install a pair of kernel and image\n"
               "  list                  List installed versions and the sandboxes that use them\n"
               "  rollback [VERSION]    Go back to the previous version, or to another or 'shipped'\n"
               "  gc                    Remove versions that nothing uses\n\n"
               "Options of build, build-debug and tree:\n"
               "  --output-dir DIR      Where the files go (required)\n"
               "  --agent FILE          The guest agent, not for build-debug [" DEFAULT_AGENT "]\n"
               "  --root DIR            Take libraries and tools from below DIR [/]\n"
               "  --private-key FILE    Sign the root hash with this key (PEM), into\n"
               "                        guest.roothash.p7s and the image\n"
               "  --certificate FILE    Certificate of that key (PEM)\n"
               "  --with iptables       build, tree: the programs for 'kata-runtime iptables'\n"
               "  --modules FILE        build, tree: modules of a kernel of the distribution,\n"
               "                        with --kernel-release and --modules-dir as for initrd\n\n"
               "Options of verify and inspect:\n"
               "  --image FILE          Image [" DEFAULT_IMAGE "]\n"
               "  --params FILE         Its parameters [beside the image: guest.params]\n"
               "  --manifest FILE       Its manifest [beside the image: guest.spdx.json]\n"
               "  --signature FILE      Its signature [beside the image: guest.roothash.p7s]\n"
               "  --certificate FILE    Demand a signature by one of these certificates (PEM)\n"
               "  --root-hash HEX       params: the root hash [from the UUIDs of the partitions]\n"
               "  --json                inspect: print JSON\n\n"
               "Options of initrd (and --agent, --root as above):\n"
               "  --kernel-release R    The kernel, by its release [the newest installed]\n"
               "  --modules-dir DIR     Its modules [/usr/lib/modules/R]\n"
               "  --modules FILE        Which modules [" DEFAULT_MODULES "]\n"
               "  --output FILE         Where the initrd goes [" INITRDDIR "/R.img]\n\n"
               "Options of update (also --agent and --root; kernel-status: only --kernel-dir):\n"
               "  --output-dir DIR      Build only, and leave the result there\n"
               "  --kernel-dir DIR      Build script, fragments and patches [" KERNEL_DIR "]\n"
               "  --force               Build the kernel even if it is up to date\n\n"
               "  -h --help             Show this help\n"
               "     --version          Show the version\n\n"
               "See kata-image(1).\n");
}

/* Bits of the commands that an option belongs to. */
enum {
        BUILD = 1 << 0,
        VERIFY = 1 << 1,
        INSPECT = 1 << 2,
        INITRD = 1 << 3,
        STATUS = 1 << 4,
        UPDATE = 1 << 5,
        BUILD_DEBUG = 1 << 6,
        TREE = 1 << 7,
        PARAMS = 1 << 8,
        OTHER = 1 << 9,         /* those without options */
        ALL = (1 << 10) - 1,
};

/* Commands without a function are those of verbs-guest.h. */
static const struct {
        const char *name;
        unsigned bit;
        int (*run)(const ImageArgs *args);
} verbs[] = {
        { "build", BUILD, verb_build },
        { "build-debug", BUILD_DEBUG, verb_build_debug },
        { "tree", TREE, verb_tree },
        { "params", PARAMS, verb_params },
        { "verify", VERIFY, verb_verify },
        { "inspect", INSPECT, verb_inspect },
        { "initrd", INITRD, verb_initrd },
        { "kernel-status", STATUS, NULL },
        { "update", UPDATE, NULL },
        { "install", OTHER, NULL },
        { "list", OTHER, NULL },
        { "rollback", OTHER, NULL },
        { "gc", OTHER, NULL },
};

enum {
        ARG_VERSION = 0x100,
        _ARG_FIRST,
        ARG_JSON = _ARG_FIRST,
        ARG_FORCE,
        ARG_ROOT,
        ARG_AGENT,
        ARG_OUTPUT_DIR,
        ARG_PRIVATE_KEY,
        ARG_CERTIFICATE,
        ARG_IMAGE,
        ARG_PARAMS,
        ARG_MANIFEST,
        ARG_SIGNATURE,
        ARG_ROOT_HASH,
        ARG_KERNEL_RELEASE,
        ARG_MODULES_DIR,
        ARG_MODULES,
        ARG_OUTPUT,
        ARG_KERNEL_DIR,
        ARG_WITH,
        _ARG_END,
};

static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, ARG_VERSION },
        { "json", no_argument, NULL, ARG_JSON },
        { "force", no_argument, NULL, ARG_FORCE },
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
        { "kernel-release", required_argument, NULL, ARG_KERNEL_RELEASE },
        { "modules-dir", required_argument, NULL, ARG_MODULES_DIR },
        { "modules", required_argument, NULL, ARG_MODULES },
        { "output", required_argument, NULL, ARG_OUTPUT },
        { "kernel-dir", required_argument, NULL, ARG_KERNEL_DIR },
        { "with", required_argument, NULL, ARG_WITH },
        {}
};

static const struct {
        unsigned verbs;
        const char **text;      /* the argument, or */
        bool *flag;
} settings[_ARG_END - _ARG_FIRST] = {
        [ARG_JSON - _ARG_FIRST] = { INSPECT, NULL, &args.json },
        [ARG_FORCE - _ARG_FIRST] = { UPDATE, NULL, &args.force },
        [ARG_ROOT - _ARG_FIRST] = { BUILD | BUILD_DEBUG | TREE | INITRD | UPDATE, &args.root },
        [ARG_AGENT - _ARG_FIRST] = { BUILD | TREE | INITRD | UPDATE, &args.agent },
        [ARG_OUTPUT_DIR - _ARG_FIRST] = { BUILD | BUILD_DEBUG | TREE | UPDATE, &args.output_dir },
        [ARG_PRIVATE_KEY - _ARG_FIRST] = { BUILD | BUILD_DEBUG, &args.private_key },
        [ARG_CERTIFICATE - _ARG_FIRST] = { BUILD | BUILD_DEBUG | VERIFY | INSPECT, &args.certificate },
        [ARG_IMAGE - _ARG_FIRST] = { VERIFY | INSPECT | PARAMS, &args.image },
        [ARG_PARAMS - _ARG_FIRST] = { VERIFY | INSPECT | PARAMS, &args.params },
        [ARG_MANIFEST - _ARG_FIRST] = { VERIFY | INSPECT, &args.manifest },
        [ARG_SIGNATURE - _ARG_FIRST] = { VERIFY | INSPECT, &args.signature },
        [ARG_ROOT_HASH - _ARG_FIRST] = { PARAMS, &args.root_hash },
        [ARG_KERNEL_RELEASE - _ARG_FIRST] = { BUILD | TREE | INITRD, &args.kernel_release },
        [ARG_MODULES_DIR - _ARG_FIRST] = { BUILD | TREE | INITRD, &args.modules_dir },
        [ARG_MODULES - _ARG_FIRST] = { BUILD | TREE | INITRD, &args.modules },
        [ARG_OUTPUT - _ARG_FIRST] = { INITRD, &args.output },
        [ARG_KERNEL_DIR - _ARG_FIRST] = { STATUS | UPDATE, &args.kernel_dir },
        [ARG_WITH - _ARG_FIRST] = { BUILD | TREE, &args.with },
};

static int run_guest_verb(const GuestVerb *verb, unsigned n_words, char **words)
{
        const GuestOptions options = {
                .output_dir = args.output_dir,
                .agent = args.agent,
                .root = args.root,
                .kernel_dir = args.kernel_dir,
                .force = args.force,
        };

        if (n_words < verb->min_args || n_words > verb->max_args) {
                log_error("%s: takes %s; see kata-image --help", verb->name, verb->args);
                return 2;
        }

        return verb->run(&options, words);
}

static int run_verb(size_t i, unsigned n_words, char **words)
{
        if (!verbs[i].run)
                return run_guest_verb(guest_verb_find(verbs[i].name), n_words, words);

        if (n_words > 0) {
                log_error("%s: takes no arguments; see kata-image --help", verbs[i].name);
                return 2;
        }

        return verbs[i].run(&args);
}

int main(int argc, char *argv[])
{
        const char *last_limit = NULL;
        unsigned allowed = ALL;
        int c, index = 0;

        while ((c = getopt_long(argc, argv, "h", long_options, &index)) >= 0) {
                if (c == 'h') {
                        help();
                        return 0;
                }
                if (c == ARG_VERSION) {
                        puts("kata-image " PROJECT_VERSION);
                        return 0;
                }
                if (c < _ARG_FIRST || c >= _ARG_END)
                        return 2;

                if (settings[c - _ARG_FIRST].flag)
                        *settings[c - _ARG_FIRST].flag = true;
                else
                        *settings[c - _ARG_FIRST].text = optarg;
                if (allowed & ~settings[c - _ARG_FIRST].verbs)
                        last_limit = long_options[index].name;
                allowed &= settings[c - _ARG_FIRST].verbs;
        }

        if (optind >= argc) {
                log_error("A command is needed; see kata-image --help");
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
                return run_verb(i, (unsigned) (argc - optind - 1), argv + optind + 1);
        }

        log_error("Unknown command '%s'; see kata-image --help", argv[optind]);
        return 2;
}
