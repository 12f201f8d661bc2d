/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-agent: the init process of a guest. Runs inside the virtual machine; the host gives orders, the
 * workloads below it are hostile. Every fatal error is printed where the host can see it and ends the
 * machine: an init that hangs would only be noticed by a timeout. With --listen it is a server on the
 * machine of somebody else (host-mode.h).
 */

#include <fcntl.h>
#include <getopt.h>
#include <gnu/libc-version.h>
#include <protobuf-c/protobuf-c.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/host-mode.h"
#include "agent/init.h"
#include "agent/initrd.h"
#include "agent/reaper.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"

static void help(void)
{
        printf("kata-agent [OPTION…]\n\n"
               "Init process of a Kata guest: prepares the system, starts containers on request of the\n"
               "host and forwards logs. Takes its settings from the kernel command line (agent.*).\n\n"
               "  -h --help                Show this help\n"
               "     --version             Show the version, and those of libraries\n"
               "     --listen unix:PATH    Serve on a socket of this machine, not as its init process\n");
}

/* The libraries are linked in: nothing else in the image says which ones they are. */
static void version(void)
{
        const struct scmp_version *seccomp = seccomp_version();

        printf("kata-agent " PROJECT_VERSION "\nlibc %s, libprotobuf-c %s, libseccomp %u.%u.%u\n",
               gnu_get_libc_version(), protobuf_c_version(), seccomp->major, seccomp->minor, seccomp->micro);
}

/* 1: go on, as PID 1 or where *ret_listen says. */
static int parse_argv(int argc, char *argv[], const char **ret_listen)
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
                { "listen", required_argument, NULL, 'l' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case 'v':
                        version();
                        return 0;
                case 'l':
                        *ret_listen = optarg;
                        break;
                default:
                        return -EINVAL;
                }

        if (optind < argc)
                return log_error_errno(-EINVAL, "kata-agent takes no arguments");
        return 1;
}

static void open_kmsg(Agent *agent)
{
        _cleanup_close_ int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        int r;

        r = fd < 0 ? negative_errno() : agent_read_kmsg(agent, &fd);
        if (r < 0)
                log_warning_errno(r, "The kernel log will not be forwarded: /dev/kmsg");
}

/* Returns only with an error; 0 means that the host has ended the sandbox. */
static int run(Agent *agent, Loop *loop, const AgentCmdline *cmdline, char **reterr_message)
{
        TransportHandlers handlers;
        Transport *transport;
        Reaper *reaper;
        int r;

        r = agent_init(agent, loop, cmdline);
        if (r < 0)
                return error_prefixf(reterr_message, r, "start");
        r = init_system(reterr_message);
        if (r >= 0 && cmdline->debug_image[0])
                r = init_mount_debug(cmdline->debug_image, reterr_message);
        if (r < 0)
                return r;
        r = init_standard_fds();
        if (r < 0)
                return error_prefixf(reterr_message, r, "/dev/null");
        r = reaper_new(&reaper, loop);
        if (r < 0)
                return error_prefixf(reterr_message, r, "signal handling");
        open_kmsg(agent);

        handlers = agent_transport_handlers(agent);
        r = transport_new(&transport, loop, cmdline, &handlers, reterr_message);
        if (r < 0)
                return r;
        r = agent_start(agent, transport, reterr_message);
        if (r < 0)
                return r;

        r = loop_run(loop);
        if (r < 0)
                return error_setf(reterr_message, r, "%s", agent->failure ? agent->failure : strerror(-r));
        return 0;
}

static int _noreturn_ run_as_init(void)
{
        char *message = NULL;
        AgentCmdline cmdline;
        static Agent agent;
        Loop *loop;
        int r;

        r = init_mount_proc(&message);
        if (r >= 0)
                r = agent_cmdline_load(&cmdline, &message);
        if (r >= 0)
                r = loop_new(&loop);
        if (r >= 0)
                r = run(&agent, loop, &cmdline, &message);

        if (r < 0)
                init_die(error_text(message, r));
        init_restart();
}

/* On a host. */

static void on_signal(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        struct signalfd_siginfo info;
        Agent *agent = userdata;

        if (read(fd, &info, sizeof(info)) != sizeof(info))
                return;
        log_info("Asked to end, removing all containers");
        sandbox_destroy(agent->sandbox, NULL);
}

/* The mask is no child's: each resets its own. */
static int watch_signals(Agent *agent, LoopSource **ret)
{
        sigset_t set;
        int fd;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return negative_errno();
        fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? negative_errno() : loop_add_fd(agent->loop, ret, fd, EPOLLIN, on_signal, agent);
}

static int serve_on_host(Agent *agent, const SandboxPlace *place, char **reterr_message)
{
        TransportHandlers handlers;
        Transport *transport;
        LoopSource *signals;
        int r;

        /* There is no log port, and standard error is read by somebody. */
        log_ring_install(NULL);
        sandbox_set_place(agent->sandbox, place);
        if (place->unprivileged)
                log_notice("Not root: requests that need privileges will fail");
        r = watch_signals(agent, &signals);
        if (r < 0)
                return r;

        handlers = agent_transport_handlers(agent);
        r = transport_new(&transport, agent->loop, &agent->cmdline, &handlers, reterr_message);
        if (r >= 0)
                r = agent_start(agent, transport, reterr_message);
        return r < 0 ? r : loop_run(agent->loop);
}

static int run_on_host(char *argv[], const char *address)
{
        AgentCmdline cmdline = {
                .server_port = 1024, .passfd_port = 1027, .log_level = LOG_INFO,
        };
        _cleanup_free_ char *message = NULL;
        static SandboxPlace place;
        static Agent agent;
        Loop *loop;
        int r;

        if (agent_cmdline_set_unix(&cmdline, address) < 0)
                return log_error_errno(-EINVAL, "'%s': expected unix:/PATH, at most %u characters and no "
                                       "abstract name", address, LISTEN_PATH_MAX);
        if (startswith(cmdline.listen_path, STORAGE_ROOT "/"))
                return log_error_errno(-EINVAL, "%s: the agent mounts its own file system on " STORAGE_ROOT,
                                       cmdline.listen_path);

        r = geteuid() == 0 ? host_mode_seal(argv, &message) : 0;
        if (r >= 0)
                r = host_mode_enter(&place, &message);
        if (r >= 0)
                r = loop_new(&loop);
        if (r >= 0)
                r = agent_init(&agent, loop, &cmdline);
        if (r >= 0) {
                r = serve_on_host(&agent, &place, &message);
                /* The sockets go with it. */
                agent_done(&agent);
        }
        if (r < 0)
                log_error("%s", error_text(message, r));
        return r;
}

int main(int argc, char *argv[])
{
        const char *listen = getenv("KATA_AGENT_SERVER_ADDR");
        int r;

        /* The kernel hands words of its command line that it does not know to init as arguments: those
         * say nothing here. */
        if (getpid() == 1 && geteuid() == 0 && access("/proc/self", F_OK) < 0) {
                /* Returns only if this is the real root already. */
                initrd_run();
                run_as_init();
        }

        r = parse_argv(argc, argv, &listen);
        if (r <= 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (!isempty(listen))
                return run_on_host(argv, listen) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (getpid() != 1) {
                log_error("kata-agent is the init process of a guest and runs as process 1 of a machine "
                          "of its own only; on any other machine see --listen");
                return EXIT_FAILURE;
        }

        run_as_init();
}
