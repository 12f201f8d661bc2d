/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks: what is accepted, what they read, and how each kind of end is told. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container-hooks.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/test.h"

#define S(text) ((char *) (uintptr_t) (text))

typedef struct Config {
        Grpc__Spec spec;
        Grpc__Hooks hooks;
        Grpc__Hook hook, *list[HOOKS_MAX + 1];
        char *args[4], *env[1];
} Config;

/* One createRuntime hook: sh -c script. */
static void config_init(Config *c, const char *script)
{
        memset(c, 0, sizeof(*c));
        c->spec = (Grpc__Spec) GRPC__SPEC__INIT;
        c->hooks = (Grpc__Hooks) GRPC__HOOKS__INIT;
        c->hook = (Grpc__Hook) GRPC__HOOK__INIT;
        c->spec.hooks = &c->hooks;
        c->hooks.createruntime = c->list;
        c->hooks.n_createruntime = 1;
        c->list[0] = &c->hook;
        c->hook.path = S("/bin/sh");
        c->hook.args = c->args;
        c->hook.n_args = 3;
        c->args[0] = S("hook");
        c->args[1] = S("-c");
        c->args[2] = S(script);
        c->hook.env = c->env;
        c->hook.n_env = 1;
        c->env[0] = S("A=b");
}

static void refuse(const Config *c, int error, const char *part)
{
        _cleanup_free_ char *message = NULL;
        HookSet set = {};

        ASSERT_EQ(hook_set_parse(&set, "c1", &c->spec, NULL, &message), -error);
        ASSERT_CONTAINS(message, part);
        ASSERT_EQ(set.n[HOOK_CREATE_RUNTIME], 0);
}

TEST(parse)
{
        HookSet set = {};
        Config c;

        config_init(&c, "");
        c.hook.n_args = 0;
        ASSERT_OK(hook_set_parse(&set, "c1", &c.spec, NULL, NULL));
        ASSERT_EQ(set.n[HOOK_CREATE_RUNTIME], 1);
        ASSERT_TRUE(hook_set_has(&set, HOOK_CREATE_RUNTIME));
        ASSERT_FALSE(hook_set_has(&set, HOOK_POSTSTOP));
        ASSERT_STREQ(set.hooks[HOOK_CREATE_RUNTIME][0].args.v[0], "/bin/sh");
        ASSERT_EQ(set.hooks[HOOK_CREATE_RUNTIME][0].timeout_sec, 10);
        hook_set_done(&set);

        c.hook.path = S("sh");
        refuse(&c, EINVAL, "createRuntime hook: 'sh'");
        c.hook.path = S("/bin/sh");
        c.hook.timeout = -1;
        refuse(&c, ERANGE, "timeout");
        c.hook.timeout = HOOK_TIMEOUT_MAX_SEC + 1;
        refuse(&c, ERANGE, "timeout");
        c.hook.timeout = 0;
        c.hooks.n_createruntime = HOOKS_MAX + 1;
        refuse(&c, E2BIG, "createRuntime hooks");

        /* None at all. */
        c.spec.hooks = NULL;
        ASSERT_OK(hook_set_parse(&set, "c1", &c.spec, "", NULL));
        for (HookKind kind = 0; kind < _HOOK_KIND_MAX; kind++)
                ASSERT_FALSE(hook_set_has(&set, kind));
        ASSERT_OK(hook_set_parse(&set, "c1", &c.spec, "/etc/hooks", NULL));
        ASSERT_TRUE(hook_set_has(&set, HOOK_PRESTART));
        ASSERT_FALSE(hook_set_has(&set, HOOK_START_CONTAINER));
        hook_set_done(&set);
}

