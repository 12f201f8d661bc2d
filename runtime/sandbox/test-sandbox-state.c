/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of phases and of the state file. */

#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/sandbox/phase.h"
#include "runtime/sandbox/state-file.h"

TEST(every_phase_can_end)
{
        for (SandboxPhase p = 0; p < PHASE_DEAD; p++) {
                ASSERT_TRUE(sandbox_phase_may_follow(p, PHASE_DEAD));
                ASSERT_FALSE(sandbox_phase_may_follow(PHASE_DEAD, p));
                ASSERT_FALSE(streq(sandbox_phase_to_string(p), "unknown"));
        }
        ASSERT_TRUE(sandbox_phase_may_follow(PHASE_SCOPE, PHASE_BOOTING));
        ASSERT_FALSE(sandbox_phase_may_follow(PHASE_RUNNING, PHASE_BOOTING));
        ASSERT_FALSE(sandbox_phase_may_follow(PHASE_STOPPING_VM, PHASE_STOPPING_AGENT));
}

TEST(times)
{
        PhaseTimes t = { .entered = { [PHASE_PREPARING] = 1000000, [PHASE_SCOPE] = 1012000,
                                      [PHASE_BOOTING] = 1020000, [PHASE_RUNNING] = 2020000 } };
        _cleanup_free_ char *text = phase_times_to_string(&t);

        ASSERT_STREQ(text, "preparing 12ms, scope 8ms, booting 1000ms; total 1020ms");
}

TEST(round_trip)
{
        char path[] = "/tmp/test-state-XXXXXX";
        SandboxState a = { .running = true, .debug = true, .tasks = true, .stop_timeout = 10 * USEC_PER_SEC,
                           .memory_max = 1 << 30, .virtiofsd_pid = 42, .virtiofsd_start_time = 4711 }, b;

        close(mkstemp(path));
        a.kernel_release = strdup("6.12.3-kata");
        a.scope = strdup("libpod-1.scope");
        a.has_spare = true;
        a.spare = (NetSpare) { .tap = "kata0", .mac = { 2, 0, 0, 0xab, 0, 1 } };
        a.network = strdup("/run/netns/with blanks");
        ASSERT_OK(sandbox_state_add_container(&a, "web", 15, false, 0));
        ASSERT_OK(sandbox_state_add_container(&a, "db", 2, true, 137));
        ASSERT_OK(sandbox_state_save(&a, path));
        ASSERT_OK(sandbox_state_load(&b, path, NULL));
        ASSERT_TRUE(b.running);
        ASSERT_TRUE(b.debug);
        ASSERT_TRUE(b.tasks);
        ASSERT_EQ(b.memory_max, 1 << 30);
        ASSERT_EQ(b.virtiofsd_pid, 42);
        ASSERT_STREQ(b.kernel_release, "6.12.3-kata");
        ASSERT_STREQ(b.scope, "libpod-1.scope");
        ASSERT_TRUE(b.has_spare);
        ASSERT_STREQ(b.spare.tap, "kata0");
        ASSERT_EQ(b.spare.mac[3], 0xab);
        ASSERT_STREQ(b.network, a.network);
        ASSERT_EQ(b.n_containers, 2);
        ASSERT_STREQ(b.containers[1].name, "db");
        ASSERT_EQ(b.containers[1].status, 137);
        ASSERT_TRUE(b.containers[1].exited);
        sandbox_state_done(&b);
        /* Of a namespace without a name. */
        a.network = mfree(a.network);
        ASSERT_OK(sandbox_state_save(&a, path));
        ASSERT_OK(sandbox_state_load(&b, path, NULL));
        ASSERT_TRUE(b.has_spare);
        ASSERT_NULL(b.network);
        sandbox_state_done(&a);
        sandbox_state_done(&b);
        unlink(path);
        ASSERT_ERROR(sandbox_state_load(&b, path, NULL), ENOENT);
}

TEST(bad_files)
{
        static const struct {
                const char *text;
                int error;
        } cases[] = {
                { "", EINVAL },
                { "version=2\n", EOPNOTSUPP },
                { "version=1\nnonsense\n", EINVAL },
                { "version=1\ncontainer=../x 15 0 0\n", EINVAL },
                { "version=1\ncontainer=web 15 0\n", EINVAL },
                { "version=1\ncontainer=web 15 0 0 0\n", EINVAL },
                { "version=1\ncontainer=web 99 0 0\n", EINVAL },
                { "version=1\nvirtiofsd=-1 5\n", EINVAL },
                { "version=1\nvirtiofsd=5\n", EINVAL },
                { "version=1\nscope=a/b.scope\n", EINVAL },
                { "version=1\nspare=kata0 02:00:00:00:00:01\n", EINVAL },
                { "version=1\nspare=kata0 02:00:00:00:00 -\n", EINVAL },
                { "version=1\nspare=kata0 02:00:00:00:00:01 relative\n", EINVAL },
                { "version=1\nspare=a-name-that-is-long 02:00:00:00:00:01 -\n", EINVAL },
                { "version=1\nscope=web.service\n", EINVAL },
        };
        char path[] = "/tmp/test-state-XXXXXX";

        close(mkstemp(path));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *m = NULL;
                SandboxState s;

                ASSERT_OK(write_file_atomic(path, cases[i].text, strlen(cases[i].text), 0600));
                ASSERT_ERROR(sandbox_state_load(&s, path, &m), cases[i].error);
                ASSERT_CONTAINS(m, path);
        }
        unlink(path);
}

TEST(scope_of_a_sandbox)
{
        char dir[] = "/tmp/test-state-XXXXXX", path[64];
        SandboxState a = { .stop_timeout = 1 };
        char *scope;

        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/" SANDBOX_STATE_FILE, dir);
        ASSERT_OK(sandbox_state_find_scope(dir, "web", &scope));
        ASSERT_STREQ(scope, "kata-vm-web.scope");
        free(scope);
        a.scope = strdup("libpod-1.scope");
        ASSERT_OK(sandbox_state_save(&a, path));
        ASSERT_OK(sandbox_state_find_scope(dir, "web", &scope));
        ASSERT_STREQ(scope, "libpod-1.scope");
        free(scope);
        ASSERT_ERROR(sandbox_state_find_scope("/nowhere", "..", &scope), EINVAL);
        sandbox_state_done(&a);
        unlink(path);
        rmdir(dir);
}

DEFINE_TEST_MAIN
