/* SPDX-License-Identifier: Apache-2.0 */
/* Command line: see options.h. No side effects but help and version. */

#include "tests/bundle-runner/options.h"

#include <getopt.h>
#include <signal.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define DEFAULT_ROOT "/run/bundle-runner/root"
#define DEFAULT_AGENT "/usr/bin/kata-agent"

enum {
        ARG_ROOT = 0x100,
        ARG_LOG,
        ARG_LOG_FORMAT,
        ARG_AGENT,
        ARG_CGROUP_MANAGER,
        ARG_SYSTEMD_CGROUP,
        ARG_VERSION,
        ARG_HELP,
        ARG_PID_FILE,
        ARG_CONSOLE_SOCKET,
        ARG_PRESERVE_FDS,
        ARG_NO_PIVOT,
        ARG_NO_NEW_KEYRING,
        ARG_KEEP,
        ARG_CWD,
        ARG_NO_NEW_PRIVS,
};

#define VERB_BIT(verb) (1U << (verb))
#define VERBS_MAKE (VERB_BIT(VERB_CREATE) | VERB_BIT(VERB_RUN))

static const char *const verb_names[_VERB_MAX] = {
        [VERB_CREATE] = "create", [VERB_START] = "start", [VERB_STATE] = "state",   [VERB_KILL] = "kill",
        [VERB_DELETE] = "delete", [VERB_RUN] = "run",     [VERB_EXEC] = "exec",     [VERB_PAUSE] = "pause",
        [VERB_RESUME] = "resume", [VERB_LIST] = "list",   [VERB_HELP] = "help",
};

static const struct option global_options[] = {
        { "root", required_argument, NULL, ARG_ROOT },
        { "log", required_argument, NULL, ARG_LOG },
        { "log-format", required_argument, NULL, ARG_LOG_FORMAT },
        { "agent", required_argument, NULL, ARG_AGENT },
        { "cgroup-manager", required_argument, NULL, ARG_CGROUP_MANAGER },
        { "systemd-cgroup", no_argument, NULL, ARG_SYSTEMD_CGROUP },
        { "version", no_argument, NULL, ARG_VERSION },
        { "help", no_argument, NULL, ARG_HELP },
        {},
};

static const struct option verb_options[] = {
        { "bundle", required_argument, NULL, 'b' },
        { "config", required_argument, NULL, 'f' },
        { "pid-file", required_argument, NULL, ARG_PID_FILE },
        { "console-socket", required_argument, NULL, ARG_CONSOLE_SOCKET },
        { "preserve-fds", required_argument, NULL, ARG_PRESERVE_FDS },
        { "no-pivot", no_argument, NULL, ARG_NO_PIVOT },
        { "no-new-keyring", no_argument, NULL, ARG_NO_NEW_KEYRING },
        { "keep", no_argument, NULL, ARG_KEEP },
        { "detach", no_argument, NULL, 'd' },
        { "force", no_argument, NULL, 'F' },
        { "all", no_argument, NULL, 'a' },
        { "quiet", no_argument, NULL, 'q' },
        { "format", required_argument, NULL, 'o' },
        { "process", required_argument, NULL, 'p' },
        { "cwd", required_argument, NULL, ARG_CWD },
        { "env", required_argument, NULL, 'e' },
        { "user", required_argument, NULL, 'u' },
        { "cap", required_argument, NULL, 'c' },
        { "no-new-privs", no_argument, NULL, ARG_NO_NEW_PRIVS },
        { "tty", no_argument, NULL, 't' },
        {},
};

/* Which commands an option is for. */
static const struct {
        int value;
        unsigned verbs;
} verb_option_uses[] = {
        { 'b', VERBS_MAKE },
        { 'f', VERBS_MAKE },
        { ARG_PID_FILE, VERBS_MAKE },
        { ARG_CONSOLE_SOCKET, VERBS_MAKE | VERB_BIT(VERB_EXEC) },
        { ARG_PRESERVE_FDS, VERBS_MAKE | VERB_BIT(VERB_EXEC) },
        { ARG_NO_PIVOT, VERBS_MAKE },
        { ARG_NO_NEW_KEYRING, VERBS_MAKE },
        { ARG_KEEP, VERB_BIT(VERB_RUN) },
        { 'd', VERB_BIT(VERB_RUN) | VERB_BIT(VERB_EXEC) },
        { 'F', VERB_BIT(VERB_DELETE) },
        { 'a', VERB_BIT(VERB_KILL) },
        { 'q', VERB_BIT(VERB_LIST) },
        { 'o', VERB_BIT(VERB_LIST) },
        { 'p', VERB_BIT(VERB_EXEC) },
        { ARG_CWD, VERB_BIT(VERB_EXEC) },
        { 'e', VERB_BIT(VERB_EXEC) },
        { 'u', VERB_BIT(VERB_EXEC) },
        { 'c', VERB_BIT(VERB_EXEC) },
        { ARG_NO_NEW_PRIVS, VERB_BIT(VERB_EXEC) },
        { 't', VERB_BIT(VERB_EXEC) },
};

