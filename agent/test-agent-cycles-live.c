/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thousands of processes and containers, one after the other, under one agent: memory, descriptors, cgroups
 * and processes are afterwards what they were before. Counts, no times.
 *
 *      test-agent-cycles-live [KATA-AGENT [EXECS [CONTAINERS]]]
 *
 * Needs root, cgroup v2 and busybox-static, else it skips itself with 77 and says so.
 */

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/test-agent-client.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define EXECS 10000U
#define CONTAINERS 1000U
/* Before the first measurement: arenas and tables have grown to what they stay at. */
#define WARM_UP 100U
/* The agent keeps an exec whose output nobody has read for ten seconds. */
#define SETTLE_SEC 15U
/* Anonymous memory. A leak of one pointer a cycle would be more. */
#define GROWTH_MAX_KB 64U

typedef struct Counts {
        unsigned descriptors, children, cgroups;
        unsigned long anonymous_kb;
} Counts;

static AgentClient client;

static unsigned count_named(const char *path, bool directories_only)
{
        DIR *d = ASSERT_NOT_NULL(opendir(path));
        unsigned n = 0;

        for (struct dirent *e = readdir(d); e; e = readdir(d))
                if (e->d_name[0] != '.' && (!directories_only || e->d_type == DT_DIR))
                        n++;
        closedir(d);
        return n;
}

static unsigned count_words(const char *text)
{
        unsigned n = 0;

        for (bool in = false; *text; text++) {
                bool letter = *text != ' ' && *text != '\n';

                n += letter && !in;
                in = letter;
        }
        return n;
}

static unsigned long anonymous_kb(void)
{
        _cleanup_free_ char *text = NULL;
        char path[64], *at;

        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int) client.agent);
        ASSERT_OK(read_file_at(AT_FDCWD, path, KIB(16), &text, NULL));
        at = ASSERT_NOT_NULL(strstr(text, "Anonymous:"));
        return strtoul(at + strlen("Anonymous:"), NULL, 10);
}

static void count(Counts *ret)
{
        _cleanup_free_ char *children = NULL;
        char path[256];

        snprintf(path, sizeof(path), "/proc/%d/fd", (int) client.agent);
        ret->descriptors = count_named(path, false);
        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) client.agent, (int) client.agent);
        ASSERT_OK(read_file_at(AT_FDCWD, path, MIB(1), &children, NULL));
        ret->children = count_words(children);
        agent_client_cgroup(&client, path, sizeof(path));
        ret->cgroups = count_named(path, true);
        ret->anonymous_kb = anonymous_kb();
}

static void say(const char *what, const Counts *c)
{
        fprintf(stderr, "%s: %u descriptors, %u children, %u cgroups, %lu KB\n", what, c->descriptors,
                c->children, c->cgroups, c->anonymous_kb);
}

static bool is_back(const Counts *before, const Counts *after)
{
        return after->descriptors <= before->descriptors && after->children <= before->children &&
               after->cgroups <= before->cgroups &&
               after->anonymous_kb <= before->anonymous_kb + GROWTH_MAX_KB;
}

static void compare(const char *what, const Counts *before)
{
        Counts after;

        for (unsigned i = 0; i <= SETTLE_SEC; i++) {
                count(&after);
                if (is_back(before, &after)) {
                        say(what, &after);
                        return;
                }
                sleep(1);
        }
        say("before", before);
        say(what, &after);
        TEST_FAIL("something has grown");
}

static void execs(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                char id[32];

                snprintf(id, sizeof(id), "e%u", i);
                agent_client_exec(&client, "sleeper", id, "exit 7");
                ASSERT_EQ(agent_client_wait(&client, "sleeper", id), 7);
        }
}

static void containers(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                char id[32];

                snprintf(id, sizeof(id), "c%u", i);
                agent_client_run(&client, id, "exit 5");
                ASSERT_EQ(agent_client_wait(&client, id, ""), 5);
                agent_client_remove(&client, id);
        }
}

static unsigned number(int argc, char *argv[], int i, unsigned otherwise)
{
        return argc > i ? (unsigned) strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char *argv[])
{
        const char *program = argc > 1 ? argv[1] : "/usr/bin/kata-agent";
        unsigned n_execs = number(argc, argv, 2, EXECS), n_containers = number(argc, argv, 3, CONTAINERS);
        Counts before;

        if (agent_client_needs(program)) {
                fprintf(stderr, "skipped: needs %s\n", agent_client_needs(program));
                return 77;
        }

        agent_client_start(&client, program);
        agent_client_run(&client, "sleeper", "sleep 100000");
        execs(WARM_UP);
        containers(WARM_UP / 10);
        sleep(SETTLE_SEC);
        count(&before);
        say("before", &before);

        execs(n_execs);
        compare("after all processes", &before);
        containers(n_containers);
        compare("after all containers", &before);

        agent_client_remove(&client, "sleeper");
        agent_client_stop(&client);
        return EXIT_SUCCESS;
}
