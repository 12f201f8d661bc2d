/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fourteen clients of one agent at the same time, each with containers and further processes of its own: every exit
 * status is right, and the agent survives.
 *
 *      test-agent-parallel-live [KATA-AGENT [CLIENTS [ROUNDS]]]
 *
 * Needs root, cgroup v2 and busybox-static, else it skips itself with 77 and says so.
 */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/test-agent-client.h"
#include "basic/fd.h"

#define CLIENTS 14U
#define ROUNDS 10U

static AgentClient client;

static unsigned number(int argc, char *argv[], int i, unsigned otherwise)
{
        return argc > i ? (unsigned) strtoul(argv[i], NULL, 10) : otherwise;
}

static void run_client(unsigned k, unsigned rounds)
{
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        safe_close(client.fd);
        client.fd = agent_client_connect(&client);
        client.next_id = 1;
        for (unsigned i = 0; i < rounds; i++) {
                char id[32], script[64];

                snprintf(id, sizeof(id), "c%u-%u", k, i);
                snprintf(script, sizeof(script), "exit %u", (k + i) % 100);
                agent_client_run(&client, id, script);
                ASSERT_EQ(agent_client_wait(&client, id, ""), (int) ((k + i) % 100));
                agent_client_remove(&client, id);

                agent_client_run(&client, id, "sleep 100000");
                agent_client_exec(&client, id, "e1", script);
                ASSERT_EQ(agent_client_wait(&client, id, "e1"), (int) ((k + i) % 100));
                agent_client_remove(&client, id);
        }
}

int main(int argc, char *argv[])
{
        const char *program = argc > 1 ? argv[1] : "/usr/bin/kata-agent";
        unsigned clients = number(argc, argv, 2, CLIENTS), rounds = number(argc, argv, 3, ROUNDS), failed = 0;

        if (agent_client_needs(program)) {
                fprintf(stderr, "skipped: needs %s\n", agent_client_needs(program));
                return 77;
        }

        agent_client_start(&client, program);
        for (unsigned k = 0; k < clients; k++) {
                pid_t pid = ASSERT_OK(fork());

                if (pid == 0) {
                        run_client(k, rounds);
                        _exit(EXIT_SUCCESS);
                }
        }
        for (unsigned k = 0; k < clients; k++) {
                int status;

                /* The agent is a child as well. */
                pid_t pid = ASSERT_OK(wait(&status));

                if (pid == client.agent)
                        TEST_FAIL("the agent has ended with status 0x%x", (unsigned) status);
                failed += status != 0;
        }
        ASSERT_EQ(failed, 0U);
        agent_client_stop(&client);
        return EXIT_SUCCESS;
}