TEST(state)
{
        Grpc__StringEntry entries[] = { GRPC__STRING_ENTRY__INIT, GRPC__STRING_ENTRY__INIT };
        Grpc__StringEntry *list[] = { &entries[0], &entries[1] };
        _cleanup_free_ char *text = NULL, *big = NULL;
        HookSet set = {};
        Config c;
        size_t n;

        config_init(&c, "");
        ASSERT_OK(hook_set_parse(&set, "c1", &c.spec, NULL, NULL));
        ASSERT_OK(hook_set_state(&set, "stopped", 0, &text, &n));
        ASSERT_EQ(strncmp(text, "{\"ociVersion\":\"1.0.2\",\"id\":\"c1\",\"status\":\"stopped\","
                                "\"bundle\":\"/run/kata-containers/c1\"}\n", n), 0);
        text = mfree(text);
        hook_set_done(&set);

        entries[0].key = S("a\"b");
        entries[0].value = S("line\nend");
        entries[1].key = S("x");
        entries[1].value = S("");
        c.spec.annotations = list;
        c.spec.n_annotations = 2;
        ASSERT_OK(hook_set_parse(&set, "c1", &c.spec, NULL, NULL));
        ASSERT_OK(hook_set_state(&set, "creating", 42, &text, &n));
        ASSERT_EQ(strncmp(text, "{\"ociVersion\":\"1.0.2\",\"id\":\"c1\",\"status\":\"creating\",\"pid\":42,"
                                "\"bundle\":\"/run/kata-containers/c1\","
                                "\"annotations\":{\"a\\\"b\":\"line\\nend\",\"x\":\"\"}}\n", n), 0);
        hook_set_done(&set);

        big = malloc(HOOK_STATE_MAX + 1);
        memset(big, 'x', HOOK_STATE_MAX);
        big[HOOK_STATE_MAX] = '\0';
        entries[1].value = big;
        refuse(&c, E2BIG, "annotations do not fit");
}

static char dir[] = "/tmp/test-hooks-XXXXXX";

/* In a child, as it is meant. */
static int run_hooks(const HookSet *set, HookKind kind, char **reterr_message)
{
        return hooks_run(set, kind, "created", 7, reterr_message);
}

static int run_script(const char *script, int timeout, char **reterr_message)
{
        HookSet set = {};
        Config c;
        int r;

        config_init(&c, script);
        ASSERT_OK(hook_set_parse(&set, "c1", &c.spec, NULL, NULL));
        if (timeout >= 0)
                set.hooks[HOOK_CREATE_RUNTIME][0].timeout_sec = (unsigned) timeout;
        r = run_hooks(&set, HOOK_CREATE_RUNTIME, reterr_message);
        hook_set_done(&set);
        return r;
}

TEST(run)
{
        _cleanup_free_ char *message = NULL, *text = NULL;
        char script[256], path[64];
        usec_t start;

        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/out", dir);
        snprintf(script, sizeof(script), "cat >%s; echo $0 $A $(ls /proc/self/fd | wc -l) >>%s", path, path);
        ASSERT_OK(run_script(script, -1, NULL));
        ASSERT_OK(read_file_at(AT_FDCWD, path, KIB(4), &text, NULL));
        ASSERT_CONTAINS(text, "\"status\":\"created\",\"pid\":7");
        /* 0, 1, 2 and the directory. */
        ASSERT_CONTAINS(text, "}\nhook b 4\n");

        ASSERT_ERROR(run_script("echo some reason; echo '\033[31m' >&2; exit 3", -1, &message), EIO);
        ASSERT_CONTAINS(message, "createRuntime hook '/bin/sh': exit status 3: some reason\\x0a\\x1b[31m");
        ASSERT_ERROR(run_script("kill -9 $$", -1, &message), EIO);
        ASSERT_CONTAINS(message, "signal 9");
        ASSERT_ERROR(run_script("sleep 10", 0, &message), ETIMEDOUT);
        ASSERT_CONTAINS(message, "not done within 0 s");

        /* Much output, and processes that stay: neither is waited for. */
        start = now_usec();
        ASSERT_ERROR(run_script("head -c 1000000 /dev/zero | tr '\\0' x; echo last; sleep 10 & exit 1", -1,
                                &message), EIO);
        ASSERT_CONTAINS(message, "last");
        ASSERT_TRUE(strlen(message) < HOOK_TAIL_MAX + 100);
        ASSERT_TRUE(now_usec() - start < 5 * USEC_PER_SEC);
        ASSERT_OK(rm_rf(dir));
}

static void write_script(const char *name, const char *text, mode_t mode)
{
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/poststart/%s", dir, name);
        fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        ASSERT_OK(write_full(fd, text, strlen(text)));
        ASSERT_OK(fchmod(fd, mode));
        safe_close(fd);
}