static void help(void)
{
        puts("usage: bundle-runner [--root DIR] [--log FILE] [--log-format text|json] [--agent PROGRAM]\n"
             "                     [--cgroup-manager cgroupfs] COMMAND\n"
             "\n"
             "Runs OCI bundles through 'kata-agent --listen', one agent for each container.\n"
             "\n"
             "  create [-b|--bundle DIR] [-f|--config FILE] [--pid-file FILE] [--no-new-keyring] ID\n"
             "  run    [the same] [-d|--detach] [--keep] ID\n"
             "  start ID\n"
             "  state ID\n"
             "  kill [-a|--all] ID [SIGNAL]\n"
             "  delete [-f|--force] ID\n"
             "  exec [-d|--detach] [-p|--process FILE] [--cwd DIR] [-e|--env NAME=VALUE] [-u|--user UID[:GID]]\n"
             "       [-c|--cap CAPABILITY] [--no-new-privs] ID [PROGRAM [ARGUMENT...]]\n"
             "  pause ID, resume ID\n"
             "  list [-q|--quiet] [-f|--format table|json]\n"
             "\n"
             "No terminals, no descriptors beyond the standard streams.");
}

int signal_parse(const char *s)
{
        const char *name = startswith(s, "SIG") ?: s, *offset;
        uint32_t n;

        if (parse_u32(s, &n) >= 0)
                return n > 0 && n < NSIG ? (int) n : -EINVAL;

        offset = startswith(name, "RTMIN+");
        if (offset) {
                if (parse_u32(offset, &n) < 0 || n > (uint32_t) (SIGRTMAX - SIGRTMIN))
                        return -EINVAL;
                return SIGRTMIN + (int) n;
        }
        if (streq(name, "RTMIN"))
                return SIGRTMIN;

        for (int sig = 1; sig < SIGRTMIN; sig++) {
                const char *known = sigabbrev_np(sig);

                if (known && streq(known, name))
                        return sig;
        }

        return -EINVAL;
}

/* 1: go on, 0: all is said. */
static int parse_global(int value, Options *o, char **reterr_message)
{
        switch (value) {
        case ARG_ROOT:
                o->root = optarg;
                return 1;
        case ARG_LOG:
                o->log = optarg;
                return 1;
        case ARG_LOG_FORMAT:
                if (!streq(optarg, "text") && !streq(optarg, "json"))
                        return error_setf(reterr_message, -EINVAL, "--log-format is text or json");
                o->log_json = streq(optarg, "json");
                return 1;
        case ARG_AGENT:
                o->agent = optarg;
                return 1;
        case ARG_CGROUP_MANAGER:
                if (!streq(optarg, "cgroupfs"))
                        return error_setf(reterr_message, -EOPNOTSUPP, "--cgroup-manager %s is not supported",
                                          optarg);
                return 1;
        case ARG_SYSTEMD_CGROUP:
                return error_setf(reterr_message, -EOPNOTSUPP, "--systemd-cgroup is not supported");
        case ARG_VERSION:
                puts("bundle-runner " PROJECT_VERSION "\nspec: 1.2.0");
                return 0;
        case ARG_HELP:
        case 'h':
                help();
                return 0;
        default:
                return error_setf(reterr_message, -EINVAL, "bad usage, see --help");
        }
}

