/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-agent: the init process of a guest. Runs inside the virtual machine; the host gives orders, the
 * workloads below it are hostile. Every fatal error is printed where the host can see it and ends the
 * machine: an init that hangs would only be noticed by a timeout.
 */

#include <fcntl.h>
#include <getopt.h>
#include <gnu/libc-version.h>
#include <protobuf-c/protobuf-c.h>
#include <seccomp.h>
#include <unistd.h>

#include "agent/agent.h"
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
               "  -h --help     Show this help\n"
               "     --version  Show the version, and those of libraries\n");
}

/* The libraries are linked in: nothing else in the image says which ones they are. */
static void version(void)
{
        const struct scmp_version *seccomp = seccomp_version();

        printf("kata-agent " PROJECT_VERSION "\nlibc %s, libprotobuf-c %s, libseccomp %u.%u.%u\n",
               gnu_get_libc_version(), protobuf_c_version(), seccomp->major, seccomp->minor, seccomp->micro);
}

/* 1: go on as PID 1. */
static int parse_argv(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
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

int main(int argc, char *argv[])
{
        int r;

        /* The kernel hands words of its command line that it does not know to init as arguments: those
         * say nothing here. */
        if (getpid() == 1 && geteuid() == 0 && access("/proc/self", F_OK) < 0) {
                /* Returns only if this is the real root already. */
                initrd_run();
                run_as_init();
        }

        r = parse_argv(argc, argv);
        if (r <= 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (getpid() != 1) {
                log_error("kata-agent is the init process of a guest and runs as process 1 of a machine "
                          "of its own only");
                return EXIT_FAILURE;
        }

        run_as_init();
}