/* Of the kinds that can not undo anything the others run as well. */
TEST(remaining_hooks)
{
        static const HookKind kinds[] = { HOOK_POSTSTART, HOOK_POSTSTOP, HOOK_PRESTART };

        strcpy(dir, "/tmp/test-hooks-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(dir));
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                char *bad_args[] = { S("false"), S("-c"), S("exit 9") }, *args[3] = { S("good"), S("-c") };
                _cleanup_free_ char *message = NULL;
                Grpc__Hook bad = GRPC__HOOK__INIT, good = GRPC__HOOK__INIT, *list[] = { &bad, &good };
                char path[64], script[128];
                HookSet set = {};
                Config c;

                snprintf(path, sizeof(path), "%s/made-%zu", dir, i);
                snprintf(script, sizeof(script), ": >%s", path);
                bad.path = good.path = S("/bin/sh");
                bad.args = bad_args;
                args[2] = script;
                good.args = args;
                bad.n_args = good.n_args = 3;
                config_init(&c, "");
                c.hooks = (Grpc__Hooks) GRPC__HOOKS__INIT;
                if (kinds[i] == HOOK_POSTSTART) {
                        c.hooks.poststart = list;
                        c.hooks.n_poststart = 2;
                } else if (kinds[i] == HOOK_POSTSTOP) {
                        c.hooks.poststop = list;
                        c.hooks.n_poststop = 2;
                } else {
                        c.hooks.prestart = list;
                        c.hooks.n_prestart = 2;
                }
                ASSERT_OK(hook_set_parse(&set, "c1", &c.spec, NULL, NULL));
                ASSERT_ERROR(run_hooks(&set, kinds[i], &message), EIO);
                ASSERT_CONTAINS(message, "exit status 9");
                ASSERT_EQ(access(path, F_OK) >= 0, kinds[i] != HOOK_PRESTART);
                hook_set_done(&set);
        }
        ASSERT_OK(rm_rf(dir));
}

TEST(guest_directory)
{
        _cleanup_free_ char *message = NULL, *text = NULL;
        char path[128], script[256];
        HookSet set = {};
        Config c;

        strcpy(dir, "/tmp/test-hooks-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/poststart", dir);
        ASSERT_OK(mkdir_p(path, 0755));
        snprintf(path, sizeof(path), "%s/out", dir);
        config_init(&c, "");
        c.spec.hooks = NULL;

        for (unsigned i = 0; i < 3; i++) {
                char name[16];

                snprintf(script, sizeof(script), "#!/bin/sh\necho %u >>%s\n", i, path);
                snprintf(name, sizeof(name), "%02u-hook", i);
                write_script(name, script, i == 1 ? 0644 : 0755);
        }
        write_script(".hidden", "#!/bin/sh\nexit 1\n", 0755);
        ASSERT_OK(hook_set_parse(&set, "c1", &c.spec, dir, NULL));
        ASSERT_OK(run_hooks(&set, HOOK_POSTSTART, NULL));
        ASSERT_OK(read_file_at(AT_FDCWD, path, KIB(4), &text, NULL));
        ASSERT_STREQ(text, "0\n2\n");
        /* No such directory. */
        ASSERT_OK(run_hooks(&set, HOOK_POSTSTOP, NULL));
        write_script("99-bad", "#!/bin/sh\necho broken\nexit 1\n", 0755);
        ASSERT_ERROR(run_hooks(&set, HOOK_POSTSTART, &message), EIO);
        ASSERT_CONTAINS(message, "99-bad': exit status 1: broken");
        /* What comes behind runs all the same, and the first failure counts. */
        write_script("99-worse", "#!/bin/sh\necho worse >>${0%/*}/../out\nexit 2\n", 0755);
        ASSERT_ERROR(run_hooks(&set, HOOK_POSTSTART, &message), EIO);
        ASSERT_CONTAINS(message, "99-bad': exit status 1: broken");
        text = mfree(text);
        ASSERT_OK(read_file_at(AT_FDCWD, path, KIB(4), &text, NULL));
        ASSERT_STREQ(text, "0\n2\n0\n2\n0\n2\nworse\n");
        hook_set_done(&set);
        ASSERT_OK(rm_rf(dir));
}

DEFINE_TEST_MAIN