static int add(const char **list, size_t *n, char **reterr_message)
{
        if (*n >= OPTION_LIST_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u of one option", OPTION_LIST_MAX);
        list[(*n)++] = optarg;
        return 0;
}

static int parse_for_verb(int value, Options *o, char **reterr_message)
{
        uint32_t n;

        switch (value) {
        case 'b':
                o->bundle = optarg;
                return 0;
        case 'f':
                o->config = optarg;
                return 0;
        case ARG_PID_FILE:
                o->pid_file = optarg;
                return 0;
        case ARG_CONSOLE_SOCKET:
                return error_setf(reterr_message, -EOPNOTSUPP, "--console-socket: terminals are not supported");
        case ARG_PRESERVE_FDS:
                if (parse_u32(optarg, &n) < 0)
                        return error_setf(reterr_message, -EINVAL, "--preserve-fds: bad number '%s'", optarg);
                if (n > 0)
                        return error_setf(reterr_message, -EOPNOTSUPP, "--preserve-fds: an agent can not take "
                                          "descriptors");
                return 0;
        case ARG_NO_PIVOT:
                return error_setf(reterr_message, -EOPNOTSUPP, "--no-pivot is not supported");
        case ARG_NO_NEW_KEYRING:
                return 0;       /* the agent never makes one */
        case ARG_KEEP:
                o->keep = true;
                return 0;
        case 'd':
                o->detach = true;
                return 0;
        case 'F':
                o->force = true;
                return 0;
        case 'a':
                o->all = true;
                return 0;
        case 'q':
                o->quiet = true;
                return 0;
        case 'o':
                if (!streq(optarg, "table") && !streq(optarg, "json"))
                        return error_setf(reterr_message, -EINVAL, "--format is table or json");
                o->json = streq(optarg, "json");
                return 0;
        case 'p':
                o->process = optarg;
                return 0;
        case ARG_CWD:
                o->cwd = optarg;
                return 0;
        case 'e':
                return add(o->env, &o->n_env, reterr_message);
        case 'u':
                o->user = optarg;
                return 0;
        case 'c':
                return add(o->caps, &o->n_caps, reterr_message);
        case ARG_NO_NEW_PRIVS:
                o->no_new_privileges = true;
                return 0;
        case 't':
                return error_setf(reterr_message, -EOPNOTSUPP, "--tty: terminals are not supported");
        default:
                return error_setf(reterr_message, -EINVAL, "bad usage, see --help");
        }
}

static bool is_for(int value, Verb verb)
{
        for (size_t i = 0; i < ELEMENTSOF(verb_option_uses); i++)
                if (verb_option_uses[i].value == value)
                        return verb_option_uses[i].verbs & VERB_BIT(verb);

        return true;    /* getopt_long() has complained */
}

static int parse_arguments(int argc, char *argv[], Options *o, char **reterr_message)
{
        int n = argc - optind;

        if (o->verb == VERB_LIST)
                return n == 0 ? 0 : error_setf(reterr_message, -EINVAL, "list takes no arguments");
        if (n < 1 || (o->verb != VERB_EXEC && n > (o->verb == VERB_KILL ? 2 : 1)))
                return error_setf(reterr_message, -EINVAL, "%s: expected the id of a container%s",
                                  verb_names[o->verb], o->verb == VERB_KILL ? " and a signal" : "");

        o->id = argv[optind];
        if (!id_is_valid(o->id, CONTAINER_ID_MAX))
                return error_setf(reterr_message, -EINVAL, "invalid container id format: '%.200s'", o->id);
        if (o->verb == VERB_EXEC) {
                o->args = n > 1 ? argv + optind + 1 : NULL;
                if (!o->args == !o->process)
                        return error_setf(reterr_message, -EINVAL, "exec: expected a program or --process");
        } else if (n == 2) {
                o->signal = signal_parse(argv[optind + 1]);
                if (o->signal < 0)
                        return error_setf(reterr_message, -EINVAL, "unknown signal '%.50s'", argv[optind + 1]);
        }
        return 0;
}

int options_parse(int argc, char *argv[], Options *ret, char **reterr_message)
{
        Options o = {
                .root = DEFAULT_ROOT,
                .agent = getenv("KATA_AGENT") ?: DEFAULT_AGENT,
                .signal = SIGTERM,
                .verb = _VERB_MAX,
        };
        const char *short_options;
        int value, r;

        optind = 0;
        while ((value = getopt_long(argc, argv, "+h", global_options, NULL)) >= 0) {
                r = parse_global(value, &o, reterr_message);
                if (r < 0)
                        return r;
                if (r == 0) {
                        *ret = (Options) { .verb = VERB_HELP };
                        return 0;
                }
        }
        if (optind >= argc)
                return error_setf(reterr_message, -EINVAL, "no command, see --help");
        argc -= optind;
        argv += optind;

        for (unsigned i = 0; i < VERB_HELP; i++)
                if (streq(verb_names[i], argv[0]))
                        o.verb = i;
        if (o.verb == _VERB_MAX)
                return error_setf(reterr_message, -ENOENT, "no such command '%.50s', see --help", argv[0]);

        short_options = o.verb == VERB_DELETE ? "f"
                        : o.verb == VERB_LIST ? "qf:"
                        : o.verb == VERB_EXEC ? "+dp:e:u:c:t"
                                              : "b:f:da";
        optind = 0;
        while ((value = getopt_long(argc, argv, short_options, verb_options, NULL)) >= 0) {
                /* -f is what the command makes of it. */
                if (value == 'f' && o.verb == VERB_DELETE)
                        value = 'F';
                if (value == 'f' && o.verb == VERB_LIST)
                        value = 'o';
                if (!is_for(value, o.verb))
                        return error_setf(reterr_message, -EINVAL, "an option has no meaning for '%s'", argv[0]);
                r = parse_for_verb(value, &o, reterr_message);
                if (r < 0)
                        return r;
        }

        r = parse_arguments(argc, argv, &o, reterr_message);
        if (r < 0)
                return r;
        *ret = o;
        return 0;
}
